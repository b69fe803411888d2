"""FOSCTTM as MaxFuse defines it."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined, matched
from mosaicbench.metrics._matches import closer_and_tied

CARD = {
    "label": "FOSCTTM as in MaxFuse",
    "group": "published_variants",
    "best": 0.0,
    "better": "lower",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "definition": "Mean over cells of the fraction of cells of the second modality strictly closer to the cell's latent in "
    "the first than the true match, in 1 - Pearson's r over the first 15 dimensions, divided by n; one "
    "direction. A latent without variance over its dimensions is as far from every other such latent. Ties do "
    "not count, so a latent without any information scores 0, as if perfect: compare it with published numbers "
    "only.",
    "doi": "10.1038/s41587-023-01935-0",
}


DIMENSIONS = 15


def foscttm_maxfuse(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return it from a to b, (cells, dims) latents whose rows match.

    Between rows of mean 0 and length 1, the squared Euclidean distance is 2 (1 - r), so the order is the same.

    Raises
    ------
    Undefined
        When there are fewer than two dimensions, which have no correlation.
    """
    if np.shape(latent_a)[1:] and np.shape(latent_a)[1] < 2:
        raise Undefined("a correlation needs at least two dimensions")
    a, b = matched(latent_a=latent_a, latent_b=latent_b)
    return float(closer_and_tied(_unit_rows(a[:, :DIMENSIONS]), _unit_rows(b[:, :DIMENSIONS]))[:, 0].mean() / len(a))


def _unit_rows(latent: np.ndarray) -> np.ndarray:
    """Return rows of mean 0 and length 1; zeros where a row does not vary."""
    varies = np.ptp(latent, axis=1, keepdims=True) > 0
    centred = np.where(varies, latent - latent.mean(axis=1, keepdims=True), 0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.where(length > 0, length, 1)
