"""What verify reads from a real Envoy's admin interface, healthy and not."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from components.istio.read import captures
from components.verify import admin
from components.verify.admin import AdminError
from components.verify.facts import Exports, Proxy
from lab import mesh, server, stack, versions
from lab.bootstrap import Json, Listener
from lab.mesh import Lab
from tests.envoy.upstreams import COLLECTOR, endpoint_at, refusing

pytestmark = pytest.mark.anyio

QUICK = {"export": {"timeoutMs": 200}}
CLUSTER = "outbound|4318||astra-traffic-collector.astra-collector"
LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
MINOR = int(versions.selected().split(".")[1])
# As Istio's agent writes it: istio/istio, pkg/bootstrap/config.go.
KEPT_BY_ISTIO = ("cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm")


async def read(lab: Lab, cluster: str = CLUSTER) -> Proxy:
    return await asyncio.to_thread(admin.read, admin.client(lab.envoy.admin), {cluster})


async def exports(lab: Lab, count: int) -> Exports:
    """What became of so many requests' exports, once that is known of all."""
    async with lab.client() as client:
        for _ in range(count):
            assert (await client.get("/api/products")).is_success
    async with asyncio.timeout(10):
        while True:
            found = await asyncio.to_thread(admin.read_exports, admin.client(lab.envoy.admin), {CLUSTER})
            # Of one that was answered between two readings, the second knows more.
            again = (await read(lab)).clusters[CLUSTER].exports
            if found[CLUSTER].sent >= count and again == found[CLUSTER]:
                return again
            await asyncio.sleep(0.02)


def as_in_istio(config: Json) -> None:
    patterns = [{"prefix": prefix} for prefix in KEPT_BY_ISTIO]
    config["stats_config"] = {"stats_matcher": {"inclusion_list": {"patterns": patterns}}}


async def test_a_healthy_proxy_has_the_declared_filter_and_cluster_and_its_exports_arrive(lab: Lab) -> None:
    assert (await exports(lab, 3)) == Exports(answered=3, refused=0, over_limit=0)
    proxy = await read(lab)
    [capture] = captures(stack.manifests())
    assert proxy.filters == frozenset(capture.filters_of("sidecar"))
    assert proxy.version == (1, MINOR)
    assert not proxy.clusters[CLUSTER].tls
    assert len(proxy.clusters[CLUSTER].ports) == 1
    assert proxy.rejected == ()


async def test_counters_are_read_where_envoy_has_them(lab: Lab) -> None:
    await exports(lab, 3)
    counters = (await read(lab)).counters
    assert counters["errors"] == 0
    assert (counters.get("captured"), counters.get("exported")) == ((3, 3) if MINOR >= 38 else (None, None))


async def test_exports_are_seen_where_istio_hides_the_statistics() -> None:
    async with mesh.running(stack.manifests(), configure=as_in_istio) as lab:
        assert await exports(lab, 3) == Exports(answered=3)
        assert (await read(lab)).counters == {}


async def refuse(_: web.Request) -> web.Response:
    return web.Response(status=400)


async def fail(_: web.Request) -> web.Response:
    return web.Response(status=503)


async def hang(_: web.Request) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (refuse, Exports(answered=2, refused=2, over_limit=0)),
        (fail, Exports(failed=2, refused=0, over_limit=0)),
        (hang, Exports(failed=2, timed_out=2, refused=0, over_limit=0)),
    ],
)
async def test_what_the_collector_does_to_exports_is_seen(behaviour: Any, expected: Exports) -> None:
    async with mesh.running(stack.manifests(capture=QUICK)) as lab:
        lab.collector.behaviour = behaviour
        assert await exports(lab, 2) == expected


async def test_a_collector_that_refuses_connections_is_seen() -> None:
    with refusing() as bound:
        configure = endpoint_at(bound.getsockname()[1], of=COLLECTOR)
        async with mesh.running(stack.manifests(), configure=configure) as lab:
            found = await exports(lab, 2)
    assert (found.answered, found.failed, found.connect_failed) == (0, 2, 2)


