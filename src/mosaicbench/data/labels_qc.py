"""Options of any dataset after loading: labels of a table, quality control, features, links.

Quality control has fixed thresholds from the config and looks at each cell alone, so nothing is
learned from any cell.

`association` makes a dataset by design: the features that tell one cell type from the rest, beside
a chosen number of those that tell least, as Märtens and Yau (2024) study private variation on real
data. The features are chosen with the label and all cells, query cells included: this makes the
dataset, as a simulation would. Scores of that label say how methods compare, not how well it can be
predicted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data import links as feature_links
from mosaicbench.data.assemble import (
    categorical,
    joined,
    obsm_of_all,
    rewrapped,
    seen_in,
    source_values,
)
from mosaicbench.data.cells import Label, text_of, texts_of
from mosaicbench.data.checks import check_labels
from mosaicbench.data.normalize import TARGET_SUM
from mosaicbench.data.read import labels_joined, read_table
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import LINKS, measured_in

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

THRESHOLDS = ("min_features", "max_features", "min_counts", "max_counts", "max_mito")
OTHERS = "other"  # the type of all cells that are not of the type of `association`


def curated(
    dataset: MuData,
    raw: Path | None = None,
    *,
    labels: dict | None = None,
    unknown_labels: Sequence[Label] = (),
    dropped_types: Sequence[Label] = (),
    qc: dict[str, dict] | None = None,
    association: dict | None = None,
    cells: Annotated[int, "at least 1"] | None = None,
    links: str | bool = True,
    gtf: str | None = None,
    upstream: Annotated[int, "at least 0"] = 2000,
) -> MuData:
    """Return a dataset with the labels, cells and links of its stanza; raw counts stay unchanged.

    Parameters
    ----------
    dataset
        As a loader returns it.
    raw
        Folder that relative paths start from; None for the working directory.
    labels
        ``path`` of a .tsv, .csv or .rds table, its columns ``barcode`` (by default the first column, or
        R's row names) and ``column``; ``suffix``, an ending to add to its barcodes; ``remove``, an
        ending to take off first.
    unknown_labels
        Cell types that mean "unknown"; their cells stay, without a label.
    dropped_types
        Cell types whose cells are dropped, such as doublets.
    qc
        modality -> thresholds a cell must meet: ``min_features``, ``max_features`` (genes, peaks or
        proteins seen), ``min_counts``, ``max_counts`` (their sum), ``max_mito`` (fraction of counts in
        genes called MT-, between 0 and 1); and ``min_cells``, in how many of the kept cells a feature
        must be seen (default 1).
    association
        ``cell_type``: the type that is compared with all others, which are then called "other"
        (unlabelled cells stay so); ``relevant``, ``irrelevant``: modality -> number of the most, and of
        the least, associated features, which ``var`` marks in ``relevant``. Their RNA counts become
        log-normalised values, with each cell's total over all genes. A modality under neither key keeps
        all its features.
    cells
        At most so many cells are kept, of those that passed, drawn at random, always the same.
    links
        True: peaks and proteins are linked to genes as far as coordinates and antibody names allow;
        links of the loader stay if nothing can be linked. A path: a table with the columns `modality
        modality sign`. False: no links.
    gtf
        Gene annotation, for peak links where the data have no gene coordinates.
    upstream
        Bases before a gene's start within which a peak is still linked to it.

    Returns
    -------
    MuData
        ``uns["curation"]``: ``dropped`` (reason -> cells that it applies to; a cell may have several),
        ``labels_matched``.

    Raises
    ------
    UserError
        When a name is unknown, no barcode matches, or no cell is left.
    """
    folder = Path() if raw is None else Path(raw)
    types = np.asarray(dataset.obs["cell_type"], dtype=object)
    notes: dict = {"dropped": {}}
    if labels is not None:
        types, notes["labels_matched"] = _joined_labels(dataset.obs_names, folder, **labels)
    unknown_labels = [text_of(name) for name in unknown_labels]
    dropped_types = [text_of(name) for name in dropped_types]
    _check_types("unknown_labels", unknown_labels, types)
    _check_types("dropped_types", dropped_types, types)
    types = np.where(np.isin(types.astype(str), unknown_labels), "", types)
    keep, min_cells = _kept(dataset, types, dropped_types, qc or {}, cells, notes["dropped"])
    dataset = rewrapped(dataset)
    dataset.obs["cell_type"] = categorical(types)
    if not keep.all() or any(least > 1 for least in min_cells.values()):
        dataset = _subset(dataset, keep, min_cells)
    types = np.asarray(dataset.obs["cell_type"], dtype=object)
    if labels is not None or np.any(types != ""):
        check_labels(types, "labels")
    if association is not None:
        dataset = _by_association(dataset, **association)
    if links is not False:
        table = folder / links if isinstance(links, str) else None
        annotation = None if gtf is None else folder / gtf
        dataset = feature_links.linked(dataset, table=table, gtf=annotation, upstream=upstream)
    elif LINKS in dataset.varp:
        del dataset.varp[LINKS], dataset.uns[LINKS]
    dataset.uns["curation"] = notes
    return dataset


def _joined_labels(
    names: pd.Index,
    folder: Path,
    *,
    path: str,
    column: str,
    barcode: str | None = None,
    suffix: str = "",
    remove: str = "",
) -> tuple[np.ndarray, int]:
    table = read_table(folder / path)
    if barcode is None and isinstance(table.index, pd.RangeIndex):  # no row names of R
        barcode = table.columns[0]
    types, matched = labels_joined(
        names, table, barcode=barcode, column=column, suffix=suffix, remove=remove
    )
    if matched == 0:
        theirs = (table.index if barcode is None else table[barcode])[0]
        raise UserError(
            f"labels: no cell is in {path}: cells are called {names[0]!r}, …, its barcodes "
            f"{theirs!r}, …; give suffix or remove if only an ending differs"
        )
    return texts_of(pd.Series(types)).to_numpy(), matched


def _kept(
    dataset: MuData,
    types: np.ndarray,
    dropped_types: Sequence[str],
    qc: dict[str, dict],
    cells: int | None,
    dropped: dict[str, int],
) -> tuple[np.ndarray, dict[str, int]]:
    keep = np.ones(dataset.n_obs, dtype=bool)
    for name in dropped_types:
        keep &= types != name
        dropped[f"cell type {name}"] = int(np.sum(types == name))
    min_cells = {}
    _check_modalities("qc", qc, dataset)
    for modality, thresholds in qc.items():
        min_cells[modality] = thresholds.get("min_cells", 1)
        measured = np.flatnonzero(measured_in(dataset)[modality])
        for reason, failing in _failing(dataset[modality], modality, thresholds).items():
            keep[measured[failing]] = False
            dropped[reason] = int(failing.sum())
    if not keep.any():
        reasons = ", ".join(f"{reason}: {number}" for reason, number in dropped.items())
        raise UserError(f"qc: no cell is left ({reasons}); loosen the thresholds")
    if cells is not None and cells < keep.sum():
        passed = np.random.default_rng(0).permutation(np.flatnonzero(keep))
        dropped["beyond the number of cells asked for"] = len(passed) - cells
        keep[passed[cells:]] = False
    return keep, min_cells


def _check_types(key: str, names: Sequence[str], types: np.ndarray) -> None:
    there = set(types)
    if absent := sorted(set(names) - there):
        raise UserError(
            f"{key}: no cell is called {absent[0]!r}; there are {', '.join(sorted(there - {''}))}"
        )


def _check_modalities(key: str, given: dict, dataset: MuData) -> None:
    if unknown := sorted(set(given) - set(dataset.mod)):
        raise UserError(f"{key}: no modality {unknown[0]!r}; there are {', '.join(dataset.mod)}")


def _failing(cells: AnnData, modality: str, thresholds: dict) -> dict[str, np.ndarray]:
    values = source_values(cells)
    genes = cells.var_names.str.upper().str.startswith("MT-")
    counts, of_mito = (
        np.asarray(part.sum(axis=1), dtype=np.float64).ravel()
        for part in (values, values[:, genes])
    )
    measures = {
        "features": np.diff(values.indptr),
        "counts": counts,
        "mito": of_mito / np.maximum(counts, 1),
    }
    failing = {}
    for name in THRESHOLDS:
        if (threshold := thresholds.get(name)) is None:
            continue
        side, what = name.split("_")
        if what != "features" and cells.uns["values"] != "counts":
            raise UserError(
                f"qc.{modality}.{name}: this modality has no counts; use min_features or "
                "max_features"
            )
        if what == "mito" and not genes.any():
            raise UserError(
                f"qc.{modality}.{name}: no gene's name begins with MT-, so there is no "
                "mitochondrial fraction"
            )
        fails = np.less if side == "min" else np.greater
        failing[f"{modality} {name} {threshold}"] = fails(measures[what], threshold)
    return failing


def _subset(dataset: MuData, keep: np.ndarray, min_cells: dict[str, int]) -> MuData:
    modalities = {}
    in_modality = measured_in(dataset)
    for modality, cells in dataset.mod.items():
        kept = cells[keep[in_modality[modality]]].copy()
        least = min_cells.get(modality, 1)
        columns = seen_in(source_values(kept)) >= least
        if columns.sum() < 2:
            raise UserError(
                f"qc.{modality}: {columns.sum()} features are seen in at least {least} of the "
                f"{kept.n_obs} cells kept, and methods need two; loosen min_cells or the thresholds"
            )
        if not columns.all():
            kept = kept[:, columns].copy()
            left_out = json.loads(kept.uns.get("features_left_out", "{}"))
            left_out |= {f"{modality} min_cells {least}": int(np.sum(~columns))}
            kept.uns["features_left_out"] = json.dumps(left_out)
        modalities[modality] = kept
    smaller = joined(modalities)
    for column in dataset.obs:
        smaller.obs[column] = categorical(np.asarray(dataset.obs[column], dtype=object)[keep])
    smaller.uns |= dataset.uns
    smaller.obsm.update({key: matrix[keep] for key, matrix in obsm_of_all(dataset).items()})
    if (links := feature_links.restricted(dataset, smaller)) is not None:
        smaller.varp[LINKS] = links
    return smaller


def _by_association(
    dataset: MuData,
    *,
    cell_type: str,
    relevant: dict[str, int] | None = None,
    irrelevant: dict[str, int] | None = None,
) -> MuData:
    types, wanted = np.asarray(dataset.obs["cell_type"], dtype=object), str(cell_type)
    _check_types("association.cell_type", [wanted], types)
    relevant, irrelevant = relevant or {}, irrelevant or {}
    _check_modalities("association", relevant | irrelevant, dataset)
    two = np.where((types == wanted) | (types == ""), types, OTHERS)
    modalities = dict(dataset.mod)
    for modality in relevant | irrelevant:
        most, least = int(relevant.get(modality, 0)), int(irrelevant.get(modality, 0))
        features = modalities[modality].n_vars
        if not 0 < most + least <= features:
            raise UserError(
                f"association: modality {modality!r} has {features} features, not {most} relevant "
                f"and {least} irrelevant ones; give smaller numbers"
            )
        types_here = two[measured_in(dataset)[modality]]
        modalities[modality] = _associated(modalities[modality], types_here, wanted, most, least)
    designed = rewrapped(dataset, modalities)
    designed.obs["cell_type"] = categorical(two)
    return designed


def _associated(cells: AnnData, types: np.ndarray, wanted: str, most: int, least: int) -> AnnData:
    from sklearn.feature_selection import r_regression

    compared = source_values(cells)
    if cells.uns["values"] == "counts":  # values that do not follow a cell's depth
        totals = np.maximum(np.asarray(compared.sum(axis=1)).ravel(), 1)
        per_cell = sparse.diags((TARGET_SUM / totals).astype(np.float32)) @ compared
        compared = sparse.csr_matrix(per_cell).log1p()
    known = types != ""
    r = r_regression(compared[known].astype(np.float64), (types[known] == wanted).astype(float))
    ranked = np.argsort(-np.abs(r), kind="stable")
    columns = np.sort(np.concatenate([ranked[:most], ranked[len(ranked) - least :]]))
    chosen = cells[:, columns].copy()
    chosen.var["relevant"] = np.isin(columns, ranked[:most])
    if cells.uns["kind"] == "rna" and cells.uns["values"] == "counts":
        del chosen.layers["counts"]
        chosen.layers["lognorm"] = compared[:, columns]
        chosen.uns["values"] = "lognorm"
    return chosen
