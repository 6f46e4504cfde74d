"""Pairs of workloads that would capture the same requests, or where one hides the other. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

from ..settings.models import Direction, Mechanism, TargetKind, Workload
from ..settings.validation import Path, Problem
from ..settings.value_types import is_output


class _Reach(NamedTuple):
    """A workload whose selection is known.

    Attributes:
        path: its place in the settings.
        name: its name.
        workload: its settings.
        namespace: where its object is.
        labels: the labels of its pods, each with its value.
        targets: the targets that it has instead, kinds and names; None with labels.
    """

    path: Path
    name: str
    workload: Workload
    namespace: str
    labels: frozenset[tuple[str, str]]
    targets: frozenset[tuple[TargetKind, str]] | None

    def shared(self, other: "_Reach") -> list[Direction]:
        return [item for item in self.workload.directions if item in other.workload.directions]


def problems(workloads: Mapping[tuple[Path, str], Workload], root_namespace: str | None) -> Iterator[Problem]:
    """Workloads that select what others select, or whose objects have the same name.

    One workload may select a part of what another one selects as a whole. Then the filter of the part comes
    first, and the other filter skips what is marked as captured.

    Args:
        workloads: by their place in the settings and their name.
        root_namespace: the mesh's, None where it is not known.
    """
    yield from _repeated_names(workloads)
    by_namespace = defaultdict(list)
    for (path, name), workload in workloads.items():
        reach = _reach(path, name, workload)
        if reach is not None:
            by_namespace[reach.namespace].append(reach)
    for reaches in by_namespace.values():
        for first, second in combinations(reaches, 2):
            yield from _same(first, second)
    for namespace, reaches in by_namespace.items():
        mesh_wide = by_namespace.get(root_namespace or "", []) if namespace != root_namespace else []
        yield from _hidden(reaches, [*reaches, *mesh_wide])
    yield from _forgotten_labels(workloads)
    yield from _at_two_proxies(workloads)


def _forgotten_labels(workloads: Mapping[tuple[Path, str], Workload]) -> Iterator[Problem]:
    for (path, _), workload in workloads.items():
        if not {"labels", "target_refs"} & workload.model_fields_set:
            yield Problem(
                path,
                "captures every pod of its namespace; say labels, or `labels: {}` if all are meant",
                is_warning=True,
            )


def _at_two_proxies(workloads: Mapping[tuple[Path, str], Workload]) -> Iterator[Problem]:
    """Workloads whose requests another proxy of the same namespace may capture again."""
    sidecars = {
        workload.namespace: name
        for (_, name), workload in workloads.items()
        if workload.target_refs is None
        and Direction.INBOUND in workload.directions
        and not is_output(workload.namespace)
    }
    for (path, _), workload in workloads.items():
        if workload.is_at_waypoint and workload.namespace in sidecars:
            yield Problem(
                path,
                "captures at a waypoint: a request that goes on to a sidecar which "
                f"{sidecars[workload.namespace]} captures is captured there again",
                is_warning=True,
            )


def _repeated_names(workloads: Mapping[tuple[Path, str], Workload]) -> Iterator[Problem]:
    seen: dict[tuple[Any, ...], str] = {}
    for (path, name), workload in workloads.items():
        object_name = workload.object_name(name)
        if is_output(object_name) or is_output(workload.namespace):
            continue
        first = seen.setdefault((workload.mechanism, workload.namespace, object_name), name)
        if first != name:
            yield Problem(
                (*path, "filter_name"),
                f"got {object_name!r}, expected a name of its own: {first} in the same namespace has it",
            )


def _reach(path: Path, name: str, workload: Workload) -> _Reach | None:
    """What a workload selects; None if an Output decides it, as that is not known yet."""
    if not isinstance(workload.namespace, str) or not isinstance(workload.labels, Mapping):
        return None
    if any(is_output(value) for value in workload.labels.values()):
        return None
    targets = None
    if workload.target_refs is not None:
        targets = frozenset((ref.kind, ref.name) for ref in workload.target_refs if isinstance(ref.name, str))
    labels = frozenset((key, str(value)) for key, value in workload.labels.items())
    return _Reach(path, name, workload, workload.namespace, labels, targets)


def _same(first: _Reach, second: _Reach) -> Iterator[Problem]:
    """Two workloads of a namespace that select the same pods or targets: both a part of them, or both all."""
    shared = first.shared(second)
    if not shared:
        return
    where = f"both {', '.join(shared)} in namespace {first.namespace!r}"
    if first.targets is not None and second.targets is not None:
        for kind, name in sorted(first.targets & second.targets):
            yield Problem(
                (*second.path, "target_refs"),
                f"has {kind} {name!r} in common with {first.name}, {where}: name it in one of them",
            )
    elif (
        first.targets is None
        and second.targets is None
        and bool(first.labels) is bool(second.labels)
        and (first.labels <= second.labels or first.labels >= second.labels)
    ):
        yield Problem(
            (*second.path, "labels"),
            f"selects pods that {first.name} selects, {where}: give them labels that differ in a value, or "
            "make them one workload",
        )


def _hidden(reaches: list[_Reach], around: list[_Reach]) -> Iterator[Problem]:
    """TrafficExtensions inside of what an EnvoyFilter takes in: istiod puts every EnvoyFilter before them.

    Args:
        reaches: the workloads of a namespace.
        around: the workloads whose EnvoyFilter may take them in: of the namespace, and of the root namespace.
    """
    filters = [reach for reach in around if reach.workload.mechanism is Mechanism.ENVOY_FILTER]
    for reach in reaches:
        if reach.workload.mechanism is Mechanism.TRAFFIC_EXTENSION:
            for other in filters:
                if reach.shared(other) and _takes_in(other, reach):
                    yield Problem(
                        (*reach.path, "mechanism"),
                        f"got 'TrafficExtension' inside of what {other.name} captures by an EnvoyFilter, "
                        "which always comes first, so that these settings would have no effect: use one "
                        "mechanism for both",
                    )


def _takes_in(wide: _Reach, narrow: _Reach) -> bool:
    """Whether one workload selects all that another one selects, and more."""
    elsewhere = wide.namespace != narrow.namespace
    if wide.targets is None and narrow.targets is None:
        return wide.labels < narrow.labels or (elsewhere and wide.labels == narrow.labels)
    if wide.targets is None or narrow.targets is None:
        return False
    if any(kind is TargetKind.GATEWAY_CLASS for kind, _ in wide.targets):
        return True
    return not elsewhere and not any(kind.is_proxy for kind, _ in narrow.targets)
