"""Agreement of cell types with clusters of a latent, computed once for its two scores."""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np

from mosaicbench.metrics._graph import labelled

STARTS = 10  # of K-means; one alone may end far from the best clusters, and the scores with it


def cluster_agreement(latent: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return "nmi" and "ari" between types and K-means clusters of the cells with a label, as many as there are types."""
    cells, codes = labelled(latent, labels)
    return _agreement(cells.tobytes(), cells.shape, codes.astype(np.int64).tobytes())


@lru_cache(maxsize=1)
def _agreement(cells: bytes, shape: tuple[int, int], codes: bytes) -> dict[str, float]:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    x, types = np.frombuffer(cells).reshape(shape), np.frombuffer(codes, dtype=np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Number of distinct clusters")  # a collapsed latent has fewer than types
        clusters = KMeans(types.max() + 1, n_init=STARTS, random_state=0).fit_predict(x)
    return {
        "nmi": min(1.0, float(normalized_mutual_info_score(types, clusters))),
        "ari": float(adjusted_rand_score(types, clusters)),
    }
