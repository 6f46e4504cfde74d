"""What each setting of a stack changes in a real Envoy; docs/settings.md names these tests by their marks."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web

from lab import mesh, raw, stack
from lab.bootstrap import Listener, Workload
from lab.mesh import Lab
from lab.otlp import Span

pytestmark = pytest.mark.anyio

CHECKOUT = Workload("shop", {"app": "checkout"})
BOTH_WAYS = (Listener("inbound", "SIDECAR_INBOUND"), Listener("outbound", "SIDECAR_OUTBOUND"))


@asynccontextmanager
async def capturing(**settings: Any) -> AsyncIterator[tuple[Lab, httpx.AsyncClient]]:
    """A lab of the dev stack with these capture settings, and a client of it."""
    async with mesh.running(stack.manifests(capture=settings)) as lab, lab.client() as client:
        yield lab, client


async def only_span(lab: Lab) -> Span:
    [span] = await lab.collector.spans(1)
    assert lab.collector.refused == []
    return span


async def collector_stats(lab: Lab) -> dict[str, int]:
    """What Envoy counts of the collector's cluster, by the last part of the name."""
    stats = await lab.envoy.stats(r"^cluster\.outbound\|")
    return {name.rpartition(".")[2]: value for name, value in stats.items() if ".high." not in name}


async def exports(lab: Lab) -> int:
    """How often Envoy has called a collector that answers."""
    while (await collector_stats(lab))["upstream_rq_pending_active"]:
        pass  # counted once they have a connection
    return (await collector_stats(lab))["upstream_rq_total"]


@asynccontextmanager
async def in_flight(lab: Lab) -> AsyncIterator[None]:
    """A captured request that stays unfinished for as long as the block lasts."""
    async with raw.connect(lab.envoy.ports["inbound"]) as connection:
        head = b"POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        await connection.send(head)
        assert (await connection.response()).status == 100
        yield
        await connection.send(b"held")
        assert (await connection.response()).status == 200


@pytest.mark.setting("sensorId")
async def test_every_span_carries_the_sensor_id() -> None:
    sensor_id = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"
    async with mesh.running(stack.manifests(sensorId=sensor_id)) as lab, lab.client() as client:
        await client.get("/api/products")
        span = await only_span(lab)
    assert span.attributes["sensor.id"] == sensor_id


@pytest.mark.setting("collectorUrl")
@pytest.mark.parametrize(
    ("url", "cluster", "authority", "path"),
    [
        ("http://otel.observability:4318", "4318||otel.observability", "otel.observability", "/v1/traces"),
        ("https://otel.example.com/tenant/7", "4318||otel.example.com", "otel.example.com", "/tenant/7"),
    ],
)
async def test_spans_go_to_the_collectors_cluster_host_and_path(
    url: str, cluster: str, authority: str, path: str
) -> None:
    called: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()

    async def note(request: web.Request) -> web.Response:
        called.set_result((request.host, request.path))
        return web.Response()

    async with mesh.running(stack.manifests(collectorUrl=url)) as lab, lab.client() as client:
        lab.collector.behaviour = note
        await client.get("/api/products")
        assert await asyncio.wait_for(called, 5) == (authority, path)
        stats = await lab.envoy.stats(r"^cluster\.outbound.*upstream_rq_total$")
    assert stats == {f"cluster.outbound|{cluster}.upstream_rq_total": 1}


@pytest.mark.setting("egress.create")
async def test_a_second_stack_exports_through_the_first_ones_entry() -> None:
    first, second = stack.manifests(), stack.manifests(egress={"create": False})
    [capture] = second
    entry = [manifest for manifest in first if manifest["kind"] != "EnvoyFilter"]
    async with mesh.running([*entry, capture]) as lab, lab.client() as client:
        await client.get("/api/products")
        await only_span(lab)


@pytest.mark.setting("egress.location")
@pytest.mark.parametrize(("location", "port"), [("mesh", 8443), ("external", 4318)])
async def test_https_leaves_by_the_urls_port_in_the_mesh_and_by_a_port_of_its_own_outside(
    location: str, port: int
) -> None:
    manifests = stack.manifests(collectorUrl="https://otel.example.com:8443", egress={"location": location})
    async with mesh.running(manifests) as lab, lab.client() as client:
        await client.get("/api/products")
        await only_span(lab)
        stats = await lab.envoy.stats(r"^cluster\.outbound.*upstream_rq_total$")
    assert stats == {f"cluster.outbound|{port}||otel.example.com.upstream_rq_total": 1}


