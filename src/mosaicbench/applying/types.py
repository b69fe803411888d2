"""Types of the train cells, transferred to cells near them in the model's latent space."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

NEIGHBORS = 15


class TypesOfTrainCells:
    """The train cells of one source that have a type.

    Parameters
    ----------
    latents
        (cells, latent) of the train cells.
    types
        (cells,) their types, "" where unknown.
    """

    def __init__(self, latents: np.ndarray, types: np.ndarray):
        typed = types != ""
        self.names, self.codes = np.unique(types[typed], return_inverse=True)
        self.index = NearestNeighbors(
            n_neighbors=min(NEIGHBORS, int(typed.sum())), algorithm="brute"
        ).fit(latents[typed])

    def of(self, latents: np.ndarray) -> pd.DataFrame:
        """Return each cell's type, the most frequent of its nearest train cells, and the share of them that have it.

        Where several are as frequent, it is the first in alphabetical order.
        """
        near = self.codes[
            self.index.kneighbors(latents, return_distance=False)
        ]  # (cells, neighbours)
        votes = np.stack([(near == code).sum(axis=1) for code in range(len(self.names))], axis=1)
        best = votes.argmax(axis=1)
        share = votes[np.arange(len(votes)), best] / near.shape[1]
        return pd.DataFrame(
            {"cell_type": self.names[best].astype(object), "agreement": share.astype(np.float32)}
        )


def of_source(view: dict[str, np.ndarray], source: str) -> TypesOfTrainCells | None:
    """Return the typed train cells of a source of latents in a model's view; None where none has a type."""
    key = f"latents/{source}"
    if key not in view or not np.any(view[f"{key}/cell_types"] != ""):
        return None
    return TypesOfTrainCells(view[key], view[f"{key}/cell_types"].astype(str))
