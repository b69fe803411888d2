"""Agreement of cell types with clusters of the latent."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._clusters import clusters_of
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


def cluster_agreement(latent: np.ndarray, labels: np.ndarray, *, score: str) -> float:
    """Return a score of the types and K-means clusters of the cells with a label, as many clusters as there are types.

    Parameters
    ----------
    latent, labels
        (cells, dims) and (cells,).
    score
        "Adjusted Rand index" or "Normalised mutual information"; the clusters are found once for both.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    cells, types = labelled(latent, labels)
    clusters = clusters_of(cells, types.max() + 1)
    if score == "Adjusted Rand index":
        return float(adjusted_rand_score(types, clusters))
    return min(1.0, float(normalized_mutual_info_score(types, clusters)))
