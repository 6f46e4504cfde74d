"""What was measured, and what it says: medians, and ratios of neighbours. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from .variants import GUIDE, NO_FILTER, TRACER


@dataclass(frozen=True)
class Sample:
    """One variant in one round of one scenario.

    Attributes:
        scenario: its name.
        round: its number, from 0.
        variant: its name.
        requests: that were answered.
        cpu_us: CPU time of Envoy per request, user and system.
        requests_per_second: throughput.
        p50_us: median latency at the client.
        p99_us: 99th percentile of it.
        resident_mb: memory of Envoy at the end, in 10^6 bytes.
        exports: requests to the collector, or calls of the external processor.
        egress_bytes: that went there.
        refused_exports: of these, those that the limits of its connection pool refused.
    """

    scenario: str
    round: int
    variant: str
    requests: int
    cpu_us: float
    requests_per_second: float
    p50_us: int
    p99_us: int
    resident_mb: float
    exports: int
    egress_bytes: int
    refused_exports: int


class Spread(NamedTuple):
    """The middle and the ends of some values."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of one value or more."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """One variant in one scenario, over all rounds.

    Attributes:
        variant: its name.
        cpu_us: median CPU time per request.
        added_us: what it adds to no filter's; None without that.
        of_guide: what it adds, as a share of what the guide's script adds; None without a measurable cost.
        of_tracer: the same to Envoy's tracer.
        requests_per_second: median.
        p50_us: median.
        p99_us: median.
        resident_mb: the most.
        exports_per_request: requests to the collector for each captured one.
        egress_per_request: bytes to the collector for each captured request.
        refused_exports: in all rounds.
    """

    variant: str
    cpu_us: float
    added_us: Spread | None
    of_guide: Spread | None
    of_tracer: Spread | None
    requests_per_second: float
    p50_us: float
    p99_us: float
    resident_mb: float
    exports_per_request: float
    egress_per_request: float
    refused_exports: int


def rows(samples: Sequence[Sample], scenario: str) -> list[Row]:
    """One row for each variant, in the order in which they ran."""
    names = dict.fromkeys(sample.variant for sample in samples if sample.scenario == scenario)
    return [_row(samples, scenario, name) for name in names]


def over(samples: Sequence[Sample], scenario: str, variant: str, reference: str) -> Spread | None:
    """CPU time of a variant beyond that of another one, in microseconds; None if a variant did not run."""
    differences = _over(samples, scenario, variant, reference)
    return Spread.of(list(differences.values())) if differences else None


def ratio(
    samples: Sequence[Sample],
    scenario: str,
    variant: str,
    reference: str,
    reference_scenario: str | None = None,
) -> Spread | None:
    """What a variant adds to no filter, as a multiple of what another one adds; None if that adds nothing.

    Of neighbours, round by round: what disturbs one mostly disturbs the other too.

    Args:
        samples: of all scenarios.
        scenario: of the variant.
        variant: its name.
        reference: the other one's name.
        reference_scenario: the other one's scenario; None: the same.
    """
    added = _over(samples, scenario, variant, NO_FILTER)
    base = _over(samples, reference_scenario or scenario, reference, NO_FILTER)
    ratios = [added[number] / base[number] for number in added.keys() & base.keys() if base[number] > 0]
    return Spread.of(ratios) if ratios else None


def _row(samples: Sequence[Sample], scenario: str, variant: str) -> Row:
    own = [sample for sample in samples if (sample.scenario, sample.variant) == (scenario, variant)]
    requests = sum(sample.requests for sample in own)
    return Row(
        variant=variant,
        cpu_us=median(sample.cpu_us for sample in own),
        added_us=over(samples, scenario, variant, NO_FILTER),
        of_guide=ratio(samples, scenario, variant, GUIDE),
        of_tracer=ratio(samples, scenario, variant, TRACER),
        requests_per_second=median(sample.requests_per_second for sample in own),
        p50_us=median(sample.p50_us for sample in own),
        p99_us=median(sample.p99_us for sample in own),
        resident_mb=max(sample.resident_mb for sample in own),
        exports_per_request=sum(sample.exports for sample in own) / requests,
        egress_per_request=sum(sample.egress_bytes for sample in own) / requests,
        refused_exports=sum(sample.refused_exports for sample in own),
    )


def _over(samples: Sequence[Sample], scenario: str, variant: str, reference: str) -> dict[int, float]:
    """CPU time of a variant beyond that of another one in the same round, by round."""
    cpu_us = {
        (sample.variant, sample.round): sample.cpu_us for sample in samples if sample.scenario == scenario
    }
    return {
        number: value - cpu_us[reference, number]
        for (name, number), value in cpu_us.items()
        if name == variant and (reference, number) in cpu_us
    }
