"""OTLP in both its encodings, decoded as strictly as they allow: what passes here, every receiver takes.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding. Real receivers are laxer, each in
its own way.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from . import otlp_protobuf

Value = str | int | bool | bytes

_ID_BYTES = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}

_PYTHON_TYPES = {
    FieldDescriptor.CPPTYPE_STRING: (str,),
    FieldDescriptor.CPPTYPE_BOOL: (bool,),
    FieldDescriptor.CPPTYPE_ENUM: (int,),
    FieldDescriptor.CPPTYPE_INT32: (int,),
    FieldDescriptor.CPPTYPE_UINT32: (int,),
    FieldDescriptor.CPPTYPE_INT64: (str,),
    FieldDescriptor.CPPTYPE_UINT64: (str,),
    FieldDescriptor.CPPTYPE_DOUBLE: (int, float),
}


PROTOBUF, JSON = "application/x-protobuf", "application/json"
"""The content types of OTLP/HTTP."""


class RefusedError(Exception):
    """A payload is no OTLP. The message says where and why."""


@dataclass(frozen=True)
class Span:
    """One span, with what surrounds it in a payload.

    Attributes:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        parent_span_id: 16 hex digits, or empty.
        name: of the span.
        kind: 2 SERVER, 3 CLIENT.
        start_ns: Unix time in nanoseconds.
        end_ns: Unix time in nanoseconds.
        status_code: 0 unset, 1 ok, 2 error.
        status_message: of the status.
        attributes: of the span.
        resource: attributes of its resource.
        scope: name of its instrumentation scope.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status_code: int
    status_message: str
    attributes: Mapping[str, Value]
    resource: Mapping[str, Value]
    scope: str


def decode(payload: bytes, content_type: str = JSON) -> list[Span]:
    """The spans of an ``ExportTraceServiceRequest``.

    Beyond what protobuf's own parsers check: no attribute twice, ids that are not zero. In JSON also valid
    UTF-8, no key twice, no null, ids in hex, enums as integers, 64-bit integers as decimal strings, names in
    lowerCamelCase. In binary protobuf also what :func:`lab.otlp_protobuf.check` says.

    Args:
        payload: the request's body.
        content_type: `JSON` or `PROTOBUF`.

    Raises:
        RefusedError: the payload breaks one of these rules.
    """
    read = _from_protobuf if content_type == PROTOBUF else _from_json
    try:
        request = read(payload)
    except (ValueError, RecursionError, DecodeError, json_format.ParseError) as error:
        raise RefusedError(str(error)) from error
    return [
        _span(span, _attributes(resource_spans.resource.attributes), scope_spans.scope.name)
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def _from_protobuf(payload: bytes) -> ExportTraceServiceRequest:
    otlp_protobuf.check(payload, ExportTraceServiceRequest.DESCRIPTOR, "request")
    request: ExportTraceServiceRequest = ExportTraceServiceRequest.FromString(payload)
    return request


def _from_json(payload: bytes) -> ExportTraceServiceRequest:
    document = json.loads(
        payload.decode(), object_pairs_hook=_object_without_repeats, parse_constant=_no_constant
    )
    converted = _message(document, ExportTraceServiceRequest.DESCRIPTOR, "request")
    request: ExportTraceServiceRequest = json_format.ParseDict(converted, ExportTraceServiceRequest())
    if ExportTraceServiceRequest.FromString(request.SerializeToString()) != request:
        raise RefusedError("request: changed on its way through binary protobuf")
    return request


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise RefusedError(f"an object has a key twice: {[key for key, _ in pairs]}")
    return result


def _no_constant(name: str) -> None:
    raise RefusedError(f"{name} is no JSON")


def _message(value: Any, descriptor: Descriptor, where: str) -> dict[str, Any]:
    """A JSON object as protobuf's parser wants it, checked against its message type."""
    if not isinstance(value, dict):
        raise RefusedError(f"{where}: expected an object, got {value!r}")
    fields = {field.json_name: field for field in descriptor.fields}
    result = {}
    for name, item in value.items():
        if name not in fields:
            raise RefusedError(f"{where}: {descriptor.name} has no field {name!r}")
        result[name] = _field(item, fields[name], f"{where}.{name}")
    return result


def _field(value: Any, field: FieldDescriptor, where: str) -> Any:
    if not field.is_repeated:
        return _item(value, field, where)
    if not isinstance(value, list):
        raise RefusedError(f"{where}: expected an array, got {value!r}")
    return [_item(item, field, f"{where}[{index}]") for index, item in enumerate(value)]


def _item(value: Any, field: FieldDescriptor, where: str) -> Any:
    if field.message_type:
        return _message(value, field.message_type, where)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes(value, field.name, where)
    types = _PYTHON_TYPES[field.cpp_type]
    if type(value) not in types:
        expected = " or ".join(item.__name__ for item in types)
        raise RefusedError(f"{where}: expected {expected}, got {value!r}")
    if field.cpp_type in (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64):
        if not re.fullmatch(r"-?(0|[1-9]\d*)", value, re.ASCII):
            raise RefusedError(f"{where}: {value!r} is no decimal integer")
    elif isinstance(value, str):
        value.encode()  # refuses lone surrogates
    return value


def _bytes(value: Any, field: str, where: str) -> str:
    """Base64, which is how OTLP writes all bytes but ids: those are hex, unlike in protobuf's own JSON."""
    if not isinstance(value, str):
        raise RefusedError(f"{where}: expected a string, got {value!r}")
    if field not in _ID_BYTES:
        base64.b64decode(value, validate=True)
        return value
    digits = 2 * _ID_BYTES[field]
    if not re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", value) or not value.strip("0"):
        raise RefusedError(f"{where}: expected {digits} hex digits that are not all 0, got {value!r}")
    return base64.b64encode(bytes.fromhex(value)).decode()


def _span(span: trace_pb2.Span, resource: Mapping[str, Value], scope: str) -> Span:
    required = ("trace_id", "span_id", "name", "start_time_unix_nano", "end_time_unix_nano")
    if missing := [name for name in required if not getattr(span, name)]:
        raise RefusedError(f"a span has no {', '.join(missing)}")
    for name, size in _ID_BYTES.items():
        value = getattr(span, name)
        if value and (len(value) != size or not any(value)):
            raise RefusedError(f"a span's {name} is not {size} bytes that are not all 0: {value.hex()}")
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        name=span.name,
        kind=span.kind,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status_code=span.status.code,
        status_message=span.status.message,
        attributes=_attributes(span.attributes),
        resource=resource,
        scope=scope,
    )


def _attributes(pairs: Any) -> dict[str, Value]:
    result: dict[str, Value] = {}
    for pair in pairs:
        if pair.key in result:
            raise RefusedError(f"the attribute {pair.key} is there twice")
        result[pair.key] = _value(pair)
    return result


def _value(pair: KeyValue) -> Value:
    kind = pair.value.WhichOneof("value")
    if kind not in ("string_value", "int_value", "bool_value", "bytes_value"):
        raise RefusedError(f"the attribute {pair.key} has a value of kind {kind}")
    value: Value = getattr(pair.value, kind)
    return value
