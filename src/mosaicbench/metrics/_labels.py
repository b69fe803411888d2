"""Which cells a label metric is about."""

from __future__ import annotations

import numpy as np


def known(labels: np.ndarray, transferred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the true and the transferred labels of the cells whose true label is known, as strings.

    Raises
    ------
    ValueError
        When the arrays differ in length, or no true label is known.
    """
    labels, transferred = np.asarray(labels, dtype=object), np.asarray(transferred, dtype=object)
    if labels.shape != transferred.shape:
        raise ValueError(f"{len(labels)} labels do not match {len(transferred)} transferred ones")
    rows = labels != ""
    if not rows.any():
        raise ValueError("no cell has a label")
    return labels[rows].astype(str), transferred[rows].astype(str)
