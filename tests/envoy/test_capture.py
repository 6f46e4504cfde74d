"""What a real Envoy with the rendered filter exports, exchange by exchange."""

import gzip
import json

import anyio
import httpx
import pytest

from lab import mesh, raw, stack, versions
from lab.bootstrap import Listener, Workload
from lab.mesh import Lab
from lab.otlp import Span

pytestmark = pytest.mark.anyio

TWELVE = {
    "sensor.id",
    "http.method",
    "http.status_code",
    "http.target",
    "http.host",
    "http.flavor",
    "http.scheme",
    "net.sock.peer.addr",
    "http.request.headers",
    "http.response.headers",
    "http.request.body",
    "http.response.body",
}


DENY_ALL = {
    "name": "envoy.filters.http.rbac",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": {"action": "ALLOW", "policies": {}},
    },
}


async def only_span(lab: Lab) -> Span:
    """The one span that the collector took."""
    [span] = await lab.collector.spans(1)
    assert lab.collector.refused == []
    return span


async def test_a_get_without_a_body(lab: Lab, client: httpx.AsyncClient) -> None:
    response = await client.get("/api/products?page=1", headers={"host": "shop.example.com"})
    span = await only_span(lab)
    attributes = dict(span.attributes)
    headers = json.loads(str(attributes.pop("http.request.headers")))
    answered = json.loads(str(attributes.pop("http.response.headers")))
    assert headers["host"] == "shop.example.com"
    assert answered["content-type"] == response.headers["content-type"]
    assert attributes == {
        "sensor.id": "00000000-0000-4000-8000-000000000001",
        "http.method": "GET",
        "http.status_code": 200,
        "http.target": "/api/products?page=1",
        "http.host": "shop.example.com",
        "http.flavor": "1.1",
        "http.scheme": "http",
        "net.sock.peer.addr": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "http.request.body": "",
        "http.response.body": response.text,
        "http.response.body.size": len(response.content),
    }
    assert (span.name, span.kind, span.status_code) == ("GET", 2, 0)
    assert span.resource == {"service.name": "astra-istio-instrumentation", "service.version": "1.0.0"}
    assert span.scope == "astra-istio-servicemesh"
    assert 0 < span.end_ns - span.start_ns < 10e9


async def test_a_json_post(lab: Lab, client: httpx.AsyncClient) -> None:
    response = await client.post("/api/products", json={"item": "tea", "comment": 'sm\xf6rg\xe5s "quoted"\n'})
    span = await only_span(lab)
    assert span.attributes.keys() - TWELVE == {
        "network.peer.address",
        "http.request.body.size",
        "http.response.body.size",
    }
    assert span.attributes["http.request.body"] == response.request.content.decode()
    assert span.attributes["http.response.body"] == response.text


@pytest.mark.parametrize(
    ("path", "status", "span_status"), [("/api/products/9", 404, 0), ("/api/broken", 500, 2)]
)
async def test_errors_of_the_application(
    lab: Lab, client: httpx.AsyncClient, path: str, status: int, span_status: int
) -> None:
    response = await client.get(path)
    span = await only_span(lab)
    assert (response.status_code, span.attributes["http.status_code"]) == (status, status)
    assert span.attributes["http.response.body"] == response.text
    assert span.status_code == span_status


async def test_a_gzip_response_passes_compressed_and_is_shown_inflated(
    lab: Lab, client: httpx.AsyncClient
) -> None:
    async with client.stream("GET", "/api/report") as response:
        content = b"".join([chunk async for chunk in response.aiter_raw()])
    span = await only_span(lab)
    assert span.attributes["http.response.body"] == gzip.decompress(content).decode()
    assert span.attributes["http.response.body.size"] == len(content)
    assert "http.response.body.truncated" not in span.attributes


async def test_a_binary_response_with_nul_bytes_passes_whole_and_is_left_out(
    lab: Lab, client: httpx.AsyncClient
) -> None:
    response = await client.get("/api/logo.png")
    span = await only_span(lab)
    assert b"\0" in response.content
    assert span.attributes["http.response.body"] == ""
    assert span.attributes["http.response.body.size"] == len(response.content)
    assert span.attributes["http.response.body.omitted"] == "binary"


@pytest.mark.setting("capture.binaryBodies")
async def test_a_binary_response_with_nul_bytes_can_be_sent_as_it_is() -> None:
    manifests = stack.manifests(capture={"binaryBodies": "bytes"})
    async with mesh.running(manifests) as lab, lab.client() as client:
        response = await client.get("/api/logo.png")
        span = await only_span(lab)
    assert span.attributes["http.response.body"] == response.content


