"""Bodies are laid out by their form for people; what has none is shown as it is, and nothing is obeyed."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.output.escaping import printable
from lab.compare import Mark
from lab.layout import Run, hexadecimal, joined, lay_out, plain

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


def marked(runs: list[Run]) -> list[tuple[int, str]]:
    return [(run.mark, run.text) for run in runs if run.mark is not None]


def test_json_is_indented_whatever_its_type_says() -> None:
    layout = lay_out('{"a":[1,{}],"b":{"c":null}}', "text/plain")

    assert layout.form == "JSON"
    assert joined(layout.runs) == json.dumps({"a": [1, {}], "b": {"c": None}}, indent=2)


def test_broken_and_cut_json_is_laid_out_as_far_as_it_goes() -> None:
    assert joined(lay_out('{"a":"b\\', "application/json").runs) == '{\n  "a": "b\\'
    assert joined(lay_out("[}],]", "application/json").runs).split() == ["[}", "],", "]"]


def test_json_lines_stay_apart() -> None:
    assert (
        joined(lay_out('{"a":1}\n{"b":2}', "application/x-ndjson").runs) == '{\n  "a": 1\n}\n{\n  "b": 2\n}'
    )


def test_the_fields_of_a_form_are_decoded_and_masks_stay_marked() -> None:
    text = "a=x%20y+z&token=***&=&c"
    layout = lay_out(text, FORM, [Mark(16, 19, "name", "token")], first=3)

    assert layout.form == "Form"
    assert joined(layout.runs) == "a = x y z\ntoken = ***\n = \nc\n"
    assert marked(layout.runs) == [(3, "***")]


def test_each_part_of_multipart_is_laid_out_by_its_own_form() -> None:
    text = (
        '--b\r\ncontent-disposition: form-data; name="pin"\r\n\r\n***\r\n'
        "--b\r\ncontent-type: application/json\r\n\r\n[1]\r\n"
        f"--b\r\ncontent-type: {FORM}\r\n\r\na=1&b=2\r\n--b--\r\n"
    )
    at = text.index("***")
    layout = lay_out(text, MULTIPART, [Mark(at, at + 3, "name", "pin")])

    assert layout.form == "Multipart"
    assert "[\n  1\n]" in joined(layout.runs)
    assert "a = 1\nb = 2" in joined(layout.runs)
    assert "\r" not in joined(layout.runs)
    assert marked(layout.runs) == [(0, "***")]


@pytest.mark.parametrize("text", ["", "--", "no boundary", "--b", "--b\r\n\r\n"])
def test_what_is_no_multipart_is_shown_as_it_is(text: str) -> None:
    assert joined(lay_out(text, MULTIPART).runs) == text.replace("\r\n", "\n")


def test_bytes_are_a_dump_that_says_what_it_leaves_out() -> None:
    shown = joined(hexadecimal(b"GIF\x00\xff" + bytes(5000)).runs)

    assert shown.startswith("000000  47 49 46 00 ff")
    assert "GIF.." in shown
    assert shown.endswith("and 909 bytes more\n")


def test_what_a_screen_would_obey_is_spelled_out() -> None:
    shown = joined(lay_out("\x1b[31m\x07a\tb\nc\x9b\u202e\u200b", "text/plain").runs)

    assert shown == "\\x1b[31m\\x07a\tb\nc\\x9b\\u202e\\u200b"


def test_a_mark_is_kept_apart_from_the_text_around_it() -> None:
    assert plain("a***b", [Mark(1, 4, "name", "a")], first=7) == [Run("a"), Run("***", "", 7), Run("b")]


BODIES = st.one_of(
    st.text(max_size=300),
    st.text('{}[]",:\\ \n1a*', max_size=300),
    st.text("&=%a1*+", max_size=300),
    st.lists(st.sampled_from(["--b", "\r\n", "a: b", "--b--", "{", "content-type: x", "&="])).map("".join),
)
TYPES = st.sampled_from(["", "application/json", FORM, MULTIPART])
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


@given(BODIES, TYPES)
def test_nothing_of_any_body_is_lost_or_obeyed(text: str, content_type: str) -> None:
    layout = lay_out(text, content_type)

    shown = joined(layout.runs)
    assert not UNSEEN.search(shown)
    text = text.replace("\r\n", "\n")
    # In JSON, a lone carriage return may be white space between tokens, which is laid out anew.
    is_told = layout.form == "Text" or (layout.form in ("JSON", "Multipart") and "\r" not in text)
    if is_told and "=" not in text:
        assert "".join(shown.split()) == "".join(printable(text).split())


@given(BODIES, TYPES, st.data())
def test_each_mark_of_any_body_is_shown_once_and_whole(
    text: str, content_type: str, data: st.DataObject
) -> None:
    places = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    text = "".join(
        text[start:end] + "***" for start, end in zip([0, *places], [*places, len(text)], strict=True)
    )
    marks = [Mark(found.start(), found.end(), "form", "") for found in re.finditer(r"\*\*\*", text)]

    shown: dict[int, str] = {}
    for run in lay_out(text, content_type, marks).runs:
        if run.mark is not None:
            shown[run.mark] = shown.get(run.mark, "") + run.text

    assert shown == dict.fromkeys(range(len(marks)), "***")


UNITS = [
    " ",
    "\n",
    "\\",
    '"',
    '["',
    "[",
    "[[],",
    ",",
    "&",
    "&=",
    "%41",
    "--b\n",
    "--b\r\n\r\n",
    "\r\n\r\n",
    "a: b\n",
]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("start", ["", "[", '["', "--b\n"])
def test_a_hostile_body_of_any_form_takes_time_by_its_length_only(unit: str, start: str) -> None:
    """Were it the square of the length, this would take minutes."""
    text = start + unit * (64 * 1024 // len(unit))

    for content_type in ("application/json", FORM, MULTIPART):
        lay_out(text, content_type)
