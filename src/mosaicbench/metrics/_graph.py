"""What the metrics of biology and mixing share: labelled cells, their codes, and their exact neighbours."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mosaicbench.metrics._checks import Undefined, finite
from mosaicbench.metrics._distances import blocks_of, nearest_cells, rows_of, within_range
from mosaicbench.metrics._labels import known

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


def batch_codes(batches: np.ndarray) -> np.ndarray:
    """Return the codes of :func:`codes_of` of batches; raise `Undefined` where all cells are of one."""
    codes = codes_of(batches)
    if codes.max() == 0:
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


@lru_cache(maxsize=2)
def _neighbors(latent: bytes, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    (cells,) = within_range(np.frombuffer(latent).reshape(shape))
    return nearest_cells(rows_of(cells), blocks_of(cells), min(MOST, len(cells)))
