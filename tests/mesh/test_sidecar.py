"""A sidecar: what it receives, what it sends, both, and a whole namespace."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from lab import cluster, server
from lab.cluster import dump, objects
from lab.stack import PROJECT
from tests.mesh import scenario

pytestmark = pytest.mark.anyio

SERVER, CLIENT = 2, 3


async def test_the_guides_setup_captures_what_a_sidecar_receives(
    mesh: cluster.Mesh, shop: int, tmp_path: Path
) -> None:
    render = ["make", "--no-print-directory", "render", "ARGS=", "STACK=dev", f"OUT={tmp_path}"]
    await asyncio.to_thread(subprocess.run, render, cwd=PROJECT, check=True)
    async with (
        mesh.applied(tmp_path),
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy("default", {"app": "productpage"}, app_port=shop) as proxy,
        proxy.client() as client,
    ):
        await scenario.capturing(proxy, workload="productpage")
        response = await client.post("/api/login", json={"user": "ada", "password": "correct horse"})
        [span] = await collector.spans(1)
        assert dump.filter_names(await proxy.config_dump(), proxy.inbound)[0] == "astra-capture-productpage"
    assert response.json()["token"] == "tok-5f2c81d0"
    attributes = span.attributes
    assert attributes["sensor.id"] == scenario.SENSOR
    assert (attributes["http.method"], attributes["http.target"]) == ("POST", "/api/login")
    assert attributes["http.status_code"] == 200
    assert json.loads(str(attributes["http.request.body"])) == {"user": "ada", "password": "***"}
    assert json.loads(str(attributes["http.response.body"]))["token"] == "***"
    assert (span.kind, span.name) == (SERVER, "POST")


async def test_outbound_captures_what_a_sidecar_sends(mesh: cluster.Mesh, namespace: str, shop: int) -> None:
    workload = {"namespace": namespace, "labels": {"app": "shop"}, "directions": ["outbound"]}
    host = f"stock.{namespace}.svc.cluster.local"
    stock = objects.service(namespace, "stock", port=80, address=server.LOOPBACK, target_port=shop)
    async with (
        mesh.applied([*scenario.manifests(namespace, workloads={"shop": workload}), *stock]),
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as proxy,
        proxy.client("inbound") as inbound,
        proxy.client("outbound") as outbound,
    ):
        await scenario.capturing(proxy, listener="outbound")
        await scenario.reaching(proxy, host)
        received = await inbound.get("/api/products")
        outbound.headers["host"] = host
        sent = await outbound.get("/api/products/1")
        spans = await scenario.complete(collector, 1, outbound)
    assert (received.status_code, sent.status_code) == (200, 200)
    assert scenario.targets(spans) == ["GET /api/products/1", "GET /last"]
    assert spans[0].kind == CLIENT
    assert spans[0].attributes["http.host"] == host


async def test_both_ways_each_exchange_is_captured_once_and_no_export_is(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    workload = {"namespace": namespace, "labels": {"app": "shop"}, "directions": ["inbound", "outbound"]}
    host, collector_host = (f"{name}.{namespace}.svc.cluster.local" for name in ("stock", "collector"))
    address = mesh.address()
    stock = objects.service(namespace, "stock", port=80, address=server.LOOPBACK, target_port=shop)
    service = objects.service(namespace, "collector", port=80, address=address, target_port=4318)
    stack = scenario.manifests(
        namespace, workloads={"shop": workload}, collectorUrl=f"http://{collector_host}:80"
    )
    async with (
        mesh.applied([*stack, *stock, *service]),
        mesh.collector(address=address) as collector,
        _front(host) as front,
        mesh.proxy(namespace, {"app": "shop"}, app_port=front.port) as proxy,
        proxy.client("inbound") as inbound,
        proxy.client("outbound") as outbound,
    ):
        front.outbound = outbound
        await scenario.capturing(proxy, listener="inbound", cluster=f"outbound|80||{collector_host}")
        await scenario.capturing(proxy, listener="outbound", cluster=f"outbound|80||{collector_host}")
        await scenario.reaching(proxy, host)
        await scenario.reaching(proxy, collector_host)
        first = await inbound.get("/order/1")
        await collector.spans(2)
        # What an application itself sends to the collector is no traffic of its own.
        own = await outbound.post("/v1/traces", headers={"host": collector_host}, json={"resourceSpans": []})
        second = await inbound.get("/order/2")
        spans = await scenario.complete(collector, 4, inbound)
    assert (first.status_code, own.status_code, second.status_code) == (200, 200, 200)
    assert scenario.targets(spans) == [
        "GET /api/products/1",
        "GET /api/products/2",
        "GET /last",
        "GET /order/1",
        "GET /order/2",
    ]
    kinds = {str(span.attributes["http.target"]): span.kind for span in spans}
    assert (kinds["/order/1"], kinds["/api/products/1"]) == (SERVER, CLIENT)
    traces = {str(span.attributes["http.target"]): span.trace_id for span in spans}
    assert traces["/order/1"] == traces["/api/products/1"] != traces["/order/2"]


async def test_a_whole_namespace_is_captured_each_request_once_and_a_workload_keeps_its_own_settings(
    mesh: cluster.Mesh, namespace: str, shop: int
) -> None:
    workloads = {
        "everyone": {"namespace": namespace},
        "shop": {"namespace": namespace, "labels": {"app": "shop"}, "capture": {"maxBodyBytes": 10}},
    }
    async with (
        mesh.applied(scenario.manifests(namespace, workloads=workloads)),
        mesh.collector(scenario.HOST) as collector,
        mesh.proxy(namespace, {"app": "shop"}, app_port=shop) as labelled,
        mesh.proxy(namespace, {"app": "reviews"}, app_port=shop) as other,
        mesh.proxy("default", {"app": "shop"}, app_port=shop) as elsewhere,
        labelled.client() as to_labelled,
        other.client() as to_other,
        elsewhere.client() as to_elsewhere,
    ):
        await scenario.capturing(labelled)
        await scenario.capturing(labelled, workload="everyone")
        await scenario.capturing(other, workload="everyone")
        await to_elsewhere.get("/api/products/1")
        cut = await to_labelled.get("/api/products/2")
        whole = await to_other.get("/api/products/3")
        spans = await scenario.complete(collector, 2, to_labelled, to_other)
        filters = dump.filter_names(await labelled.config_dump(), labelled.inbound)
        unselected = dump.filter_names(await elsewhere.config_dump(), elsewhere.inbound)
    assert filters[:2] == ["astra-capture-shop", "astra-capture-everyone"]
    assert not any(name.startswith("astra-") for name in unselected)
    assert scenario.targets(spans) == ["GET /api/products/2", "GET /api/products/3", "GET /last", "GET /last"]
    bodies = {
        str(span.attributes["http.target"]): (
            span.attributes["http.response.body"],
            span.attributes.get("http.response.body.truncated"),
        )
        for span in spans
        if span.attributes["http.target"] != scenario.LAST
    }
    assert bodies == {"/api/products/2": (cut.text[:10], True), "/api/products/3": (whole.text, None)}


class _Front:
    """An application that answers each order by a request of its own, passing the trace on.

    Attributes:
        port: where it listens.
        outbound: its sidecar's outbound listener.
    """

    def __init__(self, host: str) -> None:
        self.port = 0
        self.outbound: httpx.AsyncClient | None = None
        self._host = host

    async def order(self, request: web.Request) -> web.Response:
        assert self.outbound
        answer = await self.outbound.get(
            f"/api/products/{request.match_info['id']}",
            headers={"host": self._host, "x-request-id": request.headers["x-request-id"]},
        )
        return web.Response(body=answer.content, status=answer.status_code)


@asynccontextmanager
async def _front(host: str) -> AsyncIterator[_Front]:
    front = _Front(host)
    application = web.Application()
    application.router.add_get("/order/{id}", front.order)
    async with server.serve(application) as front.port:
        yield front
