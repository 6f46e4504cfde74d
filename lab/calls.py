"""Captured calls: each span together with the exchange that Envoy saw, as far as both have come. Bounded."""

import asyncio
import json
import re
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from .compare import Text, compare, names
from .otlp import Span, Value
from .tap import Exchange, Message

KEPT = 500
"""How many calls are kept, the last ones."""

_NAMES = 12
_INFLATED_BYTES = 1024 * 1024  # more than any body in a span
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{16}")
_PSEUDO = {"host": ":authority"}
_TRACE_HEADERS = ("traceparent", "b3", "x-b3-traceid")


@dataclass(frozen=True)
class Side:
    """A request or a response as it arrived.

    Attributes:
        headers: by name.
        body: the text; empty where there is none.
        raw: the body as bytes, where the span has bytes.
        size: bytes of the body that was sent; None where that is not known.
        omitted: why the body is left out; empty if it is not.
        is_cut: the body is only its beginning.
    """

    headers: dict[str, Text]
    body: Text
    raw: bytes
    size: int | None
    omitted: str
    is_cut: bool

    @property
    def content_type(self) -> str:
        """As declared; empty if it is not."""
        declared = self.headers.get("content-type")
        return declared.text if declared else ""


@dataclass(frozen=True)
class Call:
    """A captured call.

    Attributes:
        number: counts from 1, in the order of arrival.
        span: as decoded.
        target: ``http.target``.
        host: ``http.host``.
        request: its headers and body.
        response: its headers and body.
        is_compared: whether the exchange that Envoy saw is known.
    """

    number: int
    span: Span
    target: Text
    host: Text
    request: Side
    response: Side
    is_compared: bool

    @property
    def method(self) -> str:
        """The request's."""
        return str(self.span.attributes.get("http.method", ""))

    @property
    def status(self) -> int:
        """The response's; 0 where there was none."""
        return int(self.span.attributes.get("http.status_code", 0))

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return (self.span.end_ns - self.span.start_ns) / 1e6

    def texts(self) -> Iterator[tuple[str, str, Text]]:
        """Its texts: where each is, the header that it is the value of or an empty string, and the text."""
        yield "path", "", self.target
        yield "host", "", self.host
        for name, side in (("request", self.request), ("response", self.response)):
            for header, text in side.headers.items():
                yield f"{name} header {header}", header, text
            yield f"{name} body", "", side.body

    def masked(self) -> list[str]:
        """The names of what was masked, each once; of many the first, and how many more."""
        found = list(names((header, text) for _, header, text in self.texts()))
        more = len(found) - _NAMES
        return [*found[:_NAMES], f"{more} more"] if more > 0 else found

    def notes(self) -> list[str]:
        """What of it is not there, in words."""
        told = ["path cut"] if self.target.is_cut or self.span.attributes.get("http.target.truncated") else []
        for name, side in (("request", self.request), ("response", self.response)):
            if self.span.attributes.get(f"http.{name}.headers.truncated"):
                told.append(f"{name} headers cut")
            if side.omitted:
                told.append(f"{name} body omitted ({side.omitted})")
            if side.is_cut:
                told.append(f"{name} body cut")
        if error := self.span.attributes.get("error.type"):
            told.append(str(error))
        return told


def read(number: int, span: Span, exchange: Exchange | None) -> Call:
    """A call from its span and, where it is known, the exchange that Envoy saw."""
    request = exchange.request if exchange else None
    response = exchange.response if exchange else None
    attributes = span.attributes
    return Call(
        number=number,
        span=span,
        target=compare(str(attributes.get("http.target", "")), _sent_header(request, ":path")),
        host=compare(str(attributes.get("http.host", "")), _sent_header(request, ":authority"), "host"),
        request=_side(attributes, "http.request", request),
        response=_side(attributes, "http.response", response),
        is_compared=exchange is not None,
    )


def _side(attributes: Mapping[str, Value], prefix: str, sent: Message | None) -> Side:
    content = attributes.get(f"{prefix}.body", "")
    text, raw = ("", content) if isinstance(content, bytes) else (str(content), b"")
    omitted = str(attributes.get(f"{prefix}.body.omitted", ""))
    is_there = bool(text) and not omitted
    body = compare(text, _sent_bodies(sent)) if is_there else Text("", is_compared=sent is not None)
    size = attributes.get(f"{prefix}.body.size")
    if size is None:
        size = sent.size if sent else None if text else 0
    return Side(
        headers={
            name: compare(value, _sent_header(sent, _PSEUDO.get(name, name)), name)
            for name, value in _recorded_headers(attributes, prefix).items()
        },
        body=body,
        raw=raw,
        size=None if size is None else int(size),
        omitted=omitted,
        is_cut=bool(attributes.get(f"{prefix}.body.truncated")) or body.is_cut,
    )


def _recorded_headers(attributes: Mapping[str, Value], prefix: str) -> dict[str, str]:
    """The headers that a span shows, a JSON object in a string."""
    try:
        found = json.loads(str(attributes.get(f"{prefix}.headers", "{}")))
    except ValueError:
        return {}
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _sent_header(sent: Message | None, name: str) -> list[bytes]:
    value = sent.header(name) if sent else None
    return [] if value is None else [value.encode()]


