"""Label prediction balanced accuracy, 10-NN: the types of query cells, as the nearest labelled train cells say them."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._labels import balanced_accuracy

CARD = {
    "label": "Label prediction balanced accuracy, 10-NN",
    "group": "label_prediction",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Mean over cell types of the share of their query cells that the majority of the 10 nearest labelled train "
    "cells gets right, whatever was observed of those: a cell with all modalities votes once, from its joint latent, others "
    "once from each modality. By batch in features.tsv.",
    "doi": "",
}


def label_prediction_balanced_accuracy_10nn(classified: np.ndarray, labels: np.ndarray) -> float:
    """Return the score of the classified labels, (cells,), against the true ones; cells labelled "" are left out."""
    return balanced_accuracy(classified, labels)
