"""Every setting of the package, its type, its bounds and its default: the one source of them.

The components' TypedDicts (``args.py``) and the reference of settings are written from these models. A test
holds ``Pulumi.yaml``'s schema against them.

A setting has two spellings, and a place accepts one of them: camelCase in stack config, snake_case in Python.

Names, namespaces and labels may be Outputs; everything else decides what is declared, or is part of the
script, and has to be plain and known at preview.
"""

from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from .defaults import CLUSTER_DOMAIN, GUIDE_HEADERS, KEPT_FIELDS, SECRET_FIELDS, SECRET_HEADERS, TEXT_TYPES
from .value_types import (
    FILTER_NAME_PREFIX,
    CollectorUrl,
    ContentType,
    DnsName,
    ExportTo,
    FieldWords,
    HeaderNames,
    HostPattern,
    Labels,
    Method,
    NamespaceInput,
    Number,
    ObjectNameInput,
    PathPattern,
    PlainLabels,
    ProxyFile,
    Rule,
    ScopeName,
    SensorId,
    Whole,
    WorkloadName,
)


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


def _is_set_of_directions(directions: list[Direction]) -> bool:
    return 0 < len(directions) == len(set(directions)) and (
        Direction.GATEWAY not in directions or len(directions) == 1
    )


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

    @property
    def is_proxy(self) -> bool:
        """Whether it is a gateway or waypoint, and not a service behind one."""
        return self in {TargetKind.GATEWAY, TargetKind.GATEWAY_CLASS}


class BinaryBodies(StrEnum):
    """What becomes of a body that is not text."""

    OMIT = "omit"
    BYTES = "bytes"


class CompressedBodies(StrEnum):
    """What becomes of a body in a content-encoding that the filter can undo."""

    INFLATE = "inflate"
    OMIT = "omit"


class RedactionMode(StrEnum):
    """Whether secrets are masked before they leave the proxy."""

    MASK = "mask"
    NONE = "none"


class SecretValue(StrEnum):
    """A kind of secret that shows by its own form, under any name."""

    JWT = "jwt"
    PEM = "pem"
    CARD = "card"
    KEY = "key"


class Scheme(StrEnum):
    """What a span says in ``http.scheme``."""

    AUTO = "auto"
    HTTP = "http"
    HTTPS = "https"


class Compatibility(StrEnum):
    """The form of a span."""

    OTEL = "otel"
    GUIDE = "guide"


class Encoding(StrEnum):
    """An encoding of OTLP/HTTP."""

    PROTOBUF = "protobuf"
    JSON = "json"


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
    """TLS from the proxies to the collector (Istio's ClientTLSSettings)."""

    mode: TlsMode = _choice(
        TlsMode.SIMPLE,
        "SIMPLE (the default): the proxy checks the collector's certificate. MUTUAL: the "
        "proxy also shows a client certificate. ISTIO_MUTUAL: mTLS with the mesh's own "
        "certificates, for a collector in the mesh.",
    )
    sni: DnsName | None = Field(
        default=None,
        description="Server name that the proxy asks for (SNI), and that the collector's certificate has "
        "to be valid for. Default: the URL's host. Required where the URL has an IP address.",
    )
    ca_certificates: ProxyFile | None = Field(
        default=None,
        description="CA certificates that the proxy trusts: the path of a file in the proxy's container. "
        "Default: the system's root certificates.",
    )
    client_certificate: ProxyFile | None = Field(
        default=None,
        description="Client certificate for mode MUTUAL: the path of a file in the proxy's container.",
    )
    private_key: ProxyFile | None = Field(
        default=None,
        description="Private key of the client certificate, for mode MUTUAL: the path of a file in the "
        "proxy's container.",
    )


class Limits(_Model):
    """What each proxy may hold for a slow collector. Envoy drops further exports."""

    max_connections: Whole = Field(
        default=8,
        ge=1,
        le=1024,
        description="Connections of one proxy to the collector, over all of its worker threads, 1 to "
        "1024, default 8.",
    )
    max_pending_requests: Whole = Field(
        default=32,
        ge=1,
        le=65536,
        description="Exports of one proxy that wait for a connection, over all of its worker threads, 1 "
        "to 65536, default 32.",
    )


