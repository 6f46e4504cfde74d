"""Hostile requests and responses, drawn at random from a seed, and changed to what may cost more."""

import json
import random
from dataclasses import asdict, dataclass, replace
from urllib.parse import quote

from components.settings.defaults import GUIDE_HEADERS

from .shapes import FORMS, NUMBER, UNITS, repeated

BODY_BYTES = 65_536  # the default of capture.maxBodyBytes
HEAD_BYTES = 58_000  # Envoy takes 60 KiB of headers, names and first line included
_MAX_LINES = 90  # Envoy takes 100 headers
_SIZES = (1, 1, 1, 0.25)  # shares of the most
_SIGNS = "aZ9\"'\\:;=,&?#<>/[]{}()%.-_*@$! \n"
_ENDS = ("", "", "x", '"', '"}', "=", ">", "&", "\n", "%", "\\", "@h", "--b--", ":")
_HEADERS = (
    *("authorization", "cookie", "set-cookie", "referer", "origin", "location", "x-envoy-original-path"),
    *(
        "user-agent",
        "accept",
        "x-forwarded-host",
        "x-forwarded-for",
        "x-envoy-peer-metadata-id",
        "traceparent",
    ),
    *("b3", "x-request-id", "content-encoding", "x-api-key", "x-not-recorded", "forwarded", "if-match"),
)
PLACES = (
    *(f"body: {form}" for form in FORMS),
    *(f"answer: {form}" for form in FORMS),
    *(f"header: {name}" for name in _HEADERS),
    *(f"answer's header: {name}" for name in _HEADERS if name != "content-encoding"),
    *(f"lines: {name}" for name in ("cookie", "set-cookie", "referer", "x-forwarded-for", "accept", "every")),
    *("path", "query"),
)


