"""Transforms fitted on train cells only, then applied to any cells: one kind of modality, one class.

======  ==========  ============================================================================================
kind    space       transform
======  ==========  ============================================================================================
rna     lognorm     variable genes, log(1 + 10,000 x counts / total of the cell)
atac    lsi         most open peaks, log(1 + 10,000 x tf x idf), truncated SVD without its first (depth) component
adt     clr         log(1 + counts / geometric mean of the cell's 1 + counts)
======  ==========  ============================================================================================

A fitted transform is a small value: what it holds is all that was learned from the train cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.assemble import check_options, source_values
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from anndata import AnnData

PER_CELL = 1e4  # counts per cell after normalisation
FEW_CELLS = 500  # below, so many genes share the same few means that a local trend of the variance is singular


@dataclass(frozen=True)
class Preprocessing:
    """A kind's transform, with the train cells' moments in its space.

    Attributes
    ----------
    steps
        The fitted transform.
    mean, std
        (dimensions,) float32 moments of the train cells; the std of a constant dimension is 1. LSI components share one std,
        their root mean variance: each with its own, the last components, which are noise, would be as loud as the first.
    """

    steps: LogNormalised | Lsi | Clr
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, train: AnnData, **options: int) -> Preprocessing:
        """Learn from one modality's train cells; `options` are keywords of that kind's ``fit``."""
        kind = train.uns["kind"]
        if train.uns["values"] == "lognorm" and kind != "rna":
            raise UserError(f"values: lognorm is possible for kind 'rna' only, found it for kind {kind!r}; give counts")
        steps = KINDS[kind].fit(train, **options)
        mean, std = _moments(_in_space(steps.transform(train)))
        if steps.space == "lsi":
            std = np.full_like(std, np.sqrt(np.mean(std**2)))
        return cls(steps, mean, std)

    def transform(self, cells: AnnData) -> AnnData:
        """Return `cells` in the transform's space, under their own names and without any other column.

        Parameters
        ----------
        cells
            One modality of a dataset, (cells, all features).

        Returns
        -------
        AnnData
            ``X`` the transformed values (for ATAC the TF-IDF, with ``obsm["X_lsi"]`` and ``varm["LSI"]``),
            ``layers["counts"]`` of the chosen features where there are counts, ``uns`` kind, space, mean, std.
        """
        transformed = self.steps.transform(cells)
        transformed.uns |= {"mean": self.mean.copy(), "std": self.std.copy()}
        return transformed


@dataclass(frozen=True)
class LogNormalised:
    """Chosen genes, log-normalised with the cell's total over all genes.

    Attributes
    ----------
    columns
        (features,) positions of the chosen genes in the dataset.
    """

    columns: np.ndarray
    space: ClassVar[str] = "lognorm"

    @classmethod
    def fit(cls, train: AnnData, *, features: int = 2000) -> LogNormalised:
        """Choose up to `features` highly variable genes of those that vary among the train cells.

        Variability is Seurat v3's (Stuart et al. 2019) on counts, Seurat's dispersion (Satija et al. 2015) on
        log-normalised values, both as in scanpy; the trend's span is 0.3, but 1 where there are fewer than 500 cells.
        """
        _check_at_least("features", features, 1)
        values = source_values(train)
        varying = np.flatnonzero((values.max(axis=0) != values.min(axis=0)).toarray().ravel())
        if len(varying) == 0:
            raise UserError("no gene varies among the train cells; give more cells or another modality")
        if len(varying) > features:
            varying = varying[_highly_variable(values[:, varying], train.uns["values"], features)]
        return cls(varying)

    def transform(self, cells: AnnData) -> AnnData:
        """Return log-normalised values of the chosen genes, sparse float32."""
        values = source_values(cells)
        chosen = values[:, self.columns]
        if cells.uns["values"] == "counts":
            chosen = _rows_scaled(chosen, PER_CELL / _totals(values)).log1p()
        return _shell(cells, self.columns, self.space, chosen)


@dataclass(frozen=True)
class Lsi:
    """Latent semantic indexing of the most open peaks, without the component that follows depth.

    Attributes
    ----------
    columns
        (peaks,) positions of the chosen peaks in the dataset.
    idf
        (peaks,) train cells per train cell in which the peak is open.
    loadings
        (peaks, components) right singular vectors of the train cells' TF-IDF, from the second on.
    """

    columns: np.ndarray
    idf: np.ndarray
    loadings: np.ndarray
    space: ClassVar[str] = "lsi"

    @classmethod
    def fit(cls, train: AnnData, *, features: int = 10_000, components: int = 50) -> Lsi:
        """Choose the `features` peaks open in most train cells, and up to `components` components of them.

        The decomposition is exact (ARPACK), so its random start does not matter.
        """
        from sklearn.decomposition import TruncatedSVD

        _check_at_least("features", features, 3)
        _check_at_least("components", components, 1)
        opened = source_values(train).getnnz(axis=0)
        most_open = np.argsort(-opened, kind="stable")[:features]
        columns = np.sort(most_open[opened[most_open] > 0])
        found = min(components, min(train.n_obs, len(columns)) - 2)
        if found < 1:
            raise UserError(f"LSI needs at least 3 train cells and 3 open peaks, found {train.n_obs} and {len(columns)}")
        idf = (train.n_obs / opened[columns]).astype(np.float32)
        svd = TruncatedSVD(n_components=found + 1, algorithm="arpack", random_state=0)
        svd.fit(cls(columns, idf, np.zeros((len(columns), 0)))._tf_idf(train))
        return cls(columns, idf, np.ascontiguousarray(svd.components_[1:].T, dtype=np.float32))

    def transform(self, cells: AnnData) -> AnnData:
        """Return the TF-IDF of the chosen peaks (sparse) with its LSI coordinates, (cells, components)."""
        tf_idf = self._tf_idf(cells)
        shell = _shell(cells, self.columns, self.space, tf_idf)
        shell.obsm["X_lsi"] = np.asarray(tf_idf @ self.loadings, dtype=np.float32)
        shell.varm["LSI"] = self.loadings.copy()
        return shell

    def _tf_idf(self, cells: AnnData) -> sparse.csr_matrix:
        counts = source_values(cells)
        tf = _rows_scaled(counts[:, self.columns], PER_CELL / _totals(counts))
        return sparse.csr_matrix(tf.multiply(self.idf[None, :]), dtype=np.float32).log1p()


@dataclass(frozen=True)
class Clr:
    """Centred log ratio of all proteins within a cell (Stoeckius et al. 2017, with pseudocount as in Seurat).

    Nothing is learned from the train cells.
    """

    columns: np.ndarray
    space: ClassVar[str] = "clr"

    @classmethod
    def fit(cls, train: AnnData) -> Clr:
        """Take all proteins."""
        return cls(np.arange(train.n_vars))

    def transform(self, cells: AnnData) -> AnnData:
        """Return log(1 + x / g), where log g is the cell's mean of log(1 + x); dense float32."""
        counts = source_values(cells).toarray()
        geometric_mean = np.exp(np.log1p(counts).mean(axis=1, keepdims=True))  # (cells, 1)
        return _shell(cells, self.columns, self.space, np.log1p(counts / geometric_mean).astype(np.float32))


