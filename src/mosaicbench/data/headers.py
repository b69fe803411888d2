"""What files say of their cells and features, read without their values: in a moment."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mosaicbench.data.orientation import is_turned, turned
from mosaicbench.data.own_files import chosen, is_foreign, kind_of, parts_of
from mosaicbench.data.read import INTERVAL, KINDS, kinds_of_features
from mosaicbench.errors import DataWarning, UserError

if TYPE_CHECKING:
    from anndata import AnnData

WORDS = {  # kind -> words in names of files and modalities of that kind
    "adt": "adt|prot|antibod|cite|surface|totalseq",
    "atac": "atac|peak|chromatin",
    "rna": "rna|gex|gene|transcript|expression",
}
PANEL = 1000  # features, at most, of a panel of antibodies


def of_files(files: Sequence[Path]) -> dict[str, dict[str, AnnData]]:
    """Return modality -> file -> its cells without values, of files whose modalities nobody named.

    The name of a modality is that in an ``.h5mu``, else its kind. ``obs`` has a MuData's columns, too.

    Raises
    ------
    UserError
        When a file is absent, unreadable or of another kind, or its modality is not to be seen.
    """
    found: dict[str, dict[str, AnnData]] = {}
    with warnings.catch_warnings(action="ignore", category=DataWarning):
        for file in files:
            parts, shared = parts_of(file, values=False)
            if len(parts) > 1:
                parts = {name: x for name, x in parts.items() if not is_foreign(name, x, {})}
            elif not len(shared):
                parts = {_kind_of_file(file, *parts.values()): x for x in parts.values()}
            for name, cells in parts.items():
                more = shared.columns.difference(cells.obs.columns, sort=False)
                cells.obs = cells.obs.join(shared[more])
                found.setdefault(name, {})[str(file)] = cells
        turned(found, kinds_by_name(found))
    return found


def of_dataset(
    path: str | dict, kinds: dict[str, str], modalities: dict[str, str]
) -> dict[str, dict[str, AnnData]]:
    """Return modality -> file -> its cells without values, as ``own_files.load`` reads them."""
    with warnings.catch_warnings(action="ignore", category=DataWarning):
        files, _ = chosen(Path(), path, kinds, modalities, read_values=False)
        turned(files, {modality: kind_of(modality, kinds) for modality in files})
    return files


def kinds_by_name(found: dict[str, dict[str, AnnData]]) -> dict[str, str]:
    """Return modality -> its kind as far as its name or those of its features say, else ""."""
    return {
        name: _kind_by_name(name, next(iter(parts.values())).var_names)
        for name, parts in found.items()
    }


def _kind_of_file(file: Path, cells: AnnData) -> str:
    kinds = kinds_of_features(cells.var)
    if kinds is not None:
        return kinds[0]
    features = cells.obs_names if is_turned(cells) else cells.var_names
    if kind := _kind_by_name(file.name, features):
        return kind
    raise UserError(
        f"{file}: neither its name nor its features say whether it is rna, atac or adt; put that "
        "word into the file's name"
    )


def _kind_by_name(name: str, features: Sequence[str]) -> str:
    if known := KINDS.get(name.lower()):
        return known
    for kind, words in WORDS.items():
        if re.search(words, name.lower()):
            return kind
    if len(features) and re.match(INTERVAL, str(features[0])):
        return "atac"
    return "rna" if len(features) > PANEL else ""
