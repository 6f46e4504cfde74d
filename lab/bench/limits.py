"""The limits that we set ourselves, and what was measured of them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from .results import Sample, Spread, over, ratio
from .variants import EMPTY, GUIDE, OURS, OVER_BUDGET, TRACER, UNSAMPLED

IDLE_LIMIT_MB, IDLE_GOAL_MB = 60, 40
"""What idle filter chains may add to Envoy's memory, in 10^6 bytes."""


@dataclass(frozen=True)
class Limit:
    """What a variant may cost at most.

    Attributes:
        scenario: its name.
        variant: its name.
        reference: the variant that it is compared with: what it adds, as a multiple of what that adds. For
            `EMPTY`, the microseconds beyond that.
        most: the limit.
        goal: what we aim at.
        reference_scenario: where the reference runs; None: in the same scenario.
    """

    scenario: str
    variant: str
    reference: str
    most: float
    goal: float
    reference_scenario: str | None = None

    def measured(self, samples: Sequence[Sample]) -> Spread | None:
        """What the variant costs; None if the run does not say it."""
        if self.reference == EMPTY:
            return over(samples, self.scenario, self.variant, EMPTY)
        return ratio(samples, self.scenario, self.variant, self.reference, self.reference_scenario)


LIMITS = (
    Limit("250 B, 16 connections", OURS, GUIDE, 0.16, 0.10),
    Limit("4 KB, 16 connections", OURS, GUIDE, 0.17, 0.10),
    Limit("64 KB, 16 connections", OURS, GUIDE, 0.17, 0.10),
    Limit("250 B, 1 connection", OURS, GUIDE, 0.40, 0.40),
    Limit("250 B, 16 connections", OURS, TRACER, 2.0, 1.5),
    Limit("250 B, 16 connections", UNSAMPLED, EMPTY, 5, 5),
    Limit("250 B, 16 connections", OVER_BUDGET, EMPTY, 8, 4),
    Limit("64 KB in gzip, 16 connections", OURS, OURS, 2.0, 2.0, "64 KB, 16 connections"),
)


def beside_guide(scenario: str) -> Limit | None:
    """The limit of what ours adds in a scenario beside what the guide's script adds; None if it has none."""
    compared = (scenario, OURS, GUIDE)
    return next((each for each in LIMITS if (each.scenario, each.variant, each.reference) == compared), None)
