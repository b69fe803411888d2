"""Where measured values fall among the draws of their imputation."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mosaicbench.figures._panels import (
    directions_of,
    name_split,
    nothing,
    panels_of_directions,
    shape,
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
HISTOGRAM = "pit_histogram"
COVERAGE = ("coverage_50", "coverage_90")
COLUMNS = ["direction", "normalization", "run", "bin", "share", "seeds", *COVERAGE, "shown"]
ROW = 0.34  # inches
TALLEST = 0.78  # of a row


def calibration(
    *, features: pd.DataFrame, scores: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw the PIT histograms of one split.

    Returns
    -------
    tuple
        The figure, and a row per direction, run and bin: the bin's fraction of the measured
        values, and the run's coverage.
    """
    counts = features[features["metric"] == HISTOGRAM]
    if counts.empty:
        return nothing(
            "No run of this split gives draws of its imputation, or the group calibration was not "
            "scored.",
            COLUMNS,
        )
    rows, directions = theme.order("runs", counts["run"]), directions_of(counts, theme)
    lines, columns = shape(len(directions))
    size = 1.4 + 2.7 * columns, lines * (0.8 + ROW * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    drawn = []
    panels = panels_of_directions(figure, directions, rows, "rank among the draws (PIT)", theme)
    for axes, named in zip(panels, directions.to_dict("records"), strict=True):
        axes.set_xlim(0, 1)
        of_direction = counts[counts["direction"] == named["direction"]]
        covered = scores[scores["direction"] == named["direction"]]
        means = covered.groupby(["run", "metric"])["value"].mean().unstack()
        means = means.reindex(index=rows, columns=COVERAGE)
        for row, run in enumerate(rows):
            table = _fractions(of_direction[of_direction["run"] == run])
            if table.empty:
                text = absence(runs, run)
                write_absence(axes, row, text)
                table = pd.DataFrame({"shown": [text]})
            else:
                _bars(axes, row, table["share"].to_numpy(), theme.colour(run))
                _write_coverage(axes, row, means.loc[run])
                table = table.assign(**means.loc[run], shown="")
            drawn.append(table.assign(**named, run=run))
    name_split(figure, theme, runs)
    return figure, pd.concat(drawn, ignore_index=True).reindex(columns=COLUMNS)


def _fractions(counts: pd.DataFrame) -> pd.DataFrame:
    by_bin = counts.groupby("feature", sort=True)["value"].sum()
    table = pd.DataFrame({"bin": by_bin.index, "share": by_bin.to_numpy()})
    return table.assign(share=table["share"] / table["share"].sum(), seeds=counts["seed"].nunique())


def _bars(axes: Axes, row: int, fractions: np.ndarray, colour: str) -> None:
    """Draw a histogram that rises from a row's lower edge, and the height of a calibrated one."""
    edges, heights = np.linspace(0, 1, len(fractions) + 1), TALLEST * fractions / fractions.max()
    floor = row + 0.42  # rows count downwards
    look = {"facecolor": colour, "edgecolor": "white", "linewidth": 0.4, "alpha": 0.75}
    for low, width, height in zip(edges[:-1], np.diff(edges), heights, strict=True):
        # `bar` would compute the outline of each; the limits of the axes are set already
        axes.add_artist(Rectangle((low, floor), width, -height, **look))
    level = floor - TALLEST / len(fractions) / fractions.max()
    axes.plot([0, 1], [level, level], color=INK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=4)


def _write_coverage(axes: Axes, row: int, means: pd.Series) -> None:
    percent = 100 * means.rename(lambda name: name.removeprefix("coverage_")).dropna()
    write_beside(axes, row, "\n".join(f"{name} %: {value:.0f}" for name, value in percent.items()))
