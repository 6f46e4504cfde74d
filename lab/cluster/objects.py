"""Kubernetes and Istio objects that stand in for what a cluster has and one machine has not."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.server import LOOPBACK

Json = dict[str, Any]


def namespace(name: str, labels: Mapping[str, str]) -> Json:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}


def service(  # noqa: PLR0913  # what a Service and its endpoint have
    namespace: str,
    name: str,
    *,
    port: int,
    address: str,
    target_port: int,
    labels: Mapping[str, str] | None = None,
    service_account: str | None = None,
) -> list[Json]:
    """A Kubernetes Service whose only endpoint is on loopback, which an EndpointSlice may not hold.

    Args:
        namespace: of both.
        name: of both.
        port: of the Service.
        address: of the endpoint.
        target_port: of the endpoint.
        labels: more labels of the endpoint.
        service_account: of an endpoint with a sidecar: clients use the mesh's mTLS, and expect it there.
    """
    selector = {"app": name}
    spec = {
        "selector": selector,
        "ports": [{"name": "http", "port": port, "targetPort": target_port}],
    }
    entry: Json = {
        "address": address,
        "labels": {**selector, **(labels or {})},
        "ports": {"http": target_port},
    }
    if service_account:
        entry["serviceAccount"] = service_account
    return [
        _object("v1", "Service", namespace, name, spec),
        _object("networking.istio.io/v1", "WorkloadEntry", namespace, name, entry),
    ]


def sidecar(  # noqa: PLR0913  # a Sidecar's parts
    namespace: str,
    name: str,
    labels: Mapping[str, str],
    *,
    inbound: int,
    app_port: int,
    egress_hosts: Sequence[str],
) -> Json:
    """A Sidecar with an inbound listener on loopback, reachable without iptables.

    Args:
        namespace: of the workload.
        name: of the object.
        labels: of the workload.
        inbound: port whose requests go to the application.
        app_port: of the application, on loopback.
        egress_hosts: services that the workload sees, ``namespace/host``.
    """
    spec = {
        "workloadSelector": {"labels": dict(labels)},
        "ingress": [
            {
                "port": {"number": inbound, "protocol": "HTTP", "name": "http"},
                "bind": LOOPBACK,
                "captureMode": "NONE",
                "defaultEndpoint": f"{LOOPBACK}:{app_port}",
            }
        ],
        "egress": [{"hosts": list(egress_hosts)}],
    }
    return _object("networking.istio.io/v1", "Sidecar", namespace, name, spec)


def gateway(namespace: str, name: str, labels: Mapping[str, str], *, port: int, app_port: int) -> list[Json]:
    """A Gateway on loopback that routes everything to an application on loopback.

    Args:
        namespace: of the gateway's workload.
        name: of the objects.
        labels: of the workload.
        port: of the gateway.
        app_port: of the application.
    """
    host = f"{name}.app.lab"
    server = {
        "port": {"number": port, "name": "http", "protocol": "HTTP"},
        "bind": LOOPBACK,
        "hosts": ["*"],
    }
    entry = {
        "hosts": [host],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": app_port}],
        "endpoints": [{"address": LOOPBACK}],
    }
    route = {"route": [{"destination": {"host": host, "port": {"number": 80}}}]}
    return [
        _object(
            "networking.istio.io/v1",
            "Gateway",
            namespace,
            name,
            {"selector": dict(labels), "servers": [server]},
        ),
        _object("networking.istio.io/v1", "ServiceEntry", namespace, name, entry),
        _object(
            "networking.istio.io/v1",
            "VirtualService",
            namespace,
            name,
            {"hosts": ["*"], "gateways": [name], "http": [route]},
        ),
    ]


def _object(api_version: str, kind: str, namespace: str, name: str, spec: Json) -> Json:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": spec,
    }
