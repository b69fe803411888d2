"""Label floor: the FOSCTTM of an embedding that knows every cell's type and nothing else."""

from __future__ import annotations

import numpy as np

CARD = {
    "label": "Label floor of FOSCTTM",
    "group": "reference",
    "best": None,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, 0.5],
    "definition": "Half the sum of squared shares of the cell types among the query cells: what FOSCTTM is when all cells of a type share "
    "one latent. A property of the data, the same for every run.",
    "doi": "",
}


def label_floor(labels: np.ndarray) -> float:
    """Return half the sum of squared label shares over cells with a label, (cells,)."""
    known = np.asarray(labels, dtype=object)
    known = known[known != ""].astype(str)
    if not len(known):
        raise ValueError("no cell has a label")
    _, sizes = np.unique(known, return_counts=True)
    return float(0.5 * ((sizes / sizes.sum()) ** 2).sum())
