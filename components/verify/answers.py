"""From the answers of a proxy's admin interface to facts. Pure.

The shapes are Envoy's (``envoy/admin/v3``: config_dump.proto, clusters.proto), in JSON, where a zero and an
empty list are left out.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..istio.names import STAT_PREFIX
from ..istio.read import HttpFilter
from .bounded import count
from .facts import Cluster, Exports

Json = dict[str, Any]

LUA_STATS = rf"^http\..*\.lua\.({STAT_PREFIX}\.)?\w+$"
"""Which statistics `lua_counters` reads."""

_LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
_TLS = "envoy.transport_sockets.tls"
_VERSION = re.compile(r"[^/]*/(\d+)\.(\d+)\.")


def any_of(clusters: Iterable[str]) -> str:
    """A regular expression for the names of clusters."""
    return "|".join(re.sub(r"[^\w-]", r"\\\g<0>", name) for name in sorted(clusters))


def export_stats(clusters: Iterable[str]) -> str:
    """Which statistics `exports` reads.

    Istio ends a cluster's name by ';' (istio/istio, features.EnableDelimitedStatsTagRegex).
    """
    return rf"^cluster\.({any_of(clusters)});?\.upstream_rq_(4xx|total|pending_overflow)$"


def version(server_info: Json) -> tuple[int, int]:
    """Envoy's major and minor version."""
    match = _VERSION.match(server_info["version"])
    if match is None:
        raise ValueError(f"no version of Envoy: {server_info['version']}")
    return int(match[1]), int(match[2])


def kind(server_info: Json) -> str:
    """What Istio's node id begins with: sidecar, router or waypoint; empty for a proxy that is none."""
    return str(server_info["node"].get("id", "")).partition("~")[0]


def lua_filters(listeners: Iterable[Json]) -> frozenset[HttpFilter]:
    """The HTTP filters that run Lua, in any filter chain of listeners (of a config dump)."""
    return frozenset(
        HttpFilter(_text(http_filter["name"]), _text(script))
        for http_filter in _http_filters(listeners)
        for config in [http_filter.get("typed_config", {})]
        if config.get("@type") == _LUA
        for source in [config.get("default_source_code", {})]
        for script in [source.get("inline_string", config.get("inline_code", ""))]
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a string")
    return value


def _http_filters(listeners: Iterable[Json]) -> Iterator[Json]:
    for entry in listeners:
        listener = entry.get("active_state", entry).get("listener", {})
        chains = [*listener.get("filter_chains", []), listener.get("default_filter_chain", {})]
        for chain in chains:
            for network_filter in chain.get("filters", []):
                yield from network_filter.get("typed_config", {}).get("http_filters", [])


def rejections(listeners: Iterable[Json]) -> tuple[str, ...]:
    """Why Envoy refused updates of its listeners, each reason once."""
    reasons = [
        entry["error_state"].get("details", "no reason given")
        for entry in listeners
        if "error_state" in entry
    ]
    return tuple(dict.fromkeys(" ".join(reason.split()) for reason in reasons))


def clusters(
    configs: Iterable[Json], warming: Iterable[Json], statuses: Iterable[Json], stats: Mapping[str, int]
) -> dict[str, Cluster]:
    """The clusters of a config dump, by name.

    Args:
        configs: the active and the static ones.
        warming: those that wait for their first endpoints.
        statuses: of ``/clusters``.
        stats: those that `export_stats` names.
    """
    hosts = {status["name"]: status.get("host_statuses", []) for status in statuses}
    by_name = {}
    for entries, is_warming in ((warming, True), (configs, False)):
        for entry in entries:
            cluster = entry["cluster"]
            name = cluster["name"]
            by_name[name] = Cluster(
                tls=cluster.get("transport_socket", {}).get("name") == _TLS,
                warming=is_warming,
                ports=tuple(_port(host) for host in hosts.get(name, [])),
                exports=exports(name, hosts.get(name, []), stats),
            )
    return by_name


def _port(host: Json) -> int:
    return count(host["address"].get("socket_address", {}).get("port_value", 0))


def exports(cluster: str, hosts: Sequence[Json], stats: Mapping[str, int]) -> Exports:
    """What became of the requests to a cluster: by its endpoints' counters, which no stats matcher hides."""
    counted: Counter[str] = Counter()
    for host in hosts:
        counted.update({stat["name"]: count(stat.get("value", 0)) for stat in host.get("stats", [])})

    def stat(counter: str) -> int | None:
        names = [f"cluster.{cluster}{end}.upstream_rq_{counter}" for end in (";", "")]
        return next((stats[name] for name in names if name in stats), None)

    # Envoy makes the counter of a status class when it first sees one.
    visible = stat("total") is not None
    return Exports(
        answered=counted["rq_success"],
        failed=counted["rq_error"],
        connect_failed=counted["cx_connect_fail"],
        timed_out=counted["rq_timeout"],
        refused=(stat("4xx") or 0) if visible else None,
        over_limit=(stat("pending_overflow") or 0) if visible else None,
    )


def stats(answer: Json) -> dict[str, int]:
    """Counters and gauges by name. Histograms have no name there."""
    return {stat["name"]: count(stat["value"]) for stat in answer["stats"] if "name" in stat}


def lua_counters(values: Mapping[str, int]) -> Counter[str]:
    """The counters of Lua filters by the last part of their names, summed up over filter chains.

    An EnvoyFilter's are named after the package. A TrafficExtension's cannot be: Envoy counts its errors with
    those of other Lua filters.
    """
    counted: Counter[str] = Counter()
    for name, value in values.items():
        counted[name.rpartition(".")[2]] += value
    return counted
