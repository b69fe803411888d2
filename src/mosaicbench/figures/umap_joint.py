"""The query cells in two dimensions, from their joint latents, coloured by cell type, batch and cluster."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from mosaicbench.figures._umaps import COLUMNS, draw_umaps
from mosaicbench.report.theme import Theme, empty

CARD = {
    "label": "UMAP of the query cells, joint",
    "caption": (
        "Query cells of the first seed, at most 2,000 at random, from latents that see all modalities of a cell; one UMAP "
        "per run. Good latents keep cell types apart and batches mixed. Clusters are Leiden's on UMAP's graph of 15 "
        "neighbours, resolution 1. A property that is the same in all cells, such as a single batch, has no column. "
        "Distances between clusters mean little."
    ),
    "needs": ["projection", "runs"],
    "per": "view",
}


def umap_joint(*, projection: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> tuple[Figure, pd.DataFrame]:
    """Draw the layouts of the joint latents of one view.

    Parameters
    ----------
    projection, runs
        ``projections.COLUMNS["projection"]`` and the runs of one view.
    theme
        Labels, colours and order.

    Returns
    -------
    tuple
        The figure, and the points drawn.
    """
    joint = projection[projection["source"] == "joint"]
    if joint.empty:
        return empty("No run that was projected has joint latents."), pd.DataFrame(columns=COLUMNS)
    return draw_umaps(joint, runs, theme)
