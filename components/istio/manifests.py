"""Kubernetes objects as plain dicts, in Istio's own spelling. Pure.

Names, namespaces and labels may hold Outputs; they are passed through.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pulumi

from ..settings.models import Direction, Egress, Limits, Location, TargetKind, TargetRef, TlsMode
from .endpoint import Collector, Registry
from .names import (
    ENVOY_FILTER,
    NETWORKING,
    PART_OF,
    REFERENCED_SERVICES,
    SCRIPT_HASH,
    STAT_PREFIX,
    TRAFFIC_EXTENSION,
    WAYPOINT_CLASS,
    Manifest,
)
from .script import Script

_PORT_NAME = "http-otlp"

# In a proxy, the filter of the smaller selection comes first: that of some pods before that of their whole
# namespace, that of a service before that of its waypoint. EnvoyFilters apply in order of priority, and the
# last INSERT_FIRST ends up first; TrafficExtensions run from the highest priority. Istio's analyzer warns of
# a zero (IST0151).
_PRIORITY_PART = 20
_PRIORITY_WHOLE = 10

_CONTEXTS = {
    Direction.INBOUND: "SIDECAR_INBOUND",
    Direction.OUTBOUND: "SIDECAR_OUTBOUND",
    Direction.GATEWAY: "GATEWAY",
}
# To Istio a gateway is a client (istio/api, type/v1beta1/selector.proto, WorkloadMode).
_MODES = {Direction.INBOUND: "SERVER", Direction.OUTBOUND: "CLIENT", Direction.GATEWAY: "CLIENT"}

# The listener in which a waypoint handles requests. Before it comes connect_terminate, which has an HTTP
# filter chain, too, but sees only the tunnels that requests come in.
_WAYPOINT_LISTENER = "main_internal"

_GROUPS = {
    TargetKind.GATEWAY: "gateway.networking.k8s.io",
    TargetKind.GATEWAY_CLASS: "gateway.networking.k8s.io",
    TargetKind.SERVICE_ENTRY: "networking.istio.io",
}  # Service is of the core group, which has no name

Selector = pulumi.Input[Mapping[str, pulumi.Input[str]]]


class Identity(NamedTuple):
    """What every object has.

    Attributes:
        name: the object's name.
        namespace: its namespace.
        labels: its labels, beside the package's own.
    """

    name: pulumi.Input[str]
    namespace: pulumi.Input[str]
    labels: Mapping[str, pulumi.Input[str]]


class Attachment(NamedTuple):
    """Into which proxies a script is put.

    Attributes:
        labels: those of the pods; none for every pod of the namespace.
        target_refs: what Istio attaches the filter to instead.
    """

    labels: Selector
    target_refs: Sequence[TargetRef] = ()

    @property
    def is_whole(self) -> bool:
        """Whether it takes in a whole namespace, or whole waypoints or gateways."""
        if self.target_refs:
            return any(ref.kind.is_proxy for ref in self.target_refs)
        return isinstance(self.labels, Mapping) and not self.labels


def service_entry(collector: Collector, egress: Egress, identity: Identity) -> Manifest:
    """The entry that makes a collector outside of Kubernetes' registry known to the mesh."""
    port: dict[str, Any] = {"number": collector.service_port, "name": _PORT_NAME, "protocol": "HTTP"}
    if collector.target_port is not None:
        port["targetPort"] = collector.target_port
    spec: dict[str, Any] = {
        "hosts": [collector.service_host],
        **_export_to(egress),
        "location": f"MESH_{'INTERNAL' if collector.location is Location.MESH else 'EXTERNAL'}",
        "ports": [port],
        "resolution": "STATIC" if collector.registry is Registry.STATIC else "DNS",
    }
    if collector.registry is Registry.STATIC:
        spec["endpoints"] = [{"address": collector.host}]
    return _manifest(NETWORKING, "ServiceEntry", identity, spec)


def destination_rule(collector: Collector, egress: Egress, identity: Identity) -> Manifest:
    """The policy of connections to the collector: its version of HTTP, limits and TLS."""
    policy: dict[str, Any] = {"connectionPool": _connection_pool(egress.limits)}
    if collector.tls_mode is not None:
        policy["tls"] = _tls(collector, egress)
    if collector.registry is Registry.KUBERNETES:
        # The Service may have other ports, which this must not change.
        policy = {"portLevelSettings": [{"port": {"number": collector.service_port}, **policy}]}
    spec = {"host": collector.service_host, **_export_to(egress), "trafficPolicy": policy}
    return _manifest(NETWORKING, "DestinationRule", identity, spec)


def _export_to(egress: Egress) -> dict[str, list[str]]:
    return {} if egress.export_to is None else {"exportTo": egress.export_to}


def _connection_pool(limits: Limits | None) -> dict[str, Any]:
    # A receiver of OTLP/HTTP need not know HTTP/2, which `meshConfig.h2UpgradePolicy: UPGRADE` would have the
    # cluster speak (istio/istio#39566; `shouldH2Upgrade`, cluster_traffic_policy.go).
    http: dict[str, Any] = {"h2UpgradePolicy": "DO_NOT_UPGRADE"}
    if limits is None:
        return {"http": http}
    http["http1MaxPendingRequests"] = http["http2MaxRequests"] = limits.max_pending_requests
    return {"tcp": {"maxConnections": limits.max_connections}, "http": http}


