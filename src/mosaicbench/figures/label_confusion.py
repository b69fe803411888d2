"""Which types cells took for which: the confusion matrices of label transfer."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mosaicbench.figures._panels import name_cells, nothing, shortened, wrapped
from mosaicbench.report.tables.text import NOT_GIVEN
from mosaicbench.report.theme import INK, QUIET, Theme

CARD = {
    "label": "Confusion of label transfer",
    "caption": (
        "Every query cell takes the majority type of its 15 nearest train cells of another modality (first seed). A row is "
        "a true type, a column the type taken, the shade the share of the row: all shade on the diagonal is perfect "
        "transfer. Rows name how many cells they hold; shares of 0.5 and more are printed where there is room. Cells "
        "without a type are left out. A dash: the run does not give latents of both modalities."
    ),
    "needs": ["transfers", "runs"],
    "per": "split",
}
COLUMNS = ["direction", "run", "seed", "cell_type", "transferred", "cells", "share"]
COLOURS = "Blues"
CELL = 0.14  # inches
MOST_PRINTED = 12


def label_confusion(
    *, transfers: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw the confusion matrices of one split.

    Returns
    -------
    tuple
        The figure, and one row per run, direction, type and type taken that occurs.
    """
    if transfers.empty:
        return nothing("No run that was projected carries cell types over.", COLUMNS)
    of_row = ["direction", "run", "cell_type"]
    drawn = transfers.assign(
        share=transfers["cells"] / transfers.groupby(of_row)["cells"].transform("sum")
    )[COLUMNS]
    columns, directions = theme.order("runs", drawn["run"]), theme.directions(drawn["direction"])
    types = sorted({*drawn["cell_type"], *drawn["transferred"]})
    cell = max(CELL, 1.3 / len(types))
    side = cell * len(types)
    figure = Figure(
        figsize=(2.6 + (side + 0.12) * len(columns), 1.6 + (side + 0.25) * len(directions)),
        layout="constrained",
    )
    panels = figure.subplots(
        len(directions), len(columns), squeeze=False, sharex=True, sharey="row"
    )
    for axes_of_direction, direction in zip(panels, directions, strict=True):
        for axes, run in zip(axes_of_direction, columns, strict=True):
            _matrix(axes, drawn[(drawn["direction"] == direction) & (drawn["run"] == run)], types)
            if direction == directions[0]:
                axes.set_title(wrapped(theme.label("runs", run), width=16))
        of_direction = drawn[(drawn["direction"] == direction) & (drawn["run"].isin(columns))]
        first = of_direction[of_direction["run"] == of_direction["run"].iloc[0]]
        sizes = first.groupby("cell_type")["cells"].sum()
        labels = [f"{shortened(name, most=24)}  {sizes.get(name, 0):,}" for name in types]
        axes_of_direction[0].set_yticks(range(len(types)), labels, fontsize=6)
        axes_of_direction[0].set_ylabel(theme.direction(direction), fontweight="bold")
    for axes in panels[:, 1:].ravel():
        axes.yaxis.set_visible(False)  # hidden ticks are laid out all the same
    for axes in panels[:-1].ravel():
        axes.xaxis.set_visible(False)
    for axes in panels[-1]:
        axes.set_xticks(
            range(len(types)), [shortened(name, most=24) for name in types], rotation=90, fontsize=6
        )
    scale = ScalarMappable(norm=Normalize(0, 1), cmap=colormaps[COLOURS])
    bar = figure.colorbar(
        scale, ax=panels.ravel().tolist(), shrink=0.35, aspect=20, ticks=[0, 0.5, 1], pad=0.01
    )
    bar.ax.set_yticklabels(["0", "0.5", "1"])
    bar.set_label("share of the row")
    bar.outline.set_visible(False)
    cells = int(drawn.groupby(["direction", "run"])["cells"].sum().max())
    name_cells(figure, theme, runs, drawn["seed"].iloc[0], cells, which="labelled query cells")
    return figure, drawn.reset_index(drop=True)


def _matrix(axes: Axes, transfers: pd.DataFrame, types: list[str]) -> None:
    """Draw one matrix, a dash where the run gives none."""
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_visible(True)
    if transfers.empty:
        axes.text(
            0.5, 0.5, NOT_GIVEN, transform=axes.transAxes, ha="center", va="center", color=QUIET
        )
    shares = transfers.pivot(index="cell_type", columns="transferred", values="share").reindex(
        index=types, columns=types
    )
    # A type without a query cell has no share: its row stays white, like one of which nothing went elsewhere.
    axes.imshow(
        shares.fillna(0).to_numpy(),
        cmap=colormaps[COLOURS],
        vmin=0,
        vmax=1,
        aspect="equal",
        interpolation="nearest",
    )
    if len(types) <= MOST_PRINTED:
        for (row, column), share in np.ndenumerate(shares.to_numpy()):
            if share >= 0.5:
                ink = "white" if share > 0.6 else INK
                axes.text(
                    column,
                    row,
                    f"{share:.2f}".lstrip("0"),
                    ha="center",
                    va="center",
                    color=ink,
                    fontsize=5,
                )
