"""Whether cell types carry over between modalities, or are predicted from few labels."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined, matched, same_cells
from mosaicbench.metrics._labels import known

CARDS = {
    "label_transfer_accuracy": {
        "label": "Label transfer accuracy",
        "group": "label_transfer",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Share of labelled query cells whose type is the majority type of their 15 "
        "nearest train cells of the first modality (Euclidean; train cells tied at the 15th place "
        "share its votes).",
    },
    "label_transfer_accuracy_cosine": {
        "label": "Label transfer accuracy, cosine",
        "group": "label_transfer",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Share of labelled query cells whose type is the majority type of their 15 "
        "nearest train cells of the first modality by cosine distance, which the length of a "
        "latent does not change (train cells tied at the 15th place share its votes; all are tied "
        "for a latent of length 0).",
    },
    "label_transfer_accuracy_k1": {
        "label": "Label transfer accuracy, k = 1",
        "group": "label_transfer",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Share of labelled query cells whose type is the type of their nearest train "
        "cell of the first modality (Euclidean; train cells as near share the vote).",
    },
    "label_transfer_accuracy_k5": {
        "label": "Label transfer accuracy, k = 5",
        "group": "label_transfer",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Label transfer accuracy with 5 neighbours instead of 15.",
    },
    "label_transfer_accuracy_k50": {
        "label": "Label transfer accuracy, k = 50",
        "group": "label_transfer",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Label transfer accuracy with 50 neighbours instead of 15.",
    },
    "label_transfer_accuracy_without_partner": {
        "label": "Label transfer accuracy without own partner",
        "group": "label_transfer",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Share of labelled query cells whose type is the majority type of the 15 "
        "nearest other query cells in the first modality (Euclidean; the cell's own latent there "
        "does not vote, cells tied at the 15th place share its votes).",
    },
    "label_transfer_macro_f1": {
        "label": "Label transfer macro-F1",
        "group": "label_transfer",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Mean over cell types, true or predicted, of the F1 score of label transfer "
        "from the 15 nearest train cells of the first modality.",
    },
    "label_transfer_macro_f1_cosine": {
        "label": "Label transfer macro-F1, cosine",
        "group": "label_transfer",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Label transfer macro-F1 of the 15 nearest train cells by cosine distance, "
        "which the length of a latent does not change.",
    },
    "label_transfer_balanced_accuracy": {
        "label": "Label transfer balanced accuracy",
        "group": "label_transfer",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Mean over cell types of the share of their query cells that label transfer "
        "(15 nearest train cells of the first modality) gets right.",
        "by_type": "label_transfer_recall",
    },
    "types_matched": {
        "label": "Cell types matched",
        "group": "label_transfer",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Centroids of the cell types in one modality are assigned to those in the "
        "other, one to one, at the least sum of Euclidean distances; the share of types assigned "
        "to themselves. Below 1 a permutation of the types beats the identity. Where no cell has "
        "both modalities, of as many cells of each type from either. Types with at least 5 query "
        "cells; ties count against; 1 / types is chance.",
        "exempt_from": {
            "noise_never_improves": "centroids average noise away",
        },
        "without_partners": True,
    },
    "label_prediction_balanced_accuracy": {
        "label": "Label prediction balanced accuracy",
        "group": "label_prediction",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Mean over cell types of the share of their query cells that the method's "
        "own classifier gets right; a type of which no train cell showed its label counts as "
        "wrong. Only of methods that predict types. By batch in features.tsv.",
        "by_batch": "label_prediction_balanced_accuracy",
    },
    "label_prediction_balanced_accuracy_10nn": {
        "label": "Label prediction balanced accuracy, 10-NN",
        "group": "label_prediction",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Mean over cell types of the share of their query cells that the majority of "
        "the 10 nearest labelled train cells gets right, whatever was observed of those: a cell "
        "with all modalities votes once, from its joint latent, others once from each modality. By "
        "batch in features.tsv.",
        "by_batch": "label_prediction_balanced_accuracy_10nn",
    },
}

FEWEST = 5  # query cells of a type that is matched


def label_transfer_accuracy(transferred: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of right types, (cells,) each; cells labelled "" are left out."""
    _, counts = confusion(transferred, labels)
    return float(np.trace(counts) / counts.sum())


