"""The page's server: its files, the calls as server-sent events, and the samples that it can send."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from lab.calls import KEPT, Calls
from lab.samples import SAMPLES, Sample

from . import view

Send = Callable[[Sample], Awaitable[object]]

MAX_READERS = 16

_FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_TOGETHER_SECONDS = 0.1  # calls that arrive within it are one event
_STUCK_SECONDS = 30  # until a reader that takes nothing is dropped
_SENT_SECONDS = 30

# Nothing from elsewhere, no script or style but the page's own files, and no HTML from text.
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


def application(calls: Calls, about: dict[str, Any], send: Send) -> web.Application:
    """The page, to be served on loopback.

    Args:
        calls: what it shows.
        about: what it says of the stack: ``stack``, ``address``, ``workload``, ``settings``.
        send: sends a sample through Envoy.
    """
    site = _Site(calls, about, send)
    result = web.Application(middlewares=[_guarded], client_max_size=1024)
    for path in _FILES:
        result.router.add_get(path, site.file)
    result.router.add_get("/about", site.about)
    result.router.add_get("/calls/{number:[0-9]{1,9}}", site.call)
    result.router.add_get("/events", site.events)
    result.router.add_post("/samples/{number:[0-9]{1,3}}", site.sample)
    return result


@web.middleware
async def _guarded(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answers nobody but this page itself.

    Another site's page can reach loopback too: under a name of its own that leads here (DNS rebinding), which
    its Host tells, or by requests across sites, of which browsers say the origin.
    """
    own = request.headers.get("host", "")
    is_ours = own.rpartition(":")[0] in ("127.0.0.1", "localhost")
    site = request.headers.get("sec-fetch-site", "none")
    origin = request.headers.get("origin")
    is_read = request.method in ("GET", "HEAD")
    # A link from another page may lead to the page itself, not to what it reads.
    is_visit = request.path == "/" and request.headers.get("sec-fetch-mode", "navigate") == "navigate"
    if (
        not is_ours
        or (site not in ("none", "same-origin") and not is_visit)
        or (origin != f"http://{own}" and not (is_read and origin is None))
    ):
        raise web.HTTPForbidden(text="This page answers only to itself, on loopback.\n", headers=_HEADERS)
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    if not response.prepared:
        response.headers.update(_HEADERS)
    return response


class _Site:
    def __init__(self, calls: Calls, about: dict[str, Any], send: Send) -> None:
        self._calls = calls
        self._about = {
            **about,
            "kept": KEPT,
            "samples": [{"title": sample.title, "request": str(sample)} for sample in SAMPLES],
        }
        self._send = send
        self._readers = 0

    async def file(self, request: web.Request) -> web.Response:
        name, content_type = _FILES[request.path]
        text = (Path(__file__).parent / name).read_text("utf-8")  # small, local
        return web.Response(text=text, content_type=content_type)

    async def about(self, _: web.Request) -> web.Response:
        return web.json_response(self._about)

    async def call(self, request: web.Request) -> web.Response:
        call = self._calls.get(int(request.match_info["number"]))
        if not call:
            raise web.HTTPNotFound(text=f"only the last {KEPT} calls are kept\n")
        return web.json_response(view.detail(call))

    async def sample(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        if number >= len(SAMPLES):
            raise web.HTTPNotFound(text="no such sample\n")
        try:
            async with asyncio.timeout(_SENT_SECONDS):
                await self._send(SAMPLES[number])
        except (OSError, TimeoutError) as error:
            raise web.HTTPBadGateway(text=f"{error}\n") from error
        return web.Response(status=204)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """What is kept, then what changes. A slow reader gets what is kept when it is ready for more."""
        if self._readers >= MAX_READERS:
            raise web.HTTPServiceUnavailable(text=f"more than {MAX_READERS} pages are open\n")
        response = web.StreamResponse(headers={**_HEADERS, "content-type": "text/event-stream"})
        self._readers += 1
        try:
            await response.prepare(request)
            await self._follow(response)
        except (ConnectionError, TimeoutError):
            if request.transport:
                request.transport.abort()
        finally:
            self._readers -= 1
        return response

    async def _follow(self, response: web.StreamResponse) -> None:
        version = 0
        while True:
            version, changed = self._calls.since(version)
            event = {
                "calls": [view.row(call) for call in changed],
                "captured": self._calls.captured,
                "passed": self._calls.passed,
            }
            async with asyncio.timeout(_STUCK_SECONDS):
                await response.write(f"data: {json.dumps(event)}\n\n".encode())
            await self._calls.change(version)
            await asyncio.sleep(_TOGETHER_SECONDS)
