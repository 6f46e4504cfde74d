"""Lua source as the capture script carries it: what a reader of a diff needs, and little more."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

# A long string, a string, a comment, a name, a number, dots, any other sign; each with white space before it.
_TOKEN = re.compile(
    r"""(\s*)(\[\[[^]]*\]\]|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|--[^\n]*"""
    r"""|[A-Za-z_]\w*|\d\w*(?:\.\w+)?|\.+|[^\w\s])"""
)
_NAME = re.compile(r"[A-Za-z_]\w*")
# What functions declare: parameters, locals, variables of loops; and what a module declares.
_INNER = re.compile(
    r"\bfunction[ \w.]*\(([^)]*)\)|^ +local (?!function)([\w, ]+)|\bfor ([\w, ]+?) (?:in|=)", re.MULTILINE
)
_OUTER = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)
# fmt: off
_KEYWORDS = {
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local",
    "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
}
# fmt: on
# A line is joined with the line before it if that one ends with one of _GOES_ON, or if it starts itself with
# one of _GOES_ON_BEFORE; but not once the joined line has more than _LINE characters.
_LINE = 60
_GOES_ON = {"(", "{", ",", "=", "and", "or", "not", ".."}
_GOES_ON_BEFORE = {*_GOES_ON, ")", "}", "then", "end"}
# The end of a token and the start of the next one between which a space stays: otherwise they would become
# one word, a comment or a number.
_KEPT_APART = re.compile(r"\w\w|--|\d\.")


def short_names(names: Iterable[str], sources: Iterable[str]) -> dict[str, str]:
    """A short name for each name that modules share: two or more of its letters, but no word of any module.

    Args:
        names: the names of modules and functions.
        sources: the Lua text of all modules.
    """
    taken = {*_KEYWORDS, *_NAME.findall("\n".join(sources))}
    short: dict[str, str] = {}
    for name in names:
        short[name] = next((letters for letters in _letters(name) if letters not in taken), name)
        taken.add(short[name])
    return short


def compact(source: str, shared: Mapping[str, str]) -> str:
    """Lua without comments and the white space that no token needs, and with short names.

    Statements keep their lines, and fields their names: a reader finds the module's code again. A name that
    the module declares becomes its initials or some of its letters, the same all over the module, where no
    other name becomes that: ``header_map`` is ``hm``, ``record`` is ``r``.

    Args:
        source: Lua without long comments, and without brackets in long strings: ``lua/``'s.
        shared: short names of what the source takes from others, by name.
    """
    tokens = [(match[1], match[2]) for match in _TOKEN.finditer(source) if not match[2].startswith("--")]
    words = ["", *(word for _, word in tokens), "", ""]
    short = {**shared, **_own_names(source, {*_KEYWORDS, *words, *shared.values()})}
    text = ""
    brackets: list[str] = []
    for at, (space, word) in enumerate(tokens, start=1):
        before, after = words[at - 1], words[at + 1 : at + 3]
        # In a table, `name =` begins a field. (`name ==` would begin a comparison.)
        is_field = brackets[-1:] == ["{"] and before in {"{", ","} and after[0] == "=" and after[1] != "="
        if word in "([{":
            brackets.append(word)
        elif word in ")]}":
            brackets.pop()
        goes_on = before in _GOES_ON or word in _GOES_ON_BEFORE
        if "\n" in space and (not goes_on or len(text) - text.rfind("\n") > _LINE):
            text += "\n"
        is_variable = before not in {".", ":"} and not is_field
        written = short.get(word, word) if is_variable else word
        text += f" {written}" if _KEPT_APART.fullmatch(text[-1:] + written[0]) else written
    return text.strip() + "\n"


def _own_names(source: str, taken: set[str]) -> dict[str, str]:
    """A short name for each name that the source declares, and none that is taken."""
    short: dict[str, str] = {}
    uses = Counter(_NAME.findall(source))
    declared = {*_declared(_OUTER, source), *_declared(_INNER, source)}
    # What is used most gets the shortest.
    for name in sorted(declared, key=lambda name: (-uses[name], name)):
        if name not in {"M", "_"}:
            initials = "".join(part[0] for part in name.split("_"))
            candidates = (initials, initials[0], initials[0].upper(), *_letters(name), name)
            short[name] = next(
                candidate for candidate in candidates if candidate not in taken or candidate == name
            )
            taken.add(short[name])
    return short


def _letters(name: str) -> list[str]:
    """What may stand for a name: its first letter with any other letter of it, or its first letters."""
    return [name[0] + letter for letter in name[1:]] + [name[:size] for size in range(3, len(name))]


def _declared(pattern: re.Pattern[str], source: str) -> list[str]:
    return [
        name
        for match in pattern.finditer(source)
        for names in match.groups("")
        for name in _NAME.findall(names)
    ]
