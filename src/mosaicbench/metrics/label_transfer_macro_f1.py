"""Label transfer macro-F1: the types of query cells, carried over from train cells of another modality."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._labels import confusion

CARD = {
    "label": "Label transfer macro-F1",
    "group": "label_transfer",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Mean over cell types, true or predicted, of the F1 score of label transfer from the 15 nearest train cells "
    "of the first modality.",
    "doi": "",
    "variants": {
        "label_transfer_macro_f1": {},
        "label_transfer_macro_f1_cosine": {
            "takes": {"transferred": "transferred_cosine"},
            "label": "Label transfer macro-F1, cosine",
            "definition": "Label transfer macro-F1 of the 15 nearest train cells by cosine distance, which the length of a "
            "latent does not change.",
        },
    },
}


def label_transfer_macro_f1(transferred: np.ndarray, labels: np.ndarray) -> float:
    """Return the score of the transferred labels, (cells,), against the true ones; cells labelled "" are left out."""
    counts = confusion(transferred, labels)
    return float(np.mean(2 * np.diag(counts) / (counts.sum(axis=0) + counts.sum(axis=1))))
