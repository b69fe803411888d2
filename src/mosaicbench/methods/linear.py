"""Linear baselines: the maps between modalities that a user would try first."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Annotated, Literal

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline

from mosaicbench.contract import Cells, History, Split
from mosaicbench.methods._pairs import paired_cells

CARDS = {
    "cca": {
        "label": "CCA",
        "kind": "baseline",
        "paper": "Hotelling 1936; Kettenring 1971",
        "doi": "10.1093/biomet/58.3.433",
        "scenarios": ("paired", "mosaic"),
        "inputs": ("pairs",),
        "summary": "Canonical correlation analysis on principal components, for any number of modalities (maximum-variance form).",
        "deviates": "Regularised by keeping `components` principal components of each modality. Each canonical variate is weighted "
        "by the correlation that it reaches, so that uncertain ones count less in distances. "
        "Of a mosaic, the train cells that show all modalities.",
        "space": ("latent", "components"),
    },
    "pca_joint": {
        "label": "Joint PCA",
        "kind": "baseline",
        "paper": "Tipping & Bishop 1999",
        "doi": "10.1111/1467-9868.00196",
        "scenarios": ("paired",),
        "inputs": ("pairs",),
        "summary": "Probabilistic PCA of the standardised modalities side by side; the linear counterpart of a fusion VAE.",
        "deviates": "Each modality is divided by the square root of its number of features, so that modalities weigh the same.",
        "space": ("latent",),
    },
    "procrustes": {
        "like": "pca_joint",
        "label": "Procrustes",
        "paper": "Schönemann 1966",
        "doi": "10.1007/BF02289451",
        "summary": "Each modality's principal components, scaled alike and rotated onto the first modality's by the paired cells.",
        "deviates": "",
    },
    "ridge": {
        "like": "cca",
        "label": "Ridge",
        "paper": "Hoerl & Kennard 1970",
        "doi": "10.1080/00401706.1970.10488634",
        "summary": "Ridge regression from the source's principal components to every feature of the target; draws add the "
        "residual of a train cell that the regression was not fitted on.",
        "deviates": "The regression reads `components` principal components of the source, which keeps it fast on wide modalities; "
        "`kernel: gaussian` makes it a kernel ridge regression on 300 landmarks. "
        "Of a mosaic, the train cells that show both modalities of a direction. Residuals are those of leaving one cell out of "
        "the regression, with the same penalty and components.",
        "space": ("components",),
    },
    "linear": {
        "like": "cca",
        "label": "Linear",
        "paper": "Hotelling 1936; Hoerl & Kennard 1970; Kettenring 1971",
        "summary": "The latents of CCA and the imputed values of ridge regression, as one method.",
        "deviates": "As CCA and Ridge, which it runs. The values are not read off the latents: each direction has a regression of "
        "its own.",
        "space": ("latent", "components", "regression_components"),
    },
}


def components_of(x: np.ndarray, most: int, seed: int, *, whiten: bool = False) -> PCA:
    """Return an unfitted PCA of at most `most` components of (cells, features)."""
    return PCA(min(most, min(x.shape) - 1), whiten=whiten, random_state=seed)


@dataclass(kw_only=True)
class CCA:
    """CCA: the directions in which the modalities agree most.

    Maximum-variance generalised CCA: each modality's principal components are whitened, set side by
    side and decomposed; the leading left singular vectors are what all modalities can predict. For
    two modalities this is canonical correlation analysis. Source: Kettenring 1971.
    """

    latent: Annotated[int, "at least 1", {"int": [5, 50], "log": True}] = 20
    components: Annotated[int, "at least 1", {"int": [10, 100], "log": True}] = 30

    def fit(self, train: Split, seed: int) -> History:
        """Fit on the cells in which every modality was measured."""
        cells = paired_cells(train, *train.modalities)
        self.pca = {
            m: components_of(x, self.components, seed, whiten=True) for m, x in cells.values.items()
        }
        # (cells, components) each
        whitened = [self.pca[m].fit_transform(x) for m, x in cells.values.items()]
        _, singular, rotation = np.linalg.svd(np.concatenate(whitened, axis=1), full_matrices=False)
        widths = [w.shape[1] for w in whitened]
        latent = min(self.latent, *widths)
        rotation = rotation[:latent].T * np.sqrt(len(whitened))  # (all components, latent)
        # squared singular value / (cells - 1) = 1 + (M - 1) mean correlation: 1 where modalities
        # are unrelated, M where equal
        agreement = singular[:latent] ** 2 / (len(cells) - 1)
        weight = np.clip((agreement - 1) / (len(whitened) - 1), 0, 1)
        parts = np.split(rotation, np.cumsum(widths)[:-1])
        self.rotation = {m: part * weight for m, part in zip(self.pca, parts, strict=True)}
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the canonical variates, averaged over what is observed, (cells, latent)."""
        return np.mean(
            [self.pca[m].transform(x) @ self.rotation[m] for m, x in cells.values.items()], axis=0
        )


