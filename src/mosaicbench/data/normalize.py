"""Transforms fitted on train cells only, then applied to any cells: one class per kind of modality.

==========  =============  ========================================================================
kind        normalization  transform
==========  =============  ========================================================================
rna         lognorm        variable genes and those of measured proteins,
                           log(1 + 10,000 x counts / library size)
atac        lsi            most open peaks, log(1 + 10,000 x tf x idf), truncated SVD without its
                           first (depth) component; train cells out of fold
adt         clr            log(1 + counts / geometric mean of the cell's 1 + counts)
continuous  continuous     none; the features that vary most, or all that vary
==========  =============  ========================================================================

A fitted transform holds all that was learned; its ``log`` names the cells of each part.

Raw counts of the chosen features are kept in ``layers["counts"]``, each cell's total over all
features in ``obs["total"]``. The way back: standardised values -> ``files.unstandardised_values``
-> normalized values -> :func:`counts_from_lognorm` or :func:`tf_idf_from_lsi`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.assemble import source_values
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import VALUES

if TYPE_CHECKING:
    from anndata import AnnData

TARGET_SUM = 1e4  # counts per cell after normalization
# With fewer cells, so many genes have the same few means that a local trend of the variance is
# singular.
FEW_CELLS = 500
FEW_COUNTS = 2**24  # of cells x genes, zeros included; 128 MB as float64
FOLDS = 10
FOLDS_OF_MANY = 3  # of many cells, each matters less to the singular vectors
MANY_CELLS = 5_000
LEAST_CELLS = 4  # any 3 of them have a component beside the first
ALL = "all"  # fit_on: query cells, too
KEPT_OPTIONS = ("standardise", "out_of_fold", "transform")  # that an inner split takes over


@dataclass(frozen=True)
class Learned:
    """A record that something was learned from certain cells.

    Attributes
    ----------
    what
        E.g. "choice of features".
    cells
        Names of the cells that it was learned from.
    role
        "fit"; "fit on all" where the config lets query cells take part; else as :mod:`.audit` says.
    """

    what: str
    cells: pd.Index
    role: str = "fit"


def learned(
    log: list[Learned], what: str, function: Callable, cells: AnnData, **options: object
) -> object:
    """Return ``function(cells, **options)`` and note these cells in `log`."""
    log.append(Learned(what, cells.obs_names))
    return function(cells, **options)


@dataclass(frozen=True)
class Preprocessing:
    """A kind's transform, with the train cells' moments of the normalized values.

    Attributes
    ----------
    steps
        The fitted transform.
    mean, std
        (dimensions,) float32 moments of the train cells; the std of a constant dimension is 1. LSI
        components share one std, their root mean variance, else the last ones, which are noise,
        would weigh as much as the first.
    log
        What was learned from which cells.
    standardise
        Whether values are standardised; if not, `std` is 1.
    """

    steps: LogNormalised | Lsi | Clr | Continuous
    mean: np.ndarray
    std: np.ndarray
    log: tuple[Learned, ...] = ()
    standardise: bool = True

    @classmethod
    def fit(cls, train: AnnData, **options: object) -> Preprocessing:
        """Learn from one modality's train cells; `options` are those of :meth:`fit_transform`."""
        return cls.fit_transform(train, **options)[0]

    @classmethod
    def fit_transform(
        cls,
        train: AnnData,
        fit_to: AnnData | None = None,
        *,
        standardise: bool = True,
        fit_on: str = "train",
        **options: object,
    ) -> tuple[Preprocessing, AnnData]:
        """Return the fitted transform, and the train cells as methods see them.

        They differ from :meth:`transform` of the same cells in LSI coordinates, which are out of fold; so
        are the moments.

        Parameters
        ----------
        train
            One modality's train cells.
        fit_to
            The train and query cells, from which the transform is learned if `fit_on` is "all".
        standardise
            False keeps the units: methods see values less the train cells' mean, not clipped.
        fit_on
            "train"; or "all", which leaks: for comparison with results that leaked in this way.
        options
            Keywords of the kind's own ``fit``.
        """
        kind = train.uns["kind"]
        if train.uns["values"] not in VALUES[kind]:
            raise UserError(
                f"values: kind {kind!r} needs {' or '.join(VALUES[kind])}, found "
                f"{train.uns['values']}; change `values` or `kinds`"
            )
        log: list[Learned] = []
        steps = KINDS[kind].fit(train if fit_to is None else fit_to, log, **options)
        if fit_on == ALL:
            log = [replace(entry, role="fit on all") for entry in log]
        out_of_fold = isinstance(steps, Lsi) and fit_on != ALL
        table = steps.of_train(train, log) if out_of_fold else steps.transform(train)
        mean, std = learned(
            log, "mean and standard deviation", lambda cells: moments(_normalized(cells)), table
        )
        if not standardise:
            std = np.ones_like(std)
        elif steps.normalization == "lsi":
            std = np.full_like(std, np.sqrt(np.mean(std**2)))
        given = {"standardise": standardise, "fit_on": fit_on} | options
        fitted = cls(steps, mean, std, tuple(log), standardise)
        table.uns["preprocess"] = {key: given[key] for key in given if key in KEPT_OPTIONS}
        return fitted, fitted._with_moments(table)

    def transform(self, cells: AnnData) -> AnnData:
        """Return the normalized `cells`, under their own names and without any other column.

        Returns
        -------
        AnnData
            ``X`` the transformed values (for ATAC the TF-IDF, with ``obsm["X_lsi"]`` and ``varm["LSI"]``);
            where there are counts, ``layers["counts"]`` of the chosen features and ``obs["total"]`` over
            all; ``uns``: kind, normalization, mean, std, standardised.
        """
        return self._with_moments(self.steps.transform(cells))

    def _with_moments(self, transformed: AnnData) -> AnnData:
        transformed.uns |= {
            "mean": self.mean.copy(),
            "std": self.std.copy(),
            "standardised": self.standardise,
        }
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
    normalization: ClassVar[str] = "lognorm"

    @classmethod
    def fit(cls, train: AnnData, log: list[Learned], *, features: int = 2000) -> LogNormalised:
        """Choose up to `features` highly variable genes of those that vary among the train cells.

        Genes marked in ``var["kept"]``, such as those of measured proteins, are added if they vary.
        Variability is Seurat v3's (Stuart et al. 2019) on counts, Seurat's dispersion (Satija et al. 2015)
        on log-normalised values, both as in scanpy; the trend's span is 0.3, of fewer than 500 cells 1.
        """
        return cls(learned(log, "choice of features", variable_genes, train, features=features))

    def transform(self, cells: AnnData) -> AnnData:
        """Return log-normalised values of the chosen genes, sparse float32."""
        chosen = source_values(cells)[:, self.columns]
        if cells.uns["values"] == "counts":
            chosen = _per_cell(chosen, cells).log1p()
        return _normalized_table(cells, self.columns, self.normalization, chosen)


