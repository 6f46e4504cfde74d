"""From what a user wrote to settings that hold together, and the collector that they describe. Pure.

This is the only place where settings are parsed. Everything that is wrong is told at once: what breaks the
types and bounds of a part, and what does not go together in the parts that are sound by themselves. Outputs
are passed through.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from ..istio import endpoint
from ..istio.endpoint import Collector, EndpointError
from ..settings.models import CollectorEgressSettings
from ..settings.validation import Problem, SettingsError, Spelling, explain, in_words, parse
from . import compatibility, egress, extensions, gateways, overlaps, own_labels, targets
from .parts import Parts, all_parts, sound_parts

SettingsT = TypeVar("SettingsT", bound=CollectorEgressSettings)


@dataclass(frozen=True)
class Checked(Generic[SettingsT]):
    """Settings that hold together. A component hands its children theirs in this form.

    Attributes:
        settings: the settings.
        collector: the collector that they describe: one for a whole stack.
        warnings: what is allowed and the user should know, a line each.
        given: the arguments as the user wrote them, in Python's spelling; None for a stack's configuration,
            and for settings that another component has checked.
    """

    settings: SettingsT
    collector: Collector
    warnings: tuple[str, ...] = ()
    given: Mapping[str, Any] | None = None

    @property
    def inputs(self) -> dict[str, Any]:
        """What a component registers as its inputs: what was given, defaults left out."""
        return self.settings.model_dump(exclude_unset=True) if self.given is None else {**self.given}


def check(
    model: type[SettingsT],
    values: Mapping[str, Any],
    spelling: Spelling = Spelling.PYTHON,
    *,
    workload: str | None = None,
) -> Checked[SettingsT]:
    """Settings from what a user wrote.

    Args:
        model: which settings they are.
        values: what the user wrote.
        spelling: how the keys are written.
        workload: the workload's name if ``values`` has none; only for `WorkloadCaptureSettings`.

    Raises:
        SettingsError: with everything that is wrong.
    """
    is_mapping = isinstance(values, Mapping)
    complete = {"workload": workload, **values} if workload is not None and is_mapping else values
    settings: SettingsT | None = None
    try:
        settings = parse(model, complete, spelling)
        parts, refusals = all_parts(settings), list[str]()
    except ValidationError as error:
        parts = sound_parts(complete if is_mapping else {}, error, spelling)
        refusals = explain(model, error, spelling)
    collector, problems = _collector(parts)
    problems += _problems_between(parts, collector)

    refusals += [in_words(model, problem, spelling) for problem in problems if not problem.is_warning]
    if settings is None or collector is None or refusals:
        raise SettingsError(refusals)
    return Checked(
        settings,
        collector,
        warnings=tuple(in_words(model, problem, spelling) for problem in problems),
        given=values if spelling is Spelling.PYTHON else None,
    )


def _collector(parts: Parts) -> tuple[Collector | None, list[Problem]]:
    """The collector, None if the settings do not describe one; and what is wrong with it."""
    try:
        if parts.url is not None and parts.egress is not None:
            return endpoint.collector(parts.url, parts.egress), []
        if parts.url is not None:
            endpoint.parse_url(parts.url)  # Its mistakes are told even if the egress settings are wrong.
    except EndpointError as error:
        return None, [*error.problems]
    return None, []


def _problems_between(parts: Parts, collector: Collector | None) -> Iterator[Problem]:
    """What is wrong between parts that are sound by themselves, and what the user should know."""
    yield from compatibility.problems(parts)
    yield from own_labels.problems(parts)
    for (path, _), workload in parts.workloads.items():
        yield from targets.problems(path, workload, parts.egress, collector)
        yield from extensions.problems(path, workload, parts, collector)
        yield from gateways.problems(path, workload)
        if collector is not None:
            yield from egress.problems(path, workload, parts.egress, collector)
    yield from overlaps.problems(parts.workloads, parts.root_namespace)
