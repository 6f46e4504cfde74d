"""What a hostile client can have a worker hold: never more than the bar over an Envoy without the filter.

Most requests are held behind the capture filter by a delay, so that no application is needed. Resident
memory is the peak between two moments, as the kernel counts it; each flood runs with the filter and without.
"""

import itertools
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import anyio
import pytest

from lab import mesh, raw, stack
from lab.bootstrap import Json, Listener
from lab.mesh import Lab
from lab.usage import growth
from tests.envoy import upstreams
from tests.envoy.test_load import BAR, CONNECTIONS, MIB
from tests.envoy.upstreams import endpoint_at

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

Flood = Callable[[Lab], Awaitable[None]]

HELD: Json = {
    "name": "envoy.filters.http.fault",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        "delay": {"fixed_delay": "3600s", "percentage": {"numerator": 100}},
    },
}


async def growth_over_no_filter(flood: Flood, *, application: int | None = None) -> float:
    """How much more memory a flood takes with the filter than without, in bytes.

    Args:
        flood: what clients do.
        application: its port; without one, requests are held behind the filter.
    """
    peaks = []
    for context in ("SIDECAR_OUTBOUND", "SIDECAR_INBOUND"):  # the dev stack captures inbound only
        listener = Listener(
            context=context,
            filters_after=[HELD] if application is None else [],
            connection_manager={"http2_protocol_options": {"max_concurrent_streams": 4096}},
        )
        configure = None if application is None else endpoint_at(application)
        async with mesh.running(stack.manifests(), listeners=[listener], configure=configure) as lab:
            with growth(lab.envoy.pid) as measured:
                await flood(lab)
            stats = await lab.envoy.stats(r"\.lua\..*(errors|failed)$")
        assert sum(stats.values()) == 0
        peaks.append(measured.peak)
    without, with_filter = peaks
    return with_filter - without


def heads(size: int, unit: str) -> Iterator[list[tuple[str, str]]]:
    """Recorded headers of so many bytes, each other ones: Lua keeps equal strings once.

    Args:
        size: of all values together.
        unit: what fills them.
    """
    for number in itertools.count():
        yield [
            (name, f"{number} {index} " + unit * (size // 8 // len(unit)))
            for index, name in enumerate(
                ["user-agent", "referer", "accept", "via", "cookie", "origin", "te2", "x-a"]
            )
        ]


def http1(headers: list[tuple[str, str]]) -> bytes:
    """The head of a request whose body does not come; Envoy answers 100 once its filters have seen it."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9\r\n{lines}\r\n".encode()


UNITS = pytest.mark.parametrize("unit", ["x", '"', "/a?b=c&"], ids=["plain", "quotes", "parameters"])


@UNITS
async def test_4_000_aborted_requests_with_large_headers_cost_bounded_memory(unit: str) -> None:
    async def flood(lab: Lab) -> None:
        found = itertools.islice(heads(56_000, unit), 4_000)

        async def aborting() -> None:
            for headers in found:
                async with raw.connect(lab.envoy.ports["inbound"]) as connection:
                    await connection.send(http1(headers))
                    await connection.until(b"\r\n\r\n")
                    await connection.abort()

        async with anyio.create_task_group() as group:
            for _ in range(CONNECTIONS):
                group.start_soon(aborting)

    assert await growth_over_no_filter(flood) < BAR


@UNITS
async def test_1_000_open_requests_with_large_headers_cost_bounded_memory(unit: str) -> None:
    async def flood(lab: Lab) -> None:
        async with AsyncExitStack() as connections:
            for headers in itertools.islice(heads(56_000, unit), 1_000):
                connection = await connections.enter_async_context(raw.connect(lab.envoy.ports["inbound"]))
                await connection.send(http1(headers))
                await connection.until(b"\r\n\r\n")

    assert await growth_over_no_filter(flood) < BAR


async def test_1_000_clients_that_upload_and_wait_cost_bounded_memory() -> None:
    async def flood(lab: Lab) -> None:
        async with AsyncExitStack() as connections:
            for number in range(1_000):
                connection = await connections.enter_async_context(raw.connect(lab.envoy.ports["inbound"]))
                head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n"
                await connection.send(head + (b"%d" % number).ljust(65_536, b"x"))
            await arrived(lab, 1_000)

    assert await growth_over_no_filter(flood) < BAR


async def test_800_responses_with_large_headers_that_do_not_end_cost_bounded_memory() -> None:
    found = heads(56_000, '"')

    async def stall(connection: raw.Connection) -> None:
        await connection.until(b"\r\n\r\n")
        head = "".join(f"{name}: {value}\r\n" for name, value in next(found))
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n%b\r\nsome" % head.encode())
        await connection.receive()

    async def flood(lab: Lab) -> None:
        async with AsyncExitStack() as connections:
            for _ in range(800):
                connection = await connections.enter_async_context(raw.connect(lab.envoy.ports["inbound"]))
                await connection.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                await connection.until(b"some")

    async with upstreams.listening(stall) as port:
        assert await growth_over_no_filter(flood, application=port) < BAR


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """An HTTP/2 frame (RFC 9113, 4.1)."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(text: str) -> bytes:
    """An HPACK string without Huffman coding (RFC 7541, 5.2)."""
    data = text.encode()
    size = len(data)
    if size < 127:
        return bytes([size]) + data
    size -= 127
    out = bytes([127])
    while size >= 128:
        out += bytes([size % 128 + 128])
        size //= 128
    return out + bytes([size]) + data


def http2(stream: int, headers: list[tuple[str, str]]) -> bytes:
    """The HEADERS of a request whose body does not come."""
    pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "h"), (":path", "/")]
    block = b"".join(b"\0" + literal(name) + literal(value) for name, value in [*pseudo, *headers])
    parts = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
    return b"".join(
        frame(9 if index else 1, 4 if index == len(parts) - 1 else 0, stream, part)
        for index, part in enumerate(parts)
    )


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")


