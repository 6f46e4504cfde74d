"""Lua source as the script carries it."""

import re
from pathlib import Path

import pytest
from lupa.luajit21 import LuaRuntime

from components.istio.compact import compact, short_names

MODULES = sorted((Path(__file__).parents[2] / "lua").glob("*.lua"))
TOKEN = re.compile(r"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|--[^\n]*|(\w+|[^\w\s])""")


def tokens(source: str) -> list[str]:
    return [string or sign for string, sign in TOKEN.findall(source) if string or sign]


def renamed(source: str) -> set[tuple[str, str]]:
    """Which token became which."""
    before, after = tokens(source), tokens(compact(source, {}))
    assert len(before) == len(after)
    return {(old, new) for old, new in zip(before, after, strict=True) if old != new}


def test_comments_and_spaces_are_removed_and_strings_that_look_like_them_kept() -> None:
    source = """--- Doc.
local a = "--not  this" -- but this
local b = '-- neither "'  -- "nor" this
  -- gone

local c = "\\"-- kept" .. a
"""
    assert compact(source, {}) == (
        """local a="--not  this"\nlocal b='-- neither "'\nlocal c="\\"-- kept"..a\n"""
    )


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("local a = not b and c or d", "local a=not b and c or d"),
        ("local a = b - -c", "local a=b- -c"),
        ("local a = 1 .. b", "local a=1 ..b"),
        ('return "x" .. "y"', 'return"x".."y"'),
        ("local a = [[a- b.\n  c]]", "local a=[[a- b.\n  c]]"),
        ("local a = {\n  1,\n  2,\n}\nlocal b", "local a={1,2,}\nlocal b"),
        ("if a\n  and (b)\nthen\n  c()\nend", "if a and(b)then\nc()end"),
    ],
)
def test_a_space_stays_where_tokens_need_it(source: str, kept: str) -> None:
    assert compact(source, {}) == kept + "\n"


def test_names_that_a_module_declares_are_short_and_all_others_stay() -> None:
    source = """local LIMIT = 1
local function check(header_map, value)
  local name = header_map.name
  for index, value in ipairs({ name = name, value }) do
    header_map:set(index, value == LIMIT)
  end
end
"""
    assert (
        compact(source, {})
        == """local L=1
local function c(hm,v)
local n=hm.name
for i,v in ipairs({name=n,v})do
hm:set(i,v==L)end end
"""
    )


def test_what_modules_share_has_short_names_that_are_words_of_none() -> None:
    user = 'return names.facts(x.names, "names", find(x))\n'
    short = short_names(["names", "find"], ["local na = 1\nreturn na\n", user])
    assert short == {"names": "nm", "find": "fi"}
    assert compact(user, short) == 'return nm.facts(x.names,"names",fi(x))\n'


def test_the_name_that_a_module_uses_most_is_the_shortest() -> None:
    source = "local first = 1\nlocal found = first\nlocal f = found + found * found\n"
    assert compact(source, {}) == "local fi=1\nlocal F=fi\nlocal f=F+F*F\n"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_two_names_never_become_one(path: Path) -> None:
    # So the script that runs in every other test is what the modules say: only names differ.
    source = path.read_text("utf-8")
    pairs = renamed(source)
    assert len({old for old, _ in pairs}) == len({new for _, new in pairs}) == len(pairs)
    assert not {new for _, new in pairs} & set(tokens(source))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_name_of_lua_or_envoy_is_replaced(path: Path) -> None:
    known, source = LuaRuntime().globals(), path.read_text("utf-8")
    old = {old for old, _ in renamed(source) if f"local {old} = require(" not in source}
    assert [name for name in old if known[name] is not None or name.startswith("Envoy")] == []
