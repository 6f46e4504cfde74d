"""The lab's OTLP receiver: it takes what is exactly right, and nothing else."""

import asyncio
import base64
import copy
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from aiohttp import web
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from lab import server
from lab.collector import MAX_REQUEST_BYTES, Collector
from lab.otlp import PROTOBUF, RefusedError, decode

Edit = Callable[[dict[str, Any]], object]

SPAN = {
    "traceId": "0af7651916cd43dd8448eb211c80319c",
    "spanId": "b7ad6b7169203331",
    "parentSpanId": "00F067AA0BA902B7",
    "name": "GET",
    "kind": 2,
    "startTimeUnixNano": "1790000000000001000",
    "endTimeUnixNano": "1790000000000002000",
    "attributes": [
        {"key": "text", "value": {"stringValue": "grüße\u0000\U0001f600"}},
        {"key": "number", "value": {"intValue": "-9223372036854775808"}},
        {"key": "flag", "value": {"boolValue": True}},
        {"key": "raw", "value": {"bytesValue": base64.b64encode(b"\0\xff").decode()}},
    ],
    "status": {"code": 2, "message": "aborted"},
}


def request_with(span: dict[str, Any]) -> dict[str, Any]:
    scope_spans = [{"scope": {"name": "scope"}, "spans": [span]}]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "service"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": scope_spans}]}


VALID = json.dumps(request_with(SPAN)).encode()


def in_protobuf(span: bytes) -> bytes:
    """An export request whose only span is these bytes."""
    scope = InstrumentationScope(name="scope").SerializeToString()
    scope_spans = field(1, scope) + field(2, span)
    service = KeyValue(key="service.name", value=AnyValue(string_value="service"))
    resource = Resource(attributes=[service]).SerializeToString()
    return field(1, field(1, resource) + field(2, scope_spans))


