"""The requests that the demo sends: one of each kind of body and answer, most with something secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sample:
    """A request that the demo sends.

    Attributes:
        title: what it shows, in some words.
        method: of the request.
        target: path and query.
        request: what httpx sends with it.
        http2: over HTTP/2 instead of HTTP/1.1.
    """

    title: str
    method: str
    target: str
    request: Mapping[str, Any] = field(default_factory=dict)
    http2: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


_ORDER = """\
<?xml version="1.0"?>
<order>
  <item sku="1">Espresso machine</item>
  <password>correct horse</password>
</order>
"""
_PICTURE = bytes(range(256)) * 16

SAMPLES = (
    Sample("Login", "POST", "/api/login", {"json": {"user": "ada", "password": "correct horse"}}),
    Sample(
        "Bearer token",
        "GET",
        "/api/products?page=1",
        {"headers": {"authorization": "Bearer tok-5f2c81d0", "cookie": "session=s-81f00b"}},
    ),
    Sample("JSON", "POST", "/api/products", {"json": {"name": "Tamper", "price": 19}}),
    Sample("Form", "POST", "/api/feedback", {"data": {"rating": "5", "token": "abc"}}),
    Sample(
        "Multipart form",
        "POST",
        "/echo/signup",
        {"files": {"user": (None, "ada"), "password": (None, "correct horse")}},
    ),
    Sample(
        "XML",
        "POST",
        "/echo/orders",
        {"content": _ORDER, "headers": {"content-type": "application/xml"}},
    ),
    Sample(
        "JSON in a string",
        "POST",
        "/echo/webhooks",
        {"json": {"event": "signup", "payload": '{"user": "ada", "api_key": "k-41c7"}'}},
    ),
    # Names that say nothing, values that do; the token holds {"alg":"none"} and {"sub":"ada"}.
    Sample(
        "Card and JWT",
        "POST",
        "/echo/payments",
        {
            "json": {
                "amount": 249,
                "note": "4111 1111 1111 1111",
                "origin": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.c2ln",
            }
        },
    ),
    Sample(
        "Upload",
        "POST",
        "/api/uploads",
        {"files": {"photo": ("cup.jpg", _PICTURE, "image/jpeg")}},
    ),
    Sample("gzip", "GET", "/api/report"),
    Sample("Picture", "GET", "/api/logo.png"),
    Sample("404", "GET", "/api/products/99"),
    Sample("500", "GET", "/api/broken"),
    Sample("Event stream", "GET", "/api/events"),
    Sample("Static file", "GET", "/static/app.js"),
    Sample("50 MB download", "GET", "/api/export"),
    Sample("HTTP/2", "GET", "/api/products/1", http2=True),
)
