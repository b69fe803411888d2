"""Read latents and imputed values that another program computed, and find each cell by its name.

A name is that of a row of the split, such as ``query-000012``, or the dataset's name of the cell,
such as its barcode. Rows have the same names in every seed, so a file that uses them names its split
in ``uns["mosaicbench"]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.errors import ContractError
from mosaicbench.files._h5 import KEY, check_finite, quiet_mudata, read_cells, read_h5
from mosaicbench.files.identity import OF_SPLIT
from mosaicbench.files.splits import (
    complete_cells,
    dense,
    feature_names,
    identity_of,
    query_names,
    train_names,
)

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


@dataclass(frozen=True)
class Names:
    """The names of a split's cells.

    Attributes
    ----------
    place
        dataset, scenario and seed of the split.
    query
        Source of latents -> the dataset's own name of each query cell -> its name in the split.
    train
        The same of the train cells that were measured in it.
    """

    place: dict[str, object]
    query: dict[str, pd.Series]
    train: dict[str, pd.Series]

    @classmethod
    def of(cls, train: MuData, query: MuData, solution: MuData) -> Names:
        """Return the names of a split's parts; joint is a source where query cells with all modalities are there."""
        of_query, barcodes = query_names(solution), train_names(solution)
        measured = {m: train[m].obs_names for m in train.mod} | {"joint": complete_cells(train)}
        if not len(complete_cells(query)):
            del of_query["joint"], measured["joint"]
        of_train = {
            source: pd.Series(names.astype(str), barcodes[names.astype(str)].to_numpy(), object)
            for source, names in measured.items()
        }
        return cls(identity_of(solution), of_query, of_train)

    def of_source(self, path: Path, source: str) -> tuple[pd.Series, pd.Series]:
        """Return the names of a source's query and train cells.

        Raises
        ------
        ContractError
            When the split has no such source.
        """
        if source not in self.query:
            alone = " (the query shows no cell with all modalities)" if source == "joint" else ""
            raise ContractError(
                f"{path}: there is no source {source!r} in this split{alone}; there are {', '.join(self.query)}"
            )
        return self.query[source], self.train[source]


def latents_from(
    path: Path, names: Names
) -> tuple[dict[tuple[str, str], tuple[np.ndarray, np.ndarray]], list[str]]:
    """Return (source, subset) -> (names in the split, (cells, latent)), and remarks.

    Parameters
    ----------
    path
        An ``.h5ad``: coordinates in X, the modality or "joint" (the default) in ``obs["source"]``,
        the cell in ``obs["cell"]`` or else in the names of the rows.
    names
        Of the split.

    Raises
    ------
    ContractError
        When a query cell is missing or there twice, a value is not finite, or the file is of another split.
    """
    import anndata

    table = read_h5(path, anndata.read_h5ad)
    if table.X is None or not table.n_obs:
        raise ContractError(f"{path}: X is empty; put a row of coordinates there for each cell")
    z = dense(table.X)
    cells = _column(table, "cell", pd.Series(table.obs_names, index=table.obs_names))
    sources = _column(table, "source", pd.Series("joint", index=table.obs_names))
    latents, remarks = {}, []
    for source in dict.fromkeys(sources):
        rows = np.flatnonzero(sources == source)
        of_query, of_train = names.of_source(path, source)
        check_finite(path, source, z[rows])
        query, train, others = _split(
            path, source, cells[rows], of_query, of_train, names, table.uns
        )
        latents[source, "query"] = (of_query.to_numpy(dtype=object), z[rows[query]])
        if len(train):
            latents[source, "train"] = (of_train.to_numpy(dtype=object), z[rows[train]])
        else:
            remarks.append(
                f"no latents of train cells of {source}, so no labels can be transferred from them"
            )
        if others:
            remarks.append(f"{others} rows of {source} are of cells that this split does not show")
    return latents, remarks


