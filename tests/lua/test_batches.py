"""When spans leave, and what happens to exchanges that never end."""

import pytest

from lab import otlp
from tests.lua.fake_envoy import COLLECTOR, GET, OK


def test_a_lone_request_is_sent_at_once(proxy):
    proxy.exchange()
    assert len(proxy.calls) == 1


def test_the_export_is_an_asynchronous_call_with_a_timeout(start):
    proxy = start(export={"timeout_ms": 700})
    proxy.exchange()
    [call] = proxy.calls
    assert call[b"cluster"].decode() == COLLECTOR.cluster
    assert dict(call[b"headers"].items()) == {
        b":method": b"POST",
        b":path": b"/v1/traces",
        b":authority": b"astra-traffic-collector.astra-collector",
        b"content-type": b"application/x-protobuf",
        b"x-astra-capture": b"export",
    }
    assert dict(call[b"options"].items()) == {
        b"asynchronous": True,
        b"timeout_ms": 700,
        b"trace_sampled": False,
        b"send_xff": False,
    }


def test_spans_of_concurrent_requests_leave_together_when_the_last_ends(proxy):
    streams = [proxy.stream().request() for _ in range(3)]
    for stream in streams:
        assert proxy.calls == []
        stream.response()
    assert [len(batch) for batch in proxy.batches] == [3]


def test_a_full_batch_leaves_while_requests_are_in_flight(start):
    proxy = start(export={"max_batch_spans": 4})
    in_flight = proxy.stream().request()
    for _ in range(9):
        proxy.exchange()
    assert [len(batch) for batch in proxy.batches] == [4, 4]
    in_flight.destroy()


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_batch_stays_below_its_limit_of_bytes(start, encoding):
    widest = {"scope_name": "\U0001f600" * 128}
    proxy = start(export={"max_batch_bytes": 8192, "encoding": encoding}, **widest)
    in_flight = proxy.stream().request()
    request = [*GET[:2], (":method", "\x01" * 64), (":scheme", "http")]
    for size in range(0, 2000, 20):
        proxy.exchange(request, [(":status", "500")], answered=[b"x" * size])
    in_flight.destroy()
    assert len(proxy.calls) > 2
    assert all(len(call[b"body"]) <= 8192 for call in proxy.calls)


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_batch_holds_two_exchanges_with_the_largest_bodies(start, encoding):
    proxy = start(export={"encoding": encoding})
    body = (b'{"note": "says \\"hello\\"\\nand waves"}, ' * 2_000)[:65_536]
    streams = [proxy.stream().request(GET, body) for _ in range(2)]
    for stream in streams:
        stream.response(OK, body)
    assert [len(batch) for batch in proxy.batches] == [2]


def test_a_span_above_the_limit_of_bytes_leaves_alone(start):
    proxy = start(export={"max_batch_bytes": 1024})
    in_flight = proxy.stream().request()
    proxy.exchange(answered=[b"x" * 5000])
    in_flight.response()
    assert [len(batch) for batch in proxy.batches] == [1, 1]


def test_a_batch_leaves_after_its_delay_at_the_next_event(proxy):
    streams = [proxy.stream().request()]
    proxy.exchange()
    assert proxy.calls == []
    proxy.advance(1.1)
    streams.append(proxy.stream().request())
    assert len(proxy.spans) == 1


def test_an_unsampled_request_sends_what_waits(start):
    proxy = start(skip_paths=["/skipped"])
    in_flight = proxy.stream().request()
    proxy.exchange()
    assert proxy.calls == []
    proxy.advance(1.1)
    proxy.exchange([(":path", "/skipped"), (":method", "GET")])
    assert len(proxy.spans) == 1
    in_flight.destroy()


def test_a_lasting_request_does_not_hold_others_back(proxy):
    lasting = proxy.stream().request(ended=False)
    proxy.advance(5)
    for count in (1, 2, 3):
        proxy.exchange()
        assert len(proxy.calls) == count
    lasting.destroy()


