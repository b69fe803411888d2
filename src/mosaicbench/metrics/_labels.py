"""True labels against those that cells are said to have."""

from __future__ import annotations

import numpy as np


def known(labels: np.ndarray) -> np.ndarray:
    """Return which labels are known, (cells,) bool; "" is unknown.

    Raises
    ------
    ValueError
        When a label is not text (NaN, None), or none is known.
    """
    labels = np.asarray(labels, dtype=object)
    if not all(isinstance(label, str) for label in labels):
        raise ValueError('labels must be text, "" where unknown')
    rows = labels != ""
    if not rows.any():
        raise ValueError("no cell has a label")
    return rows


def confusion(transferred: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the number of cells by true (rows) and transferred (columns) label; cells whose true label is "" are left out.

    Rows and columns are all labels that occur in either, in one order.

    Raises
    ------
    ValueError
        When the arrays differ in length, a label is not text, or no true label is known.
    """
    return _counted(transferred, labels)[1]


def recall_of_each(transferred: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return, for each label that occurs, the share of its cells to which it was transferred; errors as for the confusion."""
    names, counts = _counted(transferred, labels)
    cells = counts.sum(axis=1)
    return {
        str(names[code]): float(counts[code, code] / cells[code]) for code in np.flatnonzero(cells)
    }


def _counted(transferred: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the names of the rows and columns, and the counts."""
    labels, transferred = np.asarray(labels, dtype=object), np.asarray(transferred, dtype=object)
    if labels.shape != transferred.shape:
        raise ValueError(f"{len(labels)} labels do not match {len(transferred)} transferred ones")
    rows = known(labels)
    known(transferred)
    both = np.concatenate([labels[rows], transferred[rows]]).astype(str)
    names, codes = np.unique(both, return_inverse=True)
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, tuple(codes.reshape(2, -1)), 1)
    return names, counts
