"""The loads, and the order in which they and the variants take turns. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .variants import GUIDE, NO_FILTER, OURS, UNMASKED, Variant

# The filter remembers 256 KiB of harmless texts. Requests and their answers have twice as much, in turn: so
# none of them is remembered when it comes again.
_DIFFERENT_BYTES, _LEAST_BODIES = 2**18, 16


@dataclass(frozen=True)
class Scenario:
    """A load.

    Attributes:
        name: in every table and plot, and unique.
        body_bytes: of each request and each response, before they are compressed.
        connections: that the client keeps busy.
        encoding: how the bodies are compressed; None if they are not.
        variants: the names of those that run; none: all.
        weight: how many rounds it has for each one of another scenario.
        repeats: whether the same body comes again and again, with the same answer.
    """

    name: str
    body_bytes: int
    connections: int
    encoding: Literal["gzip"] | None = None
    variants: Sequence[str] = ()
    weight: int = 1
    repeats: bool = False

    @property
    def bodies(self) -> int:
        """How many different bodies take turns."""
        return 1 if self.repeats else max(_LEAST_BODIES, _DIFFERENT_BYTES // self.body_bytes)


class Turn(NamedTuple):
    """One variant in one round of one scenario."""

    scenario: Scenario
    round: int
    variant: Variant


# What capturing adds to a small body is little beside what disturbs a turn. Only more rounds help.
SMALL = Scenario("250 B, 16 connections", 250, 16, weight=3)
LARGE = Scenario("64 KB, 16 connections", 65536, 16)
# As health checks and clients that poll send it: our filter knows after the first time that it is harmless.
REPEATED = Scenario(
    "4 KB, always the same, 16 connections", 4096, 16, variants=(NO_FILTER, OURS, GUIDE), repeats=True
)
# Only our filter inflates bodies: what other variants add to these says nothing beside it.
COMPRESSED = Scenario(
    "64 KB in gzip, 16 connections", 65536, 16, encoding="gzip", variants=(NO_FILTER, OURS, UNMASKED)
)

# Small bodies come first: the requests that the end of a turn aborts are exported in the next one.
SCENARIOS = (
    Scenario("250 B, 1 connection", 250, 1),
    SMALL,
    Scenario("4 KB, 1 connection", 4096, 1),
    Scenario("4 KB, 16 connections", 4096, 16),
    REPEATED,
    Scenario("64 KB, 1 connection", 65536, 1),
    LARGE,
    COMPRESSED,
)


def turns(scenarios: Sequence[Scenario], variants: Sequence[Variant], number: int) -> list[Turn]:
    """What runs, in order: all variants in each scenario, once or as often as its weight says.

    Args:
        scenarios: what loads.
        variants: in the order in which they run.
        number: how many times all of that ran before.
    """
    return [
        Turn(scenario, number * scenario.weight + more, variant)
        for scenario in scenarios
        for more in range(scenario.weight)
        for variant in variants
        if not scenario.variants or variant.name in scenario.variants
    ]
