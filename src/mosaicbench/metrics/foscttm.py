"""FOSCTTM: the fraction of cells closer than the true match."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._matches import fractions_closer

CARD = {
    "label": "FOSCTTM",
    "group": "alignment",
    "best": 0.0,
    "better": "lower",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "definition": "Mean over query cells of the fraction of other cells of the second modality that lie closer (Euclidean, all "
    "dimensions) to the cell's latent in the first modality than its own latent in the second does; ties count half, the "
    "divisor is n - 1.",
    "doi": "10.1038/s41587-021-01161-6",
}


def foscttm(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean fraction of cells closer than the true match, from a to b.

    Parameters
    ----------
    latent_a, latent_b
        (cells, dims); row i of both is the same cell.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When there are fewer than two cells.
    """
    return float(fractions_closer(latent_a, latent_b).mean())


def per_cell(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return the fraction of cells closer than the match of each cell, (cells,)."""
    return fractions_closer(latent_a, latent_b)