@pytest.mark.setting("egress.limits")
async def test_without_limits_nothing_bounds_what_waits_for_the_collector() -> None:
    async with mesh.running(stack.manifests(egress={"limits": None})) as lab:
        stats = await collector_stats(lab)
    assert stats["remaining_cx"] == 2**32 - 1
    assert stats["remaining_pending"] == 2**32 - 1


@pytest.mark.setting("egress.limits.maxConnections", "egress.limits.maxPendingRequests")
async def test_a_hung_collector_gets_no_more_connections_and_waiting_calls_than_the_limits() -> None:
    limits = {"maxConnections": 2, "maxPendingRequests": 3}

    async def hang(_: web.Request) -> web.StreamResponse:
        return await asyncio.Future()

    async with mesh.running(stack.manifests(egress={"limits": limits})) as lab, lab.client() as client:
        lab.collector.behaviour = hang
        for _ in range(10):
            assert (await client.get("/api/products")).is_success
        stats = await collector_stats(lab)
    assert stats["upstream_cx_active"] == 2
    assert stats["upstream_rq_pending_active"] == 3
    assert stats["upstream_rq_pending_overflow"] == 5


@pytest.mark.setting("workloads", "workloads.*.capture")
async def test_each_workload_is_captured_with_the_stacks_settings_and_its_own_over_them() -> None:
    manifests = stack.manifests(
        capture={"scopeName": "stack", "maxBodyBytes": 3},
        workloads={
            "checkout": {"namespace": "shop", "labels": {"app": "checkout"}},
            "reviews": {"namespace": "books", "labels": {"app": "reviews"}, "capture": {"scopeName": "own"}},
        },
    )
    found = []
    for pod in (CHECKOUT, Workload("books", {"app": "reviews"})):
        async with mesh.running(manifests, workload=pod) as lab, lab.client() as client:
            await client.post("/echo", content="tea time")
            span = await only_span(lab)
            found.append((span.scope, span.attributes["http.request.body"]))
    assert found == [("stack", "tea"), ("own", "tea")]


@pytest.mark.setting("workloads.*.namespace", "workloads.*.labels")
@pytest.mark.parametrize(
    ("pod", "captured"),
    [
        (CHECKOUT, True),
        (Workload("shop", {"app": "checkout", "track": "canary"}), True),
        (Workload("shop", {"app": "reviews"}), False),
        (Workload("books", {"app": "checkout"}), False),
    ],
)
async def test_the_pods_of_the_namespace_that_have_the_labels_are_captured(
    pod: Workload, captured: bool
) -> None:
    workloads = {"w": {"namespace": "shop", "labels": {"app": "checkout"}}}
    async with (
        mesh.running(stack.manifests(workloads=workloads), workload=pod) as lab,
        lab.client() as client,
    ):
        assert (await client.get("/api/products")).is_success
        assert await exports(lab) == int(captured)


@pytest.mark.setting("workloads.*.directions")
@pytest.mark.parametrize(
    ("directions", "kinds"), [(["inbound"], [2]), (["outbound"], [3]), (["inbound", "outbound"], [2, 3])]
)
async def test_requests_are_captured_in_the_directions_that_were_said(
    directions: list[str], kinds: list[int]
) -> None:
    workloads = {"checkout": {"namespace": "shop", "labels": {"app": "checkout"}, "directions": directions}}
    manifests = stack.manifests(workloads=workloads)
    async with mesh.running(manifests, workload=CHECKOUT, listeners=BOTH_WAYS) as lab:
        for listener in BOTH_WAYS:
            async with lab.client(listener.name) as client:
                await client.get("/api/products")
        assert await exports(lab) == len(kinds)
        assert [span.kind for span in await lab.collector.spans(len(kinds))] == kinds


