"""FOSCTTM as publications define it, each in its own way; to hold against their numbers, and for nothing else."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined, matched
from mosaicbench.metrics._matches import closer_and_tied

CARD = {
    "group": "published_variants",
    "best": 0.0,
    "better": "lower",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "lacks": {"collapse_is_not_rewarded": "the published definition counts no ties"},
    "variants": {
        "foscttm_glue": {
            "keywords": {"both_ways": True},
            "label": "FOSCTTM as in GLUE",
            "definition": "Mean over both directions of the fraction of cells strictly closer (Euclidean) than the true match, "
            "divided by n. Ties do not count, so a latent without any information scores 0, as if perfect: compare it with "
            "published numbers only.",
            "doi": "10.1038/s41587-022-01284-4",
        },
        "foscttm_maxfuse": {
            "keywords": {"by_correlation": True},
            "label": "FOSCTTM as in MaxFuse",
            "definition": "Mean over cells of the fraction of cells of the second modality strictly closer to the cell's "
            "latent in the first than the true match, in 1 - Pearson's r over the first 15 dimensions (its own number of 10x "
            "PBMC has all 20), divided by n; one direction. A latent without variance over its dimensions is as far from "
            "every other such latent. Ties do not count, so a latent without any information scores 0, as if perfect: compare"
            " it with published numbers only.",
            "doi": "10.1038/s41587-023-01935-0",
        },
        "foscttm_midas": {
            "keywords": {"both_ways": True, "turned_round": True},
            "label": "1 - FOSCTTM as in MIDAS",
            "best": 1.0,
            "better": "higher",
            "definition": "1 less the mean over both directions of the fraction of cells strictly closer (Euclidean) than the "
            "true match, divided by n: higher is better. Ties do not count, so a latent without any information scores 1, as "
            "if perfect: compare it with published numbers only.",
            "doi": "10.1038/s41587-023-02040-y",
        },
        "foscttm_scot": {
            "keywords": {"both_ways": True, "others_only": True},
            "label": "FOSCTTM as in SCOT",
            "definition": "Mean over both directions of the fraction of cells strictly closer (Euclidean) than the true match, "
            "divided by n - 1. Ties do not count, so a latent without any information scores 0, as if perfect: compare it with "
            "published numbers only.",
            "doi": "10.1089/cmb.2021.0446",
        },
        "foscttm_univi": {
            "keywords": {"others_only": True},
            "label": "FOSCTTM as in UniVI",
            "definition": "Mean over cells of the fraction of cells of the second modality strictly closer (Euclidean) to the "
            "cell's latent in the first than the true match, divided by n - 1; one direction. Ties do not count, so a latent "
            "without any information scores 0, as if perfect: compare it with published numbers only.",
            "doi": "",
        },
    },
}

DIMENSIONS = 15  # of which MaxFuse takes the correlation


def foscttm_published(
    latent_a: np.ndarray,
    latent_b: np.ndarray,
    *,
    both_ways: bool = False,
    others_only: bool = False,
    by_correlation: bool = False,
    turned_round: bool = False,
) -> float:
    """Return the mean number of cells strictly closer than the true match, over the number of cells.

    Parameters
    ----------
    latent_a, latent_b
        (cells, dims); row i of both is the same cell.
    both_ways
        The mean of both directions, instead of from a to b alone.
    others_only
        Whether the divisor leaves out the cell itself.
    by_correlation
        Whether distance is 1 - Pearson's r over the first 15 dimensions, instead of Euclidean.
    turned_round
        Whether to return 1 less the fraction.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When there are fewer than two dimensions, which have no correlation.
    """
    if by_correlation:
        latent_a, latent_b = _unit_latents(latent_a, latent_b)
    directions = (
        [(latent_a, latent_b), (latent_b, latent_a)] if both_ways else [(latent_a, latent_b)]
    )
    closer = np.mean([closer_and_tied(*pair)[:, 0].mean() for pair in directions])
    fraction = float(closer / (len(latent_a) - others_only))
    return 1 - fraction if turned_round else fraction


def _unit_latents(latent_a: np.ndarray, latent_b: np.ndarray) -> list[np.ndarray]:
    """Return latents whose Euclidean distances have the order of 1 - r.

    Between rows of mean 0 and length 1, the squared Euclidean distance is 2 (1 - r).
    """
    if np.shape(latent_a)[1:] and np.shape(latent_a)[1] < 2:
        raise Undefined("a correlation needs at least two dimensions")
    return [
        _unit_rows(latent[:, :DIMENSIONS])
        for latent in matched(latent_a=latent_a, latent_b=latent_b)
    ]


def _unit_rows(latent: np.ndarray) -> np.ndarray:
    """Return rows of mean 0 and length 1; zeros where a row does not vary."""
    varies = np.ptp(latent, axis=1, keepdims=True) > 0
    centred = np.where(varies, latent - latent.mean(axis=1, keepdims=True), 0)
    centred = centred / np.maximum(np.abs(centred).max(axis=1, keepdims=True), np.finfo(float).tiny)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.where(length > 0, length, 1)
