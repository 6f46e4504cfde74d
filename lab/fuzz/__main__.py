"""The command: ``python -m lab.fuzz``, ``make fuzz``."""

import argparse
import asyncio
import json
import random
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from components.render.program import RenderError
from lab.envoy import EnvoyError
from lab.stack import PROJECT

from . import floods, inputs, target
from .floods import BAR_MB, Flood, Held
from .inputs import Input
from .shapes import UNITS
from .target import BAR_MS, Cost, Target

MINUTES = 10.0
_OUT = PROJECT / ".cache" / "fuzz" / "worst.json"
_WIDTH = 110
_KEPT = 40  # of the most expensive inputs, to draw more like them from
_ALIKE = 2  # of them in one place
_SHOWN = 10
_QUOTED = 46  # characters of a text
_COLD, _WARM = 3, 5  # times that each of these is measured at the end
_INPUTS = 300  # for each Envoy
_FLOODS = 0.4  # share of the time
_NEW = 0.5  # share of inputs that are not made of others
_SAY_SECONDS = 10.0
_STYLE: dict[str, Any] = {"box": box.SIMPLE, "title_justify": "left", "title_style": ""}


@dataclass(frozen=True)
class Again:
    """A costly input, measured with care: the best of several runs each, in milliseconds of CPU time."""

    found: Input
    warm: float
    cold: float
    quarter: float
    without: float


@dataclass(frozen=True)
class Plan:
    """What to do.

    Attributes:
        seed: of all that is drawn.
        seconds: how long.
        out: takes the worst inputs.
        given: inputs that come first.
    """

    seed: int
    seconds: float
    out: Path
    given: Sequence[Input]


@dataclass
class Findings:
    """What was found so far."""

    seen: int = 0
    refused: int = 0  # by Envoy: not a hostile request, but none
    worst: list[tuple[float, Input]] = field(default_factory=list)
    wrong: list[tuple[str, Input]] = field(default_factory=list)
    floods: list[tuple[Held, Flood]] = field(default_factory=list)
    again: list[Again] = field(default_factory=list)

    def add(self, found: Input, cost: Cost) -> None:
        """Count an input."""
        self.seen += 1
        self.refused += 400 <= cost.status < 500  # noqa: PLR2004
        self.wrong += [(reason, found) for reason in cost.wrong]
        self.worst = [item for item in self.worst if item[1] != found]
        self.worst.append((cost.milliseconds, found))
        self.worst.sort(key=lambda item: -item[0])
        like = [item for item in self.worst if item[1].place == found.place]
        for item in [*like[_ALIKE:], *self.worst[_KEPT:]]:
            if item in self.worst:
                self.worst.remove(item)


def main() -> int:
    """The command. Returns its exit status."""
    arguments = _parser().parse_args()
    console = Console(markup=False, highlight=False, width=_WIDTH, soft_wrap=True)
    try:
        plan = Plan(
            seed=secrets.randbits(32) if arguments.seed is None else arguments.seed,
            seconds=arguments.minutes * 60,
            out=arguments.out,
            given=_read(arguments.repeat) if arguments.repeat else [],
        )
        return asyncio.run(_run(console, plan))
    except (EnvoyError, OSError, RenderError, ValueError) as error:
        print(f"fuzz: {error}", file=sys.stderr)
        return 2
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab.fuzz",
        description="Sends hostile requests, responses and floods through a real Envoy with the default "
        "script. Measures the CPU time that one exchange takes a worker, and the memory that a flood takes "
        "over an Envoy without the filter; names the worst at the end. Half of the inputs are drawn from the "
        "seed, the others are made of those that cost most so far. Ctrl-C ends it early, with what was "
        f"found. Exit status: 0 if no input took {BAR_MS:g} ms longer than without the filter, no flood took "
        f"{BAR_MB:g} MB more, and no answer or span was missing; else 1.",
    )
    parser.add_argument(
        "minutes", nargs="?", type=_minutes, default=MINUTES, help="how long (default: %(default)g)"
    )
    parser.add_argument("--seed", type=int, help="of what is drawn (default: another one each time; printed)")
    parser.add_argument(
        "--out", type=Path, default=_OUT, help="where the worst go, as JSON (default: %(default)s)"
    )
    parser.add_argument("--repeat", type=Path, help="measure the inputs of such a file first")
    return parser


def _minutes(text: str) -> float:
    with suppress(ValueError):
        if (minutes := float(text)) > 0:
            return minutes
    raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")


def _read(path: Path) -> list[Input]:
    try:
        return [inputs.loaded(item) for item in json.loads(path.read_text("utf-8"))]
    except (TypeError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} holds no inputs of lab.fuzz: {error}") from error


async def _run(console: Console, plan: Plan) -> int:
    console.print(f"Seed {plan.seed}, {plan.seconds / 60:g} minutes.")
    findings = Findings()
    fuzzing = asyncio.create_task(_fuzz(console, findings, plan))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, fuzzing.cancel)
    with suppress(asyncio.CancelledError):
        await fuzzing
    _write(findings, plan.out)
    is_within = _report(console, findings, plan.out)
    return 130 if fuzzing.cancelled() else 0 if is_within else 1


