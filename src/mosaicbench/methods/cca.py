"""CCA: the directions in which the modalities agree most.

Maximum-variance generalised CCA: each modality's principal components are whitened, set side by side and decomposed; the
leading left singular vectors are what all modalities can predict. For two modalities this is canonical correlation analysis.
Source: Kettenring 1971.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from sklearn.decomposition import PCA

from mosaicbench.methods._pairs import paired_cells
from mosaicbench.view import Cells, View

CARD = {
    "label": "CCA",
    "kind": "baseline",
    "paper": "Hotelling 1936; Kettenring 1971",
    "doi": "10.1093/biomet/58.3.433",
    "handles": ("paired", "mosaic"),
    "uses": ("pairs",),
    "gives": ("joint", "single"),
    "claims": ("aligns",),
    "summary": "Canonical correlation analysis on principal components, for any number of modalities (maximum-variance form).",
    "deviates": "Regularised by keeping `components` principal components of each modality. Each canonical variate is weighted "
    "by the correlation that it reaches, so that uncertain ones count less in distances. "
    "Of a mosaic, the train cells that show all modalities.",
    "space": {
        "latent": {"int": [5, 50], "log": True},
        "components": {"int": [10, 100], "log": True},
    },
}


@dataclass(kw_only=True)
class CCA:
    """Whitened principal components, rotated to where the modalities agree."""

    latent: Annotated[int, "at least 1"] = 20
    components: Annotated[int, "at least 1"] = 30

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Fit on the cells in which every modality was measured."""
        cells = paired_cells(train, *train.modalities)
        pca = {
            m: PCA(min(self.components, min(x.shape) - 1), whiten=True, random_state=seed)
            for m, x in cells.values.items()
        }
        whitened = {
            m: pca[m].fit_transform(x) for m, x in cells.values.items()
        }  # (cells, components) each
        _, singular, rotation = np.linalg.svd(
            np.concatenate(list(whitened.values()), axis=1), full_matrices=False
        )
        latent = min(self.latent, *(w.shape[1] for w in whitened.values()))
        edges = np.cumsum([w.shape[1] for w in whitened.values()])[:-1]
        rotations = np.split(
            rotation[:latent].T * np.sqrt(len(pca)), edges
        )  # (components, latent) each
        # squared singular value / (cells - 1) = 1 + (M - 1) mean correlation: 1 where modalities are unrelated, M where equal
        agreement = singular[:latent] ** 2 / (len(cells) - 1)
        weight = np.clip((agreement - 1) / (len(pca) - 1), 0, 1)
        self.pca = pca
        self.rotation = {m: r * weight for m, r in zip(pca, rotations, strict=True)}
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the canonical variates, averaged over what is observed, (cells, latent)."""
        return np.mean(
            [self.pca[m].transform(x) @ self.rotation[m] for m, x in cells.values.items()], axis=0
        )
