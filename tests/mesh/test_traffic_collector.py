"""A Collector of the Astra Traffic Collector's version, with the configuration of docs/recipes.md."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from lab import cluster
from lab.cluster import build, dump, objects, otel
from lab.stack import PROJECT
from tests.mesh import scenario

pytestmark = pytest.mark.anyio

SERVICE = "astra-traffic-collector"
LABELS = {"app.kubernetes.io/name": "traffic-collector", "app.getastra.com": "traffic-collector"}
"""Of the chart's pods."""

CALLER = "203.0.113.7"
REQUESTS = 60


def custom() -> dict[str, Any]:
    """The ``config_custom.yaml`` of the recipe."""
    text = (PROJECT / "docs" / "recipes.md").read_text("utf-8")
    [block] = re.findall(r"^```yaml\n(receivers:.*?)^```", text, re.MULTILINE | re.DOTALL)
    config: dict[str, Any] = yaml.safe_load(block)
    return config


def service(namespace: str, address: str) -> list[scenario.Json]:
    """The chart's Service, whose port is called `http`."""
    return objects.service(
        namespace, SERVICE, port=otel.PORT, address=address, target_port=otel.PORT, labels=LABELS
    )


async def exporting(proxy: cluster.Proxy, host: str, address: str) -> None:
    """Wait until a proxy captures, and knows the Service's endpoint."""
    name = f"outbound|{otel.PORT}||{host}"
    await scenario.capturing(proxy, cluster=name)
    await proxy.until(
        lambda config: dump.endpoints(config).get(name) == [f"{address}:{otel.PORT}"], "an endpoint"
    )


def payload(size: int) -> bytes:
    """An OTLP/JSON request of exactly so many bytes."""
    span = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": ""}
    empty = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    return empty.replace('"name": ""', f'"name": "{"x" * (size - len(empty))}"').encode()


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_it_drops_and_replaces_what_the_recipe_says_and_finds_the_callers_address(
    mesh: cluster.Mesh, namespace: str, shop: int, scheme: str, encoding: str
) -> None:
    host, address = f"{SERVICE}.{namespace}.svc.cluster.local", mesh.address()
    certificate = mesh.authority.certificate(host) if scheme == "https" else None
    stack = scenario.manifests(
        namespace,
        collectorUrl=f"{scheme}://{host}:{otel.PORT}",
        egress={"tls": {"caCertificates": str(certificate.ca)}} if certificate else {},
        capture={"export": {"encoding": encoding}},
    )
    with mesh.customized_collector(custom(), address=address, tls=certificate) as collector:
        async with (
            mesh.applied([*stack, *service(namespace, address)]),
            mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
            proxy.client() as client,
        ):
            await exporting(proxy, host, address)
            await client.options("/api/products")
            await client.get("/api/products", headers={"host": "health.shop.example"})
            product = {"name": "Tamper", "customer": "CUST-0042137"}
            await client.post("/api/products", json=product, headers={"x-forwarded-for": CALLER})
            [span] = await collector.spans(1)
    assert scenario.targets([span]) == ["POST /api/products"]
    assert '"customer":"{customer}"' in str(span.attributes["http.request.body"])
    assert span.attributes[otel.CALLER] == CALLER


async def test_its_sampler_keeps_half_of_the_traces_by_their_ids(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    host, address = f"{SERVICE}.{namespace}.svc.cluster.local", mesh.address()
    stack = scenario.manifests(namespace, collectorUrl=f"http://{host}:{otel.PORT}")
    with otel.customized(mesh.logs / f"sampling-{namespace}", custom(), percentage=50) as collector:
        async with (
            otel.behind_receiver(collector, address=address) as pair,
            mesh.applied([*stack, *service(namespace, address)]),
            mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
            proxy.client() as client,
        ):
            await exporting(proxy, host, address)
            for _ in range(REQUESTS):
                await client.get("/api/products")
            sent = {span.trace_id for span in await pair.receiver.spans(REQUESTS)}
            chosen = {trace_id for trace_id in sent if int(trace_id[-14:], 16) >= 2**55}
            kept = {span.trace_id for span in await collector.spans(len(chosen))}
    assert kept == chosen
    assert REQUESTS / 4 < len(kept) < REQUESTS * 3 / 4


def test_it_takes_exports_up_to_the_limit_of_the_recipe_and_refuses_more(tmp_path: Path) -> None:
    http = custom()["receivers"]["otlp"]["protocols"]["http"]
    limit = http["max_request_body_size"]
    assert http["endpoint"] == f"0.0.0.0:{otel.PORT}"
    build.ensure((build.TRAFFIC_COLLECTOR,))
    with (
        otel.customized(tmp_path, custom()) as collector,
        httpx.Client(
            base_url=f"http://{collector.address}:{collector.port}",
            headers={"content-type": "application/json"},
            trust_env=False,
        ) as client,
    ):
        statuses = [
            client.post("/v1/traces", content=payload(size)).status_code for size in (1000, limit, limit + 1)
        ]
    assert statuses == [200, 200, 400]
