"""Which features of a modality a view has, chosen by its train cells, and the moments of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from mosaicbench.data.assemble import source_values
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from anndata import AnnData

FEW_CELLS = 500  # below, so many genes share the same few means that a local trend of the variance is singular
FEW_COUNTS = 2**24  # of cells x genes, zeros included; 128 MB as float64


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