@dataclass(frozen=True)
class Lsi:
    """Latent semantic indexing of the most open peaks, without the component that follows depth.

    Along singular vectors of sparse peaks, the cells that they are computed from vary several times
    as much as others. A train cell therefore gets its coordinates from the singular vectors of
    other train cells, rotated onto those of all; the idf is that of all.

    Attributes
    ----------
    columns
        (peaks,) positions of the chosen peaks in the dataset.
    weight
        (peaks,) factors of the counts; for LSI the idf, train cells per cell with the
        peak open.
    loadings
        (peaks, components) right singular vectors of the train cells' transformed counts, from the
        second on.
    depth
        (peaks,) contribution of the first component, which follows depth, to the transformed counts of
        the mean train cell.
    values
        What the counts become before they are decomposed: "lsi", log(1 + 10,000 x tf x idf);
        "raw_svd", themselves; "residuals", x / sqrt(total of the cell x fraction of the peak), residuals
        of a Poisson model (Pearson) and its expectation, which is the first component.
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
        """Choose the `features` peaks open in most train cells, and up to `components` components.

        The decomposition is exact (ARPACK). Without `out_of_fold`, train cells get coordinates from a
        decomposition that they took part in: a wrong way, offered to measure its effect.
        """
        columns, weight = learned(
            log, "choice of features, idf", open_peaks, train, features=features
        )
        if transform != "lsi":
            weight = learned(
                log, "weights of peaks", _weight, train, columns=columns, transform=transform
            )
        possible = _possible(components, train.n_obs, len(columns))
        if possible < 1 or train.n_obs < LEAST_CELLS:
            raise UserError(
                f"LSI needs at least {LEAST_CELLS} train cells and 3 open peaks, found "
                f"{train.n_obs} and {len(columns)}"
            )
        none = np.zeros((len(columns), 0), dtype=np.float32)
        bare = cls(columns, weight, none, none.sum(axis=1), transform)
        loadings, depth = learned(
            log, "decomposition", bare._decomposed, train, components=possible
        )
        return cls(columns, weight, loadings, depth, transform, out_of_fold)

    def transform(self, cells: AnnData) -> AnnData:
        """Return the TF-IDF of the chosen peaks (sparse) with LSI coordinates, (cells, components)."""
        x = self._transformed(cells)
        table = _normalized_table(cells, self.columns, self.normalization, x)
        table.obsm["X_lsi"] = np.asarray(x @ self.loadings, dtype=np.float32)
        table.varm["LSI"] = self.loadings.copy()
        table.var["depth"] = self.depth
        table.var["weight"] = self.weight
        table.uns["transform"] = self.values
        return table

    def of_train(self, train: AnnData, log: list[Learned]) -> AnnData:
        """Return :meth:`transform` of the train cells, with out-of-fold coordinates if wanted."""
        table = self.transform(train)
        if self.out_of_fold:
            table.obsm["X_lsi"] = learned(log, "out-of-fold coordinates", self._out_of_fold, train)
        return table

    def _decomposed(self, train: AnnData, components: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the loadings from the second component on, and the mean cell's part in the first."""
        x = self._transformed(train)
        vectors = _right_singular(x, components)
        return np.ascontiguousarray(vectors[1:].T), np.float32((x @ vectors[0]).mean()) * vectors[0]

    def _out_of_fold(self, train: AnnData) -> np.ndarray:
        """Return train cells' coordinates by the other folds' cells, (cells, components) float32.

        The rotation is the orthogonal Procrustes solution; of too few cells, it maps fewer components.
        """
        x = self._transformed(train)
        fold = folds_of(train.obs_names)
        coordinates = np.empty((train.n_obs, self.loadings.shape[1]), dtype=np.float32)
        for number in range(fold.max() + 1):
            others = x[fold != number]
            possible = _possible(self.loadings.shape[1], *others.shape)
            vectors = _right_singular(others, possible)[1:].T  # (peaks, components)
            left, _, right = np.linalg.svd(vectors.T @ self.loadings, full_matrices=False)
            coordinates[fold == number] = x[fold == number] @ (vectors @ (left @ right))
        return coordinates

    def _transformed(self, cells: AnnData) -> sparse.csr_matrix:
        from sklearn.utils.sparsefuncs import inplace_column_scale, inplace_row_scale

        x = source_values(cells)[:, self.columns]
        if self.values == "raw_svd":
            return x
        if self.values == "residuals":
            totals = _library_size(cells).astype(np.float64)
            inplace_row_scale(x, (1 / np.sqrt(np.where(totals > 0, totals, 1))).astype(np.float32))
            inplace_column_scale(x, self.weight)
            return x
        x = _per_cell(x, cells)
        inplace_column_scale(x, self.weight)
        return x.log1p()


