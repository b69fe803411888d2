"""Latent semantic indexing (LSI) of peaks, fitted on train cells, whose own coordinates are out of fold.

Singular vectors of sparse peaks follow the very cells that they are computed from: in them these cells vary several times as
much as any other cells do, so that what a model learns of train cells does not hold of query cells. A train cell therefore gets
its coordinates from the singular vectors of other train cells, rotated onto those of all; a query cell, which had no part in
any, gets those of all. The idf is that of all train cells: one of each fold's others changes variances by 1 to 2 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.assemble import source_values
from mosaicbench.data.fitted import (
    Learned,
    check_at_least,
    counted,
    learned,
    open_peaks,
    per_cell,
    shell,
)
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from anndata import AnnData

FOLDS = 10
FOLDS_OF_MANY = 3  # more cells, each of which matters less to the singular vectors
MANY_CELLS = 5_000
TRANSFORMS = {
    "lsi": "log(1 + 10,000 x tf x idf)",
    "raw_svd": "the counts themselves",
    "residuals": "x / sqrt(total of the cell x share of the peak): residuals of a Poisson model (Pearson) and its expectation, "
    "which is the first component",
}
LEAST_CELLS = 4  # any 3 of which have a component beside the first


@dataclass(frozen=True)
class Lsi:
    """Latent semantic indexing of the most open peaks, without the component that follows depth.

    Attributes
    ----------
    columns
        (peaks,) positions of the chosen peaks in the dataset.
    weight
        (peaks,) what counts are multiplied by, see `TRANSFORMS`; for LSI the idf, train cells per cell with the peak open.
    loadings
        (peaks, components) right singular vectors of the train cells' transformed counts, from the second on.
    depth
        (peaks,) the first component, which follows depth, of the mean train cell: its part of the transformed counts.
    values
        One of `TRANSFORMS`: what the counts become before they are decomposed.
    out_of_fold
        Whether train cells get their coordinates from the decomposition of other train cells.
    """

    columns: np.ndarray
    weight: np.ndarray
    loadings: np.ndarray
    depth: np.ndarray
    values: str = "lsi"
    out_of_fold: bool = True
    normalization: ClassVar[str] = "lsi"

    @classmethod
    def fit(
        cls,
        train: AnnData,
        log: list[Learned],
        *,
        features: int = 10_000,
        components: int = 50,
        transform: str = "lsi",
        out_of_fold: bool = True,
    ) -> Lsi:
        """Choose the `features` peaks open in most train cells, and up to `components` components of them.

        The decomposition is exact (ARPACK), so its random start does not matter. `out_of_fold` False gives train cells the
        coordinates of the decomposition that they are part of: a wrong way, kept so that its price can be measured.
        """
        check_at_least("features", features, 3)
        check_at_least("components", components, 1)
        if transform not in TRANSFORMS:
            raise UserError(
                f"preprocess: transform is one of {', '.join(TRANSFORMS)}, found {transform!r}"
            )
        columns, idf = learned(log, "choice of features, idf", open_peaks, train, features=features)
        weight = idf
        if transform != "lsi":
            weight = learned(
                log, "weights of peaks", _weight, train, columns=columns, transform=transform
            )
        found = _possible(components, train.n_obs, len(columns))
        if found < 1 or train.n_obs < LEAST_CELLS:
            raise UserError(
                f"LSI needs at least {LEAST_CELLS} train cells and 3 open peaks, found {train.n_obs} and {len(columns)}"
            )
        none = np.zeros((len(columns), 0), dtype=np.float32)
        bare = cls(columns, weight, none, np.zeros(len(columns), dtype=np.float32), transform)
        loadings, depth = learned(log, "decomposition", bare._decomposed, train, components=found)
        return cls(columns, weight, loadings, depth, transform, out_of_fold)

    def transform(self, cells: AnnData) -> AnnData:
        """Return the TF-IDF of the chosen peaks (sparse) with its LSI coordinates, (cells, components)."""
        x = self._transformed(cells)
        shown = shell(cells, self.columns, self.normalization, x)
        shown.obsm["X_lsi"] = np.asarray(x @ self.loadings, dtype=np.float32)
        shown.varm["LSI"] = self.loadings.copy()
        shown.var["depth"] = self.depth
        shown.var["weight"] = self.weight
        shown.uns["transform"] = self.values
        return shown

    def of_train(self, train: AnnData, log: list[Learned]) -> AnnData:
        """Return :meth:`transform` of the train cells, with the coordinates that they are to have."""
        shown = self.transform(train)
        if self.out_of_fold:
            shown.obsm["X_lsi"] = learned(log, "out-of-fold coordinates", self._out_of_fold, train)
        return shown

    def _decomposed(self, train: AnnData, components: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the loadings from the second component on, and the mean train cell's part in the first."""
        x = self._transformed(train)
        vectors = _right_singular(x, components)
        return np.ascontiguousarray(vectors[1:].T), np.float32((x @ vectors[0]).mean()) * vectors[0]

    def _out_of_fold(self, train: AnnData) -> np.ndarray:
        """Return each train cell's coordinates by the decomposition of the other folds' cells, (cells, components) float32.

        The rotation onto the loadings of all cells is the orthogonal Procrustes solution. Where the others are too few for
        all components, it leads from fewer into the space of all.
        """
        x = self._transformed(train)
        fold = folds_of(train.obs_names)
        coordinates = np.empty((train.n_obs, self.loadings.shape[1]), dtype=np.float32)
        for number in range(fold.max() + 1):
            others = x[fold != number]
            vectors = _right_singular(others, _possible(self.loadings.shape[1], *others.shape))[
                1:
            ].T  # (peaks, components)
            left, _, right = np.linalg.svd(vectors.T @ self.loadings, full_matrices=False)
            coordinates[fold == number] = x[fold == number] @ (vectors @ (left @ right))
        return coordinates

    def _transformed(self, cells: AnnData) -> sparse.csr_matrix:
        """Return the chosen peaks' transformed counts, (cells, peaks) sparse float32."""
        from sklearn.utils.sparsefuncs import inplace_column_scale, inplace_row_scale

        x = source_values(cells)[:, self.columns]
        if self.values == "raw_svd":
            return x
        if self.values == "residuals":
            totals = counted(cells).astype(np.float64)
            inplace_row_scale(x, (1 / np.sqrt(np.where(totals > 0, totals, 1))).astype(np.float32))
            inplace_column_scale(x, self.weight)
            return x
        x = per_cell(x, cells)
        inplace_column_scale(x, self.weight)
        return x.log1p()


