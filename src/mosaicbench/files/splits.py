"""The split: ``train.h5mu`` and ``query.h5mu``, which a method may see, and ``solution.h5mu``, which only scorers receive.

An absent measurement is an absent row. The rows of the solution are the query cells, in one order in every modality, as far as
they were measured in it; ``obs["query_name"]`` of a modality names the row of the query. ``audit.tsv`` beside them says what
was learned from how many cells: train cells only.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse

from mosaicbench.contract import Cells, Normalization, Split, Truth
from mosaicbench.errors import ContractError
from mosaicbench.files._h5 import (
    KEY,
    check_finite,
    check_names,
    check_noun,
    read_mudata,
    write_h5,
)
from mosaicbench.files.dataset import ACTIVITY, links_between
from mosaicbench.files.identity import OF_SPLIT, check_place

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

BLOCK_VALUES = 2**22  # values that become dense at once
NORMALIZATIONS = {"lognorm", "clr", "lsi", "continuous"}


def write_split(path: str | Path, split: MuData) -> None:
    """Check and write one part of a split: train, query or solution, as ``uns["mosaicbench"]["noun"]`` says."""
    _check_split(path, split, split.uns[KEY]["noun"])
    write_h5(path, split)


def read_split(path: str | Path, noun: str, place: Mapping | None = None) -> MuData:
    """Read and check one part of a split.

    Parameters
    ----------
    noun
        "train", "query" or "solution".
    place
        Whose it should be, as far as that is known: dataset, scenario, seed.
    """
    split = read_mudata(path, noun)
    _check_split(path, split, noun)
    check_place(
        path, split.uns[KEY], {} if place is None else {key: place[key] for key in OF_SPLIT}
    )
    return split


def identity_of(split: MuData) -> dict:
    """Return the dataset, scenario and seed of a part of a split."""
    return {key: split.uns[KEY][key] for key in OF_SPLIT}


def _check_split(path: str | Path, split: MuData, noun: str) -> None:
    check_noun(path, split, noun)
    for modality, cells in split.mod.items():
        check_names(path, modality, cells)
        matrix = _matrix_of(cells)
        check_finite(path, modality, matrix.data if scipy.sparse.issparse(matrix) else matrix)
        if noun == "query" and "cell_type" in cells.obs:
            raise ContractError(
                f"{path}: the query shows cell types in modality {modality!r}; only the solution may"
            )
        places = split.obs_names.get_indexer(cells.obs_names)
        if noun == "solution" and (np.any(places < 0) or np.any(np.diff(places) <= 0)):
            raise ContractError(
                f"{path}: the rows of modality {modality!r} are not the solution's cells in order"
            )


def _matrix_of(cells: AnnData) -> scipy.sparse.csr_matrix | np.ndarray:
    return cells.obsm["X_lsi"] if cells.uns["normalization"] == "lsi" else cells.X


def space_values(cells: AnnData) -> np.ndarray:
    """Return one modality's values in its declared space, (cells, features) float32, not standardised."""
    matrix = _matrix_of(cells)
    return np.asarray(
        matrix.toarray() if scipy.sparse.issparse(matrix) else matrix, dtype=np.float32
    )


def feature_names(cells: AnnData) -> list[str]:
    """Return the names of the columns of :func:`space_values`."""
    if cells.uns["normalization"] == "lsi":
        return [f"LSI_{component + 2}" for component in range(cells.obsm["X_lsi"].shape[1])]
    return list(cells.var_names)


