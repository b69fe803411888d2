"""Label transfer among query cells, without the cell's own partner."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics.label_transfer_accuracy import label_transfer_accuracy

CARD = {
    "label": "Label transfer accuracy without own partner",
    "group": "label_transfer",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Share of labelled query cells whose type is the majority type of the 15 nearest other query cells in the "
    "first modality (Euclidean; the cell's own latent there does not vote, cells tied at the 15th place share "
    "its votes).",
    "doi": "",
}


def label_transfer_accuracy_without_partner(transferred_without_partner: np.ndarray, labels: np.ndarray) -> float:
    """Return the score of the transferred labels, (cells,), against the true ones; cells labelled "" are left out."""
    return label_transfer_accuracy(transferred_without_partner, labels)
