"""What must hold between workloads and the collector: its pods are not captured, spans have a way. Pure."""

from collections.abc import Iterator

from ..istio.endpoint import Collector
from ..settings.models import Direction, Egress, Location, Workload
from ..settings.validation import Path, Problem
from ..settings.value_types import is_output


def problems(
    path: Path, workload: Workload, egress: Egress | None, collector: Collector
) -> Iterator[Problem]:
    """Why a workload would capture the collector's own pods, or not reach the collector.

    In the collector's own pods a filter would not capture exports, but everything else that is sent there.

    Args:
        path: the workload's place in the settings.
        workload: its settings.
        egress: those of the way to the collector, None while they are wrong.
        collector: the collector.
    """
    if _captures_all_inbound(workload) and workload.namespace == collector.namespace:
        yield Problem(
            (*path, "namespace"),
            f"got {workload.namespace!r} without labels, which captures the collector's own pods, and what "
            "others send to them: say by labels which pods to capture",
        )
    if egress is not None and not _sees_collector(workload, egress):
        yield Problem(
            (*path, "namespace"),
            f"got {workload.namespace!r}, expected one that the collector's entry is exported to "
            f"({', '.join(egress.export_to or [])}), or spans would be dropped",
        )
    if (
        egress is not None
        and collector.location is Location.MESH
        and _captures_all_inbound(workload)
        and workload.namespace == egress.namespace
    ):
        yield Problem(
            path,
            "captures every pod of the mesh; keep the collector's own pods out of it "
            "(no sidecar in them), or what others send to them is captured there",
            is_warning=True,
        )


def _captures_all_inbound(workload: Workload) -> bool:
    is_whole = workload.target_refs is None and not is_output(workload.labels) and not workload.labels
    return is_whole and Direction.INBOUND in workload.directions


def _sees_collector(workload: Workload, egress: Egress) -> bool:
    if not egress.create or egress.export_to is None or "*" in egress.export_to:
        return True
    if is_output(workload.namespace) or is_output(egress.namespace):
        return True
    own_namespace = "." in egress.export_to and workload.namespace == egress.namespace
    return own_namespace or workload.namespace in egress.export_to
