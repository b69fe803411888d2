"""What any dataset may be asked for once it is loaded: labels from a table, quality control, doublets out, links.

Quality control has fixed thresholds from the config and looks at each cell alone, so nothing is learned from any cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd

from mosaicbench.data import links as feature_links
from mosaicbench.data.assemble import categorical, joined, rewrapped, seen_in, source_values
from mosaicbench.data.association import by_association
from mosaicbench.data.checks import check_labels, warn
from mosaicbench.data.readers import labels_joined, read_table
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import LINKS, measured_in

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

THRESHOLDS = ("min_features", "max_features", "min_counts", "max_counts", "max_mito", "min_cells")
LABEL_KEYS = ("path", "barcode", "column", "suffix", "remove")


def curated(
    dataset: MuData,
    raw: Path | None = None,
    *,
    labels: dict | None = None,
    unlabelled: Sequence[str] = (),
    dropped_types: Sequence[str] = (),
    qc: dict[str, dict] | None = None,
    association: dict | None = None,
    cells: Annotated[int, "at least 1"] | None = None,
    links: str | bool = True,
    gtf: str | None = None,
    upstream: Annotated[int, "at least 0"] = 2000,
) -> MuData:
    """Return a dataset with the labels, the cells and the links that its stanza asks for; raw counts stay as they are.

    Parameters
    ----------
    dataset
        As a loader returns it.
    raw
        Folder that relative paths start from; None for the working directory.
    labels
        ``path`` of a .tsv, .csv or .rds table, its columns ``barcode`` (left out: the first column, or R's row names) and
        ``column``; where the table's barcodes lack an ending, ``suffix``; where theirs must go first, ``remove``.
    unlabelled
        Cell types that mean "unknown"; their cells stay, without a label. A name that does not occur is refused: a misspelt
        one would silently become a cell type.
    dropped_types
        Cell types whose cells are dropped, such as doublets.
    qc
        modality -> thresholds a cell must meet: ``min_features``, ``max_features`` (genes, peaks or proteins seen),
        ``min_counts``, ``max_counts`` (their sum), ``max_mito`` (share of counts in genes called MT-, between 0 and 1); and
        ``min_cells``, in how many of the kept cells a feature must be seen (default 1).
    association
        ``{cell_type, relevant, irrelevant}``: see ``data.association``.
    cells
        At most so many cells are kept, of those that passed, drawn at random, always the same.
    links
        True: peaks and proteins are linked to genes as far as coordinates and antibody names are known; where neither is, links
        that the loader brought stay. A path: a table with the columns `modality modality sign`. False: none.
    gtf
        Gene annotation, for peak links where the data have no gene coordinates.
    upstream
        Bases before a gene's start within which a peak is still linked to it.

    Returns
    -------
    MuData
        ``uns["curation"]``: ``dropped`` (reason -> cells that it applies to; a cell may have several), ``labels_matched``.

    Raises
    ------
    UserError
        When an option or a name is unknown, no barcode matches, or no cell is left.
    """
    folder = Path() if raw is None else Path(raw)
    types = np.asarray(dataset.obs["cell_type"], dtype=object)
    notes: dict = {"dropped": {}}
    if labels is not None:
        types, notes["labels_matched"] = _joined_labels(dataset.obs_names, folder, labels)
    _check_names("unlabelled", unlabelled, types)
    _check_names("dropped_types", dropped_types, types)
    any_known = bool(np.any(types != ""))
    types = np.where(np.isin(types.astype(str), [str(name) for name in unlabelled]), "", types)
    if any_known and not np.any(types != ""):
        warn(
            "unlabelled: names every cell type, so no cell has a label; leave out those that are known"
        )

    keep = np.ones(dataset.n_obs, dtype=bool)
    for name in dropped_types:
        keep &= types != str(name)
        notes["dropped"][f"cell type {name}"] = int(np.sum(types == str(name)))
    min_cells = {}
    for modality, thresholds in ({} if qc is None else qc).items():
        _check_thresholds(modality, thresholds, dataset)
        min_cells[modality] = thresholds.get("min_cells", 1)
        measured = np.flatnonzero(measured_in(dataset)[modality])
        for reason, failing in _failing(dataset[modality], modality, thresholds).items():
            keep[measured[failing]] = False
            notes["dropped"][reason] = int(failing.sum())
    if not keep.any():
        raise UserError(f"qc: no cell is left ({_told(notes['dropped'])}); loosen the thresholds")
    if cells is not None and cells < keep.sum():
        if cells < 1:
            raise UserError(f"cells: must be at least 1, found {cells}")
        passed = np.random.default_rng(0).permutation(np.flatnonzero(keep))
        notes["dropped"]["beyond the number of cells asked for"] = len(passed) - cells
        keep[passed[cells:]] = False

    dataset = rewrapped(dataset)
    dataset.obs["cell_type"] = categorical(types)
    if not keep.all() or any(least > 1 for least in min_cells.values()):
        dataset = _subset(dataset, keep, min_cells)
    types = np.asarray(dataset.obs["cell_type"], dtype=object)
    if labels is not None or np.any(types != ""):
        check_labels(types, "labels")
    if association is not None:
        dataset = by_association(dataset, association)
    if links is not False:
        table = folder / links if isinstance(links, str) else None
        annotation = None if gtf is None else folder / gtf
        dataset = feature_links.linked(dataset, table=table, gtf=annotation, upstream=upstream)
    elif LINKS in dataset.varp:
        del dataset.varp[LINKS], dataset.uns[LINKS]
    dataset.uns["curation"] = notes
    return dataset


def _joined_labels(names: pd.Index, folder: Path, labels: dict[str, str]) -> tuple[np.ndarray, int]:
    if unknown := sorted(set(labels) - set(LABEL_KEYS)):
        raise UserError(f"labels: unknown key {unknown[0]!r}; there are {', '.join(LABEL_KEYS)}")
    for key in ("path", "column"):
        if key not in labels:
            raise UserError(
                f"labels: the key {key!r} is missing; give path, column and, where it is not the first column, barcode"
            )
    table = read_table(folder / labels["path"])
    has_row_names = not isinstance(table.index, pd.RangeIndex)
    barcode = labels.get("barcode", None if has_row_names else table.columns[0])
    endings = {key: labels[key] for key in ("suffix", "remove") if key in labels}
    types, matched = labels_joined(
        names, table, barcode=barcode, column=labels["column"], **endings
    )
    if matched == 0:
        theirs = (table.index if barcode is None else table[barcode])[0]
        raise UserError(
            f"labels: no cell is in {labels['path']}: cells are called {names[0]!r}, …, its barcodes {theirs!r}, …; "
            "give suffix or remove if only an ending differs"
        )
    return types, matched


def _check_names(key: str, names: Sequence[str], types: np.ndarray) -> None:
    there = {str(name) for name in types}
    if absent := sorted({str(name) for name in names} - there):
        raise UserError(
            f"{key}: no cell is called {absent[0]!r}; there are {', '.join(sorted(there - {''}))}"
        )


def _check_thresholds(modality: str, thresholds: dict, dataset: MuData) -> None:
    if modality not in dataset.mod:
        raise UserError(f"qc: no modality {modality!r}; there are {', '.join(dataset.mod)}")
    if unknown := sorted(set(thresholds) - set(THRESHOLDS)):
        raise UserError(
            f"qc.{modality}: unknown threshold {unknown[0]!r}; there are {', '.join(THRESHOLDS)}"
        )
    for name, threshold in thresholds.items():
        if (
            isinstance(threshold, bool)
            or not isinstance(threshold, int | float)
            or not np.isfinite(threshold)
        ):
            raise UserError(
                f"qc.{modality}.{name}: a finite number was expected, found {threshold!r}"
            )
    of_counts = {"min_counts", "max_counts", "max_mito"} & set(thresholds)
    if of_counts and dataset[modality].uns["values"] != "counts":
        raise UserError(
            f"qc.{modality}.{sorted(of_counts)[0]}: this modality has no counts; use min_features or max_features"
        )


def _failing(cells: AnnData, modality: str, thresholds: dict) -> dict[str, np.ndarray]:
    """Return reason -> (cells,) mask of those that do not meet a threshold."""
    values = source_values(cells)
    measures = {"features": np.diff(values.indptr)}
    if {"min_counts", "max_counts", "max_mito"} & set(thresholds):
        measures["counts"] = np.asarray(values.sum(axis=1), dtype=np.float64).ravel()
    if "max_mito" in thresholds:
        mito = np.array([name.upper().startswith("MT-") for name in cells.var_names])
        if not mito.any():
            raise UserError(
                f"qc.{modality}.max_mito: no gene's name begins with MT-, so there is no mitochondrial fraction"
            )
        of_mito = np.asarray(values[:, np.flatnonzero(mito)].sum(axis=1), dtype=np.float64).ravel()
        measures["mito"] = of_mito / np.maximum(measures["counts"], 1)
    failing = {}
    for name, threshold in thresholds.items():
        side, _, measure = name.partition("_")
        if measure in measures:
            found = measures[measure]
            failing[f"{modality} {name} {threshold}"] = (
                found < threshold if side == "min" else found > threshold
            )
    return failing


def _subset(dataset: MuData, keep: np.ndarray, min_cells: dict[str, int]) -> MuData:
    """Return the kept cells, without the features that fewer than `min_cells` (default 1) of them show."""
    modalities = {}
    in_modality = measured_in(dataset)
    for modality, cells in dataset.mod.items():
        if not np.any(left := keep[in_modality[modality]]):
            raise UserError(
                f"qc: no cell of modality {modality!r} is left; loosen the thresholds, or leave the modality out"
            )
        kept = cells[left].copy()
        columns = seen_in(source_values(kept)) >= min_cells.get(modality, 1)
        if columns.sum() == 1 < kept.n_vars:
            raise UserError(
                f"qc.{modality}: only one feature is seen in the {keep.sum()} cells kept; loosen min_cells or the thresholds"
            )
        if not columns.any():
            raise UserError(
                f"qc.{modality}: no feature is seen in {min_cells.get(modality, 1)} of the {left.sum()} cells kept"
            )
        modalities[modality] = kept if columns.all() else kept[:, columns].copy()
    smaller = joined(modalities)
    for column in dataset.obs:
        smaller.obs[column] = categorical(np.asarray(dataset.obs[column], dtype=object)[keep])
    smaller.uns |= dataset.uns
    smaller.obsm.update(
        {key: matrix[keep] for key, matrix in dataset.obsm.items() if key not in dataset.mod}
    )
    if (links := feature_links.restricted(dataset, smaller)) is not None:
        smaller.varp[LINKS] = links
    return smaller


def _told(dropped: dict[str, int]) -> str:
    return (
        ", ".join(f"{reason}: {cells}" for reason, cells in dropped.items())
        or "nothing was asked for"
    )
