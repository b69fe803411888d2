"""The end of every dataset file: measurements of the same cells become one checked MuData."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.checks import check_measured
from mosaicbench.files._h5 import quiet_mudata

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


ANNOTATION = ("gene_ids", "chrom", "start", "end", "strand")  # columns of var that a dataset keeps
BLOCK = 2**24  # stored values that are worked on at once


@dataclass(frozen=True)
class Measurement:
    """One modality of a dataset, as it was measured.

    Attributes
    ----------
    values
        (cells, features) counts, log-normalised values where a source has no counts, or continuous
        values; sparse or dense.
    features
        (features,) names; duplicates are made unique.
    kind
        "rna", "atac", "adt" or "continuous".
    scale
        "counts", "lognorm" or "continuous": what `values` are.
    annotation
        (features,) any of the columns `ANNOTATION`; others are left out.
    cells
        (cells,) names of the rows, where not every cell of the dataset was measured; else None.
    chosen
        Who chose these features before, and on which cells, for the audit; "" if nobody did.
    source
        The file and matrix that `values` were read from, such as ``rna.h5ad, X``; "" if unknown.
    features_left_out
        Reason -> number of features of the source that are not among `features`.
    """

    values: sparse.sparray | sparse.spmatrix | np.ndarray
    features: Sequence[str]
    kind: str
    scale: str = "counts"
    annotation: pd.DataFrame = field(default_factory=pd.DataFrame)
    cells: Sequence[str] | None = None
    chosen: str = ""
    source: str = ""
    features_left_out: dict[str, int] = field(default_factory=dict)


def continuous(table: pd.DataFrame) -> Measurement:
    """Return a table of cells x features as a modality of continuous values."""
    return Measurement(table.to_numpy(np.float32), table.columns, "continuous", "continuous")


def assembled(
    measured: dict[str, Measurement],
    *,
    cells: Sequence[str],
    cell_type: Sequence[str],
    batch: Sequence[str] | None = None,
    groups: dict[str, Sequence[str]] | None = None,
    labels: str | None = None,
) -> MuData:
    """Return a dataset of `cells` without the features that are zero in all of them.

    Parameters
    ----------
    measured
        modality -> its measurement, rows in the order of `cells`.
    cells, cell_type, batch
        (cells,) names, labels ("" = unknown) and batches, by default "all".
    groups
        Further columns of ``obs`` that a scenario may split by: column -> (cells,) names, such as donors.
    labels
        The key that asked for labels, for messages; None if labels may be absent.

    Raises
    ------
    UserError
        When ``checks.check_measured`` refuses the modalities.
    """
    index = _names(cells)
    modalities = {
        modality: _modality(measurement, index) for modality, measurement in measured.items()
    }
    types = pd.Series([str(name) for name in cell_type], index=index, dtype=object)
    check_measured(modalities, types, labels)
    dataset = joined(modalities)
    batch = ["all"] * len(index) if batch is None else batch
    for column, names in {"cell_type": types, "batch": batch, **(groups or {})}.items():
        dataset.obs[column] = categorical(names)
    return dataset


def _names(names: Sequence[str]) -> pd.Index:
    return pd.Index([str(name) for name in names], dtype=object)


def _modality(measurement: Measurement, index: pd.Index) -> AnnData:
    from anndata import AnnData
    from anndata.utils import make_index_unique

    values = without_zeros(sparse.csr_matrix(measurement.values, dtype=np.float32))
    known = [column for column in ANNOTATION if column in measurement.annotation]
    table = pd.DataFrame(
        {column: measurement.annotation[column].to_numpy() for column in known},
        index=make_index_unique(_names(measurement.features)),
    )
    seen = np.flatnonzero(seen_in(values))
    unseen = len(table) - len(seen)
    if unseen:
        values, table = values[:, seen], table.iloc[seen]
    left_out = measurement.features_left_out | ({"seen in no cell": unseen} if unseen else {})
    uns = {"kind": measurement.kind, "values": measurement.scale, "source": measurement.source}
    uns |= {"chosen": measurement.chosen} if measurement.chosen else {}
    uns["features_left_out"] = json.dumps(left_out)
    index = index if measurement.cells is None else _names(measurement.cells)
    return AnnData(
        obs=pd.DataFrame(index=index), var=table, layers={measurement.scale: values}, uns=uns
    )


def without_zeros(values: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return `values` without stored zeros, uncopied if it has none."""
    if np.all(values.data):
        return values
    values = values.copy()
    values.eliminate_zeros()
    return values


def seen_in(values: sparse.csr_matrix) -> np.ndarray:
    """Return the number of cells with each feature, block by block to save memory."""
    seen = np.zeros(values.shape[1], dtype=np.int64)
    for first in range(0, values.nnz, BLOCK):
        seen += np.bincount(values.indices[first : first + BLOCK], minlength=values.shape[1])
    return seen


def joined(modalities: dict[str, AnnData]) -> MuData:
    """Return a MuData of `modalities` whose own ``obs`` takes no column from theirs."""
    import mudata

    with quiet_mudata():
        return mudata.MuData(modalities)


def rewrapped(dataset: MuData, modalities: dict[str, AnnData] | None = None) -> MuData:
    """Return a new MuData of the same cells; changes to it do not change `dataset`.

    `modalities`, other features of the same cells, replace its own; links are then left out.
    """
    copied = joined(dict(dataset.mod) if modalities is None else modalities)
    copied.obs = dataset.obs.copy()
    copied.uns |= dataset.uns
    copied.obsm.update(obsm_of_all(dataset))
    if modalities is None:
        copied.varp.update(dict(dataset.varp.items()))
    return copied


def obsm_of_all(dataset: MuData) -> dict[str, np.ndarray]:
    """Return ``obsm`` without mudata's own masks of the modalities' cells."""
    return {key: matrix for key, matrix in dataset.obsm.items() if key not in dataset.mod}


def categorical(names: Sequence[str]) -> pd.Categorical:
    """Return `names` as a categorical without unused categories."""
    return pd.Categorical([str(name) for name in names])


def source_values(cells: AnnData) -> sparse.csr_matrix:
    """Return a dataset modality's counts, log-normalised or continuous values, (cells, features)."""
    return sparse.csr_matrix(cells.layers[cells.uns["values"]])
