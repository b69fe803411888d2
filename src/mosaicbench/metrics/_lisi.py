"""Local inverse Simpson index: the effective number of kinds of cells in a neighbourhood (Korsunsky et al. 2019)."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import at_least
from mosaicbench.metrics._graph import MOST, neighbors

TOLERANCE = 1e-5  # of the entropy of a neighbourhood
ATTEMPTS = 50  # to find it
CHUNK = 8192  # cells whose neighbourhoods are held at a time


def median_lisi(latent: np.ndarray, codes: np.ndarray) -> float:
    """Return the median over cells of 1 / sum over kinds of (share of the neighbourhood's weight)^2.

    The 90 nearest cells, itself aside, weigh exp(-beta distance), with the beta of each cell at which its neighbourhood has an
    effective size (perplexity) of 30.

    Parameters
    ----------
    latent
        (cells, dims).
    codes
        (cells,) kinds, 0 to the last.

    Raises
    ------
    Undefined
        When there are fewer than three cells.
    """
    at_least(3, latent)
    return median_lisi_among(*neighbors(latent, MOST), codes)


def median_lisi_among(distances: np.ndarray, indices: np.ndarray, codes: np.ndarray) -> float:
    """Return it from (cells, k) distances and places of each cell's neighbours, itself first; the perplexity is k / 3."""
    found = []
    for part in (slice(start, start + CHUNK) for start in range(0, len(codes), CHUNK)):
        others = indices[part] != np.arange(len(codes))[part, None]  # all but the first
        weights = _weights(distances[part], others, np.log(distances.shape[1] // 3))
        kinds = codes[indices[part]]
        shares = [np.where(kinds == kind, weights, 0).sum(axis=1) for kind in range(codes.max() + 1)]
        found.append(1 / np.square(shares).sum(axis=0))
    return float(np.median(np.concatenate(found)))


def _weights(distances: np.ndarray, others: np.ndarray, wanted: float) -> np.ndarray:
    """Return the weights of neighbours, (cells, neighbours), that sum to 1 and have an entropy as wanted, in nats."""
    beyond = distances - np.where(others, distances, np.inf).min(axis=1, keepdims=True)  # the nearest: nothing underflows
    beyond[~others] = 0
    weights, rows = np.empty_like(distances), np.arange(len(distances))
    beta, low, high = np.ones(len(rows)), np.zeros(len(rows)), np.full(len(rows), np.inf)
    for _ in range(ATTEMPTS):
        shares = np.exp(-beta[rows, None] * beyond[rows]) * others[rows]
        total = shares.sum(axis=1)
        entropy = np.log(total) + beta[rows] * (beyond[rows] * shares).sum(axis=1) / total
        weights[rows] = shares / total[:, None]
        apart = np.abs(entropy - wanted) >= TOLERANCE
        rows, too_wide = rows[apart], entropy[apart] > wanted
        if not len(rows):
            break
        low[rows], high[rows] = np.where(too_wide, beta[rows], low[rows]), np.where(too_wide, high[rows], beta[rows])
        beta[rows] = np.where(np.isinf(high[rows]), 2 * beta[rows], (low[rows] + high[rows]) / 2)
    return weights
