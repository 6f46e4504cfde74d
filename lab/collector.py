"""An OTLP/HTTP receiver that refuses what is not exactly right, and remembers."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from .otlp import JSON, PROTOBUF, RefusedError, Span, decode

MAX_REQUEST_BYTES = 20 * 1024 * 1024  # the OpenTelemetry Collector's default, config/confighttp

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


async def _healthy(_: web.Request) -> None:
    return None


class Collector:
    """Receives on ``/v1/traces``.

    Attributes:
        requests: the size in bytes of each body that arrived whole, refused or not.
        content_types: the content type of each of these.
        refused: why requests were refused.
        behaviour: awaited before the body is read (it may read it). What it returns is the answer, and
            nothing is recorded; on None the request is handled as usual. A fault is a behaviour that sleeps,
            never returns, returns a status, or closes ``request.transport``.
    """

    def __init__(self) -> None:
        self.behaviour: Behaviour = _healthy
        self._arrived = asyncio.Condition()
        self.clear()

    def clear(self) -> None:
        """Forget what arrived so far."""
        self.requests: list[int] = []
        self.content_types: list[str] = []
        self.refused: list[str] = []
        self._spans: list[Span] = []

    async def spans(self, count: int, timeout: float | None = 5) -> list[Span]:  # noqa: ASYNC109  # fails with what did arrive
        """Wait until at least so many spans are there.

        Args:
            count: how many to wait for.
            timeout: seconds; None waits for ever.

        Returns:
            All spans since the last `clear`, in the order of their arrival; surplus ones too.

        Raises:
            TimeoutError: fewer spans came.
        """
        try:
            async with asyncio.timeout(timeout), self._arrived:
                await self._arrived.wait_for(lambda: len(self._spans) >= count)
        except TimeoutError:
            targets = [span.attributes.get("http.target") for span in self._spans]
            raise TimeoutError(
                f"{len(targets)} of {count} spans within {timeout} s: {targets}; refused: {self.refused}"
            ) from None
        return list(self._spans)

    def application(self) -> web.Application:
        """The receiver, to be served."""
        application = web.Application(client_max_size=MAX_REQUEST_BYTES)
        application.router.add_route("*", "/{path:.*}", self._receive)
        return application

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        if answer := await self.behaviour(request):
            return answer
        if (request.method, request.path) != ("POST", "/v1/traces"):
            self.refused.append(f"{request.method} {request.path}")
            raise web.HTTPNotFound
        if request.content_type not in (JSON, PROTOBUF):
            self.refused.append(f"content-type {request.content_type}")
            raise web.HTTPUnsupportedMediaType
        try:
            payload = await request.read()
        except web.HTTPRequestEntityTooLarge:
            self.refused.append(f"more than {MAX_REQUEST_BYTES} bytes")
            raise
        self.requests.append(len(payload))
        self.content_types.append(request.content_type)
        try:
            spans = decode(payload, request.content_type)
        except RefusedError as reason:
            self.refused.append(str(reason))
            return web.json_response({"message": str(reason)}, status=400)
        async with self._arrived:
            self._spans += spans
            self._arrived.notify_all()
        return web.json_response({"partialSuccess": {}})
