"""The parts of settings that are sound by themselves: the rules between them can be checked. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from ..settings.models import (
    Capture,
    CollectorEgressSettings,
    Egress,
    TrafficCaptureSettings,
    Workload,
    WorkloadCaptureSettings,
)
from ..settings.validation import Path, Spelling, parse, spelled


@dataclass(frozen=True)
class Parts:
    """Parts of the settings; None, or left out, where they are wrong.

    Attributes:
        url: the collector's URL.
        egress: its egress settings.
        sensor_id: the sensor.
        capture: capture settings of all workloads.
        common_labels: labels on every object.
        workloads: by their place in the settings and their name.
    """

    url: str | None = None
    egress: Egress | None = None
    sensor_id: str | None = None
    capture: Capture | None = None
    common_labels: Mapping[str, Any] | None = None
    workloads: Mapping[tuple[Path, str], Workload] = field(default_factory=dict)

    @property
    def root_namespace(self) -> str | None:
        """The mesh's root namespace, None where it is not known."""
        namespace = None if self.egress is None else self.egress.namespace
        return namespace if isinstance(namespace, str) else None


def all_parts(settings: CollectorEgressSettings) -> Parts:
    """All parts of settings that are sound."""
    url, way, labels = settings.collector_url, settings.egress, settings.common_labels
    if isinstance(settings, TrafficCaptureSettings):
        workloads: dict[tuple[Path, str], Workload] = {
            (("workloads", name), name): workload for name, workload in settings.workloads.items()
        }
        return Parts(url, way, settings.sensor_id, settings.capture, labels, workloads)
    if isinstance(settings, WorkloadCaptureSettings):
        return Parts(url, way, settings.sensor_id, Capture(), labels, {((), settings.workload): settings})
    return Parts(url, way, common_labels=labels)


def sound_parts(values: Mapping[str, Any], error: ValidationError, spelling: Spelling) -> Parts:
    """The parts of what a user wrote in which there is no mistake.

    Args:
        values: what the user wrote.
        error: what is wrong with it.
        spelling: how the keys are written.
    """
    broken = {mistake["loc"][:1] for mistake in error.errors()} | {
        mistake["loc"][:2] for mistake in error.errors()
    }

    def sound(field_name: str, default: Any) -> Any:
        key = spelled(field_name, spelling)
        return None if (key,) in broken else values.get(key, default)

    way, capture, workloads = sound("egress", {}), sound("capture", {}), values.get("workloads")
    return Parts(
        url=sound("collector_url", None),
        egress=None if way is None else parse(Egress, way, spelling),
        capture=None if capture is None else parse(Capture, capture, spelling),
        common_labels=sound("common_labels", {}),
        workloads={
            (("workloads", name), name): parse(Workload, workload, spelling)
            for name, workload in (workloads.items() if isinstance(workloads, dict) else ())
            if ("workloads", name) not in broken
        },
    )
