"""Pearson per cell: how alike the imputed and the true profile of a cell are."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._correlation import average_correlation, pearson_rows

CARD = {
    "label": "Imputation Pearson per cell",
    "group": "imputation",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [-1.0, 1.0],
    "definition": "Mean over query cells of Pearson's r between imputed and true profile across features, in the target's "
    "value space; a cell imputed as a constant counts 0, a cell whose truth is constant has no r. Nearly blind: the train "
    "mean alone scores high; read it beside its skill.",
    "doi": "",
}


def imputation_pearson_per_cell(truth: np.ndarray, imputed: np.ndarray) -> float:
    """Return the mean Pearson correlation over cells, from (cells, features) arrays.

    Raises
    ------
    ValueError
        When the shapes differ, a value is not finite, or no cell's true profile varies.
    """
    return average_correlation(pearson_rows(truth, imputed), of="cell")


def per_cell(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return r of each cell, (cells,); NaN where the true profile does not vary."""
    return pearson_rows(truth, imputed)
