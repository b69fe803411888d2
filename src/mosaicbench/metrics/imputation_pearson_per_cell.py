"""Pearson per cell: does the imputed profile of a cell look like its true one?"""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._correlation import pearson_rows

CARD = {
    "label": "Imputation Pearson per cell",
    "group": "imputation",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [-1.0, 1.0],
    "definition": "Mean over query cells of Pearson's r between imputed and true profile across features, in the target's value space. "
    "Nearly blind: the train mean alone scores high; read it beside its skill.",
    "doi": "",
}


def imputation_pearson_per_cell(truth: np.ndarray, imputed: np.ndarray) -> float:
    """Return the mean Pearson correlation over cells, from (cells, features) arrays."""
    return float(np.nanmean(pearson_rows(truth, imputed)))