@pytest.mark.setting("workloads.*.mechanism")
async def test_a_traffic_extension_captures_like_an_envoy_filter() -> None:
    workload = {"namespace": "shop", "labels": {"app": "checkout"}, "mechanism": "TrafficExtension"}
    manifests = stack.manifests(workloads={"checkout": workload})
    assert "TrafficExtension" in [manifest["kind"] for manifest in manifests]
    async with mesh.running(manifests, workload=CHECKOUT) as lab, lab.client() as client:
        await client.get("/api/products")
        span = await only_span(lab)
    assert span.attributes["http.target"] == "/api/products"


@pytest.mark.setting("capture.enabled")
async def test_a_capture_that_is_not_enabled_exports_and_masks_nothing_and_lets_everything_pass() -> None:
    async with capturing(enabled=False) as (lab, client):
        for _ in range(20):
            assert (await client.post("/echo", content=b"as it is")).content == b"as it is"
        assert await exports(lab) == 0
        assert set((await lab.envoy.stats("lua.*errors")).values()) == {0}


async def test_a_workload_that_is_not_enabled_is_left_out_of_its_namespaces_capture() -> None:
    workloads = {
        "all": {"namespace": "shop", "labels": {}},
        "checkout": {"namespace": "shop", "labels": CHECKOUT.labels, "capture": {"enabled": False}},
    }
    manifests = stack.manifests(workloads=workloads)
    async with mesh.running(manifests, workload=CHECKOUT) as lab, lab.client() as client:
        assert (await client.get("/api/products")).status_code == 200
        assert await exports(lab) == 0


@pytest.mark.setting("capture.samplingRatio")
async def test_about_that_share_of_requests_is_captured() -> None:
    async with capturing(samplingRatio=0.5) as (lab, client):
        for _ in range(200):
            await client.get("/api/products")
        assert 60 < await exports(lab) < 140  # a fair coin misses that once in 10^8 runs


@pytest.mark.setting("capture.maxBodyBytes")
async def test_of_each_body_that_many_bytes_are_kept() -> None:
    async with capturing(maxBodyBytes=5) as (lab, client):
        response = await client.post("/echo", content="tea time")
        span = await only_span(lab)
    assert response.text == "tea time"
    for side in ("request", "response"):
        assert span.attributes[f"http.{side}.body"] == "tea t"
        assert span.attributes[f"http.{side}.body.size"] == 8
        assert span.attributes[f"http.{side}.body.truncated"] is True


@pytest.mark.setting("capture.maxHeaderValueBytes", "capture.maxHeadersBytes", "capture.maxPathBytes")
async def test_of_header_values_and_of_the_path_that_many_bytes_are_kept() -> None:
    bounds = {"maxHeaderValueBytes": 600, "maxHeadersBytes": 1024, "maxPathBytes": 64}
    sent = {"x-a": "a" * 700, "x-b": "b" * 700}
    async with capturing(headers=list(sent), **bounds) as (lab, client):
        await client.get("/echo?" + "q" * 100, headers=sent)
        attributes = (await only_span(lab)).attributes
    headers = json.loads(str(attributes["http.request.headers"]))
    assert headers["x-a"] == "a" * 600
    assert headers["x-b"] == "b" * (1024 - 600 - 1)
    assert attributes["http.target"] == ("/echo?" + "q" * 100)[:64]
    assert attributes["http.request.headers.truncated"] is True
    assert attributes["http.target.truncated"] is True
    assert "http.response.headers.truncated" not in attributes


@pytest.mark.setting("capture.maxSpansPerSecond")
async def test_each_second_that_many_requests_are_captured() -> None:
    async with capturing(maxSpansPerSecond=1) as (lab, client):
        first = int(time.time())
        for _ in range(50):
            assert (await client.get("/api/products")).is_success
        seconds = int(time.time()) - first + 1
        assert 1 <= await exports(lab) <= seconds < 50


@pytest.mark.setting("capture.contentTypes")
@pytest.mark.parametrize(
    ("content_type", "captured"),
    [("application/x-acme", ("caf\ufffd", None)), ("text/plain", ("", "binary"))],
)
async def test_bodies_of_the_content_types_are_text_whatever_their_bytes(
    content_type: str, captured: tuple[str, str | None]
) -> None:
    async with capturing(contentTypes=["application/x-acme"]) as (lab, client):
        await client.post("/echo", content=b"caf\xe9", headers={"content-type": content_type})
        attributes = (await only_span(lab)).attributes
    assert (attributes["http.request.body"], attributes.get("http.request.body.omitted")) == captured


