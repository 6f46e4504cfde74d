"""A span as the cells of a line on the screen."""

import json
import re
from typing import Any

from .otlp import Span

_MASK = "***"
_MASKED_FIELD = re.compile(r'"([^"]+)"\s*:\s*"?\*\*\*|(?:^|[&?])([^=&?]+)=\*\*\*')


def row(span: Span) -> tuple[str, ...]:
    """Method and target, HTTP version, status, time, sizes of the bodies, and what is missing of them."""
    attributes = span.attributes
    return (
        target(span),
        str(attributes["http.flavor"]),
        str(attributes["http.status_code"]),
        f"{(span.end_ns - span.start_ns) / 1e6:.1f} ms",
        _size(attributes.get("http.request.body.size", 0)),
        _size(attributes.get("http.response.body.size", 0)),
        "; ".join(_notes(span)),
    )


def target(span: Span) -> str:
    """Method and target."""
    return " ".join(str(span.attributes[name]) for name in ("http.method", "http.target"))


def _notes(span: Span) -> list[str]:
    """What of the call is not in the span as it was sent."""
    attributes = span.attributes
    masked = _masked_fields(str(attributes["http.target"]))
    notes = []
    for side in ("request", "response"):
        headers = json.loads(str(attributes[f"http.{side}.headers"]))
        masked += [name for name, value in headers.items() if _MASK in value]
        masked += _masked_fields(str(attributes[f"http.{side}.body"]))
        if omitted := attributes.get(f"http.{side}.body.omitted"):
            notes.append(f"{side} body omitted ({omitted!s})")
        if attributes.get(f"http.{side}.body.truncated"):
            notes.append(f"{side} body cut")
    return ([f"masked {', '.join(dict.fromkeys(masked))}"] if masked else []) + notes


def _masked_fields(text: str) -> list[str]:
    return [json_name or form_name for json_name, form_name in _MASKED_FIELD.findall(text)]


def _size(count: Any) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000 or unit == "MB":  # noqa: PLR2004
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
