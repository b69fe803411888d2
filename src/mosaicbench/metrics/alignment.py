"""Whether the modalities of a cell find each other."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined, matched, same_cells
from mosaicbench.metrics._labels import known
from mosaicbench.metrics._nearest import (
    closer_and_tied,
    compared,
    count_closer,
    counts_both_ways,
    fractions_closer,
    sampling_error,
    twice_closer,
)

CARDS = {
    "foscttm": {
        "label": "FOSCTTM",
        "group": "alignment",
        "best": 0.0,
        "better": "lower",
        "chance": 0.5,
        "bounds": [0.0, 1.0],
        "definition": "Mean over query cells of the fraction of other cells of the second modality "
        "that are closer (Euclidean, all dimensions) to the cell's latent in the first modality "
        "than its own latent in the second is; ties count half, the divisor is n - 1. Of more than "
        "100,000 query cells, 20,000, always the same, are compared with all others; the standard "
        "error is at most 0.0035.",
        "doi": "10.1038/s41587-021-01161-6",
    },
    "foscttm_cosine": {
        "like": "foscttm",
        "label": "FOSCTTM, cosine",
        "definition": "FOSCTTM by cosine distance: neither the length of a latent nor a difference "
        "in scale between modalities counts. Angles are at the origin. A latent of length 0 is as "
        "far from all others, as one at a right angle; ties count half.",
        "doi": "",
    },
    "foscttm_within_cell_type": {
        "like": "foscttm",
        "label": "FOSCTTM within cell type",
        "definition": "Mean over labelled query cells of the fraction of other cells of the same "
        "type that are closer (Euclidean) to the cell's latent in the first modality than its own "
        "latent in the second is; ties count half. Cells without a label, or alone in their type, "
        "are left out. Perfect labels alone score 0.5.",
        "doi": "",
    },
    "foscttm_within_batch": {
        "like": "foscttm",
        "label": "FOSCTTM within batch",
        "group": "mixing",
        "definition": "Mean over query cells of the fraction of other cells of the same batch that "
        "are closer (Euclidean) to the cell's latent in the first modality than its own latent in "
        "the second is; ties count half. Cells alone in their batch are left out. An alignment of "
        "the batches alone scores 0.5.",
        "doi": "",
    },
    "median_rank": {
        "label": "Median rank",
        "group": "alignment",
        "best": 1.0,
        "better": "lower",
        "bounds": [1.0, None],
        "definition": "Median over query cells of the rank of the true match in the second "
        "modality, by distance to the cell's latent in the first; 1 is the nearest, a tie counts "
        "half a rank. Chance is (n + 1) / 2. Of more than 100,000 query cells, the median over "
        "20,000, always the same.",
    },
    "recall_at_1": {
        "label": "Recall@1",
        "group": "alignment",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Fraction of query cells whose true match in the second modality is the cell "
        "nearest to their latent in the first; cells that are equally near share the place. Chance "
        "is 1 / n. Of more than 100,000 query cells, the fraction of 20,000, always the same.",
    },
    "recall_at_10": {
        "like": "recall_at_1",
        "label": "Recall@10",
        "definition": "Fraction of query cells whose true match in the second modality is among "
        "the 10 cells nearest to their latent in the first; cells that are as near as the 10th "
        "share the places that are left. Chance is 10 / n. Of more than 100,000 query cells, the "
        "fraction of 20,000, always the same.",
    },
    "recall_at_10_cosine": {
        "like": "recall_at_1",
        "label": "Recall@10, cosine",
        "definition": "Recall@10 by cosine distance, which the length of a latent does not change; "
        "a latent of length 0 is as far from all others.",
    },
    "recall_at_50": {
        "like": "recall_at_1",
        "label": "Recall@50",
        "definition": "Fraction of query cells whose true match in the second modality is among "
        "the 50 cells nearest to their latent in the first; cells that are as near as the 50th "
        "share the places that are left. Chance is 50 / n. Of more than 100,000 query cells, the "
        "fraction of 20,000, always the same.",
    },
    "foscttm_exact": {
        "like": "foscttm",
        "label": "FOSCTTM of all cells",
        "group": "sampling",
        "definition": "FOSCTTM with every query cell compared with all others, for any number of "
        "cells.",
    },
    "foscttm_standard_error": {
        "label": "FOSCTTM, error of sampling",
        "group": "sampling",
        "better": "lower",
        "bounds": [0.0, None],
        "definition": "Standard error of FOSCTTM as an estimate of FOSCTTM over all query cells: s "
        "/ sqrt(m) x sqrt(1 - m / n), with s the standard deviation over the m of n cells that "
        "were drawn; 0 where all were compared. It does not include what other query cells would "
        "change.",
        "exempt_from": {
            "collapse_is_not_rewarded": "is no score of a latent, but the error of one",
        },
    },
}


def foscttm(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean fraction of cells closer than the true match, from a to b.

    Row i of both latents is the same cell. Undefined with fewer than two cells.
    """
    return float(fractions_closer(latent_a, latent_b).mean())