def test_an_aborted_exchange_is_exported_as_such_at_the_next_event(proxy):
    aborted = proxy.stream().request([*GET, ("user-agent", "gone")], b"half a bo", ended=False)
    aborted.destroy()
    proxy.advance(2)
    proxy.exchange()
    [span] = [span for span in proxy.spans if "error.type" in span.attributes]
    assert span["error.type"] == "aborted"
    assert span.written["status"] == {"code": 2, "message": "aborted"}
    assert (span["http.request.body"], span["http.request.body.truncated"]) == ("half a bo", True)
    assert (span["http.status_code"], span["http.response.headers"]) == ("0", "{}")


@pytest.mark.parametrize(("arrived", "size"), [(b"half", "4"), (b"", "27")])
def test_of_an_aborted_upload_the_size_is_what_passed_or_what_was_declared(proxy, arrived, size):
    upload = proxy.stream().request([*GET, ("content-length", "27")], ended=False)
    if arrived:
        upload.request_data(arrived)
    upload.destroy()
    proxy.advance(2)
    proxy.collect_garbage()
    proxy.exchange()
    aborted = proxy.spans[-1] if "error.type" in proxy.spans[-1].attributes else proxy.spans[0]
    assert aborted["error.type"] == "aborted"
    assert aborted["http.request.body.size"] == size


def test_an_exchange_aborted_in_its_response_keeps_what_it_had(proxy):
    aborted = proxy.stream().request()
    aborted.response([(":status", "200"), ("server", "slow")], b"half", ended=False)
    aborted.destroy()
    proxy.advance(2)
    proxy.exchange()
    [span] = [span for span in proxy.spans if "error.type" in span.attributes]
    assert (span["http.status_code"], span["http.response.body"]) == ("200", "half")


def test_a_slow_exchange_is_not_taken_for_an_aborted_one(proxy):
    slow = proxy.stream().request()
    proxy.advance(300)
    for _ in range(5):
        proxy.exchange()
        proxy.advance(2)
        proxy.collect_garbage()
    slow.response(OK, b"at last")
    assert [span["http.response.body"] for span in proxy.spans if span["http.response.body"]] == ["at last"]
    assert all("error.type" not in span.attributes for span in proxy.spans)


def test_an_exchange_that_lasts_longer_than_a_quarter_of_an_hour_is_no_aborted_one(proxy):
    stream = proxy.stream().request()
    stream.response(OK, b"first", ended=False)
    for _ in range(3):
        proxy.advance(905)
        proxy.exchange()
    stream.response_data(b" and last", ended=True)
    assert all("error.type" not in span.attributes for span in proxy.spans)
    assert [span["http.response.body"] for span in proxy.spans] == ["", "", "", "first and last"]


def redirect(proxy, *paths, redirects=True):
    """An exchange that Envoy redirects inside of it, and its last stream."""
    origin = None
    for count, path in enumerate(paths):
        lines = [GET[0], (":path", path), *GET[2:]]
        if origin:
            lines.append(("x-envoy-original-url", f"http://shop.example.com{origin}"))
        stream = proxy.stream(redirects=str(count) if redirects and count else None).request(lines)
        if path != paths[-1]:
            stream.destroy()
            proxy.collect_garbage()
        origin = path
    return stream


@pytest.mark.parametrize(
    "paths",
    [
        ("/start", "/final"),
        ("/start?token=s3cr3t", "/between?token=s3cr3t", "/final"),
        ("/" + "x" * 9000, "/" + "y" * 9000, "/final"),
    ],
)
def test_an_internally_redirected_exchange_is_one_span_of_what_the_client_sent_and_got(proxy, paths):
    others = [proxy.stream().request(GET, ended=False) for _ in range(3)]
    redirect(proxy, *paths).response(OK, b"final")
    for other in others:
        other.response()
    proxy.advance(2)
    proxy.exchange()
    assert all("error.type" not in span.attributes for span in proxy.spans)
    [span] = [span for span in proxy.spans if span["http.target"] != "/"]
    assert span["http.target"] == paths[0].replace("s3cr3t", "***")[:8192]
    assert (span["http.status_code"], span["http.response.body"]) == ("200", "final")
    assert proxy.errors == proxy.warnings == []


