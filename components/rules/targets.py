"""What Istio attaches a capture to by ``targetRefs``, and what it would silently leave alone. Pure.

The rules are istiod's (istio/istio, pilot/pkg/model): ``ShouldAttachPolicy`` in policyattachment.go, which is
asked about the proxy alone for EnvoyFilter, and about the services behind it too for TrafficExtension;
``extraServicesForProxy`` in push_context.go, which says what clusters a waypoint gets beside its services'.
"""

from collections.abc import Iterator

from ..istio.endpoint import Collector
from ..istio.names import WAYPOINT_CLASS
from ..settings.models import Direction, Egress, Mechanism, TargetKind, TargetRef, Workload
from ..settings.validation import Path, Problem, shown
from ..settings.value_types import is_output


def problems(
    path: Path, workload: Workload, egress: Egress | None, collector: Collector | None
) -> Iterator[Problem]:
    """Why a workload's targets would not be captured, or never exported.

    Args:
        path: the workload's place in the settings.
        workload: its settings.
        egress: those of the way to the collector, None while they are wrong.
        collector: the collector, None while its URL or the egress settings are wrong.
    """
    if workload.target_refs is None:
        return
    if is_output(workload.labels) or workload.labels:
        yield Problem(
            (*path, "labels"),
            f"got {shown(workload.labels)} and targetRefs too, expected one of them: Istio selects by labels "
            "or by targets",
        )
    if Direction.OUTBOUND in workload.directions:
        yield Problem(
            (*path, "directions"),
            f"got {', '.join(workload.directions)}, expected inbound (a waypoint) or gateway: targets select "
            "no sidecar; say by labels which pods' outbound requests to capture",
        )
    seen: set[tuple[TargetKind, str]] = set()
    for index, target in enumerate(workload.target_refs):
        place = (*path, "target_refs", index)
        yield from _kind_problems((*place, "kind"), target.kind, workload)
        if target.kind is TargetKind.GATEWAY_CLASS:
            yield from _class_problems(path, place, target, workload, egress)
        elif _is_collector(target, workload, collector):
            yield Problem(
                (*place, "name"),
                f"got {target.name!r}, the collector itself, which receives what was captured: leave it out",
            )
        if isinstance(target.name, str):
            if (target.kind, target.name) in seen:
                yield Problem((*place, "name"), f"got {target.name!r} twice, expected each target once")
            seen.add((target.kind, target.name))
    if workload.is_at_waypoint and workload.mechanism is Mechanism.TRAFFIC_EXTENSION:
        yield from _cluster_problems(path, egress)


def _kind_problems(place: Path, kind: TargetKind, workload: Workload) -> Iterator[Problem]:
    if Direction.GATEWAY in workload.directions and kind is not TargetKind.GATEWAY:
        yield Problem(
            place,
            f"got {kind.value!r}, expected Gateway with direction gateway: by a {kind} Istio finds waypoints",
        )
    elif not kind.is_proxy and workload.mechanism is Mechanism.ENVOY_FILTER:
        yield Problem(
            place,
            f"got {kind.value!r}, expected Gateway or GatewayClass: Istio attaches an EnvoyFilter to no "
            f"{kind}; name the waypoint, or use TrafficExtension",
        )


def _class_problems(
    path: Path, place: Path, target: TargetRef, workload: Workload, egress: Egress | None
) -> Iterator[Problem]:
    if not is_output(target.name) and target.name != WAYPOINT_CLASS:
        yield Problem(
            (*place, "name"),
            f"got {target.name!r}, expected {WAYPOINT_CLASS}: Istio attaches to no other class",
        )
    root = egress.namespace if egress is not None else None
    known = isinstance(root, str) and isinstance(workload.namespace, str)
    if known and workload.namespace != root:
        yield Problem(
            (*path, "namespace"),
            f"got {workload.namespace!r}, expected {root!r} with a GatewayClass, which Istio heeds in the "
            "mesh's root namespace only (egress.namespace says which)",
        )


def _is_collector(target: TargetRef, workload: Workload, collector: Collector | None) -> bool:
    return (
        collector is not None
        and target.kind is TargetKind.SERVICE
        and collector.namespace == workload.namespace
        and collector.host.split(".")[0] == target.name
    )


def _cluster_problems(path: Path, egress: Egress | None) -> Iterator[Problem]:
    if egress is not None and not egress.waypoints:
        yield Problem(
            (*path, "mechanism"),
            "got 'TrafficExtension' on a waypoint, which would capture and never export, as it has no "
            "cluster for the collector: set egress.waypoints to true, or use EnvoyFilter, which brings it",
        )
