"""A modality that comes as several files, one per batch: they become one, and each cell's file is its batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.data.checks import warn
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from anndata import AnnData

FILE = "__file__"  # a column of obs: the place of a cell's file among those of its modality, from "1" on


def one_of_batches(modality: str, parts: dict[str, AnnData]) -> AnnData:
    """Return the cells of all files, with the features that all files have, and the column `FILE`.

    Parameters
    ----------
    modality
        For messages.
    parts
        File -> its cells, in the order of the list.

    Raises
    ------
    UserError
        When a cell occurs twice, in one file or in two, or the files have no feature in common.
    """
    import anndata

    seen: dict[str, str] = {}
    for name, part in parts.items():
        part.var_names_make_unique()
        if not part.obs_names.is_unique:
            raise UserError(
                f"path: {name} names a cell twice, {part.obs_names[part.obs_names.duplicated()][0]!r}"
            )
        if (again := next((cell for cell in part.obs_names if cell in seen), None)) is not None:
            raise UserError(
                f"path: modality {modality!r} has a cell {again!r} in {seen[again]} and in {name}; make the names unique "
                "across files, in all modalities alike, for example with the sample in front"
            )
        seen |= dict.fromkeys(part.obs_names, name)
    whole = anndata.concat(list(parts.values()), join="inner", merge="same")
    if whole.n_vars == 0:
        raise UserError(
            f"path: the files of modality {modality!r} have no feature in common: {', '.join(parts)}"
        )
    if lost := len(set().union(*(part.var_names for part in parts.values()))) - whole.n_vars:
        warn(
            f"modality {modality!r}: {lost} features are not in all of its {len(parts)} files and are left out"
        )
    lengths = [part.n_obs for part in parts.values()]
    whole.obs[FILE] = np.repeat([str(place + 1) for place in range(len(parts))], lengths)
    return whole


def file_of_each_cell(names: pd.Index, files: dict[str, pd.Series]) -> np.ndarray:
    """Return the place of each cell's file in the list of its modality's files, or "all" where no modality has a list.

    Parameters
    ----------
    names
        (cells,) of all modalities.
    files
        modality -> its column `FILE`, by cell, of modalities that have one. A cell in none of them is in file "1".

    Raises
    ------
    UserError
        When modalities say different places of one cell: then their lists are not in one order.
    """
    if not files:
        return np.array(["all"] * len(names), dtype=object)
    (first, places), *others = (
        (modality, places.reindex(names).to_numpy(dtype=object, na_value=""))
        for modality, places in files.items()
    )
    for other, theirs in others:
        if np.any(differing := (places != theirs) & (places != "") & (theirs != "")):
            at = np.flatnonzero(differing)[0]
            raise UserError(
                f"path: cell {names[at]!r} is in file {places[at]} of modality {first!r}, but in {theirs[at]} of {other!r}; "
                "give the files of all modalities in one order, or say which column is the batch"
            )
        places = np.where(places == "", theirs, places)
    return np.where(places == "", "1", places)