def _weight(train: AnnData, columns: np.ndarray, transform: str) -> np.ndarray:
    """Return (peaks,) float32 that counts are multiplied by: 1, or for residuals 1 / sqrt(the peak's share of all counts)."""
    if transform == "raw_svd":
        return np.ones(len(columns), dtype=np.float32)
    share = np.asarray(source_values(train)[:, columns].sum(axis=0)).ravel() / counted(train).sum(
        dtype=np.float64
    )
    return (1 / np.sqrt(share)).astype(np.float32)


def folds_of(names: pd.Index) -> np.ndarray:
    """Return each cell's fold, (cells,) from 0 on: decided by the cells' names, so that their order does not matter."""
    number = min(FOLDS if len(names) < MANY_CELLS else FOLDS_OF_MANY, len(names))
    fold = np.empty(len(names), dtype=np.intp)
    fold[np.argsort(pd.util.hash_array(names.to_numpy(dtype=object)), kind="stable")] = (
        np.arange(len(names)) % number
    )
    return fold


def _possible(components: int, cells: int, peaks: int) -> int:
    """Return how many components beside the first these cells and peaks have at most; ARPACK finds one fewer than all."""
    return min(components, min(cells, peaks) - 2)


def _right_singular(x: sparse.csr_matrix, components: int) -> np.ndarray:
    """Return the first right singular vectors of `x` and `components` more, (1 + components, peaks) float32."""
    from sklearn.decomposition import TruncatedSVD

    return (
        TruncatedSVD(components + 1, algorithm="arpack", random_state=0)
        .fit(x)
        .components_.astype(np.float32)
    )


def tf_idf_from_lsi(cells: AnnData, lsi: np.ndarray) -> np.ndarray:
    """Take LSI values (rows, components) back to the TF-IDF of the peaks of `cells`, (rows, peaks), at average depth.

    Parameters
    ----------
    cells
        The ATAC modality of any part of the split: its ``varm["LSI"]`` and ``var["depth"]`` were fitted on train cells.
    lsi
        Values as ``files.values`` returns them or a method imputes them, not standardised.
    """
    return np.asarray(lsi @ cells.varm["LSI"].T + cells.var["depth"].to_numpy(), dtype=np.float32)
