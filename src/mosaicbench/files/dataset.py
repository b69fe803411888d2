"""The dataset, ``{dataset}.h5mu``: cells, and what was measured in each.

Modalities may have different cells: a cell that was not measured in a modality has no row there,
never a row of zeros. The rows of each modality are in the dataset's order of cells: those of the
first modality come first, then those that only the second has, and so on.

Raw values are in ``layers["counts"]`` (or ``layers["lognorm"]`` where a source has no counts,
``["continuous"]`` of a continuous modality); ``obs`` holds ``cell_type`` ("" = unknown) and
``batch``; ``varp["links"]``, where known, the features of two modalities that belong together.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from mosaicbench.errors import ContractError
from mosaicbench.files._h5 import check_finite, check_names, read_mudata, write_h5

if TYPE_CHECKING:
    from mudata import MuData

LINKS = "links"  # the key of .varp of links between features, and of .uns of their origins
ACTIVITY = "gene_activity"  # the key of an ATAC modality's .obsm
# kind of modality -> what its source values may be
VALUES = {
    "rna": ("counts", "lognorm"),
    "atac": ("counts",),
    "adt": ("counts",),
    "continuous": ("continuous",),
}


def write_dataset(path: str | Path, dataset: MuData) -> None:
    """Check a dataset and write it."""
    check_dataset(path, dataset)
    write_h5(path, dataset)


def check_dataset(path: str | Path, dataset: MuData) -> None:
    """Refuse a dataset with wrong names or values; `path` is its file, for messages."""
    for modality, cells in dataset.mod.items():
        check_names(path, modality, cells)
        scale = cells.uns["values"]
        values = cells.layers[scale]
        values = values.data if scipy.sparse.issparse(values) else values
        check_finite(path, modality, values)
        if scale == "counts" and (np.any(values < 0) or np.any(values != np.round(values))):
            raise ContractError(
                f"{path}: modality {modality!r} should hold counts but has negative or fractional "
                "values; point to the layer that holds raw counts, or say `values: lognorm` in the "
                "dataset's stanza"
            )


def read_dataset(path: str | Path) -> MuData:
    """Read a dataset."""
    return read_mudata(path, "dataset")


def measured_in(dataset: MuData) -> dict[str, np.ndarray]:
    """Return modality -> (cells,) mask of the dataset's cells that were measured in it."""
    return {
        modality: dataset.obs_names.isin(cells.obs_names) for modality, cells in dataset.mod.items()
    }


def links_between(part: MuData, first: str, second: str) -> scipy.sparse.csr_matrix:
    """Return the links of a dataset or split: (features of `first`, of `second`), 1, -1 or 0."""
    shape = part[first].n_vars, part[second].n_vars
    if LINKS not in part.varp:
        return scipy.sparse.csr_matrix(shape, dtype=np.int8)
    column = feature_offsets(part)
    rows = slice(column[first], column[first] + shape[0])
    columns = slice(column[second], column[second] + shape[1])
    return scipy.sparse.csr_matrix(part.varp[LINKS])[rows, columns]


def feature_offsets(part: MuData) -> dict[str, int]:
    """Return modality -> position of its first feature among all of `part`."""
    sizes = [cells.n_vars for cells in part.mod.values()]
    return dict(zip(part.mod, np.cumsum([0, *sizes]).tolist(), strict=False))
