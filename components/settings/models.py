"""Every setting of the package, its type, its bounds and its default: the one source of them.

``Pulumi.yaml``'s schema and the components' TypedDicts (``args.py``) are held against these models by tests.
A setting has two spellings, and a place accepts one of them: camelCase in stack config, snake_case in Python.

Names, namespaces and labels may be Outputs; everything else decides what is declared, or is part of the
script, and has to be plain and known at preview.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from .defaults import GUIDE_HEADERS, SECRET_FIELDS, SECRET_HEADERS, TEXT_TYPES
from .validation import Input, OrOutput, Rule

FILTER_NAME_PREFIX = "astra-istio-mesh-filter-"

# RFC 1123, as Kubernetes applies it (k8s.io/apimachinery, pkg/util/validation).
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_QUALIFIED_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_TOKEN = r"[!#$%&'*+.^_`|~0-9a-z-]+"  # noqa: S105 - RFC 9110's `token`, in lower case
_MEDIA_NAME = r"[a-z0-9][a-z0-9!#$&^_.+-]*"  # RFC 6838's `restricted-name`

MAX_NAME = 253
MAX_WORKLOAD_NAME = MAX_NAME - len(FILTER_NAME_PREFIX)


def _matches(pattern: str, limit: int | None = None) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: (limit is None or len(text) <= limit) and compiled.fullmatch(text) is not None


is_dns_name = _matches(_SUBDOMAIN, MAX_NAME)


def _is_label_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return bool(re.fullmatch(_QUALIFIED_NAME, name) and (not slash or is_dns_name(prefix)))


def _is_set_of_directions(directions: list["Direction"]) -> bool:
    return 0 < len(directions) == len(set(directions)) and (
        Direction.GATEWAY not in directions or len(directions) == 1
    )


def _whole(value: object) -> object:
    # Numbers that came through JSON or Pulumi's wire format may be floats.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _once_each(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


Whole = Annotated[int, BeforeValidator(_whole)]
SensorId = Annotated[
    str,
    Rule(
        "the sensor's UUID, such as 12345678-9abc-4def-8123-456789abcdef",
        _matches(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    ),
]
CollectorUrl = Annotated[
    str,
    Rule("a URL such as http://astra-traffic-collector.astra-collector.svc.cluster.local:4318", bool),
]
Namespace = Annotated[
    str, Rule("a namespace: at most 63 of a-z, 0-9 and '-', no '-' at an end", _matches(_DNS_LABEL))
]
ObjectName = Annotated[str, Rule("a Kubernetes name: at most 253 of a-z, 0-9, '-' and '.'", is_dns_name)]
WorkloadName = Annotated[
    str,
    Rule(
        f"a name for a Kubernetes name to end with: at most {MAX_WORKLOAD_NAME} of a-z, 0-9, '-' and '.'",
        _matches(_SUBDOMAIN, MAX_WORKLOAD_NAME),
    ),
]
LabelKey = Annotated[
    str,
    Rule(
        "a label key: at most 63 of A-Z, a-z, 0-9, '-', '_' and '.', after an optional DNS prefix and '/'",
        _is_label_key,
    ),
]
LabelValue = Annotated[
    str,
    Rule(
        "a label value, in quotes if it looks like a number: at most 63 of A-Z, a-z, 0-9, '-', '_' and '.'",
        _matches(rf"({_QUALIFIED_NAME})?"),
    ),
]
NamespaceInput = Annotated[Input[str], OrOutput(Namespace)]
ObjectNameInput = Annotated[Input[str], OrOutput(ObjectName)]
PlainLabels = Annotated[dict[LabelKey, Annotated[Input[str], OrOutput(LabelValue)]], Field(strict=False)]
Labels = Annotated[Input[Mapping[str, Input[str]]], OrOutput(PlainLabels)]
# An Output cannot say "the whole namespace": whether it does decides about the filter's priority, and more.
SelectorLabels = Annotated[PlainLabels, Rule("at least one label", bool)]
ExportTo = Annotated[
    str,
    Rule("'*', '.' or a namespace", lambda text: text in {"*", "."} or re.fullmatch(_DNS_LABEL, text)),
]
DnsName = Annotated[str, Rule("a DNS name", is_dns_name), BeforeValidator(_lower)]
ProxyFile = Annotated[
    str, Rule("an absolute path in the proxy's container", _matches(r"/[^\x00-\x1f\x7f]+", limit=4096))
]
HeaderName = Annotated[
    str, Rule("a header name, such as x-request-id", _matches(_TOKEN, limit=128)), BeforeValidator(_lower)
]
HeaderNames = Annotated[list[HeaderName], Field(max_length=512), AfterValidator(_once_each)]
ContentType = Annotated[
    str,
    Rule(
        "type/subtype, type/* or type/*+suffix",
        _matches(rf"{_MEDIA_NAME}/({_MEDIA_NAME}|\*(\+{_MEDIA_NAME})?)", limit=128),
    ),
    BeforeValidator(_lower),
]
FieldWords = Annotated[
    str,
    Rule(
        "words of a-z and 0-9 with single spaces, such as 'api key'",
        _matches(r"[a-z0-9]+( [a-z0-9]+)*", limit=128),
    ),
    BeforeValidator(_lower),
]
PathPattern = Annotated[
    str,
    Rule(
        "a path that starts with '/' and has '*' at its end only", _matches(r"/[!-)+->@-~]*\*?", limit=1024)
    ),
]
ScopeName = Annotated[
    str, Rule("1 to 128 printable characters", lambda text: text.isprintable() and _matches(".+", 128)(text))
]


class Location(StrEnum):
    """Where the collector runs, seen from the mesh."""

    MESH = "mesh"
    EXTERNAL = "external"


class TlsMode(StrEnum):
    """The modes of Istio's ClientTLSSettings that originate TLS."""

    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


