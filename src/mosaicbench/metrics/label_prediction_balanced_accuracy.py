"""Label prediction balanced accuracy: the types of query cells, as the method itself says them."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._labels import balanced_accuracy

CARD = {
    "label": "Label prediction balanced accuracy",
    "group": "label_prediction",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Mean over cell types of the share of their query cells that the method's own classifier gets right; a type "
    "of which no train cell showed its label counts as wrong. Only of methods that predict types. By batch in features.tsv.",
    "doi": "",
}


def label_prediction_balanced_accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Return the score of the predicted labels, (cells,), against the true ones; cells labelled "" are left out."""
    return balanced_accuracy(predicted, labels)
