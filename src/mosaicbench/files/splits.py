"""The split: ``train.h5mu`` and ``query.h5mu`` for methods, ``solution.h5mu`` for scorers only.

An absent measurement is an absent row. The rows of the solution are the query cells, in one order
in every modality that measured them; ``obs["query_name"]`` of a modality names the row of the
query. ``audit.tsv`` beside them says what was learned from how many cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse

from mosaicbench.contract import Cells, Normalization, Split, Truth
from mosaicbench.errors import ContractError
from mosaicbench.files._h5 import KEY, read_mudata, write_h5
from mosaicbench.files.dataset import ACTIVITY, links_between
from mosaicbench.files.identity import OF_SPLIT, check_place

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

BLOCK_VALUES = 2**22  # values that become dense at once


def write_split(path: str | Path, split: MuData) -> None:
    """Write one part of a split, as ``uns["mosaicbench"]["noun"]`` says; a query shows no type."""
    for modality, cells in split.mod.items():
        if split.uns[KEY]["noun"] == "query" and "cell_type" in cells.obs:
            raise ContractError(
                f"{path}: the query shows cell types in modality {modality!r}; only the solution may"
            )
    write_h5(path, split)


def read_split(path: str | Path, noun: str, place: Mapping | None = None) -> MuData:
    """Read one part of a split.

    Parameters
    ----------
    noun
        "train", "query" or "solution".
    place
        Expected dataset, scenario and seed, None where they are unknown.
    """
    split = read_mudata(path, noun)
    check_place(path, split.uns[KEY], place and {key: place[key] for key in OF_SPLIT})
    return split


def identity_of(split: MuData) -> dict:
    """Return the dataset, scenario and seed of a part of a split."""
    return {key: split.uns[KEY][key] for key in OF_SPLIT}


def _matrix_of(cells: AnnData) -> scipy.sparse.csr_matrix | np.ndarray:
    return cells.obsm["X_lsi"] if cells.uns["normalization"] == "lsi" else cells.X


def space_values(cells: AnnData) -> np.ndarray:
    """Return one modality's normalized values, (cells, features) float32, not standardised."""
    return dense(_matrix_of(cells))


def dense(matrix: scipy.sparse.csr_matrix | np.ndarray) -> np.ndarray:
    """Return a matrix as a float32 array."""
    return np.asarray(
        matrix.toarray() if scipy.sparse.issparse(matrix) else matrix, dtype=np.float32
    )


def feature_names(cells: AnnData) -> list[str]:
    """Return the names of the columns of :func:`space_values`."""
    if cells.uns["normalization"] == "lsi":
        return [f"LSI_{component + 2}" for component in range(cells.obsm["X_lsi"].shape[1])]
    return list(cells.var_names)