@dataclass(frozen=True)
class Input:
    """An exchange with a hostile text in one place.

    Attributes:
        place: of `PLACES`.
        start: of the text.
        half: is repeated over the first half of the text; may be empty.
        units: are repeated in turn, or in random order.
        order: the seed of that order; None: in turn.
        end: of the text.
        size: of the text in bytes, or a few less.
        piece: bytes of each chunk of a body; 0: it comes whole.
    """

    place: str
    start: str
    half: str
    units: tuple[str, ...]
    order: int | None
    end: str
    size: int
    piece: int = 0

    @property
    def text(self) -> str:
        """The hostile text."""
        room = self.size - len(self.start) - len(self.end)
        half = repeated(self.half, room // 2) if self.half else ""
        if self.order is None:
            rest = repeated("".join(self.units), room - len(half))
        else:
            shortest = min(len(unit) for unit in self.units)
            units = random.Random(self.order).choices(self.units, k=room // shortest + 1)
            rest = "".join(units)[: room - len(half)]
        return (self.start + half + rest + self.end).replace(NUMBER, "1")

    def request(self) -> bytes:
        """The request's bytes on the wire."""
        kind, _, name = self.place.partition(": ")
        lines, body, target = [("host", "h")], b"", "/a"
        match kind:
            case "body":
                body = self.text.encode("latin-1")
                lines.append(("content-type", FORMS[name][1]))
            case "header":
                lines.append((name, _line(self.text)))
            case "lines":
                lines += self._lines(name)
            case "path" | "query":
                target = ("/" if kind == "path" else "/a?") + quote(self.text, safe=_IN_PATH)[:HEAD_BYTES]
        return _message(f"POST {target} HTTP/1.1", lines, body, self.piece)

    def answer(self) -> bytes:
        """The response's bytes on the wire."""
        kind, _, name = self.place.partition(": ")
        lines, body = [], b'{"ok":true}'
        match kind:
            case "answer":
                body = self.text.encode("latin-1")
                lines.append(("content-type", FORMS[name][1]))
            case "answer's header":
                lines.append((name, _line(self.text)))
        return _message("HTTP/1.1 200 OK", lines, body, self.piece)

    def _lines(self, name: str) -> list[tuple[str, str]]:
        text = _line(self.text)
        size = len(text) // _MAX_LINES + 1
        names = GUIDE_HEADERS if name == "every" else [name]
        allowed = [name for name in names if name not in _NOT_BY_CLIENTS]
        return [
            (allowed[at % len(allowed)], text[at * size : (at + 1) * size] or "x") for at in range(_MAX_LINES)
        ]

    def dumped(self) -> dict[str, object]:
        """As JSON has it."""
        return asdict(self)


_IN_PATH = "/?&=;:@!$'()*+,[]{}\"<>|^`%~-_."
# Headers that say how a message is framed, or what its connection is for.
_NOT_BY_CLIENTS = {
    *("connection", "content-length", "host", "te", "upgrade", "keep-alive", "transfer-encoding"),
    *("x-envoy-expected-rq-timeout-ms", "x-envoy-max-retries", "x-envoy-retry-on", "x-envoy-retry-grpc-on"),
    *("x-envoy-retriable-status-codes", "x-envoy-retriable-header-names", "sec-websocket-key"),
}


def loaded(dumped: dict[str, object]) -> Input:
    """An input that was dumped.

    Raises:
        TypeError: it is none.
    """
    return Input(**{**dumped, "units": tuple(dumped["units"])})  # type: ignore[arg-type]


def _line(text: str) -> str:
    """A text as a header can have it."""
    return text.replace("\r", "").replace("\n", "").replace("\0", "") or "x"


def _message(first: str, lines: list[tuple[str, str]], body: bytes, piece: int) -> bytes:
    if piece:
        parts = [body[at : at + piece] for at in range(0, len(body), piece)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        lines = [*lines, ("transfer-encoding", "chunked")]
    else:
        lines = [*lines, ("content-length", str(len(body)))]
    head = first + "\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines) + "\r\n"
    return head.encode("latin-1") + body


def drawn(source: random.Random) -> Input:
    """A new input."""
    place = source.choice(PLACES)
    kind, _, form = place.partition(": ")
    has_body = kind in {"body", "answer"}
    most = BODY_BYTES if has_body else HEAD_BYTES
    return Input(
        place=place,
        start=(FORMS[form][0] if has_body else "") + _seed(source, most=2),
        half=source.choice(("", "", "", _seed(source, most=2))),
        units=_units(source),
        order=source.choice((None, None, source.getrandbits(32))),
        end=source.choice(_ENDS),
        size=int(most * source.choice(_SIZES)),
        piece=source.choice((0, 0, 0, 1, 7, 4096)) if has_body else 0,
    )


def changed(source: random.Random, found: Input) -> Input:
    """An input like one that cost much."""
    match source.randrange(6):
        case 0:
            return replace(found, units=_units(source, found.units))
        case 1:
            return replace(found, start=found.start + _seed(source, most=2))
        case 2:
            return replace(found, end=source.choice(_ENDS))
        case 3:
            return replace(found, half=_seed(source, most=2))
        case 4:
            return replace(found, order=source.choice((None, source.getrandbits(32))))
        case _:
            other = drawn(source)
            return replace(other, units=found.units, order=found.order)


def _units(source: random.Random, among: tuple[str, ...] = ()) -> tuple[str, ...]:
    units = [*among, *(_seed(source) for _ in range(source.choice((1, 1, 2, 3))))]
    source.shuffle(units)
    return tuple(units[:6])


def _seed(source: random.Random, most: int = 3) -> str:
    return "".join(
        source.choice(UNITS) if source.random() < 0.7 else source.choice(_SIGNS)  # noqa: PLR2004
        for _ in range(source.randint(1 if most > 2 else 0, most))  # noqa: PLR2004
    )


def dump(inputs: list[Input]) -> str:
    """Inputs as a file has them."""
    return json.dumps([found.dumped() for found in inputs], indent=1) + "\n"
