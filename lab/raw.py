"""HTTP/1 byte by byte, for what no HTTP client would send: HTTP/1.0, pipelining, broken requests, aborts."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from .server import LOOPBACK

_ABORT_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: close() sends RST
_NO_BODY = {204, 304}


@dataclass(frozen=True)
class Response:
    """A response as it came.

    Attributes:
        version: ``HTTP/1.1`` or ``HTTP/1.0``.
        status: 1xx too.
        headers: names in lower case, in the order and number sent.
        body: without its chunk framing.
    """

    version: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The values of a header, joined by commas; empty if it is absent."""
        return ",".join(value for key, value in self.headers if key == name)


class Connection:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        """Whatever bytes come next, up to 64 KiB; empty once the peer has closed."""
        return await self._reader.read(65536)

    async def exactly(self, size: int) -> bytes:
        """The next so many bytes.

        Raises:
            asyncio.IncompleteReadError: the peer closed before them.
            ConnectionError: the peer reset the connection.
        """
        return await self._reader.readexactly(size)

    async def until(self, separator: bytes) -> bytes:
        """The next bytes up to and with a separator.

        Raises:
            asyncio.IncompleteReadError: the peer closed before it.
            ConnectionError: the peer reset the connection.
        """
        return await self._reader.readuntil(separator)

    async def response(self, *, to_head: bool = False) -> Response:
        """The next response, read to its end.

        Args:
            to_head: the request was HEAD: no body follows, whatever the headers say.

        Raises:
            asyncio.IncompleteReadError: the peer closed in the middle of it.
            ConnectionError: the peer reset the connection.
        """
        head = (await self.until(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        version, status, *_ = status_line.split(" ", 2)
        fields = [line.split(":", 1) for line in lines]
        response = Response(
            version, int(status), [(name.lower(), value.strip(" \t")) for name, value in fields], b""
        )
        if to_head or response.status < 200 or response.status in _NO_BODY:  # noqa: PLR2004
            return response
        return Response(response.version, response.status, response.headers, await self._body(response))

    async def _body(self, response: Response) -> bytes:
        if response.header("transfer-encoding") == "chunked":
            body = b""
            while size := int(await self.until(b"\r\n"), 16):
                body += await self.exactly(size)
                await self.exactly(2)
            while await self.until(b"\r\n") != b"\r\n":
                pass  # trailers
            return body
        if length := response.header("content-length"):
            return await self.exactly(int(length))
        return await self._reader.read()

    async def abort(self) -> None:
        """Reset the connection (RST), as a client that crashed does."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT_ON_CLOSE)
        self._writer.transport.abort()
        await self.close()

    async def close(self) -> None:
        """Close both directions."""
        self._writer.close()
        with suppress(ConnectionError):  # the peer was first
            await self._writer.wait_closed()


@asynccontextmanager
async def connect(port: int) -> AsyncIterator[Connection]:
    """A connection to a port on loopback, closed when the block is left."""
    connection = Connection(*await asyncio.open_connection(LOOPBACK, port, limit=1024 * 1024))
    try:
        yield connection
    finally:
        await connection.close()
