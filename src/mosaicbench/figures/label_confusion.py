"""The confusion matrices of label transfer."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from mosaicbench.figures._panels import (
    Drawn,
    colour_bar,
    grid,
    name_cells,
    nothing,
    shortened,
    wrapped,
)
from mosaicbench.report.tables.text import NOT_GIVEN
from mosaicbench.report.theme import INK, QUIET, Theme

CARD = {
    "label": "Confusion of label transfer",
    "caption": (
        "Every query cell gets the majority type of its 15 nearest train cells of another modality "
        "(first seed). A row is a true type, a column the transferred type, the shade the fraction "
        "of the row: with perfect transfer only the diagonal is shaded. Rows name their number of "
        "cells; with at most 12 types, fractions of 0.5 and more are printed. Cells without a type "
        "are left out. A dash: the run does not give latents of both modalities."
    ),
    "needs": ["transfers", "runs"],
    "per": "split",
}
COLUMNS = ["direction", "run", "seed", "cell_type", "transferred", "cells", "share"]
COLOURS = colormaps["Blues"]
CELL, PRINTED = 0.15, 0.3  # inches: the side of a cell, and of one with its fraction
MOST_PRINTED = 12


def label_confusion(*, transfers: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> Drawn:
    """Draw the confusion matrices of one split."""
    if transfers.empty:
        return nothing("No run with a layout transfers cell types.", COLUMNS)
    of_row = transfers.groupby(["direction", "run", "cell_type"])["cells"].transform("sum")
    drawn = transfers.assign(share=transfers["cells"] / of_row)[COLUMNS]
    columns, directions = theme.order("runs", drawn["run"]), theme.directions(drawn["direction"])
    types = sorted({*drawn["cell_type"], *drawn["transferred"]})
    side = len(types) * (PRINTED if len(types) <= MOST_PRINTED else CELL)
    size = 2.6 + (side + 0.12) * len(columns), 1.6 + (side + 0.25) * len(directions)
    figure, panels = grid(*size, len(directions), len(columns), sharex=True, sharey="row")
    names = [shortened(name, most=24) for name in types]
    ticks = range(len(types))
    for axes_of_direction, direction in zip(panels, directions, strict=True):
        of_direction = drawn[drawn["direction"] == direction]
        for axes, run in zip(axes_of_direction, columns, strict=True):
            _matrix(axes, of_direction[of_direction["run"] == run], types)
        first = of_direction[of_direction["run"] == of_direction["run"].iloc[0]]
        cells = first.groupby("cell_type")["cells"].sum().reindex(types, fill_value=0)
        labels = [f"{name}  {count:,}" for name, count in zip(names, cells, strict=True)]
        axes_of_direction[0].set_yticks(ticks, labels)
        axes_of_direction[0].set_ylabel(theme.direction(direction), fontweight="bold")
    for axes, run in zip(panels[0], columns, strict=True):
        axes.set_title(wrapped(theme.label("runs", run), width=16))
    for axes in panels[:, 1:].ravel():
        axes.yaxis.set_visible(False)  # hidden ticks cost layout time
    for axes in panels[:-1].ravel():
        axes.xaxis.set_visible(False)
    for axes in panels[-1]:
        axes.set_xticks(ticks, names, rotation=90)
    bar = colour_bar(
        figure,
        COLOURS,
        {0: "0", 0.5: "0.5", 1: "1"},
        ax=panels.ravel().tolist(),
        shrink=0.35,
        aspect=20,
        pad=0.01,
    )
    bar.set_ylabel("fraction of the row")
    cells = int(drawn.groupby(["direction", "run"])["cells"].sum().max())
    name_cells(figure, theme, runs, drawn, cells, which="labelled query cells")
    return figure, drawn.reset_index(drop=True)


def _matrix(axes: Axes, transfers: pd.DataFrame, types: list[str]) -> None:
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_visible(True)
    middle = {"ha": "center", "va": "center"}
    if transfers.empty:
        axes.text(0.5, 0.5, NOT_GIVEN, transform=axes.transAxes, color=QUIET, **middle)
    fractions = transfers.pivot(index="cell_type", columns="transferred", values="share")
    # A type without a query cell has a white row, as has a combination that does not occur.
    fractions = fractions.reindex(index=types, columns=types).fillna(0).to_numpy()
    axes.imshow(fractions, cmap=COLOURS, vmin=0, vmax=1, aspect="equal", interpolation="nearest")
    if len(types) <= MOST_PRINTED:
        for row, column in np.argwhere(fractions >= 0.5):
            fraction = fractions[row, column]
            ink = "white" if fraction > 0.6 else INK
            axes.text(column, row, f"{fraction:.2f}", color=ink, **middle)
