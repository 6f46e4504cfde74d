"""Reads the patterns of Lua source, and names the rule by which each is fast, if there is one.

Lua's matcher backtracks: a repetition takes all it can and gives back byte by byte, and at each step what
follows is tried anew; without ``^`` all of that happens again from each byte of the text. A pattern is fast
under one of the `RULES`, each of which bounds how often a byte is visited.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

Bytes = int  # a set of bytes: bit N is byte N
ALL: Bytes = (1 << 256) - 1

PLAIN = "plain find"
ANCHORED = "anchored, and gives back no byte twice"
FIXED = "no repetition"
SURE = "cannot fail once it repeats"
LED = "begins with a sign that its repetitions leave out"
EDGED = "begins at the edge of what it repeats"
RULES = (PLAIN, ANCHORED, FIXED, SURE, LED, EDGED)


# A pattern.


@dataclass(frozen=True)
class Item:
    """What a pattern matches in one step, besides captures.

    Attributes:
        members: the bytes it takes. Of ``%b``, which first byte; of ``%f``, which bytes may follow.
        repeat: one of ``*+-?``, or empty.
        kind: ``single`` takes one byte; ``edge`` (``%f``) takes none; ``long`` (``%b``, ``%1``) takes many.
    """

    members: Bytes
    repeat: str = ""
    kind: str = "single"

    @property
    def repeats(self) -> bool:
        return self.kind == "long" or self.repeat in {*"*+-"}

    @property
    def can_fail(self) -> bool:
        return self.repeat not in {*"*-?"}


def _set_of(test: str) -> Bytes:
    return sum(1 << code for code in range(128) if re.fullmatch(test, chr(code)))


CLASSES = {
    "a": _set_of(r"[A-Za-z]"),
    "c": _set_of(r"[\0-\x1f\x7f]"),
    "d": _set_of(r"[0-9]"),
    "g": _set_of(r"[!-~]"),
    "l": _set_of(r"[a-z]"),
    "p": _set_of(r"[!-/:-@\[-`{-~]"),
    "s": _set_of(r"[\t-\r ]"),
    "u": _set_of(r"[A-Z]"),
    "w": _set_of(r"[A-Za-z0-9]"),
    "x": _set_of(r"[A-Fa-f0-9]"),
    "z": 1,
}


def _one(letter: str) -> Bytes:
    return 1 << ord(letter)


def _escape(letter: str) -> Bytes:
    """What ``%`` and a letter stand for."""
    members = CLASSES.get(letter.lower())
    if members is None:
        return _one(letter)
    return members if letter.islower() else ALL & ~members


def _bracket(pattern: str, at: int) -> tuple[Bytes, int]:
    """The set whose ``[`` stands at ``at``, and where the pattern goes on."""
    at += 1
    is_negated = pattern[at] == "^"
    at += is_negated
    members, first = 0, at
    while pattern[at] != "]" or at == first:
        if pattern[at] == "%":
            members |= _escape(pattern[at + 1])
            at += 2
        elif pattern[at + 1] == "-" and pattern[at + 2] != "]":
            members |= sum(1 << code for code in range(ord(pattern[at]), ord(pattern[at + 2]) + 1))
            at += 3
        else:
            members |= _one(pattern[at])
            at += 1
    return (ALL & ~members if is_negated else members), at + 1


def parse(pattern: str) -> list[Item]:
    """The items of a pattern (Latin-1 for bytes) without its anchors."""
    items: list[Item] = []
    at = 0
    while at < len(pattern):
        letter, following = pattern[at], pattern[at + 1 : at + 2]
        if letter in "()":
            at += 1
        elif letter == "%" and following == "b":
            items.append(Item(_one(pattern[at + 2]), kind="long"))
            at += 4
        elif letter == "%" and following == "f":
            members, at = _bracket(pattern, at + 2)
            items.append(Item(members, kind="edge"))
        elif letter == "%" and following.isdigit():
            items.append(Item(ALL, kind="long"))
            at += 2
        else:
            members, at = _single(pattern, at)
            repeat = pattern[at : at + 1]
            is_repeat = repeat != "" and repeat in "*+-?"
            items.append(Item(members, repeat if is_repeat else ""))
            at += is_repeat
    return items


def _single(pattern: str, at: int) -> tuple[Bytes, int]:
    match pattern[at]:
        case ".":
            return ALL, at + 1
        case "%":
            return _escape(pattern[at + 1]), at + 2
        case "[":
            return _bracket(pattern, at)
        case letter:
            return _one(letter), at + 1


def rule(pattern: str, function: str = "find") -> str | None:
    """The rule that a pattern follows, of `RULES`; None where it follows none.

    Args:
        pattern: of Lua; Latin-1 for bytes.
        function: of ``string``; ``gmatch`` knows no ``^``.
    """
    if not re.search(r"[\^$*+?.(\[%-]", pattern):
        return PLAIN
    is_anchored = pattern.startswith("^") and function != "gmatch"
    has_end = bool(re.search(r"(?<!%)(?:%%)*\$$", pattern))
    items = parse(pattern[is_anchored : len(pattern) - has_end])
    if items and items[-1] in (Item(ALL, "*"), Item(ALL, "-")):
        has_end = False  # nothing stops it before the end
    if is_anchored:
        return ANCHORED if _walks_once(items, has_end) else None
    return _scans_once(items, has_end)


def _can_fail(items: Sequence[Item], has_end: bool) -> bool:
    return has_end or any(item.can_fail for item in items)


def _scans_once(items: Sequence[Item], has_end: bool) -> str | None:
    """The rule by which trying a match at each byte of a text visits each byte a bounded number of times."""
    if not any(item.repeats for item in items):
        return FIXED
    first = next(at for at, item in enumerate(items) if item.repeats)
    if not _can_fail(items[first + 1 :], has_end) and items[first].kind == "single":
        return SURE
    repeated = [item.members for item in items if item.repeats]
    if any(item.kind == "long" for item in items) or not _walks_once(items, has_end):
        return None
    leads = [item.members for item in items[:first] if item.kind == "single" and not item.repeat]
    if any(not any(lead & members for members in repeated) for lead in leads):
        return LED
    is_edged = items[0].kind == "edge" and all(not members & ~items[0].members for members in repeated)
    return EDGED if is_edged else None


def _walks_once(items: Sequence[Item], has_end: bool) -> bool:
    """Whether a match from one start visits each byte a bounded number of times."""
    return all(
        not item.repeats
        or item.kind == "long"
        or _stops_at(item, items[at + 1 :], has_end)
        or bool(_scans_once(items[at + 1 :], has_end))
        for at, item in enumerate(items)
    )


def _stops_at(item: Item, rest: Sequence[Item], has_end: bool) -> bool:
    """Whether what follows a repetition, tried at a byte that it took, ends after a few bytes."""
    here = item.members  # what the byte at hand may be
    for at, following in enumerate(rest):
        if not _can_fail(rest[at:], has_end):
            return True
        overlaps = here & following.members
        if not overlaps and following.can_fail:
            return True
        if following.repeats and overlaps:
            return False
        if following.kind == "edge":
            here = overlaps
        elif overlaps:
            here = ALL
    return True


# Source.

_TOKEN = re.compile(
    r"""
    (?P<comment> --\[(?P<c>=*)\[.*?\](?P=c)\] | --[^\n]* )
    | (?P<long> \[(?P<l>=*)\[(?P<content>.*?)\](?P=l)\] )
    | (?P<short> "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    | (?P<name> [A-Za-z_]\w* )
    | (?P<number> \d[\w.]* )
    | (?P<sign> \.\.\.|\.\.|==|~=|<=|>=|[^\s\w] )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(\d{1,3}|x[0-9a-fA-F]{2}|z\s*|.)", re.DOTALL)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_FUNCTIONS = ("find", "match", "gmatch", "gsub")
_OPENING, _CLOSING = {*"([{"}, {*")]}"}
_BLOCKS = {"function", "do", "then", "repeat"}


@dataclass(frozen=True)
class Token:
    kind: str  # name, string, number, sign
    text: str  # of a string: its content, Latin-1 for bytes
    line: int


def tokens(source: str) -> list[Token]:
    """The tokens of Lua source, comments left out."""
    found = []
    for match in _TOKEN.finditer(source):
        kind, line = match.lastgroup, source.count("\n", 0, match.start()) + 1
        if match["comment"]:
            continue
        if match["long"] is not None:
            found.append(Token("string", _bytes(match["content"].removeprefix("\n")), line))
        elif match["short"]:
            found.append(Token("string", _bytes(_ESCAPED.sub(_unescaped, match["short"][1:-1])), line))
        else:
            kind = next(kind for kind in ("name", "number", "sign") if match[kind])
            found.append(Token(kind, match[0], line))
    return found


def _bytes(text: str) -> str:
    return "".join(letter if ord(letter) < 256 else letter.encode().decode("latin-1") for letter in text)


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code.isdigit():
        return chr(int(code))
    if code[0] == "x":
        return chr(int(code[1:], 16))
    return "" if code[0] == "z" else _CONTROLS.get(code, code)


class UnreadableError(Exception):
    """A pattern is not a constant, or this reader does not find it. The message says what it met."""


SETTINGS = None
"""Stands for a pattern that the script builds from settings as it loads. It is not in the source, so
test_patterns.py looks at it in a script that runs."""

Values = set[str | None]
Tokens = Sequence[Token]


@dataclass(frozen=True)
class Use:
    """A pattern where it is used.

    Attributes:
        file: its name without ``.lua``.
        line: of the call.
        function: find, match, gmatch or gsub.
        patterns: what the pattern may be.
        reason: why `patterns` is not known, or empty.
        is_plain: whether the call says that it is plain text: ``find(text, sign, 1, true)``.
    """

    file: str
    line: int
    function: str
    patterns: frozenset[str | None] = frozenset()
    reason: str = ""
    is_plain: bool = False


@dataclass
class Function:
    """A function of a module: `start` and `stop` are places in its tokens."""

    name: str
    parameters: list[str]
    start: int
    stop: int


class Binding(NamedTuple):
    """What a name is bound to at a place in the tokens: an expression, or what a loop goes over."""

    at: int
    value: Tokens
    is_loop: bool


@dataclass
class Module:
    """A module's tokens, and what its names are bound to."""

    name: str
    tokens: list[Token]
    bound: dict[str, list[Binding]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    functions: list[Function] = field(default_factory=list)


def read(sources: Mapping[str, str]) -> list[Use]:
    """Every use of a pattern in modules, by name."""
    modules = {name: _module(name, tokens(source)) for name, source in sources.items()}
    return [use for module in modules.values() for use in _uses(module, modules)]


def read_folder(folder: Path) -> list[Use]:
    """Every use of a pattern in a folder of Lua modules."""
    return read({path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.lua"))})


def _texts(found: Tokens) -> list[str]:
    return [token.text if token.kind != "string" else "" for token in found]


def _split(found: Tokens, separator: str) -> list[Tokens]:
    """Tokens between separators that stand in no bracket and no function."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in found:
        if token.kind == "sign":
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
        elif token.kind == "name":
            depth += (token.text in {"function", "if", "do"}) - (token.text == "end")
        if depth == 0 and token.text == separator and token.kind in {"sign", "name"}:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _closing(found: Tokens, at: int) -> int:
    """Where the bracket at ``at`` is closed."""
    depth = 0
    for index in range(at, len(found)):
        if found[index].kind == "sign":
            depth += (found[index].text in _OPENING) - (found[index].text in _CLOSING)
            if depth == 0:
                return index
    raise UnreadableError("a bracket is not closed")


_AFTER_VALUE = {"name", "string", "number"}
_STATEMENTS = {
    *("local", "return", "if", "for", "while", "repeat", "function", "end", "else", "elseif", "until", "do"),
    *("break", "goto", "then"),
}
_OPERATORS = {"and", "or", "not"}


def _expression_end(found: Tokens, at: int) -> int:
    """Where expressions that start at ``at`` end: at the second value in a row, or a statement's word."""
    is_value = False
    while at < len(found):
        token = found[at]
        if token.kind == "name" and token.text == "function":
            if is_value:
                return at
            at = _function_end(found, at)
            is_value = True
        elif token.kind == "name" and token.text in _STATEMENTS:
            return at
        elif token.kind == "name" and token.text in _OPERATORS:
            is_value = False
        elif token.kind in _AFTER_VALUE:
            if is_value and token.kind != "string":
                return at
            is_value = True
        elif token.text in _OPENING:
            at = _closing(found, at)
            is_value = True
        elif token.text in _CLOSING or token.text in {"=", ";"}:
            return at
        else:
            is_value = False
        at += 1
    return at


def _function_end(found: Tokens, at: int) -> int:
    """Where the ``end`` of the function at ``at`` stands."""
    depth = 0
    for index in range(at, len(found)):
        if found[index].kind == "name":
            depth += found[index].text in {"function", "if", "do", "repeat"}
            depth -= found[index].text in {"end", "until"}
            if depth == 0 and index > at:
                return index
    raise UnreadableError("a function is not closed")


def _module(name: str, found: list[Token]) -> Module:
    module = Module(name, found)
    for at, token in enumerate(found):
        if token.kind == "name" and token.text == "for":
            _bind_loop(module, at)
        elif token.kind == "name" and token.text == "function":
            _bind_function(module, at)
        elif token.kind == "sign" and token.text == "=":
            _bind_assignment(module, at)
    return module


def _bind_loop(module: Module, at: int) -> None:
    found = module.tokens
    into = next(index for index in range(at, len(found)) if found[index].text in {"in", "="})
    do = next(index for index in range(into, len(found)) if found[index].text == "do")
    for variable in _split(found[at + 1 : into], ","):
        binding = Binding(at, found[into + 1 : do], is_loop=True)
        module.bound.setdefault(variable[0].text, []).append(binding)


def _bind_function(module: Module, at: int) -> None:
    found = module.tokens
    opening = next(index for index in range(at, len(found)) if found[index].text == "(")
    named = found[opening - 1].text if opening > at + 1 else ""
    if not named and at >= 2 and found[at - 1].text == "=":
        named = found[at - 2].text
    parameters = [token.text for token in found[opening : _closing(found, opening)] if token.kind == "name"]
    module.functions.append(Function(named, parameters, at, _function_end(found, at)))


def _bind_assignment(module: Module, at: int) -> None:
    """``local a, b = x, y``, ``a = x``, ``M.a = x``, ``a[1] = x``."""
    found = module.tokens
    start = at
    while start and (
        found[start - 1].kind in _AFTER_VALUE or found[start - 1].text in {",", ".", "[", "]", "#", "+"}
    ):
        if found[start - 1].kind == "name" and found[start - 1].text in _STATEMENTS:
            break
        if _ends_statement(found, start):
            break
        start -= 1
    names = _split(found[start:at], ",")
    values = _split(found[at + 1 : _expression_end(found, at + 1)], ",")
    for name, value in zip(names, values, strict=False):
        texts = _texts(name)
        is_field = texts[0] == "M" and len(texts) == 3
        binding = Binding(at, value, is_loop=False)
        module.bound.setdefault(texts[2] if is_field else texts[0], []).append(binding)
        if _texts(value) in [["string", ".", function] for function in _FUNCTIONS]:
            module.aliases[texts[0]] = value[2].text


def _ends_statement(found: Tokens, start: int) -> bool:
    """Whether the token before ``start`` ends the statement before: two values stand in a row."""
    before, here = found[start - 1], found[start] if start < len(found) else None
    is_end = before.kind in _AFTER_VALUE or before.text == "]"
    return is_end and here is not None and here.kind in _AFTER_VALUE and here.text != "="


def _uses(module: Module, modules: Mapping[str, Module]) -> Iterator[Use]:
    found = module.tokens
    for at, token in enumerate(found):
        if token.kind != "name":
            continue
        before = found[at - 1].text if at and found[at - 1].kind == "sign" else ""
        base = found[at - 2].text if at > 1 and before == "." else ""
        if before == ":" and token.text in _FUNCTIONS:
            function, index = token.text, 0
        elif base == "string" and token.text in _FUNCTIONS:
            function, index = token.text, 1
        elif before not in {".", ":"} and token.text in module.aliases:
            function, index = module.aliases[token.text], 1
        elif before != "." and token.text in _FUNCTIONS and not _is_own(module, token.text):
            yield Use(module.name, token.line, token.text, reason=f"{token.text}: of what?")
            continue
        else:
            continue
        following = found[at + 1]
        if following.kind == "string":
            arguments: list[Tokens] = [[following]]
        elif following.text == "(":
            arguments = _split(found[at + 2 : _closing(found, at + 1)], ",")
        elif _is_binding(found, at):
            continue
        else:
            yield Use(module.name, token.line, function, reason="passed on, so its patterns are not known")
            continue
        yield _use(module, modules, at, function, arguments[index:])


def _is_own(module: Module, name: str) -> bool:
    return any(function.name == name for function in module.functions)


def _is_binding(found: Tokens, at: int) -> bool:
    """``local find = string.find``, or the name in it."""
    line = [token.text for token in found if token.line == found[at].line]
    return "local" in line and "=" in line


def _use(
    module: Module, modules: Mapping[str, Module], at: int, function: str, arguments: Sequence[Tokens]
) -> Use:
    line = module.tokens[at].line
    if function == "find" and len(arguments) > 2 and _texts(arguments[2]) == ["true"]:
        return Use(module.name, line, function, is_plain=True)
    try:
        patterns = _Evaluation(modules).values(module, arguments[0], at)
    except UnreadableError as error:
        return Use(module.name, line, function, reason=str(error))
    return Use(module.name, line, function, frozenset(patterns))


def _around(module: Module, at: int) -> list[Function]:
    """The functions around a place, the innermost first."""
    around = [function for function in module.functions if function.start < at < function.stop]
    return sorted(around, key=lambda function: -function.start)


class _Evaluation:
    """What an expression may be: a union over all that its names are bound to, anywhere in their module."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self._modules = modules
        self._met: set[tuple[str, str, int]] = set()

    def values(self, module: Module, expression: Tokens, at: int) -> Values:
        if len(alternatives := _split(expression, "or")) > 1:
            return set().union(*(self.values(module, part, at) for part in alternatives))
        if len(conditions := _split(expression, "and")) > 1:
            return self.values(module, conditions[-1], at)
        if len(parts := _split(expression, "..")) > 1:
            return self._joined([self.values(module, part, at) for part in parts])
        return self._simple(module, expression, at)

    @staticmethod
    def _joined(parts: list[Values]) -> Values:
        joined: Values = {""}
        for part in parts:
            joined = {
                SETTINGS if head is SETTINGS or tail is SETTINGS else head + tail
                for head in joined
                for tail in part
            }
        return joined

    def _simple(self, module: Module, expression: Tokens, at: int) -> Values:
        texts, first = _texts(expression), expression[0]
        if first.kind == "string" and len(expression) == 1:
            return {first.text}
        if first.text == "{" and _closing(expression, 0) == len(expression) - 1:
            items = [_split(item, "=")[-1] for item in _split(expression[1:-1], ",")]
            return set().union(*(self.values(module, item, at) for item in items))
        if first.text == "(" and _closing(expression, 0) == len(expression) - 1:
            return self.values(module, expression[1:-1], at)
        if texts[:2] == ["config", "."]:
            return {SETTINGS}
        if first.kind == "name":
            return self._named(module, expression, at)
        raise UnreadableError(f"no constant: {' '.join(token.text for token in expression)}")

    def _named(self, module: Module, expression: Tokens, at: int) -> Values:
        """``name``, ``name.field``, ``name[key]``, ``module.name``; ``name:gsub(...)`` of a setting."""
        texts = _texts(expression)
        if ":" in texts and self._name(module, texts[0], at) == {SETTINGS}:
            return {SETTINGS}
        if "(" in texts:
            raise UnreadableError(f"no constant: {' '.join(token.text for token in expression)}")
        if len(texts) == 3 and texts[1] == "." and texts[0] in {*self._modules, "M"}:
            return self._name(self._modules.get(texts[0], module), texts[2], at)
        return self._name(module, texts[0], at)

    def _name(self, module: Module, name: str, at: int) -> Values:
        """By the innermost function around ``at`` that binds the name, else by the module."""
        # With its place, as another function may pass a variable of the same name.
        if (module.name, name, at) in self._met:
            return set()
        self._met.add((module.name, name, at))
        found: list[Values] = []
        for function in [*_around(module, at), None]:
            found += [
                self._looped(module, bound.value, bound.at)
                if bound.is_loop
                else self.values(module, bound.value, bound.at)
                for bound in module.bound.get(name, [])
                if next(iter(_around(module, bound.at)), None) is function
                and _texts(bound.value) not in ([], ["nil"], ["{", "}"])
            ]
            if function and name in function.parameters:
                found += self._passed(module, function, function.parameters.index(name))
            if found:
                break
        self._met.discard((module.name, name, at))
        if not found:
            raise UnreadableError(f"no constant: {name}")
        return set().union(*found)

    def _looped(self, module: Module, over: Tokens, at: int) -> Values:
        texts = _texts(over)
        if texts[0] in {"ipairs", "pairs"}:
            return self.values(module, over[2:-1], at)
        if texts[:2] == ["config", "."]:
            return {SETTINGS}
        raise UnreadableError(f"no constant: each of {' '.join(token.text for token in over)}")

    def _passed(self, module: Module, function: Function, index: int) -> list[Values]:
        """What callers pass for a parameter."""
        return [
            values
            for caller in self._modules.values()
            for values in self._arguments(caller, module, function, index)
        ]

    def _arguments(self, caller: Module, owner: Module, function: Function, index: int) -> Iterator[Values]:
        found = caller.tokens
        for at, token in enumerate(found):
            if token.text != function.name or token.kind != "name" or found[at + 1].text != "(":
                continue
            base = found[at - 2].text if found[at - 1].text == "." else ""
            is_it = base in {"M", ""} if caller is owner else base == owner.name
            if is_it and "function" not in {found[at - 1].text, found[at - 3].text}:
                arguments = _split(found[at + 2 : _closing(found, at + 1)], ",")
                if index < len(arguments) and _texts(arguments[index]) != ["nil"]:
                    yield self.values(caller, arguments[index], at)