def test_a_client_cannot_write_that_its_request_was_redirected(proxy):
    redirect(proxy, "/attack", "/final", redirects=False).response()
    proxy.advance(2)
    proxy.exchange()
    found = {span["http.target"]: span.attributes.get("error.type") for span in proxy.spans}
    assert found == {"/attack": "aborted", "/final": None, "/": None}


def test_aborted_exchanges_do_not_pile_up(proxy):
    for _ in range(10_000):
        proxy.stream().request(GET, b"x" * 100, ended=False).destroy()
    # The oldest left for want of room, each as a span; a batch may wait.
    assert 10_000 - 4096 - 32 <= len(proxy.spans) < 10_000
    proxy.advance(2)
    proxy.exchange()
    # So many on each event that none takes long.
    assert 10_000 - 4096 < len(proxy.spans) < 10_000 - 4096 + 200
    for _ in range(199):
        proxy.exchange()
    assert len(proxy.spans) == 10_200
    assert len({span.written["spanId"] for span in proxy.spans}) == 10_200


KIB = 1024
AT_ONCE = {"export": {"max_batch_spans": 1}}
SLOW = [*GET, ("user-agent", "slow")]


def by_agent(proxy, agent):
    """The spans of a client's requests."""
    return [span for span in proxy.spans if span.headers("request").get("user-agent") == agent]


@pytest.mark.parametrize("kib", [16, 27, 64])
def test_clients_that_upload_and_wait_hide_no_body_of_others(start, kib):
    proxy = start(**AT_ONCE)
    body = b"x" * kib * KIB
    slow = [proxy.stream().request(SLOW, body, ended=False) for _ in range(1000)]
    other = b"y" * 64 * KIB
    for _ in range(50):
        proxy.exchange(sent=[other], answered=[other])
    assert len(proxy.spans) == 50
    assert {span["http.request.body"] for span in proxy.spans} == {other.decode()}
    assert {span["http.response.body"] for span in proxy.spans} == {other.decode()}
    for stream in slow:
        stream.request_data(b"", ended=True)
        stream.response()
    found = by_agent(proxy, "slow")
    assert {span["http.request.body.size"] for span in found} == {str(len(body))}
    # Who began first gave way; what is left is bounded.
    assert found[0]["http.request.body.truncated"] is True
    assert found[0]["http.request.body"] == ""
    kept = [len(span["http.request.body"]) for span in found]
    assert 8 * KIB * KIB < sum(kept) < 12 * KIB * KIB
    assert kept[-1] == len(body)


def test_a_small_body_does_not_give_way_to_large_ones_however_long_it_lasts(start):
    proxy = start(**AT_ONCE)
    small = proxy.stream().request(SLOW, b"small", ended=False)
    large = [proxy.stream().request(GET, b"x" * 64 * KIB, ended=False) for _ in range(500)]
    small.request_data(b"er", ended=True)
    small.response()
    assert [span["http.request.body"] for span in by_agent(proxy, "slow")] == ["smaller"]
    assert len(large) == 500


def test_an_exchange_that_gave_way_keeps_no_more_of_its_bodies(start):
    proxy = start(**AT_ONCE)
    first = proxy.stream().request(SLOW, b"x" * 60 * KIB, ended=False)
    others = [proxy.stream().request(GET, b"x" * 64 * KIB, ended=False) for _ in range(300)]
    first.request_data(b"more", ended=True)
    first.response(OK, b"answer")
    [span] = by_agent(proxy, "slow")
    assert (span["http.request.body"], span["http.request.body.truncated"]) == ("", True)
    assert (span["http.response.body"], span["http.response.body.truncated"]) == ("", True)
    assert (span["http.request.body.size"], span["http.response.body.size"]) == (str(60 * KIB + 4), "6")
    assert "http.request.headers.truncated" not in span.attributes
    assert len(others) == 300


def test_headers_of_requests_in_flight_are_bounded_together(start):
    proxy = start()
    headers = [*GET, *((name, '"' * 4 * KIB) for name in ("user-agent", "accept", "via", "te", "from"))]
    streams = [proxy.stream().request(headers, ended=False) for _ in range(1000)]
    for stream in streams:
        stream.request_data(b"", ended=True)
        stream.response()
    first, *_, last = proxy.spans
    assert (first["http.request.headers"], first["http.request.headers.truncated"]) == ("{}", True)
    assert last.headers("request")["user-agent"] == '"' * 4 * KIB
    assert "http.request.headers.truncated" not in last.attributes
    held = [span for span in proxy.spans if span["http.request.headers"] != "{}"]
    assert 200 < len(held) < 400  # of 40 KiB each, as they stand in a span


