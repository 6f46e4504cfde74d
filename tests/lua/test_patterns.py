"""No pattern of the capture script backtracks: each follows a rule that bounds how often a byte is read."""

from pathlib import Path

import pytest

from lab.fuzz.shapes import FORMS, UNITS, Text
from tests.lua import lua_patterns
from tests.lua.fake_envoy import GET, OK, Proxy, render
from tests.lua.lua_patterns import ANCHORED, EDGED, FIXED, LED, PLAIN, SETTINGS, SURE, Use, rule

LUA = Path(__file__).parents[2] / "lua"


NO_RULE = (
    "is under no rule: it is not plain, it is not anchored with repetitions that give back no byte twice, "
    "and what repeats in it can start again at each byte"
)


def refused(uses: list[Use]) -> list[str]:
    """What is wrong with patterns, a line each."""
    wrong = []
    for use in uses:
        where = f"lua/{use.file}.lua:{use.line}: {use.function}"
        if use.reason:
            wrong.append(f"{where}: {use.reason}")
        wrong += [
            f"{where}: {pattern!r} {NO_RULE}"
            for pattern in use.patterns
            if pattern is not SETTINGS and not rule(pattern, use.function)
        ]
    return wrong


def test_every_pattern_of_the_script_follows_a_rule() -> None:
    assert refused(lua_patterns.read_folder(LUA)) == []


# Keeps the patterns of the calls that follow, as "function pattern".
WATCH = """
seen = {}
for _, name in ipairs({ "find", "match", "gmatch", "gsub" }) do
  local original = string[name]
  string[name] = function(text, pattern, third, is_plain, ...)
    if not (name == "find" and is_plain) then
      seen[name .. " " .. pattern] = true
    end
    return original(text, pattern, third, is_plain, ...)
  end
end
"""


class Watched(Proxy):
    """A proxy that knows the patterns that its script has used."""

    def __init__(self, script: str) -> None:
        super().__init__(WATCH + script)

    @property
    def used(self) -> list[str]:
        return [use.decode("latin-1") for use in self._lua.globals()[b"seen"]]


def test_every_pattern_that_the_script_uses_as_it_runs_follows_a_rule() -> None:
    skipped = ["/static*", "/a-(b)%[c]+", "/-*"]
    proxy = Watched(
        render(skip_paths=skipped, content_types=["text/*", "application/*+json", "application/x.y-z+w"])
    )
    for start, declared in FORMS.values():
        for unit in UNITS:
            line = unit.replace("\r", "").replace("\n", "").replace("\0", "")
            values = [(name, line) for name in ("cookie", "set-cookie", "authorization", "referer", "link")]
            proxy.exchange(
                [(":path", f"/{line}?{line}"), *GET[2:], ("content-type", declared), *values],
                [*OK, *values],
                sent=[Text(start, unit).of(200).encode("latin-1")],
            )
    assert proxy.errors == proxy.warnings == []
    used = [use.split(" ", 1) for use in proxy.used]
    assert [pattern for function, pattern in used if not rule(pattern, function)] == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("password", PLAIN),
        ("</", PLAIN),
        ("^%s*[^=%s]+%s*=", ANCHORED),
        ("^(%x%x)%-(%x+)%-(%x+)%-%x%x", ANCHORED),
        ("^.*@", ANCHORED),
        ("^\\*[\"'{[]", ANCHORED),
        ("^%[?(.-)%]?:%d+$", ANCHORED),
        ("^([^;]*)(.*)$", ANCHORED),
        ("^%s*$", ANCHORED),
        ("^%d?%d?%d$", ANCHORED),
        ("%s", FIXED),
        ("[^0]", FIXED),
        ("%%%x%x", FIXED),
        ("\\u00(%x%x)", FIXED),
        ("[^;]+", SURE),
        ("%-%-[^\r\n]+", SURE),
        ("/.*", SURE),
        ("&#0*(%x%x);", LED),
        ('(/\\?/)[^/?#%s<>"]*@', LED),
        ("<[^<>]*>", LED),
        ("%f[%w]%w+;", EDGED),
        ("%f[%d]%d+$", EDGED),
    ],
)
def test_a_pattern_is_fast_by_a_rule(pattern: str, expected: str | None) -> None:
    assert rule(pattern) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        ",.*=",  # the finding: from each comma to the end
        "%s+x",
        "%s*$",
        "[^,]+,.*=",
        "%w+:",
        ".-,",
        "^.-,.-=",
        "^%s*.*x",
        "^(.*),(.*)=",
        "^%w+%d+x",
        "^[^,]*,?[^=]*=",
        "^(.+)%1$",
        "%b()",
        "x%b()y",
        "(.)%1+",
        "<.->",
        "%f[%w]%w+%s*=",
        "name=.*;",
        "^a*a*$",
        "a-b",
    ],
)
def test_a_pattern_that_may_backtrack_follows_no_rule(pattern: str) -> None:
    assert rule(pattern) is None


