"""Captured calls on a terminal: a line or two each, or all of one. Texts are shown, never obeyed."""

import textwrap
from collections.abc import Iterable

from rich.style import Style
from rich.text import Text as Line

from components.output.escaping import printable

from . import layout
from .calls import Call, Side
from .compare import Text
from .layout import Run
from .page.view import WHY_OMITTED, size

_COLUMNS = (("STATUS", 6), ("HTTP", 4), ("TIME", 9), ("REQUEST", 8), ("RESPONSE", 8))
_INDENT = sum(width + 2 for _, width in _COLUMNS)
_WIDE, _CALL = 100, 30  # columns: from where on notes stand beside the request, and what it has then
_MIN_WORDS = 20
_MASK = Style(color="black", bgcolor="yellow")
_STYLES = {"key": "cyan", "string": "green", "number": "magenta", "literal": "magenta", "faint": "dim"}


def heading(width: int) -> Line:
    """The line above the rows."""
    numbers = "".join(f"{name:>{columns}}  " for name, columns in _COLUMNS)
    rest = f"{'CAPTURED CALL':<{_CALL}}  MASKED, LEFT OUT, CUT" if width >= _WIDE else "CAPTURED CALL"
    return Line(numbers + rest, style="bold")


def row(call: Call, width: int) -> list[Line]:
    """A call: status, HTTP version, time and sizes of the bodies, the request, and what is missing of it.

    Args:
        call: what is shown.
        width: of the terminal, in columns. No line is longer, unless it is a single word.
    """
    cells = (
        str(call.status),
        str(call.span.attributes.get("http.flavor", "")),
        f"{call.milliseconds:.1f} ms",
        size(call.request.size),
        size(call.response.size),
    )
    style = "red" if call.status >= 500 or not call.status else "yellow" if call.status >= 400 else ""  # noqa: PLR2004
    numbers = "".join(f"{cell:>{columns}}  " for cell, (_, columns) in zip(cells, _COLUMNS, strict=True))
    return _beside(Line(numbers, style), request(call), told(call), width)


def not_captured(request: str, why_not: str, width: int, style: str) -> list[Line]:
    """A request that was not captured, and why."""
    return _beside(Line(" " * _INDENT), request, [why_not], width, style)


def request(call: Call) -> str:
    """Method and target."""
    return printable(f"{call.method} {call.target.text}")


def told(call: Call) -> list[str]:
    """What of a call is not in its span as it was sent."""
    masked = [printable(name) for name in call.masked()]
    notes = [f"masked {', '.join(masked)}"] if masked else []
    return notes + call.notes()


def _beside(numbers: Line, request: str, notes: Iterable[str], width: int, style: str = "") -> list[Line]:
    """The request, and its notes: beside it in a wide terminal, else below it."""
    room = max(_MIN_WORDS, width - _INDENT)
    shown = request if len(request) <= room else request[: room - 1] + "…"
    if width >= _WIDE and len(shown) <= _CALL:
        indent = _INDENT + _CALL + 2
        first, *others = wrapped("; ".join(notes), width - indent) or [""]
        shown = f"{shown:<{_CALL}}  {first}".rstrip()
    else:
        indent = _INDENT
        others = [line for note in notes for line in wrapped(note, room)]
    return [numbers.append(shown, style), *(Line(" " * indent + line, style or "dim") for line in others)]


def wrapped(text: str, width: int) -> list[str]:
    """Lines of whole words."""
    return textwrap.wrap(text, max(_MIN_WORDS, width), break_long_words=False, break_on_hyphens=False)


def in_full(call: Call) -> list[Line]:
    """All of a call: ids, headers and bodies laid out by their form, each masked place marked, and why."""
    span = call.span
    lines = [Line(f"  trace {span.trace_id}  span {span.span_id}", style="dim")]
    for name, side in (("Request", call.request), ("Response", call.response)):
        lines.append(Line(f"  {name}", style="bold"))
        for header, text in side.headers.items():
            lines.append(Line(f"    {printable(header)}: ", style="cyan").append_text(_runs(_plain(text))))
        lines += _body(side)
    lines += [
        Line(f"  {printable(where)}: masked for its {mark.why}, {printable(mark.name)}", style="dim")
        for where, _, text in call.texts()
        for mark in text.marks
    ]
    return lines


def _body(side: Side) -> list[Line]:
    lines = []
    if side.omitted:
        lines.append(Line(f"    left out: {side.omitted}. {WHY_OMITTED.get(side.omitted, '')}", style="dim"))
    if side.raw or side.body.text:
        body = (
            layout.hexadecimal(side.raw)
            if side.raw
            else layout.lay_out(side.body.text, side.content_type, side.body.marks)
        )
        lines.append(Line(f"    {body.form}, {size(side.size)}{', cut' if side.is_cut else ''}", style="dim"))
        for line in _runs(body.runs).split("\n"):
            line.pad_left(4)
            lines.append(line)
    return lines


def _plain(text: Text) -> list[Run]:
    return layout.plain(text.text, text.marks)


def _runs(runs: Iterable[Run]) -> Line:
    return Line.assemble(
        *((run.text, _STYLES.get(run.style, "") if run.mark is None else _MASK) for run in runs)
    )
