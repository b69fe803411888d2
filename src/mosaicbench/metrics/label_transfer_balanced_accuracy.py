"""Label transfer balanced accuracy: the types of query cells, carried over from train cells of another modality."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._labels import balanced_accuracy

CARD = {
    "label": "Label transfer balanced accuracy",
    "group": "label_transfer",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Mean over cell types of the share of their query cells that label transfer (15 nearest train cells of the "
    "first modality) gets right.",
    "doi": "",
}


def label_transfer_balanced_accuracy(transferred: np.ndarray, labels: np.ndarray) -> float:
    """Return the score of the transferred labels, (cells,), against the true ones; cells labelled "" are left out."""
    return balanced_accuracy(transferred, labels)
