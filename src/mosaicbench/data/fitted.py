"""What fitted transforms are made with: what was learned from which cells, choice of features, moments, counts per cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.assemble import source_values
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from anndata import AnnData

TARGET_SUM = 1e4  # counts per cell after normalisation
FEW_CELLS = 500  # below, so many genes share the same few means that a local trend of the variance is singular
FEW_COUNTS = 2**24  # of cells x genes, zeros included; 128 MB as float64


@dataclass(frozen=True)
class Learned:
    """That something was learned from certain cells.

    Attributes
    ----------
    what
        E.g. "choice of features".
    cells
        Names of the cells that were given to the function that learned it.
    role
        "fit"; "fit on all" where the config asks for a transform that query cells have a part in; else as :mod:`.audit` says.
    """

    what: str
    cells: pd.Index
    role: str = "fit"


def learned(
    log: list[Learned], what: str, function: Callable, cells: AnnData, **options: object
) -> object:
    """Return ``function(cells, **options)`` and note in `log` which cells it was given: the names are those of the data."""
    log.append(Learned(what, cells.obs_names))
    return function(cells, **options)


def shell(
    cells: AnnData, columns: np.ndarray, normalization: str, x: np.ndarray | sparse.csr_matrix
) -> AnnData:
    """Return `cells` with values `x` of the chosen `columns`, and their counts and totals where there are counts."""
    from anndata import AnnData

    shown = AnnData(
        X=x,
        obs=pd.DataFrame(index=cells.obs_names.copy()),
        var=pd.DataFrame(index=cells.var_names[columns]),
        uns={"kind": cells.uns["kind"], "normalization": normalization},
    )
    if cells.uns["values"] == "counts":
        shown.layers["counts"] = source_values(cells)[:, columns]
        shown.obs["total"] = counted(cells).astype(np.float32)
    return shown


def per_cell(chosen: sparse.csr_matrix, cells: AnnData) -> sparse.csr_matrix:
    """Scale counts of chosen features, in place, to 10,000 over all features of each cell; a cell without counts stays 0."""
    from sklearn.utils.sparsefuncs import inplace_row_scale

    totals = counted(cells).astype(np.float64)
    inplace_row_scale(chosen, (TARGET_SUM / np.where(totals > 0, totals, 1)).astype(np.float32))
    return chosen


def counted(cells: AnnData) -> np.ndarray:
    """Return (cells,) counts over all features: ``obs["total"]`` says them where `cells` hold chosen features only."""
    if "total" in cells.obs:
        return cells.obs["total"].to_numpy()
    return np.asarray(source_values(cells).sum(axis=1)).ravel()


def check_at_least(key: str, given: int, least: int) -> None:
    """Refuse an option of preprocessing that is too small."""
    if given < least:
        raise UserError(f"preprocess: {key} must be at least {least}, found {given}")


def variable_genes(train: AnnData, features: int) -> np.ndarray:
    """Return positions of highly variable genes, of those that vary, and of those that ``var["kept"]`` names, if they vary."""
    values = source_values(train)
    varying = np.flatnonzero((values.max(axis=0) != values.min(axis=0)).toarray().ravel())
    if len(varying) == 0:
        raise UserError("no gene varies among the train cells; give more cells or another modality")
    if len(varying) > features:
        chosen = varying[_highly_variable(values[:, varying], train.uns["values"], features)]
        kept = varying[train.var["kept"].to_numpy()[varying]] if "kept" in train.var else []
        return np.union1d(chosen, kept).astype(varying.dtype)
    return varying


def varying_most(train: AnnData, features: int | None) -> np.ndarray:
    """Return positions of the features of largest variance; without a number, of all that vary."""
    _, std = moments(source_values(train), of_constant=0)
    varying = np.flatnonzero(std > 0)
    if len(varying) == 0:
        raise UserError(
            "no feature varies among the train cells; give more cells or another modality"
        )
    return (
        varying
        if features is None
        else np.sort(varying[np.argsort(-std[varying], kind="stable")[:features]])
    )


def open_peaks(train: AnnData, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positions and idf of the peaks open in most train cells."""
    opened = source_values(train).getnnz(axis=0)
    most_open = np.argsort(-opened, kind="stable")[:features]
    columns = np.sort(most_open[opened[most_open] > 0])
    return columns, (train.n_obs / opened[columns]).astype(np.float32)


def _highly_variable(values: sparse.csr_matrix, scale: str, features: int) -> np.ndarray:
    import scanpy
    from anndata import AnnData

    flavor = {"flavor": "seurat"}
    if scale == "counts":
        flavor = {"flavor": "seurat_v3", "span": 0.3 if values.shape[0] >= FEW_CELLS else 1.0}
        if np.prod(values.shape, dtype=np.int64) <= FEW_COUNTS:
            values = (
                values.toarray()
            )  # for sparse values scanpy compiles loops in every process, 3 s, with the same result
    table = scanpy.pp.highly_variable_genes(
        AnnData(values), n_top_genes=features, inplace=False, **flavor
    )
    return np.flatnonzero(table["highly_variable"])


def moments(
    x: np.ndarray | sparse.csr_matrix, *, of_constant: float = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column, float32; the latter is `of_constant` where a column is constant."""
    from sklearn.preprocessing import StandardScaler

    x = x.astype(np.float64)
    std = np.sqrt(StandardScaler(with_mean=False).fit(x).var_)
    return np.asarray(x.mean(axis=0), dtype=np.float32).ravel(), np.where(
        std > 1e-6, std, of_constant
    ).astype(np.float32)
