"""What a span says of headers, peers and identity."""

import re
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lua.fake_envoy import GET, OK

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def request_headers(proxy, *lines):
    proxy.exchange([*GET, *lines])
    return proxy.spans[-1].headers("request")


def test_only_allowlisted_headers_are_recorded(start):
    proxy = start(headers=["x-kept"])
    proxy.exchange([*GET, ("x-kept", "1"), ("x-other", "2")], [*OK, ("x-kept", "3"), ("server", "envoy")])
    assert proxy.span.headers("request") == {"x-kept": "1"}
    assert proxy.span.headers("response") == {"x-kept": "3"}


def test_no_header_is_an_empty_object(start):
    proxy = start(headers=[])
    proxy.exchange()
    assert proxy.span["http.request.headers"] == proxy.span["http.response.headers"] == "{}"


def test_repeated_headers_are_joined_as_envoy_joins_them(proxy):
    assert (
        request_headers(proxy, ("via", "1.1 a"), ("accept", "*/*"), ("via", "1.1 b"))["via"] == "1.1 a,1.1 b"
    )


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("authorization", "Bearer abc.def", "Bearer ***"),
        ("authorization", "Basic dXNlcjpwdw==", "Basic ***"),
        ("authorization", "bearer  two spaces", "bearer ***"),
        ("authorization", "s3cr3t-without-scheme", "***"),
        ("authorization", "s3cr3t with-words", "***"),
        ("authorization", "", "***"),
        ("proxy-authorization", "Digest username=x", "Digest ***"),
        ("cookie", "sid=1; theme=dark", "sid=***; theme=***"),
        ("cookie", "justavalue", "***"),
        ("cookie", "a=1;b=2=3", "a=***;b=***"),
        ("cookie", "a=1; flag; b=2", "a=***;***; b=***"),
        ("cookie", "a=1;", "a=***;"),
        ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.abc", "***"),
        ("x-envoy-peer-metadata-id", "sidecar~1~a.b~c", "sidecar~1~a.b~c"),
        ("user-agent", "monkey tokenizer", "monkey tokenizer"),
    ],
)
def test_credentials_are_masked_in_request_headers(proxy, name, value, shown):
    assert request_headers(proxy, (name, value))[name] == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("sid=1; Path=/; HttpOnly", "sid=***; Path=/; HttpOnly"),
        ("sid=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "sid=***; Expires=Wed, 21 Oct 2026 07:28:00 GMT"),
        ("sid=1; token=2; SameSite=Lax", "sid=***; token=***; SameSite=Lax"),
        ("justavalue", "***"),
        ("", "***"),
        ('a="x; path=s3cr3t"', "a=***; path=***"),
        ("a=1; Path=/, b=2; HttpOnly", "a=***; Path=***; HttpOnly"),
        ("a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT, b=2", "a=***; Expires=***"),
    ],
)
def test_cookies_being_set_keep_their_names_and_attributes(proxy, value, shown):
    proxy.exchange(response=[*OK, ("set-cookie", value)])
    assert proxy.span.headers("response")["set-cookie"] == shown


def test_each_of_several_cookies_being_set_is_masked(proxy):
    proxy.exchange(response=[*OK, ("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2")])
    assert proxy.span.headers("response")["set-cookie"] == "a=***; Path=/,b=***"


@pytest.mark.parametrize("name", ["x-api-key", "x-session-token", "x_client_secret", "x-vault-token"])
def test_headers_with_a_secret_word_in_their_name_are_masked(start, name):
    proxy = start(headers=[name])
    assert request_headers(proxy, (name, "s3cr3t")) == {name: "***"}


@pytest.mark.parametrize("name", ["x-monkey", "x-tokenizer", "x-spinner"])
def test_a_secret_word_inside_another_word_masks_nothing(start, name):
    proxy = start(headers=[name])
    assert request_headers(proxy, (name, "plain")) == {name: "plain"}


def test_a_masked_header_can_be_added(start):
    proxy = start(headers=["x-tenant"], redaction={"headers": ["x-tenant"]})
    assert request_headers(proxy, ("x-tenant", "acme")) == {"x-tenant": "***"}


def test_without_redaction_headers_are_recorded_as_they_are(start):
    proxy = start(redaction={"mode": "none"})
    assert request_headers(proxy, ("authorization", "Bearer abc"))["authorization"] == "Bearer abc"


VALUES = st.binary(max_size=80).filter(lambda value: not set(value) & set(b"\0\r\n"))


