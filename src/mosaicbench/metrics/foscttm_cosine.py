"""FOSCTTM by cosine distance: the fraction of cells in a nearer direction than the true match."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._matches import compared, fractions_closer

CARD = {
    "label": "FOSCTTM, cosine",
    "group": "alignment",
    "best": 0.0,
    "better": "lower",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "definition": "FOSCTTM by cosine distance: the length of a latent does not count, so neither does a scale in which the "
    "modalities differ. The angle is that at the origin. A latent of length 0 is as far from all others, as one at a right "
    "angle; ties count half.",
    "doi": "",
}


def foscttm_cosine(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean fraction of cells closer than the true match, from a to b, (cells, dims) each; errors as for FOSCTTM."""
    return float(fractions_closer(latent_a, latent_b, cosine=True).mean())


def per_cell(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return the fraction of cells closer than the match of each cell, (cells,); NaN of a cell that was not drawn."""
    found = np.full(len(latent_a), np.nan)
    found[compared(len(found))] = fractions_closer(latent_a, latent_b, cosine=True)
    return found