@dataclass(frozen=True)
class Clr:
    """Centred log ratio of all proteins within a cell (Stoeckius et al. 2017, pseudocount of Seurat)."""

    columns: np.ndarray
    normalization: ClassVar[str] = "clr"

    @classmethod
    def fit(cls, train: AnnData, log: list[Learned]) -> Clr:
        """Take all proteins."""
        return cls(np.arange(train.n_vars))

    def transform(self, cells: AnnData) -> AnnData:
        """Return log(1 + x / g), where log g is the cell's mean of log(1 + x); dense float32."""
        counts = source_values(cells).toarray()
        geometric_mean = np.exp(np.log1p(counts).mean(axis=1, keepdims=True))  # (cells, 1)
        x = np.log1p(counts / geometric_mean).astype(np.float32)
        return _normalized_table(cells, self.columns, self.normalization, x)


@dataclass(frozen=True)
class Continuous:
    """Values in their own units, such as expression of bulk samples; only features are chosen.

    Attributes
    ----------
    columns
        (features,) positions of the chosen features in the dataset.
    """

    columns: np.ndarray
    normalization: ClassVar[str] = "continuous"

    @classmethod
    def fit(cls, train: AnnData, log: list[Learned], *, features: int | None = None) -> Continuous:
        """Choose the `features` of largest variance among the train cells; None: all that vary."""
        return cls(learned(log, "choice of features", varying_most, train, features=features))

    def transform(self, cells: AnnData) -> AnnData:
        """Return the values of the chosen features, dense float32."""
        x = source_values(cells)[:, self.columns].toarray()
        return _normalized_table(cells, self.columns, self.normalization, x)


