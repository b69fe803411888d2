"""The query cells in two dimensions: their latents, and measured beside imputed values."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.figure import Figure

from mosaicbench.figures._panels import (
    Drawn,
    bare,
    cloud,
    grid,
    key,
    lines_of_key,
    name_cells,
    nothing,
    shuffled,
    wrapped,
)
from mosaicbench.report.projections import MEASURED
from mosaicbench.report.theme import FAINT, SPARE, Theme

CARDS = {
    "umap": {
        "label": "UMAP of the query cells, by modality",
        "caption": (
            "Query cells of the first seed, at most 2,000 at random, of the runs that are "
            "recommended on them, or of those in `umap_runs`. Each cell is drawn once "
            "per modality, from its latents of that modality alone; one UMAP per run of all "
            "modalities together. Well aligned modalities cover each other, and clusters "
            "(Leiden on UMAP's graph of 15 neighbours, resolution 1) hold cells of all. A "
            "property that is the same in all cells, such as a single batch, has no column. "
            "Distances between clusters mean little."
        ),
        "needs": ["projection", "runs"],
        "per": "split",
    },
    "umap_joint": {
        "label": "UMAP of the query cells, joint",
        "caption": (
            "Query cells of the first seed, at most 2,000 at random, from latents of all "
            "modalities of a cell; one UMAP per run. Good latents separate cell types and mix "
            "batches. Clusters are Leiden's on UMAP's graph of 15 neighbours, resolution 1. A "
            "property that is the same in all cells, such as a single batch, has no column. "
            "Distances between clusters mean little."
        ),
        "needs": ["projection", "runs"],
        "per": "split",
    },
    "imputation_umap": {
        "label": "UMAP of measured and imputed values",
        "caption": (
            "The values of one modality, measured (left) and imputed from another, of the same "
            "query cells of the first seed, at most 500 at random: one UMAP per imputed "
            "modality of all its panels together, on the first 50 principal components of the "
            "measured values. Measured values are grey. A good imputation covers them, cell "
            "type by cell type; one that returns means shrinks to a few points beside them."
        ),
        "needs": ["projection", "imputed_layout", "runs"],
        "per": "split",
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
ROOMS = {"modality": "modalities", "cell_type": "cell_types"}  # of display.yaml
WIDTH, NARROW, KEY = 1.95, 1.6, 1.5  # inches: of a panel, of one of imputed values, of its legend
LINE = 0.16  # inches, of a legend


def umap(*, projection: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> Drawn:
    """Draw the latents of single modalities of one split's runs."""
    single = projection[projection["source"] != "joint"]
    return _layouts(single, runs, theme, "latents of single modalities")


def umap_joint(*, projection: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> Drawn:
    """Draw the joint latents of one split's runs."""
    joint = projection[projection["source"] == "joint"]
    return _layouts(joint, runs, theme, "joint latents")


def _palette(
    column: str, names: pd.Series, every: Iterable[str], theme: Theme
) -> tuple[dict[str, str], dict[str, str]]:
    palette = theme.palette(ROOMS.get(column, column), {*every} - {""}) | {"": SPARE}
    present = set(names)
    palette = {name: colour for name, colour in palette.items() if name in present}
    labels = {name: str(name) or "unknown" for name in palette}
    if column == "modality":
        labels = {name: theme.label("modalities", name) for name in palette}
    return palette, labels


def _layouts(projection: pd.DataFrame, runs: pd.DataFrame, theme: Theme, what: str) -> Drawn:
    drawn = projection[COLUMNS].reset_index(drop=True)
    if drawn.empty:
        return nothing(f"No run with a layout has {what}.", COLUMNS)
    rows = theme.order("runs", drawn["run"])
    columns = [column for column in TITLES if drawn[column].nunique() > 1] or ["leiden"]
    keys = {column: _palette(column, drawn[column], drawn[column], theme) for column in columns}
    legend = LINE * max(lines_of_key(*of_column) for of_column in keys.values()) + 0.1
    heights = [*[WIDTH * 0.92] * len(rows), legend]
    size = 0.5 + WIDTH * len(columns), 0.6 + sum(heights)
    figure, panels = grid(*size, len(heights), len(columns), height_ratios=heights)
    for axes_of_run, run in zip(panels, rows, strict=False):
        points = shuffled(drawn[drawn["run"] == run])
        for axes, (column, (palette, _)) in zip(axes_of_run, keys.items(), strict=True):
            bare(axes)
            colours = points[column].map(palette).tolist()
            cloud(axes, points["x"], points["y"], colours, points=len(points))
        axes_of_run[0].set_ylabel(theme.label("runs", run), fontweight="bold")
    for axes, last, (column, of_column) in zip(panels[0], panels[-1], keys.items(), strict=True):
        axes.set_title(TITLES[column])
        key(last, *of_column, TITLES[column])
    name_cells(figure, theme, runs, drawn, drawn.groupby("run")["cell"].nunique().max())
    return figure, drawn


def imputation_umap(
    *, projection: pd.DataFrame, imputed_layout: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> Drawn:
    """Draw measured and imputed values; a type has its colour among all cells of `projection`."""
    drawn = imputed_layout[OF_IMPUTED].reset_index(drop=True)
    is_measured = drawn["run"] == MEASURED
    measured, imputed = drawn[is_measured], drawn[~is_measured]
    if imputed.empty:
        return nothing("No run with a layout imputes a modality.", list(drawn))
    columns = [MEASURED, *theme.order("runs", imputed["run"])]
    rows = theme.directions(imputed["direction"])
    by = "cell_type"
    palette, labels = _palette(by, drawn[by], [*drawn[by], *projection[by]], theme)
    height = max(NARROW * len(rows), LINE * lines_of_key(palette, labels))
    widths = [*[NARROW] * len(columns), KEY]
    figure = Figure(figsize=(0.3 + sum(widths), 0.7 + height), layout="constrained")
    cells = figure.add_gridspec(len(rows), len(widths), width_ratios=widths)
    for row, direction in enumerate(rows):
        ground = measured[measured["modality"] == direction.split("->")[1]]
        for column, run in enumerate(columns):
            axes = figure.add_subplot(cells[row, column])
            bare(axes)
            if row == 0:
                axes.set_title(wrapped(theme.label("runs", run), width=16))
            points = ground
            if run == MEASURED:
                axes.set_ylabel(theme.direction(direction), fontweight="bold")
            else:
                points = imputed[(imputed["run"] == run) & (imputed["direction"] == direction)]
                cloud(axes, ground["x"], ground["y"], FAINT, points=len(ground))
            colours = points[by].map(palette).tolist()
            cloud(axes, points["x"], points["y"], colours, points=len(ground))
    key(figure.add_subplot(cells[:, -1]), palette, labels, TITLES[by])
    name_cells(figure, theme, runs, drawn, imputed["cell"].nunique())
    return figure, drawn
