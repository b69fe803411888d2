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
        "that lie closer (Euclidean, all dimensions) to the cell's latent in the first modality "
        "than its own latent in the second does; ties count half, the divisor is n - 1. Of more "
        "than 100,000 query cells, 20,000 drawn by seed are held against all others, with a "
        "standard error of at most 0.0035.",
        "doi": "10.1038/s41587-021-01161-6",
    },
    "foscttm_cosine": {
        "label": "FOSCTTM, cosine",
        "group": "alignment",
        "best": 0.0,
        "better": "lower",
        "chance": 0.5,
        "bounds": [0.0, 1.0],
        "definition": "FOSCTTM by cosine distance: the length of a latent does not count, so "
        "neither does a scale in which the modalities differ. The angle is that at the origin. A "
        "latent of length 0 is as far from all others, as one at a right angle; ties count half.",
    },
    "foscttm_within_cell_type": {
        "label": "FOSCTTM within cell type",
        "group": "alignment",
        "best": 0.0,
        "better": "lower",
        "chance": 0.5,
        "bounds": [0.0, 1.0],
        "definition": "Mean over labelled query cells of the fraction of other cells of the same "
        "type that lie closer (Euclidean) to the cell's latent in the first modality than its own "
        "latent in the second does; ties count half. Cells without a label, or alone in their "
        "type, are left out. Perfect labels without any more knowledge score 0.5.",
    },
    "foscttm_within_batch": {
        "label": "FOSCTTM within batch",
        "group": "mixing",
        "best": 0.0,
        "better": "lower",
        "chance": 0.5,
        "bounds": [0.0, 1.0],
        "definition": "Mean over query cells of the fraction of other cells of the same batch that "
        "lie closer (Euclidean) to the cell's latent in the first modality than its own latent in "
        "the second does; ties count half. Cells alone in their batch are left out. An alignment "
        "that knows the batches and no more scores 0.5.",
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
        "20,000 drawn by seed.",
    },
    "recall_at_1": {
        "label": "Recall@1",
        "group": "alignment",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Fraction of query cells whose true match in the second modality is the cell "
        "nearest to their latent in the first; cells that are equally near share the place. Chance "
        "is 1 / n. Of more than 100,000 query cells, the fraction of 20,000 drawn by seed.",
    },
    "recall_at_10": {
        "label": "Recall@10",
        "group": "alignment",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Fraction of query cells whose true match in the second modality is among "
        "the 10 cells nearest to their latent in the first; cells that are as near as the 10th "
        "share the places that are left. Chance is 10 / n. Of more than 100,000 query cells, the "
        "fraction of 20,000 drawn by seed.",
    },
    "recall_at_10_cosine": {
        "label": "Recall@10, cosine",
        "group": "alignment",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Recall@10 by cosine distance, which the length of a latent does not change; "
        "a latent of length 0 is as far from all others.",
    },
    "recall_at_50": {
        "label": "Recall@50",
        "group": "alignment",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Fraction of query cells whose true match in the second modality is among "
        "the 50 cells nearest to their latent in the first; cells that are as near as the 50th "
        "share the places that are left. Chance is 50 / n. Of more than 100,000 query cells, the "
        "fraction of 20,000 drawn by seed.",
    },
    "foscttm_exact": {
        "label": "FOSCTTM of all cells",
        "group": "sampling",
        "best": 0.0,
        "better": "lower",
        "chance": 0.5,
        "bounds": [0.0, 1.0],
        "definition": "FOSCTTM with every query cell held against all others, however many there "
        "are.",
        "doi": "10.1038/s41587-021-01161-6",
    },
    "foscttm_standard_error": {
        "label": "FOSCTTM, error of sampling",
        "group": "sampling",
        "better": "lower",
        "bounds": [0.0, None],
        "definition": "Standard error of FOSCTTM as an estimate of what it is over all query "
        "cells: s / sqrt(m) x sqrt(1 - m / n), with s the standard deviation over the m of n cells "
        "that were drawn; 0 where all were compared. What other query cells would change is not in "
        "it.",
        "exempt_from": {
            "collapse_is_not_rewarded": "is no score of a latent, but how well a score is known",
        },
    },
}


def foscttm(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean fraction of cells closer than the true match, from a to b.

    Parameters
    ----------
    latent_a, latent_b
        (cells, dims); row i of both is the same cell.

    Undefined when there are fewer than two cells.
    """
    return float(fractions_closer(latent_a, latent_b).mean())


def foscttm_by_cell(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return the fraction of each cell, (cells,); NaN of a cell that was not drawn."""
    return _of_all(fractions_closer(latent_a, latent_b), len(latent_a))


def foscttm_cosine(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return FOSCTTM by cosine distance."""
    return float(fractions_closer(latent_a, latent_b, cosine=True).mean())


def foscttm_cosine_by_cell(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return the fraction of each cell, (cells,); NaN of a cell that was not drawn."""
    return _of_all(fractions_closer(latent_a, latent_b, cosine=True), len(latent_a))


def foscttm_within_cell_type(
    latent_a: np.ndarray, latent_b: np.ndarray, labels: np.ndarray
) -> float:
    """Return the mean fraction of cells of the same type closer than the true match; cells labelled "" are left out."""
    a, b = matched(latent_a=latent_a, latent_b=latent_b)
    same_cells(latents=a, labels=labels)
    rows = np.flatnonzero(known(labels))
    names, types = np.unique(labels[rows].astype(str), return_inverse=True)
    total, cells = 0.0, 0
    for members in (rows[types == code] for code in range(len(names))):
        if len(members) > 1:
            counts, _ = counts_both_ways(a[members], b[members])
            closer = (counts[:, 0] + counts[:, 1] / 2).sum() * (len(members) / len(counts))
            total += closer / (len(members) - 1)
            cells += len(members)
    if cells == 0:
        raise Undefined("no cell type, or batch, has two query cells")
    return float(total / cells)


def foscttm_within_batch(latent_a: np.ndarray, latent_b: np.ndarray, batches: np.ndarray) -> float:
    """Return the mean fraction of cells of the same batch closer than the true match; cells of "" are left out."""
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
    """Return the mean chance of the true match to be among the 10 nearest by cosine distance."""
    return _recall(latent_a, latent_b, 10, cosine=True)


def recall_at_50(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean chance of the true match to be among the 50 nearest."""
    return _recall(latent_a, latent_b, 50)


def foscttm_exact(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return FOSCTTM of all cells."""
    counts, _ = count_closer(*matched(latent_a=latent_a, latent_b=latent_b))
    return float(((2 * counts[:, 0] + counts[:, 1]) / (2 * (len(counts) - 1))).mean())


def foscttm_standard_error(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the standard error that FOSCTTM has of comparing a sample of the cells."""
    return sampling_error(fractions_closer(latent_a, latent_b), len(latent_a))


def _recall(latent_a: np.ndarray, latent_b: np.ndarray, k: int, *, cosine: bool = False) -> float:
    """Of a match and the cells that are as far, each has the same chance of the places that closer cells leave."""
    closer, tied = closer_and_tied(latent_a, latent_b, cosine=cosine).T
    return float(np.clip((k - closer) / (tied + 1), 0, 1).mean())


def _of_all(of_compared: np.ndarray, cells: int) -> np.ndarray:
    found = np.full(cells, np.nan)
    found[compared(cells)] = of_compared
    return found
