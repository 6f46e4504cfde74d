"""Captured calls as the page gets them: JSON whose texts are ready to be shown. Pure."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from components.output.escaping import printable
from lab import layout
from lab.calls import Call, Side
from lab.compare import Mark, Text
from lab.layout import Run
from lab.otlp import Span, Value

Json = dict[str, Any]

WHY_OMITTED = {
    "binary": "The bytes are no text. binaryBodies: bytes sends them as they are.",
    "encoding": "It is compressed, so nothing in it could be masked.",
    "stream": "The exchange goes on: its span is sent when the response begins.",
    "unread": "It was answered before the body was read.",
}
_PATH = 300  # characters of a path in the list
_KINDS = {1: "internal", 2: "server", 3: "client"}


def row(call: Call) -> Json:
    """What the list shows of a call."""
    return {
        "number": call.number,
        "method": printable(call.method),
        "target": printable(call.target.text[:_PATH]) + ("…" if len(call.target.text) > _PATH else ""),
        "status": call.status,
        "milliseconds": round(call.milliseconds, 1),
        "sizes": [size(call.request.size), size(call.response.size)],
        "masked": [printable(name) for name in call.masked()],
        "notes": call.notes(),
    }


def detail(call: Call) -> Json:
    """All of a call."""
    marks = [(where, text, mark) for where, _, text in call.texts() for mark in text.marks]
    first: dict[str, int] = {}
    for index, (where, _, _) in enumerate(marks):
        first.setdefault(where, index)

    def shown(where: str, text: Text) -> list[Sequence[Any]]:
        runs = layout.plain(text.text, text.marks, first.get(where, 0))
        return _merged([*runs, *([Run(" … cut", "faint")] if text.is_cut else [])])

    def side(name: str, of: Side) -> Json:
        where = f"{name} body"
        body = (
            layout.hexadecimal(of.raw)
            if of.raw
            else layout.lay_out(of.body.text, of.content_type, of.body.marks, first.get(where, 0))
        )
        return {
            "title": name.capitalize(),
            "headers": [
                [printable(header), shown(f"{name} header {header}", text)]
                for header, text in of.headers.items()
            ],
            "body": {
                "form": body.form if body.runs else "Empty" if of.size == 0 else "",
                "runs": _merged(body.runs),
                "size": size(of.size),
                "notes": _body_notes(of),
            },
        }

    span = call.span
    return {
        **row(call),
        "targetRuns": shown("path", call.target),
        "facts": [
            ["Host", shown("host", call.host)],
            *([name, [[printable(str(value))]]] for name, value in _facts(call)),
        ],
        "sides": [side("request", call.request), side("response", call.response)],
        "marks": [_mark(where, text, mark) for where, text, mark in marks],
        "compared": call.is_compared,
        "span": json.dumps(as_otlp(span), indent=2, ensure_ascii=False),
    }


def size(count: int | None) -> str:
    """A number of bytes for people; ``?`` if it is not known."""
    if count is None:
        return "?"
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000 or unit == "MB":  # noqa: PLR2004
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def as_otlp(span: Span) -> Json:
    """An export of one span, in OTLP/JSON."""
    status = {"code": span.status_code, "message": span.status_message}
    fields = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_span_id,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _attributes(span.attributes),
        "status": {name: value for name, value in status.items() if value},
    }
    scope_spans = {
        "scope": {"name": span.scope},
        "spans": [{name: value for name, value in fields.items() if value}],
    }
    resource = {"attributes": _attributes(span.resource)}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope_spans]}]}


def _attributes(values: Mapping[str, Value]) -> list[Json]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Value) -> Json:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    return {"stringValue": value}


def _facts(call: Call) -> Iterable[tuple[str, Value]]:
    span = call.span
    attributes = span.attributes
    started = datetime.fromtimestamp(span.start_ns / 1e9, UTC)
    yield "HTTP version", attributes.get("http.flavor", "")
    yield "Scheme", attributes.get("http.scheme", "")
    yield "Client", attributes.get("net.sock.peer.addr", "")
    yield "Started", f"{started:%Y-%m-%d %H:%M:%S.%f} UTC"
    yield "Took", f"{call.milliseconds:.1f} ms"
    yield "Trace ID", span.trace_id
    yield "Span ID", span.span_id
    if span.parent_span_id:
        yield "Parent span ID", span.parent_span_id
    yield "Span kind", _KINDS.get(span.kind, str(span.kind))
    yield "Service", " ".join(str(span.resource.get(f"service.{name}", "")) for name in ("name", "version"))
    yield "Sensor", attributes.get("sensor.id", "")
    if error := attributes.get("error.type"):
        yield "Error", error


def _body_notes(side: Side) -> list[str]:
    notes = []
    if side.omitted:
        notes.append(f"Left out ({side.omitted}). {WHY_OMITTED.get(side.omitted, '')}".rstrip())
    if side.is_cut:
        kept = len(side.raw or side.body.text.encode())
        notes.append(f"Cut: its first {size(kept)} are here, as maxBodyBytes says.")
    return notes


def _mark(where: str, text: Text, mark: Mark) -> Json:
    sent = None if mark.sent is None else printable(mark.sent)
    if sent is not None and mark.sent_length > len(mark.sent or ""):
        sent += f" … ({mark.sent_length:,} characters)"
    return {
        "where": printable(where),
        "sent": sent,
        "arrived": printable(text.text[mark.start : mark.end]),
        "kind": mark.why,
        "name": printable(mark.name),
    }


def _merged(runs: Iterable[Run]) -> list[Sequence[Any]]:
    """Runs as short arrays: text; text and style; text, style and mark."""
    merged: list[Sequence[Any]] = []
    for (style, mark), group in groupby(runs, key=lambda run: (run.style, run.mark)):
        text = "".join(run.text for run in group)
        if mark is not None:
            merged.append([text, style, mark])
        elif text:
            merged.append([text, style] if style else [text])
    return merged