def field(number: int, content: bytes) -> bytes:
    """A protobuf field of up to 16,383 bytes."""
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([size % 128 + 128, size // 128])
    return bytes([number * 8 + 2]) + length + content


SPAN_MESSAGE = SpanMessage(
    trace_id=bytes.fromhex("0af7651916cd43dd8448eb211c80319c"),
    span_id=bytes.fromhex("b7ad6b7169203331"),
    parent_span_id=bytes.fromhex("00f067aa0ba902b7"),
    name="GET",
    kind=SpanMessage.SPAN_KIND_SERVER,
    start_time_unix_nano=1790000000000001000,
    end_time_unix_nano=1790000000000002000,
    attributes=[
        KeyValue(key="text", value=AnyValue(string_value="grüße\0\U0001f600")),
        KeyValue(key="number", value=AnyValue(int_value=-9223372036854775808)),
        KeyValue(key="flag", value=AnyValue(bool_value=True)),
        KeyValue(key="raw", value=AnyValue(bytes_value=b"\0\xff")),
    ],
    status=Status(code=Status.STATUS_CODE_ERROR, message="aborted"),
).SerializeToString()


@pytest.fixture
def collector() -> Collector:
    return Collector()


@pytest.fixture
async def client(collector: Collector) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        server.serve(collector.application()) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        yield client


async def post(client: httpx.AsyncClient, payload: bytes) -> httpx.Response:
    return await client.post("/v1/traces", content=payload, headers={"content-type": "application/json"})


def test_a_correct_span_is_decoded_with_all_that_surrounds_it() -> None:
    [span] = decode(VALID)

    assert span.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert span.span_id == "b7ad6b7169203331"
    assert span.parent_span_id == "00f067aa0ba902b7"
    assert (span.name, span.kind, span.scope) == ("GET", 2, "scope")
    assert (span.start_ns, span.end_ns) == (1790000000000001000, 1790000000000002000)
    assert (span.status_code, span.status_message) == (2, "aborted")
    assert span.resource == {"service.name": "service"}
    assert span.attributes == {
        "text": "grüße\0\U0001f600",
        "number": -9223372036854775808,
        "flag": True,
        "raw": b"\0\xff",
    }


def attribute(value: object) -> Edit:
    return lambda span: span.update(attributes=[{"key": "k", "value": value}])


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        pytest.param(lambda s: s.update(traceId=s["traceId"][2:]), "32 hex digits", id="short trace id"),
        pytest.param(lambda s: s.update(traceId="0" * 32), "not all 0", id="zero trace id"),
        pytest.param(lambda s: s.update(spanId="t62rcWkgMzE="), "16 hex digits", id="base64 span id"),
        pytest.param(lambda s: s.update(spanId="0" * 16), "not all 0", id="zero span id"),
        pytest.param(lambda s: s.update(parentSpanId=""), "16 hex digits", id="empty parent id"),
        pytest.param(lambda s: s.pop("spanId"), "no span_id", id="no span id"),
        pytest.param(lambda s: s.pop("startTimeUnixNano"), "no start_time", id="no start"),
        pytest.param(lambda s: s.update(kind="SPAN_KIND_SERVER"), "kind: expected int", id="enum by name"),
        pytest.param(lambda s: s.update(kind=True), "kind: expected int", id="enum as bool"),
        pytest.param(lambda s: s.update(startTimeUnixNano=17), "expected str", id="64 bits as number"),
        pytest.param(lambda s: s.update(startTimeUnixNano="1.7e18"), "no decimal", id="64 bits as float"),
        pytest.param(lambda s: s.update(startTimeUnixNano="-1"), "startTimeUnixNano", id="negative time"),
        pytest.param(attribute({"intValue": "9223372036854775808"}), "intValue", id="65 bits"),
        pytest.param(attribute({"intValue": 5}), "expected str", id="attribute as number"),
        pytest.param(attribute({"stringValue": "\ud800"}), "surrogates", id="lone surrogate"),
        pytest.param(attribute({"stringValue": None}), "expected str", id="null"),
        pytest.param(attribute({"stringValue": "", "boolValue": True}), "oneof", id="two values"),
        pytest.param(attribute({"bytesValue": "a-_="}), "base64", id="url-safe base64"),
        pytest.param(attribute({}), "kind None", id="attribute without value"),
        pytest.param(attribute({"doubleValue": 0.5}), "kind double_value", id="attribute of another kind"),
        pytest.param(lambda s: s.update(attributes={}), "expected an array", id="object for array"),
        pytest.param(lambda s: s["attributes"].append(s["attributes"][0]), "twice", id="attribute twice"),
        pytest.param(lambda s: s.update(trace_state="a=b"), "no field 'trace_state'", id="snake case"),
        pytest.param(lambda s: s.update(color="red"), "no field 'color'", id="unknown field"),
    ],
)
def test_a_span_with_one_thing_wrong_is_refused_for_that_reason(edit: Edit, reason: str) -> None:
    span = copy.deepcopy(SPAN)
    edit(span)

    with pytest.raises(RefusedError, match=reason):
        decode(json.dumps(request_with(span)).encode())


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param(VALID.replace(b'"GET"', b'"\xff"'), "utf-8", id="not UTF-8"),
        pytest.param(VALID.replace(b'"GET"', b'"\x01"'), "control character", id="raw control character"),
        pytest.param(VALID.replace(b'"GET"', rb'"\x"'), "escape", id="bad escape"),
        pytest.param(VALID.replace(b'"GET"', b'"GET","name":"PUT"'), "twice", id="a key twice"),
        pytest.param(VALID.replace(b'"kind": 2', b'"kind": NaN'), "NaN", id="NaN"),
        pytest.param(VALID[:-1], "delimiter", id="cut off"),
        pytest.param(VALID + b"{}", "Extra data", id="something after it"),
        pytest.param(b"[]", "expected an object", id="no object"),
        pytest.param(b"[" * 100_000, "recursion", id="too deep"),
    ],
)
def test_bytes_that_are_no_json_of_an_export_request_are_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        decode(payload)