def standardised_values(cells: AnnData, rows: np.ndarray | None = None) -> np.ndarray:
    """Return normalized values less the train cells' mean, over their std, clipped to +-10.

    Where the split's preprocessing does not standardise, the std is 1 and nothing is clipped. Cells
    (those at the positions `rows`, all by default) become dense a few thousand at a time.
    """
    matrix = _matrix_of(cells)
    rows = np.arange(cells.n_obs) if rows is None else rows
    values = np.empty((len(rows), matrix.shape[1]), dtype=np.float32)
    size = max(1, BLOCK_VALUES // max(1, matrix.shape[1]))
    for first in range(0, len(rows), size):
        part = slice(first, first + size)
        x = (dense(matrix[rows[part]]) - cells.uns["mean"]) / cells.uns["std"]
        values[part] = np.clip(x, -10, 10) if cells.uns.get("standardised", True) else x
    return values


def unstandardised_values(cells: AnnData, x: np.ndarray) -> np.ndarray:
    """Take standardised values (rows, features) back to the normalization that `cells` declares."""
    return (x * cells.uns["std"] + cells.uns["mean"]).astype(np.float32)


def values_table(cells: AnnData, names: Sequence[str], x: np.ndarray) -> AnnData:
    """Return values (names, features) in the normalization that `cells` declares as a table."""
    import anndata

    return anndata.AnnData(
        X=x,
        obs=pd.DataFrame(index=pd.Index(names).astype(str)),
        var=pd.DataFrame(index=feature_names(cells)),
        uns={"normalization": cells.uns["normalization"]},
    )


def complete_cells(part: MuData) -> pd.Index:
    """Return the names of the cells with all modalities, in the first modality's order."""
    first, *others = (cells.obs_names for cells in part.mod.values())
    return first[np.all([first.isin(names) for names in others], axis=0)]


def as_split(train: MuData, *, labels: bool, links: bool = False) -> Split:
    """Return train cells as blocks of equal modalities; cell types and links only on request."""
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
    """Return the cells `names` (default: all of the first modality) with `modalities` alone."""
    first = part[modalities[0]]
    names = first.obs_names if names is None else names
    rows = {modality: part[modality].obs_names.get_indexer(names) for modality in modalities}
    for modality, index in rows.items():
        if np.any(index < 0):
            raise ContractError(
                f"{(index < 0).sum()} of these cells are not observed in modality {modality!r}"
            )
    obs = first.obs.loc[names]
    counted = {m: index for m, index in rows.items() if counts and "counts" in part[m].layers}
    return Cells(
        names=np.asarray(names, dtype=object),
        values={m: standardised_values(part[m], index) for m, index in rows.items()},
        labels=np.asarray(obs["cell_type"], dtype=object) if labels else None,
        batches=np.asarray(obs["batch"], dtype=object),
        counts={m: _rows_of(part[m].layers["counts"], index) for m, index in counted.items()},
        library_size={m: part[m].obs["total"].to_numpy()[index] for m, index in counted.items()},
        gene_activity={
            m: scipy.sparse.csr_matrix(part[m].obsm[ACTIVITY])[index]
            for m, index in rows.items()
            if links and ACTIVITY in part[m].obsm
        },
    )


def _rows_of(counts: scipy.sparse.csr_matrix, rows: np.ndarray) -> scipy.sparse.csr_matrix:
    # All cells in order need no copy.
    return counts if np.array_equal(rows, np.arange(counts.shape[0])) else counts[rows]


def _links(train: MuData) -> dict[tuple[str, str], scipy.sparse.csr_matrix]:
    pairs = {pair: links_between(train, *pair) for pair in permutations(train.mod, 2)}
    return {pair: links for pair, links in pairs.items() if links.nnz}


def normalization_of(train: AnnData) -> Normalization:
    """Return what leads from counts to values in one modality of the train cells."""
    counts = scipy.sparse.csr_matrix(train.layers["counts"])
    seen = counts.getnnz(axis=0)
    total = train.obs["total"].to_numpy(dtype=np.float64)
    lsi = train.uns["normalization"] == "lsi"
    sums = np.asarray(train.X.sum(axis=0)).ravel() if lsi else None
    return Normalization(
        kind=train.uns["normalization"],
        mean=train.uns["mean"],
        std=train.uns["std"],
        library_size=float(np.median(total)),
        fraction=np.asarray(counts.sum(axis=0)).ravel() / max(total.sum(), 1),
        accessible=seen / counts.shape[0],
        mean_if_accessible=sums / np.maximum(seen, 1) if lsi else None,
        loadings=train.varm["LSI"] if lsi else None,
    )


def as_truth(solution: MuData) -> Truth:
    """Return what the positive controls may know of the query cells.

    A value that was not measured is 0, the mean of the train cells.
    """
    rows, values_of = {}, {}
    for modality, places in places_of(solution).items():
        cells = solution[modality]
        rows |= dict(zip(cells.obs["query_name"], places.tolist(), strict=True))
        x = (space_values(cells) - cells.uns["mean"]) / cells.uns["std"]
        values_of[modality] = np.zeros((solution.n_obs, x.shape[1]), dtype=x.dtype)
        values_of[modality][places] = x
    return Truth(rows=rows, labels=said_of_cells(solution, "cell_type"), values=values_of)


def query_names(solution: MuData) -> dict[str, pd.Series]:
    """Return source of latents -> the query's name of each of its cells, by the dataset's own name."""
    names = {m: cells.obs["query_name"].astype(str) for m, cells in solution.mod.items()}
    return names | {"joint": next(iter(names.values())).loc[complete_cells(solution)]}


def train_names(solution: MuData) -> pd.Series:
    """Return the dataset's own name of each train cell, by its name in the split."""
    names = np.asarray(solution.uns["train_cells"], dtype=object)
    return pd.Series(names, [f"train-{number:06d}" for number in range(len(names))], object)


def places_of(solution: MuData) -> dict[str, np.ndarray]:
    """Return modality -> positions of its rows among all query cells, ascending."""
    return {
        modality: solution.obs_names.get_indexer(cells.obs_names)
        for modality, cells in solution.mod.items()
    }


def said_of_cells(solution: MuData, column: str) -> np.ndarray:
    """Return a column of the modalities' ``obs`` for all query cells, (cells,)."""
    said = np.full(solution.n_obs, "", dtype=object)
    for modality, places in places_of(solution).items():
        said[places] = np.asarray(solution[modality].obs[column], dtype=object)
    return said
