"""F1 score of the cell types that are in fewest batches: whether a cluster holds them, and nothing else."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._clusters import clusters_of
from mosaicbench.metrics._graph import labelled
from mosaicbench.metrics._labels import known
from mosaicbench.metrics.isolated_labels import is_isolated

CARD = {
    "label": "Isolated labels (F1)",
    "group": "biology",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Mean over the cell types that occur in the fewest batches of the best F1 score of a cluster for the type: "
    "K-means with as many clusters as there are types, and with twice as many, on the query cells with a label. scIB takes "
    "clusters of a graph at several resolutions instead. Batches are counted as for the isolated labels.",
    "doi": "10.1038/s41592-021-01336-8",
    "lacks": {
        "perfect_is_best": "best is a limit",
        "cell_order": "K-means starts from random cells",
    },
}

MULTIPLES = (1, 2)  # clusters for each type


def isolated_labels_f1(latent: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) labels and batches; errors as for the isolated labels."""
    cells, types = labelled(latent, labels)
    isolated = is_isolated(types, np.asarray(batches, dtype=object)[known(labels)])
    best = np.max(
        [_best_f1(types, clusters_of(cells, times * len(isolated))) for times in MULTIPLES], axis=0
    )
    return float(best[isolated].mean())


def _best_f1(types: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Return the best F1 score of a cluster for each type, (types,): 2 x common cells / (cells of both)."""
    common = np.zeros((types.max() + 1, clusters.max() + 1))
    np.add.at(common, (types, clusters), 1)
    return (2 * common / (common.sum(axis=1, keepdims=True) + common.sum(axis=0))).max(axis=1)
