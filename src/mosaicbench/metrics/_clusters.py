"""K-means clusters of latents, found once for all metrics that ask."""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np

STARTS = 10  # of K-means; one alone may end far from the best clusters, and the scores with it


def clusters_of(cells: np.ndarray, number: int) -> np.ndarray:
    """Return the K-means cluster of each cell, (cells,), of (cells, dims) latents, the best of ten starts.

    No more clusters than there are cells.
    """
    return _clusters(cells.tobytes(), cells.shape, min(number, len(cells)))


@lru_cache(maxsize=3)
def _clusters(cells: bytes, shape: tuple[int, int], number: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Number of distinct clusters"
        )  # a collapsed latent has fewer than types
        found = KMeans(number, n_init=STARTS, random_state=0).fit_predict(
            np.frombuffer(cells).reshape(shape)
        )
    found.flags.writeable = False
    return found
