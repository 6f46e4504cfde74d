"""The capture script as text: its size, its stability, and what a changed setting changes in it."""

import difflib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lupa.luajit21 import LuaRuntime

from components.istio import read, script
from components.istio.endpoint import collector
from components.istio.literals import literal
from components.settings.models import Capture, Direction, Egress
from components.settings.validation import Spelling, parse

LUA = Path(__file__).parents[2] / "lua"
SENSOR_ID = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"


def render(
    direction: Direction = Direction.INBOUND, url: str = "http://atc.astra:4318", **capture: Any
) -> script.Script:
    return script.render(
        parse(Capture, capture, Spelling.PYTHON),
        sensor_id=SENSOR_ID,
        collector=collector(url, Egress()),
        direction=direction,
    )


def changed_lines(before: script.Script, after: script.Script) -> list[str]:
    diff = difflib.unified_diff(before.text.splitlines(), after.text.splitlines(), n=0, lineterm="")
    return [line for line in diff if re.match(r"[-+](?![-+]{2})", line)]


def test_the_script_is_small_enough_for_every_place_it_goes() -> None:
    assert len(render().text.encode()) < script.MAX_SCRIPT_BYTES


def test_a_traffic_extension_takes_the_compacted_script_with_lists_of_the_users_own() -> None:
    added = render(
        redaction={"extra_fields": [f"loyalty number {number}" for number in range(30)]},
        extra_headers=[f"x-shop-header-{number}" for number in range(10)],
        skip_paths=[f"/internal/tool-{number}/*" for number in range(10)],
    )
    assert len(added.inline_code.encode()) < script.MAX_INLINE_CODE_BYTES


def test_lines_are_short_enough_for_pulumis_diff_even_with_long_settings() -> None:
    longest = render(
        url=f"https://{'a' * 60}.{'b' * 60}.{'c' * 60}.example:8443/{'x' * 300}", scope_name="ü" * 128
    )
    assert max(len(line) for line in longest.text.splitlines()) <= 150


def test_the_first_line_names_the_script_and_its_version() -> None:
    # Envoy quotes it in every error.
    assert re.fullmatch(r"-- astra-istio-capture \d+\.\d+\.\d+", render().text.splitlines()[0])


def test_the_text_has_one_newline_at_its_end_and_no_nul() -> None:
    text = render().text
    assert re.search(r"[^\n]\n\Z", text)
    assert "\0" not in text
    assert "\r" not in text


def test_the_same_settings_give_the_same_text_object() -> None:
    # A thousand workloads hold one script in memory.
    assert render().text is render().text


@pytest.mark.parametrize(
    ("setting", "removed", "added"),
    [
        ({"sampling_ratio": 0.25}, "sampling_ratio = 1,", "sampling_ratio = 0.25,"),
        ({"max_spans_per_second": 50}, "max_spans_per_second = false,", "max_spans_per_second = 50,"),
        (
            {"max_spans_per_endpoint": 60},
            "max_spans_per_endpoint = false,",
            "max_spans_per_endpoint = 60,",
        ),
        ({"export": {"timeout_ms": 900}}, "timeout_ms = 5000,", "timeout_ms = 900,"),
        ({"skip_paths": ["/healthz"]}, "/static*", "/healthz"),
        ({"redaction": {"mode": "none"}}, 'mode = "mask",', 'mode = "none",'),
    ],
)
def test_a_changed_setting_is_one_changed_line(setting: dict[str, Any], removed: str, added: str) -> None:
    before, after = render(), render(**setting)
    assert [line[1:].strip() for line in changed_lines(before, after)] == [removed, added]
    assert before.code_sha256 == after.code_sha256


def test_the_words_that_are_no_defaults_are_the_users_own() -> None:
    for redaction, own in (
        ({}, []),
        ({"extra_fields": ["Iban", "token"]}, ["iban"]),
        ({"fields": ["pin", "iban"]}, ["iban"]),
    ):
        settings = read.settings_of(render(redaction=redaction).text) or {}
        assert settings["redaction"]["extra_fields"] == own


def test_another_direction_is_one_changed_line() -> None:
    assert len(changed_lines(render(Direction.INBOUND), render(Direction.OUTBOUND))) == 2


def test_the_script_is_one_comment_that_nothing_in_it_ends() -> None:
    text = render(scope_name="]==] os.exit() --", skip_paths=["/]==]*"]).text
    outside = text[: text.index("\n--[==[\n")]
    assert re.findall(r"^--\[==\[$", text, re.MULTILINE) == ["--[==["]
    assert re.findall(r"^.*\]==\]", text[text.index("\n--[==[\n") :], re.MULTILINE) == ["]==]"]
    assert text.endswith("\n]==]\n")
    assert "sampling" not in outside


@pytest.mark.parametrize("module", [*script.MODULES, "main"])
def test_a_module_stands_in_the_script_as_people_wrote_it(module: str) -> None:
    # Line by line: what is left out are comments, and what the script defines for all modules.
    source = (LUA / f"{module}.lua").read_text("utf-8").splitlines()
    lines = [
        line
        for line in source
        if line and not re.match(r" *--|local [\w, ]+ = (require|string\.\w+(,|$))", line)
    ]
    found = iter(render().text.splitlines())
    assert source[0] in found
    assert [line for line in lines if re.sub(r" +-- .*", "", line) not in found] == []


def test_what_modules_take_from_lua_stands_once_and_under_its_own_name() -> None:
    text = render().text
    assert text.count('local ffi = require("ffi")') == text.count("string.find") == 1
    for module in LUA.glob("*.lua"):
        for names, functions in re.findall(
            r"^local ([\w, ]+) = (string\.\w+(?:, string\.\w+)*)$", module.read_text("utf-8"), re.MULTILINE
        ):
            assert functions == ", ".join(f"string.{name}" for name in names.split(", "))


def test_the_loader_says_in_the_script_what_it_does() -> None:
    comment = (LUA / "loader.lua").read_text("utf-8").partition("\n\n")[0]
    assert f"\n{comment}\n" in render().text.partition("\n--[==[\n")[0]


def test_comments_are_left_out_and_strings_that_look_like_them_kept() -> None:
    source = """--- Heading.
-- More.

local a = "--not  this" -- but this
  -- gone
local b = '-- neither "'  -- "nor" this

local c = "\\"-- kept" .. a
"""
    assert script.uncommented(source) == (
        """\nlocal a = "--not  this"\nlocal b = '-- neither "'\n\nlocal c = "\\"-- kept" .. a\n"""
    )


def test_a_literal_is_one_line_per_leaf() -> None:
    assert literal({"a": 1, "b": {"c": ["x y", "z"], "d": []}}) == (
        "{\n  a = 1,\n  b = {\n    c = [[\nx y\nz\n]],\n    d = [[\n]],\n  },\n}"
    )
    assert literal({"a": ["]"]}) == "{\n  a = table.concat({\n    \"\\093\",\n  }, '\\n'),\n}"
    assert literal(["\u5bc6\u7801"]) == "[[\n\u5bc6\u7801\n]]"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, b"bytes", object(), [1], ["a\nb"]])
def test_what_has_no_lua_literal_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no Lua literal"):
        literal(value)


@given(
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1))
)
def test_a_literal_means_in_lua_what_it_meant_in_python(value: object) -> None:
    found = LuaRuntime(encoding=None).eval(literal(value).encode())
    text = found.decode() if isinstance(found, bytes) else found
    assert (re.findall("[^\n]+", text) if isinstance(value, list) else text) == value
