"""All checks of what was read: names, values and labels together, once, at the end of reading.

An input that would make a benchmark meaningless is refused; what is odd is warned of; each message
says what to do. :func:`check_measured` is the list of the checks; a new one is a line there.
"""

from __future__ import annotations

import re
import warnings
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.errors import DataWarning, UserError

if TYPE_CHECKING:
    from anndata import AnnData

RESERVED = "joint"  # the name of latents of all modalities together
NAME = re.compile(r"\w[\w.+ -]*")  # it is a group of a file, a part of "rna->adt" and of columns
LARGEST_LOGARITHM = 12  # rounded up: log1p of counts per ten thousand, or of a count
# In so many cells with so many features each, the largest count cannot be so small.
RICH, MANY = 500, 100
SAMPLE, FEATURES = 1000, 200  # cells and features per modality that the test for twins uses
# Median, over features, of the best rank correlation with a feature of the other modality.
SAME, SUSPICIOUS = 0.99, 0.9
MOST = 0.5  # fraction of the cells above which "most" begins


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
        When a modality's name cannot be part of a file; when a modality is empty, has one feature, or
        names its cells otherwise than the others; when two modalities hold equal or nearly collinear
        numbers: then one file was given twice, and every score would be perfect; or when `labels` is
        given and no cell has one.
    """
    for name in modalities:
        _check_name(name)
    _check_overlap({modality: cells.obs_names for modality, cells in modalities.items()})
    for modality, cells in modalities.items():
        _check_size(modality, cells)
        _check_counts(modality, cells)
        _check_silent_cells(modality, cells)
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
    if hint := _name_hint(names):
        raise UserError(
            f"path: modalities share no cell name ({firsts}){hint}; give all files the same cell "
            "names"
        )
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


def _name_hint(names: dict[str, pd.Index]) -> str:
    """Return how to make cell names of two modalities agree, "" if nothing simple helps."""
    for (first, index), (other, other_index) in combinations(names.items(), 2):
        if len(index.intersection(other_index)):
            continue
        bare, other_bare = _without_ending(index), _without_ending(other_index)
        enough = MOST * min(len(bare), len(other_bare))
        if len(bare & other_bare) > enough:
            return f"; those of {first!r} and {other!r} agree but for an ending such as '-1'"
        if len({"_".join(reversed(name.split("_"))) for name in bare} & other_bare) > enough:
            return f"; those of {first!r} and {other!r} agree but for the order of their parts"
    return ""


def _without_ending(names: pd.Index) -> set[str]:
    """Return names without an ending such as "-1", unchanged if only the ending distinguishes them."""
    bare = set(names.str.replace(r"-\d+$", "", regex=True))
    return bare if len(bare) > MOST * len(names) else set(names)


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


def _check_silent_cells(modality: str, cells: AnnData) -> None:
    silent = int(np.sum(np.diff(_values(cells).indptr) == 0))
    if silent:
        warn(
            f"modality {modality!r}: {silent} of {cells.n_obs} cells show no feature at all; "
            f"say qc: {{{modality}: {{min_counts: 1}}}} to drop them"
        )


def _check_twins(modalities: dict[str, AnnData]) -> None:
    """Refuse one measurement given twice, even if it was scaled, transformed or reordered.

    Where one file was given twice, each feature's best absolute rank correlation with a feature of the
    other modality is 1.
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


def _check_labels_of_each(modalities: dict[str, AnnData], types: pd.Series, labels: str) -> None:
    for modality, cells in modalities.items():
        if not np.any(types[cells.obs_names] != ""):
            warn(
                f"{labels}: no cell of modality {modality!r} has a label, so scores that need "
                "labels leave out those that only it has; add the column to its file, too"
            )
