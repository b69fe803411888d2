"""Transforms fitted on train cells only, then applied to any cells: one kind of modality, one class.

==========  ==========  ============================================================================================
kind        space       transform
==========  ==========  ============================================================================================
rna         lognorm     variable genes and those of measured proteins, log(1 + 10,000 x counts / total of the cell)
atac        lsi         most open peaks, log(1 + 10,000 x tf x idf), truncated SVD without its first (depth) component
adt         clr         log(1 + counts / geometric mean of the cell's 1 + counts)
continuous  continuous  none; the features that vary most, or all that vary
==========  ==========  ============================================================================================

A fitted transform is a small value: what it holds is all that was learned from the train cells, and ``log`` names the cells
that each of it was learned from.

Raw counts of the chosen features travel along in ``layers["counts"]``, each cell's total over all features in
``obs["total"]``; :func:`binarised` makes open peaks of counts. The way back from what methods work on: standardised ->
``files.unstandardised`` -> the value space; LSI -> :func:`tf_idf_from_lsi`; lognorm -> :func:`counts_from_lognorm`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.assemble import check_options, source_values
from mosaicbench.data.features import moments, open_peaks, variable_genes, varying_most
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import VALUES

if TYPE_CHECKING:
    from anndata import AnnData

PER_CELL = 1e4  # counts per cell after normalisation


@dataclass(frozen=True)
class Learned:
    """That something was learned from certain cells.

    Attributes
    ----------
    what
        E.g. "choice of features".
    cells
        Names of the cells that were given to the function that learned it.
    """

    what: str
    cells: pd.Index


def learned(log: list[Learned], what: str, function: Callable, cells: AnnData, **options: object) -> object:
    """Return ``function(cells, **options)`` and note in `log` which cells it was given: the names are those of the data."""
    log.append(Learned(what, cells.obs_names))
    return function(cells, **options)


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
    log
        What was learned from which cells.
    """

    steps: LogNormalised | Lsi | Clr | Continuous
    mean: np.ndarray
    std: np.ndarray
    log: tuple[Learned, ...] = ()

    @classmethod
    def fit(cls, train: AnnData, **options: int) -> Preprocessing:
        """Learn from one modality's train cells; `options` are keywords of that kind's ``fit``."""
        kind = train.uns["kind"]
        if train.uns["values"] not in VALUES[kind]:
            possible = " or ".join(VALUES[kind])
            raise UserError(f"values: those of kind {kind!r} are {possible}, found {train.uns['values']}; name its kind")
        log: list[Learned] = []
        steps = KINDS[kind].fit(train, log, **options)
        mean, std = learned(log, "mean and standard deviation", lambda cells: moments(_in_space(steps.transform(cells))), train)
        if steps.space == "lsi":
            std = np.full_like(std, np.sqrt(np.mean(std**2)))
        return cls(steps, mean, std, tuple(log))

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
            ``layers["counts"]`` of the chosen features and ``obs["total"]`` over all where there are counts, ``uns`` kind,
            space, mean, std.
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
    def fit(cls, train: AnnData, log: list[Learned], *, features: int = 2000) -> LogNormalised:
        """Choose up to `features` highly variable genes of those that vary among the train cells.

        Genes that ``var["kept"]`` names, such as those of measured proteins, are chosen besides, if they vary.

        Variability is Seurat v3's (Stuart et al. 2019) on counts, Seurat's dispersion (Satija et al. 2015) on
        log-normalised values, both as in scanpy; the trend's span is 0.3, but 1 where there are fewer than 500 cells.
        """
        _check_at_least("features", features, 1)
        return cls(learned(log, "choice of features", variable_genes, train, features=features))

    def transform(self, cells: AnnData) -> AnnData:
        """Return log-normalised values of the chosen genes, sparse float32."""
        values = source_values(cells)
        chosen = values[:, self.columns]
        if cells.uns["values"] == "counts":
            chosen = _per_cell(chosen, cells).log1p()
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
    depth
        (peaks,) the first component, which follows depth, of the mean train cell: its part of the TF-IDF.
    """

    columns: np.ndarray
    idf: np.ndarray
    loadings: np.ndarray
    depth: np.ndarray
    space: ClassVar[str] = "lsi"

    @classmethod
    def fit(cls, train: AnnData, log: list[Learned], *, features: int = 10_000, components: int = 50) -> Lsi:
        """Choose the `features` peaks open in most train cells, and up to `components` components of them.

        The decomposition is exact (ARPACK), so its random start does not matter.
        """
        _check_at_least("features", features, 3)
        _check_at_least("components", components, 1)
        columns, idf = learned(log, "choice of features, idf", open_peaks, train, features=features)
        found = min(components, min(train.n_obs, len(columns)) - 2)
        if found < 1:
            raise UserError(f"LSI needs at least 3 train cells and 3 open peaks, found {train.n_obs} and {len(columns)}")
        bare = cls(columns, idf, np.zeros((len(columns), 0), dtype=np.float32), np.zeros(len(columns), dtype=np.float32))
        loadings, depth = learned(log, "decomposition", bare._decomposed, train, components=found)
        return cls(columns, idf, loadings, depth)

    def transform(self, cells: AnnData) -> AnnData:
        """Return the TF-IDF of the chosen peaks (sparse) with its LSI coordinates, (cells, components)."""
        tf_idf = self._tf_idf(cells)
        shell = _shell(cells, self.columns, self.space, tf_idf)
        shell.obsm["X_lsi"] = np.asarray(tf_idf @ self.loadings, dtype=np.float32)
        shell.varm["LSI"] = self.loadings.copy()
        shell.var["depth"] = self.depth
        return shell

    def _decomposed(self, train: AnnData, components: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the loadings from the second component on, and the mean train cell's part in the first."""
        from sklearn.decomposition import TruncatedSVD

        svd = TruncatedSVD(n_components=components + 1, algorithm="arpack", random_state=0)
        scores = svd.fit_transform(self._tf_idf(train))
        vectors = svd.components_.astype(np.float32)
        return np.ascontiguousarray(vectors[1:].T), np.float32(scores[:, 0].mean()) * vectors[0]

    def _tf_idf(self, cells: AnnData) -> sparse.csr_matrix:
        from sklearn.utils.sparsefuncs import inplace_column_scale

        tf_idf = _per_cell(source_values(cells)[:, self.columns], cells)
        inplace_column_scale(tf_idf, self.idf)
        return tf_idf.log1p()