def test_gmatch_knows_no_anchor() -> None:
    assert rule("^%s+x", "gmatch") != ANCHORED


@pytest.mark.parametrize(
    "source",
    [
        'text:find(",.*=")',
        "text:find(',.*=', at)",
        'string.find(text, ",.*=")',
        'text:match(",.*=")',
        'for part in text:gmatch(",.*=") do end',
        'text = text:gsub(",.*=", "")',
        '("x"):gsub(",.*=", "")',
        "text:find[[,.*=]]",
        "text:find [=[,.*=]=]",
        'text:find(",.\\042\\x3d")',
        'local find = string.find\nfind(text, ",.*=", at)',
        'local byte, find = string.byte, string.find\nfind(text, ",.*=")',
        'local text_find = string.find\nreturn text_find(text, ",.*=")',
        'local LATER = ",.*="\ntext:find(LATER)',
        'local SEPARATOR, LATER = ",", ".*="\ntext:find(SEPARATOR .. LATER)',
        'local LATER = { a = ",.*=" }\ntext:find(LATER.a)',
        'local LATER = { "x", ",.*=" }\ntext:find(LATER[kind])',
        'local LATER = { "x", ",.*=" }\nfor _, later in ipairs(LATER) do\n  text:find(later)\nend',
        'M.LATER = ",.*="\ntext:find(M.LATER)',
        'text:find(is_list and ",.*=" or "=")',
        'local function has(later)\n  return text:find(later)\nend\nhas(",.*=")',
        'function M.has(later)\n  return text:find(later)\nend\nreturn M.has(",.*=")',
        (
            "local function has(later)\n  return text:find(later)\nend\n"
            'local LATER = { a = ",.*=" }\nfor _, later in pairs(LATER) do\n  has(later)\nend'
        ),
        'text:find(",.*=", at, is_plain)',
        'x = text:find("," .. ".*=") and 1\ny = 2',
    ],
)
def test_a_pattern_is_read_wherever_it_stands(source: str) -> None:
    [wrong] = refused(lua_patterns.read({"a": source}))
    assert "',.*='" in wrong


def test_a_pattern_is_read_in_another_module() -> None:
    modules = {
        "a": 'M.LATER = ",.*="\nfunction M.has(later)\n  return text:find(later)\nend\n',
        "b": 'local a = require("a")\na.has(",.-=")\ntext:find(a.LATER)',
    }
    wrong = "\n".join(refused(lua_patterns.read(modules)))
    assert "',.*='" in wrong
    assert "',.-='" in wrong


@pytest.mark.parametrize(
    "source",
    [
        "text:find(name)",
        'text:find("^" .. name)',
        "text:find(pattern_of(name))",
        "local find = string.find\neach(text, find)",
        "each(text, string.find)",
        'find(text, ",.*=")',
    ],
)
def test_a_pattern_that_cannot_be_read_is_refused(source: str) -> None:
    assert len(refused(lua_patterns.read({"a": source}))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "text:find(name, 1, true)",
        'local find = string.find\nfind(text, name .. "=", at, true)',
        "inflight.find(id)",
        "function M.find(id)\n  return by_id[id]\nend",
        '-- text:find(",.*=")',
        '--[[ text:find(",.*=") ]]',
        "x = 'text:find(\",.*=\")'",
    ],
)
def test_what_is_no_pattern_is_not_read_as_one(source: str) -> None:
    assert refused(lua_patterns.read({"a": source})) == []
