"""Label transfer accuracy: the types of query cells, carried over from the nearest cells of another modality."""

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
    "variants": {
        "label_transfer_accuracy": {},
        "label_transfer_accuracy_k1": {
            "takes": {"transferred": "transferred_k1"},
            "label": "Label transfer accuracy, k = 1",
            "definition": "Share of labelled query cells whose type is the type of their nearest train cell of the first "
            "modality (Euclidean; train cells as near share the vote).",
        },
        "label_transfer_accuracy_k5": {
            "takes": {"transferred": "transferred_k5"},
            "label": "Label transfer accuracy, k = 5",
            "definition": "Label transfer accuracy with 5 neighbours instead of 15.",
        },
        "label_transfer_accuracy_k50": {
            "takes": {"transferred": "transferred_k50"},
            "label": "Label transfer accuracy, k = 50",
            "definition": "Label transfer accuracy with 50 neighbours instead of 15.",
        },
        "label_transfer_accuracy_without_partner": {
            "takes": {"transferred": "transferred_without_partner"},
            "label": "Label transfer accuracy without own partner",
            "definition": "Share of labelled query cells whose type is the majority type of the 15 nearest other query cells "
            "in the first modality (Euclidean; the cell's own latent there does not vote, cells tied at the 15th place share "
            "its votes).",
        },
    },
}


def label_transfer_accuracy(transferred: np.ndarray, labels: np.ndarray) -> float:
    """Return the score of the transferred labels, (cells,), against the true ones; cells labelled "" are left out."""
    counts = confusion(transferred, labels)
    return float(np.trace(counts) / counts.sum())


def per_cell(transferred: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return 1 where the transferred label is the true one, 0 where not, and NaN where that is unknown, (cells,)."""
    return np.where(labels != "", transferred == labels, np.nan)
