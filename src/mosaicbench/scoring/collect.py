"""From what was read of a run and its split to the evidence: every array in the order of the solution's cells."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.errors import ContractError
from mosaicbench.files.runs import draws_of, latents_of, predicted_of, private_of
from mosaicbench.files.splits import complete_cells, feature_names, places_of, said_of_cells
from mosaicbench.scoring.run_data import Drawn, RunData

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData
    from scipy import sparse

    from mosaicbench.files._h5 import Modalities

NEARLY_EQUAL = 0.999  # correlation of the entries of two modalities
COMPARED_ROWS = 200


def run_data_of(
    folder: Path,
    *,
    train: MuData,
    solution: MuData,
    latents: AnnData,
    imputed: Modalities,
    record: dict,
    history: pd.DataFrame,
) -> RunData:
    """Return what is known of one run and seed.

    Parameters
    ----------
    folder
        The run's, for messages.
    train, solution
        Of the split.
    latents, imputed, record, history
        What the run wrote.

    Raises
    ------
    ContractError
        When the rows of the run are not the solution's cells.
    """
    query_names = {
        modality: cells.obs["query_name"].astype(str) for modality, cells in solution.mod.items()
    }
    complete = complete_cells(solution)
    query_names["joint"] = next(iter(query_names.values())).loc[complete]
    rows = places_of(solution) | {"joint": solution.obs_names.get_indexer(complete)}
    sources = list(dict.fromkeys(latents.obs["source"]))
    of_query, of_train = (
        {source: latents_of(latents, source, of) for source in sources} for of in ("query", "train")
    )
    query = {
        source: _places(folder, names, query_names[source])
        for source, (names, _) in of_query.items()
    }
    train_labels = {
        source: _train_labels(train, source, names) for source, (names, _) in of_train.items()
    }
    peaks = {
        modality: cells
        for modality, cells in solution.mod.items()
        if cells.uns["normalization"] == "lsi"
    }
    return RunData(
        record=record,
        batches=said_of_cells(solution, "batch"),
        labels=said_of_cells(solution, "cell_type"),
        rows={source: places for source, places in rows.items() if len(places) < solution.n_obs},
        latents={source: z[query[source]] for source, (_, z) in of_query.items()},
        private_latents=_private(latents, query, rows),
        train_latents={source: z for source, (_, z) in of_train.items()},
        train_labels=train_labels,
        label_subset=_labelled(train, of_train, train_labels),
        predicted=_where_given(
            {source: predicted_of(latents, source, "query") for source in sources}, query
        ),
        imputed={
            direction: cells.X[
                _places(folder, cells.obs_names, query_names[direction.split("->")[0]])
            ]
            for direction, cells in imputed.mod.items()
        },
        drawn=_drawn(imputed, query_names),
        truth={modality: values_of(cells) for modality, cells in solution.mod.items()},
        spaces={modality: cells.uns["normalization"] for modality, cells in solution.mod.items()},
        train_mean={modality: cells.uns["mean"] for modality, cells in solution.mod.items()},
        train_std={modality: cells.uns["std"] for modality, cells in solution.mod.items()},
        feature_names={modality: feature_names(cells) for modality, cells in solution.mod.items()},
        celltype_means={modality: _celltype_means(cells) for modality, cells in train.mod.items()},
        accessible={modality: cells.X for modality, cells in peaks.items()},
        loadings={modality: cells.varm["LSI"] for modality, cells in peaks.items()},
        shared_factors=solution.obsm.get("shared_factors"),
        private_factors={
            modality: cells.obsm["private_factors"]
            for modality, cells in solution.mod.items()
            if "private_factors" in cells.obsm
        },
        shared_driven={
            modality: cells.var["shared_driven"].to_numpy()
            for modality, cells in solution.mod.items()
            if "shared_driven" in cells.var and modality not in peaks
        },
        history={name: column.to_numpy() for name, column in history.items()},
    )


def refuse_one_matrix_twice(split: Path, values: dict[str, np.ndarray | sparse.csr_matrix]) -> None:
    """Refuse a solution in which two modalities hold the same numbers, or nearly: any score of their alignment is void."""
    for (name, x), (other, y) in combinations(values.items(), 2):
        if x.shape == y.shape and x.shape[1] > 1:
            rows = slice(0, COMPARED_ROWS)
            x_rows, y_rows = (
                np.asarray(z[rows].todense() if hasattr(z, "todense") else z[rows]).ravel()
                for z in (x, y)
            )
            if np.array_equal(x_rows, y_rows) or np.corrcoef(x_rows, y_rows)[0, 1] > NEARLY_EQUAL:
                raise ContractError(
                    f"{split}/solution.h5mu: modalities {name!r} and {other!r} hold the same matrix, or nearly; "
                    "was one file given twice in the dataset's stanza?"
                )


def values_of(cells: AnnData) -> np.ndarray | sparse.csr_matrix:
    """Return a modality's values in its space, sparse where they lie sparse in the file."""
    return cells.obsm["X_lsi"] if cells.uns["normalization"] == "lsi" else cells.X