KINDS = {"rna": LogNormalised, "atac": Lsi, "adt": Clr}


def check_preprocess(options: dict[str, dict]) -> None:
    """Refuse overrides (kind -> its options) that no kind knows."""
    for kind, given in options.items():
        if kind not in KINDS:
            raise UserError(f"preprocess: unknown kind {kind!r}; there are {', '.join(KINDS)}")
        check_options(KINDS[kind].fit, given, f"preprocess.{kind}")


def _highly_variable(values: sparse.csr_matrix, scale: str, features: int) -> np.ndarray:
    import scanpy
    from anndata import AnnData

    flavor = {"flavor": "seurat"}
    if scale == "counts":
        flavor = {"flavor": "seurat_v3", "span": 0.3 if values.shape[0] >= FEW_CELLS else 1.0}
    table = scanpy.pp.highly_variable_genes(AnnData(values), n_top_genes=features, inplace=False, **flavor)
    return np.flatnonzero(table["highly_variable"])


def _shell(cells: AnnData, columns: np.ndarray, space: str, x: np.ndarray | sparse.csr_matrix) -> AnnData:
    from anndata import AnnData

    return AnnData(
        X=x,
        obs=pd.DataFrame(index=cells.obs_names.copy()),
        var=pd.DataFrame(index=cells.var_names[columns]),
        layers={"counts": source_values(cells)[:, columns]} if cells.uns["values"] == "counts" else {},
        uns={"kind": cells.uns["kind"], "space": space},
    )


def _totals(counts: sparse.csr_matrix) -> np.ndarray:
    """Return (cells,) sums over all features; 1 for a cell without any count, whose values then stay 0."""
    totals = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    return np.where(totals > 0, totals, 1)


def _rows_scaled(values: sparse.csr_matrix, factors: np.ndarray) -> sparse.csr_matrix:
    return sparse.csr_matrix(sparse.diags(factors.astype(np.float32), dtype=np.float32) @ values)


def _in_space(cells: AnnData) -> np.ndarray | sparse.csr_matrix:
    return cells.obsm["X_lsi"] if cells.uns["space"] == "lsi" else cells.X


def _moments(x: np.ndarray | sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    x = x.astype(np.float64)
    mean = np.asarray(x.mean(axis=0)).ravel()
    squares = x.multiply(x) if sparse.issparse(x) else x * x
    std = np.sqrt(np.maximum(np.asarray(squares.mean(axis=0)).ravel() - mean**2, 0))
    return mean.astype(np.float32), np.where(std > 1e-6, std, 1).astype(np.float32)


def _check_at_least(key: str, given: int, least: int) -> None:
    if given < least:
        raise UserError(f"preprocess: {key} must be at least {least}, found {given}")
