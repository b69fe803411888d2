"""Whether cell types transfer between modalities, or are predicted from few labels."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import NotApplicable, Undefined, matched, same_cells
from mosaicbench.metrics._labels import known

CARDS = {
    "label_transfer_accuracy": {
        "label": "Label transfer accuracy",
        "group": "label_transfer",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Fraction of labelled query cells whose type is the majority type of their "
        "15 nearest train cells of the first modality (Euclidean; train cells tied at the 15th "
        "place share its votes).",
    },
    "label_transfer_accuracy_cosine": {
        "like": "label_transfer_accuracy",
        "label": "Label transfer accuracy, cosine",
        "definition": "Fraction of labelled query cells whose type is the majority type of their "
        "15 nearest train cells of the first modality by cosine distance, which the length of a "
        "latent does not change (train cells tied at the 15th place share its votes; all are tied "
        "for a latent of length 0).",
    },
    "label_transfer_accuracy_k1": {
        "like": "label_transfer_accuracy",
        "label": "Label transfer accuracy, k = 1",
        "definition": "Fraction of labelled query cells whose type is the type of their nearest "
        "train cell of the first modality (Euclidean; train cells as near share the vote).",
    },
    "label_transfer_accuracy_k5": {
        "like": "label_transfer_accuracy",
        "label": "Label transfer accuracy, k = 5",
        "definition": "Label transfer accuracy with 5 neighbours instead of 15.",
    },
    "label_transfer_accuracy_k50": {
        "like": "label_transfer_accuracy",
        "label": "Label transfer accuracy, k = 50",
        "definition": "Label transfer accuracy with 50 neighbours instead of 15.",
    },
    "label_transfer_accuracy_without_partner": {
        "like": "label_transfer_accuracy",
        "label": "Label transfer accuracy without own partner",
        "definition": "Fraction of labelled query cells whose type is the majority type of the 15 "
        "nearest other query cells in the first modality (Euclidean; the cell's own latent there "
        "does not vote, cells tied at the 15th place share its votes).",
    },
    "label_transfer_macro_f1": {
        "like": "label_transfer_accuracy",
        "label": "Label transfer macro-F1",
        "definition": "Mean over cell types, true or predicted, of the F1 score of label transfer "
        "from the 15 nearest train cells of the first modality.",
    },
    "label_transfer_macro_f1_cosine": {
        "like": "label_transfer_accuracy",
        "label": "Label transfer macro-F1, cosine",
        "definition": "Label transfer macro-F1 of the 15 nearest train cells by cosine distance, "
        "which the length of a latent does not change.",
    },
    "label_transfer_balanced_accuracy": {
        "like": "label_transfer_accuracy",
        "label": "Label transfer balanced accuracy",
        "definition": "Mean over cell types of the fraction of their query cells that label "
        "transfer (15 nearest train cells of the first modality) gets right.",
        "by_type": "label_transfer_recall",
    },
    "types_matched": {
        "label": "Cell types matched",
        "group": "label_transfer",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Centroids of the cell types in one modality are assigned to those in the "
        "other, one to one, at the least sum of Euclidean distances; the fraction of types "
        "assigned to themselves. Below 1 a permutation of the types beats the identity. Where no "
        "cell has both modalities, both sides have equally many cells of each type. Types with at "
        "least 5 query cells; ties count against; 1 / types is chance.",
        "exempt_from": {"noise_never_improves": "centroids average noise away"},
        "without_partners": True,
    },
    "label_prediction_balanced_accuracy": {
        "like": "label_transfer_accuracy",
        "label": "Label prediction balanced accuracy",
        "group": "label_prediction",
        "definition": "Mean over cell types of the fraction of their query cells that the method's "
        "own classifier gets right; a type without a labelled train cell counts as wrong. Only of "
        "methods that predict types. By batch in features.tsv.",
        "by_batch": "label_prediction_balanced_accuracy",
    },
    "label_prediction_balanced_accuracy_10nn": {
        "like": "label_prediction_balanced_accuracy",
        "label": "Label prediction balanced accuracy, 10-NN",
        "definition": "Mean over cell types of the fraction of their query cells that the majority "
        "of the 10 nearest labelled train cells gets right, with any modalities: a complete cell "
        "votes once, from its joint latent, others once from each modality. By batch in "
        "features.tsv.",
        "by_batch": "label_prediction_balanced_accuracy_10nn",
    },
}

FEWEST = 5  # query cells of a type that is matched


def label_transfer_accuracy(transferred: np.ndarray, labels: np.ndarray) -> float:
    """Return the fraction of correct types among labelled cells."""
    _, counts = confusion(transferred, labels)
    return float(np.trace(counts) / counts.sum())


def label_transfer_accuracy_by_cell(transferred: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return 1 where the type is correct, 0 where not, NaN where it is unknown, (cells,)."""
    return np.where(labels != "", transferred == labels, np.nan)


