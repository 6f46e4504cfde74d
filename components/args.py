"""The components' arguments, as their callers write them.

Written by `make docs` from components/settings/models.py, which checks them. Do not edit.
"""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import pulumi

from .settings.models import (
    BinaryBodies,
    Compatibility,
    CompressedBodies,
    Direction,
    Encoding,
    Location,
    Mechanism,
    RedactionMode,
    Scheme,
    SecretValue,
    TargetKind,
    TlsMode,
)


class TlsArgs(TypedDict):
    """TLS from the proxies to the collector (Istio's ClientTLSSettings)."""

    mode: NotRequired[TlsMode]
    """SIMPLE (the default): the proxy checks the collector's certificate. MUTUAL: the proxy also shows a
    client certificate. ISTIO_MUTUAL: mTLS with the mesh's own certificates, for a collector in the mesh."""
    sni: NotRequired[str | None]
    """Server name that the proxy asks for (SNI), and that the collector's certificate has to be valid for.
    Default: the URL's host. Required where the URL has an IP address."""
    ca_certificates: NotRequired[str | None]
    """CA certificates that the proxy trusts: the path of a file in the proxy's container. Default: the
    system's root certificates."""
    client_certificate: NotRequired[str | None]
    """Client certificate for mode MUTUAL: the path of a file in the proxy's container."""
    private_key: NotRequired[str | None]
    """Private key of the client certificate, for mode MUTUAL: the path of a file in the proxy's container."""


class LimitsArgs(TypedDict):
    """What each proxy may hold for a slow collector. Envoy drops further exports."""

    max_connections: NotRequired[int]
    """Connections of one proxy to the collector, over all of its worker threads, 1 to 1024, default 8."""
    max_pending_requests: NotRequired[int]
    """Exports of one proxy that wait for a connection, over all of its worker threads, 1 to 65536, default
    32."""


class EgressArgs(TypedDict):
    """The way from the proxies to the collector."""

    create: NotRequired[bool]
    """Whether this stack declares the entry: the ServiceEntry and the DestinationRule. false: another stack
    of the cluster declares it. Default: true."""
    name: NotRequired[pulumi.Input[str]]
    """Name of the ServiceEntry and the DestinationRule. Default: allow-otel-collector-endpoint."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of the ServiceEntry and the DestinationRule: the mesh's root namespace. Default:
    istio-system."""
    location: NotRequired[Location | None]
    """Where the collector is: mesh or external. Default: mesh for an http URL and for Service names of the
    cluster (clusterDomain), else external."""
    cluster_domain: NotRequired[str]
    """Domain of the Kubernetes cluster, with which the full names of its Services end:
    SERVICE.NAMESPACE.svc.cluster.local. Default: cluster.local."""
    export_to: NotRequired[list[str] | None]
    """Namespaces that see the entry: names, '.' for the entry's own namespace, or '*' for all. Default: the
    mesh's own default, which is all. Required with tls.mode MUTUAL."""
    tls: NotRequired[TlsArgs | None]
    """TLS to the collector. Default: SIMPLE for https, none for http."""
    limits: NotRequired[LimitsArgs | None]
    """What each proxy may hold for a slow collector. null: no limits."""
    waypoints: NotRequired[bool]
    """Whether every waypoint gets the cluster of the collector too, as a TrafficExtension at a waypoint needs
    it. true declares an EnvoyFilter that has no patch and asks for this cluster. Default: false."""


class RedactionArgs(TypedDict):
    """What is masked in captured traffic."""

    mode: NotRequired[RedactionMode]
    """mask (the default): secrets are replaced by *** before anything leaves the proxy. none: they are sent
    as they are."""
    headers: NotRequired[list[str]]
    """Names of headers whose values are masked, in lower case."""
    fields: NotRequired[list[str]]
    """Secret words. A value is masked where the name of its field, parameter or header contains one of them.
    'api key' stands for these two words in a row, as in apiKey or x-api-key. A list here replaces the default
    list."""
    extra_headers: NotRequired[list[str]]
    """Names of more headers whose values are masked, besides redaction.headers. The same value is shown where
    another attribute has it: the host in http.host, and the client's address in net.sock.peer.addr. Default:
    none."""
    extra_fields: NotRequired[list[str]]
    """More secret words, besides redaction.fields. Most values that are kept under a default word, such as
    counts, are masked under these. Default: none."""
    keep_fields: NotRequired[list[str]]
    """Words that make no name secret where they stand together, although one of them is a secret word: 'page
    token' keeps nextPageToken. A list here replaces the default list: to add a word, repeat the default
    ones."""
    values: NotRequired[list[SecretValue]]
    """Secrets that are masked under any name, as their value shows them. jwt: JSON Web Tokens. pem: private
    keys. card: payment card numbers. key: keys with a well-known prefix, such as AKIA or ghp_. Default:
    all."""


