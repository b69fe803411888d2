"""Label transfer accuracy: the types of query cells, carried over from train cells of another modality."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._labels import confusion

CARD = {
    "label": "Label transfer accuracy",
    "group": "label_transfer",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Share of labelled query cells whose type is the majority type of their 15 nearest train cells of the first "
    "modality (Euclidean; train cells tied at the 15th place share its votes).",
    "doi": "",
}


def label_transfer_accuracy(transferred: np.ndarray, labels: np.ndarray) -> float:
    """Return the score of the transferred labels, (cells,), against the true ones; cells labelled "" are left out."""
    counts = confusion(transferred, labels)
    return float(np.trace(counts) / counts.sum())