def _tls(collector: Collector, egress: Egress) -> dict[str, Any]:
    files = egress.tls
    # "system" is Istio's default, too; but its analyzer warns if nothing is said (IST0128, IST0129).
    roots = None if collector.tls_mode is TlsMode.ISTIO_MUTUAL else "system"
    settings = {
        "mode": collector.tls_mode,
        "sni": collector.sni,
        "caCertificates": (files and files.ca_certificates) or roots,
        "clientCertificate": files and files.client_certificate,
        "privateKey": files and files.private_key,
    }
    tls: dict[str, Any] = {key: str(value) for key, value in settings.items() if value is not None}
    if collector.tls_mode is not TlsMode.ISTIO_MUTUAL:
        # With an SNI given, Istio checks no name: any certificate of a known authority would do.
        tls["subjectAltNames"] = [collector.sni]
    return tls


def collector_of_waypoints(collector: Collector, identity: Identity) -> Manifest:
    """An EnvoyFilter without patches, for its annotation: it gives every waypoint the collector's cluster."""
    spec = {"targetRefs": [_target_ref(TargetRef(kind=TargetKind.GATEWAY_CLASS, name=WAYPOINT_CLASS))]}
    annotations = {REFERENCED_SERVICES: collector.service_host}
    return _manifest(ENVOY_FILTER, "EnvoyFilter", identity, spec, annotations)


def envoy_filter(
    scripts: Mapping[Direction, Script],
    identity: Identity,
    attachment: Attachment,
    *,
    http_filter: str,
    collector: Collector,
) -> Manifest:
    """The filter that runs a workload's scripts, first in the chain: denied requests are traffic too."""
    spec: dict[str, Any] = {
        "configPatches": [
            _http_filter(direction, http_filter, script, is_waypoint=bool(attachment.target_refs))
            for direction, script in scripts.items()
        ],
        "priority": _priority(attachment),
    }
    if attachment.target_refs:
        spec["targetRefs"] = [_target_ref(target) for target in attachment.target_refs]
    elif not attachment.is_whole:
        spec["workloadSelector"] = {"labels": attachment.labels}
    annotations = _script_hash(scripts)
    if attachment.target_refs or Direction.GATEWAY in scripts:
        annotations[REFERENCED_SERVICES] = collector.service_host
    return _manifest(ENVOY_FILTER, "EnvoyFilter", identity, spec, annotations)


def _http_filter(direction: Direction, name: str, script: Script, *, is_waypoint: bool) -> dict[str, Any]:
    listener: dict[str, Any] = {
        "filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}}
    }
    if is_waypoint and direction is Direction.INBOUND:
        listener["name"] = _WAYPOINT_LISTENER
    # Managed meshes refuse all but HTTP_FILTER patches.
    return {
        "applyTo": "HTTP_FILTER",
        "match": {"context": _CONTEXTS[direction], "listener": listener},
        "patch": {
            "operation": "INSERT_FIRST",
            "value": {
                "name": name,
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                    "default_source_code": {"inline_string": script.text},
                    "stat_prefix": STAT_PREFIX,
                    "clear_route_cache": False,
                },
            },
        },
    }


def traffic_extension(
    direction: Direction, script: Script, identity: Identity, attachment: Attachment
) -> Manifest:
    """The same in Istio's own extension API (1.30, release channel "extended"), which holds one script."""
    spec: dict[str, Any] = {
        "lua": {"inlineCode": script.inline_code},
        "match": [{"mode": _MODES[direction]}],
        "phase": "AUTHN",  # the first of the chain
        "priority": _priority(attachment),
    }
    if attachment.target_refs:
        spec["targetRefs"] = [_target_ref(target) for target in attachment.target_refs]
    elif not attachment.is_whole:
        spec["selector"] = {"matchLabels": attachment.labels}
    return _manifest(TRAFFIC_EXTENSION, "TrafficExtension", identity, spec, _script_hash({direction: script}))


def _target_ref(target: TargetRef) -> dict[str, Any]:
    group = _GROUPS.get(target.kind)
    return {**({"group": group} if group else {}), "kind": target.kind.value, "name": target.name}


def _priority(attachment: Attachment) -> int:
    return _PRIORITY_WHOLE if attachment.is_whole else _PRIORITY_PART


def _script_hash(scripts: Mapping[Direction, Script]) -> dict[str, str]:
    # The hash leaves the settings out, so all directions have the same.
    return {SCRIPT_HASH: next(iter(scripts.values())).code_sha256}


def _manifest(
    api_version: str,
    kind: str,
    identity: Identity,
    spec: dict[str, Any],
    annotations: dict[str, str] | None = None,
) -> Manifest:
    metadata: dict[str, Any] = {
        "name": identity.name,
        "namespace": identity.namespace,
        "labels": {**identity.labels, **PART_OF},
    }
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
