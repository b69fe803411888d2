"""Texts about cells that stand in several tables: of the whole, and of each modality."""

from __future__ import annotations

import difflib

import numpy as np
import pandas as pd

from mosaicbench.data.checks import warn
from mosaicbench.errors import UserError


def column_of_cells(
    key: str, name: str | None, tables: dict[str, pd.DataFrame], *, cells: pd.Index
) -> pd.Series:
    """Return what the column `name` says of each of `cells`: by the first table that says something, "" where none does.

    Parameters
    ----------
    key
        Of the stanza, for messages.
    name
        The column; None gives "" throughout.
    tables
        What a table is of, for messages -> the table, a row per cell by name.
    cells
        (cells,) unique names.

    Raises
    ------
    UserError
        When no table has the column.
    """
    texts = pd.Series("", index=cells, dtype=object)
    if name is None:
        return texts
    having = {where: table[name] for where, table in tables.items() if name in table.columns}
    if not having:
        there = sorted({str(column) for table in tables.values() for column in table.columns})
        near = difflib.get_close_matches(name, there, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(
            f"{key}: no obs column {name!r}; there are {', '.join(there) or 'none'}{hint}"
        )
    for where, column in having.items():
        given = column[column.notna() & column.index.isin(cells)].astype(str)
        given = given[given != ""]
        before = texts.loc[given.index].to_numpy()
        if differing := int(np.sum((before != "") & (before != given.to_numpy()))):
            warn(
                f"{key}: {where} says another {name!r} of {differing} cells than what stands before it, which counts"
            )
        texts.loc[given.index[before == ""]] = given[before == ""]
    return texts