def foscttm_by_cell(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return the fraction of each cell, (cells,); NaN if it was not compared."""
    return _of_all(fractions_closer(latent_a, latent_b), len(latent_a))


def foscttm_cosine(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return FOSCTTM by cosine distance."""
    return float(fractions_closer(latent_a, latent_b, cosine=True).mean())


def foscttm_cosine_by_cell(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return :func:`foscttm_by_cell` by cosine distance."""
    return _of_all(fractions_closer(latent_a, latent_b, cosine=True), len(latent_a))


def foscttm_within_cell_type(
    latent_a: np.ndarray, latent_b: np.ndarray, labels: np.ndarray
) -> float:
    """Return the mean fraction of cells of the same type closer than the true match."""
    a, b = matched(latent_a, latent_b)
    same_cells(a, labels)
    rows = np.flatnonzero(known(labels))
    total, cells = 0.0, 0
    for name in np.unique(labels[rows].astype(str)):
        members = rows[labels[rows] == name]
        n = len(members)
        if n > 1:
            counts, _ = counts_both_ways(a[members], b[members])
            closer = (counts[:, 0] + counts[:, 1] / 2).sum() * (n / len(counts))
            total += closer / (n - 1)
            cells += n
    if cells == 0:
        raise Undefined("no cell type, or batch, has two query cells")
    return float(total / cells)


def foscttm_within_batch(latent_a: np.ndarray, latent_b: np.ndarray, batches: np.ndarray) -> float:
    """Return the mean fraction of cells of the same batch closer than the true match."""
    return foscttm_within_cell_type(latent_a, latent_b, batches)


def median_rank(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the median rank of the true match, from a to b."""
    return float(1 + np.median(twice_closer(latent_a, latent_b)) / 2)


def recall_at_1(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean chance of the true match to be the nearest."""
    return _recall(latent_a, latent_b, 1)


def recall_at_10(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean chance of the true match to be among the 10 nearest."""
    return _recall(latent_a, latent_b, 10)


def recall_at_10_cosine(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return :func:`recall_at_10` by cosine distance."""
    return _recall(latent_a, latent_b, 10, cosine=True)


def recall_at_50(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean chance of the true match to be among the 50 nearest."""
    return _recall(latent_a, latent_b, 50)


def foscttm_exact(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return FOSCTTM of all cells."""
    counts, _ = count_closer(*matched(latent_a, latent_b))
    return float(((2 * counts[:, 0] + counts[:, 1]) / (2 * (len(counts) - 1))).mean())


def foscttm_standard_error(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the standard error of FOSCTTM from comparing a sample of the cells."""
    return sampling_error(fractions_closer(latent_a, latent_b), len(latent_a))


def _recall(latent_a: np.ndarray, latent_b: np.ndarray, k: int, *, cosine: bool = False) -> float:
    # Closer cells come first; a match has the same chance of the other places as cells as far.
    closer, tied = closer_and_tied(latent_a, latent_b, cosine=cosine).T
    return float(np.clip((k - closer) / (tied + 1), 0, 1).mean())


def _of_all(of_compared: np.ndarray, cells: int) -> np.ndarray:
    values = np.full(cells, np.nan)
    values[compared(cells)] = of_compared
    return values
