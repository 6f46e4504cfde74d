"""The command: ``python -m lab.bench``."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from components.render.program import RenderError
from lab.envoy import EnvoyError
from lab.stack import PROJECT

from . import ablation, callgrind, instructions, measure, processor, report, scenarios, wrk
from .callgrind import CallgrindError, Counts
from .measure import IDLE_CHAINS, IDLE_WORKERS, BenchError, Report
from .processor import Processor, ProcessorError
from .report import Run
from .results import Sample, rows
from .scenarios import COMPRESSED, LARGE, SCENARIOS, SMALL, Scenario
from .variants import EMPTY, GUIDE, NO_FILTER, OURS, Variant, compared

ROUNDS = 5
SECONDS = 1  # the least that wrk runs for: short turns lie close together
QUICK_ROUNDS = 2
QUICK_SCENARIOS = (SMALL, LARGE, COMPRESSED)
ABLATED_SCENARIOS = (SMALL, LARGE)

_PAGE = PROJECT / "docs" / "performance.md"
_RAW = PROJECT / ".cache" / "bench"
_IDLE = f"{IDLE_CHAINS} idle filter chains, {IDLE_WORKERS} workers"
_IDLE_VARIANTS = (NO_FILTER, EMPTY, OURS, GUIDE)
# How long it will be, about:
_BESIDE_TURN_SECONDS = 0.2
_START_SECONDS = 1.5  # with the warm-up
_COUNTED_VARIANT_SECONDS = 180
_LOG_WIDTH = 170  # of the widest table


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        compared: the scenarios of the comparison; none leaves it out.
        ablated: the scenarios of the ablation; none leaves it out.
        rounds: of a scenario with the weight 1.
        seconds: of each turn.
        instructions: whether to count those, and nothing else.
    """

    compared: Sequence[Scenario]
    ablated: Sequence[Scenario]
    rounds: int
    seconds: int
    instructions: bool


@dataclass(frozen=True)
class Results:
    """What was measured.

    Attributes:
        samples: of the comparison.
        idle_mb: memory of idle Envoys, by variant.
        left_out: why the external processor is missing; None where it is there.
        ablation: samples of the ablation.
        instructions: what was counted for a request, by variant.
    """

    samples: Sequence[Sample] = ()
    idle_mb: Mapping[str, float] = field(default_factory=dict)
    left_out: str | None = None
    ablation: Sequence[Sample] = ()
    instructions: Mapping[str, Counts] = field(default_factory=dict)


def main() -> int:
    """The command. Returns its exit status."""
    arguments = _parser().parse_args()
    try:  # before the measurements rather than after; only `make bench` installs it
        from . import plot  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        print(f"bench: {error.name} is missing. Next: `make bench`, which installs it", file=sys.stderr)
        return 1
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    run = Run.now(sys.argv[1:])
    out: Path = arguments.out or (_RAW if arguments.quick else _PAGE.parent)
    try:
        results = asyncio.run(_measure(console, _plan(arguments)))
        _show(console, results)
        _write(console, run, results, out)
    except (BenchError, CallgrindError, EnvoyError, OSError, RenderError, ValueError, wrk.WrkError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 130
    return 0


def _plan(arguments: argparse.Namespace) -> Plan:
    is_part = arguments.ablation or arguments.instructions
    is_ablated = arguments.ablation or not (arguments.quick or arguments.instructions)
    return Plan(
        compared=() if is_part else QUICK_SCENARIOS if arguments.quick else SCENARIOS,
        ablated=ABLATED_SCENARIOS if is_ablated else (),
        rounds=arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS),
        seconds=arguments.seconds,
        instructions=arguments.instructions,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab.bench",
        description="What capturing costs Envoy, against no filter, the guide's script and its own tracer.",
    )
    parser.add_argument(
        "--rounds",
        type=_positive,
        help=f"of each scenario; {SMALL.name}: {SMALL.weight} times as many (default: {ROUNDS})",
    )
    parser.add_argument(
        "--seconds", type=_positive, default=SECONDS, help="of each turn (default: %(default)s)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"two minutes: {QUICK_ROUNDS} rounds, small and 64 KB bodies, no ablation",
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument(
        "--ablation",
        action="store_true",
        help="measure only what each part of the filter costs",
    )
    part.add_argument(
        "--instructions",
        action="store_true",
        help="count instructions and cache misses instead, with Valgrind: a quarter of an hour, in which the "
        "machine may be busy. Rounds and seconds do not matter",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="where performance.md and performance.png go (default: docs; with --quick .cache/bench)",
    )
    return parser


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


async def _measure(console: Console, plan: Plan) -> Results:
    if task := asyncio.current_task():  # ctrl-C does this by itself
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    if plan.instructions:
        return Results(instructions=await _instructions(console))
    ablated = ablation.variants() if plan.ablated else []  # an edit that does not fit is told at once
    results = await _comparison(console, plan) if plan.compared else Results()
    if ablated:
        results = replace(results, ablation=await _samples(console, plan, plan.ablated, ablated))
    return results


async def _comparison(console: Console, plan: Plan) -> Results:
    async with AsyncExitStack() as stack:
        beside, left_out = await _processor(stack)
        if left_out:
            console.print(f"The external processor is left out: {left_out}.")
        variants = compared(beside)
        idle_mb = await _idle_mb(console, variants)
        return Results(await _samples(console, plan, plan.compared, variants), idle_mb, left_out)


async def _processor(stack: AsyncExitStack) -> tuple[Processor | None, str | None]:
    """The running processor, or why it is left out."""
    try:
        return await stack.enter_async_context(processor.running(processor.build())), None
    except ProcessorError as error:
        return None, str(error)


async def _samples(
    console: Console, plan: Plan, loads: Sequence[Scenario], variants: Sequence[Variant]
) -> list[Sample]:
    """The samples of all rounds. Each has new Envoys, as LuaJIT compiles one VM better than another."""
    wrk_path = wrk.find()
    rounds = [scenarios.turns(loads, variants, number) for number in range(plan.rounds)]
    turn_count, start_count = sum(map(len, rounds)), plan.rounds * len(variants)
    seconds = turn_count * (plan.seconds + _BESIDE_TURN_SECONDS) + start_count * _START_SECONDS
    console.print(
        f"{len(variants)} variants, {plan.rounds} rounds: {turn_count} turns of {plan.seconds} s, "
        f"about {_minutes(seconds)}."
    )
    samples = []
    with _progress(console, turn_count + start_count) as tell:
        for turns in rounds:
            async with measure.running(wrk_path, variants) as bench:
                await bench.warm_up(SMALL, tell)
                samples += await bench.samples(turns, plan.seconds, tell)
    return samples


async def _instructions(console: Console) -> dict[str, Counts]:
    valgrind, variants = callgrind.find(), instructions.variants()
    requests = instructions.WARM_UP_REQUESTS + instructions.COUNTED_REQUESTS
    console.print(
        f"{len(variants)} variants under Valgrind, {requests:,} requests each: about "
        f"{_minutes(len(variants) * _COUNTED_VARIANT_SECONDS)}."
    )
    with _progress(console, len(variants) * requests) as tell:
        async with measure.running_ends(wrk.find()) as ends:
            return await instructions.per_request(valgrind, ends, variants, tell)


async def _idle_mb(console: Console, variants: Sequence[Variant]) -> dict[str, float]:
    result = {}
    with _progress(console, len(_IDLE_VARIANTS)) as tell:
        for variant in variants:
            if variant.name in _IDLE_VARIANTS:
                tell(_IDLE, variant.name)
                result[variant.name] = await measure.idle_mb(variant)
    return result


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} s"  # noqa: PLR2004


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Report]:
    """A bar on a terminal; a line for each round elsewhere."""
    if not console.is_terminal:
        said = ""

        def say(what: str, _: str, /, steps: int = 1) -> None:  # noqa: ARG001 - no bar
            nonlocal said
            if what != said:
                said = what
                console.print(f"  {what} ...")

        yield say
        return
    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)

        def advance(what: str, variant: str, /, steps: int = 1) -> None:
            progress.update(task, advance=steps, description=f"{what}: {variant}")

        yield advance