@dataclass(frozen=True)
class Clr:
    """Centred log ratio of all proteins within a cell (Stoeckius et al. 2017, with pseudocount as in Seurat).

    Nothing is learned from the train cells.
    """

    columns: np.ndarray
    space: ClassVar[str] = "clr"

    @classmethod
    def fit(cls, train: AnnData, log: list[Learned]) -> Clr:
        """Take all proteins."""
        return cls(np.arange(train.n_vars))

    def transform(self, cells: AnnData) -> AnnData:
        """Return log(1 + x / g), where log g is the cell's mean of log(1 + x); dense float32."""
        counts = source_values(cells).toarray()
        geometric_mean = np.exp(np.log1p(counts).mean(axis=1, keepdims=True))  # (cells, 1)
        return _shell(cells, self.columns, self.space, np.log1p(counts / geometric_mean).astype(np.float32))


@dataclass(frozen=True)
class Continuous:
    """Values on a scale of their own, such as expression of bulk samples or a simulation's; only features are chosen.

    Attributes
    ----------
    columns
        (features,) positions of the chosen features in the dataset.
    """

    columns: np.ndarray
    space: ClassVar[str] = "continuous"

    @classmethod
    def fit(cls, train: AnnData, log: list[Learned], *, features: int | None = None) -> Continuous:
        """Choose the `features` of largest variance among the train cells; without a number, all that vary."""
        if features is not None:
            _check_at_least("features", features, 1)
        return cls(learned(log, "choice of features", varying_most, train, features=features))

    def transform(self, cells: AnnData) -> AnnData:
        """Return the values of the chosen features, dense float32."""
        return _shell(cells, self.columns, self.space, source_values(cells)[:, self.columns].toarray())


KINDS = {"rna": LogNormalised, "atac": Lsi, "adt": Clr, "continuous": Continuous}


def binarised(cells: AnnData) -> sparse.csr_matrix:
    """Return which features of a view's modality were seen, (cells, features) of 0 and 1, sparse float32."""
    from sklearn.preprocessing import binarize

    return binarize(sparse.csr_matrix(cells.layers["counts"], dtype=np.float32))


def tf_idf_from_lsi(cells: AnnData, lsi: np.ndarray) -> np.ndarray:
    """Take LSI values (rows, components) back to the TF-IDF of the peaks of `cells`, (rows, peaks), at average depth.

    Parameters
    ----------
    cells
        The ATAC modality of any part of the view: its ``varm["LSI"]`` and ``var["depth"]`` were fitted on train cells.
    lsi
        Values as ``files.values`` returns them or a method imputes them, not standardised.
    """
    return np.asarray(lsi @ cells.varm["LSI"].T + cells.var["depth"].to_numpy(), dtype=np.float32)


def counts_from_lognorm(x: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Take log-normalised values (cells, genes) back to counts, given each cell's total over all genes (``obs["total"]``)."""
    return np.expm1(x) * (np.asarray(totals)[:, None] / PER_CELL)


def check_preprocess(options: dict[str, dict]) -> None:
    """Refuse overrides (kind -> its options) that no kind knows."""
    for kind, given in options.items():
        if kind not in KINDS:
            raise UserError(f"preprocess: unknown kind {kind!r}; there are {', '.join(KINDS)}")
        check_options(KINDS[kind].fit, given, f"preprocess.{kind}")


def _shell(cells: AnnData, columns: np.ndarray, space: str, x: np.ndarray | sparse.csr_matrix) -> AnnData:
    from anndata import AnnData

    shell = AnnData(
        X=x,
        obs=pd.DataFrame(index=cells.obs_names.copy()),
        var=pd.DataFrame(index=cells.var_names[columns]),
        uns={"kind": cells.uns["kind"], "space": space},
    )
    if cells.uns["values"] == "counts":
        shell.layers["counts"] = source_values(cells)[:, columns]
        shell.obs["total"] = _counted(cells).astype(np.float32)
    return shell


def _per_cell(chosen: sparse.csr_matrix, cells: AnnData) -> sparse.csr_matrix:
    """Scale counts of chosen features, in place, to 10,000 over all features of each cell; a cell without counts stays 0."""
    from sklearn.utils.sparsefuncs import inplace_row_scale

    totals = _counted(cells).astype(np.float64)
    inplace_row_scale(chosen, (PER_CELL / np.where(totals > 0, totals, 1)).astype(np.float32))
    return chosen


def _counted(cells: AnnData) -> np.ndarray:
    """Return (cells,) counts over all features: ``obs["total"]`` says them where `cells` hold chosen features only."""
    if "total" in cells.obs:
        return cells.obs["total"].to_numpy()
    return np.asarray(source_values(cells).sum(axis=1)).ravel()


def _in_space(cells: AnnData) -> np.ndarray | sparse.csr_matrix:
    return cells.obsm["X_lsi"] if cells.uns["space"] == "lsi" else cells.X


def _check_at_least(key: str, given: int, least: int) -> None:
    if given < least:
        raise UserError(f"preprocess: {key} must be at least {least}, found {given}")
