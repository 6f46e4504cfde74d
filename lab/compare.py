"""What became of a text on its way: what was sent is compared with what arrived. Pure.

A masked text is the text that was sent with a mask in place of each secret. So the pieces between masks stand
in what was sent, in the same order, and what stands between them there is what was masked. No form is read
for that: JSON, XML, multipart, headers and URLs are compared alike. The time grows with the length only.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

# What may stand in place of something else: masks, with or without a kind, and what was no UTF-8.
_SIGN = r"(?:\*\*\*(?:[a-z][a-z _-]{0,30}\*\*\*)?|\ufffd)+"
_STAND_IN = re.compile(_SIGN)
# The filter may also write quotes around a mask, and drop blanks ahead of them: {"pin": 1} as {"pin":"***"}.
# All of it bounded: a run of blanks or backslashes would be read again from each of its characters.
_WITH_QUOTES = re.compile(rf"""(?:\s{{0,20}}:\s{{0,20}})?\\{{0,20}}["']?{_SIGN}\\{{0,20}}["']?""")
_QUOTES = re.compile(rb"""^(?:\s{0,20}:)?\s{0,20}\\{0,20}["']?(.*?)\\{0,20}["']?$""", re.DOTALL)
_KIND = re.compile(r"\*\*\*([a-z][a-z _-]*)\*\*\*")

_SHOWN = 200  # characters of what was masked
_KEPT = 100  # marks of a text of which it is kept
_CREDENTIALS = {"authorization", "proxy-authorization"}
_COOKIES = {"cookie", "set-cookie"}

# What a mask stands behind, and in it the name. For display: a name that is not found is not shown.
_NAME_BEFORE = tuple(
    re.compile(pattern + r"$", re.DOTALL)
    for pattern in (
        # "name": "   name=   "name": ["first", "
        r"""(?P<name>[\w.%\[\]@$-]{1,80})(?:\\*["'])?\s*[:=]\s*(?:\[[^\[\]{}]*)?(?:\\*["'])?""",
        # authorization: and a scheme
        r"""(?P<name>[\w.-]{1,80})(?:\\*["'])?\s*[:=]\s*(?:\\*["'])?\w{1,20} """,
        # <name>   <name with="attributes"   <name><![CDATA[
        r"""<(?P<name>[\w:.-]{1,80})(?: [^<>]*)?(?:>\s*(?:<!\[CDATA\[)?)?""",
    )
)
_PART_BEFORE = re.compile(r"""\bname="?(?P<name>[^"\r\n;]{1,80})"?[^\r\n]*(?:\r?\n[^\r\n]+)*\r?\n\r?\n$""")
_LOOK_BACK, _LOOK_BACK_TO_PART = 100, 300  # characters
_TOLD = re.compile(
    r"""\b(?:name|key|id|field)\\*["']?\s*[:=]\s*\\*["'](?P<name>[^"'\\]{1,80})[^{}<>]*$""", re.DOTALL
)
_TELLING = {"value", "content"}


class Mark(NamedTuple):
    """A masked place of a text that arrived.

    Attributes:
        start: index of its first character.
        end: index after its last character.
        why: ``name``, ``value``, ``place``, or ``form`` where what was sent could not be taken apart.
        name: of the field, parameter or element; the kind of the value; what stands in that place.
        sent: the beginning of what was masked; None where what was sent is not known, or not kept: after the
            first 100 marks of a text.
        sent_length: all of its characters.
    """

    start: int
    end: int
    why: str
    name: str
    sent: str | None = None
    sent_length: int = 0


@dataclass(frozen=True)
class Text:
    """A text that arrived, and how it differs from what was sent.

    Attributes:
        text: as it arrived.
        marks: its masked places, in order.
        is_cut: more was sent.
        is_compared: False where what was sent is not known, or something else. Then the marks are what looks
            like one.
    """

    text: str
    marks: tuple[Mark, ...] = ()
    is_cut: bool = False
    is_compared: bool = False


def compare(text: str, sent: Iterable[bytes], header: str = "") -> Text:
    """A text that arrived, compared with what was sent.

    Args:
        text: as it arrived.
        sent: what may have been sent, such as a body as it was and inflated; none where that is not known.
        header: the name of the header whose value it is, in lower case; ``host`` for the host of a URL.
    """
    candidates = list(sent)
    for form in (_STAND_IN, _WITH_QUOTES):
        stand_ins = list(form.finditer(text))
        pieces = [piece.encode() for piece in form.split(text)]
        for candidate in candidates:
            for is_cut in (False, True):
                hidden = _hidden(candidate, pieces, stand_ins, is_cut=is_cut)
                if hidden is not None:
                    return Text(
                        text, tuple(_marks(text, stand_ins, hidden, header)), is_cut, is_compared=True
                    )
    return Text(text, tuple(_marks(text, _STAND_IN.finditer(text), repeat(None), header)))


def _marks(
    text: str, stand_ins: Iterable[re.Match[str]], hidden: Iterable[bytes | None], header: str
) -> Iterator[Mark]:
    kept = 0
    for stand_in, of_it in zip(stand_ins, hidden, strict=False):
        sign = _STAND_IN.search(stand_in[0])
        if not sign or "*" not in sign[0]:
            continue  # no mask: bytes that are no UTF-8
        start, end = (stand_in.start() + index for index in sign.span())
        why, name = _reason(text, start, end, header)
        if of_it is None:
            yield Mark(start, end, why, name)
            continue
        bare = _QUOTES.sub(rb"\1", of_it) if stand_in[0] != sign[0] else of_it
        if bare != sign[0].encode():  # unless somebody sent what looks like a mask
            shown = bare.decode("utf-8", "replace")
            yield Mark(start, end, why, name, shown[:_SHOWN] if kept < _KEPT else None, len(shown))
            kept += 1


def _hidden(
    sent: bytes, pieces: list[bytes], stand_ins: list[re.Match[str]], *, is_cut: bool
) -> list[bytes] | None:
    """What each stand-in stands for; None where the pieces are not what was sent, but for the stand-ins.

    A piece is looked for where the one before it ends, and the first place will do: if a later one is right,
    all later pieces are found after the first one too.
    """
    first, *others = pieces
    if not sent.startswith(first) or (not others and not is_cut and sent != first):
        return None
    hidden = []
    at = len(first)
    for index, (stand_in, piece) in enumerate(zip(stand_ins, others, strict=True), start=1):
        sign = stand_in[0].encode()
        if index == len(others) and not is_cut:
            found = len(sent) - len(piece) if sent.endswith(piece) else -1
        elif sent.startswith(sign + piece, at):
            found = at + len(sign)  # somebody sent what looks like a mask
        elif index == len(others) and not piece:
            found = len(sent)
        else:
            found = sent.find(piece, at)
        if found < at:
            return None
        hidden.append(sent[at:found])
        at = found + len(piece)
    return hidden


def _reason(text: str, start: int, end: int, header: str) -> tuple[str, str]:
    """Why a mask is there, and the name, kind or place that tells it."""
    if kind := _KIND.search(text, start, end):
        return "value", kind[1]
    if text.startswith("@", end) and (header == "host" or text.endswith("/", 0, start)):
        return "place", "user information"
    if header in _CREDENTIALS:
        return "place", "credentials"
    name = _name_before(text, start)
    if header in _COOKIES:
        return "place", f"cookie {name}".rstrip()
    if name or header:
        return "name", name or header
    return "form", "all of it" if end - start == len(text) else "not told apart"


def _name_before(text: str, start: int) -> str:
    if text.endswith("\n", 0, start):
        part = _PART_BEFORE.search(text, max(0, start - _LOOK_BACK_TO_PART), start)
        return part["name"] if part else ""
    before = text[max(0, start - _LOOK_BACK) : start]
    for pattern in _NAME_BEFORE:
        if found := pattern.search(before):
            name = found["name"]
            told = _TOLD.search(before[: found.start()]) if name.lower() in _TELLING else None
            return told["name"] if told else name
    return ""


def names(texts: Iterable[tuple[str, Text]]) -> Iterator[str]:
    """What was masked, each once and in order: the header, or else the name of the mark.

    Args:
        texts: each with the name of the header whose value it is, empty for others.
    """
    seen = set()
    for header, text in texts:
        for mark in text.marks:
            name = header or mark.name
            if name not in seen:
                seen.add(name)
                yield name
