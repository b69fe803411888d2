"""Tables of features x cells, as GEO has them, are read as cells x features."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import permutations
from typing import TYPE_CHECKING

import pandas as pd

from mosaicbench.data.antibodies import target_genes
from mosaicbench.data.checks import MOST, warn

if TYPE_CHECKING:
    from anndata import AnnData

BARCODE = re.compile(r"(?<![A-Z])[ACGT]{8,}(?![A-Z])")
FEATURE = re.compile(r"ENS[A-Z]*G\d{6}|chr\S+[:_-]\d+[-_]\d+$|(\d\d?|X|Y):\d+-\d+$")
AXES = ("obs_names", "var_names")
SAMPLE = 1000  # names that are looked at
FEWEST = 50  # columns in common that may be cells


def turned(files: dict[str, dict[str, AnnData]], kinds: dict[str, str]) -> None:
    """Transpose, in place, the files with cells as columns, and warn of each.

    Columns are cells if they are called like barcodes, or rows like proteins or peaks; if they are the
    cells of another modality; or if proteins and another modality have most columns in common, but not
    their rows.

    Parameters
    ----------
    files
        modality -> file -> its cells.
    kinds
        modality -> its kind.
    """
    for parts in files.values():
        for file, cells in parts.items():
            if is_turned(cells):
                parts[file] = _turned(cells, file)
    names = {m: [_names(parts, axis) for axis in AXES] for m, parts in files.items()}
    for one, other in permutations(files, 2):
        (rows, columns), (rows_of_other, columns_of_other) = names[one], names[other]
        paired, alike = len(rows & rows_of_other), len(columns & columns_of_other)
        as_cells = len(columns & rows_of_other)
        most = MOST * max(len(columns), len(columns_of_other), 2 * FEWEST)
        wrong = []
        if as_cells > max(paired, MOST * min(len(columns), len(rows_of_other))):
            wrong = [one]
        elif "adt" in (kinds[one], kinds[other]) and alike > max(paired, most):
            wrong = [one, other]
        for modality in wrong:
            names[modality].reverse()
            files[modality] |= {
                file: _turned(cells, file) for file, cells in files[modality].items()
            }


def _names(parts: dict[str, AnnData], axis: str) -> set[str]:
    names = set().union(*(getattr(cells, axis) for cells in parts.values()))
    return {name for name in names if not name.isdigit()}  # a row number names nothing


def _turned(cells: AnnData, file: str) -> AnnData:
    cells = cells.T
    if cells.X is not None:
        cells.X = cells.X.tocsr()
    warn(
        f"path: {file} has features as rows and cells as columns, and is read transposed, as "
        f"{cells.n_obs:,} cells x {cells.n_vars:,} features"
    )
    return cells


def is_turned(cells: AnnData) -> bool:
    """Return whether, by their names, rows are features and columns cells."""
    rows, columns = cells.obs_names, cells.var_names
    features, of_columns = _share(rows, _is_feature), _share(columns, _is_feature)
    if _share(columns, BARCODE.search) > MOST > _share(rows, BARCODE.search):
        return features > of_columns
    return features > MOST > of_columns


def _share(names: pd.Index, test: Callable[[str], object]) -> float:
    drawn = names[:: max(1, len(names) // SAMPLE)]
    return sum(map(bool, map(test, drawn))) / max(len(drawn), 1)


def _is_feature(name: str) -> bool:
    return bool(FEATURE.match(name) or target_genes(name))
