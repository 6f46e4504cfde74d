"""Binary protobuf, checked against its message type: what passes here, every decoder takes.

https://protobuf.dev/programming-guides/encoding/. Decoders are laxer: they skip fields that they do not know,
take a field twice, and few of them say where a message is wrong.
"""

from google.protobuf.descriptor import Descriptor, FieldDescriptor

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_WIRE_TYPES = {
    FieldDescriptor.TYPE_DOUBLE: _FIXED64,
    FieldDescriptor.TYPE_FIXED64: _FIXED64,
    FieldDescriptor.TYPE_FIXED32: _FIXED32,
    FieldDescriptor.TYPE_STRING: _LENGTH,
    FieldDescriptor.TYPE_BYTES: _LENGTH,
    FieldDescriptor.TYPE_MESSAGE: _LENGTH,
    FieldDescriptor.TYPE_BOOL: _VARINT,
    FieldDescriptor.TYPE_ENUM: _VARINT,
    FieldDescriptor.TYPE_INT64: _VARINT,
    FieldDescriptor.TYPE_UINT32: _VARINT,
}
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BYTES = 10


class MalformedError(ValueError):
    """A message is not of its type. The message of this error says where, and why."""


def check(message: bytes, descriptor: Descriptor, where: str) -> None:
    """Check a message and all that it holds.

    Args:
        message: the encoded message.
        descriptor: its type.
        where: its place, which errors begin with.

    Raises:
        MalformedError: a field is unknown, has another wire type than its own, ends beyond its message, is
            there twice though not repeated, is no valid UTF-8, or is a varint longer than it has to be.
    """
    at = 0
    seen: set[str] = set()
    while at < len(message):
        key, at = _varint(message, at, where)
        number, wire_type = divmod(key, 8)
        field = descriptor.fields_by_number.get(number)
        if field is None:
            raise MalformedError(f"{where}: {descriptor.name} has no field {number}")
        place = f"{where}.{field.name}"
        if wire_type != _WIRE_TYPES[field.type]:
            raise MalformedError(f"{place}: wire type {wire_type}, expected {_WIRE_TYPES[field.type]}")
        alone = field.containing_oneof.name if field.containing_oneof else field.name
        if alone in seen and not field.is_repeated:
            raise MalformedError(f"{place}: there twice")
        seen.add(alone)
        content, at = _content(message, at, wire_type, place)
        if field.type == FieldDescriptor.TYPE_STRING:
            _check_text(content, place)
        elif field.message_type:
            check(content, field.message_type, place)


def _content(message: bytes, at: int, wire_type: int, where: str) -> tuple[bytes, int]:
    """A field's content, and where the next field starts."""
    start = at
    if wire_type == _VARINT:
        _, end = _varint(message, at, where)
    elif wire_type == _LENGTH:
        size, start = _varint(message, at, where)
        end = start + size
    else:
        end = at + _SIZES[wire_type]
    if end > len(message):
        raise MalformedError(f"{where}: ends {end - len(message)} bytes beyond its message")
    return message[start:end], end


def _varint(message: bytes, at: int, where: str) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if at + index >= len(message):
            raise MalformedError(f"{where}: a varint is cut off")
        byte = message[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:  # noqa: PLR2004 - the bit that says whether another byte follows
            if byte == 0 and index:
                raise MalformedError(f"{where}: a varint is longer than it has to be")
            return value, at + index + 1
    raise MalformedError(f"{where}: a varint has no end")


def _check_text(content: bytes, where: str) -> None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"{where}: no valid UTF-8 at byte {error.start}") from error
