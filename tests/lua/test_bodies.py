"""What a span says of bodies: the table "Bodies" of docs/capture.md, row by row."""

import base64
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lua.fake_envoy import GET, OK

JSON = ("content-type", "application/json")
OCTETS = ("content-type", "application/octet-stream")


def body_attributes(proxy, *chunks, headers=()):
    """The request body's attributes, without their common prefix, of a request with these chunks."""
    proxy.exchange([*GET, *headers], sent=chunks)
    return {
        key.removeprefix("http.request.body").removeprefix("."): value
        for key, value in proxy.spans[-1].attributes.items()
        if key.startswith("http.request.body")
    }


def test_no_body_is_an_empty_string_and_nothing_more(proxy):
    assert body_attributes(proxy) == {"": ""}


def test_a_body_that_ends_with_an_empty_chunk_is_complete(proxy):
    assert body_attributes(proxy, b"text", b"") == {"": "text", "size": "4"}


@pytest.mark.parametrize("headers", [[JSON], [OCTETS], []])
def test_valid_utf8_is_text_whatever_was_declared(proxy, headers):
    assert body_attributes(proxy, "grüße\n".encode(), headers=headers) == {"": "grüße\n", "size": "8"}


@pytest.mark.parametrize(
    "media_type", ["text/plain; charset=latin1", "Application/Vnd.api+JSON", "application/xml"]
)
def test_a_textual_type_that_is_not_utf8_is_repaired(proxy, media_type):
    attributes = body_attributes(proxy, b"caf\xe9\0", headers=[("content-type", media_type)])
    assert attributes == {"": "caf\N{REPLACEMENT CHARACTER}\0", "size": "5"}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"PNG\0"])
@pytest.mark.parametrize("headers", [[OCTETS], [("content-type", "text")], []])
def test_other_types_that_are_not_text_are_left_out(proxy, content, headers):
    attributes = body_attributes(proxy, content, headers=headers)
    assert attributes == {"": "", "size": str(len(content)), "omitted": "binary"}


@pytest.mark.parametrize("content", [b"\xff", b"\xff\xfe", b"\xff\xfe\0", b"\0" * 100])
def test_binary_bodies_can_be_sent_as_bytes(start, content):
    proxy = start(binary_bodies="bytes")
    attributes = body_attributes(proxy, content, headers=[OCTETS])
    assert base64.b64decode(attributes.pop(""), validate=True) == content
    assert attributes == {"size": str(len(content))}


def test_encoded_bodies_are_left_out(proxy):
    attributes = body_attributes(proxy, b"\x1f\x8b123", headers=[JSON, ("content-encoding", "gzip")])
    assert attributes == {"": "", "size": "5", "omitted": "encoding"}


def test_encoded_bodies_can_be_sent_as_bytes(start):
    proxy = start(binary_bodies="bytes")
    attributes = body_attributes(proxy, b"\x1f\x8b123", headers=[JSON, ("content-encoding", "gzip")])
    assert base64.b64decode(attributes[""], validate=True) == b"\x1f\x8b123"
    assert "omitted" not in attributes


def test_a_binary_body_in_which_something_is_masked_is_not_sent_as_bytes(start):
    proxy = start(binary_bodies="bytes")
    attributes = body_attributes(proxy, b'\xff{"password":"x"}', headers=[OCTETS])
    assert (attributes[""], attributes["omitted"]) == ("", "binary")


def test_identity_is_no_encoding(proxy):
    assert body_attributes(proxy, b"x", headers=[("content-encoding", "Identity")]) == {"": "x", "size": "1"}


def test_a_body_is_kept_up_to_its_limit_and_counted_beyond(start):
    proxy = start(max_body_bytes=10)
    attributes = body_attributes(proxy, b"12345678", b"90abc", b"def")
    assert attributes == {"": "1234567890", "size": "16", "truncated": True}


def test_a_body_of_exactly_the_limit_is_not_truncated(start):
    proxy = start(max_body_bytes=4)
    assert body_attributes(proxy, b"1234") == {"": "1234", "size": "4"}


def test_no_body_is_kept_with_a_limit_of_zero(start):
    proxy = start(max_body_bytes=0)
    assert body_attributes(proxy, b"1234") == {"": "", "size": "4", "truncated": True}


@pytest.mark.parametrize(
    ("limit", "kept"), [(3, "aé"), (2, "a"), (4, "aé"), (5, "aé"), (6, "aé€"), (9, "aé€")]
)
def test_a_cut_falls_on_a_character_boundary(start, limit, kept):
    proxy = start(max_body_bytes=limit)
    attributes = body_attributes(proxy, "aé€😀 and more".encode(), headers=[OCTETS])
    assert attributes == {"": kept, "size": "19", "truncated": True}


def test_both_bodies_have_a_limit_of_their_own(start):
    proxy = start(max_body_bytes=4)
    proxy.exchange(sent=[b"123456"], answered=[b"abcdefgh"])
    assert (proxy.span["http.request.body"], proxy.span["http.response.body"]) == ("1234", "abcd")
    assert (proxy.span["http.request.body.size"], proxy.span["http.response.body.size"]) == ("6", "8")


