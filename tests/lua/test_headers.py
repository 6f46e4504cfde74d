"""What a span says of headers, peers and identity."""

import ipaddress
import json
import re
import string

import pytest
from hypothesis import HealthCheck, example, given, settings
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
@example(value=b"<A b")  # no document that ends within a tag
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
        ([("x-real-ip", "198.51.100.3"), ("x-envoy-external-address", "198.51.100.4")], "198.51.100.4"),
        (
            [("x-envoy-external-address", "198.51.100.4"), ("x-forwarded-for", "203.0.113.9, 10.0.0.1")],
            "203.0.113.9",
        ),
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


SOURCES = ["x-forwarded-for", "x-envoy-external-address", "x-real-ip"]
ADDRESSES = {
    "203.0.113.7:51234": "203.0.113.7",
    " 203.0.113.7 ": "203.0.113.7",
    "[2001:db8::1]:443": "2001:db8::1",
    "[2001:db8::1]": "2001:db8::1",
    "2001:db8::1": "2001:db8::1",
    '"[2001:DB8:cafe::17]:4711"': "2001:DB8:cafe::17",
    "1:2:3:4:5:6:7:8": "1:2:3:4:5:6:7:8",
    "::": "::",
    "::ffff:203.0.113.7": "::ffff:203.0.113.7",
    "1::": "1::",
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(("text", "address"), ADDRESSES.items())
def test_an_address_in_a_header_is_told_without_port_brackets_and_quotes(proxy, name, text, address):
    proxy.exchange([*GET, (name, text)])
    assert proxy.span["net.sock.peer.addr"] == address
    assert ipaddress.ip_address(address)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "unknown", "_hidden", "_SEVKISEK:4711", "for=203.0.113.7", "localhost", "203.0.113", "1"),
        *(
            "256.0.0.1",
            "203.0.113.7.9",
            "203.0.113.0007",
            "203.0.113.7 x",
            "203.0.113.7:",
            "203.0.113.7:http",
        ),
        *("[2001:db8::1", "2001:db8::1::2", ":::", ":1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9"),
        *("12345::1", "1:2:3:4:5:6:7:8::", "::203.0.113.7:1", "fe80::1%eth0", "::g", "1:", "<script>", "-"),
    ],
)
def test_what_is_no_address_falls_back_to_the_next_source(proxy, name, text):
    proxy.exchange([*GET, (name, text)])
    assert proxy.spans[-1]["net.sock.peer.addr"] == "192.0.2.7"
    if name != "x-real-ip":
        proxy.exchange([*GET, (name, text), ("x-real-ip", "198.51.100.3")])
        assert proxy.spans[-1]["net.sock.peer.addr"] == "198.51.100.3"


@given(text=st.text("0123456789abcf:.", max_size=24))
@example(text="1:2:3:4:5:6:1.2.3.4")
@example(text="::1.2.3.4")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_address_is_what_python_takes_for_one(proxy, text):
    proxy.exchange([*GET, ("x-real-ip", f"[{text}]")])
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        assert proxy.spans[-1]["net.sock.peer.addr"] != text or "." in text
    else:
        assert proxy.spans[-1]["net.sock.peer.addr"] == text


def test_empty_entries_of_a_list_do_not_count(proxy):
    proxy.exchange([*GET, ("x-forwarded-for", " , ,203.0.113.9, 10.0.0.1")])
    assert proxy.span["net.sock.peer.addr"] == "203.0.113.9"


@pytest.mark.parametrize(
    ("hops", "peer"),
    [
        (0, "10.0.0.2"),
        (1, "10.0.0.1"),
        (2, "203.0.113.9"),
        (3, "6.6.6.6"),
        (4, "192.0.2.8"),
        (32, "192.0.2.8"),
    ],
)
def test_trusted_hops_count_from_the_right_of_x_forwarded_for(start, hops, peer):
    proxy = start(trusted_hops=hops)
    stream = proxy.stream(peer="6.6.6.6:0", direct_peer="192.0.2.8:4711")
    stream.request(
        [
            *GET,
            ("x-forwarded-for", "6.6.6.6, 203.0.113.9:51234"),
            ("x-forwarded-for", "10.0.0.1,,10.0.0.2"),
            ("x-real-ip", "6.6.6.6"),
            ("x-envoy-peer-metadata-id", "sidecar~6.6.6.6~forged.shop~shop.svc.cluster.local"),
        ]
    ).response()
    assert proxy.span["net.sock.peer.addr"] == peer


