"""A waypoint on one machine: what istiod sends to it, in a stock Envoy, with a way in that needs no ztunnel.

Istio's own Envoy has filters that a stock one lacks, and takes requests from ztunnel over HBONE. Here an
EnvoyFilter takes those filters out, and adds a listener that hands connections to ``main_internal``, as
``connect_terminate`` does with what comes out of a tunnel. All that follows is istiod's.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from lab import cluster
from lab.cluster import Proxy, dump, objects, process
from lab.server import LOOPBACK

Json = dict[str, Any]

NAME = "waypoint"
CLIENT = "10.7.7.7"
"""Where the requests of the lab come from, as a tunnel would say."""

_GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
_NETWORK = "type.googleapis.com/envoy.extensions.filters.network"
_MANAGER = "envoy.filters.network.http_connection_manager"
_TCP_PROXY = {"@type": f"{_NETWORK}.tcp_proxy.v3.TcpProxy", "stat_prefix": "lab", "cluster": "main_internal"}
_TO_SERVICES = {"name": "envoy.filters.network.tcp_proxy", "typed_config": _TCP_PROXY}
_MARKER: Json = {"name": "marker", "internal_listener": {}, "filter_chains": [{"filters": [_TO_SERVICES]}]}


@dataclass(frozen=True)
class Waypoint:
    """A running waypoint.

    Attributes:
        proxy: its Envoy.
        door: the port on loopback whose connections go to the service.
    """

    proxy: Proxy
    door: int

    def client(self) -> httpx.AsyncClient:
        """An HTTP client of the service behind the waypoint."""
        return httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{self.door}", timeout=30, trust_env=False)

    async def reaches(self, host: str, port: int = 4318) -> None:
        """Wait until it knows an endpoint of a Kubernetes Service."""
        name = f"outbound|{port}||{host}"
        await self.proxy.until(lambda config: dump.endpoints(config).get(name), f"an endpoint of {host}")

    async def settled(self, mesh: cluster.Mesh) -> Json:
        """Its configuration with all that was applied before: a listener that is applied now has come too.

        istiod pushes whole states in their order, clusters before listeners.
        """
        marker = _attached(self.proxy.namespace, "lab-marker", [_patch("LISTENER", None, "ADD", _MARKER)])
        async with mesh.applied([marker]):
            await self.proxy.until(lambda config: _MARKER["name"] in listeners(config), "a marker")
            return await self.proxy.config_dump()


@asynccontextmanager
async def running(mesh: cluster.Mesh, namespace: str, *, app_port: int) -> AsyncIterator[Waypoint]:
    """Run a waypoint with two services, ``shop`` and ``other``, behind it.

    Args:
        mesh: the control plane.
        namespace: of all of them.
        app_port: where on loopback both services listen.
    """
    address, door = mesh.address(), process.free_port()
    labels = {_GATEWAY_NAME: NAME, "gateway.istio.io/managed": "istio.io-mesh-controller"}
    services = [
        item
        for name in ("shop", "other")
        for item in objects.service(namespace, name, port=80, address=LOOPBACK, target_port=app_port)
    ]
    for item in services:
        if item["kind"] == "Service":
            item["metadata"]["labels"] = {"istio.io/use-waypoint": NAME}
    own = objects.service(namespace, NAME, port=15008, address=address, target_port=15008, labels=labels)
    own[0]["spec"]["ports"][0]["appProtocol"] = "hbone"
    async with mesh.applied([_gateway(namespace), *own, *services]):
        shop = await asyncio.to_thread(mesh.kubectl.get, "service", "shop", namespace)
        lab = _stock(namespace, door, destination=f"{shop['spec']['clusterIP']}:80")
        async with (
            mesh.applied([lab]),
            mesh.proxy(namespace, labels, kind="waypoint", address=address) as envoy,
        ):
            await envoy.until(
                lambda config: dump.listener(config, door) and service_chains(config), "its services"
            )
            yield Waypoint(envoy, door)


def listeners(config: Json) -> dict[str, Json]:
    """The active listeners of a config dump, by name."""
    [dumped] = [item for item in config["configs"] if item["@type"].endswith(".ListenersConfigDump")]
    return {
        item["name"]: item["active_state"]["listener"]
        for item in dumped.get("dynamic_listeners", [])
        if "active_state" in item
    }


def http_filters(config: Json) -> dict[str, dict[str, list[str]]]:
    """The names of the HTTP filters of a config dump, by listener and filter chain."""
    return {
        name: {
            chain.get("name", ""): [item["name"] for item in network["typed_config"]["http_filters"]]
            for chain in listener.get("filter_chains", [])
            for network in chain["filters"]
            if network["name"] == _MANAGER
        }
        for name, listener in listeners(config).items()
    }


def service_chains(config: Json) -> dict[str, list[str]]:
    """The HTTP filters in front of each service, by its name."""
    chains = http_filters(config).get("main_internal", {})
    return {
        name.rpartition("|")[2].split(".")[0]: filters
        for name, filters in chains.items()
        if name.startswith("inbound-vip|")
    }


def _gateway(namespace: str) -> Json:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": NAME, "namespace": namespace, "labels": {"istio.io/waypoint-for": "service"}},
        "spec": {
            "gatewayClassName": "istio-waypoint",
            "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}],
        },
    }


def _stock(namespace: str, door: int, *, destination: str) -> Json:
    """What makes a stock Envoy take istiod's configuration, and lets requests in."""
    patches = [
        _patch("HTTP_FILTER", "connect_terminate", "REMOVE", filter_name="waypoint_downstream_peer_metadata"),
        _patch("HTTP_FILTER", "connect_terminate", "REMOVE", filter_name="connect_authority"),
        _patch("HTTP_FILTER", "main_internal", "REMOVE", filter_name="waypoint_upstream_peer_metadata"),
        _patch("LISTENER", "inner_connect_originate", "REMOVE"),
        _patch(
            "LISTENER",
            "connect_terminate",
            "MERGE",
            {"address": {"socket_address": {"address": LOOPBACK, "port_value": process.free_port()}}},
        ),
        _patch("LISTENER", None, "ADD", _door(door, destination)),
    ]
    return _attached(namespace, "lab-waypoint", patches)