@UNITS
async def test_4_000_http2_streams_with_large_headers_cost_bounded_memory(unit: str) -> None:
    async def flood(lab: Lab) -> None:
        found = heads(56_000, unit)
        async with AsyncExitStack() as connections:
            for number in range(40):
                connection = await connections.enter_async_context(raw.connect(lab.envoy.ports["inbound"]))
                await connection.send(PREFACE)
                for index in range(100):
                    await connection.send(http2(2 * index + 1, next(found)))
                await arrived(lab, 100 * (number + 1))

    assert await growth_over_no_filter(flood) < BAR


async def arrived(lab: Lab, count: int) -> None:
    """Wait until so many requests are held."""
    while True:
        stats = await lab.envoy.stats(r"^http\..*downstream_rq_active$")
        if max(stats.values()) >= count:
            return
        await anyio.sleep(0.01)


async def test_300_clients_that_upload_and_wait_hide_no_body_of_others_and_cost_bounded_memory() -> None:
    announced = b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
    part, body = b"x" * 65_536, b'{"text":"' + b"y" * 60_000 + b'"}'
    at_once = {"export": {"maxBatchSpans": 1}}
    async with mesh.running(stack.manifests(capture=at_once)) as lab, AsyncExitStack() as connections:
        port = lab.envoy.ports["inbound"]
        with growth(lab.envoy.pid) as measured:
            for _ in range(300):
                slow = await connections.enter_async_context(raw.connect(port))
                await slow.send(announced % (len(part) + 1) + part)
            await arrived(lab, 300)
            async with raw.connect(port) as other:
                for _ in range(100):
                    await other.send(announced % len(body) + body)
                    assert (await other.response()).body == body
        spans = await lab.collector.spans(100)
        assert lab.collector.refused == []
    assert len(spans) == 100
    for span in spans:
        assert span.attributes["http.request.body"] == span.attributes["http.response.body"] == body.decode()
    assert measured.peak < BAR, f"+{measured.peak / MIB:.1f} MiB"
