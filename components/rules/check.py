"""From what a user wrote to settings that hold together, and the collector that they describe. Pure.

This is the only place where settings are parsed. Everything that is wrong is told at once: in the parts, by
their types and bounds, and between those parts that are sound by themselves. Outputs are passed through.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from ..istio import endpoint
from ..istio.endpoint import Collector, EndpointError
from ..settings.models import (
    Capture,
    CollectorEgressSettings,
    Egress,
    TrafficCaptureSettings,
    Workload,
    WorkloadCaptureSettings,
)
from ..settings.validation import (
    Path,
    Problem,
    SettingsError,
    Spelling,
    explain,
    format_path,
    in_words,
    parse,
    spelled,
)
from . import egress, exports, extensions, overlaps, targets

SettingsT = TypeVar("SettingsT", bound=CollectorEgressSettings)


@dataclass(frozen=True)
class Checked(Generic[SettingsT]):
    """Settings that hold together. A component hands its children theirs in this form.

    Attributes:
        settings: the settings.
        collector: the collector that they describe: one for a whole stack.
        warnings: what is allowed and the user should know, a line each.
        given: the arguments in Python's spelling, as the user wrote them; None where the settings come from
            elsewhere.
    """

    settings: SettingsT
    collector: Collector
    warnings: tuple[str, ...] = ()
    given: Mapping[str, Any] | None = None

    @property
    def inputs(self) -> dict[str, Any]:
        """What a component registers as its inputs: what was given, defaults left out."""
        return self.settings.model_dump(exclude_unset=True) if self.given is None else {**self.given}


@dataclass(frozen=True)
class _Parts:
    """The parts of the settings that are sound by themselves: the rules between them can be checked.

    Attributes:
        url: the collector's URL.
        egress: its egress settings.
        sensor_id: the sensor.
        capture: capture settings of all workloads.
        workloads: by their place in the settings and their name.
    """

    url: str | None = None
    egress: Egress | None = None
    sensor_id: str | None = None
    capture: Capture | None = None
    workloads: Mapping[tuple[Path, str], Workload] = field(default_factory=dict)


def check(
    model: type[SettingsT],
    values: Mapping[str, Any],
    spelling: Spelling = Spelling.PYTHON,
    *,
    workload: str | None = None,
) -> Checked[SettingsT]:
    """Settings from what a user wrote.

    Args:
        model: what the settings are of.
        values: what the user wrote.
        spelling: how the keys are written.
        workload: of `WorkloadCaptureSettings`: the workload's name where ``values`` has none.

    Raises:
        SettingsError: with everything that is wrong.
    """
    is_mapping = isinstance(values, Mapping)
    complete = {"workload": workload, **values} if workload is not None and is_mapping else values
    settings: SettingsT | None = None
    try:
        settings = parse(model, complete, spelling)
        parts, problems = _all_parts(settings), list[str]()
    except ValidationError as error:
        parts = _sound_parts(complete if is_mapping else {}, error, spelling)
        problems = explain(model, error, spelling)
    collector, between = _collector(parts)
    between += _problems(parts, collector)
    problems += [in_words(model, problem, spelling) for problem in between]
    if settings is None or collector is None or problems:
        raise SettingsError(problems)
    warnings = [
        *egress.warnings(parts.workloads, settings.egress, collector),
        *overlaps.warnings(parts.workloads),
    ]
    return Checked(
        settings,
        collector,
        warnings=tuple(f"{format_path(path)}: {text}" for path, text in warnings),
        given=values if spelling is Spelling.PYTHON else None,
    )


def _all_parts(settings: CollectorEgressSettings) -> _Parts:
    url, way = settings.collector_url, settings.egress
    if isinstance(settings, TrafficCaptureSettings):
        workloads: dict[tuple[Path, str], Workload] = {
            (("workloads", name), name): workload for name, workload in settings.workloads.items()
        }
        return _Parts(url, way, settings.sensor_id, settings.capture, workloads)
    if isinstance(settings, WorkloadCaptureSettings):
        return _Parts(url, way, settings.sensor_id, Capture(), {((), settings.workload): settings})
    return _Parts(url, way)


def _sound_parts(values: Mapping[str, Any], error: ValidationError, spelling: Spelling) -> _Parts:
    broken = {mistake["loc"][:1] for mistake in error.errors()} | {
        mistake["loc"][:2] for mistake in error.errors()
    }

    def sound(field_name: str, default: Any) -> Any:
        key = spelled(field_name, spelling)
        return None if (key,) in broken else values.get(key, default)

    way, capture, workloads = sound("egress", {}), sound("capture", {}), values.get("workloads")
    return _Parts(
        url=sound("collector_url", None),
        egress=None if way is None else parse(Egress, way, spelling),
        capture=None if capture is None else parse(Capture, capture, spelling),
        workloads={
            (("workloads", name), name): parse(Workload, workload, spelling)
            for name, workload in (workloads.items() if isinstance(workloads, dict) else ())
            if ("workloads", name) not in broken
        },
    )


def _collector(parts: _Parts) -> tuple[Collector | None, list[Problem]]:
    try:
        if parts.url is not None and parts.egress is not None:
            return endpoint.collector(parts.url, parts.egress), []
        if parts.url is not None:
            endpoint.parse_url(parts.url)
    except EndpointError as error:
        return None, list(error.problems)
    return None, []


def _problems(parts: _Parts, collector: Collector | None) -> Iterator[Problem]:
    yield from _encoding_problems(parts)
    for (path, _), workload in parts.workloads.items():
        yield from targets.problems(path, workload, parts.egress, collector)
        yield from extensions.direction_problems(path, workload)
        if collector is None:
            continue
        yield from egress.problems(path, workload, parts.egress, collector)
        if parts.capture is not None and parts.sensor_id is not None:
            capture = parts.capture.overridden_by(workload.capture)
            yield from extensions.size_problems(path, workload, capture, parts.sensor_id, collector)
    yield from overlaps.problems(parts.workloads, _root_namespace(parts.egress))


def _encoding_problems(parts: _Parts) -> Iterator[Problem]:
    """Those of the stack's settings, else those that a workload's own settings add."""
    if parts.capture is None:
        return
    of_stack = list(exports.encoding_problems(("capture",), parts.capture))
    yield from of_stack
    for (path, _), workload in parts.workloads.items() if not of_stack else ():
        capture = parts.capture.overridden_by(workload.capture)
        yield from exports.encoding_problems((*path, "capture"), capture)


def _root_namespace(way: Egress | None) -> str | None:
    return way.namespace if way is not None and isinstance(way.namespace, str) else None
