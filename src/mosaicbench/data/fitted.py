"""What every fitted transform is made with: what was learned from which cells, counts per cell, cells in a new space."""

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
    cells: AnnData, columns: np.ndarray, space: str, x: np.ndarray | sparse.csr_matrix
) -> AnnData:
    """Return `cells` with values `x` of the chosen `columns`, and their counts and totals where there are counts."""
    from anndata import AnnData

    shown = AnnData(
        X=x,
        obs=pd.DataFrame(index=cells.obs_names.copy()),
        var=pd.DataFrame(index=cells.var_names[columns]),
        uns={"kind": cells.uns["kind"], "space": space},
    )
    if cells.uns["values"] == "counts":
        shown.layers["counts"] = source_values(cells)[:, columns]
        shown.obs["total"] = counted(cells).astype(np.float32)
    return shown


def per_cell(chosen: sparse.csr_matrix, cells: AnnData) -> sparse.csr_matrix:
    """Scale counts of chosen features, in place, to 10,000 over all features of each cell; a cell without counts stays 0."""
    from sklearn.utils.sparsefuncs import inplace_row_scale

    totals = counted(cells).astype(np.float64)
    inplace_row_scale(chosen, (PER_CELL / np.where(totals > 0, totals, 1)).astype(np.float32))
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
