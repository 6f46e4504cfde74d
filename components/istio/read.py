"""The settings that a rendered script holds: what ``script.literal`` wrote, read back. Pure."""

import json
import re
from collections import deque
from typing import Any

_CONFIG = re.compile(
    r"^local config ?= ?(\{\n.*?\n\})$", re.DOTALL | re.MULTILINE
)  # without spaces: 0.1's first scripts
_TOKEN = re.compile(
    r"""\[\[\n[^]]*\]\]|"(?:\\\d{3}|[^"\\])*"|\.\.|table\.concat\(|'\\n'\)|[{},=]|[^\s{},="]+"""
)
_BYTE = re.compile(rb"\\(\d{3})")


def settings_of(script: str) -> dict[str, Any] | None:
    """The settings in a script, by the names that ``script.render`` gives them.

    Returns:
        None for a text that is no capture script, or one whose settings are written in another way.
    """
    config = _CONFIG.search(script)
    try:
        settings = None if config is None else parse_literal(config[1])
    except (IndexError, ValueError):
        return None
    return settings if isinstance(settings, dict) else None


def parse_literal(text: str) -> Any:
    """The value of a Lua expression that ``script.literal`` wrote.

    Raises:
        IndexError, ValueError: the text is none.
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
