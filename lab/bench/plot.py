"""The figure: what each variant adds, as a share of what the guide's script adds; and what ours may add."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # draws into a file, without a display

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from .limits import beside_guide
from .results import Sample, rows
from .variants import EMPTY, GUIDE, OURS, OVER_BUDGET, PROCESSED, TRACER, UNMASKED, UNSAMPLED

_COLOURS = {
    EMPTY: "#c9ccd1",
    UNSAMPLED: "#8e959f",
    OVER_BUDGET: "#5f666f",
    TRACER: "#e0a13a",
    UNMASKED: "#8fb8e8",
    OURS: "#1f5fa8",
    PROCESSED: "#7a5fa8",
}
_BAR_HEIGHT = 0.8 / len(_COLOURS)


def draw(samples: Sequence[Sample], file: Path, title: str) -> None:
    """Write the figure.

    Args:
        samples: of all scenarios; those without the guide's script are not in the figure.
        file: a PNG.
        title: below the figure's own.
    """
    scenarios = list(dict.fromkeys(sample.scenario for sample in samples if sample.variant == GUIDE))
    figure, axes = plt.subplots(figsize=(9, 1.2 + 1.2 * len(scenarios)), dpi=130, layout="constrained")
    for index, (variant, colour) in enumerate(_COLOURS.items()):
        shares = [
            next((row.of_guide for row in rows(samples, name) if row.variant == variant), None)
            for name in scenarios
        ]
        drawn = [(place, share) for place, share in enumerate(shares) if share]
        bars = axes.barh(
            [place + (index - (len(_COLOURS) - 1) / 2) * _BAR_HEIGHT for place, _ in drawn],
            [share.median * 100 for _, share in drawn],
            _BAR_HEIGHT * 0.9,
            xerr=[
                [(share.median - share.low) * 100 for _, share in drawn],
                [(share.high - share.median) * 100 for _, share in drawn],
            ],
            error_kw={"elinewidth": 0.8, "ecolor": "#555555"},
            color=colour,
            label=variant,
        )
        axes.bar_label(bars, fmt=" %.0f %%", fontsize=7, padding=2)
    _draw_limits(axes, scenarios)
    axes.set_yticks(range(len(scenarios)), scenarios, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(left=min(0, axes.get_xlim()[0]))
    axes.set_xlabel(
        "CPU time added per request, % of what the guide's script adds (median; line: min to max)", fontsize=9
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.suptitle(f"What capturing costs Envoy\n{title}", fontsize=9)
    figure.savefig(file)
    plt.close(figure)


def _draw_limits(axes: Axes, scenarios: Sequence[str]) -> None:
    """Draw our limit and our goal across the bars of each scenario that has them."""
    limits = {place: limit for place, name in enumerate(scenarios) if (limit := beside_guide(name))}
    across = partial(
        axes.vlines,
        ymin=[place - 0.5 for place in limits],
        ymax=[place + 0.5 for place in limits],
        colors="#b03030",
        linewidth=0.8,
    )
    across([limit.most * 100 for limit in limits.values()], linestyles="--", label="our limit")
    across([limit.goal * 100 for limit in limits.values()], linestyles=":", label="our goal")
