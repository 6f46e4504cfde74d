"""What a TrafficExtension can hold: one script, of limited size. Pure."""

from collections.abc import Iterator

from ..istio import script
from ..istio.endpoint import Collector
from ..settings.models import Capture, Mechanism, Workload
from ..settings.validation import Path, Problem


def direction_problems(path: Path, workload: Workload) -> Iterator[Problem]:
    """More directions than scripts.

    Args:
        path: the workload's place in the settings.
        workload: its settings.
    """
    if workload.mechanism is Mechanism.TRAFFIC_EXTENSION and len(workload.directions) > 1:
        yield Problem(
            (*path, "directions"),
            f"got {', '.join(workload.directions)}, expected one of them with TrafficExtension, which holds "
            "one script: make a workload of each",
        )


def size_problems(
    path: Path, workload: Workload, capture: Capture, sensor_id: str, collector: Collector
) -> Iterator[Problem]:
    """A script that Istio would refuse.

    Args:
        path: the workload's place in the settings.
        workload: its settings.
        capture: what holds for it, the stack's settings merged in.
        sensor_id: the sensor.
        collector: the collector.
    """
    if workload.mechanism is not Mechanism.TRAFFIC_EXTENSION:
        return
    text = script.render(
        capture, sensor_id=sensor_id, collector=collector, direction=workload.directions[0]
    ).text
    size = len(text.encode())
    if size > script.MAX_INLINE_CODE_BYTES:
        yield Problem(
            (*path, "mechanism"),
            f"got a script of {size} bytes, expected at most {script.MAX_INLINE_CODE_BYTES}: "
            "shorten its lists, or use EnvoyFilter",
        )
