"""BRAS: how well batches mix within each cell type, by a silhouette that compares with all other batches."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined, finite
from mosaicbench.metrics._graph import codes_of, labelled, with_batch
from mosaicbench.metrics._labels import known

CARD = {
    "label": "BRAS",
    "group": "mixing",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Batch removal adapted silhouette: 1 - |width| of the batches within a cell type, where a cell's mean cosine "
    "distance to its own batch is compared with that to all other batches; mean over the cells of a type with a batch, then "
    "over types with cells of several batches (as in scib-metrics). Says nothing about biology: a constant latent mixes best.",
    "doi": "10.1038/s41587-025-02743-4",
    "lacks": {
        "perfect_is_best": "best is a limit",
        "noise_never_improves": "does not measure agreement",
        "collapse_is_not_rewarded": "says nothing about biology, as its definition warns",
    },
}

EQUAL = 1e-12  # distances below are rounding: the cells have one direction


def bras(latent: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) labels and batches.

    The mean cosine distance of a cell to a set of cells is 1 less its product with the mean of their unit vectors, so
    distances are summed exactly without a matrix of them.

    Raises
    ------
    ValueError
        When the arrays differ in length, a value is not finite, or a name is not text.
    Undefined
        When fewer than two types are known, or none has cells of several batches with two cells in one of them.
    """
    rows = with_batch(batches)
    labels, batches = (np.asarray(names, dtype=object)[rows] for names in (labels, batches))
    z, types = labelled(finite("latent", latent)[rows], labels)
    of_batch = codes_of(batches[known(labels)])
    length = np.maximum(np.abs(z).max(axis=1, keepdims=True), np.finfo(float).tiny)
    z = z / length
    unit = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), np.finfo(float).tiny)
    scores = []
    for members in (types == code for code in range(types.max() + 1)):
        present, within = np.unique(of_batch[members], return_inverse=True)
        if 1 < len(present) < members.sum():
            scores.append(np.mean(1 - np.abs(_widths(unit[members], within))))
    if not scores:
        raise Undefined("no cell type has cells of several batches, two of them in one")
    return float(np.mean(scores))


def _widths(unit: np.ndarray, batch: np.ndarray) -> np.ndarray:
    """Return (b - a) / max(a, b) of each cell, (cells,): a within its batch, b to all other batches; 0 alone in a batch."""
    own = batch == np.arange(batch.max() + 1)[:, None]  # (batches, cells)
    sums, sizes = own @ unit, own.sum(axis=1)[batch]  # (batches, dims), (cells,)
    to_own = (
        sizes - np.einsum("ij,ij->i", unit, sums[batch]) - (1 - np.einsum("ij,ij->i", unit, unit))
    )  # without itself
    to_others = (len(unit) - sizes) - np.einsum("ij,ij->i", unit, sums.sum(axis=0) - sums[batch])
    a, b = to_own / np.maximum(sizes - 1, 1), to_others / (len(unit) - sizes)
    wider = np.maximum(a, b)
    return np.where((sizes > 1) & (wider > EQUAL), (b - a) / np.maximum(wider, EQUAL), 0)
