"""The audit of a split: what was learned from which cells, and what train and query share."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.data.normalize import Learned
from mosaicbench.files.splits import standardised_values

if TYPE_CHECKING:
    from anndata import AnnData

AUDIT_COLUMNS = ["dataset", "scenario", "seed", "modality", "role", "what", "cells"]
AUDIT_COLUMNS += ["train_cells", "query_cells", "digest"]
SHARED_BY = ("batch", "donor")  # columns of obs whose groups train and query cells may share
LEARNED = ("fit", "label")  # roles in which a query cell may take no part
CELLS = 5_000  # sample of either side: the standard error of its variance is 2 %


def audit_table(
    obs: pd.DataFrame,
    in_query: np.ndarray,
    entries: list[tuple[str, Learned]],
    *,
    stratified: bool,
) -> pd.DataFrame:
    """Return a row for each thing learned, designed or shared, with numbers of cells.

    Roles: "division", what the division into train and query used or leaves in both; "design", what
    decided which cells are measured in what, or chose features before; "fit" and "label", what was
    learned from train cells; "fit on all", what the config had learned from query cells, too; "scale",
    how much query values vary beside train values. Equal digests mean equal sets of cells.

    Parameters
    ----------
    obs
        All cells of the dataset.
    in_query
        (cells,) mask of query cells.
    entries
        Modality, or "-" for all, and what to record of it.
    stratified
        Whether cell types of all cells stratify the division.

    Raises
    ------
    RuntimeError
        When anything was learned from a cell that is no train cell.
    """
    rows = []
    if stratified:
        rows.append(("-", Learned("cell types stratify the split", obs.index, "division")))
    for column in [name for name in SHARED_BY if name in obs]:
        groups = obs[column].astype(str).to_numpy()
        if (several := len(set(groups) - {""})) > 1:
            shared = set(groups[in_query]) & set(groups[~in_query]) - {""}
            what = f"{len(shared)} of {several} groups of {column} are on both sides"
            cells = obs.index[np.isin(groups, list(shared))]
            rows.append(("-", Learned(what, cells, "division")))
    return pd.DataFrame([_counted(obs.index, in_query, *row) for row in rows + entries])


def _counted(
    names: pd.Index, in_query: np.ndarray, modality: str, entry: Learned
) -> dict[str, object]:
    positions = names.get_indexer(entry.cells)
    query = int(in_query[positions[positions >= 0]].sum())
    train = int((positions >= 0).sum()) - query
    if entry.role in LEARNED and train < len(entry.cells):
        raise RuntimeError(
            f"{entry.what} of modality {modality!r} was learned from cells that are no train cells"
        )
    digest = hashlib.sha256("\n".join(sorted(map(str, entry.cells))).encode()).hexdigest()[:16]
    return {
        "modality": modality,
        "role": entry.role,
        "what": entry.what,
        "cells": len(entry.cells),
        "train_cells": train,
        "query_cells": query,
        "digest": digest,
    }


def variation(train: AnnData, query: AnnData) -> str:
    """Say how much a modality's query values vary beside its train values.

    The number is the ratio of their variances as methods see them, of at most `CELLS` cells, each
    summed over features.
    """
    of_train, of_query = (
        standardised_values(part, _some(part.n_obs)).var(axis=0, dtype=np.float64).sum()
        for part in (train, query)
    )
    ratio = of_query / of_train if of_train > 0 else float("nan")
    return f"query values vary {ratio:.3f} times as much as train values"


def _some(cells: int) -> np.ndarray:
    if cells <= CELLS:
        return np.arange(cells)
    return np.sort(np.random.default_rng(0).choice(cells, CELLS, replace=False))
