"""HTTP/2 as bytes, for floods: frames of headers that are made once, without compression or bookkeeping."""

import struct
from collections.abc import Sequence

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"  # and empty SETTINGS
_DATA, _HEADERS, _RST_STREAM, _CONTINUATION = 0, 1, 3, 9
_END_STREAM, _END_HEADERS = 1, 4
_CANCEL = struct.pack(">I", 8)
_MAX_FRAME = 16_384


def request(stream: int, headers: Sequence[tuple[str, str]], *, has_body: bool) -> bytes:
    """The HEADERS of a POST.

    Args:
        stream: odd, higher than any before on the connection.
        headers: names in lower case.
        has_body: whether DATA follows.
    """
    pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "h"), (":path", "/")]
    names = {name for name, _ in headers}
    block = b"".join(
        b"\0" + _text(name) + _text(value)
        for name, value in [*(line for line in pseudo if line[0] not in names), *headers]
    )
    parts = [block[at : at + _MAX_FRAME] for at in range(0, len(block), _MAX_FRAME)]
    frames = [
        _frame(_CONTINUATION if at else _HEADERS, _END_HEADERS if at == len(parts) - 1 else 0, stream, part)
        for at, part in enumerate(parts)
    ]
    if not has_body:
        frames[0] = frames[0][:4] + bytes([frames[0][4] | _END_STREAM]) + frames[0][5:]
    return b"".join(frames)


def data(stream: int, content: bytes, *, is_last: bool) -> bytes:
    """A DATA frame."""
    return _frame(_DATA, _END_STREAM if is_last else 0, stream, content)


def reset(stream: int) -> bytes:
    """RST_STREAM: the client gives up."""
    return _frame(_RST_STREAM, 0, stream, _CANCEL)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """RFC 9113, 4.1."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _text(text: str) -> bytes:
    """An HPACK string without Huffman coding (RFC 7541, 5.1 and 5.2): a byte for each character."""
    content = text.encode("latin-1")
    size, most = len(content), 127
    if size < most:
        return bytes([size]) + content
    size -= most
    prefix = bytearray([most])
    while size >= 128:  # noqa: PLR2004 - of the encoding
        prefix.append(size % 128 + 128)
        size //= 128
    return bytes([*prefix, size]) + content