async def test_what_the_limits_drop_is_seen() -> None:
    manifests = stack.manifests(
        capture=QUICK, egress={"limits": {"maxConnections": 1, "maxPendingRequests": 1}}
    )
    async with mesh.running(manifests) as lab:
        lab.collector.behaviour = hang
        async with lab.client() as client, asyncio.timeout(20):
            while not (await read(lab)).clusters[CLUSTER].exports.over_limit:
                assert (await client.get("/api/products")).is_success


def removed(config: Json) -> None:
    clusters = config["static_resources"]["clusters"]
    clusters[:] = [cluster for cluster in clusters if not cluster["name"].startswith(COLLECTOR)]


async def test_a_missing_cluster_is_seen_and_what_was_dropped_for_it() -> None:
    async with mesh.running(stack.manifests(), configure=removed) as lab:
        async with lab.client() as client:
            await client.get("/api/products")
        proxy = await read(lab)
    assert proxy.clusters == {}
    assert proxy.counters.get("dropped_no_cluster") == (1 if MINOR >= 38 else None)


def emptied(config: Json) -> None:
    for cluster in config["static_resources"]["clusters"]:
        if cluster["name"].startswith(COLLECTOR):
            cluster["load_assignment"]["endpoints"] = []


async def test_a_cluster_without_endpoints_is_seen() -> None:
    async with mesh.running(stack.manifests(), configure=emptied) as lab:
        assert (await read(lab)).clusters[CLUSTER].ports == ()


def with_tls(config: Json) -> None:
    for cluster in config["static_resources"]["clusters"]:
        if cluster["name"].startswith(COLLECTOR):
            kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
            cluster["transport_socket"] = {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {"@type": kind, "sni": "collector.example.com"},
            }


async def test_tls_and_its_failure_are_seen() -> None:
    async with mesh.running(stack.manifests(), configure=with_tls) as lab:
        found = await exports(lab, 1)
        assert (await read(lab)).clusters[CLUSTER].tls
    assert (found.answered, found.failed, found.connect_failed) == (0, 1, 1)


async def test_errors_of_a_script_are_seen() -> None:
    broken = {
        "name": "broken",
        "typed_config": {
            "@type": LUA,
            "default_source_code": {"inline_string": "function envoy_on_request(h) error('x') end"},
        },
    }
    async with mesh.running(stack.manifests(), listeners=[Listener(filters_before=[broken])]) as lab:
        async with lab.client() as client:
            await client.get("/api/products")
        assert (await read(lab)).counters["errors"] == 1


async def test_a_cluster_of_another_name_is_not_taken_for_the_collectors(lab: Lab) -> None:
    assert (await read(lab, CLUSTER[:-1])).clusters == {}


async def html(_: web.Request) -> web.Response:
    return web.Response(text="<html>", content_type="text/html")


async def other_json(_: web.Request) -> web.Response:
    return web.json_response({"node": 7})


async def a_list(_: web.Request) -> web.Response:
    return web.json_response([])


async def missing(_: web.Request) -> web.Response:
    raise web.HTTPNotFound


@pytest.mark.parametrize("answer", [html, other_json, a_list, missing])
async def test_what_is_no_admin_interface_is_told_in_one_line(answer: Any) -> None:
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with server.serve(application) as port:
        with pytest.raises(AdminError) as error:
            await asyncio.to_thread(admin.read, admin.client(f"{server.LOOPBACK}:{port}"), {CLUSTER})
    assert str(error.value)
    assert "\n" not in str(error.value)


async def test_a_port_that_nobody_listens_on_is_told_in_one_line() -> None:
    with refusing() as bound:
        get = admin.client(f"{server.LOOPBACK}:{bound.getsockname()[1]}")
        with pytest.raises(AdminError, match="refused"):
            await asyncio.to_thread(admin.read, get, {CLUSTER})
