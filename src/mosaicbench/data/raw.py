"""What the loaders of publishers' files share: finding a file, bringing cells into one order, leaving contigs out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.data.assemble import Measurement
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from anndata import AnnData

FEWEST_MATCHED = 0.5  # a table of labels that names fewer of its own cells is another experiment's


def found(raw: Path, pattern: str) -> Path:
    """Return the one file in the folder `raw` whose name matches `pattern`.

    Raises
    ------
    UserError
        When there is none, or more than one.
    """
    paths = sorted(Path(raw).glob(pattern))
    if len(paths) != 1:
        there = ", ".join(path.name for path in paths) or "none"
        raise UserError(
            f"{raw}: one file {pattern} was expected, there is {there}; run `mosaicbench fetch {Path(raw).name}`"
        )
    return paths[0]


def measurement(cells: AnnData, kind: str, names: pd.Index) -> Measurement:
    """Return the counts of the cells `names`, in their order; a matrix that has them so already is not copied."""
    values = (
        cells.X if cells.obs_names.equals(names) else cells.X[cells.obs_names.get_indexer(names)]
    )
    return Measurement(values, cells.var_names, kind, annotation=cells.var)


def on_chromosomes(peaks: AnnData) -> AnnData:
    """Return the peaks on chromosomes: unplaced contigs (GL…, KI…) have no place in a genome browser or near a gene."""
    keep = peaks.var["chrom"].astype(str).str.startswith("chr").to_numpy()
    return peaks if keep.all() else peaks[:, np.flatnonzero(keep)].copy()


def check_matched(matched: int, listed: int, cells: int, where: Path) -> None:
    """Refuse a table of labels of which most rows name no cell of the data.

    Parameters
    ----------
    matched, listed, cells
        How many cells have a label, how many cells the table lists, and how many cells there are.
    where
        The table's file.
    """
    if matched < FEWEST_MATCHED * min(listed, cells):
        raise UserError(
            f"{where}: only {matched} of its {listed} barcodes are among the {cells} cells; it belongs to "
            "other cells, or names them in another way"
        )


def r_matrix(matrix: object, path: Path, name: str) -> pd.DataFrame:
    """Return a matrix of an R file as a table with text for the names of its rows and columns.

    Raises
    ------
    UserError
        When it is no matrix, or does not name its rows and columns.
    """
    if not hasattr(matrix, "to_pandas") or any(
        index not in matrix.indexes for index in matrix.dims
    ):
        raise UserError(f"{path}: the matrix {name} does not name its rows and columns")
    table = matrix.to_pandas()
    return table.set_axis(table.index.astype(str), axis=0).set_axis(
        table.columns.astype(str), axis=1
    )
