"""The query cells in two dimensions, once per modality, coloured by modality, cell type, batch and cluster."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from mosaicbench.figures._umaps import COLUMNS, draw_umaps
from mosaicbench.report.theme import Theme, empty

CARD = {
    "label": "UMAP of the query cells, by modality",
    "caption": (
        "Query cells of the first seed, at most 2,000 at random. Each cell is drawn once per modality, from its latents of "
        "that modality alone; one UMAP per run of all modalities together. Well aligned modalities lie on top of each "
        "other, and clusters (Leiden on UMAP's graph of 15 neighbours, resolution 1) hold cells of all. A property that is "
        "the same in all cells, such as a single batch, has no column. Distances between clusters mean little."
    ),
    "needs": ["projection", "runs"],
    "per": "view",
}


def umap(*, projection: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> tuple[Figure, pd.DataFrame]:
    """Draw the layouts of single modalities' latents of one view.

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
    single = projection[projection["source"] != "joint"]
    if single.empty:
        return empty("No run that was projected has latents of single modalities."), pd.DataFrame(columns=COLUMNS)
    return draw_umaps(single, runs, theme)
