"""Measured against imputed values of the features predicted best, middling and worst."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mosaicbench.figures._features import PLACES, features_of
from mosaicbench.figures._panels import cloud, name_cells, shortened, wrapped
from mosaicbench.report.tables.text import NOT_GIVEN
from mosaicbench.report.theme import QUIET, Theme, empty

CARD = {
    "label": "Measured against imputed",
    "caption": (
        "Imputed (vertical) against measured (horizontal) values of three features per direction: those with the best, the "
        "median and the worst Pearson r, by the mean over the runs shown, so that all runs show the same. A point is a "
        "query cell of the first seed, at most 500 at random; r is over all query cells. On the dashed line both are equal; "
        "a flat cloud is a prediction of the mean. A dash: the run does not impute this direction."
    ),
    "needs": ["imputed_values", "runs"],
    "per": "view",
}
COLUMNS = [
    "direction",
    "place",
    "space",
    "feature",
    "run",
    "seed",
    "cell",
    "measured",
    "imputed",
    "r",
]
SIDE, LABELS, WIDTH = (
    1.3,
    1.0,
    8.0,
)  # inches: of a panel, of what stands left of a row, of directions side by side


def imputation_scatter(
    *, imputed_values: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw measured against imputed values of one view.

    Returns
    -------
    tuple
        The figure, and the points drawn.
    """
    drawn = imputed_values[COLUMNS].reset_index(drop=True)
    if drawn.empty:
        return empty("No run that was projected imputes a modality."), drawn
    columns = theme.order("runs", drawn["run"])
    rows = features_of(drawn, theme)
    directions = len(rows) / len(PLACES)
    width = LABELS + SIDE * len(columns)  # of a block: directions under each other
    most = max(1 if directions <= 3 else 2, int(WIDTH // width))
    lines = len(PLACES) * math.ceil(directions / most)
    blocks = math.ceil(len(rows) / lines)  # side by side
    figure = Figure(figsize=(0.2 + blocks * width, 0.8 + SIDE * lines), layout="constrained")
    panels = figure.subplots(lines, blocks * len(columns), squeeze=False)
    for axes in panels[len(rows) - lines * (blocks - 1) :, (blocks - 1) * len(columns) :].ravel():
        axes.set_visible(False)
    for number, (direction, place, feature) in enumerate(rows):
        of_feature = drawn[(drawn["direction"] == direction) & (drawn["place"] == place)]
        block, line = divmod(number, lines)
        axes_of_feature = panels[line, block * len(columns) : (block + 1) * len(columns)]
        for axes, run in zip(axes_of_feature, columns, strict=True):
            _panel(axes, of_feature, run, theme)
            axes.tick_params(labelsize=6, labelleft=run == columns[0])
            if line == 0:
                axes.set_title(wrapped(theme.label("runs", run), width=16))
        label = f"{theme.direction(direction)}\n{PLACES[place]}: {shortened(feature, most=22)}"
        axes_of_feature[0].set_ylabel(label, fontsize=7)
    figure.supxlabel("measured", fontsize=8)
    figure.supylabel("imputed", fontsize=8)
    name_cells(figure, theme, runs, drawn["seed"].iloc[0], drawn["cell"].nunique())
    return figure, drawn


def _panel(axes: Axes, of_feature: pd.DataFrame, run: str, theme: Theme) -> None:
    """Draw one run's values of a feature, on the axes that all runs' values of it need."""
    low = of_feature[["measured", "imputed"]].min().min()
    high = of_feature[["measured", "imputed"]].max().max()
    edge = 0.05 * (high - low or 1)
    points = of_feature[of_feature["run"] == run]
    axes.set_xlim(low - edge, high + edge)
    axes.set_ylim(low - edge, high + edge)
    axes.axline((low, low), slope=1, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0)
    cloud(axes, points["measured"], points["imputed"], theme.colour(run), points=len(points))
    text = f"r = {points['r'].iloc[0]:z.2f}" if len(points) else NOT_GIVEN
    axes.text(0.04, 0.96, text, transform=axes.transAxes, va="top", fontsize=7)
