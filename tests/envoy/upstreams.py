"""Applications that a test leads step by step, and the way to them: changes to Envoy's bootstrap."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import h2.config
import h2.connection
import h2.events

from lab import raw
from lab.bootstrap import Json
from lab.server import LOOPBACK

LIMIT = 1024 * 1024
APPLICATION, COLLECTOR = "inbound|", "outbound|"

Handler = Callable[[raw.Connection], Awaitable[None]]
Event = TypeVar("Event", bound=h2.events.Event)


@asynccontextmanager
async def listening(handler: Handler, *, port: int = 0) -> AsyncIterator[int]:
    """A TCP server on loopback; a connection is closed when its handler returns.

    A peer that closes or resets ends the handler in silence. Handlers that still run when the block is left
    are cancelled.

    Yields:
        The port.
    """
    handlers: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        handlers.add(task)
        connection = raw.Connection(reader, writer)
        try:
            # Cancelled only by us, below; asyncio would log it.
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await handler(connection)
        finally:
            handlers.discard(task)
            await connection.close()

    server = await asyncio.start_server(accept, LOOPBACK, port, limit=LIMIT)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await server.wait_closed()


@contextmanager
def refusing() -> Iterator[socket.socket]:
    """A socket with a port on loopback that refuses connections, until somebody listens on it."""
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        yield bound


def cluster(config: Json, prefix: str) -> Json:
    """The cluster of a bootstrap whose name starts with a prefix."""
    found: Json = next(
        item for item in config["static_resources"]["clusters"] if item["name"].startswith(prefix)
    )
    return found


def endpoint_at(port: int, *, of: str = APPLICATION, protocol: Json | None = None) -> Callable[[Json], None]:
    """Leads a cluster to a port on loopback.

    Args:
        port: on loopback.
        of: how the cluster's name starts.
        protocol: an Envoy ``explicit_http_config``, say ``{"http2_protocol_options": {}}``.
    """

    def configure(config: Json) -> None:
        chosen = cluster(config, of)
        endpoint = chosen["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        endpoint["address"]["socket_address"]["port_value"] = port
        if protocol:
            name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
            options = {"@type": f"type.googleapis.com/{name}", "explicit_http_config": protocol}
            chosen["typed_extension_protocol_options"] = {name: options}

    return configure


@dataclass(frozen=True)
class Request:
    """A request as it came.

    Attributes:
        line: method, target and version.
        headers: names in lower case, in the order and number sent.
        body: without its chunk framing.
    """

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes:
        """The values of a header, joined by commas; empty if it is absent."""
        return b",".join(value for key, value in self.headers if key == name)


async def chunk(connection: raw.Connection) -> bytes:
    """The next chunk of a chunked body; empty for the last one, whose trailers are left to be read."""
    size = int(await connection.until(b"\r\n"), 16)
    return (await connection.exactly(size + 2))[:size] if size else b""


async def request(connection: raw.Connection) -> Request:
    """The next request, read to its end."""
    line, *lines = (await connection.until(b"\r\n\r\n")).removesuffix(b"\r\n\r\n").split(b"\r\n")
    fields = [field.split(b":", 1) for field in lines]
    found = Request(line, [(name.lower(), value.strip()) for name, value in fields], b"")
    if found.header(b"transfer-encoding") == b"chunked":
        body = b""
        while part := await chunk(connection):
            body += part
        await connection.until(b"\r\n")
    else:
        body = await connection.exactly(int(found.header(b"content-length") or 0))
    return Request(line, found.headers, body)


class Http2:
    """HTTP/2 frame by frame on one connection, with prior knowledge."""

    def __init__(self, connection: raw.Connection, *, client_side: bool) -> None:
        self._connection = connection
        self._waiting: list[h2.events.Event] = []
        config = h2.config.H2Configuration(client_side=client_side, header_encoding="utf-8")
        self.frames = h2.connection.H2Connection(config)
        self.frames.initiate_connection()

    async def flush(self) -> None:
        """Send what the calls of `frames` prepared."""
        if data := self.frames.data_to_send():
            await self._connection.send(data)

    async def next(self, kind: type[Event]) -> Event:
        """The next event of a kind, others before it passed over.

        Raises:
            ConnectionError: the peer closed before it.
        """
        while True:
            await self.flush()
            while self._waiting:
                event = self._waiting.pop(0)
                if isinstance(event, kind):
                    return event
            data = await self._connection.receive()
            if not data:
                raise ConnectionError("the peer closed")
            self._waiting += self.frames.receive_data(data)

    async def data(self, size: int) -> bytes:
        """The next so many bytes of the only stream.

        Raises:
            ConnectionError: the peer closed before them.
        """
        data = b""
        while len(data) < size:
            event = await self.next(h2.events.DataReceived)
            self.frames.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            data += event.data or b""
        return data