class ExportArgs(TypedDict):
    """How spans are sent to the collector."""

    encoding: NotRequired[Encoding | None]
    """Encoding of the exports: protobuf or json, the two encodings of OTLP/HTTP. Default: protobuf. With
    compatibility: guide it is json, and protobuf is refused."""
    timeout_ms: NotRequired[int]
    """How long an export may take before Envoy gives it up, in milliseconds, 1 to 60000, default 5000."""
    max_batch_spans: NotRequired[int]
    """Most spans in one export, 1 to 512, default 32."""
    max_batch_bytes: NotRequired[int]
    """Most bytes in one export, 1024 to 8388608, default 393216. That holds two exchanges whose bodies are as
    large as the default maxBodyBytes allows. A single span that is larger is sent alone."""
    max_delay_ms: NotRequired[int]
    """How long a span may wait for other spans, in milliseconds, 0 to 60000, default 1000."""


class CaptureArgs(TypedDict):
    """What is captured of a request, and how it is sent."""

    enabled: NotRequired[bool]
    """Whether anything is captured. false: the objects and filters stay, and capture nothing. Default:
    true."""
    sampling_ratio: NotRequired[float]
    """Share of the requests that are captured, 0 to 1, default 1."""
    max_body_bytes: NotRequired[int]
    """Bytes that are kept of the request's body, and of the response's body, 0 to 262144 each, default
    65536."""
    max_header_value_bytes: NotRequired[int]
    """Bytes that are kept of one header's value, 64 to 65536, default 4096."""
    max_headers_bytes: NotRequired[int]
    """Bytes that are kept of all header values of one message, 1024 to 65536, default 32768."""
    max_path_bytes: NotRequired[int]
    """Bytes that are kept of the path with its query, 64 to 65536, default 8192."""
    max_spans_per_second: NotRequired[int | None]
    """Most spans per second from one Lua VM, 1 to 1000000. A proxy has a VM for each filter chain and worker
    thread. Default: no limit."""
    max_spans_per_endpoint: NotRequired[int | None]
    """Most spans per minute of one endpoint from one Lua VM, 1 to 1000000. An endpoint is a method, a host
    and a path, in which '*' stands for what looks like an id. Default: no limit."""
    content_types: NotRequired[list[str]]
    """Content types whose bodies are text, whatever their bytes: type/subtype, type/* or type/*+suffix."""
    binary_bodies: NotRequired[BinaryBodies]
    """What is sent of a body that is not text. omit (the default): its size only. bytes: the body itself."""
    compressed_bodies: NotRequired[CompressedBodies]
    """What is sent of a body that is compressed with gzip or deflate. inflate (the default): what it
    contains, up to maxBodyBytes, like any other body. omit: its size only, and with binaryBodies: bytes its
    bytes as they came."""
    headers: NotRequired[list[str]]
    """Names of headers that are recorded, in lower case. Default: the list of the setup guide. A list here
    replaces it."""
    extra_headers: NotRequired[list[str]]
    """Names of more headers that are recorded, besides headers. Default: none."""
    redaction: NotRequired[RedactionArgs]
    """What is masked before it leaves the proxy."""
    hosts: NotRequired[list[str]]
    """Hosts whose requests are captured, by the Host header without its port and without a dot at its end: a
    name, or '*.' and a domain for all names below it. An IPv6 address cannot be named. A client can write
    this header. Default: '*', which is all."""
    skip_methods: NotRequired[list[str]]
    """Methods whose requests are not captured, such as OPTIONS. Default: none."""
    skip_paths: NotRequired[list[str]]
    """Paths whose requests are not captured. '*' at the end matches any rest."""
    skip_content_types: NotRequired[list[str]]
    """Content types of responses whose exchanges are not captured: type/subtype, type/* or type/*+suffix.
    Default: none."""
    scheme: NotRequired[Scheme]
    """Value of http.scheme in spans: http, https, or auto (the default), which takes it from the request."""
    trusted_hops: NotRequired[int | None]
    """How many proxies in front of this one are trusted, as Envoy's xff_num_trusted_hops: net.sock.peer.addr
    is the entry of X-Forwarded-For that has so many entries to its right, 0 to 32. Default: the leftmost
    entry, as in the setup guide, which a client can write."""
    export: NotRequired[ExportArgs]
    """How spans are sent: timeout and batches."""
    scope_name: NotRequired[str]
    """Name of the instrumentation scope in spans. Default: astra-istio-servicemesh."""
    compatibility: NotRequired[Compatibility]
    """Form of the spans: otel (the default), or guide, which is exactly what the setup guide's script
    sends."""


