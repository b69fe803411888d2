"""Modality mixing: the share of the other modality among a cell's nearest."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from mosaicbench.metrics._checks import matched
from mosaicbench.metrics._neighbors import votes_of_nearest
from mosaicbench.metrics._ranges import within_range

CARD = {
    "without_partners": True,
    "group": "mixing",
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "doi": "",
    "lacks": {"collapse_is_not_rewarded": "says nothing about biology, as its definition warns"},
    "variants": {
        "modality_mixing": {
            "label": "Modality mixing",
            "best": 0.5,
            "lacks": {
                "best_is_a_bound": "half of the neighbours are of the other modality where it mixes perfectly",
                "collapse_is_not_rewarded": "says nothing about biology, as its definition warns",
            },
            "definition": "Mean over the query cells of both modalities of the share of the other modality among the 20 "
            "nearest of all other cells, the own partner not counted; where no cell has both, of as many cells of each type "
            "from either; 0.5 is perfect mixing, 0 none. Says nothing about biology: a constant latent mixes best.",
        },
        "modality_mixing_entropy": {
            "keywords": {"entropy": True},
            "label": "Entropy of modality mixing",
            "best": 1.0,
            "definition": "Mean over the query cells of both modalities of the binary entropy, in bits, of the share of the "
            "other modality among the 20 nearest of all other cells, the own partner not counted; 1 is perfect mixing (random "
            "mixing has about 0.96), 0 none. Says nothing about biology: a constant latent mixes best.",
        },
    },
}

K = 20


def modality_mixing(latent_a: np.ndarray, latent_b: np.ndarray, *, entropy: bool = False) -> float:
    """Return the mean share of the other modality, or the mean entropy of the shares, in bits; the same in both directions.

    Parameters
    ----------
    latent_a, latent_b
        (cells, dims); row i of both is the same cell.
    entropy
        Whether to return the entropy.
    """
    share = _shares_of_other(latent_a, latent_b)
    return float(np.mean((entr(share) + entr(1 - share)) / np.log(2)) if entropy else share.mean())


def _shares_of_other(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return the share of the other modality among the 20 nearest of all other cells, for each cell of a and then of b.

    A cell's own partner is not counted: it is the same cell. Cells tied at the last place share it.
    """
    a, b = matched(latent_a=latent_a, latent_b=latent_b)
    n, (both,) = len(a), within_range(np.concatenate([a, b]))
    of = np.repeat([0, 1], n)
    left_out = np.stack(
        [np.arange(2 * n), (np.arange(2 * n) + n) % (2 * n)], axis=1
    )  # itself, and its partner
    k = min(K, 2 * n - 2)
    shares = np.empty(2 * n)
    for part, votes, _ in votes_of_nearest(both, both, of, 2, [k], left_out):
        shares[part] = votes[np.arange(len(votes)), 0, 1 - of[part]] / k
    return shares