@pytest.mark.setting("capture.compressedBodies")
@pytest.mark.parametrize(
    ("setting", "captured"),
    [("inflate", ('{"user":"jane","pin":"***"}', None)), ("omit", ("", "encoding"))],
)
async def test_compressed_bodies_are_inflated_unless_the_setting_says_otherwise(
    setting: str, captured: tuple[str, str | None]
) -> None:
    body = gzip.compress(b'{"user":"jane","pin":"1234"}')
    async with capturing(compressedBodies=setting) as (lab, client):
        response = await client.post("/echo", content=body, headers={"content-encoding": "gzip"})
        attributes = (await only_span(lab)).attributes
    assert response.is_success
    assert (attributes["http.request.body"], attributes.get("http.request.body.omitted")) == captured
    assert attributes["http.request.body.size"] == len(body)


@pytest.mark.setting("capture.headers")
async def test_the_headers_that_were_listed_are_recorded_and_no_others() -> None:
    async with capturing(headers=["X-Tenant", "content-length"]) as (lab, client):
        await client.get("/api/products/1", headers={"x-tenant": "acme", "x-other": "1"})
        attributes = (await only_span(lab)).attributes
    assert json.loads(str(attributes["http.request.headers"])) == {"x-tenant": "acme"}
    assert json.loads(str(attributes["http.response.headers"])).keys() == {"content-length"}


@pytest.mark.setting("capture.redaction.mode")
@pytest.mark.parametrize(("mode", "shown"), [("mask", ("Bearer ***", "***")), ("none", ("Bearer t", "p"))])
async def test_secrets_are_masked_unless_masking_is_off(mode: str, shown: tuple[str, str]) -> None:
    async with capturing(redaction={"mode": mode}) as (lab, client):
        await client.post("/echo", json={"password": "p"}, headers={"authorization": "Bearer t"})
        attributes = (await only_span(lab)).attributes
    header = json.loads(str(attributes["http.request.headers"]))["authorization"]
    assert (header, json.loads(str(attributes["http.request.body"]))["password"]) == shown


@pytest.mark.setting("capture.redaction.headers")
async def test_the_headers_to_mask_are_masked_whatever_their_name() -> None:
    masked = {"headers": ["x-customer"]}
    async with capturing(headers=["x-customer", "x-order"], redaction=masked) as (lab, client):
        await client.get("/api/products", headers={"x-customer": "jane", "x-order": "7"})
        attributes = (await only_span(lab)).attributes
    assert json.loads(str(attributes["http.request.headers"])) == {"x-customer": "***", "x-order": "7"}


@pytest.mark.setting("capture.redaction.fields")
async def test_fields_named_by_the_secret_words_are_masked_and_no_others() -> None:
    async with capturing(redaction={"fields": ["iban", "tax id"]}) as (lab, client):
        await client.post("/echo?iban=DE1", json={"iban": "DE1", "taxId": "2", "password": "p", "taxi": "3"})
        attributes = (await only_span(lab)).attributes
    assert attributes["http.target"] == "/echo?iban=***"
    assert json.loads(str(attributes["http.request.body"])) == {
        "iban": "***",
        "taxId": "***",
        "password": "p",
        "taxi": "3",
    }


@pytest.mark.setting("capture.extraHeaders")
async def test_more_headers_are_recorded_besides_the_defaults() -> None:
    async with capturing(extraHeaders=["X-Tenant"]) as (lab, client):
        await client.get("/api/products/1", headers={"x-tenant": "acme", "accept": "a/b", "x-other": "1"})
        headers = json.loads(str((await only_span(lab)).attributes["http.request.headers"]))
    assert (headers["x-tenant"], headers["accept"], headers.get("x-other")) == ("acme", "a/b", None)


@pytest.mark.setting("capture.redaction.extraHeaders")
async def test_more_headers_are_masked_besides_the_defaults() -> None:
    masked = {"extraHeaders": ["x-customer"]}
    async with capturing(headers=["x-customer", "x-api-key"], redaction=masked) as (lab, client):
        await client.get("/api/products", headers={"x-customer": "jane", "x-api-key": "7"})
        attributes = (await only_span(lab)).attributes
    assert json.loads(str(attributes["http.request.headers"])) == {"x-customer": "***", "x-api-key": "***"}


