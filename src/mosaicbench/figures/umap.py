"""The query cells in two dimensions, coloured by modality, cell type, batch and cluster: a row per run."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mosaicbench.figures._panels import bare, cloud, key, lines_of_key, name_cells
from mosaicbench.report.theme import SPARE, Theme, empty

CARD = {
    "needs": ["projection", "runs"],
    "per": "view",
    "variants": {
        "umap": {
            "label": "UMAP of the query cells, by modality",
            "caption": (
                "Query cells of the first seed, at most 2,000 at random. Each cell is drawn once per modality, from its "
                "latents of that modality alone; one UMAP per run of all modalities together. Well aligned modalities lie on "
                "top of each other, and clusters (Leiden on UMAP's graph of 15 neighbours, resolution 1) hold cells of all. A "
                "property that is the same in all cells, such as a single batch, has no column. Distances between clusters "
                "mean little."
            ),
        },
        "umap_joint": {
            "keywords": {"joint": True},
            "label": "UMAP of the query cells, joint",
            "caption": (
                "Query cells of the first seed, at most 2,000 at random, from latents that see all modalities of a cell; one "
                "UMAP per run. Good latents keep cell types apart and batches mixed. Clusters are Leiden's on UMAP's graph of "
                "15 neighbours, resolution 1. A property that is the same in all cells, such as a single batch, has no column. "
                "Distances between clusters mean little."
            ),
        },
    },
}

COLUMNS = ["run", "seed", "source", "cell", "modality", "cell_type", "batch", "leiden", "x", "y"]
TITLES = {
    "modality": "Modality",
    "cell_type": "Cell type",
    "batch": "Batch",
    "leiden": "Leiden cluster",
}
WIDTH, LINE = 1.95, 0.135  # inches: of a panel, of a line of a legend
UNLABELLED = "unlabelled"


def umap(
    *, projection: pd.DataFrame, runs: pd.DataFrame, joint: bool = False, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw the layouts of one view's runs, coloured by every property in which the cells differ.

    Parameters
    ----------
    joint
        Whether to draw the joint latents, instead of those of single modalities.

    Returns
    -------
    tuple
        The figure, and the points drawn.
    """
    drawn = projection.loc[(projection["source"] == "joint") == joint, COLUMNS].reset_index(
        drop=True
    )
    if drawn.empty:
        kind = "joint latents" if joint else "latents of single modalities"
        return empty(f"No run that was projected has {kind}."), drawn
    return _layouts(drawn, runs, theme), drawn


def _layouts(drawn: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> Figure:
    """Return the figure of these points: a row of panels per run, a column per property."""
    rows = theme.order("runs", drawn["run"])
    varying = [column for column in TITLES if drawn[column].nunique() > 1]
    columns = varying or ["leiden"]
    palettes, labels = {}, {}
    for column in columns:
        names = drawn.loc[drawn[column] != "", column]
        palettes[column] = theme.palette("modalities" if column == "modality" else column, names)
        if (drawn[column] == "").any():
            palettes[column][""] = SPARE
        labels[column] = {name: _label(column, name, theme) for name in palettes[column]}

    legend = LINE * max(lines_of_key(palettes[column], labels[column]) for column in columns) + 0.1
    heights = [*[WIDTH * 0.92] * len(rows), legend]
    figure = Figure(figsize=(0.5 + WIDTH * len(columns), 0.6 + sum(heights)), layout="constrained")
    panels = figure.subplots(len(heights), len(columns), squeeze=False, height_ratios=heights)
    for place, (axes_of_run, run) in enumerate(zip(panels, rows, strict=False)):
        points = drawn[drawn["run"] == run]
        points = points.iloc[
            np.random.default_rng(0).permutation(len(points))
        ]  # so that no group lies on top of another
        for axes, column in zip(axes_of_run, columns, strict=True):
            bare(axes)
            cloud(
                axes,
                points["x"],
                points["y"],
                points[column].map(palettes[column]).tolist(),
                points=len(points),
            )
            if place == 0:
                axes.set_title(TITLES[column])
        axes_of_run[0].set_ylabel(theme.label("runs", run), fontsize=8.5, fontweight="bold")
    for axes, column in zip(panels[-1], columns, strict=True):
        key(axes, palettes[column], labels[column], TITLES[column])
    name_cells(
        figure, theme, runs, drawn["seed"].iloc[0], drawn.groupby("run")["cell"].nunique().max()
    )
    return figure


def _label(column: str, name: object, theme: Theme) -> str:
    if column == "modality":
        return theme.label("modalities", name)
    return str(name) if name != "" else UNLABELLED