class Egress(_Model):
    """The way from the proxies to the collector."""

    create: bool = Field(
        default=True,
        description="Whether this stack declares the entry: the ServiceEntry and the DestinationRule. "
        "false: another stack of the cluster declares it. Default: true.",
    )
    name: ObjectNameInput = Field(
        default="allow-otel-collector-endpoint",
        description="Name of the ServiceEntry and the DestinationRule. Default: "
        "allow-otel-collector-endpoint.",
    )
    namespace: NamespaceInput = Field(
        default="istio-system",
        description="Namespace of the ServiceEntry and the DestinationRule: the mesh's root namespace. "
        "Default: istio-system.",
    )
    location: Location | None = _choice(
        None,
        "Where the collector is: mesh or external. Default: mesh for an http URL and for "
        "Service names of the cluster (clusterDomain), else external.",
    )
    cluster_domain: DnsName = Field(
        default=CLUSTER_DOMAIN,
        description="Domain of the Kubernetes cluster, with which the full names of its Services end: "
        "SERVICE.NAMESPACE.svc.cluster.local. Default: cluster.local.",
    )
    export_to: list[ExportTo] | None = Field(
        default=None,
        min_length=1,
        description="Namespaces that see the entry: names, '.' for the entry's own namespace, or '*' for "
        "all. Default: the mesh's own default, which is all. Required with tls.mode MUTUAL.",
    )
    tls: Tls | None = Field(
        default=None, description="TLS to the collector. Default: SIMPLE for https, none for http."
    )
    limits: Limits | None = Field(
        default=Limits(), description="What each proxy may hold for a slow collector. null: no limits."
    )
    waypoints: bool = Field(
        default=False,
        description="Whether every waypoint gets the cluster of the collector too, as a TrafficExtension "
        "at a waypoint needs it. true declares an EnvoyFilter that has no patch and asks for "
        "this cluster. Default: false.",
    )


class Redaction(_Model):
    """What is masked in captured traffic."""

    mode: RedactionMode = _choice(
        RedactionMode.MASK,
        "mask (the default): secrets are replaced by *** before anything leaves the proxy. "
        "none: they are sent as they are.",
    )
    headers: HeaderNames = Field(
        default=SECRET_HEADERS, description="Names of headers whose values are masked, in lower case."
    )
    fields: list[FieldWords] = Field(
        default=SECRET_FIELDS,
        max_length=256,
        description="Secret words. A value is masked where the name of its field, parameter or header "
        "contains one of them. 'api key' stands for these two words in a row, as in apiKey or "
        "x-api-key. A list here replaces the default list.",
    )
    extra_headers: HeaderNames = Field(
        default=[],
        description="Names of more headers whose values are masked, besides redaction.headers. The same "
        "value is shown where another attribute has it: the host in http.host, and the client's address in "
        "net.sock.peer.addr. Default: none.",
    )
    extra_fields: list[FieldWords] = Field(
        default=[],
        max_length=256,
        description="More secret words, besides redaction.fields. Most values that are kept under a default "
        "word, such as counts, are masked under these. Default: none.",
    )
    keep_fields: list[FieldWords] = Field(
        default=KEPT_FIELDS,
        max_length=256,
        description="Words that make no name secret where they stand together, although one of them is a "
        "secret word: 'page token' keeps nextPageToken. A list here replaces the default list: to add a "
        "word, repeat the default ones.",
    )
    values: list[Annotated[SecretValue, Field(strict=False)]] = Field(
        default=list(SecretValue),
        max_length=len(SecretValue),
        description="Secrets that are masked under any name, as their value shows them. jwt: JSON Web "
        "Tokens. pem: private keys. card: payment card numbers. key: keys with a well-known prefix, such as "
        "AKIA or ghp_. Default: all.",
    )


class Export(_Model):
    """How spans are sent to the collector."""

    encoding: Encoding | None = _choice(
        None,
        "Encoding of the exports: protobuf or json, the two encodings of OTLP/HTTP. Default: protobuf. With "
        "compatibility: guide it is json, and protobuf is refused.",
    )
    timeout_ms: Whole = Field(
        default=5000,
        ge=1,
        le=60000,
        description="How long an export may take before Envoy gives it up, in milliseconds, 1 to 60000, "
        "default 5000.",
    )
    max_batch_spans: Whole = Field(
        default=32, ge=1, le=512, description="Most spans in one export, 1 to 512, default 32."
    )
    max_batch_bytes: Whole = Field(
        default=393216,
        ge=1024,
        le=8388608,
        description="Most bytes in one export, 1024 to 8388608, default 393216. That holds two exchanges "
        "whose bodies are as large as the default maxBodyBytes allows. A single span that is larger is sent "
        "alone.",
    )
    max_delay_ms: Whole = Field(
        default=1000,
        ge=0,
        le=60000,
        description="How long a span may wait for other spans, in milliseconds, 0 to 60000, default 1000.",
    )


