"""Spans and the exchanges that Envoy saw are joined, in any order, and bounded."""

import asyncio
import gzip
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from lab import otlp
from lab.calls import KEPT, Calls
from lab.otlp import Span, Value
from lab.page import view
from lab.tap import Exchange, Message


def identifier(number: int) -> str:
    return f"{number:032x}"


def span(number: int = 1, **attributes: Value) -> Span:
    shown: Mapping[str, Value] = {
        "http.method": "GET",
        "http.target": "/a?pin=***",
        "http.host": "h",
        "http.flavor": "1.1",
        "http.status_code": 200,
        "http.request.headers": '{"host":"h"}',
        "http.response.headers": "{}",
        "http.request.body": "",
        "http.response.body": "",
        **{name.replace("__", "."): value for name, value in attributes.items()},
    }
    return Span(identifier(number), f"{number:016x}", "", "GET", 2, 10**18, 10**18 + 1, 0, "", shown, {}, "s")


def exchange(number: int = 1, path: str = "/a?pin=12", **parts: bytes) -> Exchange:
    headers = (
        (":method", "GET"),
        (":path", path),
        (":authority", "h"),
        ("traceparent", f"00-{identifier(number)}-{number:016x}-01"),
    )
    return Exchange(Message(headers, parts.get("request", b"")), Message((), parts.get("response", b"")))


@pytest.mark.parametrize("is_span_first", [True, False])
def test_a_call_is_compared_whichever_of_both_comes_first(is_span_first: bool) -> None:
    calls = Calls()
    if is_span_first:
        number = calls.add_span(span())
        calls.add_exchange(exchange())
    else:
        calls.add_exchange(exchange())
        number = calls.add_span(span())

    call = calls.get(number)

    assert call
    assert call.is_compared
    assert [mark.sent for mark in call.target.marks] == ["12"]
    assert (calls.captured, calls.passed) == (1, 1)


@pytest.mark.parametrize(
    "headers",
    [
        {"b3": f"{identifier(1)}-{1:016x}-1"},
        {"x-b3-traceid": identifier(1)},
        {"x-b3-traceid": identifier(1)[16:]},
        {"x-request-id": "00000000-0000-0000-0000-000000000001"},
    ],
)
def test_a_trace_id_is_found_in_each_header_that_the_filter_takes_it_from(headers: dict[str, str]) -> None:
    calls = Calls()
    pseudo = ((":method", "GET"), (":path", "/a?pin=12"), (":authority", "h"))
    calls.add_exchange(Exchange(Message((*pseudo, *headers.items())), Message()))

    call = calls.get(calls.add_span(span()))

    assert call
    assert call.is_compared


def test_calls_of_one_trace_are_told_apart_by_what_they_say() -> None:
    calls = Calls()
    for path in ("/a?pin=12", "/b", "/a?pin=34"):
        calls.add_exchange(exchange(path=path))

    spans = [span(http__target=target) for target in ("/b", "/a?pin=***", "/a?pin=***")]
    found = [calls.get(calls.add_span(one)) for one in spans]

    assert [[mark.sent for mark in call.target.marks] for call in found if call] == [[], ["12"], ["34"]]
    assert all(call.is_compared for call in found if call)


def test_a_span_without_an_exchange_shows_what_looks_masked() -> None:
    calls = Calls()
    calls.add_exchange(exchange(2))

    call = calls.get(calls.add_span(span(1)))

    assert call
    assert not call.is_compared
    assert call.masked() == ["pin"]


def test_an_inflated_body_is_compared_with_the_span_too() -> None:
    sent = Message((("content-encoding", "gzip"),), gzip.compress(b'{"pin":"12"}'))
    calls = Calls()
    calls.add_exchange(replace(exchange(), response=sent))

    call = calls.get(calls.add_span(span(http__response__body='{"pin":"***"}')))

    assert call
    assert [mark.sent for mark in call.response.body.marks] == ["12"]


