"""What the metrics of biology and mixing share: labelled cells, their codes, and their exact neighbours."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import sparse

from mosaicbench.metrics._checks import Undefined, finite
from mosaicbench.metrics._distances import nearest_cells
from mosaicbench.metrics._labels import known
from mosaicbench.metrics._ranges import within_range
from mosaicbench.metrics._sides import blocks_of, rows_of

MOST = 90  # neighbours that a metric asks for


def labelled(latent: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the latents and label codes of the cells with a label, (cells, dims) and (cells,).

    Raises
    ------
    ValueError
        When the arrays differ in length, a value is not finite, or a label is not text.
    Undefined
        When there are fewer than two types.
    """
    latent, labels = finite("latent", latent), np.asarray(labels, dtype=object)
    if len(labels) != len(latent):
        raise ValueError(f"{len(labels)} labels do not match {len(latent)} cells")
    rows = known(labels)
    codes = codes_of(labels[rows])
    if codes.max() == 0:
        raise Undefined("all labelled query cells are of one type")
    return latent[rows], codes


def with_batch(batches: np.ndarray) -> np.ndarray:
    """Return which cells have a batch, (cells,) bool; "" is none."""
    return np.asarray(batches, dtype=object) != ""


def of_batches(latent: np.ndarray, batches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the latents and batch codes of the cells with a batch, (cells, dims) and (cells,).

    Raises
    ------
    ValueError
        When a value is not finite, or a batch is not text.
    Undefined
        When all cells with a batch are of one.
    """
    rows = with_batch(batches)
    return finite("latent", latent)[rows], batch_codes(np.asarray(batches, dtype=object)[rows])


def batch_codes(batches: np.ndarray) -> np.ndarray:
    """Return the codes of :func:`codes_of` of batches; raise `Undefined` where all cells are of one, or one has none."""
    if not with_batch(batches).all():
        raise Undefined("some cells of this graph have no batch")
    codes = codes_of(batches)
    if codes.max(initial=0) == 0:
        raise Undefined("all query cells are of one batch")
    return codes


def codes_of(names: np.ndarray) -> np.ndarray:
    """Return the place of each name among the names in order of first appearance, so that what a name is never matters.

    Raises
    ------
    ValueError
        When a name is not text (NaN, None).
    """
    names = np.asarray(names, dtype=object)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("names of labels and batches must be text")
    _, first, codes = np.unique(names.astype(str), return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]


def neighbors(latent: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and places of the k nearest cells of each, itself first, nearest first, each (cells, k); exact.

    All cells where there are fewer than k. Each cell draws at random, but always the same, among cells that are equally far:
    a latent with ties, such as a constant one, then scores like random neighbours, whatever the order of rows. The last
    answers are kept, for several metrics ask.
    """
    latent = finite("latent", latent)
    return tuple(found[:, :k] for found in _neighbors(latent.tobytes(), latent.shape))


def neighbors_in(graph: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return what :func:`neighbors` does, from a (cells, cells) graph whose entries are distances to neighbours.

    Raises
    ------
    Undefined
        When cells have different numbers of neighbours, as in a graph of connectivities.
    """
    graph = loopless(graph)
    numbers = np.diff(graph.indptr)
    if len(set(numbers)) > 1 or not numbers[0]:
        raise Undefined(
            f"cells have {numbers.min()} to {numbers.max()} neighbours in this graph; all need as many"
        )
    shape = (len(numbers), numbers[0])
    distances, nearest = graph.data.reshape(shape), graph.indices.reshape(shape)
    order = np.argsort(distances, axis=1, kind="stable")
    distances, nearest = (np.take_along_axis(x, order, axis=1) for x in (distances, nearest))
    itself = np.arange(len(numbers))[:, None]
    return np.hstack([np.zeros_like(distances[:, :1]), distances]), np.hstack([itself, nearest])


def loopless(graph: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return a graph as float64 without edges from cells to themselves; edges of length 0 between others stay."""
    coo = sparse.coo_matrix(graph)
    rows = coo.row != coo.col
    return sparse.csr_matrix(
        (coo.data[rows].astype(np.float64), (coo.row[rows], coo.col[rows])), shape=coo.shape
    )


@lru_cache(maxsize=2)
def _neighbors(latent: bytes, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    (cells,) = within_range(np.frombuffer(latent).reshape(shape))
    return nearest_cells(rows_of(cells), blocks_of(cells), min(MOST, len(cells)))