def _show(console: Console, results: Results) -> None:
    """Print what was measured, a table for each scenario."""
    for scenario in dict.fromkeys(sample.scenario for sample in results.samples):
        lines = [report.cells(row) for row in rows(results.samples, scenario)]
        _print_table(console, scenario, report.COLUMNS, lines)
    if results.idle_mb:
        memory = ", ".join(f"{name} {value:.0f} MB" for name, value in results.idle_mb.items())
        console.print("", f"Memory of {_IDLE}: {memory}.", sep="\n")
    if results.ablation:
        columns, *lines = report.savings(results.ablation)
        _print_table(console, "What each part costs", columns, lines)
        console.print("", report.MOST_TO_SAVE, sep="\n")
    if results.instructions:
        columns, *lines = report.counted(results.instructions)
        console.print("", report.empty_request(results.instructions), sep="\n")
        _print_table(console, "Beyond empty handlers, per request", columns, lines)


def _print_table(
    console: Console, title: str, columns: Sequence[str], lines: Sequence[Sequence[str]]
) -> None:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    for line in lines:
        table.add_row(*line, style="bold" if line[0] == OURS else None)
    console.print("", table)


def _write(console: Console, run: Run, results: Results, out: Path) -> None:
    """Write the raw results, and what was measured into the page: other parts of it stay as they are."""
    from . import plot  # noqa: PLC0415 - see main

    raw = _RAW / f"{run.date:%Y-%m-%dT%H-%M-%S}.json"
    page, figure = out / "performance.md", out / "performance.png"
    for file in (raw, page):
        file.parent.mkdir(parents=True, exist_ok=True)
    raw.write_text(json.dumps({"run": asdict(run), **asdict(results)}, default=str, indent=1))
    written = [raw, page]
    text = _PAGE.read_text("utf-8")
    if results.samples:
        generated = report.comparison(run, results.samples, results.idle_mb, _IDLE, results.left_out)
        text = report.replace_generated(text, report.COMPARISON, generated)
        plot.draw(results.samples, figure, f"{run.date:%d %B %Y}, Envoy {run.envoy}, {run.machine}")
        written.append(figure)
    if results.ablation:
        generated = report.ablation(run, results.ablation)
        text = report.replace_generated(text, report.ABLATION, generated)
    if results.instructions:
        generated = report.instructions(run, results.instructions)
        text = report.replace_generated(text, report.INSTRUCTIONS, generated)
    page.write_text(text, "utf-8")
    console.print("", *(f"Wrote {file}" for file in written), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
