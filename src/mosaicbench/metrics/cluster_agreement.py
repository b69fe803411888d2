"""Agreement of cell types with clusters of the latent."""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np

from mosaicbench.metrics._graph import labelled

CARD = {
    "group": "biology",
    "best": 1.0,
    "better": "higher",
    "definition": "{score} between cell types and clusters: K-means with as many clusters as there are types, on the query "
    "cells with a label, the best of ten starts.",
    "doi": "10.1038/s41592-021-01336-8",
    "lacks": {"cell_order": "K-means starts from random cells"},
    "variants": {
        "ari": {
            "keywords": {"score": "Adjusted Rand index"},
            "label": "ARI",
            "chance": 0.0,
            "bounds": [-1.0, 1.0],
        },
        "nmi": {
            "keywords": {"score": "Normalised mutual information"},
            "label": "NMI",
            "chance": None,
            "bounds": [0.0, 1.0],
        },
    },
}

STARTS = 10  # of K-means; one alone may end far from the best clusters, and the scores with it


def cluster_agreement(latent: np.ndarray, labels: np.ndarray, *, score: str) -> float:
    """Return a score of the types and K-means clusters of the cells with a label, as many clusters as there are types.

    Parameters
    ----------
    latent, labels
        (cells, dims) and (cells,).
    score
        "Adjusted Rand index" or "Normalised mutual information"; the clusters are found once for both.
    """
    cells, codes = labelled(latent, labels)
    return _agreement(cells.tobytes(), cells.shape, codes.astype(np.int64).tobytes())[score]


@lru_cache(maxsize=1)
def _agreement(cells: bytes, shape: tuple[int, int], codes: bytes) -> dict[str, float]:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    x, types = np.frombuffer(cells).reshape(shape), np.frombuffer(codes, dtype=np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Number of distinct clusters")  # a collapsed latent has fewer than types
        clusters = KMeans(types.max() + 1, n_init=STARTS, random_state=0).fit_predict(x)
    return {
        "Adjusted Rand index": float(adjusted_rand_score(types, clusters)),
        "Normalised mutual information": min(1.0, float(normalized_mutual_info_score(types, clusters))),
    }
