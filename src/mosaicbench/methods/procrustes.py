"""Procrustes: principal components of each modality, rotated onto those of the first.

    R_m = argmin_R || Z_m R - Z_1 ||,   R orthogonal

Source: Schönemann 1966.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA

from mosaicbench.view import Cells, View

CARD = {
    "label": "Procrustes",
    "kind": "baseline",
    "paper": "Schönemann 1966",
    "doi": "10.1007/BF02289451",
    "handles": ("paired",),
    "uses": ("pairs",),
    "gives": ("joint", "single"),
    "claims": ("aligns",),
    "summary": "Each modality's principal components, scaled alike and rotated onto the first modality's by the paired cells.",
    "deviates": "",
    "space": {
        "latent": {"int": [5, 64], "log": True},
    },
}


@dataclass(kw_only=True)
class Procrustes:
    """One PCA per modality and one orthogonal map per modality."""

    latent: Annotated[int, "at least 1"] = 20

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Fit on the cells in which every modality was measured."""
        cells = train.observing(*train.modalities)
        latent = min(self.latent, *(min(x.shape) - 1 for x in cells.values.values()))
        self.pca = {m: PCA(latent, random_state=seed).fit(x) for m, x in cells.values.items()}
        scores = {m: self.pca[m].transform(x) for m, x in cells.values.items()}
        self.scale = {m: np.sqrt((z**2).sum(1).mean()) for m, z in scores.items()}
        anchor = scores[train.modalities[0]] / self.scale[train.modalities[0]]
        self.rotation = {
            m: orthogonal_procrustes(z / self.scale[m], anchor)[0] for m, z in scores.items()
        }
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the rotated components, averaged over what is observed, (cells, latent)."""
        rotated = [
            self.pca[m].transform(x) / self.scale[m] @ self.rotation[m]
            for m, x in cells.values.items()
        ]
        return np.mean(rotated, axis=0)