def test_a_long_list_does_not_push_trusted_hops_out(start):
    proxy = start(trusted_hops=1)
    proxy.exchange([*GET, ("x-forwarded-for", "6.6.6.6, " * 5000 + "203.0.113.9, 10.0.0.1")])
    assert proxy.span["net.sock.peer.addr"] == "203.0.113.9"


@pytest.mark.parametrize(("tls", "scheme"), [(None, "http"), ("yes", "https")])
def test_a_request_that_envoy_refuses_by_itself_has_the_scheme_of_its_connection(proxy, tls, scheme):
    proxy.stream(tls=tls).response([(":status", "400")])
    assert proxy.span["http.scheme"] == scheme


@pytest.mark.parametrize(
    ("address", "peer"), [("[2001:db8::1]:4711", "2001:db8::1"), ("10.1.2.3:80", "10.1.2.3")]
)
def test_the_downstream_address_is_given_without_its_port(proxy, address, peer):
    proxy.stream(peer=address).request().response()
    assert proxy.span["net.sock.peer.addr"] == peer


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("10.1.2.3:80", "10.1.2.3"),
        ("envoy://connect_originate/", ""),
        ("/run/socket", ""),
    ],
)
def test_the_connections_own_peer_is_told_whatever_headers_claim(proxy, address, peer):
    stream = proxy.stream(peer="203.0.113.9:0", direct_peer=address)
    stream.request([*GET, ("x-forwarded-for", "203.0.113.9"), ("x-real-ip", "203.0.113.9")]).response()
    assert proxy.span["net.sock.peer.addr"] == "203.0.113.9"
    assert proxy.span["network.peer.address"] == peer


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
        ("auto", [(":scheme", "http"), ("x-forwarded-proto", "https,http")], "https"),
        ("auto", [(":scheme", "http"), ("x-forwarded-proto", " HTTPS , http")], "https"),
        ("auto", [(":scheme", "http"), ("x-forwarded-proto", "http,https")], "http"),
        ("auto", [(":scheme", "http"), ("x-forwarded-proto", "httpsx")], "http"),
        ("auto", [], "http"),
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
        [("traceparent", f"00-{TRACE}-{PARENT}-01"), ("traceparent", f"00-{'a' * 32}-{PARENT}-01")],
        [("traceparent", f"00-{TRACE}-{PARENT}-01,00-{'a' * 32}-{PARENT}-01")],
        [("traceparent", f"01-{TRACE}-{PARENT}-01-more"), ("traceparent", f"00-{'a' * 32}-{PARENT}-01")],
        [("traceparent", f"00-{TRACE}-{PARENT}-01-more")],
        [("traceparent", f"01-{TRACE}-{PARENT}-01more")],
        [("b3", f"{TRACE}-{PARENT}-1"), ("b3", f"{'a' * 32}-{PARENT}-1")],
        [("x-b3-traceid", TRACE), ("x-b3-traceid", "a" * 32)],
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


def marks(span):
    """What a span says it cut, bodies aside."""
    return [key for key in span.attributes if key.endswith(("headers.truncated", "target.truncated"))]


def test_a_header_value_is_cut_at_its_bound_and_that_is_said(proxy):
    headers = request_headers(proxy, ("user-agent", "x" * 4096), ("accept", "y" * 60_000))
    assert headers["user-agent"] == "x" * 4096
    assert headers["accept"] == "y" * 4096
    assert marks(proxy.span) == ["http.request.headers.truncated"]


def test_response_headers_are_cut_at_the_same_bounds(proxy):
    proxy.exchange(response=[*OK, ("server", "x" * 60_000)])
    assert proxy.span.headers("response")["server"] == "x" * 4096
    assert marks(proxy.span) == ["http.response.headers.truncated"]


def test_what_is_as_long_as_the_bounds_is_not_cut(start):
    proxy = start(
        headers=["x-a", "x-b"], max_headers_bytes=1024, max_header_value_bytes=700, max_path_bytes=64
    )
    path = "/".ljust(64, "p")
    proxy.exchange([(":path", path), (":method", "GET"), ("x-a", "a" * 700), ("x-b", "b" * 322)])
    assert proxy.span.headers("request") == {"x-a": "a" * 700, "x-b": "b" * 322}
    assert (proxy.span["http.target"], marks(proxy.span)) == (path, [])


def test_the_headers_of_a_side_are_bounded_together_in_the_order_sent(start):
    names = [f"x-{number}" for number in range(12)]
    proxy = start(headers=names)
    headers = request_headers(proxy, *((name, name.ljust(4000, ".")) for name in names))
    assert [len(headers[name]) for name in names[:8]] == [4000] * 8
    assert sum(map(len, headers.values())) <= 32_768
    assert marks(proxy.span) == ["http.request.headers.truncated"]