@given(value=VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_in_a_header_are_valid_utf8_in_the_span(proxy, value):
    shown = request_headers(proxy, ("user-agent", value))["user-agent"]
    assert shown == repaired(value)


def repaired(value: bytes) -> str:
    """UTF-8 with one U+FFFD for each byte that is in no sequence."""
    text, at = "", 0
    while at < len(value):
        for size in (1, 2, 3, 4):
            try:
                text += value[at : at + size].decode()
            except UnicodeDecodeError:
                continue
            at += size
            break
        else:
            text += "\N{REPLACEMENT CHARACTER}"
            at += 1
    return text


@pytest.mark.parametrize(
    ("lines", "peer"),
    [
        ([], "192.0.2.7"),
        ([("x-real-ip", "198.51.100.3")], "198.51.100.3"),
        ([("x-real-ip", "b"), ("x-envoy-external-address", "a")], "a"),
        ([("x-envoy-external-address", "b"), ("x-forwarded-for", "203.0.113.9, 10.0.0.1")], "203.0.113.9"),
        (
            [
                ("x-forwarded-for", "203.0.113.9"),
                ("x-envoy-peer-metadata-id", "sidecar~10.1.1.1~web-7d.shop~shop.svc.cluster.local"),
            ],
            "web-7d",
        ),
        ([("x-envoy-peer-metadata-id", "router~10.1.1.1~gw.istio~x")], "192.0.2.7"),
    ],
)
def test_the_peer_comes_from_the_guides_sources_in_its_order(proxy, lines, peer):
    proxy.exchange([*GET, *lines])
    assert proxy.span["net.sock.peer.addr"] == peer


@pytest.mark.parametrize(
    ("address", "peer"), [("[2001:db8::1]:4711", "2001:db8::1"), ("10.1.2.3:80", "10.1.2.3")]
)
def test_the_downstream_address_is_given_without_its_port(proxy, address, peer):
    proxy.stream(peer=address).request().response()
    assert proxy.span["net.sock.peer.addr"] == peer


@pytest.mark.parametrize(
    ("protocol", "flavor"),
    [
        ("HTTP/1.0", "1.0"),
        ("HTTP/1.1", "1.1"),
        ("HTTP/2", "2"),
        ("HTTP/3", "3"),
        ("HTTP/9", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_flavor_is_the_protocols_version(proxy, protocol, flavor):
    proxy.stream(protocol=protocol).request().response()
    assert proxy.span["http.flavor"] == flavor


@pytest.mark.parametrize(
    ("setting", "lines", "scheme"),
    [
        ("auto", [(":scheme", "http")], "http"),
        ("auto", [(":scheme", "http"), ("x-forwarded-proto", "https")], "https"),
        ("auto", [], "https"),
        ("http", [(":scheme", "https")], "http"),
        ("http", [("x-forwarded-proto", "https")], "https"),
    ],
)
def test_the_scheme_is_detected_unless_it_is_said(start, setting, lines, scheme):
    proxy = start(scheme=setting)
    proxy.exchange([(":method", "GET"), (":path", "/"), *lines])
    assert proxy.span["http.scheme"] == scheme


@pytest.mark.parametrize(
    ("lines", "trace", "parent"),
    [
        ([("traceparent", f"00-{TRACE}-{PARENT}-01")], TRACE, PARENT),
        ([("traceparent", f"01-{TRACE}-{PARENT}-01-more")], TRACE, PARENT),
        ([("traceparent", f"00-{TRACE}-{PARENT}-01"), ("b3", f"{'a' * 32}-{'b' * 16}-1")], TRACE, PARENT),
        ([("b3", f"{TRACE}-{PARENT}-1")], TRACE, PARENT),
        ([("b3", f"{PARENT}-{PARENT}")], "0" * 16 + PARENT, PARENT),
        ([("x-b3-traceid", TRACE.upper()), ("x-b3-spanid", PARENT)], TRACE, PARENT),
        ([("x-request-id", "0af76519-16cd-43dd-8448-eb211c80319c")], TRACE, None),
        ([("traceparent", "garbage"), ("x-request-id", "0af76519-16cd-43dd-8448-eb211c80319c")], TRACE, None),
    ],
)
def test_a_trace_continues_what_the_caller_sent(proxy, lines, trace, parent):
    proxy.exchange([*GET, *lines])
    written = proxy.span.written
    assert (written["traceId"], written.get("parentSpanId")) == (trace, parent)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [("traceparent", f"ff-{TRACE}-{PARENT}-01")],
        [("traceparent", f"00-{'0' * 32}-{PARENT}-01")],
        [("traceparent", f"00-{TRACE}-{'0' * 16}-01")],
        [("traceparent", f"00-{TRACE[:-1]}-{PARENT}-01")],
        [("traceparent", f"00-{TRACE[:-1]}g-{PARENT}-01")],
        [("b3", "0")],
        [("b3", f"{'0' * 32}-{PARENT}-1")],
        [("x-request-id", "not-a-uuid")],
        [("x-request-id", "0af76519-16cd-43dd-8448-eb211c80319z")],
        [("x-request-id", "00000000-0000-0000-0000-000000000000")],
    ],
)
def test_identity_that_is_no_identity_is_replaced_by_a_random_one(proxy, lines):
    proxy.exchange([*GET, *lines])
    written = proxy.span.written
    assert re.fullmatch("[0-9a-f]{32}", written["traceId"])
    assert TRACE[:-1] not in written["traceId"]
    assert "parentSpanId" not in written


def test_ids_do_not_repeat_over_vms_and_restarts(start):
    spans: set[str] = set()
    traces: set[str] = set()
    for _ in range(20):
        proxy = start()
        for _ in range(100):
            proxy.exchange()
        spans.update(span.written["spanId"] for span in proxy.spans)
        traces.update(span.written["traceId"] for span in proxy.spans)
    assert len(spans) == len(traces) == 2000
    assert all(len(span) == 16 and set(span) <= set(string.hexdigits.lower()) for span in spans)
