"""How pairing is hidden: a dataset becomes what a method may see (train, query) and what only the scorer receives (solution).

The query is the same cells for every kind of scenario with the same seed; only what is hidden differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.data.assemble import categorical, check_options, joined
from mosaicbench.data.preprocess import Preprocessing, check_preprocess
from mosaicbench.errors import UserError
from mosaicbench.files import KEY

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

SHARED, PRIVATE = "shared_factors", "private_factors"  # what a simulated dataset knows: keys of obsm, for the solution only


@dataclass(frozen=True)
class Measured:
    """What a scenario lets be seen.

    Attributes
    ----------
    train
        modality -> positions, among the train cells, of those in which it was measured.
    joint
        Whether a query cell has the same name in every modality, so that methods may infer from all of them at once.
    """

    train: dict[str, np.ndarray]
    joint: bool


def paired(labels: np.ndarray, modalities: list[str], rng: np.random.Generator) -> Measured:
    """Every modality was measured in every cell (vertical integration)."""
    everywhere = np.arange(len(labels))
    return Measured(train=dict.fromkeys(modalities, everywhere), joint=True)


def unpaired(labels: np.ndarray, modalities: list[str], rng: np.random.Generator) -> Measured:
    """Each train cell was measured in one modality, and nothing tells which query rows are one cell (diagonal)."""
    ranked = _shuffled_by_class(labels, rng)
    first = rng.integers(len(modalities))
    train = {m: np.sort(ranked[(first + i) % len(modalities) :: len(modalities)]) for i, m in enumerate(modalities)}
    return Measured(train=train, joint=False)


KINDS: dict[str, Callable[..., Measured]] = {"paired": paired, "unpaired": unpaired}


def cut(
    dataset: MuData,
    *,
    dataset_name: str,
    scenario: str,
    kind: str,
    seed: int,
    query_fraction: float = 0.2,
    preprocess: dict[str, dict] | None = None,
    **hiding: float,
) -> dict[str, MuData]:
    """Divide a dataset's cells into train and query, and hide what the kind of scenario hides.

    Parameters
    ----------
    dataset
        A dataset as ``files.read_dataset`` returns it.
    dataset_name, scenario
        Names to write into the parts.
    kind
        One of `KINDS`.
    seed
        Draws the division, the order of the rows, and with it their names.
    query_fraction
        Fraction of the cells that become the query, stratified by cell type (unlabelled cells are a class). A class of few
        cells may lie wholly on one side.
    preprocess
        kind of modality -> options of its transform, where they differ from the defaults in ``preprocess``.
    **hiding
        Options of the kind of scenario.

    Returns
    -------
    dict of MuData
        "train", "query" and "solution", which satisfy the contracts in ``files``.

    Raises
    ------
    UserError
        When the kind or an option is unknown, or when too few cells are left.
    """
    if kind not in KINDS:
        raise UserError(f"kind: unknown scenario kind {kind!r}; there are {', '.join(KINDS)}")
    check_options(KINDS[kind], hiding, f"scenario {scenario}")
    preprocess = {} if preprocess is None else preprocess
    check_preprocess(preprocess)
    if not 0 < query_fraction < 1:
        raise UserError(f"query_fraction: must lie between 0 and 1, found {query_fraction}")

    rng = np.random.default_rng(seed)
    labels = np.asarray(dataset.obs["cell_type"], dtype=object)
    batches = np.asarray(dataset.obs["batch"], dtype=object)
    in_query = _stratified(labels, query_fraction, rng)
    query_cells = np.flatnonzero(in_query)
    train_cells = rng.permutation(np.flatnonzero(~in_query))
    measured = KINDS[kind](labels[train_cells], list(dataset.mod), rng, **hiding)
    _check_sizes(measured, query_cells)

    train_names = np.array([f"train-{cell:06d}" for cell in range(len(train_cells))], dtype=object)
    joint_order = rng.permutation(len(query_cells))
    train, query, solution = {}, {}, {}
    for modality, cells in dataset.mod.items():
        rows = train_cells[measured.train[modality]]
        observed = cells[rows]
        fitted = Preprocessing.fit(observed, **preprocess.get(cells.uns["kind"], {}))
        train[modality] = fitted.transform(observed)
        train[modality].obs_names = pd.Index(train_names[measured.train[modality]])
        train[modality].obs["cell_type"] = categorical(labels[rows])
        train[modality].obs["batch"] = categorical(batches[rows])

        order = joint_order if measured.joint else rng.permutation(len(query_cells))
        prefix = "query" if measured.joint else f"{modality}-query"
        held_out = fitted.transform(cells[query_cells])
        query[modality] = held_out[order].copy()
        query[modality].obs_names = pd.Index([f"{prefix}-{row:06d}" for row in range(len(order))])
        query[modality].obs["batch"] = categorical(batches[query_cells[order]])
        solution[modality] = _told(held_out, cells[query_cells], query[modality].obs_names[np.argsort(order)])
        solution[modality].obs["cell_type"] = categorical(labels[query_cells])
        solution[modality].obs["batch"] = categorical(batches[query_cells])

    parts = {noun: joined(mod) for noun, mod in (("train", train), ("query", query), ("solution", solution))}
    if SHARED in dataset.obsm:
        parts["solution"].obsm[SHARED] = np.asarray(dataset.obsm[SHARED])[query_cells]
    for noun, part in parts.items():
        part.uns[KEY] = {"noun": noun, "dataset": dataset_name, "scenario": scenario, "kind": kind, "seed": seed}
    fitted_cells = {modality: cells.n_obs for modality, cells in train.items()}
    parts["train"].uns[KEY] |= {"fitted_on": "train cells", "fitted_cells": fitted_cells}
    return parts


def _shuffled_by_class(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return all positions in random order within their class, class after class.

    Taking every k-th of them, or a systematic sample, stratifies by class; a class of one cell needs no case of its own.
    """
    shuffled = rng.permutation(len(labels))
    _, classes = np.unique(labels[shuffled].astype(str), return_inverse=True)
    return shuffled[np.argsort(classes, kind="stable")]


def _stratified(labels: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Return a mask of a `fraction` of the cells: a systematic sample, with random start, of the cells ordered by class."""
    steps = np.floor(rng.random() + fraction * np.arange(len(labels) + 1))
    mask = np.zeros(len(labels), dtype=bool)
    mask[_shuffled_by_class(labels, rng)[np.diff(steps) > 0]] = True
    return mask


def _check_sizes(measured: Measured, query_cells: np.ndarray) -> None:
    fewest = min(len(rows) for rows in measured.train.values())
    if len(query_cells) < 1 or fewest < 2:
        raise UserError(
            f"query_fraction: leaves {len(query_cells)} query cells and, in one modality, {fewest} train cells; "
            "a scenario needs at least 1 and 2: give more cells or another query_fraction"
        )


def _told(held_out: AnnData, source: AnnData, query_names: pd.Index) -> AnnData:
    """Return held-out cells with the name of their row in the query and, where they are known, their private factors."""
    told = held_out.copy()
    told.obs["query_name"] = np.asarray(query_names, dtype=object)
    if PRIVATE in source.obsm:
        told.obsm[PRIVATE] = np.asarray(source.obsm[PRIVATE])
    return told
