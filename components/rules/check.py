"""From what a user wrote to settings that hold together, and the collector that they describe. Pure.

This is the only place where settings are parsed. Everything that is wrong is told at once: in the parts, by
their types and bounds, and between those parts that are sound by themselves. Outputs are passed through.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from ..istio import endpoint
from ..istio.endpoint import Collector, EndpointError
from ..settings.models import CollectorEgressSettings
from ..settings.validation import Problem, SettingsError, Spelling, explain, in_words, parse
from . import compatibility, egress, extensions, gateways, overlaps, own_labels, targets
from .parts import all_parts, sound_parts

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
    collector: Collector | None = None
    between: list[Problem] = []
    try:
        settings = parse(model, complete, spelling)
        sound, refusals = all_parts(settings), list[str]()
    except ValidationError as error:
        sound = sound_parts(complete if is_mapping else {}, error, spelling)
        refusals = explain(model, error, spelling)
    try:
        if sound.url is not None and sound.egress is not None:
            collector = endpoint.collector(sound.url, sound.egress)
        elif sound.url is not None:
            endpoint.parse_url(sound.url)
    except EndpointError as error:
        between += error.problems

    between += compatibility.problems(sound)
    between += own_labels.problems(sound)
    for (path, _), item in sound.workloads.items():
        between += targets.problems(path, item, sound.egress, collector)
        between += extensions.problems(path, item, sound, collector)
        between += gateways.problems(path, item)
        if collector is not None:
            between += egress.problems(path, item, sound.egress, collector)
    between += overlaps.problems(sound.workloads, sound.root_namespace)

    refusals += [in_words(model, problem, spelling) for problem in between if not problem.is_warning]
    if settings is None or collector is None or refusals:
        raise SettingsError(refusals)
    return Checked(
        settings,
        collector,
        warnings=tuple(in_words(model, problem, spelling) for problem in between),
        given=values if spelling is Spelling.PYTHON else None,
    )
