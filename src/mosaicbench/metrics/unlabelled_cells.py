"""Unlabelled cells: how many query cells no score of labels counts."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._labels import known

CARD = {
    "label": "Unlabelled query cells",
    "group": "reference",
    "best": None,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, None],
    "definition": "Number of query cells without a cell type (unassigned, or marked unknown in the dataset's stanza), which "
    "the scores of labels leave out. A property of the data, the same for every run.",
    "doi": "",
}


def unlabelled_cells(labels: np.ndarray) -> float:
    """Return the number of labels, (cells,), that are "".

    Raises
    ------
    ValueError
        When a label is not text, or none is known.
    """
    return float((~known(labels)).sum())
