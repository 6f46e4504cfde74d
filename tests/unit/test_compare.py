"""What was masked is told by comparing what was sent with what arrived, whatever the form."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lab.compare import Mark, compare


def marks(arrived: str, sent: bytes, header: str = "") -> list[tuple[str, str, str | None]]:
    """Of each mark: why, the name, and what was sent."""
    text = compare(arrived, [sent], header)
    assert text.is_compared
    assert all("*" in arrived[mark.start : mark.end] for mark in text.marks)
    return [(mark.why, mark.name, mark.sent) for mark in text.marks]


@pytest.mark.parametrize(
    ("sent", "arrived", "why", "name", "hidden"),
    [
        pytest.param('{"a":1,"pin":"12 34"}', '{"a":1,"pin":"***"}', "name", "pin", "12 34", id="JSON"),
        pytest.param('{"pin" : 12, "a": 1}', '{"pin":"***", "a": 1}', "name", "pin", "12", id="a number"),
        pytest.param(
            '{"pins": [1, 2], "a": 1}', '{"pins":"***", "a": 1}', "name", "pins", "[1, 2]", id="a list"
        ),
        pytest.param('{"pins":["a","b"]}', '{"pins":["a","***"]}', "name", "pins", "b", id="an item"),
        pytest.param(
            r'{"body":"{\"pin\":\"12\"}"}',
            r'{"body":"{\"pin\":\"***\"}"}',
            "name",
            "pin",
            "12",
            id="JSON in JSON",
        ),
        pytest.param('{"pin":"12', '{"pin":"***', "name", "pin", "12", id="cut JSON"),
        pytest.param(
            '{"name":"pin","value":"12"}', '{"name":"pin","value":"***"}', "name", "pin", "12", id="a pair"
        ),
        pytest.param("a=1&pin=12&b=2", "a=1&pin=***&b=2", "name", "pin", "12", id="a form"),
        pytest.param("/x?p%69n=12#b", "/x?p%69n=***#b", "name", "p%69n", "12", id="a URL"),
        pytest.param("<a><pin>12</pin></a>", "<a><pin>***</pin></a>", "name", "pin", "12", id="XML"),
        pytest.param(
            "<pin a='b'>12</pin>", "<pin a='b'>***</pin>", "name", "pin", "12", id="with attributes"
        ),
        pytest.param("<a pin='12'/>", "<a pin='***'/>", "name", "pin", "12", id="an attribute"),
        pytest.param("<a pin='12' b='c", "<a ***", "name", "a", "pin='12' b='c", id="a cut tag"),
        pytest.param(
            '--b\r\ncontent-disposition: form-data; name="pin"\r\ncontent-type: text/a\r\n\r\n12\r\n--b--',
            '--b\r\ncontent-disposition: form-data; name="pin"\r\ncontent-type: text/a\r\n\r\n***\r\n--b--',
            *("name", "pin", "12"),
            id="multipart",
        ),
        pytest.param("id 4111 x", "id ***card*** x", "value", "card", "4111", id="a value"),
        pytest.param(
            "http://u:p@h/", "http://***@h/", "place", "user information", "u:p", id="user information"
        ),
        pytest.param(
            "%7B%22pin%22%3A1%7D", "***", "form", "all of it", "%7B%22pin%22%3A1%7D", id="all of it"
        ),
    ],
)
def test_a_masked_place_is_found_in_every_form_with_why_and_what_was_sent(
    sent: str, arrived: str, why: str, name: str, hidden: str
) -> None:
    assert marks(arrived, sent.encode()) == [(why, name, hidden)]


@pytest.mark.parametrize(
    ("header", "sent", "arrived", "expected"),
    [
        ("authorization", "Bearer abc", "Bearer ***", [("place", "credentials", "abc")]),
        ("x-api-key", "abc", "***", [("name", "x-api-key", "abc")]),
        (
            "cookie",
            "a=1; b=2",
            "a=***; b=***",
            [("place", "cookie a", "1"), ("place", "cookie b", "2")],
        ),
        (
            "set-cookie",
            "a=1; Path=/,b=2",
            "a=***; Path=/,b=***",
            [("place", "cookie a", "1"), ("place", "cookie b", "2")],
        ),
        ("referer", "http://h/?pin=1", "http://h/?pin=***", [("name", "pin", "1")]),
        ("host", "u:p@h", "***@h", [("place", "user information", "u:p")]),
    ],
)
def test_a_header_says_the_place(
    header: str, sent: str, arrived: str, expected: list[tuple[str, str, str]]
) -> None:
    assert marks(arrived, sent.encode(), header) == expected


def test_what_was_sent_as_it_arrived_is_not_masked_though_it_looks_so() -> None:
    sent = '{"pin":"***","note":"***jwt***","token":"abc","last":"***"}'
    arrived = '{"pin":"***","note":"***jwt***","token":"***","last":"***"}'

    assert marks(arrived, sent.encode()) == [("name", "token", "abc")]


def test_bytes_that_are_no_utf8_are_no_mask() -> None:
    sent = b"caf\xe9 \xff\xfe pin=12&x=\xef\xbf\xbd"

    text = compare(sent.decode("utf-8", "replace").replace("12", "***"), [sent])

    assert [(mark.name, mark.sent) for mark in text.marks] == [("pin", "12")]
    assert text.is_compared


@pytest.mark.parametrize("arrived", ["pin=***&text=abc", "pin=***", "pi"])
def test_a_text_that_was_cut_is_told_from_a_whole_one(arrived: str) -> None:
    sent = b"pin=12&text=abcdef"

    assert compare(arrived, [sent]).is_cut == (arrived != "pin=***")
    assert compare(arrived, [sent]).is_compared
    assert not compare("pin=***&text=abcdef", [sent]).is_cut


def test_the_first_of_several_texts_that_may_have_been_sent_is_taken() -> None:
    text = compare('{"pin":"***"}', [b"\x1f\x8b...", b'{"pin":"12"}'])

    assert [mark.sent for mark in text.marks] == ["12"]


def test_without_what_was_sent_marks_are_what_looks_like_a_mask() -> None:
    for sent in ([], [b"something else"]):
        text = compare('{"pin":"***"} \ufffd', sent)
        assert text.marks == (Mark(8, 11, "name", "pin"),)
        assert not text.is_compared


def test_a_long_secret_is_kept_in_part_and_its_length_told() -> None:
    [mark] = compare("pin=***", [b"pin=" + b"x" * 60_000]).marks

    assert mark.sent == "x" * 200
    assert mark.sent_length == 60_000


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="*\ufffd"), min_size=1, max_size=8)
# Letters alone between two masks would look like the kind of one: ***card***
PIECE = TEXT.filter(lambda piece: not re.fullmatch("[a-z][a-z _-]*", piece))


@given(st.lists(st.tuples(PIECE, TEXT), max_size=12), PIECE)
@example([('{"a":"', 'x","b":"y')], '"}')
def test_whatever_stands_around_them_masks_are_found_where_they_are(
    parts: list[tuple[str, str]], end: str
) -> None:
    sent = "".join(piece + secret for piece, secret in parts) + end
    arrived = "".join(f"{piece}***" for piece, _ in parts) + end

    text = compare(arrived, [sent.encode()])

    assert text.is_compared
    assert not text.is_cut
    assert [arrived[mark.start : mark.end] for mark in text.marks] == ["***"] * len(parts)
    # Nothing is lost: what was masked and what stands around it are what was sent, unless quotes hid blanks.
    if all(mark.sent for mark in text.marks) and not any(sign in sent for sign in "\"':\\"):
        pieces = arrived.split("***")
        hidden = [mark.sent or "" for mark in text.marks]
        assert "".join(map("".join, zip(pieces, [*hidden, ""], strict=True))) == sent


@given(st.text(max_size=200), st.binary(max_size=200))
def test_any_two_texts_can_be_compared(arrived: str, sent: bytes) -> None:
    compare(arrived, [sent])


UNITS = [
    " ",
    "\n",
    "\\",
    '\\"',
    '"',
    ":",
    ": ",
    '"a": ',
    "*",
    "***",
    "a*** ",
    "\ufffd",
    "&=",
    "<a ",
    "[",
    "\r\n\r\n",
    "=%41",
]


@pytest.mark.parametrize("unit", UNITS)
def test_a_hostile_text_of_any_form_takes_time_by_its_length_only(unit: str) -> None:
    """Were it the square of the length, this would take minutes."""
    text = unit * (512 * 1024 // len(unit))

    compare(text, [b"other" + text.encode()])
    compare(f"{text}pin=***", [text.encode() + b"pin=" + b"\\" * len(text)])