KINDS = {"rna": LogNormalised, "atac": Lsi, "adt": Clr, "continuous": Continuous}


def counts_from_lognorm(x: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Take log-normalised values (cells, genes) back to counts, given totals over all genes."""
    return np.expm1(x) * (np.asarray(totals)[:, None] / TARGET_SUM)


def tf_idf_from_lsi(cells: AnnData, lsi: np.ndarray) -> np.ndarray:
    """Take LSI values back to the TF-IDF of the peaks of `cells`, (rows, peaks), at average depth.

    Parameters
    ----------
    cells
        The ATAC modality of any part of the split.
    lsi
        (rows, components) values, not standardised.
    """
    return np.asarray(lsi @ cells.varm["LSI"].T + cells.var["depth"].to_numpy(), dtype=np.float32)


# --- what is learned from train cells, always through `learned` ----------------------------------


def variable_genes(train: AnnData, features: int) -> np.ndarray:
    """Return positions of highly variable genes, with those marked in ``var["kept"]`` that vary."""
    values = source_values(train)
    varying = _varying((values.max(axis=0) != values.min(axis=0)).toarray().ravel())
    if len(varying) <= features:
        return varying
    chosen = varying[_highly_variable(values[:, varying], train.uns["values"], features)]
    kept = varying[train.var["kept"].to_numpy()[varying]] if "kept" in train.var else []
    return np.union1d(chosen, kept).astype(varying.dtype)


def _varying(mask: np.ndarray) -> np.ndarray:
    if not mask.any():
        raise UserError(
            "no feature varies among the train cells; give more cells or another modality"
        )
    return np.flatnonzero(mask)


def varying_most(train: AnnData, features: int | None) -> np.ndarray:
    """Return positions of the features of largest variance; None: of all that vary."""
    _, std = moments(source_values(train), of_constant=0)
    varying = _varying(std > 0)
    return np.sort(varying[np.argsort(-std[varying], kind="stable")[:features]])


def open_peaks(train: AnnData, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positions and idf of the peaks open in most train cells."""
    opened = source_values(train).getnnz(axis=0)
    most_open = np.argsort(-opened, kind="stable")[:features]
    columns = np.sort(most_open[opened[most_open] > 0])
    return columns, (train.n_obs / opened[columns]).astype(np.float32)


def moments(
    x: np.ndarray | sparse.csr_matrix, *, of_constant: float = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column, float32; constant columns have a fixed std."""
    from sklearn.preprocessing import StandardScaler

    x = x.astype(np.float64)
    std = np.sqrt(StandardScaler(with_mean=False).fit(x).var_)
    std = np.where(std > 1e-6, std, of_constant).astype(np.float32)
    return np.asarray(x.mean(axis=0), dtype=np.float32).ravel(), std


def _weight(train: AnnData, columns: np.ndarray, transform: str) -> np.ndarray:
    if transform == "raw_svd":
        return np.ones(len(columns), dtype=np.float32)
    of_peaks = np.asarray(source_values(train)[:, columns].sum(axis=0)).ravel()
    return (1 / np.sqrt(of_peaks / _library_size(train).sum(dtype=np.float64))).astype(np.float32)


def _highly_variable(values: sparse.csr_matrix, scale: str, features: int) -> np.ndarray:
    import scanpy
    from anndata import AnnData

    flavor, column = {"flavor": "seurat"}, "dispersions_norm"
    if scale == "counts":
        flavor = {"flavor": "seurat_v3", "span": 0.3 if values.shape[0] >= FEW_CELLS else 1.0}
        column = "variances_norm"
        if np.prod(values.shape, dtype=np.int64) <= FEW_COUNTS:
            # Of sparse values, scanpy compiles loops in every process: 3 s for the same result.
            values = values.toarray()
    table = scanpy.pp.highly_variable_genes(
        AnnData(values), n_top_genes=features, inplace=False, **flavor
    )
    # Processors differ in the last digits, by which they would choose otherwise among equal genes.
    rounded = np.array([float(f"{value:.9g}") for value in table[column]])
    return np.sort(np.argsort(-rounded, kind="stable")[:features])


# --- helpers -------------------------------------------------------------------------------------


def folds_of(names: pd.Index) -> np.ndarray:
    """Return each cell's fold, (cells,) from 0 on; it depends on the names, not on their order."""
    number = min(FOLDS if len(names) < MANY_CELLS else FOLDS_OF_MANY, len(names))
    fold = np.empty(len(names), dtype=np.intp)
    order = np.argsort(pd.util.hash_array(names.to_numpy(dtype=object)), kind="stable")
    fold[order] = np.arange(len(names)) % number
    return fold


def _possible(components: int, cells: int, peaks: int) -> int:
    return min(components, min(cells, peaks) - 2)


def _right_singular(x: sparse.csr_matrix, components: int) -> np.ndarray:
    from sklearn.decomposition import TruncatedSVD

    svd = TruncatedSVD(components + 1, algorithm="arpack", random_state=0).fit(x)
    return svd.components_.astype(np.float32)


def _normalized_table(
    cells: AnnData, columns: np.ndarray, normalization: str, x: np.ndarray | sparse.csr_matrix
) -> AnnData:
    from anndata import AnnData

    table = AnnData(
        X=x,
        obs=pd.DataFrame(index=cells.obs_names.copy()),
        var=pd.DataFrame(index=cells.var_names[columns]),
        uns={"kind": cells.uns["kind"], "normalization": normalization},
    )
    if cells.uns["values"] == "counts":
        table.layers["counts"] = source_values(cells)[:, columns]
        table.obs["total"] = _library_size(cells).astype(np.float32)
    return table


def _per_cell(chosen: sparse.csr_matrix, cells: AnnData) -> sparse.csr_matrix:
    """Scale counts in place to 10,000 over all features of each cell; a cell without counts stays 0."""
    from sklearn.utils.sparsefuncs import inplace_row_scale

    totals = _library_size(cells).astype(np.float64)
    inplace_row_scale(chosen, (TARGET_SUM / np.where(totals > 0, totals, 1)).astype(np.float32))
    return chosen


def _library_size(cells: AnnData) -> np.ndarray:
    if "total" in cells.obs:  # `cells` hold only some features
        return cells.obs["total"].to_numpy()
    return np.asarray(source_values(cells).sum(axis=1)).ravel()


def _normalized(cells: AnnData) -> np.ndarray | sparse.csr_matrix:
    return cells.obsm["X_lsi"] if cells.uns["normalization"] == "lsi" else cells.X
