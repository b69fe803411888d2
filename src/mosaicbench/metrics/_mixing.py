"""How the cells of two modalities surround each other."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import matched
from mosaicbench.metrics._neighbors import votes_of_nearest

K = 20
CHUNK = 8192  # cells whose votes are held at a time


def shares_of_other(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return the share of the other modality among the 20 nearest of all other cells, for each cell of a and then of b.

    A cell's own partner is not counted: it is the same cell. Cells tied at the last place share it.
    """
    a, b = matched(latent_a=latent_a, latent_b=latent_b)
    n, both = len(a), np.concatenate([a, b])
    of = np.repeat([0, 1], n)
    left_out = np.stack([np.arange(2 * n), (np.arange(2 * n) + n) % (2 * n)], axis=1)  # itself, and its partner
    k = min(K, 2 * n - 2)
    shares = np.empty(2 * n)
    for part in (slice(start, start + CHUNK) for start in range(0, 2 * n, CHUNK)):
        votes, _ = votes_of_nearest(both[part], both, of, 2, [k], left_out[part])
        shares[part] = votes[np.arange(len(votes)), 0, 1 - of[part]] / k
    return shares
