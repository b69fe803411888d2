"""What a run costs: seconds to fit and peak memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from mosaicbench.figures._panels import (
    FLOOR,
    OVER_ROWS,
    ROW,
    label_rows,
    mark_seeds,
    measured_resources,
    name_view,
    plain_numbers,
    write_absence,
)
from mosaicbench.report.tables.text import absence, number
from mosaicbench.report.theme import Theme, empty
from mosaicbench.statistics.summary import seed_means

CARD = {
    "label": "Time and memory",
    "caption": (
        "Wall-clock seconds of fitting and peak memory of the process (and of the accelerator, where one was used), on "
        "logarithmic axes: a dot is one seed, the larger marker the mean over seeds, printed beside it. Values below 0.01 are "
        "drawn at 0.01. Compare only runs of the same machine."
    ),
    "needs": ["scores", "runs"],
    "per": "view",
}
COLUMNS = ["metric", "run", "seed", "value", "mean", "seeds", "shown"]


def runtime(
    *, scores: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw time and memory of the runs of one view.

    Returns
    -------
    tuple
        The figure, and one row per metric, run and seed drawn.
    """
    means = seed_means(scores).dropna(subset="value")
    metrics = measured_resources(means, "value")
    of_seeds = dict(tuple(means.groupby(["metric", "run"])))
    rows = theme.order("runs", runs["run"])
    if not metrics:
        return empty("No run of this view has a measured time or memory."), pd.DataFrame(
            columns=COLUMNS
        )

    figure = Figure(figsize=(1.6 + 2.5 * len(metrics), 0.8 + ROW * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    drawn = []
    for axes, metric in zip(panels, metrics, strict=True):
        label_rows(axes, theme, rows)
        axes.grid(axis="x")
        axes.set_xscale("log")
        axes.set_title(theme.label("metrics", metric), **OVER_ROWS)
        for row, run in enumerate(rows):
            seeds = of_seeds.get((metric, run))
            if seeds is None:
                text = absence(runs, run)
                write_absence(axes, row, text)
                drawn.append({"metric": metric, "run": run, "seeds": 0, "shown": text})
                continue
            mean = seeds["value"].mean()
            text = number(metric, mean)
            mark_seeds(axes, row, seeds["value"].clip(lower=FLOOR), theme.colour(run))
            axes.plot([max(mean, FLOOR)], [row], zorder=4, **theme.marker(run, size=4.6))
            axes.text(
                1.01, row, text, transform=axes.get_yaxis_transform(), va="center", fontsize=6.5
            )
            values = seeds[["metric", "run", "seed", "value"]].to_dict("records")
            drawn += [
                value | {"mean": mean, "seeds": len(seeds), "shown": text} for value in values
            ]
        _mark_decades(axes)
    name_view(figure, theme, runs)
    return figure, pd.DataFrame(drawn, columns=COLUMNS)


def _mark_decades(axes: Axes) -> None:
    """Show at least one whole decade, with plain numbers."""
    low, high = axes.get_xlim()
    low, high = min(low, 10 ** np.floor(np.log10(high / 10))), high * 1.3
    axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(plain_numbers())
    axes.xaxis.set_minor_formatter(NullFormatter())
