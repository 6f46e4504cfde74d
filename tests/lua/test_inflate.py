"""Compressed bodies: what is shown of them, and what hostile streams do."""

import base64
import gzip
import hashlib
import json
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa.luajit21 import LuaRuntime

from tests.lua.fake_envoy import GET, OK, Headers, Proxy, render

LIMIT = 65_536
BAR = 0.020  # seconds
ROUNDS = 5
DOCUMENT = json.dumps([{"order": number, "note": "two cups"} for number in range(100)])
GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def noise(size: int) -> bytes:
    return hashlib.shake_128(b"noise").digest(size)


def declared(encoding: str, content_type: str = "application/json") -> Headers:
    return [("content-type", content_type), ("content-encoding", encoding)]


def shown(proxy: Proxy, body: bytes, encoding: str = "gzip", content_type: str = "application/json"):
    """The request body's attributes, without their common prefix."""
    proxy.exchange([*GET, *declared(encoding, content_type)], sent=[body])
    assert proxy.errors == proxy.warnings == []
    return {
        key.removeprefix("http.request.body").removeprefix("."): value
        for key, value in proxy.spans[-1].attributes.items()
        if key.startswith("http.request.body")
    }


def whole(text: str, body: bytes) -> dict[str, object]:
    return {"": text, "size": str(len(body))}


def omitted(body: bytes, why: str = "encoding") -> dict[str, object]:
    return {"": "", "size": str(len(body)), "omitted": why}


