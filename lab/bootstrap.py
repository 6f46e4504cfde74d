"""Rendered manifests as the Envoy bootstrap of one sidecar: what istiod makes of them.

Pure. The rules and defaults are istiod's (``pilot/pkg/networking/core``: ``listener_builder.go``,
``cluster_traffic_policy.go``, ``envoyfilter/``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .server import LOOPBACK

Json = dict[str, Any]

ROOT_NAMESPACE = "istio-system"

_APP_CLUSTER = "inbound|8080||"
# A TrafficExtension says on which side of a call it runs; to Istio a gateway is a client.
_MODES = {
    "SIDECAR_INBOUND": {"SERVER", "CLIENT_AND_SERVER"},
    "SIDECAR_OUTBOUND": {"CLIENT", "CLIENT_AND_SERVER"},
    "GATEWAY": {"CLIENT", "CLIENT_AND_SERVER"},
}
_UNLIMITED = 2**32 - 1
_TYPE = "type.googleapis.com/envoy.extensions"


@dataclass(frozen=True)
class Workload:
    """The pod that the sidecar stands in: what EnvoyFilters select.

    Attributes:
        namespace: of the pod.
        labels: of the pod.
    """

    namespace: str
    labels: Mapping[str, str]


class Capture(NamedTuple):
    """Where a capture filter applies.

    Attributes:
        workload: a pod that it selects.
        context: SIDECAR_INBOUND, SIDECAR_OUTBOUND or GATEWAY.
    """

    workload: Workload
    context: str


@dataclass(frozen=True)
class Listener:
    """A listener on loopback, as a sidecar or a gateway has it, that routes everything to the sample API.

    Attributes:
        name: unique in one Envoy.
        context: of the EnvoyFilter patches that apply: SIDECAR_INBOUND, SIDECAR_OUTBOUND or GATEWAY.
        port: 0 lets the kernel choose.
        filters_before: HTTP filters ahead of the capture filter.
        filters_after: HTTP filters between the capture filter and the router.
        routes: Envoy routes that are tried before the one to the sample API.
        connection_manager: settings of the HTTP connection manager, over a sidecar's.
    """

    name: str = "inbound"
    context: str = "SIDECAR_INBOUND"
    port: int = 0
    filters_before: Sequence[Json] = ()
    filters_after: Sequence[Json] = ()
    routes: Sequence[Json] = ()
    connection_manager: Json = field(default_factory=dict)


def build(
    manifests: Sequence[Json],
    *,
    workload: Workload,
    listeners: Sequence[Listener],
    app_port: int,
    collector_port: int,
) -> Json:
    """The bootstrap of the workload's sidecar.

    Args:
        manifests: Kubernetes objects, as rendered.
        workload: decides which EnvoyFilters apply.
        listeners: at least one.
        app_port: where the sample API listens on loopback.
        collector_port: where the OTLP receiver listens on loopback, whatever host the manifests name.
            It speaks plaintext: TLS settings of a DestinationRule are left out.

    Raises:
        ValueError: a manifest uses what the lab does not know.
    """
    return {
        "admin": {"address": _address(0)},
        "static_resources": {
            "listeners": [
                _listener(listener, http_filters(manifests, listener.context, workload))
                for listener in listeners
            ],
            "clusters": [
                _cluster(_APP_CLUSTER, app_port, {}),
                *(
                    _cluster(name, collector_port, policy)
                    for name, policy in collector_clusters(manifests).items()
                ),
            ],
        },
    }


def captures(manifests: Iterable[Json]) -> list[Capture]:
    """What each capture filter for pods applies to: a pod with just the labels that it selects, a context."""
    return [
        Capture(Workload(manifest["metadata"]["namespace"], _selector(manifest)), context)
        for manifest in manifests
        if manifest["kind"] in ("EnvoyFilter", "TrafficExtension") and "targetRefs" not in manifest["spec"]
        for context in _contexts(manifest)
    ]


def _contexts(manifest: Json) -> list[str]:
    spec: Json = manifest["spec"]
    if manifest["kind"] == "EnvoyFilter":
        return list(dict.fromkeys(patch["match"]["context"] for patch in spec["configPatches"]))
    said = {match["mode"] for match in spec["match"]}
    return [context for context, modes in _MODES.items() if said & modes]


def first_capture(manifests: Iterable[Json]) -> Capture:
    """What the first capture filter for pods applies to.

    Raises:
        ValueError: there is none.
    """
    found = captures(manifests)
    if not found:
        raise ValueError("the manifests hold no capture filter for pods")
    return found[0]


def http_filters(manifests: Sequence[Json], context: str, workload: Workload) -> list[Json]:
    """The HTTP filters that a workload gets, in the order in which they run.

    istiod places TrafficExtensions, higher priorities ahead. Then it applies EnvoyFilters, lower priorities
    first and the root namespace before the workload's: what is inserted first later on runs earlier.

    Raises:
        ValueError: a patch is no HTTP_FILTER INSERT_FIRST.
    """
    selecting = [
        manifest
        for manifest in manifests
        if manifest["metadata"]["namespace"] in (ROOT_NAMESPACE, workload.namespace)
        and "targetRefs" not in manifest["spec"]  # proxies of the Gateway API, which the lab does not run
        and _selector(manifest).items() <= workload.labels.items()
    ]
    selecting.sort(
        key=lambda manifest: (
            manifest["spec"].get("priority", 0),
            manifest["metadata"]["namespace"] != ROOT_NAMESPACE,
            manifest["metadata"]["name"],
        )
    )
    extensions = [
        _extension_filter(manifest)
        for manifest in selecting
        if manifest["kind"] == "TrafficExtension"
        and any(match["mode"] in _MODES[context] for match in manifest["spec"]["match"])
    ]
    patches = [
        patch
        for manifest in selecting
        if manifest["kind"] == "EnvoyFilter"
        for patch in manifest["spec"]["configPatches"]
        if patch["match"]["context"] == context
    ]
    for patch in patches:
        operation = f"{patch['applyTo']} {patch['patch']['operation']}"
        if operation != "HTTP_FILTER INSERT_FIRST":
            raise ValueError(f"the lab applies HTTP_FILTER INSERT_FIRST only, not {operation}")
    return [patch["patch"]["value"] for patch in reversed(patches)] + extensions[::-1]


def collector_clusters(manifests: Sequence[Json]) -> dict[str, Json]:
    """The clusters towards the collector: a name and its connection pool settings.

    A ServiceEntry declares hosts and ports; a DestinationRule for another host, a Kubernetes Service's port.
    """
    rules = {
        manifest["spec"]["host"]: manifest["spec"].get("trafficPolicy", {})
        for manifest in manifests
        if manifest["kind"] == "DestinationRule"
    }
    entries = {
        host: [port["number"] for port in manifest["spec"]["ports"]]
        for manifest in manifests
        if manifest["kind"] == "ServiceEntry"
        for host in manifest["spec"]["hosts"]
    }
    services = {
        host: [level["port"]["number"] for level in policy.get("portLevelSettings", [])]
        for host, policy in rules.items()
    }
    return {
        f"outbound|{port}||{host}": _port_policy(rules.get(host, {}), port).get("connectionPool", {})
        for host, ports in {**services, **entries}.items()
        for port in ports
    }


def _port_policy(policy: Json, port: int) -> Json:
    """Settings for a port replace those for the host, they do not merge."""
    levels: Iterable[Json] = policy.get("portLevelSettings", [])
    return next((level for level in levels if level["port"]["number"] == port), policy)


def _selector(manifest: Json) -> Mapping[str, str]:
    """The labels of pods that an EnvoyFilter or a TrafficExtension selects; none: all of its namespace."""
    spec: Json = manifest["spec"]
    return {
        **spec.get("workloadSelector", {}).get("labels", {}),
        **spec.get("selector", {}).get("matchLabels", {}),
    }


def _extension_filter(manifest: Json) -> Json:
    metadata = manifest["metadata"]
    return _typed(
        f"extensions.istio.io/trafficextension/{metadata['namespace']}.{metadata['name']}",
        "filters.http.lua.v3.Lua",
        default_source_code={"inline_string": manifest["spec"]["lua"]["inlineCode"]},
    )


def _listener(listener: Listener, capture: Sequence[Json]) -> Json:
    to_app = {
        "name": "default",
        "match": {"prefix": "/"},
        "route": {"cluster": _APP_CLUSTER, "timeout": "0s"},
    }
    manager = {
        "stat_prefix": listener.name,
        "codec_type": "AUTO",
        "server_name": "istio-envoy",
        "http_protocol_options": {"accept_http_10": True},
        "generate_request_id": True,
        "normalize_path": True,
        "use_remote_address": listener.context == "GATEWAY",
        "stream_idle_timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {
            "name": listener.name,
            "virtual_hosts": [{"name": "app", "domains": ["*"], "routes": [*listener.routes, to_app]}],
        },
        "http_filters": [
            *listener.filters_before,
            *capture,
            *listener.filters_after,
            _typed("envoy.filters.http.router", "filters.http.router.v3.Router"),
        ],
        **listener.connection_manager,
    }
    filters = [
        _typed(
            "envoy.filters.network.http_connection_manager",
            "filters.network.http_connection_manager.v3.HttpConnectionManager",
            **manager,
        )
    ]
    return {
        "name": listener.name,
        "address": _address(listener.port),
        # Two Envoys would share a port in silence, each with a part of the connections.
        "enable_reuse_port": listener.port == 0,
        "filter_chains": [{"filters": filters}],
    }


def _cluster(name: str, port: int, connection_pool: Json) -> Json:
    """A cluster whose only endpoint is on loopback, with the limits of a connection pool."""
    tcp, http = connection_pool.get("tcp", {}), connection_pool.get("http", {})
    limits = {
        "max_connections": tcp.get("maxConnections", _UNLIMITED),
        "max_pending_requests": http.get("http1MaxPendingRequests", _UNLIMITED),
        "max_requests": http.get("http2MaxRequests", _UNLIMITED),
        "max_retries": http.get("maxRetries", _UNLIMITED),
    }
    known = {"maxConnections", "connectTimeout", "http1MaxPendingRequests", "http2MaxRequests", "maxRetries"}
    known.add("h2UpgradePolicy")  # the cluster speaks HTTP/1.1 anyway
    if unknown := (tcp.keys() | http.keys()) - known:
        raise ValueError(f"the lab does not know the connectionPool setting {min(unknown)} of {name}")
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": tcp.get("connectTimeout", "10s"),
        "circuit_breakers": {"thresholds": [{**limits, "track_remaining": True}]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
    }


def _address(port: int) -> Json:
    return {"socket_address": {"address": LOOPBACK, "port_value": port}}


def _typed(name: str, type_name: str, **config: Any) -> Json:
    return {"name": name, "typed_config": {"@type": f"{_TYPE}.{type_name}", **config}}