WIDE = [
    (":path", "/" + "x" * 9000),
    (":method", "M" * 100),
    (":authority", "h" * 500),
    ("x-forwarded-for", "f" * 4000),
]


def test_no_number_of_large_requests_that_wait_hides_a_body_of_others(start):
    proxy = start(**AT_ONCE)
    waiting = [proxy.stream().request(WIDE, b"z" * KIB, ended=False) for _ in range(3000)]
    body = b"y" * 64 * KIB
    for _ in range(9):
        proxy.exchange([*GET, ("user-agent", "other")], sent=[body], answered=[body])
    found = by_agent(proxy, "other")
    assert {len(span["http.request.body"]) for span in found} == {len(body)}
    assert {len(span["http.response.body"]) for span in found} == {len(body)}
    waiting[0].response()
    assert proxy.spans[-1]["http.target.truncated"] is True
    assert proxy.spans[-1]["http.target"] == WIDE[0][1][:256]
    assert all("error.type" not in span.attributes for span in proxy.spans)


def test_who_holds_just_a_fair_share_leaves_others_no_less(start):
    proxy = start(**AT_ONCE)
    # Together a little less than what is left when some give way.
    waiting = [proxy.stream().request(GET, b"x" * 20 * KIB, ended=False) for _ in range(500)]
    body = b"y" * 64 * KIB
    streams = [proxy.stream().request(SLOW, body) for _ in range(60)]
    for stream in streams:
        stream.response()
    assert {len(span["http.request.body"]) for span in by_agent(proxy, "slow")} == {len(body)}
    assert len(waiting) == 500


def test_an_upload_that_goes_on_after_a_skipped_response_takes_no_room(start):
    proxy = start(skip_content_types=["image/*"], **AT_ONCE)
    body = b"x" * 64 * KIB
    for _ in range(300):
        upload = proxy.stream().request(GET, ended=False).response([*OK, ("content-type", "image/png")])
        upload.request_data(body, ended=True)
    waiting = [proxy.stream().request(GET, ended=False) for _ in range(400)]
    proxy.exchange(SLOW, sent=[body])
    assert [len(span["http.request.body"]) for span in by_agent(proxy, "slow")] == [len(body)]
    assert len(waiting) == 400


def test_a_body_that_comes_byte_by_byte_is_kept_as_it_came(proxy):
    body = bytes(ord("a") + number % 26 for number in range(5000))
    proxy.exchange(sent=[bytes([byte]) for byte in body])
    assert proxy.span["http.request.body"] == body.decode()


def test_what_was_let_go_is_collected_without_waiting_for_more(start):
    proxy = start(max_body_bytes=262144)
    proxy.exchange()
    proxy.collect_garbage()
    before, peak = proxy.memory, 0
    for number in range(300):
        proxy.stream().request(GET, (b"%d" % number).ljust(200 * KIB), ended=False)
        peak = max(peak, proxy.memory)
    assert peak - before < 24 * KIB * KIB


def test_a_clock_that_jumps_back_stops_nothing(proxy):
    proxy.exchange()
    proxy.advance(-3600)
    proxy.exchange()
    stream = proxy.stream().request()
    proxy.advance(-10)
    stream.response()
    assert len(proxy.spans) == 3
    assert all(
        int(span.written["endTimeUnixNano"]) >= int(span.written["startTimeUnixNano"]) for span in proxy.spans
    )


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_strict_receiver_takes_a_batch_of_spans(start, encoding):
    proxy = start(export={"encoding": encoding})
    streams = [proxy.stream().request() for _ in range(3)]
    for stream in streams:
        stream.response(OK, b'{"a":"b"}')
    [call] = proxy.calls
    assert len(otlp.decode(call[b"body"], call[b"headers"][b"content-type"].decode())) == 3
