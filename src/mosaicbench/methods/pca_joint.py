"""Joint PCA: probabilistic principal components of all modalities side by side.

    x = W z + e,   z ~ N(0, I),   e ~ N(0, s2 I)

With some modalities absent, z is its posterior mean given the observed rows of W, so the linear model embeds and imputes from
any subset. Source: Tipping & Bishop 1999.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from sklearn.decomposition import PCA

from mosaicbench.view import Cells, View

CARD = {
    "label": "Joint PCA",
    "kind": "baseline",
    "paper": "Tipping & Bishop 1999",
    "doi": "10.1111/1467-9868.00196",
    "handles": ("paired",),
    "uses": ("pairs",),
    "gives": ("joint", "single", "impute"),
    "claims": ("aligns", "imputes"),
    "summary": "Probabilistic PCA of the standardised modalities side by side; the linear counterpart of a fusion VAE.",
    "deviates": "Each modality is divided by the square root of its number of features, so that modalities weigh the same.",
    "space": {
        "latent": {"int": [5, 64], "log": True},
    },
}


@dataclass(kw_only=True)
class JointPCA:
    """A linear Gaussian latent, conditioned on what is observed."""

    latent: Annotated[int, "at least 1"] = 20

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Fit on the cells in which every modality was measured."""
        cells = train.observing(*train.modalities)
        self.scale = {modality: np.sqrt(d) for modality, d in train.features.items()}
        x = np.concatenate(
            [cells.values[m] / self.scale[m] for m in train.modalities], axis=1
        )  # (cells, all features)
        pca = PCA(min(self.latent, min(x.shape) - 1), random_state=seed).fit(x)
        loadings = (
            pca.components_
            * np.sqrt(np.maximum(pca.explained_variance_ - pca.noise_variance_, 0))[:, None]
        )
        edges = np.cumsum(list(train.features.values()))[:-1]
        self.noise = max(pca.noise_variance_, 1e-6)
        self.loadings = dict(
            zip(train.modalities, np.split(loadings, edges, axis=1), strict=True)
        )  # (latent, features) each
        self.mean = dict(zip(train.modalities, np.split(pca.mean_, edges), strict=True))
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return E[z | observed], (cells, latent)."""
        w = np.concatenate([self.loadings[m] for m in cells.modalities], axis=1)
        x = np.concatenate(
            [cells.values[m] / self.scale[m] - self.mean[m] for m in cells.modalities], axis=1
        )
        return np.linalg.solve(w @ w.T + self.noise * np.eye(len(w)), w @ x.T).T

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return E[x_target | observed], (cells, features), standardised."""
        return (self.embed(cells) @ self.loadings[target] + self.mean[target]) * self.scale[target]
