"""What is to be declared, decided and checked before anything is. Pure; Outputs are passed through.

Each function takes what a user wrote and returns settings that hold together, with the collector that they
describe, or raises one :class:`~.validation.SettingsError` with everything that is wrong, in the parts and
between them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from ..args import TrafficCaptureArgs
from ..istio import endpoint, script
from ..istio.endpoint import Collector, EndpointError
from ..istio.manifests import MAX_INLINE_CODE_BYTES
from ..settings.models import (
    FILTER_NAME_PREFIX,
    Capture,
    CollectorEgressSettings,
    Direction,
    Egress,
    Location,
    Mechanism,
    TrafficCaptureSettings,
    Workload,
    WorkloadCaptureSettings,
)
from ..settings.validation import (
    Path,
    Problem,
    Secret,
    SettingsError,
    Spelling,
    deprecated,
    explain,
    format_path,
    in_words,
    is_output,
    object_keys,
    parse,
    spelled,
)
from . import overlaps, targets

SettingsT = TypeVar("SettingsT", bound=CollectorEgressSettings)


def collector_egress(
    values: Mapping[str, Any], spelling: Spelling = Spelling.PYTHON
) -> tuple[CollectorEgressSettings, Collector]:
    """Settings of ``CollectorEgress``."""
    return _plan(CollectorEgressSettings, values, spelling)


def workload_capture(
    values: Mapping[str, Any], name: str, spelling: Spelling = Spelling.PYTHON
) -> tuple[WorkloadCaptureSettings, Collector]:
    """Settings of ``WorkloadCapture``; the workload is called ``name`` where they do not say otherwise."""
    return _plan(WorkloadCaptureSettings, {"workload": name, **values}, spelling)


def traffic_capture(
    values: Mapping[str, Any], spelling: Spelling = Spelling.PYTHON
) -> tuple[TrafficCaptureSettings, Collector]:
    """Settings of ``TrafficCapture``."""
    return _plan(TrafficCaptureSettings, values, spelling)


def stack_config(
    config: Mapping[str, str], secrets: AbstractSet[str], misplaced: Sequence[str] = ()
) -> TrafficCaptureArgs:
    """The arguments of ``TrafficCapture`` from a stack's configuration.

    Args:
        config: the project's own keys, without its name, as the engine hands them over: objects as JSON.
        secrets: those of the keys that hold a secret, at any depth.
        misplaced: what :func:`misplaced_keys` found.

    Raises:
        SettingsError: with the keys as the stack file spells them.
    """
    objects = object_keys(TrafficCaptureSettings, Spelling.CONFIG)
    values = {key: _decoded(text) if key in objects else text for key, text in config.items()}
    values |= {key: _with_secrets(config[key]) for key in secrets}
    try:
        settings, _ = traffic_capture(values, Spelling.CONFIG)
    except SettingsError as error:
        raise SettingsError([*misplaced, *error.problems]) from None
    if misplaced:
        raise SettingsError([*misplaced])
    return cast("TrafficCaptureArgs", settings.model_dump(exclude_unset=True))


def misplaced_keys(keys: Iterable[str], project: str) -> list[str]:
    """What is wrong with keys of other namespaces than the project's, which nobody reads.

    Args:
        keys: all keys of a stack's configuration, as ``namespace:name``.
        project: the project's name, the namespace of its own keys.
    """
    own = {spelled(name, Spelling.CONFIG) for name in TrafficCaptureSettings.model_fields}
    return [
        f"{key}: nobody reads this key, did you mean {project}:{name}?"
        for key in keys
        for namespace, _, name in [key.rpartition(":")]
        if namespace != project and name in own
    ]


def _decoded(text: str) -> Any:
    try:
        return json.loads(text or "null")  # the engine's text for nothing at all
    except (json.JSONDecodeError, RecursionError):
        return text


def _with_secrets(text: str) -> Any:
    """The value of a key that holds a secret, with each one told apart where they are still encrypted."""
    found = []

    def encrypted(item: dict[str, Any]) -> Any:
        if item.keys() != {"secure"}:
            return item
        found.append(Secret())
        return found[-1]

    try:
        value = json.loads(text, object_hook=encrypted)
    except (json.JSONDecodeError, RecursionError):
        return Secret()
    return value if found else Secret()


def filter_name(workload: str, settings: Workload) -> Any:
    """The name of the object that carries a workload's script; an Output where it was given as one."""
    return f"{FILTER_NAME_PREFIX}{workload}" if settings.filter_name is None else settings.filter_name


def warnings(settings: TrafficCaptureSettings, collector: Collector) -> list[str]:
    """What the user should know about captures that are allowed, a line each."""
    workloads = _all_parts(settings).workloads
    found = [
        Problem(
            path,
            "captures every pod of the mesh; keep the collector's own pods out of it "
            "(no sidecar in them), or each captured call is captured again when it arrives there",
        )
        for (path, _), workload in workloads.items()
        if collector.location is Location.MESH
        and _captures_all_inbound(workload)
        and workload.namespace == settings.egress.namespace
    ]
    found += [
        Problem(path, "captures every pod of its namespace; say labels, or `labels: {}` if all are meant")
        for (path, _), workload in workloads.items()
        if not {"labels", "target_refs"} & workload.model_fields_set
    ]
    # Both spellings of these paths are the same.
    return [
        *deprecations(settings),
        *(f"{format_path(path)}: {text}" for path, text in (*found, *overlaps.warnings(workloads))),
    ]


