"""Whether cell types stay separate, and the cell cycle is preserved."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
from scipy import sparse

from mosaicbench.metrics._checks import Matrix, Undefined, dense, finite, same_cells
from mosaicbench.metrics._labels import codes_of, known, label_subset, with_batch
from mosaicbench.metrics._nearest import (
    MOST,
    handed_over,
    lisi,
    loopless,
    neighbors,
    neighbors_in,
    remembered,
    scib,
    within_range,
)

CARDS = {
    "ari": {
        "label": "ARI",
        "group": "biology",
        "best": 1.0,
        "better": "higher",
        "chance": 0.0,
        "bounds": [-1.0, 1.0],
        "definition": "Adjusted Rand index between cell types and clusters: K-means with as many "
        "clusters as there are types, on the query cells with a label, the best of ten starts.",
        "doi": "10.1038/s41592-021-01336-8",
        "exempt_from": {"cell_order": "K-means starts from random cells"},
    },
    "nmi": {
        "like": "ari",
        "label": "NMI",
        "chance": None,
        "bounds": [0.0, 1.0],
        "definition": "Normalised mutual information between cell types and clusters: K-means with "
        "as many clusters as there are types, on the query cells with a label, the best of ten "
        "starts.",
    },
    "label_silhouette": {
        "label": "Label silhouette",
        "group": "biology",
        "best": 1.0,
        "better": "higher",
        "chance": 0.5,
        "bounds": [0.0, 1.0],
        "definition": "Mean silhouette width of the cell types over query cells with a label, (1 + "
        "width) / 2 (as in scib-metrics).",
        "doi": "10.1038/s41592-021-01336-8",
        "exempt_from": {"perfect_is_best": "best is a limit"},
    },
    "isolated_labels": {
        "like": "label_silhouette",
        "label": "Isolated labels",
        "definition": "Mean silhouette width, (1 + width) / 2, of the cell types that occur in the "
        "fewest batches, over query cells with a label (as in scib-metrics); cells without a batch "
        "do not count for those of their type.",
    },
    "isolated_labels_f1": {
        "label": "Isolated labels (F1)",
        "group": "biology",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Mean over the cell types that occur in the fewest batches of the best F1 "
        "score of a cluster for the type: K-means with as many clusters as there are types, and "
        "with twice as many, on the query cells with a label. scIB takes clusters of a graph at "
        "several resolutions instead. Batches are counted as for the isolated labels.",
        "doi": "10.1038/s41592-021-01336-8",
        "exempt_from": {
            "perfect_is_best": "best is a limit",
            "cell_order": "K-means starts from random cells",
        },
    },
    "graph_connectivity": {
        "label": "Graph connectivity",
        "group": "biology",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Mean over cell types of the fraction of their query cells in the largest "
        "strongly connected component of the type's own part of the graph of 15 nearest neighbours "
        "(as in scib-metrics; cells that are equally far are drawn at random). Neighbours drawn at "
        "random, as in a constant latent, also connect a type that is not rare: read it next to the "
        "other scores of biology.",
        "doi": "10.1038/s41592-021-01336-8",
        "exempt_from": {"perfect_is_best": "best is a limit"},
    },
    "clisi": {
        "like": "graph_connectivity",
        "label": "cLISI",
        "definition": "Median over query cells with a label of the effective number of types among "
        "90 neighbours, scaled so that 1 is one type only and 0 as many as there are (as in "
        "scib-metrics; cells that are equally far are drawn at random).",
    },
    "mean_average_precision": {
        "like": "graph_connectivity",
        "label": "Mean average precision",
        "definition": "Mean over query cells with a label of the average precision with which "
        "their nearest 1 % of the other cells (Euclidean, at least one) are of their own type: the "
        "mean, over neighbours of the type, of the fraction of the type among the neighbours as "
        "near; 0 without any. Cells that are equally far are drawn at random. As in GLUE.",
        "doi": "10.1038/s41587-022-01284-4",
    },
    "cell_cycle_conservation": {
        "label": "Cell-cycle conservation",
        "group": "biology",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "1 - |R - R0| / R0, 0 where that is negative, with R the fraction of the "
        "latent's variance that scores of the S and the G2M phase explain, and R0 that of the "
        "modality's own values. A score is the mean of the standardised values of the phase's "
        "genes in measured RNA; asked only where at least three genes of each phase are among its "
        "features. scIB computes these fractions within each batch; here they are over all query "
        "cells.",
        "doi": "10.1038/s41592-021-01336-8",
        "exempt_from": {
            "perfect_is_best": "best is a limit: a latent and the values differ in what else "
            "varies",
            "noise_never_improves": "a latent that holds too much of the cell cycle comes nearer "
            "with noise",
            "collapse_is_not_rewarded": "is not defined without variance",
        },
    },
}

FRACTION = 0.01  # of the cells, in the mean average precision
STARTS = 10  # of K-means; a single one may end far from the best clusters
MULTIPLES = (1, 2)  # clusters for each type


def ari(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return the adjusted Rand index; undefined if all labelled cells are of one type."""
    from sklearn.metrics import adjusted_rand_score

    cells, types = label_subset(latent, labels)
    return float(adjusted_rand_score(types, clusters_of(cells, types.max() + 1)))


