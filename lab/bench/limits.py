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
    """

    scenario: str
    variant: str
    reference: str
    most: float
    goal: float

    def measured(self, samples: Sequence[Sample]) -> Spread | None:
        """What the variant costs; None if the run does not say it."""
        compare = over if self.reference == EMPTY else ratio
        return compare(samples, self.scenario, self.variant, self.reference)


LIMITS = (
    Limit("250 B, 16 connections", OURS, GUIDE, 0.16, 0.10),
    Limit("4 KB, 16 connections", OURS, GUIDE, 0.17, 0.10),
    Limit("64 KB, 16 connections", OURS, GUIDE, 0.17, 0.10),
    Limit("250 B, 1 connection", OURS, GUIDE, 0.40, 0.40),
    Limit("250 B, 16 connections", OURS, TRACER, 2.0, 1.5),
    Limit("250 B, 16 connections", UNSAMPLED, EMPTY, 5, 5),
    Limit("250 B, 16 connections", OVER_BUDGET, EMPTY, 8, 4),
)