def _sent_bodies(sent: Message | None) -> list[bytes]:
    """The body as it was sent, and inflated where it was compressed."""
    if not sent:
        return []
    bodies = [sent.body]
    if sent.header("content-encoding") and sent.body:
        # gzip or zlib by its header, or deflate without one
        for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
            with suppress(zlib.error):
                bodies.append(zlib.decompressobj(window).decompress(sent.body, _INFLATED_BYTES))
                break
    return bodies


class Calls:
    """The last `KEPT` calls.

    A span and its exchange come in any order, the exchange only when both sides are done: after hours, for
    a WebSocket. They are joined by the trace id, which the filter takes from the request's own headers.

    Attributes:
        captured: how many spans came.
        passed: how many exchanges Envoy saw end; those of requests that are not captured too.
    """

    def __init__(self) -> None:
        self.captured = 0
        self.passed = 0
        self._version = 0
        # The order is that of the last change.
        self._calls: OrderedDict[int, tuple[int, Call]] = OrderedDict()
        self._exchanges: OrderedDict[int, Exchange] = OrderedDict()
        # Numbers by id: of calls that have no exchange yet, and of exchanges without a span.
        self._lonely_calls: dict[str, list[int]] = {}
        self._lonely_exchanges: dict[str, list[int]] = {}
        self._changed = asyncio.Event()

    def add_span(self, span: Span) -> int:
        """Take a span that arrived. Returns its call's number."""
        self.captured += 1
        number = self.captured
        keys = _span_keys(span)
        candidates = [
            (other, self._exchanges[other])
            for key in keys
            for other in self._lonely_exchanges.get(key, [])
            if other in self._exchanges
        ]
        best = _best((other, read(number, span, exchange)) for other, exchange in candidates)
        if best:
            self._forget_exchange(best[0])
            self._put(best[1])
        else:
            for key in keys:
                self._lonely_calls.setdefault(key, []).append(number)
            self._put(read(number, span, None))
        return number

    def add_exchange(self, exchange: Exchange) -> None:
        """Take an exchange that has ended."""
        self.passed += 1
        self._announce()
        keys = _exchange_keys(exchange)
        candidates = [
            self._calls[number][1]
            for key in keys
            for number in self._lonely_calls.get(key, [])
            if number in self._calls
        ]
        best = _best((call.number, read(call.number, call.span, exchange)) for call in candidates)
        if best:
            _drop(self._lonely_calls, _span_keys(best[1].span), best[0])
            self._put(best[1])
            return
        number = self.passed
        self._exchanges[number] = exchange
        for key in keys:
            self._lonely_exchanges.setdefault(key, []).append(number)
        if len(self._exchanges) > KEPT:
            self._forget_exchange(next(iter(self._exchanges)))

    def get(self, number: int) -> Call | None:
        """A call that is still kept."""
        return self._calls[number][1] if number in self._calls else None

    def since(self, version: int) -> tuple[int, list[Call]]:
        """What is new or changed since a version, 0 for all that is kept: the version now, and the calls."""
        changed = []
        for number in reversed(self._calls):
            if self._calls[number][0] <= version:
                break
            changed.append(self._calls[number][1])
        return self._version, changed[::-1]

    async def change(self, version: int) -> None:
        """Wait until something is new or changed since a version."""
        while self._version == version:
            await self._changed.wait()

    def _put(self, call: Call) -> None:
        self._announce()
        self._calls[call.number] = (self._version, call)
        self._calls.move_to_end(call.number)
        if len(self._calls) > KEPT:
            oldest = min(self._calls)
            _, gone = self._calls.pop(oldest)
            _drop(self._lonely_calls, _span_keys(gone.span), oldest)

    def _announce(self) -> None:
        self._version += 1
        # Who waits now is woken; who comes later waits for the next one.
        self._changed.set()
        self._changed = asyncio.Event()

    def _forget_exchange(self, number: int) -> None:
        _drop(self._lonely_exchanges, _exchange_keys(self._exchanges.pop(number)), number)


def _best(pairs: Iterable[tuple[int, Call]]) -> tuple[int, Call] | None:
    """The first pair of span and exchange that agree in method, status and path, and in most other texts."""
    fitting = [
        (sum(text.is_compared for _, _, text in call.texts()), number, call)
        for number, call in pairs
        if call.is_compared and call.target.is_compared
    ]
    if not fitting:
        return None
    _, number, call = max(fitting, key=lambda item: (item[0], -item[1]))
    return number, call


def _drop(numbers: dict[str, list[int]], keys: Iterable[str], number: int) -> None:
    for key in keys:
        if number in numbers.get(key, []):
            numbers[key].remove(number)
            if not numbers[key]:
                del numbers[key]


def _span_keys(span: Span) -> set[str]:
    request_id = _recorded_headers(span.attributes, "http.request").get("x-request-id", "")
    return {span.trace_id, request_id.replace("-", "").lower()} - {""}


def _exchange_keys(exchange: Exchange) -> set[str]:
    keys = {(exchange.request.header("x-request-id") or "").replace("-", "").lower()}
    for name in _TRACE_HEADERS:
        keys |= {found.zfill(32) for found in _ID.findall((exchange.request.header(name) or "").lower())}
    return keys - {""}
