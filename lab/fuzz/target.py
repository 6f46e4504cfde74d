"""A real Envoy with the default script, an application that answers as told, and what an input costs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from lab import mesh, raw, stack
from lab.bootstrap import Json, Listener
from lab.mesh import Lab
from lab.server import LOOPBACK
from lab.usage import cpu_seconds

from .inputs import Input

BAR_MS = 20.0  # that one request may hold a worker, by the design
_SECONDS = 30  # until an exchange is given up
_PING = b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n"
_PONG = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_LIMIT = 1024 * 1024


@dataclass
class Application:
    """Reads requests to their end and answers what was prepared; without an answer, never."""

    answer: bytes | None = _PONG
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        task = asyncio.current_task()
        assert task  # noqa: S101 - for the type
        self._tasks.add(task)
        connection = raw.Connection(reader, writer)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await self._serve(connection)
        finally:
            self._tasks.discard(task)
            await connection.close()

    async def _serve(self, connection: raw.Connection) -> None:
        while True:
            head = await connection.until(b"\r\n\r\n")
            is_ping = head.startswith(b"GET /ping ")
            lines = head.lower().split(b"\r\n")
            lengths = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
            if b"transfer-encoding: chunked" in lines:
                end = b""  # chunk by chunk, a body of chunks of a byte would take this process a second
                while not end.endswith(_LAST_CHUNK):
                    if not (part := await connection.receive()):
                        return
                    end = end[-len(_LAST_CHUNK) :] + part
            else:
                await connection.exactly(sum(lengths))
            answer = _PONG if is_ping else self.answer
            if answer is None:
                await asyncio.Event().wait()
            else:
                await connection.send(answer)

    def close(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()


@dataclass
class Cost:
    """What an exchange cost, and what went wrong with it.

    Attributes:
        milliseconds: of CPU time of all threads of Envoy.
        status: of the response; 0: none came.
        wrong: what no input may do, in words.
    """

    milliseconds: float
    status: int
    wrong: list[str] = field(default_factory=list)


@dataclass
class Target:
    """A lab and its application."""

    lab: Lab
    application: Application
    captured: bool

    async def cost(self, found: Input) -> Cost:
        """Send an input, wait for its span, and count the CPU time."""
        self.lab.collector.clear()
        self.application.answer = found.answer()
        pid, port = self.lab.envoy.pid, self.lab.envoy.ports["inbound"]
        status, wrong = 0, []
        async with raw.connect(port) as other, raw.connect(port) as connection:
            await self._ping(other)
            begun = cpu_seconds(pid)
            try:
                async with asyncio.timeout(_SECONDS):
                    await connection.send(found.request())
                    status = (await connection.response()).status
                    await self._ping(other)  # what the exchange left to the next event
            except TimeoutError:
                wrong.append(f"no answer within {_SECONDS} s")
            except (ConnectionError, asyncio.IncompleteReadError):
                wrong.append("the connection was closed")
            if self.captured and status == 200 and not wrong:  # noqa: PLR2004
                wrong += await self._missing()
            taken = cpu_seconds(pid) - begun
        wrong += [f"refused: {reason}" for reason in self.lab.collector.refused]
        return Cost(taken * 1000, status, wrong)

    async def _missing(self) -> list[str]:
        try:
            await self.lab.collector.spans(3, timeout=10)  # two of pings
        except TimeoutError:
            return ["no span came"]
        return []

    async def _ping(self, connection: raw.Connection) -> None:
        await connection.send(_PING)
        await connection.response()

    async def warnings(self) -> list[str]:
        """What the script warned of, and whether it raised errors."""
        stats = await self.lab.envoy.stats(r"\.lua\..*errors$")
        found = [f"{count} errors of Lua" for count in stats.values() if count]
        return found + [line for line in self.lab.envoy.log().splitlines() if "[lua]" in line]


@asynccontextmanager
async def running(*, captured: bool = True) -> AsyncIterator[Target]:
    """A target for as long as the block lasts.

    Args:
        captured: with the capture filter of the dev stack, or without any.
    """
    application = Application()
    server = await asyncio.start_server(application.accept, LOOPBACK, 0, limit=_LIMIT)
    port = server.sockets[0].getsockname()[1]

    def configure(config: Json) -> None:
        clusters = config["static_resources"]["clusters"]
        chosen = next(cluster for cluster in clusters if cluster["name"].startswith("inbound|"))
        endpoint = chosen["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        endpoint["address"]["socket_address"]["port_value"] = port

    # The dev stack captures inbound only.
    listener = Listener(
        context="SIDECAR_INBOUND" if captured else "SIDECAR_OUTBOUND",
        connection_manager={"http2_protocol_options": {"max_concurrent_streams": 4096}},
    )
    try:
        async with mesh.running(stack.manifests(), listeners=[listener], configure=configure) as lab:
            yield Target(lab, application, captured)
    finally:
        server.close()
        application.close()
