"""The alternatives that lab/encoding compares do the same work as the script."""

import codecs
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.bench.variants import document
from lab.encoding.__main__ import Lua, measure

LUA = Lua()

codecs.register_error(
    "each byte",
    lambda error: ("\ufffd" * (error.end - error.start), error.end),  # type: ignore[attr-defined]
)


@given(st.binary() | st.text().map(str.encode))
def test_every_way_of_encoding_gives_the_same_text(text: bytes) -> None:
    expected = LUA.encoders["the script"](text)
    assert json.loads(b'"' + expected + b'"') == text.decode(errors="each byte")
    for name in ("table_concat", "ffi"):
        assert LUA.encoders[name](text) == expected


def test_gsub_gives_the_same_text_where_nothing_is_to_be_repaired() -> None:
    text = document(4096).encode()
    assert LUA.encoders["gsub"](text) == LUA.encoders["the script"](text)


@pytest.mark.parametrize("body", [document(4096), '{"a":"\\"","password":"x\\"y","b":[1,{"token":"z"}]}'])
def test_both_ways_of_masking_give_the_same_text(body: str) -> None:
    masked = LUA.masks["the script"](body.encode())
    assert LUA.masks["patterns"](body.encode()).replace(b": ", b":") == masked.replace(b": ", b":")


def test_every_way_is_measured() -> None:
    assert list(measure(LUA, LUA.encoders, b"x" * 400_000, rounds=1)) == list(LUA.encoders)
