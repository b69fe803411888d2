"""Checks of a dataset that was read: modalities, values and labels together, and warnings of data.

An input that would make a benchmark meaningless is refused; what is odd is warned of.
"""

from __future__ import annotations

import json
import re
import warnings
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.data.pairing import with_partners
from mosaicbench.errors import DataWarning, UserError
from mosaicbench.files.dataset import measured_in
from mosaicbench.files.datasheet import FEWEST_QUERY

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

RESERVED = "joint"  # the name of latents of all modalities together
NAME = re.compile(r"\w[\w.+ -]*")  # it is a group of a file, a part of "rna->adt" and of columns
LARGEST_LOGARITHM = 12  # rounded up: log1p of counts per ten thousand, or of a count
# In so many cells with so many features each, the largest count cannot be so small.
RICH, MANY = 500, 100
SAMPLE, FEATURES = 1000, 200  # cells and features per modality that the test for twins uses
# Median, over features, of the best rank correlation with a feature of the other modality.
SAME, SUSPICIOUS = 0.99, 0.9
SURELY, RARELY = 10, 3  # cells with a feature; equal columns of so many, or so few, are no chance
FIRST = 5  # names that a message lists
MOST = 0.5  # fraction of the cells above which "most" begins
UNKNOWN = re.compile(  # texts that say of a type that it is not known
    r"(?i)\s*(nan?|n/a|none|null|unknown|unassigned|not assigned|unlabell?ed|unclassified"
    r"|undefined|undetermined|[?-])\s*"
)
NUMBER = re.compile(r"(?i)(?:(?:seurat_)?clusters?|c)?[\s_-]*\d+")
FEWEST = 5  # cells of a type, of which a query of a fifth has one
# A feature is not measured in a batch if it is zero there, but by its frequency elsewhere would
# be seen in so many of the batch's cells. Genes of one sex are few of all.
EXPECTED, FEW_GENES = 10, 0.02


def warn(message: str) -> None:
    """Warn a person about their data; ``prepare`` prints it and keeps it in the dataset."""
    warnings.warn(message, DataWarning, stacklevel=3)


def check_measured(
    modalities: dict[str, AnnData], types: pd.Series, labels: str | None = None
) -> None:
    """Check names, values and labels of all that was read.

    Parameters
    ----------
    modalities
        modality -> its cells x features, values in ``layers[uns["values"]]``.
    types
        cell -> its type, "" where unknown, of all cells.
    labels
        The key that asked for labels, for messages; None if labels may be absent.

    Raises
    ------
    UserError
        When a modality's name cannot be part of a file; when a modality is empty or has one feature;
        when two modalities hold equal or nearly collinear numbers: then one file was given twice, and
        every score would be perfect; or when `labels` is given and no cell has one.
    """
    for name in modalities:
        _check_name(name)
    _check_overlap({modality: cells.obs_names for modality, cells in modalities.items()})
    for modality, cells in modalities.items():
        _check_size(modality, cells)
        _check_counts(modality, cells)
    _check_twins(modalities)
    if labels is not None:
        check_labels(types.to_numpy(), labels)
        _check_labels_of_each(modalities, types, labels)


# --- names ---------------------------------------------------------------------------------------


def _check_name(name: str) -> None:
    if name == RESERVED:
        raise UserError(
            f"modality {name!r}: latents of all modalities together have this name; choose another"
        )
    if not NAME.fullmatch(name):
        raise UserError(
            f"modality {name!r}: a modality's name becomes part of files, columns and directions "
            "such as 'rna->adt'; use letters, digits, '_', '-', '+', '.' and spaces"
        )


