"""A real Envoy as a proxy of the mesh: all that it knows comes from istiod."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from lab import envoy, versions
from lab.envoy import Envoy
from lab.server import LOOPBACK

from . import dump
from .dump import Json
from .istiod import CLUSTER_ID

_TIMEOUT_SECONDS = 30
_STATISTICS_SECONDS = 15
_POLL_SECONDS = 0.1
_LOG_LINES = 20
# As Istio's agent starts it.
_ARGUMENTS = ("--drain-time-s", "45", "--drain-strategy", "immediate")
_H2 = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_INTERNAL = "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"


@dataclass(frozen=True)
class Proxy:
    """A running proxy.

    Attributes:
        namespace: of its pod.
        pod: its name.
        envoy: the process.
        inbound: the port on loopback where a workload's or gateway's requests come in. 0 for a waypoint.
        outbound: the port on loopback for requests to other services. 0 for all but a sidecar.
    """

    namespace: str
    pod: str
    envoy: Envoy
    inbound: int
    outbound: int

    @property
    def admin(self) -> str:
        """``host:port`` of its admin interface."""
        return self.envoy.admin

    def client(self, listener: str = "inbound") -> httpx.AsyncClient:
        """An HTTP client whose base URL is a listener.

        Args:
            listener: inbound or outbound. Outbound requests go to the service that their Host names, port
                included.
        """
        port = {"inbound": self.inbound, "outbound": self.outbound}[listener]
        return httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", timeout=30, trust_env=False)

    async def config_dump(self) -> Json:
        """What it runs, as its admin interface tells. See `lab.cluster.dump`."""
        result: Json = await self.envoy.config_dump()
        return result

    async def until(self, predicate: Callable[[Json], object], what: str) -> None:
        """Wait until its configuration is as wanted.

        Args:
            predicate: of a config dump.
            what: the wish in words, for the error.

        Raises:
            TimeoutError: not within 30 seconds.
        """
        started = time.monotonic()
        while not predicate(config := await self.config_dump()):
            if time.monotonic() - started > _TIMEOUT_SECONDS:
                raise TimeoutError(
                    f"{self.pod}: {what}: not within {_TIMEOUT_SECONDS} s. {self._found(config)}"
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def until_statistics(
        self,
        pattern: str,
        predicate: Callable[[dict[str, int]], object],
        what: str,
        seconds: float = _STATISTICS_SECONDS,
    ) -> None:
        """Wait until its statistics are as wanted.

        Args:
            pattern: a regular expression for their names.
            predicate: of the values by name.
            what: the wish in words, for the error.
            seconds: how long.

        Raises:
            TimeoutError: not within so many seconds.
        """
        started = time.monotonic()
        while not predicate(found := await self.envoy.stats(pattern)):
            if time.monotonic() - started > seconds:
                raise TimeoutError(
                    f"{self.pod}: of the statistics {pattern}, {what}: not within {seconds} s, but {found}"
                )
            await asyncio.sleep(_POLL_SECONDS)

    def _found(self, config: Json) -> str:
        """What a wish may have missed."""
        filters = {port: dump.filter_names(config, port) for port in (self.inbound, self.outbound) if port}
        tail = "\n  ".join(self.envoy.log().splitlines()[-_LOG_LINES:])
        return (
            f"Its filters by port: {filters}; its clusters: {sorted(dump.clusters(config))}. "
            f"Its log ends with:\n  {tail}"
        )


@asynccontextmanager
async def running(  # noqa: PLR0913  # by keyword
    xds: str,
    sds: Path,
    *,
    domain: str,
    kind: str,
    namespace: str,
    pod: str,
    labels: Mapping[str, str],
    address: str,
    inbound: int,
    outbound: int,
    metadata: Mapping[str, Any],
    configure: Callable[[Json], None] | None,
    workers: int,
    envoy_version: str | None,
    log: Path,
) -> AsyncIterator[Proxy]:
    """Run a proxy for as long as the block lasts; it has its listeners when it is handed over.

    Args:
        xds: ``host:port`` of istiod.
        sds: the Unix socket of its agent.
        domain: the cluster's.
        kind: sidecar, router (a gateway) or waypoint.
        namespace: of its pod.
        pod: its name.
        labels: of its pod.
        address: its pod's, by which istiod tells workloads apart; nothing listens there.
        inbound: see `Proxy`.
        outbound: see `Proxy`.
        metadata: more of the node's metadata.
        configure: changes the bootstrap.
        workers: worker threads.
        envoy_version: one of `versions.VERSIONS`; `versions.selected` if not given.
        log: takes its log.

    Raises:
        EnvoyError: it does not start.
        TimeoutError: istiod sent no listeners within 30 seconds.
    """
    version = envoy_version or versions.selected()
    host, _, port = xds.rpartition(":")
    bootstrap = _bootstrap(
        [_grpc("xds-grpc", _address(host, int(port))), _grpc("sds-grpc", {"pipe": {"path": str(sds)}})],
        node={
            "id": f"{kind}~{address}~{pod}.{namespace}~{namespace}.svc.{domain}",
            "cluster": f"{labels.get('app', pod)}.{namespace}",
            "metadata": {
                "NAME": pod,
                "NAMESPACE": namespace,
                "LABELS": dict(labels),
                "CLUSTER_ID": CLUSTER_ID,
                "ISTIO_VERSION": _istio_version(version),
                "INSTANCE_IPS": address,
                # Istio's own way to an outbound listener on loopback: an HTTP proxy.
                **({"HTTP_PROXY_PORT": str(outbound)} if outbound else {}),
                **metadata,
            },
        },
    )
    if configure:
        configure(bootstrap)
    async with envoy.running(
        bootstrap, workers=workers, version=version, log=log, arguments=_ARGUMENTS
    ) as process:
        proxy = Proxy(namespace, pod, process, inbound, outbound)
        for number in filter(None, (inbound, outbound)):
            await proxy.until(partial(dump.listener, port=number), f"a listener on {number}")
        yield proxy


def _istio_version(envoy_version: str) -> str:
    """The Istio that has this Envoy: 1.36 came with 1.28, and so on."""
    minor = int(envoy_version.split(".")[1])
    return f"1.{minor - 8}.0"


def _bootstrap(clusters: list[Json], *, node: Json) -> Json:
    """As Istio's agent writes it, without telemetry: everything comes over ADS."""
    ads = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {
        "node": node,
        "admin": {"address": _address(LOOPBACK, 0)},
        "static_resources": {"clusters": clusters},
        "dynamic_resources": {
            "cds_config": ads,
            "lds_config": ads,
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
            },
        },
        "bootstrap_extensions": [
            {
                "name": "envoy.bootstrap.internal_listener",
                "typed_config": {"@type": f"type.googleapis.com/{_INTERNAL}"},
            }
        ],
    }


def _grpc(name: str, address: Json) -> Json:
    """A static cluster that speaks HTTP/2."""
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _H2,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}