def label_transfer_accuracy_cosine(transferred_cosine: np.ndarray, labels: np.ndarray) -> float:
    """Return the fraction of correct types."""
    return label_transfer_accuracy(transferred_cosine, labels)


def label_transfer_accuracy_cosine_by_cell(
    transferred_cosine: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Return :func:`label_transfer_accuracy_by_cell` by cosine distance."""
    return label_transfer_accuracy_by_cell(transferred_cosine, labels)


def label_transfer_accuracy_k1(transferred_k1: np.ndarray, labels: np.ndarray) -> float:
    """Return the fraction of correct types."""
    return label_transfer_accuracy(transferred_k1, labels)


def label_transfer_accuracy_k5(transferred_k5: np.ndarray, labels: np.ndarray) -> float:
    """Return the fraction of correct types."""
    return label_transfer_accuracy(transferred_k5, labels)


def label_transfer_accuracy_k50(transferred_k50: np.ndarray, labels: np.ndarray) -> float:
    """Return the fraction of correct types."""
    return label_transfer_accuracy(transferred_k50, labels)


def label_transfer_accuracy_without_partner(
    transferred_without_partner: np.ndarray, labels: np.ndarray
) -> float:
    """Return the fraction of correct types."""
    return label_transfer_accuracy(transferred_without_partner, labels)


def label_transfer_macro_f1(transferred: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean F1 score over types, true or transferred."""
    _, counts = confusion(transferred, labels)
    return float(np.mean(2 * np.diag(counts) / (counts.sum(axis=0) + counts.sum(axis=1))))


def label_transfer_macro_f1_cosine(transferred_cosine: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean F1 score over types, true or transferred."""
    return label_transfer_macro_f1(transferred_cosine, labels)


def label_transfer_balanced_accuracy(transferred: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean :func:`recall_of_each`."""
    return float(np.mean(list(recall_of_each(transferred, labels).values())))


def types_matched(latent_a: np.ndarray, latent_b: np.ndarray, labels: np.ndarray) -> float:
    """Return the fraction of matched types; undefined if fewer than two types have five cells."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    a, b = matched(latent_a, latent_b)
    same_cells(a, labels)
    names, cells = np.unique(labels[known(labels)].astype(str), return_counts=True)
    if len(names) < 2:
        raise NotApplicable("all labelled query cells are of one type")
    names = names[cells >= FEWEST]
    if len(names) < 2:
        raise Undefined(f"fewer than two cell types have {FEWEST} query cells")
    centroids = [np.array([z[labels == name].mean(axis=0) for name in names]) for z in (a, b)]
    distance = cdist(*centroids)
    against_ties = 1e-9 * (1 + max(np.abs(a).max(), np.abs(b).max())) * np.eye(len(names))
    rows, columns = linear_sum_assignment(distance + against_ties)
    return float(np.mean(rows == columns))


def label_prediction_balanced_accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean :func:`recall_of_each`."""
    return label_transfer_balanced_accuracy(predicted, labels)


def label_prediction_balanced_accuracy_10nn(classified: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean :func:`recall_of_each`."""
    return label_transfer_balanced_accuracy(classified, labels)


def recall_of_each(types: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return label -> the fraction of its cells that have this type."""
    names, counts = confusion(types, labels)
    cells = counts.sum(axis=1)
    return {
        str(names[code]): float(counts[code, code] / cells[code]) for code in np.flatnonzero(cells)
    }


def confusion(types: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all types, and numbers of labelled cells by label (rows) and type (columns)."""
    same_cells(labels, types)
    rows = known(labels)
    known(types)
    names, codes = np.unique(
        np.concatenate([labels[rows], types[rows]]).astype(str), return_inverse=True
    )
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, tuple(codes.reshape(2, -1)), 1)
    return names, counts