class TargetRefArgs(TypedDict):
    """A gateway, a waypoint, or a service behind a waypoint (Istio's PolicyTargetReference)."""

    kind: TargetKind
    """Kind of the target: Gateway, Service or ServiceEntry; or GatewayClass, which stands for all waypoints
    (istio-waypoint, in the mesh's root namespace)."""
    name: pulumi.Input[str]
    """Name of the target. It is in the workload's namespace, unless it is a GatewayClass."""


class WorkloadArgs(TypedDict):
    """The pods, the gateway or the waypoint whose traffic is captured."""

    namespace: pulumi.Input[str]
    """Namespace of the workload. The mesh's root namespace stands for all namespaces."""
    labels: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Labels that select the workload's pods. Default: all pods of the namespace."""
    target_refs: NotRequired[list[TargetRefArgs] | None]
    """Instead of labels: a gateway, a waypoint, or services behind a waypoint; 1 to 16 of them."""
    directions: NotRequired[list[Direction]]
    """Which requests are captured. inbound (the default): those that a sidecar or waypoint receives.
    outbound: those that a sidecar sends. gateway: those that pass a gateway."""
    mechanism: NotRequired[Mechanism]
    """Kind of the object that holds the script: EnvoyFilter (the default), or TrafficExtension on Istio 1.30
    and later."""
    filter_name: NotRequired[pulumi.Input[str] | None]
    """Name of the EnvoyFilter or TrafficExtension. Default: astra-istio-mesh-filter- and the workload's name.
    If you set it and then rename the workload, change it too."""
    capture: NotRequired[CaptureArgs]
    """Capture settings of this workload that differ from the stack's."""


class CollectorEgressArgs(TypedDict):
    """Arguments of ``CollectorEgress``."""

    collector_url: str
    """OTLP/HTTP endpoint of the Astra Traffic Collector; an empty path means /v1/traces."""
    egress: NotRequired[EgressArgs]
    """The way from the proxies to the collector."""
    common_labels: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Labels on every object. For example, istio.io/rev names the control plane that reads the objects, by
    its revision; a revision tag matches none. The package's own label, app.kubernetes.io/part-of, cannot be
    replaced."""


class WorkloadCaptureArgs(TypedDict):
    """Arguments of ``WorkloadCapture``."""

    namespace: pulumi.Input[str]
    """Namespace of the workload. The mesh's root namespace stands for all namespaces."""
    collector_url: str
    """OTLP/HTTP endpoint of the Astra Traffic Collector; an empty path means /v1/traces."""
    sensor_id: str
    """The sensor's UUID, from the Astra dashboard. It is plain text; a secret is refused."""
    labels: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Labels that select the workload's pods. Default: all pods of the namespace."""
    target_refs: NotRequired[list[TargetRefArgs] | None]
    """Instead of labels: a gateway, a waypoint, or services behind a waypoint; 1 to 16 of them."""
    directions: NotRequired[list[Direction]]
    """Which requests are captured. inbound (the default): those that a sidecar or waypoint receives.
    outbound: those that a sidecar sends. gateway: those that pass a gateway."""
    mechanism: NotRequired[Mechanism]
    """Kind of the object that holds the script: EnvoyFilter (the default), or TrafficExtension on Istio 1.30
    and later."""
    filter_name: NotRequired[pulumi.Input[str] | None]
    """Name of the EnvoyFilter or TrafficExtension. Default: astra-istio-mesh-filter- and the workload's name.
    If you set it and then rename the workload, change it too."""
    capture: NotRequired[CaptureArgs]
    """Capture settings of this workload that differ from the stack's."""
    egress: NotRequired[EgressArgs]
    """The way from the proxies to the collector."""
    common_labels: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Labels on every object. For example, istio.io/rev names the control plane that reads the objects, by
    its revision; a revision tag matches none. The package's own label, app.kubernetes.io/part-of, cannot be
    replaced."""
    workload: NotRequired[str]
    """The workload's name, with which the filter's name ends. Default: the component's name."""


class TrafficCaptureArgs(TypedDict):
    """Arguments of ``TrafficCapture``."""

    collector_url: str
    """OTLP/HTTP endpoint of the Astra Traffic Collector; an empty path means /v1/traces."""
    sensor_id: str
    """The sensor's UUID, from the Astra dashboard. It is plain text; a secret is refused."""
    workloads: Mapping[str, WorkloadArgs]
    """The workloads whose traffic is captured, each under a name of your choice."""
    egress: NotRequired[EgressArgs]
    """The way from the proxies to the collector."""
    common_labels: NotRequired[Mapping[str, pulumi.Input[str]]]
    """Labels on every object. For example, istio.io/rev names the control plane that reads the objects, by
    its revision; a revision tag matches none. The package's own label, app.kubernetes.io/part-of, cannot be
    replaced."""
    capture: NotRequired[CaptureArgs]
    """Capture settings for all workloads."""
