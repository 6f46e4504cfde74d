"""What was found in the cluster and in its proxies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..istio.names import Manifest
from ..istio.read import Capture, HttpFilter


@dataclass(frozen=True)
class Unread:
    """What could not be read.

    Attributes:
        reason: one line.
        missing: the cluster does not know the kind: Istio, or this API of it, is not installed.
    """

    reason: str
    missing: bool = False


@dataclass(frozen=True)
class Pod:
    """A pod.

    Attributes:
        namespace: its namespace.
        name: its name.
        labels: its labels.
        running: whether it runs, and is not about to end.
        proxy: whether it has a container of Istio's proxy.
        ambient: whether ztunnel redirects its traffic.
        revision: that of the control plane which injected its proxy; empty where it does not say.
        variant: what pods that should be alike have in common: the proxy's image, and their owners.
    """

    namespace: str
    name: str
    labels: Mapping[str, str]
    running: bool
    proxy: bool
    ambient: bool = False
    revision: str = ""
    variant: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


@dataclass(frozen=True)
class Exports:
    """What became of the export requests that a proxy has sent since it first knew the collector's endpoints.

    Attributes:
        answered: those with an answer other than 5xx.
        failed: those without one: refused connections, timeouts, resets, 5xx.
        connect_failed: connections that could not be opened.
        timed_out: requests that timed out.
        refused: answered by 4xx; None where the statistics are hidden.
        over_limit: dropped by the limits of the DestinationRule; None where the statistics are hidden.
    """

    answered: int = 0
    failed: int = 0
    connect_failed: int = 0
    timed_out: int = 0
    refused: int | None = None
    over_limit: int | None = None

    @property
    def sent(self) -> int:
        """All of them."""
        return self.answered + self.failed + (self.over_limit or 0)

    @property
    def lost(self) -> int:
        """Exports of which the collector has nothing, as far as can be seen."""
        return self.failed + (self.refused or 0) + (self.over_limit or 0)

    def since(self, earlier: "Exports") -> "Exports":
        """What happened after an earlier reading; endpoints may have been replaced in between."""

        def more(now: int | None, before: int | None) -> int | None:
            return None if now is None else max(0, now - (before or 0))

        return Exports(
            answered=max(0, self.answered - earlier.answered),
            failed=max(0, self.failed - earlier.failed),
            connect_failed=max(0, self.connect_failed - earlier.connect_failed),
            timed_out=max(0, self.timed_out - earlier.timed_out),
            refused=more(self.refused, earlier.refused),
            over_limit=more(self.over_limit, earlier.over_limit),
        )


@dataclass(frozen=True)
class Cluster:
    """A proxy's cluster towards a collector.

    Attributes:
        tls: whether it has a transport socket.
        warming: whether it waits for its first endpoints.
        ports: those of its endpoints.
        exports: what became of requests to it.
    """

    tls: bool
    warming: bool = False
    ports: tuple[int, ...] = ()
    exports: Exports = field(default_factory=Exports)


@dataclass(frozen=True)
class Proxy:
    """What a proxy says about itself.

    Attributes:
        kind: sidecar, router (a gateway) or waypoint; empty for one that is none of Istio's.
        version: Envoy's: major and minor.
        filters: its HTTP filters that run Lua.
        rejected: why it refused a listener, one line each.
        clusters: its clusters towards collectors, by name.
        counters: of Lua filters, by the last part of the name, summed up; ``errors`` is missing where the
            statistics are hidden.
        later: ``exports`` of the clusters that had lost some, read again after a while.
    """

    kind: str
    version: tuple[int, int]
    filters: frozenset[HttpFilter]
    rejected: tuple[str, ...] = ()
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    later: Mapping[str, Exports] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """Everything that was found.

    Attributes:
        manifests: what the stack declares.
        captures: those of the manifests that carry scripts.
        objects: the cluster's objects by kind and namespace, or why they could not be read.
        pods: the pods by namespace; under None, those of all namespaces.
        checked: the pods whose proxies are looked at, by ``str(capture)``.
        proxies: what these proxies say, by ``str(pod)``, or why they could not be asked.
        root_namespace: the mesh's.
        interval: seconds between the two readings of a proxy that lost exports.
    """

    manifests: Sequence[Manifest]
    captures: Sequence[Capture]
    objects: Mapping[tuple[str, str], Sequence[Manifest] | Unread]
    pods: Mapping[str | None, Sequence[Pod] | Unread]
    checked: Mapping[str, Sequence[Pod]]
    proxies: Mapping[str, Proxy | Unread]
    root_namespace: str
    interval: float
