"""Align a run's files with the solution: every array in the order of the solution's cells."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.errors import ContractError
from mosaicbench.files.runs import draws_of, latents_of, predicted_of, private_of
from mosaicbench.files.splits import (
    complete_cells,
    feature_names,
    places_of,
    query_names,
    said_of_cells,
)
from mosaicbench.scoring.noise import counting_noise, has_molecules
from mosaicbench.scoring.run_data import Drawn, RunData

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData
    from scipy import sparse

    from mosaicbench.files._h5 import Modalities


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
    """Return the outputs of one run and seed, and the truth about its cells.

    Parameters
    ----------
    folder
        The run's, for messages.
    train, solution
        Of the split.
    latents, imputed, record, history
        The run's files.

    Raises
    ------
    ContractError
        When the rows of the run are not the solution's cells.
    """
    complete = complete_cells(solution)
    names_in_query = query_names(solution)
    rows = places_of(solution) | {"joint": solution.obs_names.get_indexer(complete)}
    of_query = {
        source: latents_of(latents, source, "query") for source in latents.obs["source"].unique()
    }
    of_train = {source: latents_of(latents, source, "train") for source in of_query}
    order = {
        source: _places(folder, names, names_in_query[source])
        for source, (names, _) in of_query.items()
    }
    train_labels = {
        source: _train_labels(train, source, names) for source, (names, _) in of_train.items()
    }
    private = _given({source: private_of(latents, source, "query") for source in order}, order)
    if private and "joint" in order:  # has the blocks of all modalities side by side
        side_by_side = [
            z[np.searchsorted(rows[source], rows["joint"])] for source, z in private.items()
        ]
        private["joint"] = np.concatenate(side_by_side, axis=1)
    predicted = {source: predicted_of(latents, source, "query") for source in order}
    values, drawn = {}, {}
    for direction, cells in imputed.mod.items():
        names = names_in_query[direction.split("->")[0]]
        values[direction] = cells.X[_places(folder, cells.obs_names, names)]
        if (draws := draws_of(imputed, direction)) is not None:
            sampled = pd.Index(names).get_indexer(draws.cells)
            drawn[direction] = Drawn(sampled, draws.features, draws.values)

    def by_modality(
        value: Callable[[AnnData], object], where: Callable[[AnnData], bool] = lambda cells: True
    ) -> dict[str, object]:
        return {m: value(cells) for m, cells in solution.mod.items() if where(cells)}

    return RunData(
        record=record,
        batches=said_of_cells(solution, "batch"),
        labels=said_of_cells(solution, "cell_type"),
        rows={source: places for source, places in rows.items() if len(places) < solution.n_obs},
        latents={source: z[order[source]] for source, (_, z) in of_query.items()},
        private_latents=private,
        train_latents={source: z for source, (_, z) in of_train.items()},
        train_labels=train_labels,
        label_subset=_label_subset(train, of_train, train_labels),
        predicted=_given(predicted, order),
        imputed=values,
        drawn=drawn,
        truth=by_modality(values_of),
        normalizations=by_modality(lambda cells: cells.uns["normalization"]),
        train_mean=by_modality(lambda cells: cells.uns["mean"]),
        train_std=by_modality(lambda cells: cells.uns["std"]),
        feature_names=by_modality(feature_names),
        celltype_means={modality: _celltype_means(cells) for modality, cells in train.mod.items()},
        noise=by_modality(lambda cells: cache(partial(counting_noise, cells)), has_molecules),
        accessible=by_modality(lambda cells: cells.X, _is_lsi),
        loadings=by_modality(lambda cells: cells.varm["LSI"], _is_lsi),
        shared_factors=solution.obsm.get("shared_factors"),
        private_factors=by_modality(
            lambda cells: cells.obsm["private_factors"],
            lambda cells: "private_factors" in cells.obsm,
        ),
        shared_driven=by_modality(
            lambda cells: cells.var["shared_driven"].to_numpy(),
            lambda cells: "shared_driven" in cells.var and not _is_lsi(cells),
        ),
        history={name: column.to_numpy() for name, column in history.items()},
    )


def values_of(cells: AnnData) -> np.ndarray | sparse.csr_matrix:
    """Return a modality's normalized values, (cells, features), sparse if the file has them so."""
    return cells.obsm["X_lsi"] if _is_lsi(cells) else cells.X


def _is_lsi(cells: AnnData) -> bool:
    return cells.uns["normalization"] == "lsi"


def _places(folder: Path, names: pd.Index, wanted: pd.Series) -> np.ndarray:
    places = names.get_indexer(wanted)
    if np.any(places < 0) or len(names) != len(wanted):
        raise ContractError(
            f"{folder}: its {len(names)} rows are not the solution's {len(wanted)} cells; was the "
            "split made again? Delete the folder."
        )
    return places


def _given(
    values: dict[str, np.ndarray | None], order: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    return {source: x[order[source]] for source, x in values.items() if x is not None}


def _train_labels(train: MuData, source: str, names: pd.Index) -> np.ndarray:
    cells = next(iter(train.mod.values())) if source == "joint" else train[source]
    return np.asarray(cells.obs["cell_type"].reindex(names), dtype=object)


def _label_subset(
    train: MuData, of_train: dict[str, tuple[pd.Index, np.ndarray]], labels: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return latents and types of the train cells with a label, None without any.

    A complete cell occurs once, with its joint latent.
    """
    complete = complete_cells(train) if "joint" in of_train else pd.Index([])
    latents, types = [], []
    for source, (names, z) in of_train.items():
        rows = (labels[source] != "") & ((source == "joint") | ~names.isin(complete))
        latents.append(z[rows])
        types.append(labels[source][rows])
    if not sum(map(len, types)):
        return None
    return np.concatenate(latents), np.concatenate(types)


def _celltype_means(cells: AnnData) -> dict[str, np.ndarray]:
    x, types = values_of(cells), np.asarray(cells.obs["cell_type"], dtype=object)
    return {
        str(t): np.asarray(x[types == t].mean(axis=0), dtype=np.float32).ravel()
        for t in np.unique(types.astype(str))
        if t
    }