class Direction(StrEnum):
    """Which requests of a workload are captured."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    GATEWAY = "gateway"


class Mechanism(StrEnum):
    """The kind of Kubernetes object that carries the capture script."""

    ENVOY_FILTER = "EnvoyFilter"
    TRAFFIC_EXTENSION = "TrafficExtension"


class TargetKind(StrEnum):
    """The kinds of object that a capture may be attached to, with Istio's targetRefs."""

    GATEWAY = "Gateway"
    GATEWAY_CLASS = "GatewayClass"
    SERVICE = "Service"
    SERVICE_ENTRY = "ServiceEntry"


class BinaryBodies(StrEnum):
    """What becomes of a body that is not text."""

    OMIT = "omit"
    BYTES = "bytes"


class RedactionMode(StrEnum):
    """Whether secrets are masked before they leave the proxy."""

    MASK = "mask"
    NONE = "none"


class Scheme(StrEnum):
    """What a span says in ``http.scheme``."""

    AUTO = "auto"
    HTTP = "http"
    HTTPS = "https"


class Compatibility(StrEnum):
    """The form of a span."""

    OTEL = "otel"
    GUIDE = "guide"


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=False,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        strict=True,
    )

    def __deepcopy__(self, memo: object = None) -> Self:
        # Nothing in it changes, and pydantic copies the defaults of each workload, long lists and all.
        return self


def _choice(default: Any, description: str) -> Any:
    """A field whose value is written as a string, which strict validation would not turn into an enum."""
    return Field(default=default, description=description, strict=False)


class Tls(_Model):
    """How TLS to the collector is originated (Istio's ClientTLSSettings)."""

    mode: TlsMode = _choice(
        TlsMode.SIMPLE,
        "SIMPLE (the default), MUTUAL with a client certificate, or ISTIO_MUTUAL inside the mesh.",
    )
    sni: DnsName | None = Field(
        default=None,
        description="The server name asked for. Default: the URL's host; needed where that is an IP address.",
    )
    ca_certificates: ProxyFile | None = Field(
        default=None,
        description="Path in the proxy's container of the CA bundle. Default: the system's roots.",
    )
    client_certificate: ProxyFile | None = Field(
        default=None, description="Path in the proxy's container of the client certificate (MUTUAL)."
    )
    private_key: ProxyFile | None = Field(
        default=None, description="Path in the proxy's container of the client certificate's key (MUTUAL)."
    )


class Limits(_Model):
    """What a proxy holds back for a slow or dead collector; beyond it Envoy drops spans."""

    max_connections: Whole = Field(
        default=8,
        ge=1,
        le=1024,
        description="Connections to the collector per proxy worker, 1 to 1024, default 8.",
    )
    max_pending_requests: Whole = Field(
        default=32,
        ge=1,
        le=65536,
        description="Export requests that wait for a connection, 1 to 65536, default 32.",
    )


