"""Where measured values fall among the draws of their imputation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mosaicbench.figures._panels import OVER_ROWS, label_rows, name_view, write_absence
from mosaicbench.report.tables.text import absence
from mosaicbench.report.theme import INK, QUIET, Theme, empty

CARD = {
    "label": "Calibration of imputed values",
    "caption": (
        "Where measured values fall among draws of their imputation (PIT), from below all draws (0) to above all (1), for a "
        "sample of query cells and features, all seeds. Heights are scaled to each row's highest bar; the dashed line is the "
        "height of all bars of a calibrated prediction. Bars at both ends: too sure; in the middle: not sure enough; at one "
        "end: too low or too high. At the right, the share of measured values inside the central 50 % and 90 % of the "
        "draws, the mean over seeds. Calibration says nothing about how much is known: compare CRPS."
    ),
    "needs": ["features", "scores", "runs"],
    "per": "view",
    "only_with_group": "calibration",
}
HISTOGRAM = "pit_histogram"
COVERAGE = ("coverage_50", "coverage_90")
COLUMNS = ["direction", "space", "run", "bin", "share", "seeds", *COVERAGE, "shown"]
ROW = 0.34  # inches
TALLEST = 0.78  # of a row


def calibration(
    *, features: pd.DataFrame, scores: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw the PIT histograms of one view.

    Returns
    -------
    tuple
        The figure, and one row per direction, run and bin: the bin's share of the measured values, and the run's coverage.
    """
    counts = features[features["metric"] == HISTOGRAM]
    rows = theme.order("runs", counts["run"])
    spaces = counts.drop_duplicates("direction").set_index("direction")["space"]
    directions = theme.directions(spaces.index)
    if not directions:
        nothing = "No run of this view gives draws of what it imputes, or the group calibration was not scored."
        return empty(nothing), pd.DataFrame(columns=COLUMNS)
    columns = min(3, len(directions))
    lines = math.ceil(len(directions) / columns)
    figure = Figure(
        figsize=(1.4 + 2.7 * columns, lines * (0.8 + ROW * len(rows))), layout="constrained"
    )
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    drawn = []
    for axes, direction in zip(panels, directions, strict=False):
        label_rows(axes, theme, rows)
        axes.set_title(f"{theme.direction(direction)}  ({spaces[direction]})", **OVER_ROWS)
        axes.set_xlim(0, 1)
        of_direction = counts[counts["direction"] == direction]
        covered = scores[(scores["direction"] == direction) & scores["metric"].isin(COVERAGE)]
        for row, run in enumerate(rows):
            table = _shares(of_direction[of_direction["run"] == run])
            means = (
                covered[covered["run"] == run].groupby("metric")["value"].mean().reindex(COVERAGE)
            )
            text = "" if len(table) else absence(runs, run)
            named = {"direction": direction, "space": spaces[direction], "run": run, "shown": text}
            drawn += [named | bar | dict(means) for bar in table.to_dict("records")] or [named]
            if text:
                write_absence(axes, row, text)
            else:
                _bars(axes, row, table["share"].to_numpy(), theme.colour(run))
                _write_coverage(axes, row, means)
    for place, axes in enumerate(panels):
        axes.set_visible(place < len(directions))
        if len(directions) - columns <= place < len(directions):
            axes.set_xlabel("place among the draws (PIT)")
            axes.tick_params(labelbottom=True)
    name_view(figure, theme, runs)
    return figure, pd.DataFrame(drawn, columns=COLUMNS)


def _shares(counts: pd.DataFrame) -> pd.DataFrame:
    """Return each bin's share of all counts of a run, over its seeds; no rows where there are none."""
    by_bin = counts.groupby("feature", sort=True)["value"].sum()
    table = pd.DataFrame({"bin": by_bin.index, "share": by_bin.to_numpy()})
    return table.assign(share=table["share"] / table["share"].sum(), seeds=counts["seed"].nunique())


def _bars(axes: Axes, row: int, shares: np.ndarray, colour: str) -> None:
    """Draw a histogram that stands on the lower edge of a row, and the height of a calibrated one."""
    edges, heights = np.linspace(0, 1, len(shares) + 1), TALLEST * shares / shares.max()
    floor = row + 0.42  # rows count downwards
    look = {"facecolor": colour, "edgecolor": "white", "linewidth": 0.4, "alpha": 0.75}
    for low, width, height in zip(edges[:-1], np.diff(edges), heights, strict=True):
        axes.add_artist(
            Rectangle((low, floor), width, -height, **look)
        )  # limits stand: `bar` would ask each for its outline
    level = floor - TALLEST / len(shares) / shares.max()
    axes.plot([0, 1], [level, level], color=INK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=4)


def _write_coverage(axes: Axes, row: int, means: pd.Series) -> None:
    parts = [
        f"{name.removeprefix('coverage_')} %: {100 * value:.0f}"
        for name, value in means.items()
        if np.isfinite(value)
    ]
    axes.text(
        1.01,
        row,
        "\n".join(parts),
        transform=axes.get_yaxis_transform(),
        va="center",
        color=QUIET,
        fontsize=6,
    )
