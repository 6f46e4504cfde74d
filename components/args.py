"""The components' arguments, as their callers write them.

Written by `make docs` from components/settings/models.py, which checks them. Do not edit.
"""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import pulumi

from .settings.models import (
    BinaryBodies,
    Compatibility,
    Direction,
    Location,
    Mechanism,
    RedactionMode,
    Scheme,
    TargetKind,
    TlsMode,
)


class TlsArgs(TypedDict):
    """How TLS to the collector is originated (Istio's ClientTLSSettings)."""

    mode: NotRequired[TlsMode]
    """SIMPLE (the default), MUTUAL with a client certificate, or ISTIO_MUTUAL inside the mesh."""

    sni: NotRequired[str | None]
    """The server name asked for. Default: the URL's host; needed where that is an IP address."""

    ca_certificates: NotRequired[str | None]
    """Path in the proxy's container of the CA bundle. Default: the system's roots."""

    client_certificate: NotRequired[str | None]
    """Path in the proxy's container of the client certificate (MUTUAL)."""

    private_key: NotRequired[str | None]
    """Path in the proxy's container of the client certificate's key (MUTUAL)."""


class LimitsArgs(TypedDict):
    """What a proxy holds back for a slow or dead collector; beyond it Envoy drops spans."""

    max_connections: NotRequired[int]
    """Connections to the collector per proxy worker, 1 to 1024, default 8."""

    max_pending_requests: NotRequired[int]
    """Export requests that wait for a connection, 1 to 65536, default 32."""


class EgressArgs(TypedDict):
    """The mesh's way to the collector."""

    create: NotRequired[bool]
    """Declare the entry (the default); false where another stack of the cluster does."""

    name: NotRequired[pulumi.Input[str]]
    """Name of the ServiceEntry and DestinationRule, default allow-otel-collector-endpoint."""

    namespace: NotRequired[pulumi.Input[str]]
    """Their namespace: the mesh's root namespace, default istio-system."""

    location: NotRequired[Location | None]
    """mesh or external. Default: mesh for an http URL and for *.svc.cluster.local, else external."""

    export_to: NotRequired[list[str] | None]
    """Namespaces that see the entry: names, '.' or '*'. Default: the mesh's own default, all."""

    tls: NotRequired[TlsArgs | None]
    """TLS to the collector. Default: SIMPLE for https, none for http."""

    limits: NotRequired[LimitsArgs | None]
    """Bounds of what waits for the collector; null declares none."""

    waypoints: NotRequired[bool]
    """Make the collector known to every waypoint too, as TrafficExtension on one needs it: by an EnvoyFilter
    that patches nothing. Default: false."""


class RedactionArgs(TypedDict):
    """What is masked in captured traffic."""

    mode: NotRequired[RedactionMode]
    """mask secrets in the proxy (the default), or none."""

    headers: NotRequired[list[str]]
    """Headers whose values are masked, in lower case."""

    fields: NotRequired[list[str]]
    """Words that make a field, parameter or header secret; 'api key' is two in a row."""


class ExportArgs(TypedDict):
    """How spans are sent."""

    timeout_ms: NotRequired[int]
    """Timeout of an export call in milliseconds, 1 to 60000, default 5000."""

    max_batch_spans: NotRequired[int]
    """Spans per export call, 1 to 512, default 32."""

    max_batch_bytes: NotRequired[int]
    """Bytes per export call, 1024 to 8388608, default 262144."""

    max_delay_ms: NotRequired[int]
    """How long a span may wait for others in milliseconds, 0 to 60000, default 1000."""


class CaptureArgs(TypedDict):
    """What is captured of a request, and how it is sent."""

    sampling_ratio: NotRequired[float]
    """Share of requests to capture, 0 to 1, default 1."""

    max_body_bytes: NotRequired[int]
    """Bytes kept of each body, request and response apart, 0 to 262144, default 65536."""

    max_spans_per_second: NotRequired[int | None]
    """Spans per second and Lua VM, 1 to 1000000. Default: no limit."""

    content_types: NotRequired[list[str]]
    """Content types that are text: type/subtype, type/* or type/*+suffix."""

    binary_bodies: NotRequired[BinaryBodies]
    """omit the bytes of bodies that are not text (the default), or send them as bytes."""

    headers: NotRequired[list[str]]
    """Headers to record, in lower case. Default: the guide's allowlist."""

    redaction: NotRequired[RedactionArgs]
    """What is masked before it leaves the proxy."""

    skip_paths: NotRequired[list[str]]
    """Paths not to capture; '*' at the end matches any rest."""

    scheme: NotRequired[Scheme]
    """What spans say in http.scheme: auto (the default), http or https."""

    export: NotRequired[ExportArgs]
    """Timeout and batches of the calls to the collector."""

    scope_name: NotRequired[str]
    """Instrumentation scope of the spans, default astra-istio-servicemesh."""

    compatibility: NotRequired[Compatibility]
    """otel (the default), or guide: the exact payload of the manual procedure."""


