"""TrafficExtension in place of EnvoyFilter: the same capture by Istio's own extension API."""

import json

import httpx
import pytest

from lab import cluster, server
from lab.cluster import Proxy, dump, objects
from tests.mesh import scenario
from tests.mesh.scenario import Json

pytestmark = pytest.mark.anyio

SERVER, CLIENT = 2, 3
EXTENSION = {"mechanism": "TrafficExtension", "labels": {"app": "shop"}}


def manifests(namespace: str, **workloads: Json) -> list[Json]:
    """A stack whose workloads are all in one namespace."""
    return scenario.manifests(
        namespace,
        workloads={name: {"namespace": namespace, **workload} for name, workload in workloads.items()},
    )


def extension(namespace: str, workload: str) -> str:
    """The HTTP filter that istiod makes of a workload's TrafficExtension."""
    return f"extensions.istio.io/trafficextension/{namespace}.astra-istio-mesh-filter-{workload}"


async def captures(proxy: Proxy, *names: str, listener: str = "inbound") -> list[str]:
    """A listener's capture filters in their order, once these and the collector's cluster are there."""
    port = getattr(proxy, listener)

    def found(config: Json) -> list[str]:
        return [name for name in dump.filter_names(config, port) if "astra" in name]

    await proxy.until(
        lambda config: set(names) <= set(found(config)) and scenario.CLUSTER in dump.clusters(config),
        f"the filters {names} and the collector's cluster",
    )
    return found(await proxy.config_dump())


async def test_it_captures_what_a_sidecar_receives(mesh: cluster.Mesh, namespace: str, shop: int) -> None:
    async with (
        mesh.applied(manifests(namespace, shop=EXTENSION)),
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
        proxy.client() as client,
    ):
        await captures(proxy, extension(namespace, "shop"))
        response = await client.post("/api/products", json={"name": "Kettle", "password": "hunter2"})
        [span] = await collector.spans(1)
    assert response.status_code == 201
    assert (span.kind, span.attributes["http.target"]) == (SERVER, "/api/products")
    assert json.loads(str(span.attributes["http.request.body"])) == {"name": "Kettle", "password": "***"}


async def test_it_captures_what_a_sidecar_sends(mesh: cluster.Mesh, namespace: str, shop: int) -> None:
    host = f"stock.{namespace}.svc.cluster.local"
    stock = objects.service(namespace, "stock", port=80, address=server.LOOPBACK, target_port=shop)
    workload = {**EXTENSION, "directions": ["outbound"]}
    async with (
        mesh.applied([*manifests(namespace, shop=workload), *stock]),
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
        proxy.client("outbound") as client,
    ):
        await captures(proxy, extension(namespace, "shop"), listener="outbound")
        await scenario.reaching(proxy, host)
        response = await client.get("/api/products/1", headers={"host": host})
        [span] = await collector.spans(1)
    assert response.status_code == 200
    assert (span.kind, span.attributes["http.host"]) == (CLIENT, host)


async def test_it_captures_what_enters_by_a_gateway(mesh: cluster.Mesh, namespace: str, shop: int) -> None:
    labels = {"istio": "ingressgateway"}
    workload = {"mechanism": "TrafficExtension", "labels": labels, "directions": ["gateway"]}
    async with (
        mesh.applied(manifests(namespace, edge=workload)),
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, labels, kind="router", app_port=shop) as proxy,
        proxy.client() as client,
    ):
        await captures(proxy, extension(namespace, "edge"))
        response = await client.get("/api/products/1", headers={"host": "shop.example"})
        [span] = await collector.spans(1)
    assert response.status_code == 200
    assert (span.kind, span.attributes["http.host"]) == (SERVER, "shop.example")


@pytest.mark.parametrize("mechanism", ["TrafficExtension", "EnvoyFilter"])
async def test_a_workloads_settings_win_over_its_namespaces_and_a_request_is_captured_once(
    mesh: cluster.Mesh, namespace: str, shop: int, mechanism: str
) -> None:
    whole = {"mechanism": mechanism, "capture": {"scopeName": "whole"}}
    own = {"mechanism": mechanism, "labels": {"app": "shop"}, "capture": {"scopeName": "own"}}
    names = {
        "TrafficExtension": [extension(namespace, "shop"), extension(namespace, "whole")],
        "EnvoyFilter": ["astra-capture-shop", "astra-capture-whole"],
    }[mechanism]
    async with (
        mesh.applied(manifests(namespace, whole=whole, shop=own)),
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
        proxy.client() as client,
    ):
        assert await captures(proxy, *names) == names
        for _ in range(2):
            await client.get("/api/products")
        spans = await scenario.complete(collector, 2, client)
    assert [span.scope for span in spans] == ["own", "own", "own"]  # with the last one


async def test_istiod_puts_envoy_filters_before_all_extensions_so_that_a_part_must_not_be_the_extension(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    names = ["astra-capture-whole", extension(namespace, "shop")]
    async with (
        mesh.applied([*manifests(namespace, whole={}), *manifests(namespace, shop=EXTENSION)]),
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
    ):
        assert await captures(proxy, *names) == names


@pytest.mark.parametrize(("mechanism", "sees_tunnels"), [("EnvoyFilter", True), ("TrafficExtension", False)])
async def test_of_a_sidecar_that_takes_tunnels_from_ambient_pods_an_envoy_filter_sees_these_too(
    mesh: cluster.Mesh, namespace: str, shop: int, mechanism: str, *, sees_tunnels: bool
) -> None:
    workload = {"labels": {"app": "shop"}, "mechanism": mechanism}
    async with (
        mesh.applied(manifests(namespace, shop=workload)),
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop, metadata={"ENABLE_HBONE": "true"}) as proxy,
        httpx.AsyncClient(base_url=f"http://{mesh.istiod.http}", trust_env=False) as istiod,
    ):
        # A stock Envoy refuses that listener, for filters of Istio's own.
        parameters = {"proxyID": f"{proxy.pod}.{namespace}"}
        sent = (await istiod.get("/debug/config_dump", params=parameters)).json()
    [listeners] = [item for item in sent["configs"] if item["@type"].endswith(".ListenersConfigDump")]
    named = {item["name"]: str(item) for item in listeners["dynamicListeners"]}
    assert ("astra" in named["connect_terminate"]) is sees_tunnels
    assert "astra" in named["main_internal"]