class Egress(_Model):
    """The mesh's way to the collector."""

    create: bool = Field(
        default=True,
        description="Declare the entry (the default); false where another stack of the cluster does.",
    )
    name: ObjectNameInput = Field(
        default="allow-otel-collector-endpoint",
        description="Name of the ServiceEntry and DestinationRule, default allow-otel-collector-endpoint.",
    )
    namespace: NamespaceInput = Field(
        default="istio-system",
        description="Their namespace: the mesh's root namespace, default istio-system.",
    )
    location: Location | None = _choice(
        None, "mesh or external. Default: mesh for an http URL and for *.svc.cluster.local, else external."
    )
    export_to: list[ExportTo] | None = Field(
        default=None,
        min_length=1,
        description="Namespaces that see the entry: names, '.' or '*'. Default: the mesh's own default, all.",
    )
    tls: Tls | None = Field(
        default=None, description="TLS to the collector. Default: SIMPLE for https, none for http."
    )
    limits: Limits | None = Field(
        default=Limits(), description="Bounds of what waits for the collector; null declares none."
    )
    waypoints: bool = Field(
        default=False,
        description="Make the collector known to every waypoint too, as TrafficExtension on one needs it: by "
        "an EnvoyFilter that patches nothing. Default: false.",
    )


class Redaction(_Model):
    """What is masked in captured traffic."""

    mode: RedactionMode = _choice(RedactionMode.MASK, "mask secrets in the proxy (the default), or none.")
    headers: HeaderNames = Field(
        default=SECRET_HEADERS, description="Headers whose values are masked, in lower case."
    )
    fields: list[FieldWords] = Field(
        default=SECRET_FIELDS,
        max_length=256,
        description="Words that make a field, parameter or header secret; 'api key' is two in a row.",
    )


class Export(_Model):
    """How spans are sent."""

    timeout_ms: Whole = Field(
        default=5000,
        ge=1,
        le=60000,
        description="Timeout of an export call in milliseconds, 1 to 60000, default 5000.",
    )
    max_batch_spans: Whole = Field(
        default=32, ge=1, le=512, description="Spans per export call, 1 to 512, default 32."
    )
    max_batch_bytes: Whole = Field(
        default=262144,
        ge=1024,
        le=8388608,
        description="Bytes per export call, 1024 to 8388608, default 262144.",
    )
    max_delay_ms: Whole = Field(
        default=1000,
        ge=0,
        le=60000,
        description="How long a span may wait for others in milliseconds, 0 to 60000, default 1000.",
    )


class Capture(_Model):
    """What is captured of a request, and how it is sent."""

    sampling_ratio: float = Field(
        default=1.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of requests to capture, 0 to 1, default 1.",
    )
    max_body_bytes: Whole = Field(
        default=65536,
        ge=0,
        le=262144,
        description="Bytes kept of each body, request and response apart, 0 to 262144, default 65536.",
    )
    max_spans_per_second: Whole | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Spans per second and Lua VM, 1 to 1000000. Default: no limit.",
    )
    content_types: list[ContentType] = Field(
        default=TEXT_TYPES,
        max_length=256,
        description="Content types that are text: type/subtype, type/* or type/*+suffix.",
    )
    binary_bodies: BinaryBodies = _choice(
        BinaryBodies.OMIT, "omit the bytes of bodies that are not text (the default), or send them as bytes."
    )
    headers: HeaderNames = Field(
        default=GUIDE_HEADERS, description="Headers to record, in lower case. Default: the guide's allowlist."
    )
    redaction: Redaction = Field(
        default=Redaction(), description="What is masked before it leaves the proxy."
    )
    skip_paths: list[PathPattern] = Field(
        default=["/static*"],
        max_length=256,
        description="Paths not to capture; '*' at the end matches any rest.",
    )
    scheme: Scheme = _choice(Scheme.AUTO, "What spans say in http.scheme: auto (the default), http or https.")
    export: Export = Field(default=Export(), description="Timeout and batches of the calls to the collector.")
    scope_name: ScopeName = Field(
        default="astra-istio-servicemesh",
        description="Instrumentation scope of the spans, default astra-istio-servicemesh.",
    )
    compatibility: Compatibility = _choice(
        Compatibility.OTEL, "otel (the default), or guide: the exact payload of the manual procedure."
    )

    def overridden_by(self, other: "Capture") -> "Capture":
        """These settings with those that ``other`` was explicitly given, nested ones field by field."""
        return _overridden(self, other)


ModelT = TypeVar("ModelT", bound=_Model)