@pytest.mark.setting("capture.redaction.extraFields")
async def test_more_words_make_a_name_secret_in_any_script_and_case() -> None:
    async with capturing(redaction={"extraFields": ["tax id", "émail"]}) as (lab, client):
        await client.post("/echo", json={"taxId": "2", "ÉMAIL": "j", "password": "p", "taxi": "3"})
        body = json.loads(str((await only_span(lab)).attributes["http.request.body"]))
    assert body == {"taxId": "***", "ÉMAIL": "***", "password": "***", "taxi": "3"}


@pytest.mark.setting("capture.redaction.keepFields")
async def test_words_that_are_kept_together_make_no_name_secret() -> None:
    async with capturing(redaction={"keepFields": ["session room"]}) as (lab, client):
        await client.post("/echo?session_room=B2", json={"sessionRoom": "B2", "session": "x"})
        attributes = (await only_span(lab)).attributes
    assert attributes["http.target"] == "/echo?session_room=B2"
    assert json.loads(str(attributes["http.request.body"])) == {"sessionRoom": "B2", "session": "***"}


@pytest.mark.setting("capture.redaction.values")
async def test_the_kinds_of_values_that_are_listed_are_masked_under_any_name() -> None:
    card, key = "4242 4242 4242 4242", "AKIAIOSFODNN7EXAMPLE"
    async with capturing(redaction={"values": ["card"]}) as (lab, client):
        await client.post("/echo", json={"memo": f"card {card}", "data": key})
        body = json.loads(str((await only_span(lab)).attributes["http.request.body"]))
    assert body == {"memo": "card ***card***", "data": key}


@pytest.mark.setting("capture.skipPaths")
async def test_the_paths_to_skip_are_not_captured() -> None:
    async with capturing(skipPaths=["/echo", "/api/products/*"]) as (lab, client):
        for path in ("/echo", "/echo?page=1", "/api/products/1", "/echoes", "/static/app.js"):
            await client.get(path)
        spans = await lab.collector.spans(2)
        assert await exports(lab) == 2
    assert [span.attributes["http.target"] for span in spans] == ["/echoes", "/static/app.js"]


@pytest.mark.setting("capture.maxSpansPerEndpoint")
async def test_each_minute_that_many_requests_of_an_endpoint_are_captured() -> None:
    async with capturing(maxSpansPerEndpoint=1) as (lab, client):
        first = int(time.time() / 60)
        for number in range(50):
            assert (await client.get(f"/api/products/{number}?page={number}")).status_code in {200, 404}
        minutes = int(time.time() / 60) - first + 1
        assert 1 <= await exports(lab) <= minutes < 50
        before = await exports(lab)
        await client.post("/api/products", json={})
        assert await exports(lab) == before + 1


@pytest.mark.setting("capture.hosts")
async def test_the_requests_of_the_hosts_are_captured_and_no_others() -> None:
    async with capturing(hosts=["shop.example.com", "*.api.example.com"]) as (lab, client):
        for host in ("shop.example.com:8080", "example.com", "eu.api.example.com"):
            await client.get("/echo", headers={"host": host})
        spans = await lab.collector.spans(2)
        assert await exports(lab) == 2
    assert [span.attributes["http.host"] for span in spans] == ["shop.example.com:8080", "eu.api.example.com"]


@pytest.mark.setting("capture.skipMethods")
async def test_the_methods_to_skip_are_not_captured() -> None:
    async with capturing(skipMethods=["OPTIONS"]) as (lab, client):
        for method in ("OPTIONS", "GET"):
            await client.request(method, "/echo")
        span = await only_span(lab)
        assert await exports(lab) == 1
    assert span.attributes["http.method"] == "GET"


@pytest.mark.setting("capture.skipContentTypes")
async def test_responses_of_the_types_to_skip_pass_and_are_not_captured() -> None:
    async with capturing(skipContentTypes=["image/*"]) as (lab, client):
        assert (await client.get("/api/logo.png")).content.startswith(b"\x89PNG")
        await client.get("/api/products")
        span = await only_span(lab)
        assert await exports(lab) == 1
    assert span.attributes["http.target"] == "/api/products"


