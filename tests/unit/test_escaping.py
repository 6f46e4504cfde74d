"""Text from elsewhere, as it is printed: nothing of it acts on a terminal, an eye or a page."""

import re
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from components.output.escaping import fence_around, in_markdown, printable, write
from components.output.markdown import table

ROOT = Path(__file__).parents[2]
SIGNS = st.text(alphabet="`|\\<>&[]()!*_~#@:/.w \n\tab\x1b\u202e\u200b", max_size=20)


@pytest.mark.parametrize(
    "sign",
    [
        *map(chr, range(9)),
        *map(chr, range(11, 32)),
        *map(chr, range(127, 161)),
        *"\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e",
        *"\u2060\u2066\u2067\u2068\u2069\u3000\u3164\ufe0f\ufeff\ufff9\U000e0001\U000e0041\U000e0100\ud800",
    ],
    ids=ascii,
)
def test_what_controls_reorders_or_hides_is_shown_as_an_escape(sign: str) -> None:
    shown = printable(f"a{sign}b")
    assert re.fullmatch(r"a\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|r)b", shown)


@pytest.mark.parametrize("text", ["", "plain\n\ttext", "Größe: 5 µs, naïve, 日本語, é, 🙂", "\\x1b"])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(st.text())
def test_nothing_that_is_not_printable_is_left_and_a_second_time_changes_nothing(text: str) -> None:
    shown = printable(text)
    assert shown.replace("\n", "").replace("\t", "").isprintable()
    assert printable(shown) == shown


def test_what_is_written_is_escaped() -> None:
    stream = StringIO()
    write(stream, "a\x1b[31m\n")
    assert stream.getvalue() == "a\\x1b[31m\n"


def test_no_module_of_the_package_prints_by_another_way() -> None:
    printing = re.compile(r"std(?:out|err)\.(?:buffer|write)|\bprint\(|__std(?:out|err)__")
    modules = (ROOT / "components").rglob("*.py")
    assert [path.name for path in modules if printing.search(path.read_text("utf-8"))] == []


@given(SIGNS)
@example("a\\|b")
@example("`")
@example("<img src=x onerror=alert(1)>")
@example("[a](http://evil.example)")
@example("www.evil.example")
@example("@team &lt; &#64;")
def test_a_cell_of_a_table_is_words_or_code_and_stays_one_cell(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(table("T", ("a", "b"), [(text, "end")]))
    cells = [token for token in tokens if token.type == "inline"][3:]
    assert len(cells) == 2
    assert cells[1].content == "end"
    children = cells[0].children or []
    assert {child.type for child in children} <= {"text", "code_inline"}
    plain = "".join(child.content for child in children if child.type == "text")
    assert not re.search(r"//|www\.|[@<>&\[\]]", plain)


@pytest.mark.parametrize(
    "text",
    ["shop/orders", "app=orders", "b/all (none: the whole namespace)", "+x-tenant -a_b", "65536", "0.5"],
)
def test_plain_words_are_left_plain(text: str) -> None:
    assert in_markdown(text) == text


@given(SIGNS)
def test_no_line_of_a_text_ends_the_fence_around_it(text: str) -> None:
    fence = fence_around(text)
    assert len(fence) >= 3
    assert fence not in text
