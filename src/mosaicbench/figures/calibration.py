"""Where measured values fall among the draws of their imputation."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mosaicbench.figures._panels import (
    Drawn,
    name_split,
    nothing,
    rows_of_directions,
    size_of_directions,
    write_absence,
    write_beside,
)
from mosaicbench.report.tables.text import absence
from mosaicbench.report.theme import INK, Theme

CARD = {
    "label": "Calibration of imputed values",
    "caption": (
        "Rank of each measured value among draws of its imputation (PIT), from below all draws (0) "
        "to above all (1), for a sample of query cells and features, all seeds. Heights are scaled "
        "to each row's highest bar; the dashed line is the height of all bars of a calibrated "
        "prediction. Bars at both ends: overconfident; in the middle: underconfident; at one end: "
        "too low or too high. At the right, the percentage of measured values inside the central "
        "50 % and 90 % of the draws, the mean over seeds. Calibration says nothing about how "
        "informative a prediction is: compare CRPS."
    ),
    "needs": ["features", "scores", "runs"],
    "per": "split",
    "only_with_group": "calibration",
}
COVERAGE = ("coverage_50", "coverage_90")
COLUMNS = ["direction", "normalization", "run", "bin", "share", "seeds", *COVERAGE, "shown"]
ROW = 0.34  # inches
TALLEST = 0.78  # of a row


def calibration(
    *, features: pd.DataFrame, scores: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> Drawn:
    """Draw the PIT histograms of one split; `share` is a bin's fraction of the measured values."""
    counts = features[features["metric"] == "pit_histogram"]
    if counts.empty:
        return nothing(
            "No run of this split gives draws of its imputation, or the group calibration was not "
            "scored.",
            COLUMNS,
        )
    figure = Figure(figsize=size_of_directions(counts, ROW, 0.8), layout="constrained")
    means = scores.groupby(["direction", "run", "metric"])["value"].mean().unstack()
    means = means.reindex(columns=COVERAGE)
    drawn = []
    rows = rows_of_directions(figure, counts, "rank among the draws (PIT)", theme)
    for axes, row, names, of_run in rows:
        axes.set_xlim(0, 1)
        by_bin = of_run.groupby("feature")["value"].sum()
        table = (by_bin / by_bin.sum()).rename("share").rename_axis("bin").reset_index()
        if table.empty:
            text = absence(runs, names["run"])
            write_absence(axes, row, text)
            table = pd.DataFrame({"shown": [text]})
        else:
            covered = means.loc[names["direction"], names["run"]]
            _bars(axes, row, table["share"].to_numpy(), theme.colour(names["run"]))
            percent = 100 * covered.dropna()
            texts = [f"{name[-2:]} %: {value:.0f}" for name, value in percent.items()]
            write_beside(axes, row, "\n".join(texts))
            table = table.assign(seeds=of_run["seed"].nunique(), **covered, shown="")
        drawn.append(table.assign(**names))
    name_split(figure, theme, runs)
    return figure, pd.concat(drawn, ignore_index=True).reindex(columns=COLUMNS)


def _bars(axes: Axes, row: int, fractions: np.ndarray, colour: str) -> None:
    width, heights = 1 / len(fractions), TALLEST * fractions / fractions.max()
    floor = row + 0.42  # rows count downwards
    for place, height in enumerate(heights):
        # `bar` would compute the outline of each; the limits of the axes are set already
        axes.add_artist(
            Rectangle(
                (place * width, floor),
                width,
                -height,
                facecolor=colour,
                edgecolor="white",
                linewidth=0.4,
                alpha=0.75,
            )
        )
    level = floor - TALLEST * width / fractions.max()
    axes.plot([0, 1], [level, level], color=INK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=4)