def test_both_encodings_of_a_span_are_decoded_alike() -> None:
    assert decode(in_protobuf(SPAN_MESSAGE), PROTOBUF) == decode(VALID)


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        pytest.param(SPAN_MESSAGE + field(5, b"PUT"), r"spans\.name: there twice", id="a field twice"),
        pytest.param(SPAN_MESSAGE + field(15, b""), r"spans\.status: there twice", id="a message twice"),
        pytest.param(field(5, b"\xff"), r"spans\.name: no valid UTF-8 at byte 0", id="not UTF-8"),
        pytest.param(b"\x28\x01", r"spans\.name: wire type 0, expected 2", id="wire type"),
        pytest.param(b"\x2a\x05GET", r"spans\.name: ends 2 bytes beyond", id="cut off"),
        pytest.param(b"\x30", r"spans\.kind: a varint is cut off", id="varint cut off"),
        pytest.param(b"\x30\x82\x00", r"spans\.kind: a varint is longer", id="long varint"),
        pytest.param(b"\x30" + b"\xff" * 11, r"spans\.kind: a varint has no end", id="endless varint"),
        pytest.param(b"\x7a\x02\x20\x01", r"spans\.status: Status has no field 4", id="unknown field"),
        pytest.param(
            field(9, field(2, b"\x10\x01\x18\x05")), r"value\.int_value: there twice", id="two values"
        ),
        pytest.param(
            field(1, b"\0" * 16) + SPAN_MESSAGE[18:], "trace_id is not 16 bytes", id="zero trace id"
        ),
        pytest.param(SPAN_MESSAGE[18:], "no trace_id", id="no trace id"),
        pytest.param(
            SPAN_MESSAGE
            + field(9, KeyValue(key="text", value=AnyValue(bool_value=True)).SerializeToString()),
            "the attribute text is there twice",
            id="attribute twice",
        ),
    ],
)
def test_a_protobuf_span_with_one_thing_wrong_is_refused_where_it_is(span: bytes, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        decode(in_protobuf(span), PROTOBUF)


async def test_a_refused_payload_is_answered_with_400_and_its_reason_recorded(
    collector: Collector, client: httpx.AsyncClient
) -> None:
    response = await post(client, b"{")

    assert response.status_code == 400
    assert len(collector.refused) == 1
    assert collector.refused[0] in response.json()["message"]
    assert collector.requests == [1]


@pytest.mark.parametrize(
    ("path", "content_type", "status"),
    [("/v1/trace", "application/json", 404), ("/v1/traces", "text/plain", 415)],
)
async def test_what_does_not_look_like_an_export_is_refused_unread(
    collector: Collector, client: httpx.AsyncClient, path: str, content_type: str, status: int
) -> None:
    response = await client.post(path, content=VALID, headers={"content-type": content_type})

    assert response.status_code == status
    assert len(collector.refused) == 1
    assert collector.requests == []


async def test_a_body_over_20_mib_is_refused(collector: Collector, client: httpx.AsyncClient) -> None:
    response = await post(client, b" " * (MAX_REQUEST_BYTES + 1))

    assert response.status_code == 413
    assert collector.refused == [f"more than {MAX_REQUEST_BYTES} bytes"]


async def test_a_waiter_gets_spans_that_arrive_after_it_began_to_wait(
    collector: Collector, client: httpx.AsyncClient
) -> None:
    waiter = asyncio.create_task(collector.spans(2))

    await post(client, VALID)
    assert not waiter.done()
    await post(client, VALID)

    assert len(await waiter) == 2


async def test_a_waiter_that_gives_up_says_what_did_arrive(
    collector: Collector, client: httpx.AsyncClient
) -> None:
    await post(client, VALID)
    await post(client, b"{")

    with pytest.raises(TimeoutError, match=r"1 of 2 spans .* refused: \['Expecting"):
        await collector.spans(2, timeout=0)


async def test_a_behaviour_that_answers_takes_the_place_of_the_receiver(
    collector: Collector, client: httpx.AsyncClient
) -> None:
    async def unavailable(_: web.Request) -> web.Response:
        return web.Response(status=503)

    collector.behaviour = unavailable

    assert (await post(client, VALID)).status_code == 503
    assert await collector.spans(0) == []
