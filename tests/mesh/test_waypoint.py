"""A waypoint: what istiod makes of captures attached to it, and what is refused because of that."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lab import cluster, stack
from lab.cluster import Pair, dump, objects
from tests.mesh import waypoint
from tests.mesh.waypoint import Json, Waypoint

pytestmark = pytest.mark.anyio

GATEWAY = {"kind": "Gateway", "name": waypoint.NAME}
SERVICE = {"kind": "Service", "name": "shop"}
EVERY = {"kind": "GatewayClass", "name": "istio-waypoint"}
EXTENSION = {"mechanism": "TrafficExtension"}
ROOT = "istio-system"
SERVER = 2


@pytest.fixture
async def proxy(mesh: cluster.Mesh, namespace: str, shop: int) -> AsyncIterator[Waypoint]:
    """A waypoint with two services behind it."""
    async with waypoint.running(mesh, namespace, app_port=shop) as running:
        yield running


def extension(namespace: str) -> str:
    return f"extensions.istio.io/trafficextension/{namespace}.astra-istio-mesh-filter-w"


@asynccontextmanager
async def collecting(mesh: cluster.Mesh, namespace: str) -> AsyncIterator[Pair]:
    """A collector that is a Kubernetes Service, as its cluster asks for no DNS."""
    address = mesh.address()
    otel = objects.service(namespace, "otel", port=4318, address=address, target_port=4318)
    async with mesh.collector(address=address) as collector, mesh.applied(otel):
        yield collector


def collector_host(namespace: str) -> str:
    return f"otel.{namespace}.svc.cluster.local"


def attached(namespace: str, /, *targets: Json, **workload: Any) -> list[Json]:
    """A stack that captures what is attached to targets, and would be allowed."""
    url = f"http://{collector_host(namespace)}:4318"
    workloads = {"w": {"namespace": namespace, "targetRefs": list(targets), **workload}}
    return stack.manifests(collectorUrl=url, egress={"waypoints": True}, workloads=workloads)


def without(manifests: list[Json], kind: str, namespace: str) -> list[Json]:
    return [item for item in manifests if (item["kind"], item["metadata"]["namespace"]) != (kind, namespace)]


def first_filters(config: Json) -> dict[str, str]:
    """The first HTTP filter in front of each service."""
    return {service: filters[0] for service, filters in waypoint.service_chains(config).items()}


@pytest.mark.setting("workloads.*.targetRefs")
async def test_an_envoy_filter_on_a_waypoint_captures_all_of_its_services_but_no_tunnel_and_exports(
    mesh: cluster.Mesh, namespace: str, proxy: Waypoint
) -> None:
    manifests = without(attached(namespace, GATEWAY), "EnvoyFilter", ROOT)
    async with collecting(mesh, namespace) as collector, mesh.applied(manifests), proxy.client() as client:
        await proxy.reaches(collector_host(namespace))
        config = await proxy.settled(mesh)
        response = await client.get("/api/products/1", headers={"host": "shop"})
        [span] = await collector.spans(1)
    assert response.json()["name"] == "Espresso machine"
    assert first_filters(config) == {"shop": "astra-capture-w", "other": "astra-capture-w"}
    [tunnel] = waypoint.http_filters(config)["connect_terminate"].values()
    assert "astra-capture-w" not in tunnel
    assert (span.kind, span.attributes["http.target"]) == (SERVER, "/api/products/1")
    assert span.attributes["net.sock.peer.addr"] == waypoint.CLIENT


async def test_without_the_listeners_name_tunnels_would_be_captured_too(
    mesh: cluster.Mesh, namespace: str, proxy: Waypoint
) -> None:
    manifests = attached(namespace, GATEWAY)
    [capture] = [item for item in manifests if item["metadata"]["namespace"] == namespace]
    del capture["spec"]["configPatches"][0]["match"]["listener"]["name"]
    async with mesh.applied(manifests):
        config = await proxy.settled(mesh)
    [tunnel] = waypoint.http_filters(config)["connect_terminate"].values()
    assert tunnel[0] == "astra-capture-w"


@pytest.mark.setting("egress.waypoints", "workloads.*.targetRefs[].kind", "workloads.*.targetRefs[].name")
async def test_a_traffic_extension_on_a_service_captures_that_service_only_and_exports(
    mesh: cluster.Mesh, namespace: str, proxy: Waypoint
) -> None:
    manifests = attached(namespace, SERVICE, **EXTENSION)
    async with collecting(mesh, namespace) as collector, mesh.applied(manifests), proxy.client() as client:
        await proxy.reaches(collector_host(namespace))
        config = await proxy.settled(mesh)
        response = await client.get("/api/products/1", headers={"host": "shop"})
        [span] = await collector.spans(1)
    assert response.status_code == 200
    found = first_filters(config)
    assert found["shop"] == extension(namespace)
    assert found["other"] != extension(namespace)
    assert (span.kind, span.attributes["http.target"]) == (SERVER, "/api/products/1")


async def test_without_the_egress_setting_a_traffic_extension_has_no_cluster_to_export_to(
    mesh: cluster.Mesh, namespace: str, proxy: Waypoint
) -> None:
    manifests = without(attached(namespace, GATEWAY, **EXTENSION), "EnvoyFilter", ROOT)
    async with collecting(mesh, namespace), mesh.applied(manifests):
        config = await proxy.settled(mesh)
    assert set(first_filters(config).values()) == {extension(namespace)}
    assert not [name for name in dump.clusters(config) if collector_host(namespace) in name]


@pytest.mark.parametrize("mechanism", ["EnvoyFilter", "TrafficExtension"])
async def test_a_gateway_class_in_the_root_namespace_captures_at_every_waypoint(
    mesh: cluster.Mesh, namespace: str, proxy: Waypoint, mechanism: str
) -> None:
    manifests = attached(namespace, EVERY, namespace=ROOT, mechanism=mechanism)
    async with collecting(mesh, namespace), mesh.applied(manifests):
        await proxy.reaches(collector_host(namespace))
        config = await proxy.settled(mesh)
    name = {"EnvoyFilter": "astra-capture-w", "TrafficExtension": extension(ROOT)}[mechanism]
    assert first_filters(config) == {"shop": name, "other": name}


@pytest.mark.parametrize(
    "targets",
    [[SERVICE], [{"group": "gateway.networking.k8s.io", **EVERY}], None],
    ids=["an EnvoyFilter on a Service", "a GatewayClass outside of the root namespace", "a whole namespace"],
)
async def test_istiod_leaves_a_waypoint_alone_where_nothing_that_it_heeds_is_named(
    mesh: cluster.Mesh, namespace: str, proxy: Waypoint, targets: list[Json] | None
) -> None:
    manifests = attached(namespace, GATEWAY)
    [capture] = [item for item in manifests if item["metadata"]["namespace"] == namespace]
    del capture["spec"]["targetRefs"]
    capture["spec"].update({"targetRefs": targets} if targets else {})
    async with mesh.applied(manifests):
        config = await proxy.settled(mesh)
    assert "astra-capture" not in str(waypoint.http_filters(config))


async def test_a_service_keeps_its_own_settings_behind_a_waypoint_that_is_captured(
    mesh: cluster.Mesh, namespace: str, proxy: Waypoint
) -> None:
    whole = attached(namespace, GATEWAY, **EXTENSION, filterName="whole")
    async with mesh.applied([*whole, *attached(namespace, SERVICE, **EXTENSION)]):
        config = await proxy.settled(mesh)
    chains = waypoint.service_chains(config)
    prefix = f"extensions.istio.io/trafficextension/{namespace}"
    assert chains["shop"][:2] == [extension(namespace), f"{prefix}.whole"]
    assert chains["other"][0] == f"{prefix}.whole"


@pytest.mark.parametrize("mechanism", ["EnvoyFilter", "TrafficExtension"])
async def test_a_gateway_of_the_gateway_api_is_captured_by_its_name(
    mesh: cluster.Mesh, namespace: str, shop: int, mechanism: str
) -> None:
    manifests = attached(
        namespace, {"kind": "Gateway", "name": "edge"}, mechanism=mechanism, directions=["gateway"]
    )
    labels = {"gateway.networking.k8s.io/gateway-name": "edge"}  # istiod looks at this label of the pod
    async with (
        collecting(mesh, namespace) as collector,
        mesh.applied(manifests),
        mesh.proxy(namespace, labels, kind="router", app_port=shop) as gateway,
        gateway.client() as client,
    ):
        name = {"EnvoyFilter": "astra-capture-w", "TrafficExtension": extension(namespace)}[mechanism]
        await gateway.until(
            lambda config: (
                name in dump.filter_names(config, gateway.inbound)
                and dump.endpoints(config).get(f"outbound|4318||{collector_host(namespace)}")
            ),
            "the capture and the collector's endpoint",
        )
        response = await client.get("/api/products", headers={"host": "shop.example"})
        [span] = await collector.spans(1)
    assert response.status_code == 200
    assert (span.kind, span.attributes["http.host"]) == (SERVER, "shop.example")