def imputed_from(
    path: Path, names: Names, query: MuData
) -> tuple[dict[tuple[str, str], tuple[np.ndarray, np.ndarray]], list[str]]:
    """Return (source, target) -> (names in the split, (cells, features) in the target's normalization), and remarks.

    Parameters
    ----------
    path
        An ``.h5mu`` with a modality for each direction, such as rna->adt: rows are cells, columns the target's features.
    names, query
        Of the split.

    Raises
    ------
    ContractError
        As of :func:`latents_from`; also when a feature is missing or there twice.
    """
    import mudata

    with quiet_mudata():
        table = read_h5(path, mudata.read_h5mu)
    imputed, remarks = {}, []
    for direction, values in table.mod.items():
        source, _, target = direction.partition("->")
        if target not in query.mod or source not in query.mod or source == target:
            raise ContractError(
                f"{path}: {direction!r} is no direction between two of {', '.join(query.mod)}, such as rna->adt"
            )
        of_query, of_train = names.of_source(path, source)
        if values.X is None:
            raise ContractError(f"{path}: {direction}: X is empty; put the values there")
        wanted, features = feature_names(query[target]), pd.Index(values.var_names.astype(str))
        if not features.is_unique:
            raise ContractError(
                f"{path}: {direction} has the feature {features[features.duplicated()][0]!r} twice"
            )
        columns = features.get_indexer(wanted)
        if (columns < 0).any():
            missing = wanted[int(np.argmax(columns < 0))]
            raise ContractError(
                f"{path}: {direction} lacks {(columns < 0).sum()} of {len(wanted)} features, such as {missing!r}"
            )
        cells = values.obs_names.astype(str).to_numpy(dtype=object)
        places, _, others = _split(path, direction, cells, of_query, of_train, names, table.uns)
        x = dense(values.X[places][:, columns])
        check_finite(path, direction, x)
        imputed[source, target] = (of_query.to_numpy(dtype=object), x)
        if others:
            remarks.append(f"{others} rows of {direction} are of cells that are not in the query")
    return imputed, remarks


def vectors_from(path: Path, key: str, names: Names) -> dict[str, np.ndarray]:
    """Return the vectors, (dims,), of all cells with RNA, by name in the split.

    Parameters
    ----------
    path
        An ``.h5ad`` with a row for each cell, named as in the dataset; others are ignored.
    key
        Where its ``obsm`` has the embedding, or "X".
    names
        Of the split.

    Raises
    ------
    ContractError
        When the file has no such embedding, a cell is missing or there twice, or a value is not finite.
    """
    table = read_cells(path)
    given = table.X if key == "X" else table.obsm.get(key)
    if given is None or given.shape[1] < 2:
        raise ContractError(
            f"{path}: no embedding of two or more dimensions in {key}; name its place in the run's "
            f"`key`: {', '.join(['X', *table.obsm])}"
        )
    z = dense(given)
    check_finite(path, key, z)
    index = table.obs_names.astype(str)
    if not index.is_unique:
        raise ContractError(f"{path}: the cell {index[index.duplicated()][0]!r} is there twice")
    wanted = pd.concat([names.query["rna"], names.train["rna"]])
    places = index.get_indexer(wanted.index)
    missing = wanted.index[places < 0]
    if len(missing):
        raise ContractError(
            f"{path}: it lacks {len(missing)} of {len(wanted)} cells with RNA, such as "
            f"{', '.join(missing[:3])}; its rows are named like {index[0]}: embed all cells, and "
            "name them like the dataset's"
        )
    return dict(zip(wanted, z[places], strict=True))


def _column(table: AnnData, name: str, otherwise: pd.Series) -> np.ndarray:
    return table.obs.get(name, otherwise).astype(str).to_numpy(dtype=object)


def _split(
    path: Path,
    what: str,
    cells: np.ndarray,
    query: pd.Series,
    train: pd.Series,
    names: Names,
    uns: Mapping,
) -> tuple[np.ndarray, np.ndarray, int]:
    index = pd.Index(cells)
    if not index.is_unique:
        raise ContractError(f"{path}: {what} has the cell {index[index.duplicated()][0]!r} twice")
    anonymous = index.isin(query.to_numpy()).any()
    _check_place(path, uns, names.place, needed=anonymous)
    found = [
        index.get_indexer(part.to_numpy() if anonymous else part.index) for part in (query, train)
    ]
    for part, places, subset in zip((query, train), found, ("query", "train"), strict=True):
        lacking = places < 0
        if lacking.any() and (subset == "query" or not lacking.all()):
            first = int(np.argmax(lacking))
            raise ContractError(
                f"{path}: {what} lacks {lacking.sum()} of {len(part)} {subset} cells of this split, such as {part.iloc[first]!r} "
                f"({part.index[first]!r} in the dataset); name the rows like those of {subset}.h5mu, or like the dataset's cells"
                + ("" if subset == "query" else "; all train cells, or none")
            )
    of_train = found[1][found[1] >= 0]
    return found[0], of_train, len(cells) - len(found[0]) - len(of_train)


def _check_place(path: Path, uns: Mapping, place: dict[str, object], *, needed: bool) -> None:
    given = uns.get(KEY, {})
    if needed and not set(OF_SPLIT) <= set(given):
        raise ContractError(
            f"{path}: its cells are named like query-000000, as in every seed; say of which split they are: copy "
            f'uns["{KEY}"] of the query.h5mu that was read, or name the cells as the dataset does'
        )
    for key, wanted in place.items():
        if key in given and str(given[key]) != str(wanted):
            raise ContractError(
                f"{path}: it says {key} {given[key]} about itself, and this split is of {key} {wanted}"
            )
