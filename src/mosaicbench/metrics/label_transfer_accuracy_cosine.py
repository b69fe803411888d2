"""Label transfer accuracy by cosine distance: the types of query cells, carried over from train cells in a near direction."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics import label_transfer_accuracy as by_votes

CARD = {
    "label": "Label transfer accuracy, cosine",
    "group": "label_transfer",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Share of labelled query cells whose type is the majority type of their 15 nearest train cells of the first "
    "modality by cosine distance, which the length of a latent does not change (train cells tied at the 15th place share its "
    "votes; all are tied for a latent of length 0).",
    "doi": "",
}


def label_transfer_accuracy_cosine(transferred_cosine: np.ndarray, labels: np.ndarray) -> float:
    """Return the score of the transferred labels, (cells,), against the true ones; cells labelled "" are left out."""
    return by_votes.label_transfer_accuracy(transferred_cosine, labels)


def per_cell(transferred_cosine: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return 1 where the transferred label is the true one, 0 where not, and NaN where that is unknown, (cells,)."""
    return by_votes.per_cell(transferred_cosine, labels)
