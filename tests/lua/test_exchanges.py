"""Which exchanges become spans, and when."""

import pytest

from components.istio.endpoint import collector
from components.settings.models import Direction, Egress
from lab import otlp
from tests.lua.fake_envoy import GET, OK, SENSOR_ID, Proxy, render


def get(path):
    return [GET[0], (":path", path), *GET[2:]]


POST = [*GET[:2], (":method", "POST"), (":scheme", "http")]


def test_an_exchange_becomes_one_span_with_the_guides_twelve_attributes(proxy):
    proxy.exchange(
        [*POST, ("content-type", "application/json"), ("user-agent", "curl/8")],
        [*OK, ("content-type", "application/json"), ("server", "istio-envoy")],
        sent=[b'{"n":', b"1}"],
        answered=[b'{"ok":true}'],
    )
    assert proxy.span.attributes == {
        "sensor.id": "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77",
        "http.method": "POST",
        "http.status_code": "200",
        "http.target": "/",
        "http.host": "shop.example.com",
        "http.flavor": "1.1",
        "http.scheme": "http",
        "net.sock.peer.addr": "192.0.2.7",
        "network.peer.address": "192.0.2.7",
        "http.request.headers": (
            '{"host":"shop.example.com","content-type":"application/json","user-agent":"curl/8"}'
        ),
        "http.response.headers": '{"content-type":"application/json","server":"istio-envoy"}',
        "http.request.body": '{"n":1}',
        "http.request.body.size": "7",
        "http.response.body": '{"ok":true}',
        "http.response.body.size": "11",
    }
    assert proxy.errors == []


def test_a_span_has_the_times_of_its_request_and_of_its_responses_end(proxy):
    stream = proxy.stream()
    stream.request()
    proxy.advance(0.25)
    stream.response()
    written = proxy.span.written
    assert written["startTimeUnixNano"] == "1700000000000000000"
    assert written["endTimeUnixNano"] == "1700000000250000000"


@pytest.mark.parametrize(
    ("direction", "kind"), [(Direction.INBOUND, 2), (Direction.GATEWAY, 2), (Direction.OUTBOUND, 3)]
)
def test_a_span_is_of_kind_server_or_client_by_its_direction(start, direction, kind):
    proxy = start(direction)
    proxy.exchange()
    assert proxy.span.written["kind"] == kind


@pytest.mark.parametrize(("status", "error"), [("200", None), ("404", None), ("500", {"code": 2})])
def test_a_server_error_is_an_error_of_the_span(proxy, status, error):
    proxy.exchange(response=[(":status", status)])
    assert proxy.span.written.get("status") == error
    assert proxy.span["http.status_code"] == status


def test_the_name_is_the_method(proxy):
    proxy.exchange(POST)
    assert proxy.span.written["name"] == "POST"


