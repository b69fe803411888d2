"""What both local inverse Simpson indices hand to scib-metrics (Korsunsky et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mosaicbench.metrics._checks import Undefined
from mosaicbench.metrics._scib import handed_over

if TYPE_CHECKING:
    from scib_metrics.nearest_neighbors import NeighborsResults

FEWEST = 6  # neighbours, for a perplexity of a third of them: at 1 there is no neighbourhood to search for


def beyond_nearest(distances: np.ndarray, nearest: np.ndarray) -> NeighborsResults:
    """Return neighbours with their distances beyond the nearest, in units of the mean of these over the cell's neighbours.

    Neither changes the index: the weights of a neighbourhood are exp(-beta distance), with a beta of its own, and sum to 1. But
    where distances are much larger than their differences, or than 1, all weights would be too small for a number.

    Parameters
    ----------
    distances, nearest
        (cells, k), the cell itself first.

    Raises
    ------
    Undefined
        When there are fewer than six neighbours.
    """
    if distances.shape[1] < FEWEST:
        raise Undefined(
            f"at least {FEWEST} neighbours are needed, the cell itself among them, found {distances.shape[1]}"
        )
    others = nearest != np.arange(len(nearest))[:, None]  # all but the first
    beyond = np.where(
        others, distances - np.where(others, distances, np.inf).min(axis=1, keepdims=True), 0
    )
    mean = beyond.mean(axis=1, keepdims=True)
    return handed_over(beyond / np.where(mean > 0, mean, 1), nearest)