@dataclass(kw_only=True)
class JointPCA:
    """Joint PCA: probabilistic principal components of all modalities side by side.

        x = W z + e,   z ~ N(0, I),   e ~ N(0, s2 I)

    With some modalities absent, z is its posterior mean given the observed rows of W, so the model
    embeds and imputes from any subset. Source: Tipping & Bishop 1999.
    """

    latent: Annotated[int, "at least 1", {"int": [5, 64], "log": True}] = 20

    def fit(self, train: Split, seed: int) -> History:
        """Fit on the cells in which every modality was measured."""
        cells = train.observing(*train.modalities)
        self.scale = {modality: np.sqrt(d) for modality, d in train.features.items()}
        # (cells, all features)
        x = np.concatenate([cells.values[m] / self.scale[m] for m in train.modalities], axis=1)
        pca = components_of(x, self.latent, seed).fit(x)
        spread = np.sqrt(np.maximum(pca.explained_variance_ - pca.noise_variance_, 0))
        loadings = pca.components_ * spread[:, None]  # (latent, all features)
        edges = np.cumsum(list(train.features.values()))[:-1]
        self.noise = max(pca.noise_variance_, 1e-6)
        parts = np.split(loadings, edges, axis=1)
        self.loadings = dict(zip(train.modalities, parts, strict=True))
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
        """Return E[x_target | observed], (cells, features)."""
        return (self.embed(cells) @ self.loadings[target] + self.mean[target]) * self.scale[target]


@dataclass(kw_only=True)
class Procrustes:
    """Procrustes: principal components of each modality, rotated onto those of the first.

        R_m = argmin_R || Z_m R - Z_1 ||,   R orthogonal

    Source: Schönemann 1966.
    """

    latent: Annotated[int, "at least 1", {"int": [5, 64], "log": True}] = 20

    def fit(self, train: Split, seed: int) -> History:
        """Fit on the cells in which every modality was measured."""
        cells = train.observing(*train.modalities)
        latent = min(self.latent, *(min(x.shape) - 1 for x in cells.values.values()))
        self.pca = {m: components_of(x, latent, seed).fit(x) for m, x in cells.values.items()}
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


RESIDUALS = 500  # train cells of each direction whose residuals are kept
LANDMARKS = 300  # train cells that others are likened to by the kernel
MEASURED = 1000  # train cells of which the median distance is taken
PENALTIES = {"linear": np.logspace(-1, 5, 13), "gaussian": np.logspace(-3, 4, 15)}


