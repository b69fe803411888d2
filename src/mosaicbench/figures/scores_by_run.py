"""The headline scores, one panel per metric and one row per run, every seed a dot."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mosaicbench.figures._panels import (
    DASHED,
    OVER_ROWS,
    ROW,
    better,
    dot,
    grid,
    handle,
    label_rows,
    legend_below,
    mark_interval,
    mark_seeds,
    name_split,
    nothing,
    wrapped,
    write_absence,
)
from mosaicbench.report.tables.text import absence
from mosaicbench.report.theme import INK, MARKERS, QUIET, Theme
from mosaicbench.stats.common import CONTESTS
from mosaicbench.stats.means import best, seed_means

CARD = {
    "label": "Scores by run",
    "caption": (
        "Every run of the split: models, baselines, then controls. A dot is one seed (the mean "
        "over directions), the large marker the mean over seeds, the bar its 95 % interval: "
        "Student's t over seeds, wide with few, and for scores that are means over cells (FOSCTTM, "
        "label transfer accuracy, r per cell) never narrower than the interval over cells. It "
        "describes other splits of this dataset, not other data. A star marks the best mean among "
        "models and baselines, the dashed line is chance. A dash: the run does not give this score; "
        "a cross: the run failed."
    ),
    "needs": ["scores", "headline", "runs"],
    "per": "split",
}
LEGEND_COLUMN, LEGEND_ROW = 1.4, 0.18  # inches
OF_MEAN = ["mean", "low", "high", "seeds", "best"]
COLUMNS = ["metric", "run", "seed", "value", *OF_MEAN, "chance", "shown"]


def scores_by_run(
    *, scores: pd.DataFrame, headline: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw the headline scores of one split.

    The table has a row per metric, run and seed drawn; `shown` is the sign of a missing
    value.
    """
    means = seed_means(scores).dropna(subset="value")
    metrics = [metric for metric in CONTESTS if metric in set(means["metric"])]
    if not metrics:
        return nothing("No run of this split has a score to draw.", COLUMNS)
    summary = headline.assign(best=best(headline, theme.run_metadata))
    summary = summary.set_index(["metric", "run"])[OF_MEAN].to_dict("index")
    rows, legend = theme.order("runs", runs["run"]), _legend()
    width = 1.7 + 1.75 * len(metrics)
    columns = min(len(legend), int(width / LEGEND_COLUMN))
    height = 1.2 + ROW * len(rows) + LEGEND_ROW * (-(-len(legend) // columns) - 1)
    figure, (panels,) = grid(width, height, 1, len(metrics), sharey=True)
    drawn = []
    for axes, metric in zip(panels, metrics, strict=True):
        chance = theme.run_metadata.chance(metric)
        label_rows(axes, theme, rows)
        axes.grid(axis="x")
        if not np.isnan(chance):
            axes.axvline(chance, **DASHED)
        for row, run in enumerate(rows):
            named = {"metric": metric, "run": run, "chance": chance}
            if (metric, run) not in summary:
                text = absence(runs, run)
                write_absence(axes, row, text)
                drawn.append(named | {"seeds": 0, "best": False, "shown": text})
                continue
            mean, colour = summary[metric, run], theme.colour(run)
            seeds = means[(means["metric"] == metric) & (means["run"] == run)]
            mark_interval(axes, row, mean["low"], mean["high"], colour)
            mark_seeds(axes, row, seeds["value"], colour)
            star = {"marker": "*", "ms": 10, "mfc": colour, "mec": INK, "mew": 0.7}
            look = star if mean["best"] else theme.marker(run, size=4.6)
            axes.plot([mean["mean"]], [row], zorder=4, **look)
            for value in seeds[["seed", "value"]].to_dict("records"):
                drawn.append(named | value | mean | {"shown": ""})
        _limit(axes, *theme.run_metadata.bounds(metric))
        axes.set_title(wrapped(theme.label("metrics", metric)), **OVER_ROWS)
        axes.set_xlabel(better(theme, metric, "← better", "better →"), color=QUIET, fontsize=7)
    name_split(figure, theme, runs)
    legend_below(figure, legend, columns, handletextpad=0.4, columnspacing=1.4)
    return figure, pd.DataFrame(drawn, columns=COLUMNS)


def _limit(axes: Axes, least: float, most: float) -> None:
    """Show little beyond the metric's bounds: a t interval of few seeds may reach farther."""
    low, high = axes.get_xlim()
    margin = 0.04 * (high - low)
    axes.set_xlim(max(low, least - margin), min(high, most + margin))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


def _legend() -> list[Line2D]:
    return [
        dot("seed", QUIET, size=2.6),
        *(dot(f"mean ({kind})", QUIET, size=4.6, marker=mark) for kind, mark in MARKERS.items()),
        handle("95 % interval", color=QUIET, linewidth=1.4),
        dot("best, without controls", QUIET, size=9, marker="*", mec=INK),
        handle("chance", **DASHED),
    ]
