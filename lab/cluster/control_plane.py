"""The parts of the cluster as one thing: `Mesh`."""

import asyncio
import itertools
import random
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from pathlib import Path
from typing import Any, TypeVar

from . import agent, objects, otel, process, proxy
from .certificates import Authority, Certificate
from .istiod import Istiod
from .kubectl import Kubectl, Manifests
from .proxy import Proxy

T = TypeVar("T")

_ALL_SERVICES = ("*/*",)


class Mesh:
    """A running cluster.

    Attributes:
        kubeconfig: of its API server, with all rights.
        logs: the folder of all logs.
        kubectl: the real one.
        istiod: the real one; absent where only the API server was asked for.
        names: what DNS answers to proxies: the address of each host.
        authority: a test CA.
        keep_logs: whether ``logs`` outlives a run that did not fail.
    """

    def __init__(  # noqa: PLR0913  # by keyword
        self,
        logs: Path,
        kubeconfig: Path,
        *,
        kubectl: Kubectl,
        authority: Authority,
        istiod: Istiod | None,
        names: dict[str, str],
    ) -> None:
        self.logs = logs
        self.kubeconfig = kubeconfig
        self.kubectl = kubectl
        self.authority = authority
        self.names = names
        self.keep_logs = False
        self._istiod = istiod
        # Two labs on one machine are unlikely to choose the same network.
        network = f"127.{random.randint(16, 254)}.{random.randint(0, 254)}"
        self._addresses = (f"{network}.{number}" for number in range(1, 255))
        self._numbers = itertools.count(1)

    @property
    def istiod(self) -> Istiod:
        """The real istiod.

        Raises:
            ValueError: it was not asked for.
        """
        if self._istiod is None:
            raise ValueError("this cluster runs without Istio")
        return self._istiod

    def address(self) -> str:
        """An address of loopback that nobody else has: what listens there may choose its port."""
        return next(self._addresses)

    @contextmanager
    def namespace(self, prefix: str = "scenario", labels: Mapping[str, str] | None = None) -> Iterator[str]:
        """A namespace of one's own, deleted with all that is in it when the block is left.

        Args:
            prefix: how its name begins.
            labels: its labels.
        """
        name = f"{prefix}-{secrets.token_hex(3)}"
        self.kubectl.apply([objects.namespace(name, labels or {})], dry_run=False)
        try:
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")

    def applied(self, manifests: Manifests) -> AbstractAsyncContextManager[None]:
        """The same as `Kubectl.applied`, off the event loop."""
        return _applied(self.kubectl, manifests)

    @asynccontextmanager
    async def proxy(  # noqa: PLR0913  # by keyword
        self,
        namespace: str,
        labels: Mapping[str, str],
        *,
        app_port: int = 0,
        kind: str = "sidecar",
        pod: str | None = None,
        address: str | None = None,
        egress_hosts: Sequence[str] = _ALL_SERVICES,
        workers: int = 1,
        envoy_version: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        configure: Callable[[dict[str, Any]], None] | None = None,
    ) -> AsyncIterator[Proxy]:
        """Run a proxy, with the objects that give it listeners on loopback.

        Args:
            namespace: of its pod.
            labels: of its pod; together with the namespace they select no other proxy.
            app_port: where on loopback its workload, or what is behind the gateway, listens.
            kind: sidecar, router (a gateway) or waypoint.
            pod: its name; made up if not given.
            address: its pod's, an address of `address`, where a Service's endpoint has to name it.
            egress_hosts: the services that a sidecar sees.
            workers: worker threads.
            envoy_version: see `proxy.running`.
            metadata: see `proxy.running`.
            configure: see `proxy.running`.
        """
        pod = pod or f"{labels.get('app', kind)}-{next(self._numbers)}"
        inbound = process.free_port() if kind in ("sidecar", "router") else 0
        outbound = process.free_port() if kind == "sidecar" else 0
        listeners: list[dict[str, Any]] = []
        if kind == "sidecar":
            listeners = [
                objects.sidecar(
                    namespace,
                    pod,
                    labels,
                    inbound=inbound,
                    app_port=app_port,
                    egress_hosts=egress_hosts,
                )
            ]
        elif kind == "router":
            listeners = objects.gateway(namespace, pod, labels, port=inbound, app_port=app_port)
        files = Path(tempfile.mkdtemp(prefix=f"agent-{pod}-", dir=self.logs))  # names of pods come again
        async with (
            _applied(self.kubectl, listeners, dry_run=False),
            _off_loop(agent.running(files, self.istiod, self.kubectl, namespace)) as sds,
            proxy.running(
                self.istiod.xds,
                sds,
                domain=self.istiod.domain,
                kind=kind,
                namespace=namespace,
                pod=pod,
                labels=labels,
                address=address or self.address(),
                inbound=inbound,
                outbound=outbound,
                metadata=metadata or {},
                configure=configure,
                workers=workers,
                envoy_version=envoy_version,
                log=self.logs / f"envoy-{pod}.log",
            ) as running,
        ):
            yield running

    @asynccontextmanager
    async def collector(
        self, *hosts: str, port: int = otel.PORT, address: str | None = None
    ) -> AsyncIterator[otel.Pair]:
        """Run a Collector behind the strict receiver, at an address of its own.

        Args:
            hosts: names by which proxies find it in DNS.
            port: where it listens.
            address: an address of `address`, where it has to be known before.
        """
        address = address or self.address()
        self.names.update(dict.fromkeys(hosts, address))
        try:
            folder = self.logs / f"collector-{next(self._numbers)}"
            with otel.running(folder) as collector:
                async with otel.behind_receiver(collector, address=address, port=port) as pair:
                    yield pair
        finally:
            for host in hosts:
                del self.names[host]

    @contextmanager
    def tls_collector(
        self, host: str, certificate: Certificate, *, port: int, mutual: bool = False
    ) -> Iterator[otel.OpenTelemetryCollector]:
        """Run a Collector that serves HTTPS itself, at an address of its own.

        Args:
            host: the name by which proxies find it in DNS.
            certificate: its own.
            port: where it listens.
            mutual: see `otel.running`.
        """
        address = self.names[host] = self.address()
        try:
            folder = self.logs / f"collector-{next(self._numbers)}"
            with otel.running(folder, address=address, port=port, tls=certificate, mutual=mutual) as running:
                yield running
        finally:
            del self.names[host]

    @contextmanager
    def customized_collector(
        self, custom: dict[str, Any], *, address: str, tls: Certificate | None = None, percentage: float = 100
    ) -> Iterator[otel.OpenTelemetryCollector]:
        """Run what stands in for the Astra Traffic Collector, on OTLP/HTTP's port.

        Args:
            custom: see `otel.customized`.
            address: an address of `address`.
            tls: see `otel.customized`.
            percentage: see `otel.customized`.
        """
        folder = self.logs / f"collector-{next(self._numbers)}"
        with otel.customized(
            folder, custom, address=address, port=otel.PORT, tls=tls, percentage=percentage
        ) as running:
            yield running


@asynccontextmanager
async def _off_loop(block: AbstractContextManager[T]) -> AsyncIterator[T]:
    """A block that is entered and left off the event loop."""
    value = await asyncio.to_thread(block.__enter__)
    try:
        yield value
    finally:
        await asyncio.to_thread(block.__exit__, None, None, None)


@asynccontextmanager
async def _applied(kubectl: Kubectl, manifests: Manifests, *, dry_run: bool = True) -> AsyncIterator[None]:
    if not manifests:
        yield
        return
    try:
        await asyncio.to_thread(kubectl.apply, manifests, dry_run=dry_run)
        yield
    finally:
        await asyncio.to_thread(kubectl.delete, manifests)
