"""Cells of own files: one name in all modalities, and what the tables of cells say of each.

A name in two modalities is one cell. So names that are row numbers, names that files write in
different ways, and names that mean other cells in each file are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.assemble import Measurement, without_zeros
from mosaicbench.data.checks import MOST, warn
from mosaicbench.data.own_files import FILE
from mosaicbench.errors import UserError, nearest

if TYPE_CHECKING:
    from anndata import AnnData

SAMPLE_IN_FRONT = (
    "put the sample in front of every cell name, in all files alike (obs_names_make_unique numbers "
    "cells by their order in each file, which may pair cells of different samples)"
)
MODALITY = "rna|gex|adt|prot|protein|atac|peaks"
# What may differ between names of one cell -> the pattern, and what to put there. A prefix is
# known by the barcode after it, an ending by the barcode before it or by its numbers; either by
# the name of a modality.
IGNORABLE = {
    "blanks": (r"\s+", ""),
    "case": (r".+", lambda found: found[0].upper()),
    "separators": (r"[\W_]+", "_"),
    "ending": (rf"(?i)(?:(?<=[ACGT]{{10}})[\W_].*|(?:[\W_]+\d+)+|[\W_](?:{MODALITY}))$", ""),
    "prefix": (rf"(?i)^(?:.*[\W_](?=[ACGT]{{10}})|(?:{MODALITY})[\W_])", ""),
    "order": (r".+", lambda found: "_".join(sorted(re.split(r"[\W_]+", found[0])))),
}
# Columns that each modality has of its own: clusterings, quality, counts, the assay, its barcode, what `integrate` says of it.
OF_MODALITY = re.compile(
    r"(?i)leiden|louvain|clust|snn_res|doublet|singlet|outlier|pass|filter|qc|barcode|modality"
    r"|assay|ident$|^n_|^n?(count|feature)|^total|^pct|^percent|score|^mosaicbench_"
)
PERSON = re.compile(r"(?i)donor|patient|subject|individual|participant")
LOSING = ("ending", "prefix")  # what may tell samples apart
SOME = 2000  # names that show in what all differ
CODES = 100  # a column of whole numbers with more values counts something
Label = str | float | bool  # of a config: YAML reads 3, .nan and no as such
FEW = 0.25  # fraction of cells that two right files may disagree about, such as rare types
WHOLE = re.compile(r"(-?\d+)\.0+")
EMPTY = "empty"  # of `absent`: the cells without a count


def text_of(value: object) -> str:
    """Return a label as a person writes it: 7.0 is "7"; blanks alone are ""."""
    text = str(value)
    whole = WHOLE.fullmatch(text)
    return whole[1] if whole else text if text.strip() else ""


def texts_of(column: pd.Series) -> pd.Series:
    """Return :func:`text_of` each value of a column, "" where it is missing."""
    codes, values = pd.factorize(column)
    texts = np.array([*map(text_of, values), ""], dtype=object)  # the code of a missing one is -1
    return pd.Series(texts[codes], index=column.index)


# --- names ---------------------------------------------------------------------------------------


def named_alike(
    own: dict[str, AnnData], shared: pd.DataFrame, ignored: Sequence[str], *, same_order: bool
) -> pd.DataFrame:
    """Give a cell the same name in all modalities, that of the first which has it.

    Parameters
    ----------
    own
        modality -> cells; their names change.
    shared
        The table of cells that belongs to no modality.
    ignored
        What of `IGNORABLE` may differ between names of one cell.
    same_order
        Whether all modalities have the same cells in the same order, whatever their names.

    Returns
    -------
    pandas.DataFrame
        `shared` with the new names.

    Raises
    ------
    UserError
        When a name occurs twice, before or after the change, or `same_order` cannot be.
    """
    tables = {f"modality {modality!r}": cells.obs_names for modality, cells in own.items()}
    for where, names in ({"the MuData": shared.index} | tables).items():
        if not names.is_unique:
            twice = names[names.duplicated()]
            raise UserError(
                f"path: {where} names a cell twice, {twice[0]!r} (and {len(twice) - 1} more); "
                f"{SAMPLE_IN_FRONT}"
            )
    if same_order:
        names = next(iter(own.values())).obs_names
        for modality, cells in own.items():
            moved = cells.obs_names.isin(names).all() and not cells.obs_names.equals(names)
            if len(cells) != len(names) or moved:
                raise UserError(
                    f"same_order: modality {modality!r} has {len(cells)} cells, {next(iter(own))!r} "
                    f"has {len(names)}, or the same ones in another order; leave the key out, and "
                    "give all files the same cell names"
                )
            cells.obs_names = names
    if not ignored:
        return shared
    spelled: dict[str, str] = {}
    for modality, cells in own.items():
        bare = _without(cells.obs_names, ignored)
        if not bare.is_unique:
            twins = cells.obs_names[bare == bare[bare.duplicated()][0]]
            raise UserError(
                f"ignored_in_cell_names: modality {modality!r} has {twins[0]!r} and {twins[1]!r}, "
                f"which differ in nothing else; {SAMPLE_IN_FRONT}"
            )
        pairs = zip(bare, cells.obs_names, strict=True)
        cells.obs_names = [spelled.setdefault(key, name) for key, name in pairs]
    names = [spelled[key] for key in _without(shared.index.astype(str), ignored)]
    return shared.set_axis(names, axis=0).groupby(level=0, sort=False).first()


def check_names(names: dict[str, pd.Index], *, joined: bool) -> None:
    """Refuse names that are row numbers, and names of the same cells that are written differently.

    Parameters
    ----------
    names
        modality -> (cells,) names.
    joined
        Whether one file says that equal names are one cell: then row numbers are only warned of.
    """
    for (first, index), (other, others) in combinations(names.items(), 2):
        numbered = [m for m in (first, other) if _are_row_numbers(names[m])]
        as_many = len(index) == len(others)
        digits = numbered and all(each.str.isdigit().all() for each in (index, others))
        if numbered and (digits or as_many):
            what = f"path: the cell names of modality {numbered[0]!r} are row numbers, which do not"
            what += " say which cells of other files they are; give all files the cells' barcodes"
            remedy = ", or say same_order: true if all files have the same cells in the same order"
            if not (joined and digits):
                raise UserError(what + remedy * as_many)
            warn(what + ", or be sure that a number is one cell")
        elif differing := _differing(index, others):
            ways, unique = differing
            remedy = (
                f"say ignored_in_cell_names: [{', '.join(ways)}]" if unique else SAMPLE_IN_FRONT
            )
            raise UserError(
                f"path: cell names of {first!r} ({index[0]!r}, …) and {other!r} ({others[0]!r}, …) "
                f"differ only in {' and '.join(ways)}; {remedy}"
            )


def _are_row_numbers(names: pd.Index) -> bool:
    if not names[:1].str.isdigit().any():  # almost always, and at once
        return False
    numbers = {str(number) for number in range(len(names) + 1)}
    return set(names) in (numbers - {"0"}, numbers - {str(len(names))})


def _without(names: pd.Index, ignored: Sequence[str]) -> pd.Index:
    for way, (pattern, instead) in IGNORABLE.items():
        if way in ignored:
            names = names.str.replace(pattern, instead, regex=True)
    return names


def _differing(index: pd.Index, others: pd.Index) -> tuple[Sequence[str], bool] | None:
    if len(index.intersection(others)) > MOST * min(len(index), len(others)):
        return None
    parts, other_parts = _longest_parts(index), _longest_parts(others)
    common = parts.intersection(other_parts)
    if len(common) <= MOST * min(parts.nunique(), other_parts.nunique()):
        return None
    some = index[parts.isin(common[:SOME])], others[other_parts.isin(common[:SOME])]

    def agree(ways: Sequence[str]) -> bool:
        one, other = (set(_without(names, ways)) for names in some)
        return len(one & other) > MOST * min(len(one), len(other))

    if not agree(ways := [way for way in IGNORABLE if way not in LOSING]):
        ways = list(IGNORABLE)
    if not agree(ways):
        return None
    for way in reversed(ways):
        fewer = [each for each in ways if each != way]
        ways = fewer if agree(fewer) else ways
    left = [_without(names, ways).nunique() / len(names) for names in (index, others)]
    return (ways, min(left) == 1) if min(left) > MOST else None


def _longest_parts(names: pd.Index) -> pd.Index:
    parts = names.str.upper().str.split(r"[\W_]+", regex=True)
    return pd.Index([max(of_name, key=_likely_a_barcode) for of_name in parts])


def _likely_a_barcode(part: str) -> tuple[bool, int, str]:
    return bool(re.fullmatch("[ACGT]{10,}", part)), len(part), part


# --- the same cells ------------------------------------------------------------------------------


def check_same_cells(tables: dict[str, pd.DataFrame], warned: Sequence[str]) -> None:
    """Refuse tables that disagree about most of the cells that they share, and warn if about fewer.

    Compared is what a cell keeps in every modality: columns of texts, categories, truth values and
    codes that both tables have. Not compared are measures (fractions, many whole numbers), columns
    with another value in almost every cell, and columns of one modality alone (`OF_MODALITY`), such
    as clusters, doublets and Seurat's orig.ident. Values that only one file uses are another way of
    naming (finer types, library names), except those of a person. Files are of other cells if they
    differ in more than `FEW`, and in half as many cells as by chance.

    Parameters
    ----------
    tables
        modality -> its table, a row per cell by name.
    warned
        Columns in which differences are warned of elsewhere.

    Raises
    ------
    UserError
        When two tables do not mean the same cells.
    """
    for (first, table), (other, others) in combinations(tables.items(), 2):
        shared, agreeing, faults = table.index.intersection(others.index), 0, {}
        table, others = table.loc[shared], others.loc[shared]
        for column in table.columns.intersection(others.columns).difference([FILE], sort=False):
            rows, compared, by_chance = _compared(column, table[column], others[column])
            if not len(rows):
                agreeing += by_chance > 0
                continue
            cell = shared[rows[0]]
            what = (
                f"{len(rows)} of {compared} differ in {column!r}, such as {cell!r}: "
                f"{table[column][cell]!r} in {first!r}, {others[column][cell]!r} in {other!r}"
            )
            if len(rows) > compared * max(FEW, by_chance / 2):
                faults[what] = len(rows)
            elif column not in warned:
                warn(f"path: of the cells in two modalities, {what}; check that they are the same")
        if faults:
            raise UserError(
                f"path: the files do not mean the same cells: {max(faults, key=faults.get)}; "
                f"{SAMPLE_IN_FRONT}; if the column means something else in each file, rename it in "
                "one of them"
            )
        bare = shared.str.replace(r"-\d+$", "", regex=True)
        made = shared[(bare != shared) & bare.isin(shared)]
        if len(made) and not agreeing:
            warn(
                f"path: {len(made)} cell names, such as {made[0]!r}, look as if they were made "
                f"unique, and no column of both {first!r} and {other!r} shows that they are the "
                f"same cells; {SAMPLE_IN_FRONT}"
            )


def _compared(name: str, *columns: pd.Series) -> tuple[np.ndarray, int, float]:
    nothing = np.zeros(0, dtype=int), 0, 0.0
    (codes, values), (other_codes, other_values) = map(pd.factorize, columns)
    numbers = any(map(pd.api.types.is_numeric_dtype, columns))
    most = max(2, min(MOST * len(codes), CODES if numbers else np.inf))
    if OF_MODALITY.search(str(name)) or max(len(values), len(other_values)) > most:
        return nothing
    texts = [text_of(value).strip().casefold() for value in [*values, *other_values]]
    if numbers and any("." in text for text in texts):
        return nothing
    places, every = pd.factorize(np.array([*texts, ""], dtype=object))
    unknown = places[-1]
    one = np.append(places[: len(values)], unknown)[codes]  # the code of a missing value is -1
    other = places[len(values) :][other_codes]
    rows = np.flatnonzero((one != unknown) & (other != unknown))
    in_one, in_other = (np.bincount(side[rows], minlength=len(every)) for side in (one, other))
    common = (in_one > 0) & (in_other > 0)
    named = rows[common[one[rows]] & common[other[rows]]]
    if PERSON.search(str(name)) and not common.any():
        named = rows
    if len(named) <= MOST * len(rows):
        return nothing
    by_chance = 1 - float(in_one @ in_other) / len(rows) ** 2
    return named[one[named] != other[named]], len(named), by_chance


# --- what tables say -----------------------------------------------------------------------------


def file_of_each_cell(names: pd.Index, files: dict[str, pd.Series]) -> pd.Series:
    """Return the number of each cell's file in its modality's list, "all" if there is no list.

    Parameters
    ----------
    names
        (cells,) of all modalities.
    files
        modality -> its column `FILE`, by cell. A cell in none of them is in file "1".

    Raises
    ------
    UserError
        When modalities disagree about a cell: then their lists are in different orders.
    """
    numbers, differing = _first_texts(files, names)
    for modality, cells in differing.items():
        if len(cells):
            raise UserError(
                f"path: cell {cells[0]!r} is in file {numbers[cells[0]]} of modality "
                f"{next(iter(files))!r}, but in {files[modality][cells[0]]} of {modality!r}; give "
                "the files of all modalities in one order, or say which column is the batch"
            )
    return numbers.replace("", "1" if files else "all")


def column_of_cells(
    key: str, name: str | None, tables: dict[str, pd.DataFrame], *, cells: pd.Index
) -> pd.Series:
    """Return the column `name` for each of `cells`: the first entry in any table, "" without one.

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
    """
    having = {where: table[name] for where, table in tables.items() if name in table.columns}
    if name is not None and not having:
        there = sorted(set().union(*(map(str, table.columns) for table in tables.values())))
        raise UserError(f"{key}: no obs column {name!r}{nearest(name, there)}")
    texts, differing = _first_texts(having, cells)
    for where, others in differing.items():
        if len(others):
            warn(
                f"{key}: {where} says another {name!r} of {len(others)} cells than the tables "
                "before it, which count"
            )
    return texts


def _first_texts(
    columns: dict[str, pd.Series], cells: pd.Index
) -> tuple[pd.Series, dict[str, pd.Index]]:
    texts, differing = pd.Series("", index=cells, dtype=object), {}
    for where, column in columns.items():
        given = texts_of(column).reindex(cells, fill_value="")
        differing[where] = cells[(texts != "") & (given != "") & (texts != given)]
        texts = texts.where(texts != "", given)
    return texts, differing


# --- what was not measured -----------------------------------------------------------------------


def without_absent(
    modality: str, cells: AnnData, absent: str | Sequence[object], batches: pd.Series
) -> AnnData:
    """Return the cells of a modality without those of batches, or of cell names, in `absent`."""
    if absent == EMPTY:
        return cells
    wanted, of_cells = set(map(text_of, absent)), batches[cells.obs_names]
    if unknown := sorted(wanted - set(of_cells) - set(cells.obs_names)):
        raise UserError(
            f"absent.{modality}: no batch or cell {unknown[0]!r}; there are the batches "
            f"{', '.join(sorted(set(of_cells)))}"
        )
    return cells[~(of_cells.isin(wanted).to_numpy() | cells.obs_names.isin(wanted))].copy()


def without_empty(
    measured: dict[str, Measurement], absent: dict[str, object], names: pd.Index
) -> tuple[dict[str, Measurement], pd.Index]:
    """Return measurements without the cells that are `EMPTY` in `absent`, and the cells that are left.

    Rows are in the order of the cells that are left; `names` are of all cells before.
    """
    cells = {m: pd.Index(names if one.cells is None else one.cells) for m, one in measured.items()}
    for modality, one in measured.items():
        if absent.get(modality) == EMPTY:
            values = without_zeros(sparse.csr_matrix(one.values))
            counted = np.diff(values.indptr) > 0
            measured[modality] = replace(one, values=values[counted])
            cells[modality] = cells[modality][counted]
    left = pd.Index(list(dict.fromkeys(np.concatenate(list(cells.values())))), dtype=object)
    for modality, one in measured.items():
        rows = cells[modality].get_indexer(left)
        rows = rows[rows >= 0]
        if np.any(np.diff(rows) != 1):
            one = replace(one, values=one.values[rows])
        measured[modality] = replace(one, cells=cells[modality][rows])
    return measured, left
