"""Captures side by side: two stacks in one cluster, and a gateway."""

import pytest

from lab import cluster
from lab.cluster import dump
from tests.mesh import scenario

pytestmark = pytest.mark.anyio

SERVER = 2
STAGING_SENSOR = "00000000-0000-4000-8000-000000000002"


async def test_two_stacks_share_an_entry_and_each_span_has_its_own_stacks_sensor(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    dev = scenario.manifests(namespace)
    staging = scenario.manifests(
        namespace,
        sensorId=STAGING_SENSOR,
        egress={"create": False},
        workloads={"reviews": {"namespace": namespace, "labels": {"app": "reviews"}}},
    )
    assert [item["kind"] for item in staging] == ["EnvoyFilter"]
    async with (
        mesh.applied(dev),
        mesh.applied(staging),
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as one,
        mesh.proxy(namespace, {"app": "reviews"}, app_port=shop) as two,
        one.client() as to_one,
        two.client() as to_two,
    ):
        await scenario.capturing(one)
        await scenario.capturing(two, workload="reviews")
        await to_one.get("/api/products/1")
        await to_two.get("/api/products/2")
        spans = await scenario.complete(collector, 2, to_one, to_two)
        filters = [dump.filter_names(await proxy.config_dump(), proxy.inbound)[:2] for proxy in (one, two)]
    sensors = [(str(span.attributes["http.target"]), span.attributes["sensor.id"]) for span in spans]
    assert sorted(sensors) == [
        ("/api/products/1", scenario.SENSOR),
        ("/api/products/2", STAGING_SENSOR),
        (scenario.LAST, scenario.SENSOR),
        (scenario.LAST, STAGING_SENSOR),
    ]
    assert [[name for name in names if name.startswith("astra-")] for names in filters] == [
        ["astra-capture-shop"],
        ["astra-capture-reviews"],
    ]


async def test_a_gateway_captures_what_enters_the_mesh(mesh: cluster.Mesh, namespace: str, shop: int) -> None:
    labels = {"istio": "ingressgateway"}
    workload = {"namespace": namespace, "labels": labels, "directions": ["gateway"]}
    async with (
        mesh.applied(scenario.manifests(namespace, workloads={"ingress": workload})),
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, labels, kind="router", app_port=shop) as proxy,
        proxy.client() as client,
    ):
        await scenario.capturing(proxy, workload="ingress")
        await proxy.until(
            lambda config: "*:*" in dump.domains(config) or "*" in dump.domains(config), "routes"
        )
        response = await client.post(
            "/api/products", json={"name": "Tamper"}, headers={"host": "shop.example"}
        )
        [span] = await collector.spans(1)
    assert response.status_code == 201
    assert span.kind == SERVER
    assert span.attributes["http.host"] == "shop.example"
    assert span.attributes["http.request.body"] == '{"name":"Tamper"}'