def _check_overlap(names: dict[str, pd.Index]) -> None:
    every = np.concatenate([np.asarray(index, dtype=object) for index in names.values()])
    counts = pd.Series(every).value_counts()
    shared, in_all = int((counts > 1).sum()), int((counts == len(names)).sum())
    firsts = ", ".join(f"{m}: {index[0]}, …" for m, index in names.items() if len(index))
    alone = [modality for modality, index in names.items() if not counts[index].gt(1).any()]
    if shared == 0:
        warn(
            f"path: no cell is in two modalities ({firsts}), so there is no pair to learn or to "
            "score by; use scenarios of kind as_measured and unpaired, not paired and mosaic"
        )
        return
    for modality in alone:
        warn(
            f"path: modality {modality!r} shares no cell with any other modality ({firsts}), "
            "so no pair with it is learned or scored"
        )
    if in_all < MOST * len(counts):
        warn(
            f"path: only {in_all} of {len(counts)} cells are in every modality, {shared} are in at "
            "least two; the others are kept as they are. Check that all files name the cells in "
            "the same way, and that no barcode means different cells in two files: put the sample "
            "in front where it does"
        )


# --- values --------------------------------------------------------------------------------------


def _values(cells: AnnData) -> object:
    return cells.layers[cells.uns["values"]]


def _check_size(modality: str, cells: AnnData) -> None:
    if cells.n_obs == 0 or cells.n_vars == 0:
        raise UserError(
            f"modality {modality!r} is empty: no feature was seen in any of its {cells.n_obs} "
            "cells; give the file that holds its counts, or leave the modality out"
        )
    if cells.n_vars == 1:
        raise UserError(
            f"modality {modality!r}: only one feature, {cells.var_names[0]!r}, was seen in its "
            f"{cells.n_obs} cells, and methods and scores need two or more; give more features, or "
            "leave the modality out"
        )


def _check_counts(modality: str, cells: AnnData) -> None:
    counts = _values(cells)
    top = float(counts.data.max(initial=0))
    if cells.uns["values"] != "counts" or cells.uns["kind"] == "atac" or top > LARGEST_LOGARITHM:
        return
    often = int(np.bincount(counts.data.astype(np.int64)).argmax()) if counts.nnz else 1
    if counts.nnz < counts.shape[0] * counts.shape[1] / 2 and often > 1:
        why = f"{often} is more frequent than 1"
    elif counts.shape[0] >= MANY and np.median(np.diff(counts.indptr)) >= RICH:
        why = f"cells show {RICH} features and more"
    else:
        return
    warn(
        f"modality {modality!r}: its counts look like rounded logarithms: none is above {top:g}, "
        f"and {why}; give raw counts, or say values: lognorm for log-normalised RNA that was not "
        "rounded"
    )


def _check_zeros(modality: str, cells: AnnData, batches: np.ndarray) -> None:
    values = _values(cells)
    if values.nnz == np.prod(values.shape) and not (values.max(axis=0) != values.min(axis=0)).nnz:
        warn(
            f"modality {modality!r}: every feature has one value in all cells, so its scores are "
            "noise; leave the modality out"
        )
    silent = np.diff(values.indptr) == 0
    by_batch = pd.Series(silent).groupby(batches).all()
    unstained = [name for name in by_batch.index[by_batch] if name != ""]
    if unstained:
        of_these = np.isin(batches, unstained)
        silent &= ~of_these
        warn(
            f"modality {modality!r} is zero in all {of_these.sum()} cells of the batches "
            f"{listed(unstained)}, as if it was not measured there; of own files, say absent: "
            f"{{{modality}: {json.dumps(unstained)}}}, or take these cells out of its file"
        )
    if silent.any():
        warn(
            f"modality {modality!r}: {silent.sum()} of {cells.n_obs} cells show no feature at all; "
            f"say qc: {{{modality}: {{min_counts: 1}}}} to drop them or, of own files, absent: "
            f"{{{modality}: empty}} if it was not measured in them"
        )
    measured = [name for name in by_batch.index if name not in (*unstained, "")]
    if len(measured) > 1:
        _check_features_of_batches(modality, cells, batches, measured)