async def test_http_1_0(lab: Lab) -> None:
    async with raw.connect(lab.envoy.ports["inbound"]) as connection:
        await connection.send(b"GET /api/products HTTP/1.0\r\nHost: old.example.com\r\n\r\n")
        response = await connection.response()
    span = await only_span(lab)
    assert response.status == 200
    assert (span.attributes["http.flavor"], span.attributes["http.host"]) == ("1.0", "old.example.com")
    assert span.attributes["http.response.body"] == response.body.decode()


async def test_http_2(lab: Lab) -> None:
    async with lab.client(http2=True) as client:
        response = await client.post("/echo", content=b"over h2", headers={"content-type": "text/plain"})
    span = await only_span(lab)
    assert response.http_version == "HTTP/2"
    assert span.attributes["http.flavor"] == "2"
    assert span.attributes["http.request.body"] == "over h2"


async def test_repeated_headers(lab: Lab, client: httpx.AsyncClient) -> None:
    await client.post(
        "/api/login", headers=[("via", "1.1 first"), ("via", "1.1 second")], json={"user": "jane"}
    )
    span = await only_span(lab)
    assert json.loads(str(span.attributes["http.request.headers"]))["via"] == "1.1 first,1.1 second"
    set_cookie = json.loads(str(span.attributes["http.response.headers"]))["set-cookie"]
    assert set_cookie == "session=***; HttpOnly,theme=***"


async def test_the_connections_peer_is_told_whatever_a_client_writes_into_headers(
    lab: Lab, client: httpx.AsyncClient
) -> None:
    await client.get("/api/products", headers={"x-forwarded-for": "203.0.113.9", "x-real-ip": "203.0.113.9"})
    attributes = (await only_span(lab)).attributes
    assert (attributes["net.sock.peer.addr"], attributes["network.peer.address"]) == (
        "203.0.113.9",
        "127.0.0.1",
    )


async def test_a_request_that_envoy_refuses_by_itself_has_the_scheme_of_its_connection(lab: Lab) -> None:
    async with raw.connect(lab.envoy.ports["inbound"]) as connection:
        await connection.send(b"GET / HTTP/1.1\r\n\r\n")
        response = await connection.response()
    attributes = (await only_span(lab)).attributes
    assert (response.status, attributes["http.status_code"]) == (400, 400)
    assert attributes["http.scheme"] == "http"


async def test_a_skipped_path_exports_nothing_and_logs_nothing(lab: Lab, client: httpx.AsyncClient) -> None:
    skipped = await client.get("/static/app.js")
    await client.get("/api/products")
    span = await only_span(lab)
    assert skipped.is_success
    assert span.attributes["http.target"] == "/api/products"
    assert "astra" not in lab.envoy.log()


@pytest.mark.setting("capture.samplingRatio")
async def test_an_unsampled_request_exports_nothing_and_logs_nothing() -> None:
    manifests = stack.manifests(capture={"samplingRatio": 0})
    async with mesh.running(manifests) as lab, lab.client() as client:
        for _ in range(20):
            assert (await client.get("/api/products")).is_success
        stats = await lab.envoy.stats("lua|outbound")
        log = lab.envoy.log()
    assert stats["http.inbound.lua.astra_capture.errors"] == 0
    assert [value for name, value in stats.items() if name.endswith("upstream_rq_total")] == [0]
    assert "astra" not in log


async def test_a_request_denied_by_a_filter_after_ours_is_captured_whole() -> None:
    listener = Listener(filters_after=[DENY_ALL])
    async with mesh.running(stack.manifests(), listeners=[listener]) as lab, lab.client() as client:
        response = await client.post("/api/login", json={"user": "eve"})
        span = await only_span(lab)
    assert (response.status_code, span.attributes["http.status_code"]) == (403, 403)
    assert (span.attributes["http.method"], span.attributes["http.target"]) == ("POST", "/api/login")
    assert span.attributes["http.response.body"] == response.text
    # It was denied before its body came.
    assert span.attributes["http.request.body"] == ""
    assert span.attributes["http.request.body.omitted"] == "unread"
    assert span.attributes["http.request.body.size"] == len(response.request.content)


async def test_a_request_denied_by_a_filter_before_ours_is_captured_by_its_response() -> None:
    listener = Listener(filters_before=[DENY_ALL])
    async with mesh.running(stack.manifests(), listeners=[listener]) as lab, lab.client() as client:
        response = await client.get("/api/login")
        span = await only_span(lab)
        errors = await lab.envoy.stats("lua.*errors")
    assert span.attributes["http.status_code"] == 403
    assert span.attributes["http.response.body"] == response.text
    assert set(errors.values()) == {0}