@dataclass(kw_only=True)
class Ridge:
    """Ridge: a regression from each modality to each other one, with penalties by leave-one-out.

    Linear, or with a Gaussian kernel: then it is linear in the likeness exp(-gamma |c - l|^2) of a
    cell's principal components c to those of landmarks l, which are train cells (Nyström's
    approximation); 1 / gamma is the median squared distance. Source: Williams & Seeger 2000, "Using
    the Nyström method to speed up kernel machines".

    Attributes
    ----------
    components
        Principal components of the source that are read.
    kernel
        "linear", or "gaussian".
    """

    components: Annotated[int, "at least 1", {"int": [20, 300], "log": True}] = 100
    kernel: Literal["linear", "gaussian"] = "linear"

    def fit(self, train: Split, seed: int) -> History:
        """Fit every direction on the cells in which both its modalities were measured."""
        self.regression, self.residuals = {}, {}
        random = np.random.default_rng([seed, 1])
        for source, target in permutations(train.modalities, 2):
            cells = paired_cells(train, source, target)
            x, y = cells.values[source], cells.values[target]
            regression = self._regression(x, seed).fit(x, y)
            rows = random.permutation(len(cells))[:RESIDUALS]
            residuals = left_out_residuals(regression, x, y, rows).astype(np.float32)
            self.regression[source, target] = regression
            self.residuals[source, target] = residuals
        return []

    def _regression(self, x: np.ndarray, seed: int) -> Pipeline:
        pca = components_of(x, self.components, seed)
        linear = RidgeCV(alphas=PENALTIES[self.kernel])
        if self.kernel == "linear":
            return make_pipeline(pca, linear)
        measured = np.random.default_rng([seed, 2]).permutation(len(x))[:MEASURED]
        distances = pdist(pca.fit_transform(x)[measured], "sqeuclidean")
        gamma = 1 / max(float(np.median(distances)), np.finfo(np.float32).eps)
        landmarks = min(LANDMARKS, len(x))
        kernel = Nystroem(gamma=gamma, n_components=landmarks, random_state=seed)
        return make_pipeline(pca, kernel, linear)

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the prediction, averaged over what is observed, (cells, features)."""
        return np.mean(
            [self.regression[source, target].predict(x) for source, x in cells.values.items()],
            axis=0,
        )

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return the prediction plus drawn residuals of train cells, (cells, features, draws)."""
        (source,) = cells.modalities
        residuals = self.residuals[source, target][:, features]
        rows = np.random.default_rng(seed).integers(len(residuals), size=(len(cells), draws))
        return self.impute(cells, target)[:, features, None] + np.moveaxis(residuals[rows], 1, 2)


def left_out_residuals(
    regression: Pipeline, x: np.ndarray, y: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Return residuals of `rows`, each left out of the linear map, (rows, features).

    Parameters
    ----------
    regression
        Fitted on (cells, features) x and y; only its linear map leaves a cell out.
    """
    z, linear = regression[:-1].transform(x), regression[-1]
    centred = z - z.mean(axis=0)  # (cells, components or landmarks)
    penalised = centred.T @ centred + linear.alpha_ * np.eye(z.shape[1])
    leverage = 1 / len(z) + np.einsum(
        "ij,ji->i", centred[rows], np.linalg.solve(penalised, centred[rows].T)
    )
    return (y[rows] - linear.predict(z[rows])) / (1 - leverage)[:, None]


@dataclass(kw_only=True)
class Linear(CCA):
    """Linear: CCA's latents and ridge's imputed values and draws, two maps as one method.

    Attributes
    ----------
    regression_components
        Principal components of the source that a regression reads.
    """

    regression_components: Annotated[int, "at least 1", {"int": [20, 300], "log": True}] = 100

    def fit(self, train: Split, seed: int) -> History:
        """Fit both on the cells in which the modalities that they relate were measured."""
        self.ridge = Ridge(components=self.regression_components)
        return [*super().fit(train, seed), *self.ridge.fit(train, seed)]

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the regression's prediction, averaged over sources, (cells, features)."""
        return self.ridge.impute(cells, target)

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return the regression's draws, (cells, features, draws)."""
        return self.ridge.draw(cells, target, features, draws, seed)
