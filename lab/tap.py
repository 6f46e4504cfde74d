"""Exchanges as they pass through Envoy ahead of the capture filter: what spans are compared with.

Envoy's own HTTP tap filter copies them, and streams the copies from its admin interface:
https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/tap_filter
"""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from .bootstrap import Json
from .envoy import Envoy

_CONFIG_ID = "lab"
_END = b"\n}\n"  # only an exchange's last brace stands at the start of a line
_MAX_BODY_BYTES = 1024 * 1024

FILTER: Json = {
    "name": "envoy.filters.http.tap",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.tap.v3.Tap",
        "common_config": {"admin_config": {"config_id": _CONFIG_ID}},
    },
}
"""The HTTP filter, for `bootstrap.Listener.filters_before`."""


@dataclass(frozen=True)
class Message:
    """A request or a response as Envoy had it.

    Attributes:
        headers: in the order and number sent, pseudo headers such as ``:path`` too; names in lower case.
        body: its first bytes.
        is_whole: whether these are all.
    """

    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    is_whole: bool = True

    def header(self, name: str) -> str | None:
        """The values of a header, joined by ``,`` as a span shows them; None if it is absent."""
        values = [value for key, value in self.headers if key == name]
        return ",".join(values) if values else None

    @property
    def size(self) -> int | None:
        """Bytes of the body; None where that is not known."""
        if self.is_whole:
            return len(self.body)
        length = self.header("content-length") or ""
        return int(length) if length.isascii() and length.isdigit() else None


@dataclass(frozen=True)
class Exchange:
    """A request and its response, which is empty where none came."""

    request: Message
    response: Message


@asynccontextmanager
async def attached(envoy: Envoy, max_body_bytes: int) -> AsyncIterator[AsyncIterator[Exchange]]:
    """Tap an Envoy until the block is left. Only one reader at a time: Envoy streams to the first.

    Args:
        envoy: one with a listener that has `FILTER`.
        max_body_bytes: what is kept of each body; at most 1 MiB.

    Yields:
        The exchanges that end from now on, until Envoy does.

    Raises:
        httpx.HTTPError: the tap is taken; while reading, Envoy ended.
    """
    limit = min(max_body_bytes, _MAX_BODY_BYTES)
    request = {
        "config_id": _CONFIG_ID,
        "tap_config": {
            "match": {"any_match": True},
            "output_config": {
                "max_buffered_rx_bytes": limit,
                "max_buffered_tx_bytes": limit,
                "sinks": [{"format": "JSON_BODY_AS_BYTES", "streaming_admin": {}}],
            },
        },
    }
    async with (
        httpx.AsyncClient(base_url=f"http://{envoy.admin}", trust_env=False) as client,
        client.stream("POST", "/tap", json=request, timeout=None) as response,
    ):
        response.raise_for_status()
        yield _exchanges(response.aiter_bytes())


async def _exchanges(chunks: AsyncIterator[bytes]) -> AsyncIterator[Exchange]:
    buffer = bytearray()
    async for chunk in chunks:
        searched = max(0, len(buffer) - len(_END))
        buffer += chunk
        while (end := buffer.find(_END, searched)) >= 0:
            trace = json.loads(buffer[: end + len(_END)])["http_buffered_trace"]
            yield Exchange(_message(trace.get("request", {})), _message(trace.get("response", {})))
            del buffer[: end + len(_END)]
            searched = 0


def _message(part: Any) -> Message:
    body = part.get("body", {})
    return Message(
        headers=tuple((header["key"], header["value"]) for header in part.get("headers", [])),
        body=base64.b64decode(body.get("as_bytes", "")),
        is_whole=not body.get("truncated", False),
    )