def _check_features_of_batches(
    modality: str, cells: AnnData, batches: np.ndarray, names: list[str]
) -> None:
    rows = [batches == name for name in names]
    seen = np.array([_values(cells)[of_batch].getnnz(axis=0) for of_batch in rows])
    sizes = np.sum(rows, axis=1)[:, None]
    elsewhere = (seen.sum(axis=0) - seen) / (sizes.sum() - sizes)
    lost = (seen == 0) & (elsewhere * sizes >= EXPECTED)
    features = cells.var_names[lost.any(axis=0)]
    if len(features) > (0 if cells.uns["kind"] == "adt" else FEW_GENES * cells.n_vars):
        where = np.array(names, dtype=object)[lost.any(axis=1)]
        warn(
            f"modality {modality!r}: {len(features)} of {cells.n_vars} features ({listed(features)}) "
            f"are zero in all cells of a batch ({listed(where)}) and not in others, as if they were "
            "not measured there; of own files, leave the features out with features: "
            f"{{{modality}: {{drop: [names]}}}}, or say absent: {{{modality}: [batches]}}"
        )


def listed(names: object) -> str:
    """Return the first names as text."""
    return ", ".join(map(repr, names[:FIRST])) + ", …" * (len(names) > FIRST)


def _check_twins(modalities: dict[str, AnnData]) -> None:
    """Refuse one measurement given twice, even scaled, transformed or reordered.

    Then each feature's best absolute rank correlation with a feature of the other modality is 1.
    """
    for (name, cells), (other_name, other) in combinations(modalities.items(), 2):
        values, others = _values(cells), _values(other)
        shared = cells.obs_names.intersection(other.obs_names)
        if 0 < len(shared) < max(cells.n_obs, other.n_obs):
            values = values[cells.obs_names.get_indexer(shared)]
            others = others[other.obs_names.get_indexer(shared)]
        if (
            values.shape == others.shape
            and values.nnz == others.nnz
            and (values != others).nnz == 0
        ):
            raise UserError(
                f"modalities {name!r} and {other_name!r} hold identical numbers, so the same file "
                "was given twice; give each modality its own file"
            )
        if not len(shared):
            continue  # no cell to compare them by
        _check_copies({name: (cells, values), other_name: (other, others)})
        likeness = _likeness(*sorted((values, others), key=lambda matrix: matrix.shape[1]))
        alike = (
            "alike: half of the features of one have a twin in the other with a rank correlation"
        )
        if likeness > SAME:
            raise UserError(
                f"modalities {name!r} and {other_name!r} are too {alike} above {likeness:.3f}; one "
                "file was probably given twice, give each its own"
            )
        if likeness > SUSPICIOUS:
            warn(
                f"modalities {name!r} and {other_name!r} are suspiciously {alike} above "
                f"{likeness:.2f}; are they two versions of one measurement?"
            )


def _check_copies(pair: dict[str, tuple[AnnData, object]]) -> None:
    """Refuse a modality with features of another in it: equal columns."""
    (first, second), matrices = pair, [matrix for _, matrix in pair.values()]
    if "atac" in (cells.uns["kind"] for cells, _ in pair.values()):
        return  # many peaks of few cells may be equal to a gene by chance
    weights = np.random.default_rng(0).random(matrices[0].shape[0], dtype=np.float32)
    _, *equal = np.intersect1d(*(matrix.T @ weights for matrix in matrices), return_indices=True)
    columns = [matrix[:, places].tocsc() for matrix, places in zip(matrices, equal, strict=True)]
    differ = (columns[0] != columns[1]).getnnz(axis=0) > 0
    seen_in = columns[0].getnnz(axis=0)
    same = np.flatnonzero(~differ & (seen_in >= RARELY))
    sizes = [matrix.shape[1] for matrix in matrices]
    if seen_in[same].max(initial=0) < SURELY or len(same) > MOST * max(sizes):
        return  # chance, or one file given twice, which is seen by its likeness
    side = int(np.argmax(sizes))
    modality, other = (second, first) if side else (first, second)
    names = list(pair[modality][0].var_names[equal[side][same]])
    raise UserError(
        f"path: modality {modality!r} ({pair[modality][0].uns['source']}) holds {len(names)} features "
        f"of {other!r}, equal in every cell; take them out of its file, or say features: "
        f"{{{modality}: {{drop: {names}}}}}"
    )


