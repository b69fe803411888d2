"""The query cells in two dimensions: their latents by modality, cell type, batch and cluster; measured beside imputed values."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mosaicbench.figures._panels import bare, cloud, key, lines_of_key, name_cells, nothing, wrapped
from mosaicbench.report.projections import MEASURED
from mosaicbench.report.theme import FAINT, SPARE, Theme

CARD = {
    "needs": ["projection", "imputed_layout", "runs"],
    "per": "split",
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
        "imputation_umap": {
            "keywords": {"imputed_by": "cell_type"},
            "label": "UMAP of measured and imputed values",
            "caption": (
                "The values of one modality, measured (left) and imputed from another, of the same query cells of the first "
                "seed, at most 500 at random: one UMAP per imputed modality of all its panels together, on the first 50 "
                "principal components of the measured values. Grey are the measured values. Good imputation covers them, cell "
                "type by cell type; one that returns means shrinks to a few points beside them."
            ),
        },
        "imputation_umap_clusters": {
            "keywords": {"imputed_by": "leiden"},
            "label": "UMAP of imputed values, by cluster of the latent",
            "caption": (
                "The imputed values of the same cells in the same layout as beside cell types, coloured by the Leiden cluster "
                "of the cell in the run's joint latents, or, where it has none, in its latents of single modalities. Where a "
                "cluster of the latent is one patch here, what the latent knows of the cell reaches the imputed values. Grey "
                "are the measured values. Numbers of clusters mean nothing from one run to another."
            ),
        },
    },
}
COLUMNS = ["run", "seed", "source", "cell", "modality", "cell_type", "batch", "leiden", "x", "y"]
OF_IMPUTED = ["run", "seed", "modality", "direction", "cell", "cell_type", "x", "y"]
TITLES = {
    "modality": "Modality",
    "cell_type": "Cell type",
    "batch": "Batch",
    "leiden": "Leiden cluster",
}
WIDTH, NARROW, LINE = (
    1.95,
    1.6,
    0.135,
)  # inches: of a panel, of one of imputed values, of a line of a legend
UNLABELLED = "unknown_labels"


def umap(
    *,
    projection: pd.DataFrame,
    imputed_layout: pd.DataFrame,
    runs: pd.DataFrame,
    joint: bool = False,
    imputed_by: str = "",
    theme: Theme,
) -> tuple[Figure, pd.DataFrame]:
    """Draw the layouts of one split's runs.

    Parameters
    ----------
    projection
        Layouts of latents, with clusters, of all cells that are drawn anywhere.
    imputed_layout
        Layouts of measured and imputed values, of fewer cells.
    joint
        Whether to draw the joint latents, instead of those of single modalities.
    imputed_by
        Draw measured and imputed values instead, coloured by "cell_type", or "leiden", the clusters of the latents.

    Returns
    -------
    tuple
        The figure, and the points drawn.
    """
    if imputed_by:
        return _imputed(imputed_layout[OF_IMPUTED], projection, runs, imputed_by, theme)
    drawn = projection.loc[(projection["source"] == "joint") == joint, COLUMNS].reset_index(
        drop=True
    )
    if drawn.empty:
        kind = "joint latents" if joint else "latents of single modalities"
        return nothing(f"No run that was projected has {kind}.", COLUMNS)
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
        ]  # so that no group covers another
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


def _imputed(
    layout: pd.DataFrame, projection: pd.DataFrame, runs: pd.DataFrame, by: str, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw measured and imputed values; a type has the colour that it has among all cells of `projection`."""
    drawn = layout.reset_index(drop=True)
    if by == "leiden":
        drawn = drawn.assign(leiden=_clusters(drawn, projection))
    measured = drawn[drawn["run"] == MEASURED]
    imputed = drawn[drawn["run"] != MEASURED]
    if imputed.empty:
        return nothing("No run that was projected imputes a modality.", list(drawn))
    columns = theme.order("runs", imputed["run"])
    rows = theme.directions(imputed["direction"])
    coloured = drawn if by == "cell_type" else imputed
    names = {*coloured[by], *(projection[by] if by == "cell_type" else ())} - {""}
    palette = theme.palette("cell_types" if by == "cell_type" else by, names)
    palette = {name: colour for name, colour in palette.items() if name in set(coloured[by])}
    palette |= {"": SPARE} if (coloured[by] == "").any() else {}
    labels = {name: UNLABELLED if name == "" else str(name) for name in palette}

    legend = LINE * lines_of_key(palette, labels)
    height = max(NARROW * len(rows), legend)
    figure = Figure(
        figsize=(0.3 + NARROW * (1 + len(columns)) + 1.5, 0.7 + height), layout="constrained"
    )
    grid = figure.add_gridspec(
        len(rows), len(columns) + 2, width_ratios=[*[NARROW] * (1 + len(columns)), 1.5]
    )
    for row, direction in enumerate(rows):
        ground = measured[measured["modality"] == direction.split("->")[1]]
        for column, run in enumerate([MEASURED, *columns]):
            axes = figure.add_subplot(grid[row, column])
            bare(axes)
            if row == 0:
                axes.set_title(
                    wrapped("measured" if run == MEASURED else theme.label("runs", run), width=16)
                )
            if run == MEASURED:
                points = ground
                axes.set_ylabel(theme.direction(direction), fontsize=8, fontweight="bold")
            else:
                points = imputed[(imputed["run"] == run) & (imputed["direction"] == direction)]
                cloud(axes, ground["x"], ground["y"], FAINT, points=len(ground))
            colours = (
                FAINT if run == MEASURED and by == "leiden" else points[by].map(palette).tolist()
            )
            cloud(axes, points["x"], points["y"], colours, points=len(ground))
    key(
        figure.add_subplot(grid[:, -1]),
        palette,
        labels,
        "Cell type" if by == "cell_type" else "Leiden cluster",
    )
    name_cells(figure, theme, runs, drawn["seed"].iloc[0], imputed["cell"].nunique())
    return figure, drawn


def _clusters(drawn: pd.DataFrame, projection: pd.DataFrame) -> pd.Series:
    """Return the cluster of each imputed cell in its run's joint latents, else in those it was imputed from; "" of others."""
    with_joint = set(projection.loc[projection["source"] == "joint", "run"])
    source = drawn["direction"].str.split("->").str[0].mask(drawn["run"].isin(with_joint), "joint")
    places = zip(projection["run"], projection["source"], projection["cell"], strict=True)
    known = dict(zip(places, projection["leiden"], strict=True))
    return pd.Series(
        [known.get(place, "") for place in zip(drawn["run"], source, drawn["cell"], strict=True)],
        dtype=object,
    )
