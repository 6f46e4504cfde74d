"""Finds secrets in what left a proxy: whole or in part, plain or in another spelling."""

import base64
import html
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

# So many characters of a secret in a row are a leak; of a number more, as times and ids have digits, too.
PART, DIGITS = 5, 9


class Leaks:
    """Knows secrets, and finds a part of them."""

    def __init__(self, *secrets: str) -> None:
        needles: set[bytes] = set()
        for text in secrets:
            size = DIGITS if text.isdigit() else PART
            needles |= {text[at : at + size].encode() for at in range(len(text) - size + 1)}
            for lead in range(3):
                encoded = base64.b64encode(b"\0" * lead + text.encode()).decode().rstrip("=")
                inner = encoded[4 if lead else 0 : -1]
                needles |= {inner[at : at + 8].encode() for at in range(len(inner) - 7)}
        self._needles = re.compile(b"|".join(map(re.escape, sorted(needles))))

    def within(self, text: str) -> bool:
        """Whether a text shows a part of a secret."""
        return any(self._needles.search(spelling) for spelling in self._spellings(text))

    @staticmethod
    def _spellings(text: str) -> Iterator[bytes]:
        yield text.encode()
        for _ in range(4):
            text = re.sub(r"\\u00([0-7][0-9a-fA-F])", lambda code: chr(int(code[1], 16)), text)
            text = re.sub(r"\\(.)", r"\1", text)
        yield text.encode()
        yield text.replace("\0", "").encode()
        yield html.unescape(text).encode()
        yield unquote_to_bytes(unquote_to_bytes(text))
