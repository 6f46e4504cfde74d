"""What streams passes as it is and when it comes, and leaves the span that it should.

Each step waits for the one before it to arrive at the other end: what is held back anywhere stops its test.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h2.events
import pytest

from lab import mesh, raw, stack
from lab.bootstrap import Json, Listener
from lab.mesh import Lab
from lab.otlp import Span
from tests.envoy.upstreams import (
    Handler,
    Http2,
    chunk,
    endpoint_at,
    listening,
    request,
)

pytestmark = pytest.mark.anyio

GRPC = [("content-type", "application/grpc"), ("te", "trailers")]
UPLOAD = [(":method", "POST"), (":scheme", "http"), (":authority", "h"), (":path", "/up")]
BYTES = bytes(range(256)) * 40


@asynccontextmanager
async def application(
    handler: Handler, listener: Listener | None = None, *, protocol: Json | None = None
) -> AsyncIterator[Lab]:
    """A lab whose application is a handler of TCP connections.

    Args:
        handler: of each connection.
        listener: other than the default.
        protocol: how Envoy speaks to the application, other than HTTP/1.1.
    """
    async with (
        listening(handler) as port,
        mesh.running(
            stack.manifests(),
            listeners=[listener or Listener()],
            configure=endpoint_at(port, protocol=protocol),
        ) as lab,
    ):
        yield lab


async def only_span(lab: Lab) -> Span:
    """The one span that the collector took."""
    [span] = await lab.collector.spans(1)
    assert lab.collector.refused == []
    return span


def assert_stream(span: Span, *, status: int) -> None:
    """A span that left at the response headers, without an error and without the response's body."""
    assert (span.attributes["http.status_code"], span.status_code) == (status, 0)
    assert span.attributes["http.response.body"] == ""
    assert span.attributes["http.response.body.omitted"] == "stream"
    assert "http.response.body.size" not in span.attributes


# Upgrades and tunnels.


async def echo(connection: raw.Connection) -> None:
    while data := await connection.receive():
        await connection.send(data)


async def test_a_websocket_passes_both_ways_and_its_span_leaves_at_the_101() -> None:
    handshake = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"

    async def handler(connection: raw.Connection) -> None:
        assert b"upgrade: websocket" in await connection.until(b"\r\n\r\n")
        await connection.send(b"HTTP/1.1 101 Switching Protocols\r\n" + handshake + b"\r\n")
        await echo(connection)

    async with application(handler) as lab, raw.connect(lab.envoy.ports["inbound"]) as connection:
        await connection.send(b"GET /chat HTTP/1.1\r\nHost: h\r\n" + handshake + b"\r\n")
        assert (await connection.response()).status == 101
        span = await only_span(lab)
        for frame in (b"first", BYTES, os.urandom(300_000)):
            await connection.send(frame)
            assert await connection.exactly(len(frame)) == frame
        assert len(await lab.collector.spans(0)) == 1
    assert_stream(span, status=101)
    assert span.attributes["http.target"] == "/chat"


