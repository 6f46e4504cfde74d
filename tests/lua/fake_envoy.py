"""The capture script in LuaJIT, in process, on a fake Envoy."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from lupa.luajit21 import LuaRuntime
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from components.istio import script
from components.istio.endpoint import Collector, collector
from components.settings.models import Capture, Direction, Egress
from components.settings.validation import Spelling, parse

SENSOR_ID = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"
COLLECTOR = collector("http://astra-traffic-collector.astra-collector:4318/v1/traces", Egress())

Headers = Sequence[tuple[str, str | bytes]]
Chunks = Sequence[bytes]

GET: Headers = [(":authority", "shop.example.com"), (":path", "/"), (":method", "GET"), (":scheme", "http")]
OK: Headers = [(":status", "200")]


def render(
    direction: Direction = Direction.INBOUND, *, collector: Collector = COLLECTOR, **capture: Any
) -> str:
    """The script for capture settings in Python's spelling."""
    settings = parse(Capture, capture, Spelling.PYTHON)
    return script.render(settings, sensor_id=SENSOR_ID, collector=collector, direction=direction).text


def _document(call: Any) -> dict[str, Any]:
    """An export call's body in OTLP/JSON, whatever its encoding."""
    if call[b"headers"][b"content-type"] == b"application/json":
        document: dict[str, Any] = json.loads(call[b"body"].decode())
        return document
    request = ExportTraceServiceRequest.FromString(call[b"body"])
    document = json_format.MessageToDict(request, use_integers_for_enums=True)
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in {"traceId", "spanId", "parentSpanId"} & span.keys():
                    span[name] = base64.b64decode(span[name]).hex()
    return document


class Span:
    """A span as the script wrote it."""

    def __init__(self, written: dict[str, Any]) -> None:
        self.written = written
        self.attributes = {
            attribute["key"]: next(iter(attribute["value"].values())) for attribute in written["attributes"]
        }

    def __getitem__(self, key: str) -> Any:
        return self.attributes[key]

    def headers(self, side: str) -> Any:
        return json.loads(self[f"http.{side}.headers"])


class Stream:
    """One exchange, event by event."""

    def __init__(self, proxy: "Proxy", stream: Any) -> None:
        self._proxy = proxy
        self._stream = stream

    def request(self, headers: Headers = GET, *chunks: bytes, ended: bool = True) -> "Stream":
        """Sends the request's headers and chunks; and its end, if it has `ended`."""
        return self._message(b"request", headers, chunks, ended)

    def response(self, headers: Headers = OK, *chunks: bytes, ended: bool = True) -> "Stream":
        """Sends the response's headers and chunks; and its end, if it has `ended`."""
        return self._message(b"response", headers, chunks, ended)

    def request_data(self, chunk: bytes | None, *, ended: bool = False) -> None:
        self._stream[b"request_data"](self._stream, chunk, ended)

    def response_data(self, chunk: bytes | None, *, ended: bool = False) -> None:
        self._stream[b"response_data"](self._stream, chunk, ended)

    def set_metadata(self, namespace: str, key: str, value: str) -> None:
        """Sets dynamic metadata, as another filter would."""
        self._stream[b"set_metadata"](self._stream, namespace.encode(), key.encode(), value.encode())

    def destroy(self) -> None:
        """Ends the stream, whatever its state."""
        self._stream[b"destroy"](self._stream)

    def _message(self, side: bytes, headers: Headers, chunks: Chunks, ended: bool) -> "Stream":
        self._stream[side](self._stream, self._proxy.lines(headers), ended and not chunks)
        for index, chunk in enumerate(chunks):
            self._stream[side + b"_data"](self._stream, chunk, ended and index == len(chunks) - 1)
        return self


class Proxy:
    """A Lua VM of an Envoy that runs the capture script; by default it has the collector's cluster."""

    def __init__(self, text: str, *, cluster: bool = True) -> None:
        self._lua = LuaRuntime(encoding=None)
        fake = self._lua.execute(Path(__file__).with_name("fake_envoy.lua").read_bytes())
        # As Envoy does: the chunk's name is its text.
        self._lua.eval(b"function(text) assert(loadstring(text))() end")(text.encode())
        self._envoy = fake[b"new"]()
        if cluster:
            self._envoy[b"clusters"][COLLECTOR.cluster.encode()] = True

    def lines(self, headers: Headers) -> Any:
        """A header map's lines as the fake takes them."""
        encoded = [
            [name.encode(), value if isinstance(value, bytes) else value.encode()] for name, value in headers
        ]
        return self._lua.table_from([self._lua.table_from(line) for line in encoded])

    def stream(self, **properties: str | None) -> Stream:
        """A new stream.

        Args:
            properties: `protocol`; `peer`; `direct_peer`, the connection's, if it is another one; `tls`;
                `redirects`, how many internal redirects led to this stream.
        """
        stream = self._envoy[b"stream"](self._envoy)
        for name, value in properties.items():
            stream[name.encode()] = None if value is None else value.encode()
        return Stream(self, stream)

    def exchange(
        self,
        request: Headers = GET,
        response: Headers = OK,
        *,
        sent: Chunks = (),
        answered: Chunks = (),
    ) -> None:
        """A whole exchange."""
        self.stream().request(request, *sent).response(response, *answered).destroy()

    def advance(self, seconds: float) -> None:
        self._envoy[b"now"] += seconds * 1e6

    def collect_garbage(self) -> None:
        self._lua.execute(b"collectgarbage() collectgarbage()")

    @property
    def memory(self) -> int:
        """Bytes that the VM holds, the fake's included."""
        return int(self._lua.eval(b'collectgarbage("count")') * 1024)

    @property
    def calls(self) -> list[Any]:
        """The export calls so far."""
        return list(self._envoy[b"calls"].values())

    @property
    def batches(self) -> list[list[Span]]:
        """The spans of each export call."""
        return [
            [
                Span(span)
                for resource in _document(call)["resourceSpans"]
                for scope in resource["scopeSpans"]
                for span in scope["spans"]
            ]
            for call in self.calls
        ]

    @property
    def spans(self) -> list[Span]:
        return [span for batch in self.batches for span in batch]

    @property
    def span(self) -> Span:
        """The only span."""
        [span] = self.spans
        return span

    @property
    def counters(self) -> dict[str, int]:
        """What the script counted in Envoy's statistics."""
        return {name.decode(): count for name, count in self._envoy[b"counters"].items()}

    @property
    def warnings(self) -> list[str]:
        return [line.decode() for line in self._envoy[b"logs"].values()]

    @property
    def errors(self) -> list[str]:
        """What the script raised: Envoy would count and log it."""
        return [line.decode() for line in self._envoy[b"errors"].values()]
