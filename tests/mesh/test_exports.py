"""A collector whose own sidecar captures: each export passes its filter, under a name that tells nothing."""

import pytest

from lab import cluster
from lab.cluster.process import free_port
from lab.server import LOOPBACK
from tests.mesh import scenario

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("host", "service"),
    [
        pytest.param("c.{namespace}.svc.acme.corp", "c.{namespace}.svc.acme.corp", id="another domain"),
        pytest.param("spans.example.com", "spans.example.com", id="alias"),
        pytest.param(LOOPBACK, "collector-127-0-0-1.astra.internal", id="address"),
    ],
)
async def test_one_request_is_one_span_and_no_export_is_captured_on_its_way(
    mesh: cluster.Mesh, namespace: str, shop: int, host: str, service: str
) -> None:
    host, service = host.format(namespace=namespace), service.format(namespace=namespace)
    workload = {"namespace": namespace, "labels": {}, "directions": ["inbound", "outbound"]}
    async with (
        mesh.collector(host, address=LOOPBACK, port=(port := free_port())) as collector,
        mesh.proxy(namespace, {"app": "collector"}, app_port=port) as gate,
        mesh.applied(
            scenario.manifests(
                namespace, collectorUrl=f"http://{host}:{gate.inbound}", workloads={"all": workload}
            )
        ),
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
        proxy.client() as client,
    ):
        name = f"outbound|{gate.inbound}||{service}"
        for captured in (gate, proxy):
            for listener in ("inbound", "outbound"):
                await scenario.capturing(captured, workload="all", listener=listener, cluster=name)
        await client.get("/api/products")
        spans = await scenario.complete(collector, 1, client)
        await gate.until_statistics(
            r"^http\.inbound_.*downstream_rq_2xx$",
            lambda found: sum(found.values()) == len(spans),
            "each export",
        )
    assert scenario.targets(spans) == ["GET /api/products", "GET /last"]
    assert len(collector.receiver.requests) == len(spans)