async def test_an_internally_redirected_request_is_one_span_that_is_not_aborted() -> None:
    redirecting = {
        "match": {"path": "/echo"},
        "route": {"cluster": "inbound|8080||", "internal_redirect_policy": {"max_internal_redirects": 3}},
    }
    listener = Listener(routes=[redirecting])
    async with mesh.running(stack.manifests(), listeners=[listener]) as lab, lab.client() as client:
        to = {"status": "302", "header": "location:http://h/api/products"}
        response = await client.get("/echo", params=to)
        span = await only_span(lab)
    assert (response.status_code, span.attributes["http.status_code"]) == (200, 200)
    assert str(span.attributes["http.target"]).startswith("/echo?")
    assert span.attributes["http.response.body"] == response.text
    assert "error.type" not in span.attributes


async def test_a_direct_response_to_an_unfinished_upload_is_captured() -> None:
    route = {
        "match": {"path": "/full"},
        "direct_response": {"status": 413, "body": {"inline_string": "too large"}},
    }
    listener = Listener(routes=[route])
    async with mesh.running(stack.manifests(), listeners=[listener]) as lab:
        async with raw.connect(lab.envoy.ports["inbound"]) as connection:
            await connection.send(
                b"POST /full HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
            )
            response = await connection.response()
        span = await only_span(lab)
    assert response.status == 413
    assert span.attributes["http.status_code"] == 413
    assert span.attributes["http.response.body"] == "too large"


async def test_ids_repeat_neither_over_two_workers_nor_over_a_restart() -> None:
    spans: list[Span] = []
    manifests = stack.manifests()
    listener = Listener(connection_manager={"generate_request_id": False})
    for _ in range(2):
        async with mesh.running(manifests, listeners=[listener], workers=2) as lab:
            await flood(lab, requests=5_000, connections=16)
            spans += await lab.collector.spans(5_000, timeout=30)
            assert lab.collector.refused == []
    assert len(spans) == 10_000
    assert len({span.span_id for span in spans}) == len({span.trace_id for span in spans}) == 10_000


async def flood(lab: Lab, *, requests: int, connections: int) -> None:
    """Sends requests over connections kept open, as fast as they are answered."""
    left = iter(range(requests))

    async def one_connection() -> None:
        async with raw.connect(lab.envoy.ports["inbound"]) as connection:
            for _ in left:
                await connection.send(b"GET /api/products HTTP/1.1\r\nHost: h\r\n\r\n")
                assert (await connection.response()).status == 200

    async with anyio.create_task_group() as group:
        for _ in range(connections):
            group.start_soon(one_connection)


async def test_exchanges_are_counted_where_envoy_has_counters_for_lua(
    lab: Lab, client: httpx.AsyncClient
) -> None:
    await client.post("/api/login", json={"user": "jane", "password": "x"})
    await only_span(lab)
    found = await lab.envoy.stats(r"lua\.astra_capture\.(captured|exported|masked)")
    counted = {name.rpartition(".")[2]: value for name, value in found.items()}
    minor = int(versions.selected().split(".")[1])
    # The request's body; the response's set-cookie, twice, and body.
    assert counted == ({"captured": 1, "exported": 1, "masked": 4} if minor >= 38 else {})


@pytest.mark.setting("capture.compatibility")
async def test_guide_compatibility_is_the_guides_payload_and_nothing_more() -> None:
    manifests = stack.manifests(capture={"compatibility": "guide"})
    async with mesh.running(manifests) as lab, lab.client() as client:
        await client.get("/api/broken")
        span = await only_span(lab)
    assert span.attributes.keys() == TWELVE
    assert (span.name, span.kind, span.status_code, span.parent_span_id) == ("example-span", 1, 0, "")


async def test_a_filter_in_a_workload_and_one_in_its_namespace_capture_once() -> None:
    workloads = {
        "whole": {"namespace": "default", "capture": {"scopeName": "whole"}},
        "one": {"namespace": "default", "labels": {"app": "one"}, "capture": {"scopeName": "one"}},
    }
    manifests = stack.manifests(workloads=workloads)
    pod = Workload("default", {"app": "one"})
    async with mesh.running(manifests, workload=pod) as lab, lab.client() as client:
        for _ in range(3):
            await client.get("/api/products")
        spans = await lab.collector.spans(3)
        log = lab.envoy.log()
    assert [span.scope for span in spans] == ["one"] * 3
    assert "astra" not in log
