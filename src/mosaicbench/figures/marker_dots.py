"""The clusters of each run and their marker features: a dot plot."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from mosaicbench.figures._panels import (
    Drawn,
    colour_bar,
    dot,
    grid,
    name_cells,
    nothing,
    shortened,
    wrapped,
)
from mosaicbench.report.projections import COLUMNS as OF_CELLS
from mosaicbench.report.theme import FAINT, INK, QUIET, Theme

CARD = {
    "label": "Markers of the Leiden clusters",
    "caption": (
        "Measured values of the two best markers of each Leiden cluster (highest t against all "
        "other cells), per run: clusters of its joint latents, or of a modality's latents if it "
        "has no joint ones, of at most 2,000 query cells of the first seed. A dot's area is the "
        "fraction of a cluster's cells above 0 (of other than log-normalised values: above the "
        "mean of all cells), its colour the mean, scaled per feature from its lowest to its "
        "highest cluster. A row names the cluster, its cells, and its most frequent cell type with "
        "its percentage. Dots along the diagonal are clusters with markers of their own. "
        "Modalities whose features have no names (LSI components) and clusters of fewer than 5 "
        "cells are left out."
    ),
    "needs": ["markers", "runs"],
    "per": "split",
}
COLUMNS = [*(name for name in OF_CELLS["markers"] if name not in ("dataset", "scenario")), "scaled"]
COLOURS = colormaps["YlGnBu"]
DOT = 0.155  # inches
LARGEST = 44.0  # points squared


def marker_dots(*, markers: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> Drawn:
    """Draw the markers of one split; the table has a row per dot."""
    if markers.empty:
        return nothing("No run with a layout has clusters with markers.", COLUMNS)
    of_feature = markers.groupby(["run", "modality", "feature"])["mean"]
    low, high = of_feature.transform("min"), of_feature.transform("max")
    scaled = ((markers["mean"] - low) / (high - low).replace(0, np.nan)).fillna(0)
    drawn = markers.assign(scaled=scaled)[COLUMNS]
    rows = theme.order("runs", drawn["run"])
    modalities = theme.order("modalities", drawn["modality"])
    clusters = drawn.groupby("run")["leiden"].nunique()
    features = drawn.groupby(["modality", "run"])["feature"].nunique().groupby("modality").max()
    heights = list(DOT * clusters[rows] + 0.95)
    widths = list(DOT * features[modalities] + 1.5)
    size = sum(widths) + 0.5, sum(heights) + 0.9
    figure, panels = grid(
        *size, len(rows), len(modalities), height_ratios=heights, width_ratios=widths
    )
    for axes_of_run, run in zip(panels, rows, strict=True):
        for axes, modality, width in zip(axes_of_run, modalities, widths, strict=True):
            dots = drawn[(drawn["run"] == run) & (drawn["modality"] == modality)]
            if dots.empty:
                axes.axis("off")
                continue
            _dots(axes, dots)
            title = f"{theme.label('runs', run)}, {theme.label('modalities', modality)}"
            letters = int(10 * (width - 0.8))  # ten to an inch, beside the names of the clusters
            axes.set_title(wrapped(title, width=max(14, letters)))
    fractions = (0.1, 0.25, 0.5, 1.0)
    sizes = [dot(f"{share:.0%}", QUIET, size=np.sqrt(LARGEST * share)) for share in fractions]
    figure.legend(
        handles=sizes,
        loc="outside lower left",
        ncols=4,
        title="fraction of cells",
        handletextpad=0.2,
    )
    colour_bar(
        figure,
        COLOURS,
        {0: "lowest mean", 1: "highest"},
        ax=panels.ravel().tolist(),
        location="bottom",
        shrink=0.25,
        aspect=25,
        pad=0.01,
    )
    of_clusters = drawn.drop_duplicates(["run", "modality", "leiden"])
    cells = of_clusters.groupby(["run", "modality"])["cells"].sum().max()
    name_cells(figure, theme, runs, drawn, cells)
    return figure, drawn.reset_index(drop=True)


def _dots(axes: Axes, dots: pd.DataFrame) -> None:
    clusters = dots.drop_duplicates("leiden").sort_values("leiden")
    features = dots.drop_duplicates("feature").sort_values("marks", kind="stable")["feature"]
    columns, rows = list(features), list(clusters["leiden"])
    axes.scatter(
        dots["feature"].map(columns.index),
        dots["leiden"].map(rows.index),
        s=LARGEST * dots["above"],
        c=dots["scaled"],
        cmap=COLOURS,
        vmin=0,
        vmax=1,
        linewidths=0.4,
        edgecolors=QUIET,
    )
    named = [_cluster(row) for row in clusters.to_dict("records")]
    axes.set_yticks(range(len(rows)), named)
    names = [shortened(name, most=18) for name in columns]
    axes.set_xticks(range(len(columns)), names, rotation=90)
    axes.tick_params(length=0, labelcolor=INK)
    axes.set_xlim(-0.7, len(columns) - 0.3)
    axes.set_ylim(len(rows) - 0.3, -0.7)
    axes.grid(color=FAINT)
    axes.spines[:].set_visible(False)


def _cluster(row: dict) -> str:
    text = f"{row['leiden']} · {row['cells']:,}"
    if row["cell_type"]:
        text += f" · {shortened(row['cell_type'], most=20)} {row['share']:.0%}"
    return text
