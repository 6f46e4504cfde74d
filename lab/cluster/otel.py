"""Real OpenTelemetry Collectors: OTLP/HTTP in, a file of what they understood out."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from aiohttp import web

from lab import collector as receiver
from lab import otlp, server
from lab.otlp import Span
from lab.server import LOOPBACK

from . import build, process
from .certificates import Certificate

PORT = 4318
"""OTLP/HTTP's."""

CALLER = "caller"
"""The attribute with the caller's address."""

Json = dict[str, Any]

_SPANS = "spans.jsonl"
_NO_PARENT = b'"parentSpanId":"",'
_PROCESSORS = ("transform/caller", "filter/custom", "transform/custom", "probabilistic_sampler")
_SET_CALLER = f'set(attributes["{CALLER}"], ParseJSON(attributes["http.request.headers"])["x-forwarded-for"])'
_TIMEOUT_SECONDS = 15
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class OpenTelemetryCollector:
    """A running Collector.

    Attributes:
        address: of loopback, where it listens.
        port: the same.
    """

    address: str
    port: int
    _file: Path

    async def spans(self, count: int) -> list[Span]:
        """Wait until it has written so many spans.

        Returns:
            All that it wrote, surplus ones too.

        Raises:
            RefusedError: what it wrote is not OTLP/JSON.
            TimeoutError: fewer came within 15 seconds.
        """
        started = time.monotonic()
        while len(spans := self._read()) < count:
            if time.monotonic() - started > _TIMEOUT_SECONDS:
                targets = [span.attributes.get("http.target") for span in spans]
                raise TimeoutError(f"the Collector has {len(spans)} of {count} spans: {targets}")
            await asyncio.sleep(_POLL_SECONDS)
        return spans

    def _read(self) -> list[Span]:
        whole, _, _ = self._file.read_bytes().rpartition(b"\n")
        whole = whole.replace(_NO_PARENT, b"")  # 0.110 writes it; of the filter the decoder takes none
        return [span for line in whole.splitlines() for span in otlp.decode(line)]


@dataclass(frozen=True)
class Pair:
    """The strict receiver of the lab, and a Collector to which it passes on each payload as it came.

    Attributes:
        receiver: what proxies talk to.
        collector: the real one behind it.
    """

    receiver: receiver.Collector
    collector: OpenTelemetryCollector

    async def spans(self, count: int) -> list[Span]:
        """Wait until both have so many spans: the same ones, nothing refused.

        Returns:
            All of them, in the order of their arrival.

        Raises:
            AssertionError: they differ.
            TimeoutError: fewer came.
        """
        received = await self.receiver.spans(count, _TIMEOUT_SECONDS)
        ids = {span.span_id for span in received}
        written = [span for span in await self.collector.spans(len(received)) if span.span_id in ids]
        if self.receiver.refused:
            raise AssertionError(f"refused: {self.receiver.refused}")
        if sorted(received, key=_id) != sorted(written, key=_id):  # two exports at once may change places
            raise AssertionError(f"received {received}, but the Collector wrote {written}")
        return received


@contextmanager
def running(
    folder: Path,
    *,
    address: str = LOOPBACK,
    port: int = 0,
    tls: Certificate | None = None,
    mutual: bool = False,
) -> Iterator[OpenTelemetryCollector]:
    """Run a Collector for as long as the block lasts.

    Args:
        folder: takes its configuration, log and file of spans.
        address: of loopback.
        port: 0 chooses a free one.
        tls: its certificate; plain text if not given.
        mutual: refuses clients without a certificate of the same authority.

    Raises:
        ClusterError: it does not start.
    """
    port = port or process.free_port()
    http: Json = {"endpoint": f"{address}:{port}"}
    if tls:
        http["tls"] = _tls(tls)
        if mutual:
            http["tls"]["client_ca_file"] = str(tls.ca)
    receiver_config = {"receivers": {"otlp": {"protocols": {"http": http}}}}
    with _started(build.COLLECTOR, folder, address, port, [_to_a_file(folder), receiver_config]) as collector:
        yield collector


