"""Tables of features x cells, as GEO has them, are read as cells x features."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations
from typing import TYPE_CHECKING

import pandas as pd

from mosaicbench.data.antibodies import target_genes
from mosaicbench.data.checks import MOST, warn

if TYPE_CHECKING:
    from anndata import AnnData

Files = dict[str, dict[str, "AnnData"]]  # modality -> file -> its cells

BARCODE = re.compile(r"(?<![A-Z])[ACGT]{8,}(?![A-Z])")
FEATURE = re.compile(r"ENS[A-Z]*G\d{6}|chr\S+[:_-]\d+[-_]\d+$|(\d\d?|X|Y):\d+-\d+$")
SAMPLE = 1000  # names that are looked at


def turned(files: Files, kinds: dict[str, str]) -> None:
    """Transpose, in place, the files with cells as columns, and warn of each.

    Columns are cells if they are called like barcodes, or rows like proteins or peaks; if they are the
    cells of another modality; or if a modality of proteins and another have most columns in common, but
    not their rows.

    Parameters
    ----------
    files
        modality -> file -> its cells.
    kinds
        modality -> its kind.
    """
    for modality, parts in files.items():
        for file, cells in parts.items():
            if _is_turned(cells):
                _turn(files, modality, file)
    rows = {
        m: {name for cells in parts.values() for name in cells.obs_names}
        for m, parts in files.items()
    }
    columns = {
        m: {name for cells in parts.values() for name in cells.var_names}
        for m, parts in files.items()
    }
    for one, other in combinations(files, 2):
        in_common = len(columns[one] & columns[other])
        if (
            "adt" in (kinds[one], kinds[other])
            and in_common > MOST * max(len(columns[one]), len(columns[other]))
            and in_common > len(rows[one] & rows[other])
        ):
            wrong = [one, other]
        else:
            wrong = [
                modality
                for modality, of in ((one, other), (other, one))
                if len(columns[modality] & rows[of])
                > max(
                    MOST * min(len(columns[modality]), len(rows[of])), len(rows[one] & rows[other])
                )
            ]
        for modality in wrong:
            for file in files[modality]:
                _turn(files, modality, file)
            rows[modality], columns[modality] = columns[modality], rows[modality]


def _turn(files: Files, modality: str, file: str) -> None:
    cells = files[modality][file].T
    cells.X = cells.X.tocsr()
    files[modality][file] = cells
    warn(
        f"path: {file} has features as rows and cells as columns, so modality {modality!r} is read "
        f"transposed, as {cells.n_obs:,} cells x {cells.n_vars:,} features"
    )


def _is_turned(cells: AnnData) -> bool:
    rows, columns = cells.obs_names, cells.var_names
    features = _share(rows, _is_feature), _share(columns, _is_feature)
    if _share(columns, _is_barcode) > MOST > _share(rows, _is_barcode):
        return features[0] > features[1]
    return features[0] > MOST > features[1]


def _share(names: pd.Index, test: Callable[[str], bool]) -> float:
    drawn = names[:: max(1, len(names) // SAMPLE)]
    return sum(map(test, drawn)) / max(len(drawn), 1)


def _is_barcode(name: str) -> bool:
    return bool(BARCODE.search(name))


def _is_feature(name: str) -> bool:
    return bool(FEATURE.match(name) or target_genes(name))
