"""Do spans leave the proxies, and are there errors in the script?"""

from collections.abc import Iterator

from ...istio.names import STAT_PREFIX
from ...istio.read import Capture
from ..facts import Cluster, Exports, Facts, Pod, Proxy
from ..findings import Finding, Level


def check(facts: Facts) -> Iterator[Finding]:
    """Findings about what became of spans."""
    asked: set[tuple[str, str]] = set()
    for capture in facts.captures:
        proxies = [
            (pod, proxy)
            for pod in facts.checked[str(capture)]
            if isinstance(proxy := facts.proxies[str(pod)], Proxy)
        ]
        for pod, proxy in proxies:
            key = (str(pod), capture.cluster)
            if key not in asked:
                asked.add(key)
                yield from _of_proxy(facts, capture, pod, proxy)
        if capture.is_switched_off:
            yield Finding(
                Level.NOTE,
                "not-enabled",
                str(capture),
                "captures nothing, as the stack says: capture.enabled is false",
            )
            continue
        # What has no way to the collector is told by the check of proxies.
        able = [
            cluster.exports
            for _, proxy in proxies
            if (cluster := proxy.clusters.get(capture.cluster)) and cluster.ports
        ]
        if able and not any(exports.sent for exports in able):
            yield Finding(
                Level.UNKNOWN,
                "no-exports",
                str(capture),
                "no span has left the pods that were looked at",
                "send requests and run this again; the capture's settings may leave them out, "
                "such as hosts or skipPaths",
            )


def _of_proxy(facts: Facts, capture: Capture, pod: Pod, proxy: Proxy) -> Iterator[Finding]:
    subject, cluster = str(pod), proxy.clusters.get(capture.cluster)
    if errors := proxy.counters.get("errors"):
        yield Finding(
            Level.PROBLEM,
            "lua-errors",
            subject,
            f"{errors} errors in Lua scripts since the listener was loaded",
            f"`kubectl logs -n {pod.namespace} {pod.name} -c istio-proxy` has them, as 'script log'",
        )
    if proxy.filters and "errors" not in proxy.counters:
        yield Finding(
            Level.NOTE,
            "statistics-hidden",
            subject,
            "Istio hides the statistics of Lua and of clusters: errors of the script, 4xx answers of the "
            "collector and what its limits drop are not seen",
            "if you want them seen, annotate the pod template, and let the pods be replaced: "
            f"sidecar.istio.io/statsInclusionSuffixes: {_suffixes(capture)}, "
            f"sidecar.istio.io/statsInclusionPrefixes: cluster.{capture.cluster}",
        )
    if cluster is not None:
        if dropped := proxy.counters.get("dropped_no_cluster"):
            message = f"dropped {dropped} spans while it had no cluster {capture.cluster}; now it has"
            yield Finding(Level.NOTE, "dropped-spans", subject, message)
        yield from _exports(facts, subject, cluster, proxy.later.get(capture.cluster))


def _suffixes(capture: Capture) -> str:
    """How the counters that are looked at end; those of a TrafficExtension have no prefix of ours."""
    prefix = f"lua.{STAT_PREFIX}" if capture.kind == "EnvoyFilter" else "lua"
    return f"{prefix}.errors,{prefix}.dropped_no_cluster"


def _exports(facts: Facts, subject: str, cluster: Cluster, later: Exports | None) -> Iterator[Finding]:
    exports = cluster.exports
    if not exports.lost:
        if exports.answered:
            yield Finding(Level.OK, "exports", subject, f"{exports.answered} exports arrived, none got lost")
        return
    recent = Exports() if later is None else later.since(exports)
    just_now = f"in the last {facts.interval:g} s"
    if recent.lost:
        message = f"{recent.lost} of {recent.sent} exports got lost {just_now}: {_why(recent)}"
        yield Finding(Level.PROBLEM, "losing-spans", subject, message, _next(recent))
        return
    message = f"{exports.lost} of {exports.sent} exports got lost since the proxy started: {_why(exports)}"
    if recent.answered:
        message += f"; none {just_now}, when {recent.answered} arrived"
        yield Finding(Level.NOTE, "lost-spans", subject, message)
    else:
        over = "If that is over, send requests while this runs: it looks twice."
        yield Finding(Level.PROBLEM, "losing-spans", subject, message, f"{_next(exports)} {over}")


def _why(exports: Exports) -> str:
    reasons = {
        "connections failed": exports.connect_failed,
        "timed out": exports.timed_out,
        "answered with 4xx": exports.refused,
        "over the limits of the DestinationRule": exports.over_limit,
    }
    named = [f"{count} {reason}" for reason, count in reasons.items() if count]
    return ", ".join(named) or f"{exports.failed} answered with 5xx, or reset"


def _next(exports: Exports) -> str:
    if exports.connect_failed:
        return "is the collector running, not on localhost only, and does its certificate fit egress.tls?"
    if exports.timed_out:
        return "is the collector overloaded? It takes longer than export.timeoutMs."
    if exports.refused:
        return "the collector's log says why: the path of collectorUrl, authentication, or its body limit?"
    if exports.over_limit:
        return "the collector is too slow for this proxy: scale it, sample, or raise egress.limits."
    return "the collector's log says why."