@contextmanager
def customized(  # noqa: PLR0913  # by keyword
    folder: Path,
    custom: Json,
    *,
    address: str = LOOPBACK,
    port: int = 0,
    tls: Certificate | None = None,
    percentage: float = 100,
) -> Iterator[OpenTelemetryCollector]:
    """Run what stands in for the Astra Traffic Collector, whose own configuration is not public.

    It is a Collector of the same version. It samples by trace id, and takes the caller's address from
    ``http.request.headers``, for the attribute `CALLER`.

    Args:
        folder: takes its files.
        custom: a customer's ``config_custom.yaml``, which has a receiver ``otlp`` with ``http`` and the
            processors ``filter/custom`` and ``transform/custom``. Where it listens is replaced.
        address: of loopback.
        port: 0 chooses a free one.
        tls: its certificate; plain text if not given.
        percentage: the share of traces that it keeps: of 50, those with the first of their ids' last 56 bits.

    Raises:
        ClusterError: it does not start.
    """
    port = port or process.free_port()
    http = {"endpoint": f"{address}:{port}", **({"tls": _tls(tls)} if tls else {})}
    own = _to_a_file(folder, _PROCESSORS)
    own["processors"] = {
        "transform/caller": {
            "error_mode": "ignore",
            "trace_statements": [{"context": "span", "statements": [_SET_CALLER]}],
        },
        "probabilistic_sampler": {"sampling_percentage": percentage, "mode": "proportional"},
    }
    place = {"receivers": {"otlp": {"protocols": {"http": http}}}}
    with _started(build.TRAFFIC_COLLECTOR, folder, address, port, [own, custom, place]) as collector:
        yield collector


@asynccontextmanager
async def behind_receiver(
    collector: OpenTelemetryCollector, *, address: str, port: int = PORT
) -> AsyncIterator[Pair]:
    """Run the strict receiver in front of a Collector.

    Args:
        collector: a running one, without TLS.
        address: of loopback, where the receiver listens.
        port: the same.
    """
    strict = receiver.Collector()
    async with httpx.AsyncClient(
        base_url=f"http://{collector.address}:{collector.port}", trust_env=False
    ) as client:
        strict.behaviour = _pass_on(client)
        async with server.serve(strict.application(), host=address, port=port):
            yield Pair(strict, collector)


def _id(span: Span) -> str:
    return span.span_id


def _pass_on(client: httpx.AsyncClient) -> receiver.Behaviour:
    """Posts a request as it came. What the Collector refuses is refused in its words."""

    async def behaviour(request: web.Request) -> web.Response | None:
        answer = await client.post(
            request.path_qs,
            content=await request.read(),
            headers={"content-type": request.headers.get("content-type", "")},
        )
        return None if answer.is_success else web.Response(status=answer.status_code, body=answer.content)

    return behaviour


@contextmanager
def _started(
    binary: build.Binary, folder: Path, address: str, port: int, configs: Sequence[Json]
) -> Iterator[OpenTelemetryCollector]:
    """A Collector with configurations that it merges, the later over the earlier."""
    folder.mkdir(parents=True, exist_ok=True)
    options: list[str] = []
    for number, config in enumerate(configs):
        file = folder / f"config-{number}.yaml"
        file.write_text(yaml.safe_dump(config))
        options += ["--config", f"file:{file}"]
    with process.running(
        [binary.path, *options],
        log=folder / "collector.log",
        ready=lambda: process.accepts(address, port),
    ):
        yield OpenTelemetryCollector(address, port, folder / _SPANS)


def _to_a_file(folder: Path, processors: Sequence[str] = ()) -> Json:
    """What is to be done with the spans that come in."""
    pipeline = {"receivers": ["otlp"], "processors": list(processors), "exporters": ["file"]}
    return {
        "exporters": {"file": {"path": str(folder / _SPANS), "flush_interval": "50ms"}},
        "service": {"telemetry": {"metrics": {"level": "none"}}, "pipelines": {"traces": pipeline}},
    }


def _tls(certificate: Certificate) -> Json:
    return {"cert_file": str(certificate.chain), "key_file": str(certificate.key)}