def _places(folder: Path, names: pd.Index, wanted: pd.Series) -> np.ndarray:
    """Return where each wanted cell stands among the names of a run's rows; both must be the same cells."""
    places = names.get_indexer(wanted)
    if np.any(places < 0) or len(names) != len(wanted):
        raise ContractError(
            f"{folder}: its {len(names)} rows are not the solution's {len(wanted)} cells; was the split cut again? "
            "Delete the folder."
        )
    return places


def _where_given(
    values: dict[str, np.ndarray | None], query: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return source -> the values of the query cells in order, of those sources that have some."""
    return {source: found[query[source]] for source, found in values.items() if found is not None}


def _drawn(imputed: Modalities, query_names: dict[str, pd.Series]) -> dict[str, Drawn]:
    """Return direction -> draws, of those directions that have some."""
    found = {direction: draws_of(imputed, direction) for direction in imputed.mod}
    places = {source: pd.Index(names) for source, names in query_names.items()}
    return {
        direction: Drawn(
            places[direction.split("->")[0]].get_indexer(draws.cells), draws.features, draws.values
        )
        for direction, draws in found.items()
        if draws is not None
    }


def _private(
    latents: AnnData, query: dict[str, np.ndarray], rows: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return source -> private latents of the query cells; the joint source has those of all modalities side by side."""
    found = _where_given({source: private_of(latents, source, "query") for source in query}, query)
    if found and "joint" in query:
        side_by_side = [
            z[np.searchsorted(rows[source], rows["joint"])] for source, z in found.items()
        ]
        found["joint"] = np.concatenate(side_by_side, axis=1)
    return found


def _train_labels(train: MuData, source: str, names: pd.Index) -> np.ndarray:
    cells = next(iter(train.mod.values())) if source == "joint" else train[source]
    return np.asarray(cells.obs["cell_type"].reindex(names), dtype=object)


def _labelled(
    train: MuData, of_train: dict[str, tuple[pd.Index, np.ndarray]], labels: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return latents and types of the train cells of known type, None if there are none.

    A cell in which all was measured is there once, as the joint source gives it; others once for each of their modalities.
    """
    found, complete = [], complete_cells(train) if "joint" in of_train else pd.Index([])
    for source, (names, z) in of_train.items():
        types = labels[source]
        rows = (types != "") & ((source == "joint") | ~names.isin(complete))
        found.append((z[rows], types[rows]))
    if not sum(len(types) for _, types in found):
        return None
    return np.concatenate([z for z, _ in found]), np.concatenate([types for _, types in found])


def _celltype_means(cells: AnnData) -> dict[str, np.ndarray]:
    """Return cell type -> (features,) mean profile of its train cells; cells without a type are left out."""
    x, types = values_of(cells), np.asarray(cells.obs["cell_type"], dtype=object)
    return {
        str(t): np.asarray(x[types == t].mean(axis=0), dtype=np.float32).ravel()
        for t in np.unique(types.astype(str))
        if t
    }
