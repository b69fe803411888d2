"""Transforms fitted on train cells only, then applied to any cells: one kind of modality, one class.

==========  ==========  ============================================================================================
kind        space       transform
==========  ==========  ============================================================================================
rna         lognorm     variable genes and those of measured proteins, log(1 + 10,000 x counts / total of the cell)
atac        lsi         most open peaks, log(1 + 10,000 x tf x idf), truncated SVD without its first (depth) component;
                        train cells by that of other train cells
adt         clr         log(1 + counts / geometric mean of the cell's 1 + counts)
continuous  continuous  none; the features that vary most, or all that vary
==========  ==========  ============================================================================================

A fitted transform is a small value: what it holds is all that was learned from the train cells, and ``log`` names the cells
that each of it was learned from.

Raw counts of the chosen features travel along in ``layers["counts"]``, each cell's total over all features in
``obs["total"]``. The way back from what methods work on: standardised -> ``files.unstandardised`` -> the value space; lognorm
-> :func:`counts_from_lognorm`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy import sparse

from mosaicbench.data.assemble import check_options, source_values
from mosaicbench.data.fitted import (
    TARGET_SUM,
    Learned,
    check_at_least,
    learned,
    moments,
    per_cell,
    shell,
    variable_genes,
    varying_most,
)
from mosaicbench.data.lsi import Lsi
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import VALUES

if TYPE_CHECKING:
    from anndata import AnnData


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
    standardise
        Whether values are; without, `std` is 1.
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
        """Return what :meth:`fit` returns, and the train cells as methods see them.

        They differ from :meth:`transform` of the same cells in LSI coordinates, which are out of fold; so are the moments.

        Parameters
        ----------
        train
            One modality's train cells.
        fit_to
            The cells that the transform is learned from where `fit_on` is "all": train and query cells.
        standardise
            False leaves values in their own units: methods see them less the train cells' mean, over 1, and not clipped.
        fit_on
            "train", or "all", which leaks: for comparison with results that were made so, and the report says it.
        options
            Keywords of the kind's own ``fit``.
        """
        kind = train.uns["kind"]
        if train.uns["values"] not in VALUES[kind]:
            possible = " or ".join(VALUES[kind])
            raise UserError(
                f"values: those of kind {kind!r} are {possible}, found {train.uns['values']}; name its kind"
            )
        log: list[Learned] = []
        steps = KINDS[kind].fit(train if fit_to is None else fit_to, log, **options)
        if fit_on == ALL:
            log = [replace(entry, role="fit on all") for entry in log]
        out_of_fold = isinstance(steps, Lsi) and fit_on != ALL
        shown = steps.of_train(train, log) if out_of_fold else steps.transform(train)
        mean, std = learned(
            log, "mean and standard deviation", lambda cells: moments(_in_space(cells)), shown
        )
        if not standardise:
            std = np.ones_like(std)
        elif steps.normalization == "lsi":
            std = np.full_like(std, np.sqrt(np.mean(std**2)))
        given = {"standardise": standardise, "fit_on": fit_on} | options
        fitted = cls(steps, mean, std, tuple(log), standardise)
        shown.uns["preprocess"] = {
            key: value for key, value in given.items() if key in KEPT_OPTIONS
        }
        return fitted, fitted._with_moments(shown)

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

        Genes that ``var["kept"]`` names, such as those of measured proteins, are chosen besides, if they vary.

        Variability is Seurat v3's (Stuart et al. 2019) on counts, Seurat's dispersion (Satija et al. 2015) on
        log-normalised values, both as in scanpy; the trend's span is 0.3, but 1 where there are fewer than 500 cells.
        """
        check_at_least("features", features, 1)
        return cls(learned(log, "choice of features", variable_genes, train, features=features))

    def transform(self, cells: AnnData) -> AnnData:
        """Return log-normalised values of the chosen genes, sparse float32."""
        values = source_values(cells)
        chosen = values[:, self.columns]
        if cells.uns["values"] == "counts":
            chosen = per_cell(chosen, cells).log1p()
        return shell(cells, self.columns, self.normalization, chosen)


@dataclass(frozen=True)
class Clr:
    """Centred log ratio of all proteins within a cell (Stoeckius et al. 2017, with pseudocount as in Seurat).

    Nothing is learned from the train cells.
    """

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
        return shell(
            cells,
            self.columns,
            self.normalization,
            np.log1p(counts / geometric_mean).astype(np.float32),
        )


@dataclass(frozen=True)
class Continuous:
    """Values on a scale of their own, such as expression of bulk samples or a simulation's; only features are chosen.

    Attributes
    ----------
    columns
        (features,) positions of the chosen features in the dataset.
    """

    columns: np.ndarray
    normalization: ClassVar[str] = "continuous"

    @classmethod
    def fit(cls, train: AnnData, log: list[Learned], *, features: int | None = None) -> Continuous:
        """Choose the `features` of largest variance among the train cells; without a number, all that vary."""
        if features is not None:
            check_at_least("features", features, 1)
        return cls(learned(log, "choice of features", varying_most, train, features=features))

    def transform(self, cells: AnnData) -> AnnData:
        """Return the values of the chosen features, dense float32."""
        return shell(
            cells, self.columns, self.normalization, source_values(cells)[:, self.columns].toarray()
        )


ALL = "all"  # cells that a transform may be learned from, query cells included
OF_ALL_KINDS = ("standardise", "fit_on")  # options of every kind
KEPT_OPTIONS = ("standardise", "out_of_fold", "transform")  # that an inner split takes over
KINDS = {"rna": LogNormalised, "atac": Lsi, "adt": Clr, "continuous": Continuous}


def counts_from_lognorm(x: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Take log-normalised values (cells, genes) back to counts, given each cell's total over all genes (``obs["total"]``)."""
    return np.expm1(x) * (np.asarray(totals)[:, None] / TARGET_SUM)


def check_preprocess(options: dict[str, dict]) -> None:
    """Refuse overrides (kind -> its options) that no kind knows."""
    for kind, given in options.items():
        if kind not in KINDS:
            raise UserError(f"preprocess: unknown kind {kind!r}; there are {', '.join(KINDS)}")
        of_kind = {key: value for key, value in given.items() if key not in OF_ALL_KINDS}
        check_options(KINDS[kind].fit, of_kind, f"preprocess.{kind}", OF_ALL_KINDS)
        if given.get("fit_on", "train") not in ("train", ALL):
            raise UserError(
                f"preprocess.{kind}: fit_on is 'train' or {ALL!r}, found {given['fit_on']!r}"
            )


def _in_space(cells: AnnData) -> np.ndarray | sparse.csr_matrix:
    return cells.obsm["X_lsi"] if cells.uns["normalization"] == "lsi" else cells.X
