"""Balanced accuracy: types that were transferred or predicted, each type counting the same however rare it is."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._labels import recall_of_each

CARD = {
    "group": "label_prediction",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "doi": "",
    "variants": {
        "label_prediction_balanced_accuracy": {
            "takes": {"types": "predicted"},
            "label": "Label prediction balanced accuracy",
            "definition": "Mean over cell types of the share of their query cells that the method's own classifier gets right; "
            "a type of which no train cell showed its label counts as wrong. Only of methods that predict types. By batch in "
            "features.tsv.",
            "by_batch": "label_prediction_balanced_accuracy",
        },
        "label_prediction_balanced_accuracy_10nn": {
            "takes": {"types": "classified"},
            "label": "Label prediction balanced accuracy, 10-NN",
            "definition": "Mean over cell types of the share of their query cells that the majority of the 10 nearest labelled "
            "train cells gets right, whatever was observed of those: a cell with all modalities votes once, from its joint "
            "latent, others once from each modality. By batch in features.tsv.",
            "by_batch": "label_prediction_balanced_accuracy_10nn",
        },
        "label_transfer_balanced_accuracy": {
            "takes": {"types": "transferred"},
            "group": "label_transfer",
            "label": "Label transfer balanced accuracy",
            "definition": "Mean over cell types of the share of their query cells that label transfer (15 nearest train cells "
            "of the first modality) gets right.",
            "by_type": "label_transfer_recall",
        },
    },
}


def balanced_accuracy(types: np.ndarray, labels: np.ndarray) -> float:
    """Return the score of the given types, (cells,), against the true labels; cells labelled "" are left out.

    Raises
    ------
    ValueError
        When the arrays differ in length, a label is not text, or no true label is known.
    """
    return float(np.mean(list(recall_of_each(types, labels).values())))
