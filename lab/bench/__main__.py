"""The command: ``python -m lab.bench``."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from components.render.program import RenderError
from lab.envoy import EnvoyError
from lab.stack import PROJECT

from . import measure, wrk
from .measure import IDLE_CHAINS, IDLE_WORKERS, SCENARIOS, BenchError, Report
from .report import COLUMNS, Run, cells, markdown, replace_generated
from .results import Sample, Scenario, rows
from .variants import EMPTY, GUIDE, NO_FILTER, OURS, Variant, compared

ROUNDS = 5
SECONDS = 2
QUICK_ROUNDS = 3
QUICK_SECONDS = 1
QUICK_SCENARIOS = (SCENARIOS[0], SCENARIOS[2])

_PAGE = PROJECT / "docs" / "performance.md"
_RAW = PROJECT / ".cache" / "bench"
_IDLE = f"{IDLE_CHAINS} idle filter chains, {IDLE_WORKERS} workers"
_IDLE_VARIANTS = (NO_FILTER, EMPTY, OURS, GUIDE)
_LOG_WIDTH = 150


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
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else SECONDS)
    scenarios = QUICK_SCENARIOS if arguments.quick else SCENARIOS
    out: Path = arguments.out or (_RAW if arguments.quick else _PAGE.parent)
    try:
        samples, idle_mb = asyncio.run(_measure(console, scenarios, rounds, seconds))
        _show(console, samples, idle_mb)
        _write(console, run, samples, idle_mb, out)
    except (BenchError, EnvoyError, OSError, RenderError, ValueError, wrk.WrkError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab.bench",
        description="What capturing costs Envoy, against no filter, the guide's script and its own tracer.",
    )
    parser.add_argument("--rounds", type=_positive, help=f"of each scenario (default: {ROUNDS})")
    parser.add_argument("--seconds", type=_positive, help=f"of each run (default: {SECONDS})")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"a minute: {QUICK_ROUNDS} rounds of {QUICK_SECONDS} s, small and 64 KB bodies only",
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


async def _measure(
    console: Console, scenarios: Sequence[Scenario], rounds: int, seconds: int
) -> tuple[list[Sample], dict[str, float]]:
    if task := asyncio.current_task():  # ctrl-C does this by itself
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    wrk_path = wrk.find()
    variants = compared()
    runs = len(scenarios) * rounds * len(variants)
    console.print(
        f"{len(scenarios)} scenarios x {rounds} rounds x {len(variants)} variants x {seconds} s, "
        f"about {_minutes(runs * (seconds + 0.1) + len(variants) * 4)}."
    )
    with _progress(console, runs + len(variants) + len(_IDLE_VARIANTS)) as report:
        idle_mb = await _idle_mb(variants, report)
        async with measure.running(wrk_path, variants) as bench:
            await bench.warm_up(scenarios[0], report)
            return await bench.samples(scenarios, rounds, seconds, report), idle_mb


async def _idle_mb(variants: Sequence[Variant], report: Report) -> dict[str, float]:
    result = {}
    for variant in variants:
        if variant.name in _IDLE_VARIANTS:
            report(_IDLE, variant.name)
            result[variant.name] = await measure.idle_mb(variant)
    return result


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} s"  # noqa: PLR2004


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Report]:
    """A bar on a terminal; a line for each round elsewhere."""
    if not console.is_terminal:
        said = ""

        def say(what: str, _: str) -> None:
            nonlocal said
            if what != said:
                said = what
                console.print(f"  {what} ...")

        yield say
        return
    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)

        def advance(what: str, variant: str) -> None:
            progress.update(task, advance=1, description=f"{what}: {variant}")

        yield advance


def _show(console: Console, samples: Sequence[Sample], idle_mb: Mapping[str, float]) -> None:
    for scenario in dict.fromkeys(sample.scenario for sample in samples):
        table = Table(title=scenario, title_justify="left", box=None, padding=(0, 2, 0, 0))
        for index, name in enumerate(COLUMNS):
            table.add_column(name, justify="right" if index else "left", no_wrap=True)
        for row in rows(samples, scenario):
            table.add_row(*cells(row), style="bold" if row.variant == OURS else None)
        console.print("", table)
    memory = ", ".join(f"{name} {value:.0f} MB" for name, value in idle_mb.items())
    console.print("", f"Memory of {_IDLE}: {memory}.", sep="\n")


def _write(
    console: Console, run: Run, samples: Sequence[Sample], idle_mb: Mapping[str, float], out: Path
) -> None:
    from . import plot  # noqa: PLC0415 - see main

    raw = _RAW / f"{run.date:%Y-%m-%dT%H-%M-%S}.json"
    page, figure = out / "performance.md", out / "performance.png"
    generated = markdown(run, samples, idle_mb, _IDLE)
    for file in (raw, page):
        file.parent.mkdir(parents=True, exist_ok=True)
    raw.write_text(
        json.dumps(
            {"run": asdict(run), "idle_mb": idle_mb, "samples": [asdict(sample) for sample in samples]},
            default=str,
            indent=1,
        )
    )
    plot.draw(samples, figure, f"{run.date:%d %B %Y}, Envoy {run.envoy}, {run.machine}")
    page.write_text(replace_generated(_PAGE.read_text("utf-8"), generated), "utf-8")
    console.print("", *(f"Wrote {file}" for file in (raw, page, figure)), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
