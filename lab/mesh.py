"""The lab put together: client -> Envoy -> sample API, and Envoy -> OTLP receiver."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from . import app, bootstrap, envoy, server
from .collector import Collector
from .envoy import Envoy

DEFAULT_LISTENERS = (bootstrap.Listener(),)


@dataclass(frozen=True)
class Lab:
    """A running lab.

    Attributes:
        envoy: the proxy, with the rendered filter.
        collector: the OTLP receiver that the filter exports to.
    """

    envoy: Envoy
    collector: Collector

    def client(self, listener: str = "inbound", *, http2: bool = False) -> httpx.AsyncClient:
        """An HTTP client whose base URL is a listener.

        Args:
            listener: its name.
            http2: HTTP/2 with prior knowledge (h2c) instead of HTTP/1.1.
        """
        return httpx.AsyncClient(
            base_url=f"http://{server.LOOPBACK}:{self.envoy.ports[listener]}",
            http1=not http2,
            http2=http2,
            timeout=30,
            trust_env=False,
        )


@asynccontextmanager
async def running(  # noqa: PLR0913  # by keyword
    manifests: Sequence[bootstrap.Json],
    *,
    workload: bootstrap.Workload | None = None,
    listeners: Sequence[bootstrap.Listener] = DEFAULT_LISTENERS,
    workers: int = 1,
    lua_log_level: str = "warning",
    configure: Callable[[bootstrap.Json], object] | None = None,
) -> AsyncIterator[Lab]:
    """Run the lab for as long as the block lasts.

    Args:
        manifests: Kubernetes objects, as rendered.
        workload: whose sidecar Envoy is; the one that the first capture filter selects if not given.
        listeners: Envoy's listeners.
        workers: Envoy's worker threads.
        lua_log_level: see `envoy.running`.
        configure: changes Envoy's bootstrap in place, for what no manifest says: another upstream, a
            cluster that is missing.

    Raises:
        EnvoyError: Envoy does not start.
        ValueError: the manifests capture no workload, or use what the lab does not know.
    """
    collector = Collector()
    async with (
        server.serve(app.application()) as app_port,
        server.serve(collector.application()) as collector_port,
    ):
        config = bootstrap.build(
            manifests,
            workload=workload or bootstrap.first_capture(manifests).workload,
            listeners=listeners,
            app_port=app_port,
            collector_port=collector_port,
        )
        if configure:
            configure(config)
        async with envoy.running(config, workers=workers, lua_log_level=lua_log_level) as proxy:
            yield Lab(proxy, collector)