def test_guide_compatibility_writes_the_guides_payload_and_nothing_more(start):
    proxy = start(compatibility="guide")
    proxy.exchange(
        [*POST, ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
        [(":status", "500")],
        sent=[b"\xff\0"],
    )
    span = proxy.span
    assert set(span.written) == {
        *("traceId", "spanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes")
    }
    assert (span.written["name"], span.written["kind"]) == ("example-span", 1)
    assert len(span.attributes) == 12


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_resource_and_scope_are_the_guides(start, encoding):
    proxy = start(scope_name='edge "eu"', export={"encoding": encoding})
    proxy.exchange()
    [call] = proxy.calls
    [span] = otlp.decode(call[b"body"], call[b"headers"][b"content-type"].decode())
    assert span.resource == {"service.name": "astra-istio-instrumentation", "service.version": "1.0.0"}
    assert span.scope == 'edge "eu"'


def test_an_unsampled_request_leaves_no_span_and_no_log_line(start):
    proxy = start(sampling_ratio=0)
    for _ in range(20):
        proxy.exchange()
    assert (proxy.spans, proxy.warnings, proxy.errors) == ([], [], [])


def test_sampling_captures_about_its_share(start):
    proxy = start(sampling_ratio=0.5)
    for _ in range(1000):
        proxy.exchange()
    # Six standard deviations of a fair coin.
    assert 405 < len(proxy.spans) < 595


def test_a_rate_limit_captures_that_many_spans_each_second(start):
    proxy = start(max_spans_per_second=3)
    for _ in range(10):
        proxy.exchange()
    assert len(proxy.spans) == 3
    proxy.advance(1)
    for _ in range(10):
        proxy.exchange()
    assert len(proxy.spans) == 6


@pytest.mark.parametrize("path", ["/static", "/static/app.js", "/static/app.js?v=1", "/statics"])
def test_a_skipped_path_leaves_no_span(proxy, path):
    proxy.exchange(get(path))
    assert (proxy.spans, proxy.warnings) == ([], [])


@pytest.mark.parametrize(
    "path",
    [
        "/static/../login",
        "/static/%2e%2e/login",
        "/static%2f..%2flogin",
        "/static/..;/login",
        "/static//evil.example/login",
        "/static\\..\\login",
        "/login?next=/static",
        "/STATIC/app.js",
    ],
)
def test_a_path_that_may_lead_elsewhere_is_captured(proxy, path):
    proxy.exchange(get(path))
    assert proxy.span["http.target"] == path


def test_an_exact_skip_path_skips_no_other(start):
    proxy = start(skip_paths=["/healthz"])
    for path in ("/healthz", "/healthz/deep", "/static"):
        proxy.exchange(get(path))
    assert [span["http.target"] for span in proxy.spans] == ["/healthz/deep", "/static"]


def test_a_skipped_method_leaves_no_span(start):
    proxy = start(skip_methods=["OPTIONS", "TRACE"])
    for method in ("OPTIONS", "GET", "TRACE", "options"):
        proxy.exchange([*GET[:2], (":method", method)])
    assert [span["http.method"] for span in proxy.spans] == ["GET", "options"]


HOSTS = ["shop.example.com", "*.api.example.com", "10.0.0.7"]


@pytest.mark.parametrize(
    "host",
    [
        *("shop.example.com", "SHOP.example.com:8443", "shop.example.com."),
        *("v1.api.example.com", "eu.v1.api.example.com:80", "10.0.0.7:8080"),
    ],
)
def test_the_requests_of_the_hosts_are_captured(start, host):
    proxy = start(hosts=HOSTS)
    proxy.exchange([(":authority", host), *GET[1:]])
    assert proxy.span["http.host"] == host


@pytest.mark.parametrize(
    "host",
    [
        *("api.example.com", "notapi.example.com", "shop.example.com.evil.example", "my.shop.example.com"),
        *("", "10.0.0.70", "x" * 60_000, ".:1" * 20_000),
    ],
    ids=lambda host: host[:40] or "none",
)
def test_the_requests_of_other_hosts_are_not(start, host):
    proxy = start(hosts=HOSTS)
    proxy.exchange([(":authority", host), *GET[1:]])
    assert (proxy.spans, proxy.warnings) == ([], [])


def test_a_request_without_a_host_is_of_none_of_the_hosts(start):
    proxy = start(hosts=HOSTS)
    proxy.exchange(GET[1:])
    assert (proxy.spans, proxy.warnings) == ([], [])


SKIPPED_TYPES = ["image/*", "application/pdf", "application/*+zip"]


@pytest.mark.parametrize(
    "content_type", ["image/png", "IMAGE/svg+xml; charset=utf-8", " application/pdf", "application/epub+zip"]
)
def test_an_exchange_whose_response_has_a_skipped_type_leaves_no_span(start, content_type):
    proxy = start(skip_content_types=SKIPPED_TYPES)
    stream = proxy.stream().request(POST, b"question", ended=False)
    stream.response([*OK, ("content-type", content_type)], b"answer")
    stream.request_data(b"more", ended=True)
    assert (proxy.spans, proxy.warnings, proxy.errors) == ([], [], [])


@pytest.mark.parametrize(
    "content_type", ["text/html", "application/pdfx", "application/zip", "", "x-image/png"]
)
def test_an_exchange_whose_response_has_another_type_is_captured(start, content_type):
    proxy = start(skip_content_types=SKIPPED_TYPES)
    proxy.exchange([*POST, ("content-type", "image/png")], [*OK, ("content-type", content_type)])
    proxy.exchange(POST)
    assert len(proxy.spans) == 2


def test_what_goes_on_in_an_exchange_of_a_skipped_type_is_not_kept(start):
    proxy = start(skip_content_types=SKIPPED_TYPES, export={"max_batch_spans": 1})
    body = b"x" * 60_000
    for _ in range(70):
        stream = proxy.stream().request(POST, b"question", ended=False)
        stream.response([*OK, ("content-type", "image/png")])
        stream.request_data(body)
    # Together with 9 MB of exchanges in flight, it would be more than a VM holds.
    streams = [proxy.stream().request(POST, body, ended=False) for _ in range(150)]
    streams[0].response()
    assert proxy.span["http.request.body"] == body.decode()


def test_a_batch_does_not_wait_for_an_exchange_of_a_skipped_type(start):
    proxy = start(skip_content_types=SKIPPED_TYPES)
    skipped = proxy.stream().request(ended=False)
    proxy.exchange()
    assert proxy.spans == []
    skipped.response([*OK, ("content-type", "image/png")])
    assert len(proxy.spans) == 1


def test_a_denied_request_whose_response_has_a_skipped_type_leaves_no_span(start):
    proxy = start(skip_content_types=SKIPPED_TYPES)
    proxy.stream().response([(":status", "403"), ("content-type", "image/png")])
    assert (proxy.spans, proxy.warnings, proxy.errors) == ([], [], [])


def post(authority, path, *headers, method="POST"):
    return [(":authority", authority), (":path", path), (":method", method), *headers]


ELSEWHERE = "c.ns.svc.acme.corp:4318"
MARK = ("x-astra-capture", "export")


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("host", [ELSEWHERE, "alias.example.com", "10.0.0.7:4318"])
def test_an_export_is_captured_in_no_direction_whatever_its_collector_is_called(start, direction, host):
    proxy = start(direction)
    proxy.exchange()
    [export] = proxy.calls
    lines = [(name.decode(), value.decode()) for name, value in export[b"headers"].items()]
    proxy.exchange([(":authority", host), *(line for line in lines if line[0] != ":authority")])
    assert len(proxy.spans) == 1


def test_an_export_of_a_stack_with_another_path_is_not_captured_either():
    proxy = Proxy(render(collector=collector("https://otel.example.com/tenant/7", Egress())))
    proxy.exchange(post(ELSEWHERE, "/v1/traces", MARK))
    proxy.exchange(post(ELSEWHERE, "/tenant/7", MARK))
    assert (proxy.spans, proxy.warnings) == ([], [])


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(
    "request_headers",
    [
        post("shop.example.com", "/login", MARK),
        post("shop.example.com", "/v1/traces/login", MARK),
        post("shop.example.com", "/v1/traces?x", MARK),
        post("shop.example.com", "/v1/traces", MARK, method="GET"),
        post("shop.example.com", "/v1/traces"),
        post("shop.example.com", "/v1/traces", ("content-type", "application/x-protobuf")),
    ],
)
def test_the_mark_of_an_export_hides_no_other_request(start, direction, request_headers):
    proxy = start(direction)
    proxy.exchange(request_headers)
    assert proxy.span["http.host"] == "shop.example.com"


NAMES = {
    "http://otel.shop.svc.cluster.local:4318": ["otel.shop", "otel.shop.svc", "otel.shop.svc.cluster.local"],
    "http://otel.shop:4318": ["otel.shop", "otel.shop.svc.cluster.local."],
    "http://otel.shop.svc.acme.corp:4318": ["otel.shop", "otel.shop.svc.acme.corp"],
    "https://otel.example.com": ["otel.example.com"],
    "http://10.0.0.7:4318": ["10.0.0.7"],
    "http://[fd00::7]:4318": ["[fd00::7]"],
}


@pytest.mark.parametrize(("url", "host"), [(url, host) for url, hosts in NAMES.items() for host in hosts])
@pytest.mark.parametrize("port", ["", ":4318"])
def test_outbound_what_an_application_sends_to_the_collector_is_left_out_by_any_name(url, host, port):
    proxy = Proxy(render(Direction.OUTBOUND, collector=collector(url, Egress())))
    for spelled in (host, host.upper()):
        proxy.exchange(post(spelled + port, "/v1/traces"))
    assert (proxy.spans, proxy.warnings) == ([], [])


@pytest.mark.parametrize("path", ["/orders/1", "/", "/v1/traces/1", "/v1/logs"])
def test_outbound_other_paths_of_the_collectors_host_are_captured(start, path):
    proxy = start(Direction.OUTBOUND)
    proxy.exchange(post("astra-traffic-collector.astra-collector:4318", path))
    assert proxy.span["http.target"] == path


@pytest.mark.parametrize("host", ["otel.example.com.evil.example", "otel", "my.otel.example.com"])
def test_outbound_the_collectors_path_of_another_host_is_captured(host):
    proxy = Proxy(render(Direction.OUTBOUND, collector=collector("http://otel.example.com:4318", Egress())))
    proxy.exchange(post(host, "/v1/traces"))
    assert len(proxy.warnings) == 1  # a span that the fake has no cluster for


def test_an_inbound_request_cannot_hide_behind_the_collectors_host(proxy):
    proxy.exchange([(":authority", "astra-traffic-collector.astra-collector:4318"), (":path", "/login")])
    assert proxy.span["http.target"] == "/login"


def test_a_request_denied_before_the_filter_is_a_span_of_its_response(proxy):
    proxy.stream().response([(":status", "403")], b"RBAC: access denied")
    span = proxy.span
    assert (span["http.status_code"], span["http.response.body"]) == ("403", "RBAC: access denied")
    assert (span["http.method"], span["http.target"], span["http.request.body"]) == ("", "", "")
    assert span["net.sock.peer.addr"] == "192.0.2.7"
    assert span.written["name"] == "HTTP"


def test_a_response_before_the_requests_end_exports_what_was_sent_so_far(proxy):
    stream = proxy.stream()
    stream.request(POST, b"first half", ended=False)
    stream.response([(":status", "413")])
    span = proxy.span
    assert span["http.request.body"] == "first half"
    assert span["http.request.body.truncated"] is True
    stream.request_data(b" second half", ended=True)
    assert len(proxy.spans) == 1
    assert proxy.errors == []


@pytest.mark.parametrize(
    ("declared", "arrived", "size", "mark"),
    [
        ("27", b"", "27", "omitted"),
        (None, b"", None, "omitted"),
        ("27", b"first half", "27", "truncated"),
        (None, b"first half", "10", "truncated"),
        ("1" * 300, b"first half", "9007199254740992", "truncated"),
        ("-1", b"first half", "10", "truncated"),
        ("27,27", b"", None, "omitted"),
    ],
)
def test_of_a_denied_request_what_arrived_is_shown_and_what_was_declared_is_told(
    proxy, declared, arrived, size, mark
):
    length = [("content-length", declared)] if declared else []
    stream = proxy.stream().request([*POST, *length], *([arrived] if arrived else []), ended=False)
    stream.response([(":status", "403")], b"RBAC: access denied")
    attributes = proxy.span.attributes
    told = {key: attributes[key] for key in attributes if key.startswith("http.request.body")}
    expected = {"http.request.body": arrived.decode(), "http.request.body.size": size}
    expected[f"http.request.body.{mark}"] = {"omitted": "unread", "truncated": True}[mark]
    assert told == {key: value for key, value in expected.items() if value is not None}


def test_a_body_that_was_read_has_the_size_that_passed_whatever_was_declared(proxy):
    proxy.exchange([*POST, ("content-length", "27")], [*OK, ("content-length", "9")], sent=[b"sent"])
    assert proxy.span["http.request.body.size"] == "4"
    assert "http.response.body.size" not in proxy.span.attributes  # as of a HEAD


def test_an_upgrade_has_no_body_that_was_not_read(proxy):
    stream = proxy.stream().request([*GET, ("upgrade", "websocket")], ended=False)
    stream.response([(":status", "101"), ("upgrade", "websocket")], ended=False)
    assert proxy.span["http.request.body.omitted"] == "stream"


@pytest.mark.parametrize(
    "response",
    [
        [(":status", "101"), ("upgrade", "websocket")],
        [(":status", "200"), ("content-type", "application/grpc+proto")],
        [(":status", "200"), ("content-type", "text/event-stream; charset=utf-8")],
    ],
)
def test_a_stream_is_exported_at_its_response_headers(proxy, response):
    stream = proxy.stream()
    stream.request(ended=False)
    stream.response(response, ended=False)
    assert proxy.span["http.response.body.omitted"] == "stream"
    stream.response_data(b"event", ended=True)
    stream.request_data(b"frame", ended=True)
    assert len(proxy.spans) == 1
    assert proxy.errors == []


def test_a_connect_is_exported_once_the_tunnel_stands(proxy):
    stream = proxy.stream().request([(":method", "CONNECT"), (":authority", "db:5432")], ended=False)
    stream.response(ended=False)
    assert proxy.span["http.method"] == "CONNECT"


@pytest.mark.parametrize("header", [("upgrade", "websocket"), ("content-type", "application/grpc")])
def test_what_a_client_declares_does_not_hide_a_body(proxy, header):
    proxy.exchange([*POST, header], sent=[b"password of the admin"], answered=[b"answer"])
    assert proxy.span["http.request.body"] == "password of the admin"
    assert proxy.span["http.response.body"] == "answer"


def test_trailers_end_a_body(proxy):
    stream = proxy.stream().request(POST, b"body", ended=False)
    stream.request_data(None, ended=True)
    stream.response(OK, b"answer", ended=False)
    stream.response_data(None, ended=True)
    assert "http.request.body.truncated" not in proxy.span.attributes
    assert "http.response.body.truncated" not in proxy.span.attributes


OTHER_SENSOR = "0b1c2d3e-8f5b-4b0e-9c55-0d9f3c1b2a77"


@pytest.mark.parametrize("mark", ["00f067aa0ba902b7", ""], ids=["captured", "skipped"])
def test_a_request_that_a_filter_of_the_same_sensor_saw_is_left_to_it(proxy, mark):
    stream = proxy.stream()
    stream.set_metadata("astra.capture", SENSOR_ID, mark)
    stream.request().response()
    assert (proxy.spans, proxy.warnings, proxy.errors) == ([], [], [])


@pytest.mark.parametrize("mark", ["00f067aa0ba902b7", ""], ids=["captured", "skipped"])
def test_a_request_that_a_filter_of_another_sensor_saw_is_captured_too(proxy, mark):
    stream = proxy.stream()
    stream.set_metadata("astra.capture", OTHER_SENSOR, mark)
    stream.request([*POST], b"sent").response(OK, b"answered")
    assert (proxy.span["http.request.body"], proxy.span["http.response.body"]) == ("sent", "answered")


@pytest.mark.parametrize(
    "capture",
    [
        {"sampling_ratio": 0},
        {"skip_paths": ["/*"]},
        {"skip_methods": ["GET"]},
        {"hosts": ["elsewhere.example.com"]},
        {"max_spans_per_second": 1},
        {"max_spans_per_endpoint": 1},
    ],
    ids=["not sampled", "skipped path", "skipped method", "other host", "above the rate", "over the budget"],
)
def test_a_request_that_is_skipped_is_not_taken_for_one_that_was_denied(start, capture):
    proxy = start(**capture)
    for _ in range(5):
        proxy.exchange()
    assert len(proxy.spans) <= 1
    assert all(span["http.target"] == "/" for span in proxy.spans)


def test_a_failure_in_the_script_is_a_warning_and_no_error(proxy):
    proxy.stream(peer=None).request().response()
    assert proxy.errors == []
    [warning] = proxy.warnings
    assert "could not capture" in warning


def test_a_missing_cluster_costs_the_span_and_warns_once_a_second(start):
    proxy: Proxy = start(cluster=False)
    for _ in range(5):
        proxy.exchange()
    proxy.advance(1)
    proxy.exchange()
    assert proxy.errors == []
    assert [line.partition(":")[0] for line in proxy.warnings] == ["astra capture (inbound)"] * 2
    assert "http call cluster invalid" in proxy.warnings[0]
    assert "(4 more since the last warning)" in proxy.warnings[1]
