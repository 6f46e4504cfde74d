"""Settings as Lua, and Lua as settings: how the capture script carries them. Pure."""

import json
import math
import re
from collections import deque
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

_LITERAL_CHARACTERS = 100
_TOKEN = re.compile(
    r"""\[\[\n[^]]*\]\]|"(?:\\\d{3}|[^"\\])*"|\.\.|table\.concat\(|'\\n'\)|[{},=]|[^\s{},="]+"""
)
_BYTE = re.compile(rb"\\(\d{3})")


def literal(value: Any, indent: str = "") -> str:  # noqa: PLR0911 - a return for each kind
    """A Lua expression for a setting: a line per leaf, printable text, no ``]==]``, which ends comments.

    A list is a text of a line per item: as it stands, or by ``table.concat`` where an item is long or has
    brackets or what is not printable.

    Args:
        value: bool, int, finite float, str, a list of str of one line each, or a dict of these.
        indent: spaces before the lines of a table. Items of a list have none: those would be a part of them.

    Raises:
        TypeError: for any other value.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return str(int(value)) if value.is_integer() else repr(value)
        case str():
            return _string_literal(value)
        case list() if all(isinstance(item, str) and "\n" not in item for item in value):
            if all(map(_is_plain, value)):
                return "[[\n" + "".join(f"{item}\n" for item in value) + "]]"
            return f"table.concat({_block(map(literal, value), indent)}, '\\n')"
        case dict():
            members = (f"{key} = {literal(item, indent + '  ')}" for key, item in value.items())
            return _block(members, indent)
        case _:
            raise TypeError(f"no Lua literal for {value!r}")


def _block(lines: Iterable[str], indent: str) -> str:
    return "{\n" + "".join(f"{indent}  {line},\n" for line in lines) + indent + "}"


def _is_plain(item: str) -> bool:
    """Whether a line of a long string may say an item as it stands."""
    return 0 < len(item) <= _LITERAL_CHARACTERS and item.isprintable() and not {"[", "]"} & set(item)


@lru_cache(maxsize=4096)  # the same texts come in every workload's settings
def _string_literal(text: str) -> str:
    characters = [
        chr(code) if 0x20 <= code < 0x7F and chr(code) not in '"\\]' else f"\\{code:03d}"  # noqa: PLR2004
        for code in text.encode()
    ]
    lines: list[str] = [""]
    for character in characters:
        if len(lines[-1]) + len(character) > _LITERAL_CHARACTERS:
            lines.append("")
        lines[-1] += character
    return "\n..".join(f'"{line}"' for line in lines)


def parse_literal(text: str) -> Any:
    """The value of a Lua expression that ``literal`` wrote.

    Raises:
        IndexError, ValueError: the text is another expression.
    """
    return _value(deque(_TOKEN.findall(text)))


def _value(tokens: deque[str]) -> Any:
    first = tokens.popleft()
    if first == "{":
        return _table(tokens)
    if first.startswith("[["):
        return first.split("\n")[1:-1]
    if first == "table.concat(":
        tokens.popleft()
        items = []
        while tokens[0] != "}":
            items.append(_value(tokens))
            tokens.popleft()  # the comma
        for _ in ("}", ",", "'\\n')"):
            tokens.popleft()
        return items
    if first.startswith('"'):
        # A character's bytes may be on two lines.
        text = _bytes(first)
        while tokens and tokens[0] == "..":
            tokens.popleft()
            text += _bytes(tokens.popleft())
        return text.decode()
    return json.loads(first)


def _table(tokens: deque[str]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    while tokens[0] != "}":
        key, equals = tokens.popleft(), tokens.popleft()
        if equals != "=":
            raise ValueError(f"no setting: {key}")
        named[key] = _value(tokens)
        tokens.popleft()  # the comma
    tokens.popleft()
    return named


def _bytes(quoted: str) -> bytes:
    return _BYTE.sub(lambda match: bytes([int(match[1])]), quoted[1:-1].encode())