def label_transfer_accuracy_by_cell(transferred: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return 1 where the type is right, 0 where not, and NaN where the true one is unknown, (cells,)."""
    return np.where(labels != "", transferred == labels, np.nan)


def label_transfer_accuracy_cosine(transferred_cosine: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of right types."""
    return label_transfer_accuracy(transferred_cosine, labels)


def label_transfer_accuracy_cosine_by_cell(
    transferred_cosine: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Return 1 where the type is right, 0 where not, and NaN where the true one is unknown, (cells,)."""
    return label_transfer_accuracy_by_cell(transferred_cosine, labels)


def label_transfer_accuracy_k1(transferred_k1: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of right types."""
    return label_transfer_accuracy(transferred_k1, labels)


def label_transfer_accuracy_k5(transferred_k5: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of right types."""
    return label_transfer_accuracy(transferred_k5, labels)


def label_transfer_accuracy_k50(transferred_k50: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of right types."""
    return label_transfer_accuracy(transferred_k50, labels)


def label_transfer_accuracy_without_partner(
    transferred_without_partner: np.ndarray, labels: np.ndarray
) -> float:
    """Return the share of right types."""
    return label_transfer_accuracy(transferred_without_partner, labels)


def label_transfer_macro_f1(transferred: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean F1 score over types, true or transferred."""
    _, counts = confusion(transferred, labels)
    return float(np.mean(2 * np.diag(counts) / (counts.sum(axis=0) + counts.sum(axis=1))))


def label_transfer_macro_f1_cosine(transferred_cosine: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean F1 score over types, true or transferred."""
    return label_transfer_macro_f1(transferred_cosine, labels)


def label_transfer_balanced_accuracy(transferred: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over types of the share of their cells with the right type."""
    return float(np.mean(list(recall_of_each(transferred, labels).values())))


def types_matched(latent_a: np.ndarray, latent_b: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of types.

    Undefined when fewer than two types have five cells.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    a, b = matched(latent_a=latent_a, latent_b=latent_b)
    same_cells(latents=a, labels=labels)
    names, cells = np.unique(labels[known(labels)].astype(str), return_counts=True)
    names = names[cells >= FEWEST]
    if len(names) < 2:
        raise Undefined(f"fewer than two cell types have {FEWEST} query cells")
    distance = cdist(
        *(np.array([z[labels == name].mean(axis=0) for name in names]) for z in (a, b))
    )
    against_ties = 1e-9 * (1 + max(np.abs(a).max(), np.abs(b).max())) * np.eye(len(names))
    rows, columns = linear_sum_assignment(distance + against_ties)
    return float(np.mean(rows == columns))


def label_prediction_balanced_accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over types of the share of their cells with the right type."""
    return label_transfer_balanced_accuracy(predicted, labels)


def label_prediction_balanced_accuracy_10nn(classified: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over types of the share of their cells with the right type."""
    return label_transfer_balanced_accuracy(classified, labels)


def recall_of_each(types: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return, for each label that occurs, the share of its cells that have this type."""
    names, counts = confusion(types, labels)
    cells = counts.sum(axis=1)
    return {
        str(names[code]): float(counts[code, code] / cells[code]) for code in np.flatnonzero(cells)
    }


def confusion(types: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all types that occur, and the number of cells by label (rows) and type (columns); labels "" are left out."""
    same_cells(labels=labels, types=types)
    rows = known(labels)
    known(types)
    names, codes = np.unique(
        np.concatenate([labels[rows], types[rows]]).astype(str), return_inverse=True
    )
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, tuple(codes.reshape(2, -1)), 1)
    return names, counts
