"""Measured beside imputed values: the same cells in one layout."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from mosaicbench.figures._panels import bare, cloud, key, lines_of_key, name_cells, wrapped
from mosaicbench.figures.umap import LINE, UNLABELLED
from mosaicbench.report.projections import MEASURED
from mosaicbench.report.theme import FAINT, SPARE, Theme, empty

CARD = {
    "needs": ["imputed_layout", "projection", "runs"],
    "per": "view",
    "variants": {
        "imputation_umap": {
            "label": "UMAP of measured and imputed values",
            "caption": (
                "The values of one modality, measured (left) and imputed from another, of the same query cells of the first "
                "seed, at most 500 at random: one UMAP per imputed modality of all its panels together, on the first 50 "
                "principal components of the measured values. Grey are the measured values. Good imputation covers them, cell "
                "type by cell type; one that returns means shrinks to a few points beside them."
            ),
        },
        "imputation_umap_clusters": {
            "keywords": {"by": "leiden"},
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
COLUMNS = ["run", "seed", "modality", "direction", "cell", "cell_type", "x", "y"]
WIDTH = 1.6  # inches


def imputation_umap(
    *,
    imputed_layout: pd.DataFrame,
    projection: pd.DataFrame,
    runs: pd.DataFrame,
    by: str = "cell_type",
    theme: Theme,
) -> tuple[Figure, pd.DataFrame]:
    """Draw measured and imputed values of one view.

    Parameters
    ----------
    projection
        It holds more cells than `imputed_layout`, and is read for the clusters and for all cell types, so that a type has the
        colour that it has in other figures.
    by
        What points are coloured by: "cell_type", or "leiden", the clusters of the latents.

    Returns
    -------
    tuple
        The figure, and the points drawn.
    """
    drawn = imputed_layout[COLUMNS].reset_index(drop=True)
    if by == "leiden":
        drawn = drawn.assign(leiden=_clusters(drawn, projection))
    measured = drawn[drawn["run"] == MEASURED]
    imputed = drawn[drawn["run"] != MEASURED]
    if imputed.empty:
        return empty("No run that was projected imputes a modality."), drawn[:0]
    columns = theme.order("runs", imputed["run"])
    rows = theme.directions(imputed["direction"])
    coloured = drawn if by == "cell_type" else imputed
    names = {*coloured[by], *(projection[by] if by == "cell_type" else ())} - {""}
    palette = theme.palette("cell_types" if by == "cell_type" else by, names)
    palette = {name: colour for name, colour in palette.items() if name in set(coloured[by])}
    palette |= {"": SPARE} if (coloured[by] == "").any() else {}
    labels = {name: UNLABELLED if name == "" else str(name) for name in palette}

    legend = LINE * lines_of_key(palette, labels)
    height = max(WIDTH * len(rows), legend)
    figure = Figure(
        figsize=(0.3 + WIDTH * (1 + len(columns)) + 1.5, 0.7 + height), layout="constrained"
    )
    grid = figure.add_gridspec(
        len(rows), len(columns) + 2, width_ratios=[*[WIDTH] * (1 + len(columns)), 1.5]
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
