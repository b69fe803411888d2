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
    dot,
    label_rows,
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
        "Every run of the split, models first, then baselines and controls. A dot is one seed (the mean over directions), "
        "the large marker the mean over seeds, the bar its 95 % interval: Student's t over seeds, wide with few, for scores "
        "that are means over cells (FOSCTTM, label transfer accuracy, r per cell) at least as wide as over cells. It is about "
        "other splits of this dataset, not about other data. A star marks the best mean among models and "
        "baselines, the dashed line is chance. A dash stands for a score that the run does not give, a cross for a run that "
        "failed."
    ),
    "needs": ["scores", "headline", "runs"],
    "per": "split",
}
LEGEND_COLUMN, LEGEND_ROW = 1.4, 0.18  # inches
COLUMNS = [
    "metric",
    "run",
    "seed",
    "value",
    "mean",
    "low",
    "high",
    "seeds",
    "best",
    "chance",
    "shown",
]


def scores_by_run(
    *, scores: pd.DataFrame, headline: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw the headline scores of one split.

    Returns
    -------
    tuple
        The figure, and one row per metric, run and seed drawn; `shown` holds the sign of absence where there is no value.
    """
    means = seed_means(scores).dropna(subset="value")
    summary = (
        headline.assign(best=best(headline, theme.run_metadata))
        .set_index(["metric", "run"])
        .to_dict("index")
    )
    metrics = [metric for metric in CONTESTS if metric in set(means["metric"])]
    of_seeds = dict(tuple(means.groupby(["metric", "run"])))
    rows = theme.order("runs", runs["run"])
    if not metrics:
        return nothing("No run of this split has a score to draw.", COLUMNS)

    width, legend = 1.7 + 1.75 * len(metrics), _legend()
    columns = min(len(legend), int(width / LEGEND_COLUMN))
    height = 1.2 + ROW * len(rows) + LEGEND_ROW * (-(-len(legend) // columns) - 1)
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    drawn = []
    for axes, metric in zip(panels, metrics, strict=True):
        chance = theme.run_metadata.chance(metric)
        label_rows(axes, theme, rows)
        axes.grid(axis="x")
        if not np.isnan(chance):
            axes.axvline(chance, **DASHED)
        for row, run in enumerate(rows):
            if (metric, run) not in summary:
                text = absence(runs, run)
                write_absence(axes, row, text)
                absent = {"metric": metric, "run": run, "seeds": 0, "best": False}
                drawn.append(absent | {"chance": chance, "shown": text})
                continue
            total = summary[metric, run]
            seeds = of_seeds.get((metric, run), means[:0])
            colour = theme.colour(run)
            mark_interval(axes, row, total["low"], total["high"], colour)
            mark_seeds(axes, row, seeds["value"], colour)
            star = {"marker": "*", "ms": 10, "mfc": colour, "mec": INK, "mew": 0.7}
            axes.plot(
                [total["mean"]],
                [row],
                **(star if total["best"] else theme.marker(run, size=4.6)),
                zorder=4,
            )
            common = {key: total[key] for key in ("mean", "low", "high", "seeds", "best")}
            values = seeds[["metric", "run", "seed", "value"]].to_dict("records")
            drawn += [value | common | {"chance": chance, "shown": ""} for value in values]
        _limit(axes, *theme.run_metadata.bounds(metric))
        better = {"lower": "← better", "higher": "better →"}.get(
            theme.run_metadata.better(metric), ""
        )
        axes.set_title(wrapped(theme.label("metrics", metric)), **OVER_ROWS)
        axes.set_xlabel(better, color=QUIET, fontsize=7)
    name_split(figure, theme, runs)
    figure.legend(
        handles=legend,
        loc="outside lower center",
        ncols=columns,
        handletextpad=0.4,
        columnspacing=1.4,
    )
    return figure, pd.DataFrame(drawn, columns=COLUMNS)


def _limit(axes: Axes, least: float, most: float) -> None:
    """Show no more than a little beyond what the metric can be: a t interval of few seeds may reach farther."""
    low, high = axes.get_xlim()
    margin = 0.04 * (high - low)
    axes.set_xlim(max(low, least - margin), min(high, most + margin))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


def _legend() -> list[Line2D]:
    return [
        dot("seed", QUIET, size=2.6),
        *(dot(f"mean ({kind})", QUIET, size=4.6, marker=mark) for kind, mark in MARKERS.items()),
        Line2D([], [], color=QUIET, linewidth=1.4, label="95 % interval"),
        dot("best, controls aside", QUIET, size=9, marker="*", mec=INK),
        Line2D([], [], label="chance", **DASHED),
    ]
