"""UMAP and Leiden clusters of a table's rows, both from one graph of nearest neighbours.

Leiden is scanpy's, UMAP igraph's, which is compiled ahead. umap-learn, on which scanpy's stands, compiles itself anew in every
process: 13 CPU seconds, for a layout that takes as long as igraph's.
References: McInnes, Healy & Melville 2018; Traag, Waltman & van Eck 2019.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

if TYPE_CHECKING:
    from igraph import Graph

NEIGHBORS = 15
EPOCHS = 200
SPREAD = 10.0  # of the first two principal components, from which a layout starts
UNIT = 1000.0  # UMAP does not mind a row's unit, but igraph's search for a row's bandwidth fails where distances are near 1


@dataclass(frozen=True)
class Neighbourhood:
    """What a layout and clusters are made of.

    Attributes
    ----------
    start
        (rows, 2) the first two principal components.
    edges
        (rows * neighbours, 2) every row and one of its neighbours.
    distances
        (rows * neighbours,) beyond the row's nearest one, in units of their mean over the row times `UNIT`.
    """

    start: np.ndarray
    edges: np.ndarray
    distances: np.ndarray

    @classmethod
    def of(cls, z: np.ndarray) -> Neighbourhood:
        """Find the nearest neighbours of every row of z, (rows, dims), at least two rows."""
        from sklearn.neighbors import NearestNeighbors

        z = np.asarray(z, dtype=np.float64)
        count = min(NEIGHBORS, len(z) - 1)
        distances, nearest = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(z).kneighbors()
        beyond = distances - distances[:, :1]
        unit = np.maximum(beyond.mean(axis=1, keepdims=True), np.finfo(np.float32).tiny) / UNIT
        edges = np.column_stack([np.repeat(np.arange(len(z)), count), nearest.ravel()])
        return cls(_start(z), edges, (beyond / unit).ravel())

    def layout(self, seed: int) -> np.ndarray:
        """Return UMAP's coordinates, (rows, 2)."""
        with _drawing_from(seed):
            found = self._graph().layout_umap(dist=self.distances, min_dist=0.1, epochs=EPOCHS, seed=self.start.tolist())
        return np.asarray(found.coords)

    def weights(self) -> np.ndarray:
        """Return UMAP's weight of every edge, (rows * neighbours,); one may stand for two between the same rows."""
        import igraph

        return np.asarray(igraph.umap_compute_weights(self._graph(), self.distances))

    def clusters(self, seed: int) -> np.ndarray:
        """Return the Leiden cluster (modularity, resolution 1) of every row, (rows,), the largest called 0."""
        import scanpy
        from anndata import AnnData

        rows = AnnData(obs=pd.DataFrame(index=np.arange(len(self.start)).astype(str)))
        weights = sparse.csr_array((self.weights(), self.edges.T), shape=(len(rows), len(rows)))
        either = sparse.csr_matrix(weights.maximum(weights.T))
        scanpy.tl.leiden(rows, adjacency=either, flavor="igraph", directed=False, n_iterations=2, random_state=seed)
        clusters = rows.obs["leiden"].astype(int).to_numpy()
        names, sizes = np.unique(clusters, return_counts=True)
        by_size = np.argsort(-sizes, kind="stable")
        return np.argsort(by_size)[np.searchsorted(names, clusters)]

    def _graph(self) -> Graph:
        import igraph

        return igraph.Graph(n=len(self.start), edges=self.edges, directed=True)


def _start(z: np.ndarray) -> np.ndarray:
    """Return the first two principal components of z, (rows, 2), the largest coordinate being `SPREAD`."""
    left, singular, _ = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    start = np.zeros((len(z), 2))
    start[:, : min(2, len(singular))] = (left * singular)[:, :2]
    return SPREAD * start / max(np.abs(start).max(), np.finfo(np.float32).tiny)


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Let igraph, which has one generator for the whole process, draw from `seed`."""
    import igraph

    igraph.set_random_number_generator(random.Random(seed))
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)
