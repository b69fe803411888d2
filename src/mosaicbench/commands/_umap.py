"""scanpy's UMAP and Leiden clusters of a table's rows, from one graph of nearest neighbours.

Compiled code of umap-learn is kept; ``python -m mosaicbench.commands._umap`` compiles it ahead of
the first layout. References: McInnes, Healy & Melville 2018; Traag, Waltman & van Eck 2019.
"""

from __future__ import annotations

import numpy as np
import scanpy
from anndata import AnnData
from sklearn.neighbors import KNeighborsTransformer

from mosaicbench.metrics._nearest import import_kept

NEIGHBORS = 15  # with the row itself, as scanpy counts
FEWEST = 4  # rows that UMAP lays out
EPOCHS = 200
START = "X_start"


def neighbourhood(z: np.ndarray) -> AnnData:
    """Return z, (rows, dims), with first coordinates and, of enough rows, scanpy's neighbours."""
    import_kept("umap")
    z = np.asarray(z, dtype=np.float64)
    scale = max(np.abs(z).max(), np.finfo(np.float32).tiny)
    rows = AnnData(z / scale, obsm={START: _start(z, scale)})
    if len(z) >= FEWEST:
        count = min(NEIGHBORS, len(z) - 1)
        exact = KNeighborsTransformer(n_neighbors=count - 1, algorithm="brute")
        scanpy.pp.neighbors(rows, n_neighbors=count, use_rep="X", transformer=exact)
    return rows


def laid_out(rows: AnnData, seed: int) -> np.ndarray:
    """Return coordinates, (rows, 2): principal components if fewer than ``FEWEST``."""
    if rows.n_obs < FEWEST:
        return rows.obsm[START]
    laid = scanpy.tl.umap(
        rows, init_pos=START, min_dist=0.1, maxiter=EPOCHS, random_state=seed, copy=True
    )
    return laid.obsm["X_umap"]


def leiden_clusters(rows: AnnData, seed: int) -> np.ndarray:
    """Return the Leiden cluster (modularity, resolution 1) of every row; the largest is 0."""
    if rows.n_obs < FEWEST:
        return np.zeros(rows.n_obs, dtype=int)
    found = scanpy.tl.leiden(
        rows, flavor="igraph", directed=False, n_iterations=2, random_state=seed, copy=True
    )
    _, places, sizes = np.unique(
        found.obs["leiden"].astype(int), return_inverse=True, return_counts=True
    )
    return np.argsort(np.argsort(-sizes, kind="stable"))[places]


def _start(z: np.ndarray, scale: float) -> np.ndarray:
    left, singular, _ = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    start = np.random.default_rng(0).normal(size=(len(z), 2))
    there = np.flatnonzero(singular[:2] > np.finfo(np.float32).eps * scale)
    start[:, there] = (left * singular)[:, there]
    return start


if __name__ == "__main__":
    laid_out(neighbourhood(np.random.default_rng(0).random((20, 3))), 0)
