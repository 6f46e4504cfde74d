"""Interleaved turns: every variant runs for a moment, one after the other, and again."""

import gzip
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lab import envoy
from lab.bootstrap import Json
from lab.envoy import Envoy
from lab.server import LOOPBACK
from lab.usage import cpu_seconds, resident

from . import wrk
from .results import Sample
from .scenarios import SCENARIOS, Scenario, Turn
from .variants import LISTENER, PROCESSED_ENVOY, Answer, Variant, document, sinks
from .wrk import Load

IDLE_CHAINS = 100
IDLE_WORKERS = 2

_WARM_UP_SECONDS = 1
_EXPORTS, _REFUSED = "upstream_rq_total", "upstream_rq_pending_overflow"
_EGRESS = "upstream_cx_tx_bytes_total"
_STATS = rf"^cluster\..*\.({_EXPORTS}|{_REFUSED}|{_EGRESS})$|\.lua\..*errors$|\.ext_proc\.streams_failed$"
_ERRORS = ("errors", "streams_failed")
_WARNING = "script log"  # the start of what a script logs: ours warns where it fails
_PATH = "/api/orders/"


class Report(Protocol):
    """Somebody who wants to know how far it is."""

    def __call__(self, what: str, variant: str, /, steps: int = 1) -> None:
        """Take what runs now, of which variant, and by how many steps the work has advanced."""


class BenchError(Exception):
    """A variant did not do what is to be measured. The message is one line."""


@dataclass(frozen=True)
class Ends:
    """What stands at both ends of a variant's Envoy: the load generator and the sinks.

    Attributes:
        wrk_path: of the load generator.
        sink: the Envoy that answers.
        bodies: a folder of folders: the bodies of requests, by the end of the path that they go to.
    """

    wrk_path: str
    sink: Envoy
    bodies: Path

    def bootstrap(self, variant: Variant) -> Json:
        """The configuration of the variant's Envoy."""
        ports = self.sink.ports
        return variant.bootstrap(app_port=ports["app"], collector_port=ports["collector"])

    async def load(
        self, scenario: Scenario, proxy: Envoy, seconds: int, timeout_seconds: int = wrk.TIMEOUT_SECONDS
    ) -> Load:
        """Send requests through a variant's Envoy.

        Args:
            scenario: what to send.
            proxy: the Envoy.
            seconds: how long.
            timeout_seconds: an answer that takes longer counts as failed.

        Raises:
            WrkError: wrk failed.
        """
        kind = _kind(scenario)
        url = f"http://{LOOPBACK}:{proxy.ports[f'{LISTENER}-0']}{_PATH}{kind}"
        return await wrk.run(
            self.wrk_path, scenario, url, self.bodies / kind, seconds, timeout_seconds=timeout_seconds
        )


@dataclass(frozen=True)
class Bench:
    """Running Envoys, one for each variant, with one worker each.

    Attributes:
        ends: of all of them.
        envoys: in the order in which they run.
    """

    ends: Ends
    envoys: Sequence[tuple[Variant, Envoy]]

    async def warm_up(self, scenario: Scenario, report: Report) -> None:
        """Run every variant once, longer than LuaJIT takes to compile, and see that it does its work.

        Raises:
            BenchError: one does not.
        """
        for variant, proxy in self.envoys:
            report("warm-up", variant.name)
            await self._run(scenario, 0, variant, proxy, _WARM_UP_SECONDS)
            await check_work(variant, proxy)

    async def samples(self, turns: Sequence[Turn], seconds: int, report: Report) -> list[Sample]:
        """Measure.

        Args:
            turns: in order.
            seconds: of each.
            report: told, before each turn, what comes next and for which variant.

        Raises:
            BenchError: a client request failed, or a script raised an error.
        """
        proxies = {variant.name: proxy for variant, proxy in self.envoys}
        samples = []
        for scenario, number, variant in turns:
            report(f"{scenario.name}, round {number + 1}", variant.name)
            samples += await self._run(scenario, number, variant, proxies[variant.name], seconds)
        return samples

    async def _run(
        self, scenario: Scenario, number: int, variant: Variant, proxy: Envoy, seconds: int
    ) -> list[Sample]:
        """One run: a sample, and with a processor another one for Envoy alone."""
        processor = variant.processor
        before = await proxy.stats(_STATS)
        cpu_before = cpu_seconds(proxy.pid)
        processor_before = cpu_seconds(processor.pid) if processor else 0
        load = await self.ends.load(scenario, proxy, seconds)
        cpu = cpu_seconds(proxy.pid) - cpu_before
        processor_cpu = cpu_seconds(processor.pid) - processor_before if processor else 0
        counted = {name: value - before.get(name, 0) for name, value in (await proxy.stats(_STATS)).items()}
        what = f"{variant.name}, {scenario.name}"
        _check_errors(what, counted, proxy)
        check_load(what, load, proxy)
        check_log(what, proxy)
        receiver = f"cluster.{variant.receiver}"
        sample = Sample(
            scenario=scenario.name,
            round=number,
            variant=variant.name,
            requests=load.requests,
            cpu_us=(cpu + processor_cpu) / load.requests * 1e6,
            requests_per_second=load.requests / load.duration_us * 1e6,
            p50_us=load.p50_us,
            p99_us=load.p99_us,
            resident_mb=resident(proxy.pid) / 1e6,
            exports=counted[f"{receiver}.{_EXPORTS}"],
            egress_bytes=counted[f"{receiver}.{_EGRESS}"],
            refused_exports=counted[f"{receiver}.{_REFUSED}"],
        )
        if not processor:
            return [sample]
        return [sample, replace(sample, variant=PROCESSED_ENVOY, cpu_us=cpu / load.requests * 1e6)]