class TargetRefArgs(TypedDict):
    """A gateway, or what a waypoint serves (Istio's PolicyTargetReference; the kind says the group)."""

    kind: TargetKind
    """Gateway, GatewayClass (istio-waypoint, in the mesh's root namespace), Service or ServiceEntry."""

    name: pulumi.Input[str]
    """Its name, in the workload's namespace unless it is a GatewayClass."""


class WorkloadArgs(TypedDict):
    """The pods, or the gateway or waypoint, whose traffic is captured."""

    namespace: pulumi.Input[str]
    """The workload's namespace; the mesh's root namespace means all."""

    labels: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Labels that select the workload's pods. Default: every pod of the namespace."""

    target_refs: NotRequired[list[TargetRefArgs] | None]
    """Instead of labels: a gateway, a waypoint, or services behind a waypoint; 1 to 16."""

    directions: NotRequired[list[Direction]]
    """inbound (the default) and outbound requests of a sidecar, inbound ones of a waypoint, or gateway for a
    gateway's."""

    mechanism: NotRequired[Mechanism]
    """EnvoyFilter (the default), or TrafficExtension on Istio 1.30 and later."""

    filter_name: NotRequired[pulumi.Input[str] | None]
    """Name of the object with the script. Default: astra-istio-mesh-filter-<workload>."""

    capture: NotRequired[CaptureArgs]
    """Capture settings that differ from the stack's."""


class CollectorEgressArgs(TypedDict):
    """Arguments of ``CollectorEgress``."""

    collector_url: str
    """OTLP/HTTP endpoint of the Astra Traffic Collector; an empty path means /v1/traces."""

    egress: NotRequired[EgressArgs]
    """The mesh's way to the collector."""

    common_labels: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Labels on every object, such as istio.io/rev for one control plane of several."""


class WorkloadCaptureArgs(TypedDict):
    """Arguments of ``WorkloadCapture``."""

    namespace: pulumi.Input[str]
    """The workload's namespace; the mesh's root namespace means all."""

    collector_url: str
    """OTLP/HTTP endpoint of the Astra Traffic Collector; an empty path means /v1/traces."""

    sensor_id: str
    """Sensor ID from the Astra dashboard: a UUID, in plain text, never a secret."""

    labels: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Labels that select the workload's pods. Default: every pod of the namespace."""

    target_refs: NotRequired[list[TargetRefArgs] | None]
    """Instead of labels: a gateway, a waypoint, or services behind a waypoint; 1 to 16."""

    directions: NotRequired[list[Direction]]
    """inbound (the default) and outbound requests of a sidecar, inbound ones of a waypoint, or gateway for a
    gateway's."""

    mechanism: NotRequired[Mechanism]
    """EnvoyFilter (the default), or TrafficExtension on Istio 1.30 and later."""

    filter_name: NotRequired[pulumi.Input[str] | None]
    """Name of the object with the script. Default: astra-istio-mesh-filter-<workload>."""

    capture: NotRequired[CaptureArgs]
    """Capture settings that differ from the stack's."""

    egress: NotRequired[EgressArgs]
    """The mesh's way to the collector."""

    common_labels: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Labels on every object, such as istio.io/rev for one control plane of several."""

    workload: NotRequired[str]
    """The workload's name, which the filter is named after. Default: the component's name."""


class TrafficCaptureArgs(TypedDict):
    """Arguments of ``TrafficCapture``."""

    collector_url: str
    """OTLP/HTTP endpoint of the Astra Traffic Collector; an empty path means /v1/traces."""

    sensor_id: str
    """Sensor ID from the Astra dashboard: a UUID, in plain text, never a secret."""

    workloads: Mapping[str, WorkloadArgs]
    """The workloads to capture, by a name of your choice."""

    egress: NotRequired[EgressArgs]
    """The mesh's way to the collector."""

    common_labels: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Labels on every object, such as istio.io/rev for one control plane of several."""

    capture: NotRequired[CaptureArgs]
    """Capture settings of all workloads."""
