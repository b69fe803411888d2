"""How well features are predicted: r of every feature, three features in full, distributions."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from mosaicbench.figures._panels import (
    DASHED,
    OF_DIRECTION,
    ROW,
    SOLID,
    Drawn,
    cloud,
    name_split,
    nothing,
    rows_of_directions,
    shortened,
    size_of_directions,
    wrapped,
    write_absence,
    write_beside,
)
from mosaicbench.report.tables.text import NOT_GIVEN, absence
from mosaicbench.report.theme import FAINT, INK, QUIET, Theme

CARD = {
    "label": "Imputed and measured values",
    "caption": (
        "Top: Pearson correlation between imputed and true values of a feature over the query "
        "cells, one value per feature: the mean over the seeds in which the feature was selected "
        "and its correlation defined. The box spans the middle half of the features, its line is "
        "the median, whiskers reach the 5th and 95th percentile; n is the number of features with "
        "a value, in brackets the number of constant features, which have none. A correlation of 0 "
        "is chance, the solid line the ceiling of the mean over features. Middle: imputed (vertical) against measured (horizontal) values of three "
        "features per direction, those with the best, the median and the worst Pearson r by the "
        "mean over the runs shown, the same for all runs. A point is a query cell of the first "
        "seed, at most 500 at random; r is over all query cells. On the dashed line both are "
        "equal; a flat cloud is a prediction of the mean. A dash: the run does not impute this "
        "direction. Bottom: histograms of the same values, measured in the top row and in grey; "
        "the tick is a mean, heights are scaled to each row's highest bar. An overconfident "
        "imputation is narrower than the measured values; one that misses dropout has no peak at 0."
    ),
    "needs": ["features", "comparison", "imputed_values", "runs"],
    "per": "split",
}
METRIC = "imputation_pearson_per_feature"
QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
OF_FEATURES = [*OF_DIRECTION, "run", *QUANTILES, "features", "undefined", "seeds", "shown"]
OF_CELLS = ["place", "feature", "seed", "cell", "measured", "imputed", "r"]
COLUMNS = ["panel", *OF_FEATURES, *OF_CELLS]
PLACES = ["best", "median", "worst"]
BINS = 30
BAR_ROW = 0.36  # inches
SIDE = 1.3  # inches, of a scatter
Part = tuple[str, tuple[float, float], Callable[[SubFigure], pd.DataFrame]]  # title, inches, draw
LABELS, WIDTH = 1.0, 8.0  # inches, of a scatter's labels, and of directions side by side


def imputation(
    *,
    features: pd.DataFrame,
    comparison: pd.DataFrame,
    imputed_values: pd.DataFrame,
    runs: pd.DataFrame,
    theme: Theme,
) -> Drawn:
    """Draw how one split's features are imputed.

    Of the table, the panel "features" has the quantiles of a direction and run, "cells" the values
    of the scatters, which the histograms show too.
    """
    correlations = features[features["metric"] == METRIC]
    of_metric = comparison[comparison["metric"] == METRIC]
    ceilings = of_metric.groupby(OF_DIRECTION)["ceiling"].max().to_dict()
    parts = [_correlations(correlations, ceilings, runs, theme)] if len(correlations) else []
    if len(imputed_values):
        parts += [_scatters(imputed_values, theme), _histograms(imputed_values, theme)]
    if not parts:
        return nothing("No run of this split imputes a modality.", COLUMNS)
    sizes = np.array([size for _, size, _ in parts])
    width, height = sizes[:, 0].max(), sizes[:, 1].sum() + 0.3
    figure = Figure(figsize=(width, height), layout="constrained")
    rooms = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=sizes[:, 1])[:, 0]
    drawn = []
    for room, (title, _, draw) in zip(rooms, parts, strict=True):
        room.suptitle(title, x=0.008, ha="left", fontweight="bold")
        drawn.append(draw(room))
    name_split(figure, theme, runs)
    return figure, pd.concat(drawn, ignore_index=True).reindex(columns=COLUMNS)


# --- every feature -------------------------------------------------------------------------------


def _correlations(
    values: pd.DataFrame, ceilings: dict[tuple, float], runs: pd.DataFrame, theme: Theme
) -> Part:
    def draw(room: SubFigure) -> pd.DataFrame:
        drawn = []
        rows = rows_of_directions(room, values, "Pearson r of a feature", theme)
        for axes, row, names, of_run in rows:
            means = of_run.groupby("feature")["value"].mean()
            summary = {name: means.quantile(q) for name, q in QUANTILES.items()} | {
                "features": means.count(),
                "undefined": means.isna().sum(),
                "seeds": of_run["seed"].nunique(),
                "shown": "" if means.count() else absence(runs, names["run"]),
            }
            if summary["shown"]:
                write_absence(axes, row, summary["shown"])
            else:
                _box(axes, row, summary, theme.colour(names["run"]))
            drawn.append({"panel": "features"} | names | summary)
            if row == 0:
                axes.grid(axis="x")
                axes.axvline(0, **DASHED)
                axes.axvline(ceilings.get(tuple(map(names.get, OF_DIRECTION)), np.nan), **SOLID)
        drawn = pd.DataFrame(drawn)
        low, high = drawn["q05"].min(), np.nanmax([drawn["q95"].max(), *ceilings.values()])
        axes.set_xlim(np.fmin(low, 0) - 0.05, np.fmax(high, 0.05) + 0.05)
        return drawn

    width, height = size_of_directions(values, ROW, 0.75)
    return "Pearson r of every feature, all seeds", (width, 0.2 + height), draw


def _box(axes: Axes, row: int, summary: dict, colour: str) -> None:
    axes.plot([summary["q05"], summary["q95"]], [row, row], color=colour, linewidth=1.1, zorder=2)
    corner, width = (summary["q25"], row - 0.3), summary["q75"] - summary["q25"]
    axes.add_patch(Rectangle(corner, width, 0.6, color=colour, alpha=0.55, zorder=3))
    axes.plot(
        [summary["median"]] * 2,
        [row - 0.3, row + 0.3],
        color=INK,
        linewidth=1.6,
        solid_capstyle="butt",
        zorder=4,
    )
    undefined = f" ({summary['undefined']})" if summary["undefined"] else ""
    write_beside(axes, row, f"n = {summary['features']}{undefined}")


# --- three features ------------------------------------------------------------------------------


def _of_features(values: pd.DataFrame, theme: Theme) -> list[tuple[str, str, pd.DataFrame]]:
    groups = dict(tuple(values.groupby(["direction", "place"])))
    keys = product(theme.directions(values["direction"]), PLACES)
    features = []
    for direction, place in [key for key in keys if key in groups]:
        rows = groups[direction, place]
        name = shortened(rows["feature"].iloc[0], most=22)
        features.append((direction, f"{place}: {name}", rows))
    return features


def _cells(values: pd.DataFrame) -> str:
    return f"seed {values['seed'].iloc[0]}, {values['cell'].nunique():,} query cells"


def _scatters(values: pd.DataFrame, theme: Theme) -> Part:
    columns, rows = theme.order("runs", values["run"]), _of_features(values, theme)
    directions = len(rows) / len(PLACES)
    width = LABELS + SIDE * len(columns)  # of a block: directions below each other
    most = max(1 if directions <= 3 else 2, int(WIDTH // width))
    lines = len(PLACES) * math.ceil(directions / most)
    blocks = math.ceil(len(rows) / lines)  # side by side

    def draw(room: SubFigure) -> pd.DataFrame:
        panels = room.subplots(lines, blocks * len(columns), squeeze=False)
        places = np.concatenate(np.split(panels, blocks, axis=1))  # a line of a block per feature
        for axes in places[len(rows) :].ravel():
            axes.set_visible(False)
        for number, (direction, title, of_feature) in enumerate(rows):
            for axes, run in zip(places[number], columns, strict=True):
                _scatter(axes, of_feature, run, theme)
                axes.tick_params(labelleft=run == columns[0])
                if number % lines == 0:
                    axes.set_title(wrapped(theme.label("runs", run), width=16))
            places[number, 0].set_ylabel(f"{theme.direction(direction)}\n{title}")
        room.supxlabel("measured")
        room.supylabel("imputed")
        return values.assign(panel="cells")

    size = 0.2 + blocks * width, 0.8 + SIDE * lines
    return f"Imputed against measured values, {_cells(values)}", size, draw


def _scatter(axes: Axes, of_feature: pd.DataFrame, run: str, theme: Theme) -> None:
    both = of_feature[["measured", "imputed"]].to_numpy()
    low, high = both.min(), both.max()
    edge = 0.05 * (high - low or 1)
    points, limits = of_feature[of_feature["run"] == run], (low - edge, high + edge)
    axes.set(xlim=limits, ylim=limits)
    axes.axline((low, low), slope=1, zorder=0, **DASHED)
    cloud(axes, points["measured"], points["imputed"], theme.colour(run), points=len(points))
    text = f"r = {points['r'].iloc[0]:z.2f}" if len(points) else NOT_GIVEN
    axes.text(0.04, 0.96, text, transform=axes.transAxes, va="top")


def _histograms(values: pd.DataFrame, theme: Theme) -> Part:
    rows, directions = theme.order("runs", values["run"]), theme.directions(values["direction"])
    names = ["measured", *[theme.label("runs", run) for run in rows]]

    def draw(room: SubFigure) -> pd.DataFrame:
        panels = room.subplots(len(directions), len(PLACES), squeeze=False, sharey=True)
        for direction, title, of_feature in _of_features(values, theme):
            place = PLACES.index(of_feature["place"].iloc[0])
            axes = panels[directions.index(direction), place]
            bins = np.histogram_bin_edges(of_feature[["measured", "imputed"]].to_numpy(), BINS)
            measured = of_feature.drop_duplicates("cell")["measured"]
            _histogram(axes, 0, measured, bins, QUIET, ground=measured)
            for row, run in enumerate(rows, start=1):
                imputed = of_feature.loc[of_feature["run"] == run, "imputed"]
                _histogram(axes, row, imputed, bins, theme.colour(run), ground=measured)
            axes.set_title(title, fontweight="normal")
            axes.set_ylim(len(names) - 0.85, -1)
            axes.spines["left"].set_visible(False)
        for (first, middle, last), direction in zip(panels, directions, strict=True):
            first.tick_params(axis="y", length=0)
            first.set_yticks(range(len(names)), names)
            first.set_ylabel(theme.direction(direction), fontweight="bold")
            middle.set_xlabel("value")
            for axes in (middle, last):
                axes.yaxis.set_visible(False)
        return pd.DataFrame()

    size = 7.4, 0.5 + len(directions) * (0.7 + BAR_ROW * len(names))
    return f"Distributions of these values, {_cells(values)}", size, draw


def _histogram(
    axes: Axes, row: int, values: pd.Series, bins: np.ndarray, colour: str, *, ground: pd.Series
) -> None:
    if values.empty:
        write_absence(axes, row, NOT_GIVEN)
        return
    for x, face, alpha in ((ground, FAINT, 1), (values, colour, 0.75)):
        counts = np.histogram(x, bins)[0]
        heights = 0.85 * counts / counts.max()
        axes.stairs(row - heights, bins, baseline=row, fill=True, color=face, alpha=alpha)
    axes.plot([values.mean()] * 2, [row, row - 0.3], color=INK, linewidth=1.2)
