"""The sample API that the lab captures: a small shop with every kind of body and response."""

import asyncio
import gzip
import json
import struct
import sys
import zlib

from aiohttp import BodyPartReader, WSMsgType, web
from multidict import CIMultiDict

EXPORT_BYTES = 50_000_000

_PRODUCTS = {
    "1": {"id": "1", "name": "Espresso machine", "price": 249},
    "2": {"id": "2", "name": "Grinder", "price": 89},
}

routes = web.RouteTableDef()


@routes.get("/api/products")
async def products(_: web.Request) -> web.Response:
    """A JSON list."""
    return web.json_response(list(_PRODUCTS.values()))


@routes.post("/api/products")
async def create_product(request: web.Request) -> web.Response:
    """JSON in and out."""
    return web.json_response({"id": "3", **await request.json()}, status=201)


@routes.get("/api/products/{id}")
async def product(request: web.Request) -> web.Response:
    """One product, or 404."""
    found = _PRODUCTS.get(request.match_info["id"])
    if not found:
        return web.json_response({"error": "no such product"}, status=404)
    return web.json_response(found)


@routes.delete("/api/products/{id}")
async def delete_product(_: web.Request) -> web.Response:
    """No content."""
    return web.Response(status=204)


@routes.post("/api/login")
async def login(request: web.Request) -> web.Response:
    """A password in, a token and two cookies out."""
    user = (await request.json())["user"]
    response = web.json_response({"user": user, "token": "tok-5f2c81d0", "expires_in": 3600})
    response.headers.add("set-cookie", "session=s-81f00b; HttpOnly")
    response.headers.add("set-cookie", "theme=dark")
    return response


@routes.post("/api/feedback")
async def feedback(request: web.Request) -> web.Response:
    """An HTML form in."""
    form = await request.post()
    return web.json_response({"fields": sorted(form)})


@routes.post("/api/uploads")
async def upload(request: web.Request) -> web.Response:
    """A multipart form in, the size of each part out."""
    sizes = {}
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            raise web.HTTPBadRequest(text="nested multipart")
        sizes[part.name or ""] = len(await part.read())
    return web.json_response(sizes)


@routes.get("/api/report")
async def report(_: web.Request) -> web.Response:
    """Compressed JSON."""
    body = json.dumps([{"day": day, "orders": day * 7 % 31} for day in range(1, 29)]).encode()
    return web.Response(
        body=gzip.compress(body), headers={"content-type": "application/json", "content-encoding": "gzip"}
    )


@routes.get("/api/logo.png")
async def logo(_: web.Request) -> web.Response:
    """An image: NUL bytes, no valid UTF-8."""
    return web.Response(body=_png(), content_type="image/png")


@routes.get("/api/broken")
async def broken(_: web.Request) -> web.Response:
    """A server error."""
    return web.json_response({"error": "the database is gone"}, status=500)


@routes.get("/api/events")
async def events(_: web.Request) -> web.Response:
    """Three server-sent events."""
    body = "".join(f"event: order\ndata: {json.dumps({'order': number})}\n\n" for number in range(3))
    return web.Response(text=body, content_type="text/event-stream")


@routes.get("/api/export")
async def export(request: web.Request) -> web.StreamResponse:
    """A large download, streamed. Query: ``bytes`` (50 MB)."""
    size = int(request.query.get("bytes", EXPORT_BYTES))
    response = web.StreamResponse(headers={"content-type": "text/csv", "content-length": str(size)})
    await response.prepare(request)
    chunk = b"2026-01-31,1,Espresso machine,249\n" * 2000
    for offset in range(0, size, len(chunk)):
        await response.write(chunk[: size - offset])
    await response.write_eof()
    return response


@routes.get("/api/slow")
async def slow(request: web.Request) -> web.Response:
    """Answers late. Query: ``seconds`` (1)."""
    await asyncio.sleep(float(request.query.get("seconds", 1)))
    return web.json_response({"done": True})


@routes.post("/api/refuse")
async def refuse(_: web.Request) -> web.Response:
    """Answers before the upload has come."""
    return web.json_response({"error": "too large"}, status=413)


@routes.get("/api/chat")
async def chat(request: web.Request) -> web.WebSocketResponse:
    """A WebSocket that echoes."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


@routes.route("*", "/echo{rest:.*}")
async def echo(request: web.Request) -> web.Response:
    """The request's body, content type and content encoding, whatever they are.

    Query: ``status`` (200); ``header``, any number of times, each ``name:value``.
    """
    headers = CIMultiDict[str]()
    for item in request.query.getall("header", []):
        name, _, value = item.partition(":")
        headers.add(name, value)
    for name in ("content-type", "content-encoding"):
        if name in request.headers and name not in headers:
            headers[name] = request.headers[name]
    return web.Response(
        body=await request.read(), status=int(request.query.get("status", "200")), headers=headers
    )


@routes.get("/static/app.js")
async def static_file(_: web.Request) -> web.Response:
    """A static file, which the default settings skip."""
    return web.Response(text="console.log('shop');\n", content_type="text/javascript")


def application() -> web.Application:
    """The API, to be served."""
    result = web.Application(client_max_size=sys.maxsize)
    result.add_routes(routes)
    return result


def _png() -> bytes:
    """One white pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0\xff"))
        + chunk(b"IEND", b"")
    )