def test_sizes_come_from_what_passed_where_the_span_has_none() -> None:
    body = Message((("content-length", "50000000"),), b"x" * 100, is_whole=False)
    calls = Calls()
    calls.add_exchange(replace(exchange(request=b"12345"), response=body))

    call = calls.get(calls.add_span(span(http__request__body="12345", http__response__body="x" * 90)))

    assert call
    assert (call.request.size, call.response.size) == (5, 50_000_000)
    assert (call.request.is_cut, call.response.is_cut) == (False, True)


def test_only_the_last_calls_and_exchanges_are_kept() -> None:
    calls = Calls()
    for number in range(1, KEPT + 101):
        calls.add_span(span(number))
        calls.add_exchange(exchange(number + 10_000))

    _, kept = calls.since(0)

    assert len(kept) == KEPT
    assert {call.number for call in kept} == set(range(101, KEPT + 101))
    assert calls.get(100) is None
    assert (calls.captured, calls.passed) == (KEPT + 100, KEPT + 100)
    assert len(calls._exchanges) == KEPT  # noqa: SLF001
    assert len(calls._lonely_calls) == KEPT  # noqa: SLF001
    assert len(calls._lonely_exchanges) == KEPT  # noqa: SLF001


def test_a_reader_gets_what_is_new_or_changed_since_it_looked() -> None:
    calls = Calls()
    calls.add_span(span(1))
    calls.add_span(span(2))
    version, first = calls.since(0)
    calls.add_exchange(exchange(1))
    later, second = calls.since(version)

    assert [call.number for call in first] == [1, 2]
    assert [(call.number, call.is_compared) for call in second] == [(1, True)]
    assert calls.since(later) == (later, [])


def test_who_waits_for_a_change_is_woken_by_it() -> None:
    async def wait() -> None:
        calls = Calls()
        version, _ = calls.since(0)
        waiting = asyncio.create_task(calls.change(version))
        await asyncio.sleep(0)
        assert not waiting.done()
        calls.add_span(span())
        await asyncio.wait_for(waiting, 5)

    asyncio.run(wait())


def test_a_span_is_written_as_the_receiver_reads_it() -> None:
    one = replace(
        span(text="\u0000é", count=-5, flag=True, raw=b"\x00\xff"),
        resource={"service.name": "s"},
        parent_span_id="00000000000000aa",
        status_code=2,
        status_message="aborted",
    )

    assert otlp.decode(json.dumps(view.as_otlp(one)).encode()) == [one]


def test_headers_that_are_no_json_do_not_hide_a_call() -> None:
    calls = Calls()

    call = calls.get(calls.add_span(span(http__request__headers='["x"', http__response__headers="[]")))

    assert call
    assert view.detail(call)["sides"][0]["headers"] == []


def test_what_the_list_shows_of_a_call_is_bounded_whatever_the_call_is() -> None:
    target = "/a?" + "&".join(f"pin{number}=***" for number in range(900))
    calls = Calls()
    calls.add_exchange(exchange(path=target.replace("***", "secret" * 5)))

    call = calls.get(calls.add_span(span(http__target=target)))

    assert call
    shown = view.row(call)
    assert len(shown["target"]) == 301
    assert shown["masked"][-1] == "888 more"
    assert len(shown["masked"]) == 13
    assert len(call.target.marks) == 900
    assert [mark.sent for mark in call.target.marks[99:101]] == ["secret" * 5, None]


def test_paths_and_headers_that_were_cut_are_said_and_shown() -> None:
    sent = exchange(path="/a?b=" + "x" * 100)
    headers = (*sent.request.headers, ("user-agent", "y" * 100))
    calls = Calls()
    calls.add_exchange(Exchange(Message(headers), Message()))
    shown: dict[str, Value] = {
        "http.target": "/a?b=xxx",
        "http.request.headers": '{"user-agent":"yyy"}',
        "http.request.headers.truncated": True,
    }

    one = span()
    call = calls.get(calls.add_span(replace(one, attributes={**one.attributes, **shown})))

    assert call
    assert call.notes() == ["path cut", "request headers cut"]
    [[name, runs]] = view.detail(call)["sides"][0]["headers"]
    assert (name, runs) == ("user-agent", [["yyy"], [" … cut", "faint"]])