def _attached(namespace: str, name: str, patches: list[Json]) -> Json:
    target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": NAME}
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"targetRefs": [target], "priority": 1, "configPatches": patches},
    }


def _patch(
    apply_to: str, listener: str | None, operation: str, value: Json | None = None, *, filter_name: str = ""
) -> Json:
    match: Json = {"name": listener} if listener else {}
    if filter_name:
        match["filterChain"] = {"filter": {"name": _MANAGER, "subFilter": {"name": filter_name}}}
    return {
        "applyTo": apply_to,
        "match": {"context": "SIDECAR_INBOUND", **({"listener": match} if match else {})},
        "patch": {"operation": operation, **({"value": value} if value else {})},
    }


def _door(port: int, destination: str) -> Json:
    tunnelled = {
        "envoy.filters.listener.original_dst.local_ip": destination,
        "envoy.filters.listener.original_dst.remote_ip": f"{CLIENT}:4000",
    }
    states = [
        {
            "object_key": key,
            "format_string": {"text_format_source": {"inline_string": value}},
            "shared_with_upstream": "ONCE",
        }
        for key, value in tunnelled.items()
    ]
    set_state = {"@type": f"{_NETWORK}.set_filter_state.v3.Config", "on_new_connection": states}
    return {
        "name": "door",
        "address": {"socket_address": {"address": LOOPBACK, "port_value": port}},
        "filter_chains": [
            {
                "filters": [
                    {"name": "envoy.filters.network.set_filter_state", "typed_config": set_state},
                    _TO_SERVICES,
                ]
            }
        ],
    }