def check_load(what: str, load: Load, proxy: Envoy, *, least: int = 1) -> None:
    """See that requests were answered.

    Args:
        what: ran.
        load: what the client saw.
        proxy: the Envoy.
        least: so many requests have to be answered.

    Raises:
        BenchError: a request failed, or too few were answered.
    """
    if load.failed or load.requests < least:
        why = f"{load.failed} requests failed, {load.requests} were answered"
        raise BenchError(f"{what}: {why}. {_end_of_log(proxy)}")


def check_log(what: str, proxy: Envoy, *, after: str = "") -> None:
    """See that no script warned.

    Args:
        what: ran.
        proxy: the Envoy.
        after: what it had logged before.

    Raises:
        BenchError: one did.
    """
    if _WARNING in proxy.log().removeprefix(after):
        raise BenchError(f"{what}: its script warned. {_end_of_log(proxy)}")


async def check_work(variant: Variant, proxy: Envoy) -> None:
    """See that a variant has exported since it started, or not, as it should, and that no script failed.

    Raises:
        BenchError: it has not.
    """
    counted = await proxy.stats(_STATS)
    _check_errors(variant.name, counted, proxy)
    exports = counted[f"cluster.{variant.receiver}.{_EXPORTS}"]
    if bool(exports) != variant.exports:
        raise BenchError(f"{variant.name}: {exports} requests to {variant.receiver}. {_end_of_log(proxy)}")


def _check_errors(what: str, counted: Mapping[str, int], proxy: Envoy) -> None:
    if any(value for name, value in counted.items() if name.endswith(_ERRORS)):
        why = "its script raised an error, or calls of the processor failed"
        raise BenchError(f"{what}: {why}. {_end_of_log(proxy)}")


@asynccontextmanager
async def running(wrk_path: str, variants: Sequence[Variant]) -> AsyncIterator[Bench]:
    """Run an Envoy for each variant and one for the sinks, for as long as the block lasts.

    Raises:
        EnvoyError: one does not start.
    """
    async with AsyncExitStack() as stack:
        ends = await stack.enter_async_context(running_ends(wrk_path))
        envoys = [
            (variant, await stack.enter_async_context(envoy.running(ends.bootstrap(variant))))
            for variant in variants
        ]
        yield Bench(ends, envoys)


@asynccontextmanager
async def running_ends(wrk_path: str) -> AsyncIterator[Ends]:
    """Run the sinks, and keep the bodies of requests, for as long as the block lasts.

    Raises:
        EnvoyError: the sinks do not start.
    """
    answers = {}
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as name:
        bodies = Path(name)
        for scenario in SCENARIOS:
            kind = _kind(scenario)
            (bodies / kind).mkdir(exist_ok=True)
            for number in range(scenario.bodies):
                (bodies / kind / str(number)).write_bytes(_body(scenario, number))
                answer = Answer(_body(scenario, scenario.bodies + number), scenario.encoding)
                answers[f"{_PATH}{kind}/{number}"] = answer
        async with envoy.running(sinks(answers)) as sink:
            yield Ends(wrk_path, sink, bodies)


async def idle_mb(variant: Variant) -> float:
    """Memory of an Envoy with `IDLE_CHAINS` filter chains and `IDLE_WORKERS` workers, in 10^6 bytes.

    What is resident, without what the allocator holds free: most of that is left from reading a large
    bootstrap, which a proxy of a mesh does not have.

    Raises:
        EnvoyError: it does not start.
    """
    config = variant.bootstrap(app_port=1, collector_port=1, listeners=IDLE_CHAINS)
    async with envoy.running(config, workers=IDLE_WORKERS) as proxy:
        return (resident(proxy.pid) - (await proxy.memory())["pageheap_free"]) / 1e6


def _kind(scenario: Scenario) -> str:
    """What tells its bodies from those of other scenarios."""
    return f"{scenario.body_bytes}.{scenario.encoding}" if scenario.encoding else str(scenario.body_bytes)


def _body(scenario: Scenario, number: int) -> bytes:
    text = document(scenario.body_bytes, number).encode()
    return gzip.compress(text) if scenario.encoding else text


def _end_of_log(proxy: Envoy) -> str:
    lines = proxy.log().splitlines()
    return f"Its log ends with: {lines[-1]}" if lines else "It logged nothing."