def nmi(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return the normalised mutual information."""
    from sklearn.metrics import normalized_mutual_info_score

    cells, types = label_subset(latent, labels)
    clusters = clusters_of(cells, types.max() + 1)
    return min(1.0, float(normalized_mutual_info_score(types, clusters)))


def label_silhouette(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean width of all labelled cells."""
    return float((1 + _widths(*label_subset(latent, labels)).mean()) / 2)


def isolated_labels(latent: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> float:
    """Return the mean width of isolated types; undefined if no cell has a batch."""
    known_latent, types = label_subset(latent, labels)
    width = np.bincount(types, _widths(known_latent, types)) / np.bincount(types)
    return float((1 + width[_is_isolated(types, labels, batches)].mean()) / 2)


def isolated_labels_f1(latent: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> float:
    """Return the mean best F1 score of isolated types; undefined if no cell has a batch."""
    cells, types = label_subset(latent, labels)
    isolated = _is_isolated(types, labels, batches)
    clusters = [clusters_of(cells, times * len(isolated)) for times in MULTIPLES]
    best = np.max([_best_f1(types, each) for each in clusters], axis=0)
    return float(best[isolated].mean())


def graph_connectivity(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean fraction of a type in its largest component."""
    known_latent, codes = label_subset(latent, labels)
    return float(scib("graph_connectivity", handed_over(*neighbors(known_latent, 15)), codes))


def graph_connectivity_from_graph(graph: sparse.csr_matrix, labels: np.ndarray) -> float:
    """Return it for a (cells, cells) graph of neighbours, with any entries."""
    rows = known(labels)
    _, codes = label_subset(np.zeros((len(rows), 1)), labels)
    neighbours = SimpleNamespace(knn_graph_distances=loopless(graph)[rows][:, rows])
    return float(scib("graph_connectivity", neighbours, codes))  # which reads no more of them


def clisi(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return the scaled median number of types."""
    known_latent, codes = label_subset(latent, labels)
    return lisi("clisi_knn", *neighbors(known_latent, MOST), codes)


def clisi_from_graph(graph: sparse.csr_matrix, labels: np.ndarray) -> float:
    """Return it for a (cells, cells) graph of distances, with as many neighbours as it has."""
    if not known(labels).all():
        raise Undefined("some cells of this graph have no label")
    _, codes = label_subset(np.zeros((len(labels), 1)), labels)
    return lisi("clisi_knn", *neighbors_in(graph), codes)


def mean_average_precision(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over labelled cells."""
    z, types = label_subset(latent, labels)
    k = max(1, round(FRACTION * len(z)))
    _, nearest = neighbors(z, k + 1)
    same = types[nearest[:, 1:]] == types[:, None]  # (cells, neighbours), without the cell itself
    precision = same.cumsum(axis=1) / np.arange(1, k + 1)
    return float(np.mean((precision * same).sum(axis=1) / np.maximum(same.sum(axis=1), 1)))


def cell_cycle_conservation(latent: np.ndarray, values: Matrix, cell_cycle: np.ndarray) -> float:
    """Return the conserved fraction of the explained variance.

    Undefined if the latent or the scores do not vary, or the scores explain nothing.
    """
    z, x = finite(latent), finite(dense(values))
    scores = finite(cell_cycle)
    same_cells(z, x, scores)
    if not np.any(np.ptp(z, axis=0) > 0) or not np.any(np.ptp(scores, axis=0) > 0):
        raise Undefined("the latent or the cell cycle does not vary over the query cells")
    before, after = _explained(x, scores), _explained(z, scores)
    if before == 0:
        raise Undefined("the cell cycle explains nothing of the values")
    return max(0.0, 1 - abs(after - before) / before)


def clusters_of(cells: np.ndarray, number: int) -> np.ndarray:
    """Return the K-means cluster of each cell, (cells,), the best of ten starts."""
    return _clusters(cells, min(number, len(cells)))


@remembered(3)
def _clusters(cells: np.ndarray, number: np.ndarray) -> np.ndarray:
    from sklearn.cluster import KMeans

    with warnings.catch_warnings():
        # A collapsed latent has fewer distinct cells than types.
        warnings.filterwarnings("ignore", message="Number of distinct clusters")
        return KMeans(int(number), n_init=STARTS, random_state=0).fit_predict(cells)


@remembered(1)
def _widths(latent: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.array(scib("silhouette_samples", *within_range(latent), codes))


def _is_isolated(types: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> np.ndarray:
    batches = batches[known(labels)]
    rows = with_batch(batches)
    if not rows.any():
        raise Undefined("no labelled query cell has a batch")
    pairs = np.unique(np.stack([types[rows], codes_of(batches[rows])]), axis=1)
    batches_of = np.bincount(pairs[0], minlength=types.max() + 1)  # (types,)
    return batches_of == batches_of[batches_of > 0].min()


def _best_f1(types: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    from sklearn.metrics.cluster import contingency_matrix

    common = contingency_matrix(types, clusters)  # (types, clusters)
    return (2 * common / (common.sum(axis=1, keepdims=True) + common.sum(axis=0))).max(axis=1)


def _explained(x: np.ndarray, scores: np.ndarray) -> float:
    """Return the fraction of the variance of (cells, features) that a regression on scores explains.

    Principal components have the same, since a rotation keeps sums of squares.
    """
    centred, of_phase = x - x.mean(axis=0), scores - scores.mean(axis=0)
    directions, sizes, _ = np.linalg.svd(of_phase, full_matrices=False)
    directions = directions[:, sizes > 1e-10 * sizes.max()]  # (cells, independent scores)
    total = np.square(centred).sum()
    return float(np.square(directions.T @ centred).sum() / total) if total > 0 else 0.0