class Capture(_Model):
    """What is captured of a request, and how it is sent."""

    enabled: bool = Field(
        default=True,
        description="Whether anything is captured. false: the objects and filters stay, and capture nothing. "
        "Default: true.",
    )
    sampling_ratio: Number = Field(
        default=1.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of the requests that are captured, 0 to 1, default 1.",
    )
    max_body_bytes: Whole = Field(
        default=65536,
        ge=0,
        le=262144,
        description="Bytes that are kept of the request's body, and of the response's body, 0 to 262144 "
        "each, default 65536.",
    )
    max_header_value_bytes: Whole = Field(
        default=4096,
        ge=64,
        le=65536,
        description="Bytes that are kept of one header's value, 64 to 65536, default 4096.",
    )
    max_headers_bytes: Whole = Field(
        default=32768,
        ge=1024,
        le=65536,
        description="Bytes that are kept of all header values of one message, 1024 to 65536, default 32768.",
    )
    max_path_bytes: Whole = Field(
        default=8192,
        ge=64,
        le=65536,
        description="Bytes that are kept of the path with its query, 64 to 65536, default 8192.",
    )
    max_spans_per_second: Whole | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Most spans per second from one Lua VM, 1 to 1000000. A proxy has a VM for each "
        "filter chain and worker thread. Default: no limit.",
    )
    max_spans_per_endpoint: Whole | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Most spans per minute of one endpoint from one Lua VM, 1 to 1000000. An endpoint is a "
        "method, a host and a path, in which '*' stands for what looks like an id. Default: no limit.",
    )
    content_types: list[ContentType] = Field(
        default=TEXT_TYPES,
        max_length=256,
        description="Content types whose bodies are text, whatever their bytes: type/subtype, type/* or "
        "type/*+suffix.",
    )
    binary_bodies: BinaryBodies = _choice(
        BinaryBodies.OMIT,
        "What is sent of a body that is not text. omit (the default): its size only. bytes: the body itself.",
    )
    compressed_bodies: CompressedBodies = _choice(
        CompressedBodies.INFLATE,
        "What is sent of a body that is compressed with gzip or deflate. inflate (the default): what it "
        "contains, up to maxBodyBytes, like any other body. omit: its size only, and with "
        "binaryBodies: bytes its bytes as they came.",
    )
    headers: HeaderNames = Field(
        default=GUIDE_HEADERS,
        description="Names of headers that are recorded, in lower case. Default: the list of the setup "
        "guide. A list here replaces it.",
    )
    extra_headers: HeaderNames = Field(
        default=[], description="Names of more headers that are recorded, besides headers. Default: none."
    )
    redaction: Redaction = Field(
        default=Redaction(), description="What is masked before it leaves the proxy."
    )
    hosts: list[HostPattern] = Field(
        default=["*"],
        min_length=1,
        max_length=256,
        description="Hosts whose requests are captured, by the Host header without its port and without a "
        "dot at its end: a name, or '*.' and a domain for all names below it. An IPv6 address cannot be "
        "named. A client can write this header. Default: '*', which is all.",
    )
    skip_methods: list[Method] = Field(
        default=[],
        max_length=64,
        description="Methods whose requests are not captured, such as OPTIONS. Default: none.",
    )
    skip_paths: list[PathPattern] = Field(
        default=["/static*"],
        max_length=256,
        description="Paths whose requests are not captured. '*' at the end matches any rest.",
    )
    skip_content_types: list[ContentType] = Field(
        default=[],
        max_length=256,
        description="Content types of responses whose exchanges are not captured: type/subtype, type/* or "
        "type/*+suffix. Default: none.",
    )
    scheme: Scheme = _choice(
        Scheme.AUTO,
        "Value of http.scheme in spans: http, https, or auto (the default), which takes it from the request.",
    )
    trusted_hops: Whole | None = Field(
        default=None,
        ge=0,
        le=32,
        description="How many proxies in front of this one are trusted, as Envoy's xff_num_trusted_hops: "
        "net.sock.peer.addr is the entry of X-Forwarded-For that has so many entries to its right, 0 to 32. "
        "Default: the leftmost entry, as in the setup guide, which a client can write.",
    )
    export: Export = Field(default=Export(), description="How spans are sent: timeout and batches.")
    scope_name: ScopeName = Field(
        default="astra-istio-servicemesh",
        description="Name of the instrumentation scope in spans. Default: astra-istio-servicemesh.",
    )
    compatibility: Compatibility = _choice(
        Compatibility.OTEL,
        "Form of the spans: otel (the default), or guide, which is exactly what the setup "
        "guide's script sends.",
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
    """A gateway, a waypoint, or a service behind a waypoint (Istio's PolicyTargetReference)."""

    kind: TargetKind = Field(
        description="Kind of the target: Gateway, Service or ServiceEntry; or GatewayClass, which stands "
        "for all waypoints (istio-waypoint, in the mesh's root namespace).",
        strict=False,
    )
    name: ObjectNameInput = Field(
        description="Name of the target. It is in the workload's namespace, unless it is a GatewayClass."
    )


class Workload(_Model):
    """The pods, the gateway or the waypoint whose traffic is captured."""

    namespace: NamespaceInput = Field(
        description="Namespace of the workload. The mesh's root namespace stands for all namespaces."
    )
    labels: Labels = Field(
        default={}, description="Labels that select the workload's pods. Default: all pods of the namespace."
    )
    target_refs: list[TargetRef] | None = Field(
        default=None,
        min_length=1,
        max_length=16,
        description="Instead of labels: a gateway, a waypoint, or services behind a waypoint; 1 to 16 of "
        "them.",
    )
    directions: Annotated[
        list[Annotated[Direction, Field(strict=False)]],
        Rule("a list: inbound, outbound or both, each once; or gateway alone", _is_set_of_directions),
    ] = Field(
        default=[Direction.INBOUND],
        description="Which requests are captured. inbound (the default): those that a sidecar or waypoint "
        "receives. outbound: those that a sidecar sends. gateway: those that pass a gateway.",
    )
    mechanism: Mechanism = _choice(
        Mechanism.ENVOY_FILTER,
        "Kind of the object that holds the script: EnvoyFilter (the default), or "
        "TrafficExtension on Istio 1.30 and later.",
    )
    filter_name: ObjectNameInput | None = Field(
        default=None,
        description="Name of the EnvoyFilter or TrafficExtension. Default: astra-istio-mesh-filter- and "
        "the workload's name. If you set it and then rename the workload, change it too.",
    )
    capture: Capture = Field(
        default=Capture(), description="Capture settings of this workload that differ from the stack's."
    )

    @property
    def is_at_waypoint(self) -> bool:
        """Whether a waypoint's requests are captured."""
        return self.target_refs is not None and Direction.INBOUND in self.directions

    def object_name(self, workload: str) -> Any:
        """The name of the object with a workload's script; an Output if it was given as one."""
        return f"{FILTER_NAME_PREFIX}{workload}" if self.filter_name is None else self.filter_name


class CollectorEgressSettings(_Model):
    """What ``CollectorEgress`` takes."""

    collector_url: CollectorUrl = Field(
        description="OTLP/HTTP endpoint of the Astra Traffic Collector; an empty path means /v1/traces."
    )
    egress: Egress = Field(default=Egress(), description="The way from the proxies to the collector.")
    common_labels: PlainLabels = Field(
        default={},
        description="Labels on every object. For example, istio.io/rev names the control plane that reads "
        "the objects, by its revision; a revision tag matches none. The package's own label, "
        "app.kubernetes.io/part-of, cannot be replaced.",
    )


class TrafficCaptureSettings(CollectorEgressSettings):
    """What ``TrafficCapture`` and a stack's configuration take."""

    sensor_id: SensorId = Field(
        description="The sensor's UUID, from the Astra dashboard. It is plain text; a secret is refused."
    )
    workloads: Annotated[dict[WorkloadName, Workload], Field(min_length=1, strict=False)] = Field(
        description="The workloads whose traffic is captured, each under a name of your choice."
    )
    capture: Capture = Field(default=Capture(), description="Capture settings for all workloads.")

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
        description="The sensor's UUID, from the Astra dashboard. It is plain text; a secret is refused."
    )
    workload: WorkloadName = Field(
        default="",
        description="The workload's name, with which the filter's name ends. Default: the component's name.",
    )