def deprecations(settings: CollectorEgressSettings) -> list[str]:
    """What of the settings will go away, a line each, in the spelling of a stack file."""
    return deprecated(settings, Spelling.CONFIG)


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


def _plan(
    model: type[SettingsT], values: Mapping[str, Any], spelling: Spelling
) -> tuple[SettingsT, Collector]:
    settings: SettingsT | None = None
    try:
        settings = parse(model, values, spelling)
        parts, problems = _all_parts(settings), list[str]()
    except ValidationError as error:
        values = values if isinstance(values, Mapping) else {}
        parts, problems = _sound_parts(values, error, spelling), explain(model, error, spelling)
    collector, between = _collector(parts)
    for (path, _), workload in parts.workloads.items():
        between += _workload_problems(path, workload, parts, collector)
    between += _repeated_names(parts.workloads)
    between += overlaps.problems(parts.workloads, _root_namespace(parts.egress))
    problems += [in_words(model, problem, spelling) for problem in between]
    if settings is None or collector is None or problems:
        raise SettingsError(problems)
    return settings, collector


def _all_parts(settings: CollectorEgressSettings) -> _Parts:
    url, egress = settings.collector_url, settings.egress
    if isinstance(settings, TrafficCaptureSettings):
        workloads: dict[tuple[Path, str], Workload] = {
            (("workloads", name), name): workload for name, workload in settings.workloads.items()
        }
        return _Parts(url, egress, settings.sensor_id, settings.capture, workloads)
    if isinstance(settings, WorkloadCaptureSettings):
        return _Parts(url, egress, settings.sensor_id, Capture(), {((), settings.workload): settings})
    return _Parts(url, egress)


def _sound_parts(values: Mapping[str, Any], error: ValidationError, spelling: Spelling) -> _Parts:
    broken = {mistake["loc"][:1] for mistake in error.errors()} | {
        mistake["loc"][:2] for mistake in error.errors()
    }

    def sound(field_name: str, default: Any) -> Any:
        key = spelled(field_name, spelling)
        return None if (key,) in broken else values.get(key, default)

    egress, capture, workloads = sound("egress", {}), sound("capture", {}), values.get("workloads")
    return _Parts(
        url=sound("collector_url", None),
        egress=None if egress is None else parse(Egress, egress, spelling),
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


def _workload_problems(
    path: Path, workload: Workload, parts: _Parts, collector: Collector | None
) -> Iterator[Problem]:
    yield from targets.problems(path, workload, parts.egress, collector)
    is_extension = workload.mechanism is Mechanism.TRAFFIC_EXTENSION
    if is_extension and len(workload.directions) > 1:
        yield Problem(
            (*path, "directions"),
            f"got {_names(workload.directions)}, expected one of them with TrafficExtension, which holds one "
            "script: make a workload of each",
        )
    if collector is None:
        return
    if _captures_all_inbound(workload) and workload.namespace == collector.namespace:
        yield Problem(
            (*path, "namespace"),
            f"got {workload.namespace!r} without labels, which captures the collector's own pods, and each "
            "captured call again: say by labels which pods to capture",
        )
    if parts.egress is not None and not _sees_collector(workload, parts.egress):
        yield Problem(
            (*path, "namespace"),
            f"got {workload.namespace!r}, expected one that the collector's entry is exported to "
            f"({_names(parts.egress.export_to or [])}), or spans would be dropped",
        )
    if is_extension and parts.capture is not None and parts.sensor_id is not None:
        size = len(
            script.render(
                parts.capture.overridden_by(workload.capture),
                sensor_id=parts.sensor_id,
                collector=collector,
                direction=workload.directions[0],
            ).text.encode()
        )
        if size > MAX_INLINE_CODE_BYTES:
            yield Problem(
                (*path, "mechanism"),
                f"got a script of {size} bytes, expected at most {MAX_INLINE_CODE_BYTES}: "
                "shorten its lists, or use EnvoyFilter",
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


def _repeated_names(workloads: Mapping[tuple[Path, str], Workload]) -> Iterator[Problem]:
    seen: dict[tuple[Any, ...], str] = {}
    for (path, name), workload in workloads.items():
        object_name = filter_name(name, workload)
        if is_output(object_name) or is_output(workload.namespace):
            continue
        first = seen.setdefault((workload.mechanism, workload.namespace, object_name), name)
        if first != name:
            yield Problem(
                (*path, "filter_name"),
                f"got {object_name!r}, expected a name of its own: {first} in the same namespace has it",
            )


def _root_namespace(egress: Egress | None) -> str | None:
    return egress.namespace if egress is not None and isinstance(egress.namespace, str) else None


def _names(values: list[Any]) -> str:
    return ", ".join(values)