@pytest.mark.setting("capture.trustedHops")
@pytest.mark.parametrize(("hops", "peer"), [(None, "6.6.6.6"), (0, "10.0.0.1"), (1, "203.0.113.9")])
async def test_the_client_is_the_entry_before_the_trusted_hops(hops: int | None, peer: str) -> None:
    async with capturing(trustedHops=hops) as (lab, client):
        forwarded = "6.6.6.6, 203.0.113.9:51234, 10.0.0.1"
        await client.get("/api/products", headers={"x-forwarded-for": forwarded})
        span = await only_span(lab)
    assert span.attributes["net.sock.peer.addr"] == peer


@pytest.mark.setting("capture.scheme")
@pytest.mark.parametrize(("scheme", "said"), [("auto", "http"), ("http", "http"), ("https", "https")])
async def test_spans_say_the_scheme_that_was_set(scheme: str, said: str) -> None:
    async with capturing(scheme=scheme) as (lab, client):
        await client.get("/api/products")
        span = await only_span(lab)
    assert span.attributes["http.scheme"] == said


@pytest.mark.setting("capture.export.encoding")
@pytest.mark.parametrize(
    ("settings", "content_type"),
    [
        pytest.param({}, "application/x-protobuf", id="default"),
        pytest.param({"export": {"encoding": "json"}}, "application/json", id="json"),
        pytest.param({"compatibility": "guide"}, "application/json", id="the guide's"),
    ],
)
async def test_spans_are_sent_in_that_encoding(settings: dict[str, Any], content_type: str) -> None:
    async with capturing(**settings) as (lab, client):
        await client.post("/echo", content=b"a\xffb", headers={"content-type": "text/plain"})
        span = await only_span(lab)
    assert lab.collector.content_types == [content_type]
    assert span.attributes["http.request.body"] == "a\ufffdb"


@pytest.mark.setting("capture.export.timeoutMs")
async def test_a_call_of_the_collector_ends_after_the_timeout() -> None:
    called, dropped = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        called.set()
        try:
            return await asyncio.Future()
        finally:  # Envoy gave up
            dropped.set()

    async with capturing(export={"timeoutMs": 20}) as (lab, client):
        lab.collector.behaviour = hang
        await client.get("/api/products")
        await asyncio.wait_for(called.wait(), 5)
        # The default is five seconds.
        await asyncio.wait_for(dropped.wait(), 4)
        assert (await collector_stats(lab))["upstream_rq_timeout"] == 1


@pytest.mark.setting("capture.export.maxBatchSpans")
async def test_a_batch_leaves_when_it_has_that_many_spans() -> None:
    async with capturing(export={"maxBatchSpans": 2, "maxDelayMs": 60000}) as (lab, client):
        async with in_flight(lab):
            for sent in (0, 1, 1, 2):
                await client.get("/api/products")
                assert await exports(lab) == sent
        assert len(await lab.collector.spans(5)) == 5
        assert len(lab.collector.requests) == 3


@pytest.mark.setting("capture.export.maxBatchBytes")
async def test_a_batch_leaves_before_it_has_more_than_that_many_bytes() -> None:
    async with capturing(export={"maxBatchBytes": 8192, "maxDelayMs": 60000}) as (lab, client):
        async with in_flight(lab):
            for sent in (0, 1, 2):
                await client.post("/echo", content="x" * 3000)  # recorded twice: each way
                assert await exports(lab) == sent
        assert len(await lab.collector.spans(4)) == 4
        assert max(lab.collector.requests) <= 8192


@pytest.mark.setting("capture.export.maxDelayMs")
@pytest.mark.parametrize(("milliseconds", "sent"), [(0, 1), (60000, 0)])
async def test_a_span_waits_that_long_for_requests_that_are_in_flight(milliseconds: int, sent: int) -> None:
    async with capturing(export={"maxDelayMs": milliseconds}) as (lab, client):
        async with in_flight(lab):
            await client.get("/api/products")
            assert await exports(lab) == sent
        assert len(await lab.collector.spans(2)) == 2
        assert len(lab.collector.requests) == 1 + sent


@pytest.mark.setting("capture.scopeName")
async def test_spans_have_the_scope_that_was_set() -> None:
    async with capturing(scopeName="acme") as (lab, client):
        await client.get("/api/products")
        span = await only_span(lab)
    assert span.scope == "acme"
