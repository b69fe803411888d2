"""Mean average precision: whether the nearest cells of a cell are of its type, the nearest counting most."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._distances import nearest_cells
from mosaicbench.metrics._graph import labelled
from mosaicbench.metrics._ranges import within_range
from mosaicbench.metrics._sides import blocks_of, rows_of

CARD = {
    "label": "Mean average precision",
    "group": "biology",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Mean over query cells with a label of the average precision with which their nearest 1 % of the other cells "
    "(Euclidean, at least one) are of their own type: the mean, over neighbours of the type, of the share of the type among "
    "the neighbours as near; 0 without any. Cells that are equally far are drawn at random. As in GLUE.",
    "doi": "10.1038/s41587-022-01284-4",
    "lacks": {"perfect_is_best": "best is a limit"},
}

SHARE = 0.01  # of the cells


def mean_average_precision(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) labels.

    Raises
    ------
    ValueError
        When the arrays differ in length, a value is not finite, or a label is not text.
    Undefined
        When all labelled cells are of one type.
    """
    z, types = labelled(latent, labels)
    (z,) = within_range(z)
    k = max(1, round(SHARE * len(z)))
    _, nearest = nearest_cells(rows_of(z), blocks_of(z), k + 1)
    same = types[nearest[:, 1:]] == types[:, None]  # (cells, neighbours), without the cell itself
    precision = same.cumsum(axis=1) / np.arange(1, k + 1)
    return float(np.mean((precision * same).sum(axis=1) / np.maximum(same.sum(axis=1), 1)))