def standardised_values(cells: AnnData, rows: np.ndarray | None = None) -> np.ndarray:
    """Return :func:`space_values` less the train cells' mean, over the split's standard deviations, clipped to +-10.

    Where the split's preprocessing does not standardise, the deviations are 1 and nothing is clipped.

    `rows` are places of cells, all by default. They become dense a few thousand at a time: of a million cells the result alone
    takes gigabytes, and each step to it would take them once more.
    """
    matrix = _matrix_of(cells)
    rows = np.arange(cells.n_obs) if rows is None else rows
    values = np.empty((len(rows), matrix.shape[1]), dtype=np.float32)
    size = max(1, BLOCK_VALUES // max(1, matrix.shape[1]))
    for part in (slice(first, first + size) for first in range(0, len(rows), size)):
        block = matrix[rows[part]]
        x = np.asarray(block.toarray() if scipy.sparse.issparse(block) else block, dtype=np.float32)
        x = (x - cells.uns["mean"]) / cells.uns["std"]
        values[part] = np.clip(x, -10, 10) if cells.uns.get("standardised", True) else x
    return values


def unstandardised_values(cells: AnnData, x: np.ndarray) -> np.ndarray:
    """Take standardised values `x` (rows, features) back to the value space that `cells` declares."""
    return (x * cells.uns["std"] + cells.uns["mean"]).astype(np.float32)


def complete_cells(part: MuData) -> pd.Index:
    """Return the names of the cells of `part` in which every modality was observed, in the first modality's order."""
    first, *others = (cells.obs_names for cells in part.mod.values())
    return first[np.all([first.isin(names) for names in others], axis=0)]


def as_split(train: MuData, *, labels: bool, links: bool = False) -> Split:
    """Return train cells as blocks that share what was observed; cell types and links are shown only if asked for."""
    blocks = []
    patterns = pd.DataFrame(
        {m: train.obs_names.isin(train[m].obs_names) for m in train.mod}, index=train.obs_names
    )
    for pattern, rows in patterns.groupby(list(patterns.columns), sort=False):
        observed = [modality for modality, seen in zip(train.mod, pattern, strict=True) if seen]
        blocks.append(
            as_cells(train, observed, rows.index, labels=labels, links=links, counts=True)
        )
    return Split(
        blocks=tuple(blocks),
        features={m: len(feature_names(train[m])) for m in train.mod},
        normalizations={
            m: normalization_of(cells) for m, cells in train.mod.items() if "counts" in cells.layers
        },
        links=_links(train) if links else {},
    )


def as_cells(
    part: MuData,
    modalities: list[str],
    names: pd.Index | None = None,
    *,
    labels: bool = False,
    links: bool = False,
    counts: bool = False,
) -> Cells:
    """Return the cells of `part` called `names` (default: all of the first modality), showing only `modalities`."""
    first = part[modalities[0]]
    names = first.obs_names if names is None else names
    rows = {modality: part[modality].obs_names.get_indexer(names) for modality in modalities}
    for modality, index in rows.items():
        if np.any(index < 0):
            raise ContractError(
                f"{(index < 0).sum()} cells asked for are not observed in modality {modality!r}"
            )
    obs = first.obs.loc[names]
    counted = {m: index for m, index in rows.items() if counts and "counts" in part[m].layers}
    return Cells(
        names=np.asarray(names, dtype=object),
        values={
            modality: standardised_values(part[modality], index) for modality, index in rows.items()
        },
        labels=np.asarray(obs["cell_type"], dtype=object) if labels else None,
        batches=np.asarray(obs["batch"], dtype=object),
        counts={
            modality: _rows_of(part[modality].layers["counts"], index)
            for modality, index in counted.items()
        },
        library_size={
            modality: part[modality].obs["total"].to_numpy()[index]
            for modality, index in counted.items()
        },
        gene_activity=_activity(part, rows) if links else {},
    )


def _rows_of(counts: scipy.sparse.csr_matrix, rows: np.ndarray) -> scipy.sparse.csr_matrix:
    """Return the counts at `rows`; those of all cells in their order are not copied."""
    return counts if np.array_equal(rows, np.arange(counts.shape[0])) else counts[rows]


def _activity(part: MuData, rows: dict[str, np.ndarray]) -> dict[str, scipy.sparse.csr_matrix]:
    """Return the gene activities at `rows` of the modalities that have them."""
    having = [modality for modality in rows if ACTIVITY in part[modality].obsm]
    return {
        modality: scipy.sparse.csr_matrix(part[modality].obsm[ACTIVITY])[rows[modality]]
        for modality in having
    }


def _links(train: MuData) -> dict[tuple[str, str], scipy.sparse.csr_matrix]:
    """Return the links between every two modalities that have any."""
    found = {pair: links_between(train, *pair) for pair in permutations(train.mod, 2)}
    return {pair: links for pair, links in found.items() if links.nnz}


def normalization_of(train: AnnData) -> Normalization:
    """Return what leads from counts to values in one modality of the train cells."""
    counts = scipy.sparse.csr_matrix(train.layers["counts"])
    accessible = counts.getnnz(axis=0) / counts.shape[0]
    total = train.obs["total"].to_numpy(dtype=np.float64)
    lsi = train.uns["normalization"] == "lsi"
    return Normalization(
        kind=train.uns["normalization"],
        mean=train.uns["mean"],
        std=train.uns["std"],
        library_size=float(np.median(total)),
        fraction=np.asarray(counts.sum(axis=0)).ravel() / max(total.sum(), 1),
        accessible=accessible,
        mean_if_accessible=np.asarray(train.X.sum(axis=0)).ravel()
        / np.maximum(counts.getnnz(axis=0), 1)
        if lsi
        else None,
        loadings=train.varm["LSI"] if lsi else None,
    )


def as_truth(solution: MuData) -> Truth:
    """Return what the positive controls may know of the query cells; 0, the train mean, stands for what was not measured."""
    places = places_of(solution)
    names = {m: cells.obs["query_name"] for m, cells in solution.mod.items()}
    rows = {
        name: int(place)
        for m in solution.mod
        for place, name in zip(places[m], names[m], strict=True)
    }
    values_of = {}
    for modality, cells in solution.mod.items():
        own = (space_values(cells) - cells.uns["mean"]) / cells.uns["std"]
        whole = len(places[modality]) == solution.n_obs
        values_of[modality] = (
            own if whole else np.zeros((solution.n_obs, own.shape[1]), dtype=own.dtype)
        )
        values_of[modality][places[modality]] = own
    return Truth(rows=rows, labels=said_of_cells(solution, "cell_type"), values=values_of)


def places_of(solution: MuData) -> dict[str, np.ndarray]:
    """Return modality -> places of its rows among all query cells, ascending."""
    return {
        modality: solution.obs_names.get_indexer(cells.obs_names)
        for modality, cells in solution.mod.items()
    }


def said_of_cells(solution: MuData, column: str) -> np.ndarray:
    """Return (cells,) what the modalities' ``obs`` says of all query cells."""
    said = np.full(solution.n_obs, "", dtype=object)
    for modality, places in places_of(solution).items():
        said[places] = np.asarray(solution[modality].obs[column], dtype=object)
    return said