def test_many_lines_of_one_header_are_bounded_together(proxy):
    via = request_headers(proxy, *[("via", "1.1 proxy")] * 2000)["via"]
    assert via == ",".join(["1.1 proxy"] * 2000)[:4096]
    assert marks(proxy.span) == ["http.request.headers.truncated"]


def test_headers_that_are_not_recorded_take_no_room_and_are_not_said_to_be_cut(proxy):
    headers = request_headers(proxy, *((f"x-{number}", "x" * 9000) for number in range(9)), ("via", "1.1 a"))
    assert headers["via"] == "1.1 a"
    assert marks(proxy.span) == []


def test_a_path_is_cut_at_its_bound_and_that_is_said(proxy):
    proxy.exchange([(":path", "/" + "x" * 60_000), *GET[2:]])
    assert proxy.span["http.target"] == "/" + "x" * 8191
    assert marks(proxy.span) == ["http.target.truncated"]


def test_methods_and_hosts_are_bounded(proxy):
    proxy.exchange([(":path", "/"), (":method", "M" * 60_000), (":authority", "h" * 60_000)])
    assert proxy.span["http.method"] == proxy.span.written["name"] == "M" * 64
    assert proxy.span["http.host"] == ""
    assert "http.request.headers.truncated" in marks(proxy.span)


def test_peers_and_trace_ids_are_taken_from_bounded_values(proxy):
    long = "f" * 60_000
    names = ["traceparent", "b3", "x-b3-traceid", "x-request-id", "x-forwarded-for", "x-real-ip"]
    proxy.exchange(
        [*GET, *((name, long) for name in names), ("x-envoy-peer-metadata-id", f"sidecar~a~{long}")]
    )
    assert len(proxy.span["net.sock.peer.addr"]) <= 256
    assert re.fullmatch("[0-9a-f]{32}", proxy.span.written["traceId"])
    assert proxy.errors == []


def test_guide_compatibility_does_not_say_what_was_cut(start):
    proxy = start(compatibility="guide")
    proxy.exchange([(":path", "/" + "x" * 60_000), *GET[2:], ("via", "x" * 60_000)])
    assert len(proxy.span["http.target"]) == 8192
    assert marks(proxy.span) == []
    assert "network.peer.address" not in proxy.span.attributes


@pytest.mark.parametrize("filler", ["é", "€", "😀"])
@pytest.mark.parametrize("lead", range(4))
def test_a_value_is_cut_on_a_character_boundary(proxy, filler, lead):
    shown = request_headers(proxy, ("user-agent", "x" * lead + filler * 3000))["user-agent"]
    assert shown == "x" * lead + filler * ((4096 - lead) // len(filler.encode()))


SECRET = "Zq8xW4kP9vB2nL6tRy3"


@pytest.mark.parametrize("limit", range(64, 150, 3))
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", f"Bearer {SECRET * 9}"),
        ("authorization", SECRET * 9),
        ("cookie", f"a={SECRET}; " * 9),
        ("cookie", SECRET * 9),
        ("x-api-key", SECRET * 9),
        (":authority", f"jane:{SECRET * 99}@h:80"),
        ("x-forwarded-host", f"jane:{SECRET * 9}@h:80"),
        ("origin", f"https://jane:{SECRET * 9}@h:80"),
        ("referer", f"https://h/deep?password={SECRET * 9}&page=1"),
        ("referer", f"https://h/deep?page=1&to=https%3A%2F%2Fjane:{SECRET * 9}@h"),
        ("referer", f"https://h/deep?page=1&to=https%3a%2f%2fjane%3a{SECRET * 9}%40h"),
        (":path", f"/login?a=1&token={SECRET * 9}"),
        (":path", f"/login?next=//jane:{SECRET * 9}@host/"),
    ],
)
def test_a_cut_shows_no_secret_that_the_whole_would_hide(start, limit, name, value):
    proxy = start(
        headers=["host", "authorization", "cookie", "x-api-key", "x-forwarded-host", "origin", "referer"],
        max_header_value_bytes=limit,
        max_path_bytes=limit,
    )
    lines = dict([*GET, (name, value)])
    proxy.exchange(list(lines.items()))
    written = json.dumps(proxy.span.written)
    assert [written[at : at + 5] for at in range(len(written)) if written[at : at + 5] in SECRET] == []
    assert marks(proxy.span) != []


def test_a_url_that_is_cut_behind_its_host_keeps_what_is_before_the_cut(proxy):
    url = "https://shop.example.com/" + "x" * 5000
    assert request_headers(proxy, ("referer", url))["referer"] == url[:4096]