@given(chunks=st.lists(st.binary(max_size=30), max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_of_a_textual_type_come_out_as_utf8_decodes_them(start, chunks):
    proxy = start(redaction={"mode": "none"})
    content = b"".join(chunks)
    shown = body_attributes(proxy, *chunks, headers=[JSON])[""]
    assert shown.replace("\N{REPLACEMENT CHARACTER}", "") == content.decode(errors="ignore").replace(
        "\N{REPLACEMENT CHARACTER}", ""
    )


# Without digits: at the end, several may be the beginning of a card number.
@given(text=st.text(st.characters(exclude_categories=["Cs", "Nd"]), max_size=60), limit=st.integers(0, 40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_a_truncated_text_is_a_prefix_of_what_was_sent(start, text, limit):
    proxy = start(max_body_bytes=limit, redaction={"mode": "none"})
    content = text.encode()
    shown = body_attributes(proxy, content, headers=[OCTETS])
    if "omitted" in shown:
        assert re.search(r"[\0-\x08\x0b\x0e-\x1f]", text)
    else:
        assert text.startswith(shown[""])
        assert len(shown[""].encode()) > min(limit, len(content)) - 4


@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=100))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives_both_encodings_of_the_export(start, text):
    for encoding in ("protobuf", "json"):
        proxy = start(redaction={"mode": "none"}, export={"encoding": encoding})
        assert body_attributes(proxy, text.encode(), headers=[JSON])[""] == text


def test_response_bodies_follow_the_response_headers(proxy):
    proxy.exchange(response=[*OK, ("content-encoding", "br")], answered=[b"\x0b\x02"])
    assert proxy.span["http.response.body.omitted"] == "encoding"
    assert "http.request.body.omitted" not in proxy.span.attributes


TEXT = b'{"a":"b"}'


@pytest.mark.parametrize("encoding", ["x", "gzip", "identity, x"])
def test_a_text_under_an_encoding_that_it_does_not_have_is_a_text(proxy, encoding):
    shown = body_attributes(proxy, b'{"password":"x"}', headers=[("content-encoding", encoding)])
    assert shown == {"": '{"password":"***"}', "size": "16"}


@pytest.mark.parametrize("content", [b'{"a":"\xff","password":"x"}', b" \r\n[1,\xff]", b"<a>\xff</a>"])
@pytest.mark.parametrize("content_type", ["application/octet-stream", "image/png", ""])
def test_what_begins_as_json_or_markup_is_shown_whatever_was_declared(proxy, content, content_type):
    shown = body_attributes(proxy, content, headers=[("content-type", content_type)])
    assert "omitted" not in shown
    assert shown[""] == content.decode(errors="replace").replace('"x"', '"***"').replace(': "', ':"')


@pytest.mark.parametrize("control", [b"\x01", b"\x08", b"\x0b", b"\x1b", b"\x1f"])
def test_utf8_with_control_characters_is_binary_unless_its_type_is_textual(proxy, control):
    content = b"jane" + control
    assert body_attributes(proxy, content, headers=[OCTETS])["omitted"] == "binary"
    assert body_attributes(proxy, content, headers=[("content-type", "text/plain")])[""] == content.decode()


@pytest.mark.parametrize("white", [b"\t", b"\n", b"\r", b"\f"])
def test_white_space_is_no_control_character(proxy, white):
    assert body_attributes(proxy, b"a" + white, headers=[OCTETS])[""] == (b"a" + white).decode()


@pytest.mark.parametrize(
    "media_type",
    [
        *("application/x-protobuf", "application/vnd.google.protobuf", "application/grpc-web-text"),
        *("application/msgpack", "application/cbor", "avro/binary", "application/proto"),
    ],
)
def test_a_binary_format_is_shown_only_where_it_begins_as_text_would(proxy, media_type):
    headers = [("content-type", media_type)]
    for binary in (b"\n\x04jane\x12\x10s3cr3t", b"CgRqYW5lEhBTU1NT", b"jane"):
        assert body_attributes(proxy, binary, headers=headers)["omitted"] == "binary"
    assert body_attributes(proxy, b'{"token":"x"}', headers=headers)[""] == '{"token":"***"}'


def test_the_parts_of_a_multipart_body_that_are_no_text_are_named_and_the_others_shown(proxy):
    image = b"\x89PNG\r\n\x1a\n\x00\xff--b0"
    content = (
        b'--b0\r\nContent-Disposition: form-data; name="user"\r\n\r\njane\r\n'
        b'--b0\r\nContent-Disposition: form-data; name="password"\r\n\r\nx\r\n'
        b'--b0\r\nContent-Disposition: form-data; name="f"\r\nContent-Type: image/png\r\n\r\n'
        + image
        + b"\r\n--b0--\r\n"
    )
    shown = body_attributes(proxy, content, headers=[("content-type", "multipart/form-data; boundary=b0")])
    assert "omitted" not in shown
    assert shown[""] == (
        '--b0\r\nContent-Disposition: form-data; name="user"\r\n\r\njane\r\n'
        '--b0\r\nContent-Disposition: form-data; name="password"\r\n\r\n***\r\n'
        '--b0\r\nContent-Disposition: form-data; name="f"\r\nContent-Type: image/png\r\n\r\n'
        f"[binary: {len(image) + 2} bytes of image/png]\r\n--b0--\r\n"
    )