def _overridden(base: ModelT, other: ModelT) -> ModelT:
    return base.model_copy(
        update={
            name: _overridden(getattr(base, name), value) if isinstance(value, _Model) else value
            for name, value in other
            if name in other.model_fields_set
        }
    )


class TargetRef(_Model):
    """A gateway, or what a waypoint serves (Istio's PolicyTargetReference; the kind says the group)."""

    kind: TargetKind = Field(
        description="Gateway, GatewayClass (istio-waypoint, in the mesh's root namespace), Service or "
        "ServiceEntry.",
        strict=False,
    )
    name: ObjectNameInput = Field(
        description="Its name, in the workload's namespace unless it is a GatewayClass."
    )


class Workload(_Model):
    """The pods, or the gateway or waypoint, whose traffic is captured."""

    namespace: NamespaceInput = Field(
        description="The workload's namespace; the mesh's root namespace means all."
    )
    labels: Labels = Field(
        default={}, description="Labels that select the workload's pods. Default: every pod of the namespace."
    )
    target_refs: list[TargetRef] | None = Field(
        default=None,
        min_length=1,
        max_length=16,
        description="Instead of labels: a gateway, a waypoint, or services behind a waypoint; 1 to 16.",
    )
    directions: Annotated[
        list[Annotated[Direction, Field(strict=False)]],
        Rule("one or more of inbound, outbound, each once; or gateway alone", _is_set_of_directions),
    ] = Field(
        default=[Direction.INBOUND],
        description="inbound (the default) and outbound requests of a sidecar, inbound ones of a waypoint, "
        "or gateway for a gateway's.",
    )
    mechanism: Mechanism = _choice(
        Mechanism.ENVOY_FILTER, "EnvoyFilter (the default), or TrafficExtension on Istio 1.30 and later."
    )
    filter_name: ObjectNameInput | None = Field(
        default=None,
        description="Name of the object with the script. Default: astra-istio-mesh-filter-<workload>.",
    )
    capture: Capture = Field(default=Capture(), description="Capture settings that differ from the stack's.")

    def object_name(self, workload: str) -> Any:
        """The name of the object with a workload's script; an Output if it was given as one."""
        return f"{FILTER_NAME_PREFIX}{workload}" if self.filter_name is None else self.filter_name


class CollectorEgressSettings(_Model):
    """What ``CollectorEgress`` takes."""

    collector_url: CollectorUrl = Field(
        description="OTLP/HTTP endpoint of the Astra Traffic Collector; an empty path means /v1/traces."
    )
    egress: Egress = Field(default=Egress(), description="The mesh's way to the collector.")
    common_labels: PlainLabels = Field(
        default={},
        description="Labels on every object, such as istio.io/rev for one control plane of several.",
    )


class TrafficCaptureSettings(CollectorEgressSettings):
    """What ``TrafficCapture`` and a stack's configuration take."""

    sensor_id: SensorId = Field(
        description="Sensor ID from the Astra dashboard: a UUID, in plain text, never a secret."
    )
    workloads: Annotated[dict[WorkloadName, Workload], Field(min_length=1, strict=False)] = Field(
        description="The workloads to capture, by a name of your choice."
    )
    capture: Capture = Field(default=Capture(), description="Capture settings of all workloads.")

    def of_egress(self) -> CollectorEgressSettings:
        """The settings of the way to the collector."""
        return CollectorEgressSettings.model_construct(**self._to_collector())

    def of_workload(self, name: str) -> "WorkloadCaptureSettings":
        """The settings of one workload, the stack's merged in."""
        workload = self.workloads[name]
        given = {field: getattr(workload, field) for field in workload.model_fields_set}
        given["capture"] = self.capture.overridden_by(workload.capture)
        return WorkloadCaptureSettings.model_construct(
            **self._to_collector(), **given, sensor_id=self.sensor_id, workload=name
        )

    def _to_collector(self) -> dict[str, Any]:
        return {field: getattr(self, field) for field in CollectorEgressSettings.model_fields}


class WorkloadCaptureSettings(CollectorEgressSettings, Workload):
    """What ``WorkloadCapture`` takes."""

    sensor_id: SensorId = Field(
        description="Sensor ID from the Astra dashboard: a UUID, in plain text, never a secret."
    )
    workload: WorkloadName = Field(
        default="",
        description="The workload's name, which the filter is named after. Default: the component's name.",
    )
