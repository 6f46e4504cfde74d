"""A real OpenTelemetry Collector: OTLP/HTTP in, a file of what it understood out."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
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
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "spans.jsonl"
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(_config(f"{address}:{port}", file, tls, mutual=mutual)))
    with process.running(
        [build.COLLECTOR.path, "--config", f"file:{config}"],
        log=folder / "collector.log",
        ready=lambda: process.accepts(address, port),
    ):
        yield OpenTelemetryCollector(address, port, file)


@asynccontextmanager
async def behind_receiver(folder: Path, *, address: str, port: int = PORT) -> AsyncIterator[Pair]:
    """Run a Collector behind the strict receiver, which listens where it is told.

    Args:
        folder: takes the Collector's files.
        address: of loopback.
        port: the same.
    """
    strict = receiver.Collector()
    with running(folder) as collector:
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


def _config(endpoint: str, file: Path, tls: Certificate | None, *, mutual: bool) -> dict[str, Any]:
    http: dict[str, Any] = {"endpoint": endpoint}
    if tls:
        http["tls"] = {"cert_file": str(tls.chain), "key_file": str(tls.key)}
        if mutual:
            http["tls"]["client_ca_file"] = str(tls.ca)
    return {
        "receivers": {"otlp": {"protocols": {"http": http}}},
        "exporters": {"file": {"path": str(file), "flush_interval": "50ms"}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}},
        },
    }