def deflated(
    data: bytes, window: int = -15, strategy: int = zlib.Z_DEFAULT_STRATEGY, level: int = 6
) -> bytes:
    """Data as deflate, without a header or with zlib's (15) or gzip's (31)."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, window, 9, strategy)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    ("encoding", "window"), [("gzip", 31), ("GZIP", 31), ("x-gzip", 31), ("deflate", 15), ("deflate", -15)]
)
def test_gzip_and_deflate_are_shown_as_what_they_contain(proxy, encoding, window):
    body = deflated(DOCUMENT.encode(), window)
    assert shown(proxy, body, encoding) == whole(DOCUMENT, body)


def test_a_response_is_inflated_too(proxy):
    body = gzip.compress(DOCUMENT.encode())
    proxy.exchange(response=[*OK, *declared("gzip")], answered=[body[:20], body[20:]])
    assert proxy.span["http.response.body"] == DOCUMENT
    assert proxy.span["http.response.body.size"] == str(len(body))


def test_what_was_inflated_is_masked_like_any_other_body(proxy):
    body = gzip.compress(b'{"password":"hunter2","memo":"4242 4242 4242 4242"}')
    assert shown(proxy, body)[""] == '{"password":"***","memo":"***card***"}'


def test_an_empty_body_in_gzip_is_empty(proxy):
    body = gzip.compress(b"")
    assert shown(proxy, body) == whole("", body)


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED])
def test_every_kind_of_block_is_inflated(proxy, level, strategy):
    body = deflated(DOCUMENT.encode(), 31, strategy, level)
    assert shown(proxy, body) == whole(DOCUMENT, body)


def test_several_members_are_one_body(proxy):
    body = gzip.compress(b'{"a":1,') + gzip.compress(b"") + gzip.compress(b'"b":2}')
    assert shown(proxy, body) == whole('{"a":1,"b":2}', body)


def test_a_match_does_not_reach_into_the_member_before(proxy):
    reaching = deflated(b"abcdefgh" * 20)[9:]  # its first match is of bytes that it lacks
    body = gzip.compress(b"x" * 100) + GZIP_HEADER + reaching
    assert shown(proxy, body)[""].startswith("x" * 100)


@pytest.mark.parametrize("rest", [b"\0" * 9, b"garbage", b"\x1f", b'{"more":1}'])
def test_bytes_after_the_end_are_ignored(proxy, rest):
    body = gzip.compress(b'{"a":1}') + rest
    assert shown(proxy, body) == whole('{"a":1}', body)


def test_the_optional_parts_of_a_header_are_passed_over(proxy):
    header = b"\x1f\x8b\x08\x1e\0\0\0\0\0\xff" + b"\x03\0abc" + b"name\0" + b"comment\0" + b"\xab\xcd"
    body = header + deflated(b'{"a":1}') + b"\0" * 8
    assert shown(proxy, body) == whole('{"a":1}', body)


def test_a_text_that_begins_like_deflate_is_shown_as_it_came(proxy):
    body = b'{"9m3`":1,"cmd":"attack"}'  # as deflate, its first bytes are a whole stream
    assert shown(proxy, body, "deflate") == whole(body.decode(), body)


def test_of_several_encodings_none_is_shown_as_text(proxy):
    body = gzip.compress(gzip.compress(DOCUMENT.encode()))
    assert shown(proxy, body, "gzip, gzip")["omitted"] == "encoding"


def test_a_wrong_checksum_is_not_looked_at(proxy):
    body = gzip.compress(b'{"a":1}')[:-8] + b"\xff" * 8
    assert shown(proxy, body) == whole('{"a":1}', body)


@pytest.mark.parametrize("window", [31, 15])
def test_of_a_stream_that_is_cut_what_came_is_shown_as_truncated(proxy, window):
    body = deflated(DOCUMENT.encode(), window)
    attributes = shown(proxy, body[: len(body) // 2], "deflate")
    assert attributes["truncated"] is True
    assert 0 < len(attributes[""]) < len(DOCUMENT)
    assert DOCUMENT.startswith(attributes[""])


def test_of_a_body_that_is_longer_than_is_kept_its_beginning_is_inflated(start):
    proxy = start(max_body_bytes=2000)
    text = json.dumps(noise(10_000).hex())
    body = gzip.compress(text.encode())
    attributes = shown(proxy, body)
    assert (attributes["size"], attributes["truncated"]) == (str(len(body)), True)
    assert text.startswith(attributes[""])


def test_of_a_bomb_as_much_is_inflated_as_is_kept_of_a_body(start):
    proxy = start(max_body_bytes=1000)
    body = gzip.compress(b"0" * 800_000)
    assert shown(proxy, body) == {"": "0" * 1000, "size": str(len(body)), "truncated": True}


def test_exactly_as_much_as_is_kept_is_not_truncated(start):
    for level in (0, 9):
        body = gzip.compress(b"0" * 1000, level)
        proxy = start(max_body_bytes=1000 if level else len(body))
        assert shown(proxy, body) == whole("0" * 1000, body)


def test_a_character_that_is_cut_is_left_out(start):
    proxy = start(max_body_bytes=40)
    assert shown(proxy, gzip.compress("é".encode() * 400)[:40])[""].strip("é") == ""


def test_what_is_no_text_when_inflated_is_binary(proxy):
    body = gzip.compress(b"\x89PNG\0\xff")
    assert shown(proxy, body, content_type="image/png") == omitted(body, "binary")


def test_what_is_no_text_when_inflated_can_be_sent_as_bytes(start):
    proxy = start(binary_bodies="bytes")
    attributes = shown(proxy, gzip.compress(b"\x89PNG\0\xff"), content_type="image/png")
    assert base64.b64decode(attributes[""]) == b"\x89PNG\0\xff"


def test_a_multipart_form_is_inflated(proxy):
    form = b'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--b--\r\n'
    assert "hunter2" not in shown(proxy, gzip.compress(form), content_type="multipart/form-data")[""]
    assert "form-data" in shown(proxy, gzip.compress(form), content_type="multipart/form-data")[""]


@pytest.mark.parametrize("encoding", ["br", "zstd", "br, deflate", "compress"])
def test_other_encodings_are_left_out(proxy, encoding):
    body = deflated(DOCUMENT.encode(), 15)
    assert shown(proxy, body, encoding) == omitted(body)


def test_bodies_are_not_inflated_where_the_setting_says_so(start):
    body = gzip.compress(DOCUMENT.encode())
    assert shown(start(compressed_bodies="omit"), body) == omitted(body)


def test_a_compressed_file_that_declares_no_encoding_is_a_binary_body(proxy):
    body = gzip.compress(DOCUMENT.encode())
    assert shown(proxy, body, "identity", "application/gzip") == omitted(body, "binary")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
@pytest.mark.parametrize(
    "text",
    ['{"user":"jane"}', "user=jane", "hC=1&user=jane", "x^=1", "XG", "8O is no header"],
    ids=repr,
)
def test_a_text_does_not_hide_behind_an_encoding_that_it_does_not_have(proxy, encoding, text):
    body = text.encode()
    assert shown(proxy, body, encoding) == whole(text, body)


# Streams that no compressor writes.

ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
Code = dict[int, int]  # the lengths of symbols


class Bits:
    """A stream, bit by bit."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, value: int, count: int) -> "Bits":
        self.text += f"{value:0{count}b}"[::-1] if count else ""
        return self

    def add_symbol(self, code: Code, symbol: int) -> "Bits":
        """A symbol of a canonical code."""
        value = last = 0
        for other in sorted(code, key=lambda key: (code[key], key)):
            value <<= code[other] - last
            last = code[other]
            if other == symbol:
                self.text += f"{value:0{last}b}"
            value += 1
        return self

    def bytes(self, size: int | None = None) -> bytes:
        """The stream; of a size: repeated until then."""
        text = self.text if size is None else self.text * (size * 8 // len(self.text) + 1)
        text = text.ljust(-(-len(text) // 8) * 8, "0")
        return int(text[::-1], 2).to_bytes(len(text) // 8, "little")[:size]


def dynamic(literals: Code, distances: Code, *symbols: int, last: bool = True) -> Bits:
    """A block with codes of its own, whose symbols follow."""
    bits = Bits().add(int(last), 1).add(2, 2)
    counts = max(257, *(symbol + 1 for symbol in literals)), max([0, *distances]) + 1
    bits.add(counts[0] - 257, 5).add(counts[1] - 1, 5).add(15, 4)
    # Each length from 0 to 15 by a symbol of 4 bits.
    for symbol in ORDER:
        bits.add(4 if symbol < 16 else 0, 3)
    of_lengths = dict.fromkeys(range(16), 4)
    for code, count in zip((literals, distances), counts, strict=True):
        for symbol in range(count):
            bits.add_symbol(of_lengths, code.get(symbol, 0))
    for symbol in symbols:
        bits.add_symbol(literals, symbol)
    return bits


END = 256
PLAIN: Code = {97: 1, END: 1}
DEEP: Code = {symbol: symbol + 1 for symbol in range(14)} | {14: 15, END: 15}
DEEP_DISTANCES: Code = {**DEEP, 15: 15}
del DEEP_DISTANCES[END]


def test_the_streams_of_these_tests_are_what_zlib_takes_them_for(proxy):
    body = GZIP_HEADER + dynamic(PLAIN, {}, 97, 97, END).bytes()
    assert zlib.decompressobj(31).decompress(body) == b"aa"
    assert shown(proxy, body)[""] == "aa"


@pytest.mark.parametrize(
    "stream",
    [
        dynamic({97: 1, 98: 1, END: 1}, {}, 97, 97),
        dynamic({97: 2, 98: 2, END: 2}, {}, 97, 97),
        dynamic({97: 1, 98: 1}, {}, 97, 97),
        dynamic(PLAIN, {0: 1, 1: 1, 2: 1}, 97, 97),
        Bits().add(7, 3),
        Bits().add(1, 3).add(0, 5).add(5, 16).add(5, 16).add(97, 8),
        Bits().add(3, 3).add(64, 7).add(0, 5),
        Bits().add(1, 1).add(2, 2).add(0, 10).add(15, 4).add(0, 57),
    ],
    ids=[
        *("over-subscribed", "incomplete", "endless", "over-subscribed distances"),
        *("no such block", "stored length", "nothing before the first match", "no lengths"),
    ],
)
@pytest.mark.parametrize(
    ("header", "encoding"), [(GZIP_HEADER, "gzip"), (b"\x78\x9c", "deflate"), (b"", "deflate")]
)
def test_what_no_stream_may_have_is_left_out(proxy, stream, header, encoding):
    body = header + stream.bytes() + b"\xff" * 9
    assert shown(proxy, body, encoding) == omitted(body)


def test_what_came_before_something_that_no_stream_may_have_is_shown_as_truncated(proxy):
    body = gzip.compress(b'{"a":1}') + GZIP_HEADER + b"\xff" * 20
    assert shown(proxy, body) == {"": '{"a":1}', "size": str(len(body)), "truncated": True}


@pytest.mark.parametrize("flags", range(256))
def test_no_header_breaks_anything(proxy, flags):
    shown(proxy, b"\x1f\x8b\x08" + bytes([flags]) + b"\xff" * 3)
    shown(proxy, b"\x1f\x8b\x08" + bytes([flags]) * 40)
    shown(proxy, bytes([flags]), "deflate")


HOSTILE = {
    "deep codes": GZIP_HEADER + dynamic(DEEP, DEEP_DISTANCES, END, last=False).bytes(LIMIT),
    "shallow codes": GZIP_HEADER + dynamic(PLAIN, {}, END, last=False).bytes(LIMIT),
    "fixed blocks": GZIP_HEADER + Bits().add(2, 3).add(0, 7).bytes(LIMIT),
    "stored blocks": GZIP_HEADER + b"\0\0\0\xff\xff" * 13_000,
    "members": (GZIP_HEADER + b"\x03\0" + b"\0" * 8) * 3_200,
    "a long name": b"\x1f\x8b\x08\x18\0\0\0\0\0\xff" + b"x" * 65_000,
    "bytes of 15 bits": GZIP_HEADER + dynamic(DEEP, {}, *[14] * 40_000).bytes(),
    "matches of 3 bytes": deflated(b"abc0abc1abc2abc3" * 5_000, 31, zlib.Z_FIXED),
    "matches of one byte": gzip.compress(b"\0" * 10_000_000),
    "noise": gzip.compress(noise(LIMIT)),
    "noise of 16 bytes": gzip.compress(noise(LIMIT // 2).hex().encode()),
}


@pytest.mark.parametrize("stream", HOSTILE.values(), ids=HOSTILE)
def test_no_stream_holds_a_worker_up(stream):
    assert zlib.decompressobj(31).decompress(stream[:LIMIT]) is not None  # zlib refuses nothing of it
    script = render(redaction={"mode": "none"})

    def seconds() -> float:
        proxy = Proxy(script)
        proxy.exchange()
        begun = time.thread_time()
        proxy.exchange([*GET, *declared("gzip", "application/octet-stream")], sent=[stream[:LIMIT]])
        return time.thread_time() - begun

    assert min(seconds() for _ in range(ROUNDS)) < BAR


Inflate = Callable[[bytes, bytes], tuple[bytes | None, bool | None]]


@pytest.fixture(scope="module")
def inflate() -> Inflate:
    """The module alone: an inflated body, and whether that is all of it."""
    lua = LuaRuntime(encoding=None)
    lua.execute(b"package.preload.config = function() return { max_body_bytes = %d } end" % LIMIT)
    function = lua.execute((Path(__file__).parents[2] / "lua" / "inflate.lua").read_bytes())

    def inflate(body: bytes, encoding: bytes) -> tuple[bytes | None, bool | None]:
        found = function(body, encoding)
        return found if isinstance(found, tuple) else (found, None)

    return inflate


datas = (
    st.binary(max_size=300)
    | st.text(alphabet='ab{}":, 1', max_size=2000).map(str.encode)
    | st.lists(st.sampled_from([b"abc", b"\0" * 300, b'{"a":1}', b"\xff\xfe"]), max_size=400).map(b"".join)
)
bodies = st.builds(
    lambda data, kind, strategy, level: (
        data,
        kind[1],
        deflated(data, kind[0], strategy, level),
    ),
    datas,
    st.sampled_from([(31, b"gzip"), (15, b"deflate"), (-15, b"deflate")]),
    st.sampled_from([zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED]),
    st.integers(0, 9),
)
any_number = settings(deadline=None, max_examples=300)


@any_number
@given(body=bodies)
def test_any_data_comes_out_as_it_went_in(inflate, body):
    data, encoding, compressed = body
    assert inflate(compressed, encoding) == (data[:LIMIT], len(data) <= LIMIT)


@any_number
@given(body=bodies, share=st.floats(0, 1))
def test_any_beginning_of_a_stream_gives_a_beginning_of_the_data(inflate, body, share):
    data, encoding, compressed = body
    found, is_whole = inflate(compressed[: int(len(compressed) * share)], encoding)
    assert data.startswith(found or b"")
    assert not is_whole or found == data[:LIMIT]


@any_number
@given(body=bodies, at=st.floats(0, 1), changed=st.binary(min_size=1, max_size=4))
def test_of_a_damaged_stream_nothing_else_is_shown_than_zlib_would_show(inflate, body, at, changed):
    _, encoding, compressed = body
    header = len(GZIP_HEADER) if encoding == b"gzip" else 2  # which zlib has a checksum of
    place = header + int((len(compressed) - header) * at)
    damaged = compressed[:place] + changed + compressed[place + len(changed) :]
    found, _ = inflate(damaged, encoding)
    for window in (31, 15, -15):
        expected = inflated_by_zlib(damaged, window)
        if expected.startswith(found or b"") or (expected and (found or b"").startswith(expected)):
            return
    pytest.fail(f"{damaged!r} became {found!r}")


def inflated_by_zlib(body: bytes, window: int) -> bytes:
    """What zlib makes of a stream, byte by byte, until it refuses one."""
    found, stream = b"", zlib.decompressobj(window)
    for at in range(len(body)):
        try:
            found += stream.decompress(body[at : at + 1])
        except zlib.error:
            break
    return found


@any_number
@given(body=st.binary(max_size=200), start=st.sampled_from([b"", GZIP_HEADER, b"\x78\x9c"]))
def test_no_bytes_break_anything(inflate, body, start):
    inflate(start + body, b"deflate")
