"""FOSCTTM: the fraction of cells closer than the true match."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import matched
from mosaicbench.metrics._closer import count_closer
from mosaicbench.metrics._matches import compared, fractions_closer

CARD = {
    "label": "FOSCTTM",
    "best": 0.0,
    "better": "lower",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "doi": "10.1038/s41587-021-01161-6",
    "variants": {
        "foscttm": {
            "group": "alignment",
            "definition": "Mean over query cells of the fraction of other cells of the second modality that lie closer "
            "(Euclidean, all dimensions) to the cell's latent in the first modality than its own latent in the second does; "
            "ties count half, the divisor is n - 1. Of more than 100,000 query cells, 20,000 drawn by seed are held against "
            "all others, with a standard error of at most 0.0035.",
        },
        "foscttm_exact": {
            "keywords": {"exact": True},
            "label": "FOSCTTM of all cells",
            "group": "sampling",
            "definition": "FOSCTTM with every query cell held against all others, however many there are.",
        },
    },
}


def foscttm(latent_a: np.ndarray, latent_b: np.ndarray, *, exact: bool = False) -> float:
    """Return the mean fraction of cells closer than the true match, from a to b.

    Parameters
    ----------
    latent_a, latent_b
        (cells, dims); row i of both is the same cell.
    exact
        Whether every cell counts, where there are so many that a sample would.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When there are fewer than two cells.
    """
    if exact and len(compared(len(latent_a))) < len(latent_a):
        counts, _ = count_closer(*matched(latent_a=latent_a, latent_b=latent_b))
        return float(((2 * counts[:, 0] + counts[:, 1]) / (2 * (len(latent_a) - 1))).mean())
    return float(fractions_closer(latent_a, latent_b).mean())


def per_cell(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return the fraction of cells closer than the match of each cell, (cells,); NaN of a cell that was not drawn."""
    found = np.full(len(latent_a), np.nan)
    found[compared(len(found))] = fractions_closer(latent_a, latent_b)
    return found
