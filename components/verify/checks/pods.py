"""Which pods does each capture select, and can they be captured?"""

from collections.abc import Iterator, Sequence

from ...istio.read import Capture
from .. import rights
from ..facts import Facts, Pod, Unread
from ..findings import Finding, Level
from ..selection import selected

_NAMES = 3
_SERVED = ("Service", "ServiceEntry")


def check(facts: Facts) -> Iterator[Finding]:
    """Findings about each capture's pods."""
    if not facts.captures:
        yield Finding(
            Level.UNKNOWN,
            "no-captures",
            "stack",
            "declares no capture, so no proxy is looked at: whether one knows the collector is not known",
            "verify a stack that captures",
        )
    for capture in facts.captures:
        unread = next((pods for pods in facts.pods.values() if isinstance(pods, Unread)), None)
        if None not in facts.pods:
            pods = facts.pods[capture.namespace]
            unread = pods if isinstance(pods, Unread) else None
        if unread:
            yield Finding(Level.UNKNOWN, "pods-unread", str(capture), unread.reason, rights.ASK)
            continue
        known = [pod for pods in facts.pods.values() if not isinstance(pods, Unread) for pod in pods]
        yield from _of_capture(facts, capture, selected(capture, known, facts.root_namespace))


def _of_capture(facts: Facts, capture: Capture, pods: Sequence[Pod]) -> Iterator[Finding]:
    unresolved = [f"{kind} {name}" for kind, name in capture.targets if kind in _SERVED]
    if unresolved:
        yield Finding(
            Level.UNKNOWN,
            "waypoint-unknown",
            str(capture),
            f"targets {', '.join(unresolved)}: which waypoint serves that is not looked up",
            "`istioctl ztunnel-config service` names it; then `istioctl proxy-config listener` and `cluster`",
        )
        if len(unresolved) == len(capture.targets):
            return
    wanted = _wanted(capture)
    running = [pod for pod in pods if pod.running]
    if not pods:
        yield Finding(
            Level.PROBLEM,
            "no-pods",
            str(capture),
            f"selects no pod: none {wanted}",
            f"correct namespace or labels: `kubectl get pods -n {capture.namespace} --show-labels`",
        )
    elif not running:
        yield Finding(
            Level.PROBLEM,
            "no-running-pods",
            str(capture),
            f"selects {len(pods)} pods, none of which runs: {_names(pods)}",
            f"`kubectl describe pod -n {pods[0].namespace} {pods[0].name}` says why",
        )
    elif without := [pod for pod in running if not pod.proxy]:
        yield _without_proxy(capture, running, without)
    if checked := facts.checked[str(capture)]:
        yield Finding(
            Level.OK,
            "pods",
            str(capture),
            f"selects {len(running)} running pods, {len(checked)} of them looked at: {_names(checked)}",
        )


def _without_proxy(capture: Capture, running: Sequence[Pod], without: Sequence[Pod]) -> Finding:
    message = f"{len(without)} of {len(running)} running pods have no proxy: {_names(without)}"
    if any(pod.ambient for pod in without):
        return Finding(
            Level.PROBLEM,
            "no-proxy",
            str(capture),
            f"{message}; they are in ambient mode, where ztunnel sees no HTTP",
            "capture at a waypoint, by targetRefs",
        )
    return Finding(
        Level.PROBLEM,
        "no-proxy",
        str(capture),
        message,
        f"have Istio inject its sidecar (label namespace {without[0].namespace}), and restart the pods",
    )


def _wanted(capture: Capture) -> str:
    if capture.targets:
        return f"in namespace {capture.namespace} belongs to {', '.join(name for _, name in capture.targets)}"
    labels = ",".join(f"{key}={value}" for key, value in capture.labels.items())
    return f"in namespace {capture.namespace}" + (f" has the labels {labels}" if labels else "")


def _names(pods: Sequence[Pod]) -> str:
    names = ", ".join(str(pod) for pod in pods[:_NAMES])
    return names if len(pods) <= _NAMES else f"{names} and {len(pods) - _NAMES} more"
