"""What a TrafficExtension can hold: one script, of limited size. Pure."""

from collections.abc import Iterator

from ..istio import script
from ..istio.endpoint import Collector
from ..settings.models import Mechanism, Workload
from ..settings.validation import Path, Problem
from .parts import Parts


def problems(path: Path, workload: Workload, parts: Parts, collector: Collector | None) -> Iterator[Problem]:
    """More directions than scripts, and a script that Istio would refuse.

    Args:
        path: the workload's place in the settings.
        workload: its settings.
        parts: those of the stack.
        collector: the collector, None while its URL or the egress settings are wrong.
    """
    if workload.mechanism is not Mechanism.TRAFFIC_EXTENSION:
        return
    if len(workload.directions) > 1:
        yield Problem(
            (*path, "directions"),
            f"got {', '.join(workload.directions)}, expected one of them with TrafficExtension, which holds "
            "one script: make a workload of each",
        )
    if collector is None or parts.capture is None or parts.sensor_id is None:
        return
    rendered = script.render(
        parts.capture.overridden_by(workload.capture),
        sensor_id=parts.sensor_id,
        collector=collector,
        direction=workload.directions[0],
    )
    size = len(rendered.inline_code.encode())
    if size > script.MAX_INLINE_CODE_BYTES:
        yield Problem(
            (*path, "mechanism"),
            f"got a script of {size} bytes, expected at most {script.MAX_INLINE_CODE_BYTES}: "
            "shorten its lists, or use EnvoyFilter",
        )