def _likeness(values: object, others: object) -> float:
    rows = np.linspace(0, values.shape[0] - 1, min(SAMPLE, values.shape[0])).astype(int)
    narrow, wide = (_ranks(_most_seen(matrix[rows])) for matrix in (values, others))
    if narrow.shape[1] == 0 or wide.shape[1] == 0:
        return 0.0
    return float(np.median(np.abs(narrow.T @ wide).max(axis=1)))


def _most_seen(matrix: object) -> np.ndarray:
    seen = matrix.getnnz(axis=0)
    chosen = np.argsort(-seen, kind="stable")[:FEATURES]
    return matrix[:, np.sort(chosen[seen[chosen] >= 20])].toarray()


def _ranks(dense: np.ndarray) -> np.ndarray:
    """Return centred ranks of unit length, whose products are rank correlations, if not constant."""
    ranks = pd.DataFrame(dense).rank().to_numpy()
    ranks = ranks - ranks.mean(axis=0)
    length = np.linalg.norm(ranks, axis=0)
    return ranks[:, length > 0] / length[length > 0]


# --- labels --------------------------------------------------------------------------------------


def check_labels(types: np.ndarray, where: str) -> None:
    """Refuse that no cell has a label, and warn if most have none; `where` is the key, for messages."""
    missing = int(np.sum(types == ""))
    if missing == len(types):
        raise UserError(
            f"{where}: no cell has a label; check the column and the cell names, or leave the "
            "labels out"
        )
    if missing > MOST * len(types):
        warn(
            f"{where}: {missing} of {len(types)} cells have no label, so scores that need labels "
            "rest on few cells; check that the cell names are those of the labels"
        )


def check_prepared(dataset: MuData) -> None:
    """Warn of what was perhaps not measured, of odd types and few cells, in a dataset as it is kept."""
    for modality, cells in dataset.mod.items():
        batches = dataset.obs["batch"][cells.obs_names]
        _check_zeros(modality, cells, np.asarray(batches, dtype=object))
    _check_types(np.asarray(dataset.obs["cell_type"], dtype=object))
    cells = int(with_partners(measured_in(dataset)).sum())
    if cells < 5 * FEWEST_QUERY:
        warn(
            f"cells: {cells} can be drawn for the query, and a fifth of them, the default, is fewer "
            f"than {FEWEST_QUERY}: scores are mostly noise; use more cells"
        )


def _check_types(types: np.ndarray) -> None:
    cells = pd.Series(types[types != ""], dtype=object).value_counts().sort_index()
    plain = cells.index.str.split().str.join(" ").str.casefold()
    known = ~plain.str.fullmatch(UNKNOWN)
    if len(unknown := cells[~known]):
        warn(
            f"cell types: {unknown.sum()} cells are of the types {listed(unknown.index)}; if that "
            f"means no label, say unknown_labels: {json.dumps(list(unknown.index), ensure_ascii=False)}"
        )
    cells, plain = cells[known], plain[known]
    if len(twins := cells.index[plain.duplicated(keep=False)]):
        warn(
            f"cell types: {listed(twins)} differ in case or blanks only, and count as different "
            "types; write them alike in the column of types"
        )
    if len(numbers := cells.index[cells.index.str.fullmatch(NUMBER)]):
        warn(
            f"cell types: {len(numbers)} of {len(cells)} types are numbers ({listed(numbers)}), as "
            "of clusters, or of a factor that lost its names; name the column of the types' names"
        )
    if len(few := cells.index[cells < FEWEST]):
        warn(
            f"cell types: {len(few)} of {len(cells)} types have fewer than {FEWEST} cells "
            f"({listed(few)}), of which a random query has one at most; a type of one cell stays "
            "with the train cells and is in no score"
        )
    if len(cells) == 1:
        warn(
            f"cell types: all labelled cells are of one type, {cells.index[0]!r}, so scores of types "
            "are dashes"
        )


def _check_labels_of_each(modalities: dict[str, AnnData], types: pd.Series, labels: str) -> None:
    for modality, cells in modalities.items():
        if not np.any(types[cells.obs_names] != ""):
            warn(
                f"{labels}: no cell of modality {modality!r} has a label, so scores that need "
                "labels leave out those that only it has; add the column to its file, too"
            )
