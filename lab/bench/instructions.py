"""What a request costs in instructions and cache misses: one variant after the other, under callgrind."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import callgrind, measure
from .callgrind import Counter, Counts
from .measure import BenchError, Ends, Report
from .scenarios import SMALL
from .variants import EMPTY, GUIDE, OURS, TRACER, Variant, api_alone, compared

SCENARIO = SMALL
WARM_UP_REQUESTS = 5000  # until LuaJIT has compiled what runs often
COUNTED_REQUESTS = 1000

_WARM_UP_SECONDS, _MOST_TURNS = 30, 60
_TIMEOUT_SECONDS = 60  # the first requests wait until Valgrind has translated what they run


def variants() -> list[Variant]:
    """What is counted."""
    named = {variant.name: variant for variant in compared(None)}
    return [named[EMPTY], named[TRACER], api_alone(), named[OURS], named[GUIDE]]


async def per_request(
    valgrind: Path, ends: Ends, counted: Sequence[Variant], report: Report
) -> dict[str, Counts]:
    """The counts of a request, by variant.

    Args:
        valgrind: its path.
        ends: of all Envoys.
        counted: the variants, in the order in which they run.
        report: told which variant runs, and how many requests were answered.

    Raises:
        BenchError: a variant does not do its work.
        CallgrindError: Valgrind does not do its work.
        EnvoyError: a variant does not start.
    """
    result = {}
    for number, variant in enumerate(counted, 1):
        tell = partial(report, f"{SCENARIO.name}, variant {number} of {len(counted)}", variant.name)
        tell(0)
        async with callgrind.running(valgrind, ends.bootstrap(variant)) as counter:
            result[variant.name] = await _Run(ends, variant, counter, tell).per_request()
    return result


@dataclass(frozen=True)
class _Run:
    """A running variant."""

    ends: Ends
    variant: Variant
    counter: Counter
    tell: Callable[[int], None]

    async def per_request(self) -> Counts:
        proxy = self.counter.proxy
        started = time.monotonic()
        await self._requests(WARM_UP_REQUESTS, _WARM_UP_SECONDS)
        warm_up_seconds = time.monotonic() - started
        await measure.check_work(self.variant, proxy)  # not later: its statistics take instructions
        logged = proxy.log()  # no matter what: exports may time out while the first requests wait
        await self.counter.zero()
        # When a turn ends, wrk drops the requests under way: their instructions count, and they do not. So
        # one turn is to be long enough for all, at the pace of the warm-up.
        seconds = math.ceil(warm_up_seconds * COUNTED_REQUESTS / WARM_UP_REQUESTS)
        answered = await self._requests(COUNTED_REQUESTS, seconds)
        counts = await self.counter.counts()
        measure.check_log(self._name, proxy, after=logged)
        return counts / answered

    @property
    def _name(self) -> str:
        return f"{self.variant.name}, under callgrind"

    async def _requests(self, least: int, seconds: int) -> int:
        """Send requests, for so many seconds and again, until enough were answered. Returns how many were."""
        answered = 0
        for _ in range(_MOST_TURNS):
            load = await self.ends.load(SCENARIO, self.counter.proxy, seconds, _TIMEOUT_SECONDS)
            measure.check_load(self._name, load, self.counter.proxy, least=0)
            self.tell(min(load.requests, least - answered))
            answered += load.requests
            if answered >= least:
                return answered
        raise BenchError(f"{self._name}: only {answered} requests were answered in {_MOST_TURNS * seconds} s")