async def _fuzz(console: Console, findings: Findings, plan: Plan) -> None:
    """Draws inputs and floods as long as planned, and measures the worst inputs again."""
    # What is made of others depends on what these cost: what is new, and the floods, have their own source.
    new, changes, more = (random.Random(plan.seed + number) for number in range(3))
    waiting = list(plan.given)
    started = said = time.monotonic()
    flooding = 0.0
    while (now := time.monotonic()) < started + plan.seconds:
        if findings.seen and flooding < _FLOODS * (now - started):
            flood = floods.drawn(more, UNITS)
            findings.floods.append((await floods.held(flood), flood))
            flooding += time.monotonic() - now
            continue
        async with target.running() as found:
            for _ in range(_INPUTS):
                chosen = waiting.pop(0) if waiting else _next(new, changes, findings)
                findings.add(chosen, await found.cost(chosen))
                now = time.monotonic()
                if now > said + _SAY_SECONDS:
                    said = now
                    _say(console, findings, started + plan.seconds - now)
                    _write(findings, plan.out)
                if now > started + plan.seconds:
                    break
            findings.wrong += [(warning, chosen) for warning in await found.warnings()]
    console.print(f"Measuring the worst {_SHOWN} again ...")
    await _measure_again(findings)


def _next(new: random.Random, changes: random.Random, findings: Findings) -> Input:
    if not findings.worst or changes.random() < _NEW:
        return inputs.drawn(new)
    return inputs.changed(changes, changes.choice(findings.worst)[1])


def _say(console: Console, findings: Findings, seconds: float) -> None:
    milliseconds, found = findings.worst[0]
    megabytes = max((held.peak for held, _ in findings.floods), default=0)
    console.print(
        f"{max(seconds, 0):5.0f} s left, {findings.seen} inputs, {len(findings.floods)} floods; worst so far "
        f"{milliseconds:.1f} ms ({found.place}), +{megabytes:.0f} MB; {len(findings.wrong)} went wrong"
    )


async def _measure_again(findings: Findings) -> None:
    """The worst inputs, best of several: in Envoys that are new, in one that is warm, without the filter."""
    chosen = [found for _, found in findings.worst[:_SHOWN]]
    cold: dict[Input, float] = dict.fromkeys(chosen, float("inf"))
    for found in chosen:
        for _ in range(_COLD):
            async with target.running() as fresh:
                cold[found] = min(cold[found], (await fresh.cost(found)).milliseconds)
    async with target.running() as warm, target.running(captured=False) as without:
        for found in chosen:
            quarter = replace(found, size=found.size // 4)
            findings.again.append(
                Again(
                    found,
                    cold=cold[found],
                    warm=await _best(warm, found),
                    quarter=await _best(warm, quarter),
                    without=await _best(without, found),
                )
            )
    findings.again.sort(key=lambda again: -again.cold)


async def _best(found: Target, given: Input) -> float:
    return min([(await found.cost(given)).milliseconds for _ in range(_WARM)])


def _write(findings: Findings, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(inputs.dump([found for _, found in findings.worst]), "utf-8")


def _report(console: Console, findings: Findings, out: Path) -> bool:
    """Shows what was found. Returns whether all of it is within the bars."""
    console.print(f"{findings.seen} inputs, of which Envoy refused {findings.refused}.")
    console.print(_table_of_inputs(findings))
    console.print(_table_of_floods(findings))
    for reason, found in findings.wrong[:_SHOWN]:
        console.print(f"Wrong: {reason[:200]} with {found.place}, {_quoted(found)}")
    console.print(f"The {len(findings.worst)} worst are in {out}; --repeat measures them again.")
    return (
        not findings.wrong
        and all(again.cold - again.without <= BAR_MS for again in findings.again)
        and all(held.peak <= BAR_MB for held, _ in findings.floods)
    )


def _table_of_inputs(findings: Findings) -> Table:
    title = f"Worst inputs, CPU ms: first in a new Envoy (bar {BAR_MS:g}), later, a quarter of the text"
    table = Table("cold", "warm", "1/4", "no filter", "place", "text", title=title, **_STYLE)
    if findings.again:
        for again in findings.again:
            numbers = (again.cold, again.warm, again.quarter, again.without)
            shown = (f"{number:.1f}" for number in numbers)
            table.add_row(*shown, again.found.place, _quoted(again.found))
    else:
        for milliseconds, found in findings.worst[:_SHOWN]:
            table.add_row("", f"{milliseconds:.1f}", "", "", found.place, _quoted(found))
    return table


def _table_of_floods(findings: Findings) -> Table:
    title = f"Worst floods, MB over no filter: at the peak (bar {BAR_MB:g}), 2 s after"
    table = Table("peak", "after", "streams", "kind", "headers", "full of", title=title, **_STYLE)
    for held, flood in sorted(findings.floods, key=lambda item: -item[0].peak)[:_SHOWN]:
        numbers = (f"{held.peak:.0f}", f"{held.after:.0f}", str(flood.streams))
        table.add_row(*numbers, flood.kind, str(flood.lines), repr(flood.unit))
    return table


def _quoted(found: Input) -> str:
    order = "" if found.order is None else "random "
    text = f"{found.size // 1024}K {order}{found.start!r} {' '.join(map(repr, found.units))} {found.end!r}"
    return text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"


if __name__ == "__main__":
    sys.exit(main())
