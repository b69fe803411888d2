"""How well each single feature is predicted: the distribution of Pearson r over features."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mosaicbench.figures._panels import DASHED, OVER_ROWS, ROW, label_rows, name_view, write_absence
from mosaicbench.report.tables.text import absence
from mosaicbench.report.theme import INK, QUIET, Theme, empty

CARD = {
    "label": "Imputation per feature",
    "caption": (
        "Pearson correlation between imputed and true values of a feature over the query cells, one value per feature: the "
        "mean over the seeds in which the feature was selected and its correlation defined. The box spans the middle half of "
        "the features, its line is the median, whiskers reach the 5th and 95th percentile; n is the number of features with a "
        "value, in brackets how many had none because they are constant. A correlation of 0 is chance."
    ),
    "needs": ["features", "runs"],
    "per": "view",
}
METRIC = "imputation_pearson_per_feature"
QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
COLUMNS = ["direction", "space", "run", *QUANTILES, "features", "undefined", "seeds", "shown"]


def imputation_per_feature(
    *, features: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw the distribution of the per-feature correlations of one view.

    Returns
    -------
    tuple
        The figure, and one row per direction and run with the quantiles drawn.
    """
    values = features[features["metric"] == METRIC]
    rows = theme.order("runs", values["run"])
    spaces = (
        values.drop_duplicates(["direction", "space"])
        .sort_values("space")
        .groupby("direction")["space"]
        .agg(list)
    )
    ordered = theme.directions(spaces.index)
    directions = [
        {"direction": direction, "space": space}
        for direction in ordered
        for space in spaces[direction]
    ]
    if not directions:
        return empty("No run of this view imputes a modality."), pd.DataFrame(columns=COLUMNS)
    columns = min(3, len(directions))
    lines = math.ceil(len(directions) / columns)
    figure = Figure(
        figsize=(1.4 + 2.7 * columns, lines * (0.75 + ROW * len(rows))), layout="constrained"
    )
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    drawn = []
    for axes, direction in zip(panels, directions, strict=False):
        label_rows(axes, theme, rows)
        axes.grid(axis="x")
        axes.axvline(0, **DASHED)
        axes.set_title(
            f"{theme.direction(direction['direction'])}  ({direction['space']})", **OVER_ROWS
        )
        of_direction = values[
            (values["direction"] == direction["direction"])
            & (values["space"] == direction["space"])
        ]
        for row, run in enumerate(rows):
            summary = _quantiles(of_direction[of_direction["run"] == run])
            text = "" if summary["features"] else absence(runs, run)
            drawn.append(direction | {"run": run} | summary | {"shown": text})
            if text:
                write_absence(axes, row, text)
            else:
                _box(axes, row, summary, theme.colour(run))
    for axes in panels[len(directions) :]:
        axes.set_visible(False)
    low = min((row["q05"] for row in drawn if row["features"]), default=0.0)
    high = max((row["q95"] for row in drawn if row["features"]), default=0.0)
    for place, axes in enumerate(panels[: len(directions)]):
        axes.set_xlim(min(low, 0) - 0.05, max(high, 0.05) + 0.05)
        _write_counts(axes, drawn[place * len(rows) : (place + 1) * len(rows)])
        if place >= len(directions) - columns:
            axes.set_xlabel("Pearson r of a feature")
            axes.tick_params(labelbottom=True)
    name_view(figure, theme, runs)
    return figure, pd.DataFrame(drawn, columns=COLUMNS)


def _quantiles(values: pd.DataFrame) -> dict[str, float]:
    """Return quantiles over features of the mean over seeds."""
    means = values.groupby("feature")["value"].mean()
    defined = means.dropna()
    quantiles = {
        name: float(defined.quantile(q)) if len(defined) else np.nan
        for name, q in QUANTILES.items()
    }
    undefined = int(means.isna().sum())
    return quantiles | {
        "features": len(defined),
        "undefined": undefined,
        "seeds": values["seed"].nunique(),
    }


def _box(axes: Axes, row: int, summary: dict[str, float], colour: str) -> None:
    axes.plot([summary["q05"], summary["q95"]], [row, row], color=colour, linewidth=1.1, zorder=2)
    width = summary["q75"] - summary["q25"]
    axes.add_patch(
        Rectangle(
            (summary["q25"], row - 0.3),
            width,
            0.6,
            facecolor=colour,
            edgecolor=colour,
            alpha=0.55,
            zorder=3,
        )
    )
    axes.plot(
        [summary["median"]] * 2,
        [row - 0.3, row + 0.3],
        color=INK,
        linewidth=1.6,
        solid_capstyle="butt",
        zorder=4,
    )


def _write_counts(axes: Axes, drawn: list[dict]) -> None:
    for row, summary in enumerate(drawn):
        if summary["features"]:
            text = f"n = {summary['features']}" + (
                f" ({summary['undefined']})" if summary["undefined"] else ""
            )
            axes.text(
                1.01,
                row,
                text,
                transform=axes.get_yaxis_transform(),
                va="center",
                color=QUIET,
                fontsize=6,
            )