async def test_an_upgrade_that_the_application_declines_hides_nothing() -> None:
    async def handler(connection: raw.Connection) -> None:
        await connection.until(b"\r\n\r\n")
        await connection.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

    async with application(handler) as lab, raw.connect(lab.envoy.ports["inbound"]) as connection:
        await connection.send(
            b"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert (await connection.response()).body == b"no"
        span = await only_span(lab)
    assert span.attributes["http.status_code"] == 403
    assert span.attributes["http.response.body"] == "no"


async def test_connect_tunnels_both_ways_and_its_span_leaves_at_the_200() -> None:
    route = {
        "match": {"connect_matcher": {}},
        "route": {
            "cluster": "inbound|8080||",
            "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}],
        },
    }
    listener = Listener(routes=[route], connection_manager={"upgrade_configs": [{"upgrade_type": "CONNECT"}]})
    async with application(echo, listener) as lab, raw.connect(lab.envoy.ports["inbound"]) as connection:
        await connection.send(b"CONNECT db.example.com:5432 HTTP/1.1\r\nHost: db.example.com:5432\r\n\r\n")
        assert (await connection.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        span = await only_span(lab)
        for data in (b"first", BYTES, os.urandom(300_000)):
            await connection.send(data)
            assert await connection.exactly(len(data)) == data
        assert len(await lab.collector.spans(0)) == 1
    assert_stream(span, status=200)
    assert (span.name, span.attributes["http.host"]) == ("CONNECT", "db.example.com:5432")


# gRPC.


@asynccontextmanager
async def http2_client(lab: Lab) -> AsyncIterator[Http2]:
    async with raw.connect(lab.envoy.ports["inbound"]) as connection:
        yield Http2(connection, client_side=True)


def message(data: bytes) -> bytes:
    """A gRPC message, not compressed."""
    return b"\0" + len(data).to_bytes(4, "big") + data


def grpc_request(path: str) -> list[tuple[str, str]]:
    return [(":method", "POST"), (":scheme", "http"), (":authority", "h"), (":path", path), *GRPC]


GRPC_RESPONSE = [(":status", "200"), ("content-type", "application/grpc")]
GRPC_TRAILERS = [("grpc-status", "0"), ("x-checksum", "17")]
TO_HTTP2: Json = {"http2_protocol_options": {}}


def trailers(event: h2.events.TrailersReceived) -> dict[str, str]:
    return {str(name): str(value) for name, value in event.headers or ()}


async def test_a_unary_grpc_call_passes_with_its_trailers_and_its_span_leaves_at_the_headers() -> None:
    received: list[bytes] = []

    async def handler(connection: raw.Connection) -> None:
        server = Http2(connection, client_side=False)
        stream = (await server.next(h2.events.RequestReceived)).stream_id
        received.append(await server.data(len(message(BYTES))))
        server.frames.send_headers(stream, GRPC_RESPONSE)
        server.frames.send_data(stream, message(BYTES[::-1]))
        server.frames.send_headers(stream, GRPC_TRAILERS, end_stream=True)
        await server.next(h2.events.ConnectionTerminated)

    async with application(handler, protocol=TO_HTTP2) as lab, http2_client(lab) as client:
        client.frames.send_headers(1, grpc_request("/shop.Orders/Place"))
        client.frames.send_data(1, message(BYTES), end_stream=True)
        await client.next(h2.events.ResponseReceived)
        assert await client.data(len(message(BYTES))) == message(BYTES[::-1])
        assert trailers(await client.next(h2.events.TrailersReceived)).items() >= dict(GRPC_TRAILERS).items()
        span = await only_span(lab)
    assert received == [message(BYTES)]
    assert_stream(span, status=200)
    assert span.attributes["http.flavor"] == "2"
    assert span.attributes["http.request.body.size"] == len(message(BYTES))
    assert span.attributes["http.request.body.omitted"] == "binary"


async def test_a_grpc_stream_passes_both_ways_message_by_message() -> None:
    messages = [message(data) for data in (b"first", b"\0\xff", BYTES[:1000])]

    async def handler(connection: raw.Connection) -> None:
        server = Http2(connection, client_side=False)
        stream = (await server.next(h2.events.RequestReceived)).stream_id
        server.frames.send_headers(stream, GRPC_RESPONSE)
        for data in messages:
            assert await server.data(len(data)) == data
            server.frames.send_data(stream, data)
        await server.next(h2.events.StreamEnded)
        server.frames.send_headers(stream, GRPC_TRAILERS, end_stream=True)
        await server.next(h2.events.ConnectionTerminated)

    async with application(handler, protocol=TO_HTTP2) as lab, http2_client(lab) as client:
        client.frames.send_headers(1, grpc_request("/shop.Orders/Watch"))
        await client.next(h2.events.ResponseReceived)
        span = await only_span(lab)
        for data in messages:
            client.frames.send_data(1, data)
            assert await client.data(len(data)) == data
        client.frames.end_stream(1)
        assert trailers(await client.next(h2.events.TrailersReceived)).items() >= dict(GRPC_TRAILERS).items()
        assert len(await lab.collector.spans(0)) == 1
    assert_stream(span, status=200)


async def test_a_grpc_call_that_fails_at_once_passes_as_its_only_headers() -> None:
    failed = [*GRPC_RESPONSE, ("grpc-status", "7"), ("grpc-message", "no")]

    async def handler(connection: raw.Connection) -> None:
        server = Http2(connection, client_side=False)
        stream = (await server.next(h2.events.RequestReceived)).stream_id
        server.frames.send_headers(stream, failed, end_stream=True)
        await server.next(h2.events.ConnectionTerminated)

    async with application(handler, protocol=TO_HTTP2) as lab, http2_client(lab) as client:
        client.frames.send_headers(1, grpc_request("/shop.Orders/Place"))
        client.frames.send_data(1, message(b"tea"), end_stream=True)
        response = await client.next(h2.events.ResponseReceived)
        assert ("grpc-status", "7") in (response.headers or ())
        await client.next(h2.events.StreamEnded)
        span = await only_span(lab)
    assert_stream(span, status=200)


# Server-sent events.


async def test_each_server_sent_event_arrives_before_the_next_is_made() -> None:
    arrived = [asyncio.Event() for _ in range(3)]

    async def handler(connection: raw.Connection) -> None:
        await request(connection)
        await connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for number, seen in enumerate(arrived):
            await connection.send(b"9\r\ndata: %d\n\n\r\n" % number)
            await seen.wait()
        await connection.send(b"0\r\n\r\n")

    async with application(handler) as lab, raw.connect(lab.envoy.ports["inbound"]) as connection:
        await connection.send(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")
        await connection.until(b"\r\n\r\n")
        span = await only_span(lab)
        for number, seen in enumerate(arrived):
            assert await chunk(connection) == b"data: %d\n\n" % number
            seen.set()
        assert await chunk(connection) == b""
        assert len(await lab.collector.spans(0)) == 1
    assert_stream(span, status=200)


# Uploads.


@pytest.mark.parametrize("proxied", [False, True], ids=["by envoy", "by the application"])
async def test_a_client_that_expects_100_continue_gets_it_and_is_captured_whole(proxied: bool) -> None:
    async def handler(connection: raw.Connection) -> None:
        head = await connection.until(b"\r\n\r\n")
        assert (b"expect: 100-continue" in head) is proxied
        if proxied:
            await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await connection.exactly(3)
        await connection.send(b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\n" + body)

    listener = Listener(connection_manager={"proxy_100_continue": proxied})
    async with application(handler, listener) as lab, raw.connect(lab.envoy.ports["inbound"]) as connection:
        await connection.send(
            b"POST /orders HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        )
        assert (await connection.response()).status == 100
        await connection.send(b"tea")
        assert (await connection.response()).body == b"tea"
        span = await only_span(lab)
    assert span.attributes["http.status_code"] == 201
    assert span.attributes["http.request.body"] == span.attributes["http.response.body"] == "tea"


async def test_a_response_in_the_midst_of_an_upload_arrives_and_is_captured() -> None:
    async def handler(connection: raw.Connection) -> None:
        await connection.until(b"\r\n\r\n")
        assert await chunk(connection) == b"first"
        await connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\ntoo large")
        await connection.receive()

    async with application(handler) as lab, raw.connect(lab.envoy.ports["inbound"]) as connection:
        await connection.send(
            b"POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
        )
        response = await connection.response()
        span = await only_span(lab)
    assert (response.status, response.body) == (413, b"too large")
    assert span.attributes["http.status_code"] == 413
    assert span.attributes["http.request.body"] == "first"
    assert span.attributes["http.request.body.truncated"] is True
    assert span.attributes["http.response.body"] == "too large"
    assert "http.response.body.truncated" not in span.attributes


async def test_an_upload_slower_than_its_response_passes_chunk_by_chunk() -> None:
    async def handler(connection: raw.Connection) -> None:
        await connection.until(b"\r\n\r\n")
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while part := await chunk(connection):
            await connection.send(b"%x\r\n%b\r\n" % (len(part), part))
        await connection.until(b"\r\n")
        await connection.send(b"0\r\n\r\n")

    parts = [b"first ", b"second ", b"x" * 5000]
    async with application(handler) as lab, raw.connect(lab.envoy.ports["inbound"]) as connection:
        await connection.send(b"POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        await connection.until(b"\r\n\r\n")
        for part in parts:
            await connection.send(b"%x\r\n%b\r\n" % (len(part), part))
            assert await chunk(connection) == part
        assert await lab.collector.spans(0) == []
        await connection.send(b"0\r\n\r\n")
        assert await chunk(connection) == b""
        span = await only_span(lab)
    assert span.attributes["http.request.body"] == span.attributes["http.response.body"]
    assert span.attributes["http.request.body"] == b"".join(parts).decode()
    assert span.attributes["http.request.body.size"] == len(b"".join(parts))
    assert "http.request.body.truncated" not in span.attributes


async def test_an_http2_response_in_the_midst_of_an_upload_arrives_and_is_captured() -> None:
    async def handler(connection: raw.Connection) -> None:
        server = Http2(connection, client_side=False)
        stream = (await server.next(h2.events.RequestReceived)).stream_id
        assert await server.data(5) == b"first"
        server.frames.send_headers(stream, [(":status", "413")])
        server.frames.send_data(stream, b"too large", end_stream=True)
        await server.next(h2.events.ConnectionTerminated)

    async with application(handler, protocol=TO_HTTP2) as lab, http2_client(lab) as client:
        client.frames.send_headers(1, UPLOAD)
        client.frames.send_data(1, b"first")
        assert await client.data(9) == b"too large"
        await client.next(h2.events.StreamEnded)
        span = await only_span(lab)
    assert span.attributes["http.status_code"] == 413
    assert span.attributes["http.request.body"] == "first"
    assert span.attributes["http.request.body.truncated"] is True
    assert span.attributes["http.response.body"] == "too large"


# Trailers.


async def test_trailers_of_http_1_pass_both_ways_and_the_bodies_are_whole() -> None:
    received: list[bytes] = []
    trailer = b"x-checksum: 17\r\n\r\n"

    async def handler(connection: raw.Connection) -> None:
        await connection.until(b"\r\n\r\n")
        while part := await chunk(connection):
            received.append(part)
        received.append(await connection.until(b"\r\n\r\n"))
        await connection.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndone\r\n0\r\n" + trailer
        )

    listener = Listener(connection_manager={"http_protocol_options": {"enable_trailers": True}})
    protocol = {"http_protocol_options": {"enable_trailers": True}}
    async with (
        application(handler, listener, protocol=protocol) as lab,
        raw.connect(lab.envoy.ports["inbound"]) as connection,
    ):
        await connection.send(
            b"POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntea\r\n0\r\n" + trailer
        )
        await connection.until(b"\r\n\r\n")
        assert await chunk(connection) == b"done"
        assert await chunk(connection) == b""
        assert await connection.until(b"\r\n\r\n") == trailer
        span = await only_span(lab)
    assert received == [b"tea", trailer]
    assert (span.attributes["http.request.body"], span.attributes["http.response.body"]) == ("tea", "done")
    assert not [name for name in span.attributes if name.endswith("truncated")]


async def test_trailers_of_http_2_pass_both_ways_and_the_bodies_are_whole() -> None:
    received: list[object] = []

    async def handler(connection: raw.Connection) -> None:
        server = Http2(connection, client_side=False)
        stream = (await server.next(h2.events.RequestReceived)).stream_id
        received.append(await server.data(3))
        received.append(trailers(await server.next(h2.events.TrailersReceived)))
        server.frames.send_headers(stream, [(":status", "200")])
        server.frames.send_data(stream, b"done")
        server.frames.send_headers(stream, [("x-checksum", "18")], end_stream=True)
        await server.next(h2.events.ConnectionTerminated)

    async with application(handler, protocol=TO_HTTP2) as lab, http2_client(lab) as client:
        client.frames.send_headers(1, UPLOAD)
        client.frames.send_data(1, b"tea")
        client.frames.send_headers(1, [("x-checksum", "17")], end_stream=True)
        assert await client.data(4) == b"done"
        assert trailers(await client.next(h2.events.TrailersReceived)) == {"x-checksum": "18"}
        span = await only_span(lab)
    assert received == [b"tea", {"x-checksum": "17"}]
    assert (span.attributes["http.request.body"], span.attributes["http.response.body"]) == ("tea", "done")
    assert not [name for name in span.attributes if name.endswith("truncated")]
