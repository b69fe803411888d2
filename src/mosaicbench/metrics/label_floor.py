"""Label floor: the FOSCTTM of an embedding that knows every cell's type and nothing else."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._labels import known

CARD = {
    "label": "FOSCTTM of perfect labels",
    "group": "reference",
    "best": None,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, 0.5],
    "definition": "Half the sum of squared shares of the cell types among the query cells: what FOSCTTM is when all cells of a "
    "type share one latent. A property of the data, the same for every run.",
    "doi": "",
}


def label_floor(labels: np.ndarray) -> float:
    """Return half the sum of squared label shares over cells with a label, (cells,)."""
    labels = np.asarray(labels, dtype=object)
    _, sizes = np.unique(labels[known(labels)].astype(str), return_counts=True)
    return float(0.5 * ((sizes / sizes.sum()) ** 2).sum())
