"""Text from elsewhere (a cluster, git, a stack's file, a program) as it may be printed: none of it acts.

Whatever a command of the package prints goes through :func:`write`, so that no message has to think of it.
"""

import re
from typing import TextIO

_SUSPECT = re.compile(r"[^\n\t -~]")
# Code points that are printable by their category and show nothing, or change what is beside them
# (Unicode's Default_Ignorable_Code_Point).
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)

# Markdown reads nothing into such a text: words, signs that mean nothing to it, underscores inside of words;
# no "//" and no "www.", of which GitHub makes links.
_PLAIN = re.compile(
    r"""(?!.*(?://|www\.))(?:[A-Za-z0-9 ,.:;=()/+%'"-]|(?<=[A-Za-z0-9])_(?=[A-Za-z0-9]))*""", re.IGNORECASE
)


def printable(text: str) -> str:
    """A text with what a terminal or an eye might obey as backslash escapes; lines and tabs stay.

    Escaped are control characters (C0, C1, DEL), those that reorder or hide text (bidirectional, zero-width,
    tags), separators other than the blank, lone surrogates and what Unicode has not assigned.
    """
    return _SUSPECT.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable() and not _INVISIBLE.match(character):
        return character
    return character.encode("unicode_escape").decode("ascii")


def write(stream: TextIO, text: str) -> None:
    """Print a text."""
    stream.write(printable(text))


def in_markdown(text: str) -> str:
    """A text in a line or a table's cell of Markdown: as code unless it is plain words.

    No HTML, link, image, mention or end of the cell comes of it.
    """
    line = printable(text.replace("\n", "\\n").replace("\t", "\\t"))
    if _PLAIN.fullmatch(line):
        return line
    if "|" in line:
        # GitHub ends a cell at a pipe, in code too, unless an odd number of backslashes is before it.
        line = line.replace("\\", "\\\\").replace("|", "\\|")
    fence = fence_around(line, "`")
    pad = " " if line.startswith("`") or line.endswith("`") or not line.strip() else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def fence_around(text: str, shortest: str = "```") -> str:
    """Backticks that no run of backticks in a text ends."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(len(shortest), longest + 1)
