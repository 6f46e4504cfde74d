"""Many streams at once: what they make Envoy hold, with the filter and without."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from lab import raw
from lab.usage import growth

from . import http2, target
from .target import Target

BAR_MB = 40.0  # more than without the filter, by the design
_AT_ONCE = 16
_MOST_SECONDS = 60
_HEAD = 55_000
_BODY = 65_536
_NAMES = ("user-agent", "referer", "accept", "via", "cookie", "origin", "if-match", "warning")


@dataclass(frozen=True)
class Flood:
    """Streams of one kind.

    Attributes:
        kind: of `KINDS`.
        streams: how many.
        unit: what fills their headers or bodies.
        lines: over how many headers that is spread, 1 to 8.
    """

    kind: str
    streams: int
    unit: str
    lines: int


@dataclass(frozen=True)
class Held:
    """What a flood made Envoy hold, in MB over what it had.

    Attributes:
        peak: while it lasted, over the same without the filter.
        after: two seconds after it, over the same without the filter.
    """

    peak: float
    after: float


def drawn(source: random.Random, units: list[str]) -> Flood:
    """A new flood."""
    kind = source.choice(list(KINDS))
    fit = [unit for unit in units if unit.isascii() and unit.isprintable()]
    unit = source.choice(['"', "x", "/a?b=c&", "\\", "\xff", source.choice(fit)])
    return Flood(kind, source.choice((KINDS[kind][1] // 2, KINDS[kind][1])), unit, source.choice((1, 2, 8)))


async def held(flood: Flood) -> Held:
    """Run a flood against an Envoy without the filter and one with it, each a new one."""
    peaks, ends = [], []
    for captured in (False, True):
        async with target.running(captured=captured) as found:
            with growth(found.lab.envoy.pid) as measured:
                # Envoy may end connections of a flood, or refuse its requests. What it holds is measured.
                with suppress(ConnectionError, TimeoutError):
                    async with asyncio.timeout(_MOST_SECONDS):
                        await KINDS[flood.kind][0](found, flood)
                await asyncio.sleep(2)
            peaks.append(measured.peak / 1e6)
            ends.append(measured.end / 1e6)
    return Held(peaks[1] - peaks[0], ends[1] - ends[0])


def _heads(flood: Flood) -> Iterator[list[tuple[str, str]]]:
    """Headers of each stream, none like another's: Lua keeps equal strings once."""
    size = _HEAD // flood.lines
    fill = flood.unit * (size // len(flood.unit))
    for number in range(flood.streams):
        yield [(name, f"{number} {at} {fill}"[:size]) for at, name in enumerate(_NAMES[: flood.lines])]


def _bodies(flood: Flood) -> Iterator[bytes]:
    fill = flood.unit * (_BODY // len(flood.unit) + 1)
    for number in range(flood.streams):
        yield f"{number} {fill}".encode("latin-1")[:_BODY]


def _head(headers: list[tuple[str, str]], length: int) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{lines}\r\n".encode("latin-1")


async def _arrived(found: Target, count: int) -> None:
    """Wait until so many requests are open, or Envoy has reset or refused them, or closed all connections."""
    prefix = "http.inbound.downstream_"
    while True:
        stats = await found.lab.envoy.stats(rf"^{prefix}(rq_active|rq_rx_reset|rq_4xx|cx_active|cx_destroy)$")
        seen = sum(stats[prefix + name] for name in ("rq_active", "rq_rx_reset", "rq_4xx"))
        are_closed = stats[f"{prefix}cx_destroy"] > 0 and stats[f"{prefix}cx_active"] == 0
        if seen >= count or are_closed:
            return
        await asyncio.sleep(0.02)


async def _aborted(found: Target, flood: Flood) -> None:
    """Requests without their body, reset once Envoy has their headers."""
    heads = _heads(flood)

    async def abort() -> None:
        for headers in heads:
            async with raw.connect(found.lab.envoy.ports["inbound"]) as connection:
                await connection.send(_head(headers, 9)[:-2] + b"Expect: 100-continue\r\n\r\n")
                await connection.until(b"\r\n\r\n")
                await connection.abort()

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(abort())


async def _open(found: Target, flood: Flood) -> None:
    """Requests without their body, all open at once."""
    async with AsyncExitStack() as connections:
        for headers in _heads(flood):
            connection = await connections.enter_async_context(raw.connect(found.lab.envoy.ports["inbound"]))
            await connection.send(_head(headers, 9))
        await _arrived(found, flood.streams)


async def _uploads(found: Target, flood: Flood) -> None:
    """Bodies of which the last byte does not come."""
    async with AsyncExitStack() as connections:
        for body in _bodies(flood):
            connection = await connections.enter_async_context(raw.connect(found.lab.envoy.ports["inbound"]))
            await connection.send(_head([], len(body) + 1) + body)
        await _arrived(found, flood.streams)


async def _unread(found: Target, flood: Flood) -> None:
    """Responses that the application does not end."""
    body = next(_bodies(flood))
    found.application.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % (len(body) + 1) + body
    )
    async with AsyncExitStack() as connections:
        for headers in _heads(Flood(flood.kind, flood.streams, "x", 1)):
            connection = await connections.enter_async_context(raw.connect(found.lab.envoy.ports["inbound"]))
            await connection.send(_head([(name, value[:20]) for name, value in headers], 0))
            await connection.until(b"\r\n\r\n")
        await _arrived(found, flood.streams)


async def _streams(found: Target, flood: Flood, *, is_reset: bool = False) -> None:
    """HTTP/2 streams without their body, 100 a connection: open, or reset at once."""
    heads = _heads(flood)
    async with AsyncExitStack() as connections:
        for _ in range(flood.streams // 100):
            connection = await connections.enter_async_context(raw.connect(found.lab.envoy.ports["inbound"]))
            await connection.send(http2.PREFACE)
            for stream in range(1, 200, 2):
                await connection.send(http2.request(stream, next(heads), has_body=True))
                if is_reset:
                    await connection.send(http2.reset(stream))
        await _arrived(found, 0 if is_reset else flood.streams)


async def _resets(found: Target, flood: Flood) -> None:
    """HTTP/2 streams that are reset at once."""
    await _streams(found, flood, is_reset=True)


async def _trickle(found: Target, flood: Flood) -> None:
    """HTTP/2 bodies in DATA frames of a byte, 100 streams at once."""
    size = 65_536 * 20 // flood.streams
    body = next(_bodies(flood))[:size]
    async with raw.connect(found.lab.envoy.ports["inbound"]) as connection:
        await connection.send(http2.PREFACE)
        for stream in range(1, 2 * min(flood.streams, 100), 2):
            await connection.send(http2.request(stream, [], has_body=True))
        for at in range(len(body)):
            await connection.send(
                b"".join(
                    http2.data(stream, body[at : at + 1], is_last=False)
                    for stream in range(1, 2 * min(flood.streams, 100), 2)
                )
            )


KINDS: dict[str, tuple[Callable[[Target, Flood], Awaitable[None]], int]] = {
    "aborted requests": (_aborted, 4000),
    "open requests": (_open, 1000),
    "slow uploads": (_uploads, 300),
    "endless responses": (_unread, 300),
    "HTTP/2 streams": (_streams, 4000),
    "HTTP/2 resets": (_resets, 4000),
    "bytes in frames": (_trickle, 100),
}
"""By name: the flood, and how many streams it has at most."""
