"""A captured text laid out by its form, for people. Pure, and for display only.

What has no known form, or only the beginning of one, is shown as far as that goes, or as the text it is. The
time grows with the length only.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote_plus

from components.output.escaping import printable

from .compare import Mark

_HEX_BYTES = 4096  # shown of bytes
_BYTES_PER_LINE = 16
_DEPTH = 20  # levels of JSON that get lines of their own

_JSON = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\],:]|\s+|[^\s"{}\[\],:]+|.', re.DOTALL)
_JSON_START = re.compile(r"\ufeff?\s*[\[{]")
_COLON = re.compile(r"\s*:")
_BLANK_LINE = re.compile(r"\r?\n\r?\n")
_CONTENT_TYPE = re.compile(r"^content-type:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_LITERALS = {"true", "false", "null"}


class Run(NamedTuple):
    """A piece of text that looks alike.

    Attributes:
        text: for the screen: nothing in it is obeyed.
        style: ``key``, ``string``, ``number``, ``literal``, ``faint``, or empty.
        mark: the index of the mark that it is; None where nothing is masked.
    """

    text: str
    style: str = ""
    mark: int | None = None


@dataclass(frozen=True)
class Layout:
    """A text laid out.

    Attributes:
        form: its form, in words.
        runs: joined they are what is shown, lines included.
    """

    form: str
    runs: list[Run]


def plain(text: str, marks: Sequence[Mark] = (), first: int = 0) -> list[Run]:
    """A text as it is.

    Args:
        text: what arrived.
        marks: its masked places.
        first: the index of the first of them.
    """
    return list(_Pen(text, marks, first).write(0, len(text)))


def lay_out(text: str, content_type: str, marks: Sequence[Mark] = (), first: int = 0) -> Layout:
    """A body laid out by its form.

    Args:
        text: what arrived.
        content_type: the declared one.
        marks: its masked places, in order.
        first: the index of the first of them.
    """
    pen = _Pen(text, marks, first)
    whole = (0, len(text))
    if content_type.lower().startswith("multipart/") and (boundary := re.match(r"--[^\r\n]{1,200}", text)):
        return Layout("Multipart", list(_multipart(pen, boundary[0])))
    if _is_json(text, *whole):
        return Layout("JSON", list(_json(pen, *whole)))
    if content_type.lower().startswith("application/x-www-form-urlencoded"):
        return Layout("Form", list(_form(pen, *whole)))
    return Layout("Text", list(pen.write(*whole)))


def hexadecimal(data: bytes) -> Layout:
    """Bytes as a dump of hex digits and ASCII."""
    runs = []
    for at in range(0, min(len(data), _HEX_BYTES), _BYTES_PER_LINE):
        line = data[at : at + _BYTES_PER_LINE]
        shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in line)  # noqa: PLR2004
        runs += [Run(f"{at:06x}  ", "faint"), Run(f"{line.hex(' '):<48} "), Run(f"{shown}\n", "string")]
    if len(data) > _HEX_BYTES:
        runs.append(Run(f"and {len(data) - _HEX_BYTES:,} bytes more\n", "faint"))
    return Layout("Bytes", runs)


class _Pen:
    """Writes pieces of a text, in order, and keeps its marks apart."""

    def __init__(self, text: str, marks: Sequence[Mark], first: int) -> None:
        self.text = text
        self._marks = marks
        self._first = first
        self._next = 0

    def write(self, start: int, end: int, style: str = "", *, decode: bool = False) -> Iterator[Run]:
        while start < end:
            while self._next < len(self._marks) and self._marks[self._next].end <= start:
                self._next += 1
            mark = self._marks[self._next] if self._next < len(self._marks) else None
            if mark and mark.start <= start:
                stop, index = min(end, mark.end), self._first + self._next
            else:
                stop, index = min(end, mark.start if mark else end), None
            piece = self.text[start:stop]
            if decode:
                piece = unquote_plus(piece)
            yield Run(printable(piece.replace("\r\n", "\n")), style, index)
            start = stop


def _is_json(text: str, start: int, end: int) -> bool:
    return _JSON_START.match(text, start, end) is not None


def _json(pen: _Pen, start: int, end: int) -> Iterator[Run]:
    """Each member and item on a line; tokens stay as they are, so that it works on any text."""
    depth = 0
    opened = False  # the token before opened a container
    for token in _JSON.finditer(pen.text, start, end):
        if token[0].isspace():
            if depth == 0 and "\n" in token[0]:
                yield Run("\n")  # between the values of JSON lines
            continue
        first = token[0][0]
        if first in "}]":
            depth = max(0, depth - 1)
            if not opened:
                yield _line(depth)
        elif opened:
            yield _line(depth)
        opened = first in "{["
        depth += opened
        yield from pen.write(*token.span(), _json_style(pen.text, token))
        if first == ":":
            yield Run(" ")
        elif first == ",":
            yield _line(depth)


def _line(depth: int) -> Run:
    return Run("\n" + "  " * depth if depth <= _DEPTH else "")


def _json_style(text: str, token: re.Match[str]) -> str:
    if token[0][0] == '"':
        return "key" if _COLON.match(text, token.end()) else "string"
    if token[0] in _LITERALS:
        return "literal"
    return "number" if token[0][0] in "-0123456789" else ""


def _form(pen: _Pen, start: int, end: int) -> Iterator[Run]:
    """A line per field, decoded."""
    while start < end:
        stop = _index(pen.text, "&", start, end)
        equals = _index(pen.text, "=", start, stop)
        yield from pen.write(start, equals, "key", decode=True)
        if equals < stop:
            yield Run(" = ", "faint")
            yield from pen.write(equals + 1, stop, "string", decode=True)
        yield Run("\n")
        start = stop + 1


def _index(text: str, sign: str, start: int, end: int) -> int:
    found = text.find(sign, start, end)
    return end if found < 0 else found


def _multipart(pen: _Pen, boundary: str) -> Iterator[Run]:
    """Its parts: headers, and each body by its own form."""
    at, size = 0, len(pen.text)
    while at < size:
        # The boundary's line, then headers to an empty line, then the body to the next boundary.
        line_end = min(_index(pen.text, "\n", at, size) + 1, size)
        yield from pen.write(at, line_end, "faint")
        stop = min(_index(pen.text, "\n" + boundary, line_end, size) + 1, size)
        blank = _BLANK_LINE.search(pen.text, line_end, stop)
        body = blank.end() if blank else line_end
        headers = pen.text[line_end:body]
        yield from pen.write(line_end, body, "key")
        declared = _CONTENT_TYPE.search(headers)
        if _is_json(pen.text, body, stop):
            yield from _json(pen, body, stop)
        elif declared and declared[1].lower().startswith("application/x-www-form-urlencoded"):
            yield from _form(pen, body, stop)
        else:
            yield from pen.write(body, stop)
        at = stop


def joined(runs: Iterable[Run]) -> str:
    """What a screen without colours shows."""
    return "".join(run.text for run in runs)
