"""Label transfer accuracy with 5 neighbours, beside the primary 15."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics.label_transfer_accuracy import label_transfer_accuracy

CARD = {
    "label": "Label transfer accuracy, k = 5",
    "group": "label_transfer",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Share of labelled query cells whose type is the majority type of their 5 nearest train cells of the first "
    "modality (Euclidean; train cells tied at the 5th place share its votes).",
    "doi": "",
}


def label_transfer_accuracy_k5(transferred_k5: np.ndarray, labels: np.ndarray) -> float:
    """Return the score of the transferred labels, (cells,), against the true ones; cells labelled "" are left out."""
    return label_transfer_accuracy(transferred_k5, labels)
