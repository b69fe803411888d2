"""Measured beside imputed values: the same cells in one layout."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from mosaicbench.figures._panels import bare, cloud, key, lines_of_key, name_cells, wrapped
from mosaicbench.figures.umap import LINE, UNLABELLED
from mosaicbench.report.projections import MEASURED
from mosaicbench.report.theme import FAINT, SPARE, Theme, empty

CARD = {
    "label": "UMAP of measured and imputed values",
    "caption": (
        "The values of one modality, measured (left) and imputed from another, of the same query cells of the first seed, "
        "at most 500 at random: one UMAP per imputed modality of all its panels together, on the first 50 principal "
        "components of the measured values. Grey are the measured values. Good imputation covers them, cell type by cell "
        "type; one that returns means shrinks to a few points beside them."
    ),
    "needs": ["imputed_layout", "projection", "runs"],
    "per": "view",
}
COLUMNS = ["run", "seed", "modality", "direction", "cell", "cell_type", "x", "y"]
WIDTH = 1.6  # inches


def imputation_umap(
    *, imputed_layout: pd.DataFrame, projection: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw measured and imputed values of one view.

    Parameters
    ----------
    projection
        It holds more cells than `imputed_layout`, and is read for the cell types alone, so that a type has the colour that it
        has in other figures.

    Returns
    -------
    tuple
        The figure, and the points drawn.
    """
    drawn = imputed_layout[COLUMNS].reset_index(drop=True)
    measured = drawn[drawn["run"] == MEASURED]
    imputed = drawn[drawn["run"] != MEASURED]
    if imputed.empty:
        return empty("No run that was projected imputes a modality."), pd.DataFrame(columns=COLUMNS)
    columns = theme.order("runs", imputed["run"])
    rows = theme.directions(imputed["direction"])
    types = {*drawn["cell_type"], *projection["cell_type"]} - {""}
    palette = {name: colour for name, colour in theme.palette("cell_types", types).items() if name in set(drawn["cell_type"])}
    palette |= {"": SPARE} if (drawn["cell_type"] == "").any() else {}
    labels = {name: name or UNLABELLED for name in palette}

    legend = LINE * lines_of_key(palette, labels)
    height = max(WIDTH * len(rows), legend)
    figure = Figure(figsize=(0.3 + WIDTH * (1 + len(columns)) + 1.5, 0.7 + height), layout="constrained")
    grid = figure.add_gridspec(len(rows), len(columns) + 2, width_ratios=[*[WIDTH] * (1 + len(columns)), 1.5])
    for row, direction in enumerate(rows):
        ground = measured[measured["modality"] == direction.split("->")[1]]
        for column, run in enumerate([MEASURED, *columns]):
            axes = figure.add_subplot(grid[row, column])
            bare(axes)
            if row == 0:
                axes.set_title(wrapped("measured" if run == MEASURED else theme.label("runs", run), width=16))
            if run == MEASURED:
                points = ground
                axes.set_ylabel(theme.direction(direction), fontsize=8, fontweight="bold")
            else:
                points = imputed[(imputed["run"] == run) & (imputed["direction"] == direction)]
                cloud(axes, ground["x"], ground["y"], FAINT, points=len(ground))
            cloud(axes, points["x"], points["y"], points["cell_type"].map(palette).tolist(), points=len(ground))
    key(figure.add_subplot(grid[:, -1]), palette, labels, "Cell type")
    name_cells(figure, theme, runs, drawn["seed"].iloc[0], imputed["cell"].nunique())
    return figure, drawn
