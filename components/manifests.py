"""Kubernetes objects as plain dicts, in Istio's own spelling. Pure.

Names, namespaces and labels may hold Outputs; they are passed through.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pulumi

from .endpoint import Collector, Registry
from .script import Script
from .settings import PART_OF, Direction, Egress, Limits, Location

# Part of a resource's identity in Pulumi (its type token): a change needs an alias and a changelog entry.
NETWORKING = "networking.istio.io/v1"
ENVOY_FILTER = "networking.istio.io/v1alpha3"  # the only version that EnvoyFilter has
TRAFFIC_EXTENSION = "extensions.istio.io/v1alpha1"

MAX_INLINE_CODE_BYTES = 65536
"""What TrafficExtension takes (istio/api, extensions/v1alpha1/traffic_extension.proto)."""

SCRIPT_HASH = "astra.security/capture-script-sha256"

_PORT_NAME = "http-otlp"

# A labelled workload's filter comes before that of its whole namespace: EnvoyFilters apply in order of
# priority, and the last INSERT_FIRST is first; TrafficExtensions run from the highest. Non-zero, as IST0151
# asks for.
_PRIORITY_LABELS = 20
_PRIORITY_NAMESPACE = 10

_CONTEXTS = {
    Direction.INBOUND: "SIDECAR_INBOUND",
    Direction.OUTBOUND: "SIDECAR_OUTBOUND",
    Direction.GATEWAY: "GATEWAY",
}
# To Istio a gateway is a client (istio/api, type/v1beta1/selector.proto, WorkloadMode).
_MODES = {Direction.INBOUND: "SERVER", Direction.OUTBOUND: "CLIENT", Direction.GATEWAY: "CLIENT"}

Manifest = dict[str, Any]
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


def destination_rule(collector: Collector, egress: Egress, identity: Identity) -> Manifest | None:
    """The policy of connections to the collector: limits and TLS. None where there is neither."""
    policy: dict[str, Any] = {}
    if egress.limits is not None:
        policy["connectionPool"] = _connection_pool(egress.limits)
    if collector.tls_mode is not None:
        policy["tls"] = _tls(collector, egress)
    if not policy:
        return None
    if collector.registry is Registry.KUBERNETES:
        # The Service's other ports are none of our business.
        policy = {"portLevelSettings": [{"port": {"number": collector.service_port}, **policy}]}
    spec = {"host": collector.service_host, **_export_to(egress), "trafficPolicy": policy}
    return _manifest(NETWORKING, "DestinationRule", identity, spec)


def _export_to(egress: Egress) -> dict[str, list[str]]:
    return {} if egress.export_to is None else {"exportTo": egress.export_to}


def _connection_pool(limits: Limits) -> dict[str, Any]:
    return {
        "tcp": {"maxConnections": limits.max_connections},
        "http": {
            "http1MaxPendingRequests": limits.max_pending_requests,
            "http2MaxRequests": limits.max_pending_requests,
        },
    }


def _tls(collector: Collector, egress: Egress) -> dict[str, str]:
    files = egress.tls
    settings = {
        "mode": collector.tls_mode,
        "sni": collector.sni,
        "caCertificates": files and files.ca_certificates,
        "clientCertificate": files and files.client_certificate,
        "privateKey": files and files.private_key,
    }
    return {key: str(value) for key, value in settings.items() if value is not None}


def envoy_filter(
    scripts: Mapping[Direction, Script], identity: Identity, *, selector: Selector, http_filter: str
) -> Manifest:
    """The filter that runs a workload's scripts, first in the chain: denied requests are traffic too."""
    spec: dict[str, Any] = {
        "configPatches": [
            _http_filter(direction, http_filter, script) for direction, script in scripts.items()
        ],
        "priority": _priority(selector),
    }
    if not _is_whole_namespace(selector):
        spec["workloadSelector"] = {"labels": selector}
    return _manifest(ENVOY_FILTER, "EnvoyFilter", identity, spec, scripts)


def _http_filter(direction: Direction, name: str, script: Script) -> dict[str, Any]:
    # Managed meshes refuse all but HTTP_FILTER patches.
    return {
        "applyTo": "HTTP_FILTER",
        "match": {
            "context": _CONTEXTS[direction],
            "listener": {
                "filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}}
            },
        },
        "patch": {
            "operation": "INSERT_FIRST",
            "value": {
                "name": name,
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                    "default_source_code": {"inline_string": script.text},
                    "stat_prefix": "astra_capture",
                    "clear_route_cache": False,
                },
            },
        },
    }


def traffic_extension(
    direction: Direction, script: Script, identity: Identity, *, selector: Selector
) -> Manifest:
    """The same in Istio's own extension API (1.30, release channel "extended"), which holds one script."""
    spec: dict[str, Any] = {
        "lua": {"inlineCode": script.text},
        "match": [{"mode": _MODES[direction]}],
        "phase": "AUTHN",  # the first of the chain
        "priority": _priority(selector),
    }
    if not _is_whole_namespace(selector):
        spec["selector"] = {"matchLabels": selector}
    return _manifest(TRAFFIC_EXTENSION, "TrafficExtension", identity, spec, {direction: script})


def _priority(selector: Selector) -> int:
    return _PRIORITY_NAMESPACE if _is_whole_namespace(selector) else _PRIORITY_LABELS


def _is_whole_namespace(selector: Selector) -> bool:
    return isinstance(selector, Mapping) and not selector


def _manifest(
    api_version: str,
    kind: str,
    identity: Identity,
    spec: dict[str, Any],
    scripts: Mapping[Direction, Script] | None = None,
) -> Manifest:
    metadata: dict[str, Any] = {
        "name": identity.name,
        "namespace": identity.namespace,
        "labels": {**PART_OF, **identity.labels},
    }
    if scripts:
        # The hash leaves the settings out, so all directions have the same.
        metadata["annotations"] = {SCRIPT_HASH: next(iter(scripts.values())).code_sha256}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
