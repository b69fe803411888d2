"""The run: what a fit leaves behind.

``latents.h5ad``
    Of query cells: a row per cell and source; ``obs``: cell, source, subset. Where a method gives
    them: ``obsm["private"]``, NaN in the rows of other sources, and ``obs["predicted"]``, the type.
``train_latents.h5ad``
    The same of train cells, from which labels are transferred.
``imputed.h5mu``
    A modality per direction, "rna->adt", in the target's normalization; where a method gives them,
    ``uns["draws"]``, draws for a sample of its cells and features.
``history.tsv``
    The loss of every epoch.
``run.json``
    Status, seconds, memory, versions, hyperparameters.

A reader checks dataset, scenario, run and seed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.errors import ContractError
from mosaicbench.files._h5 import (
    KEY,
    Modalities,
    check_noun,
    read_cells,
    read_modalities,
    write_h5,
    write_modalities,
)
from mosaicbench.files.atomic import write_text
from mosaicbench.files.identity import check_place, read_json
from mosaicbench.files.splits import unstandardised_values, values_table
from mosaicbench.files.tables import read_table, write_table

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

WHOSE = ("dataset", "scenario", "run", "seed")
PRIVATE = "private"  # the key of .obsm of private latents
DRAWS = "draws"  # the key of .uns of a direction of imputed values
PREDICTED = "predicted"  # the column of .obs of latents with the cell type that a method predicts
STATUSES = ("ok", "collapsed", "diverged", "out_of_memory", "timeout", "crashed", "not_applicable")
RECORD_KEYS = {
    *WHOSE,
    *("method", "status", "message", "hyperparameters", "seconds", "peak_host_mb"),
    *("peak_device_mb", "device", "threads", "versions", "git_commit"),
}
# Where a record lacks them: seconds and memory by phase, numbers of cells, the epochs after which
# a killed training was resumed, and what it computed with.
OPTIONAL_RECORD_KEYS = {
    **{"cpu_seconds": {}, "gpu_seconds": {}, "host_mb": {}, "device_mb": {}},
    **{"cells": {}, "resumed_after": [], "arithmetic": {}},
}


def latents_table(
    latents: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]],
    private: dict[tuple[str, str], np.ndarray] | None = None,
    predicted: dict[tuple[str, str], np.ndarray] | None = None,
    *,
    identity: Mapping | None = None,
) -> AnnData:
    """Stack latents into one table; an empty dict gives a table without rows.

    Parameters
    ----------
    latents
        (source, subset) -> (names, (cells, latent)).
    private
        (source, subset) -> (cells, private) of the sources with private latents, of one width.
    predicted
        (source, subset) -> (cells,) cell types that the method predicts.
    identity
        Dataset, scenario, run and seed.
    """
    import anndata

    tables = [
        pd.DataFrame({"cell": names, "source": source, "subset": subset}, dtype=object)
        for (source, subset), (names, _) in latents.items()
    ]
    empty = pd.DataFrame(columns=["cell", "source", "subset"], dtype=object)
    obs = pd.concat([empty, *tables], ignore_index=True)
    x = np.concatenate([z for _, z in latents.values()]) if latents else np.zeros((0, 1))
    obs.index = obs.index.astype(str)
    table = anndata.AnnData(
        X=np.asarray(x, dtype=np.float32), obs=obs, uns={KEY: _noun("latents", identity)}
    )
    if private:
        width = next(iter(private.values())).shape[1]
        blocks = [
            private.get(key, np.full((len(names), width), np.nan))
            for key, (names, _) in latents.items()
        ]
        table.obsm[PRIVATE] = np.concatenate(blocks).astype(np.float32)
    if predicted:
        unsaid = {key: np.full(len(names), "", dtype=object) for key, (names, _) in latents.items()}
        table.obs[PREDICTED] = pd.Categorical(
            np.concatenate(list((unsaid | predicted).values())).astype(str)
        )
    return table


def _noun(noun: str, identity: Mapping | None) -> dict:
    identity = identity or {}
    return {"noun": noun} | {key: identity[key] for key in WHOSE if key in identity}


def _rows(latents: AnnData, source: str, subset: str) -> np.ndarray:
    return ((latents.obs["source"] == source) & (latents.obs["subset"] == subset)).to_numpy()


def latents_of(latents: AnnData, source: str, subset: str) -> tuple[pd.Index, np.ndarray]:
    """Return the names and latents of one source and subset, (cells, latent)."""
    rows = _rows(latents, source, subset)
    return pd.Index(latents.obs["cell"][rows].astype(str)), latents.X[rows]


def private_of(latents: AnnData, source: str, subset: str) -> np.ndarray | None:
    """Return private latents, (cells, private), in the order of :func:`latents_of`, or None."""
    rows = _rows(latents, source, subset)
    if PRIVATE not in latents.obsm or not rows.any() or np.isnan(latents.obsm[PRIVATE][rows]).all():
        return None
    return np.asarray(latents.obsm[PRIVATE][rows])


def predicted_of(latents: AnnData, source: str, subset: str) -> np.ndarray | None:
    """Return predicted cell types, (cells,), in the order of :func:`latents_of`, or None."""
    rows = _rows(latents, source, subset)
    if PREDICTED not in latents.obs or (latents.obs[PREDICTED][rows] == "").all():
        return None
    return np.asarray(latents.obs[PREDICTED][rows], dtype=object)


def is_collapsed(latents: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]) -> bool:
    """Return whether every latent dimension has a variance of at most 0.01 over the query cells."""
    return all(
        z.var(axis=0).max() <= 0.01 for (_, subset), (_, z) in latents.items() if subset == "query"
    )


def write_latents(path: str | Path, latents: AnnData) -> None:
    """Write latents: those of query cells to `path`, those of train cells beside it."""
    of_train = (latents.obs["subset"] == "train").to_numpy()
    write_h5(path, latents[~of_train].copy())
    write_h5(train_latents(path), latents[of_train].copy())


def train_latents(path: str | Path) -> Path:
    """Return the file of train cells' latents beside that of query cells."""
    return Path(path).with_name(f"train_{Path(path).name}")


def read_latents(path: str | Path, place: Mapping | None = None) -> AnnData:
    """Read a run's latents of train and query cells.

    Parameters
    ----------
    place
        The run's record: dataset, scenario, run and seed must agree with it.
    """
    import anndata

    query = read_part_of_latents(path, place)
    if not query.n_obs:
        return query
    train = read_part_of_latents(train_latents(path), place)
    # Ten times as fast as anndata's `concat`.
    x, obs = np.concatenate([train.X, query.X]), pd.concat([train.obs, query.obs])
    obsm = {key: np.concatenate([train.obsm[key], block]) for key, block in query.obsm.items()}
    return anndata.AnnData(x, obs, uns=query.uns, obsm=obsm)


def read_part_of_latents(path: str | Path, place: Mapping | None = None) -> AnnData:
    """Read one file of a run's latents; `place` is as of :func:`read_latents`."""
    latents = read_cells(path)
    check_noun(path, latents, "latents")
    check_place(path, latents.uns[KEY], _of_run(place))
    return latents


@dataclass(frozen=True)
class Draws:
    """Equally likely draws for a sample of the cells and features of one direction.

    Attributes
    ----------
    cells
        (cells,) names, as in the query's source.
    features
        (features,) integer positions among those of the target.
    values
        (cells, features, draws).
    """

    cells: np.ndarray
    features: np.ndarray
    values: np.ndarray


def _of_run(place: Mapping | None) -> dict | None:
    return place and {key: place[key] for key in WHOSE}


def imputed_table(
    imputed: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]],
    query: MuData | None,
    draws: Mapping[tuple[str, str], Draws] = MappingProxyType({}),
    *,
    identity: Mapping | None = None,
) -> Modalities:
    """Return :func:`imputed_values` of standardised values, and the standardised draws with them.

    Parameters
    ----------
    imputed
        (source, target) -> (names, (cells, features) standardised values).
    """
    values = {
        (source, target): (names, unstandardised_values(query[target], x))
        for (source, target), (names, x) in imputed.items()
    }
    table = imputed_values(values, query, identity=identity)
    for (source, target), drawn in draws.items():
        std, mean = (query[target].uns[moment][drawn.features, None] for moment in ("std", "mean"))
        table[f"{source}->{target}"].uns[DRAWS] = {
            "cells": np.asarray(drawn.cells, dtype=str).astype(object),
            "features": drawn.features,
            "values": (drawn.values * std + mean).astype(np.float32),
        }
    return table


def imputed_values(
    imputed: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]],
    query: MuData | None,
    *,
    identity: Mapping | None = None,
) -> Modalities:
    """Return a modality per direction.

    Parameters
    ----------
    imputed
        (source, target) -> (names, (cells, features) values in the target's normalization).
    identity
        Dataset, scenario, run and seed.
    """
    directions = {
        f"{source}->{target}": values_table(query[target], names, x)
        for (source, target), (names, x) in imputed.items()
    }
    return Modalities(directions, {KEY: _noun("imputed", identity)})


def write_imputed(path: str | Path, imputed: Modalities) -> None:
    """Write a run's imputed values."""
    write_modalities(path, imputed)


def read_imputed(path: str | Path, place: Mapping | None = None) -> Modalities:
    """Read a run's imputed values; `place` is as of :func:`read_latents`."""
    if not Path(path).is_file():
        raise ContractError(
            f"{path}: no such file; `keep_imputed: false` deletes it after scoring: delete the "
            "run's folder, set `keep_imputed: true` and run again"
        )
    imputed = read_modalities(path, "imputed")
    check_place(path, imputed.uns[KEY], _of_run(place))
    return imputed


def draws_of(imputed: Modalities, direction: str) -> Draws | None:
    """Return the draws of one direction, in the target's normalization, or None."""
    stored = imputed[direction].uns.get(DRAWS)
    return stored and Draws(
        np.asarray(stored["cells"], dtype=object), stored["features"], stored["values"]
    )


def write_history(path: str | Path, history: list[dict[str, float]]) -> None:
    """Write the loss of every epoch; a method without training has none."""
    write_table(
        path, pd.DataFrame(history, columns=list(history[0]) if history else ["epoch", "loss"])
    )


def read_history(path: str | Path) -> pd.DataFrame:
    """Read the loss of every epoch."""
    return read_table(path)


def write_record(path: str | Path, record: dict) -> None:
    """Check the keys of ``run.json``, and write it."""
    if missing := RECORD_KEYS - set(record):
        raise ContractError(f"{path}: run.json lacks {sorted(missing)}")
    write_text(path, json.dumps(record, indent=1, sort_keys=True) + "\n")


def read_record(path: str | Path, place: Mapping | None = None) -> dict:
    """Read ``run.json``; `place` is its identity, as far as it is given."""
    record = read_json(path, "fit the run", "delete the run's folder and run again")
    check_place(path, record, place)
    return copy.deepcopy(OPTIONAL_RECORD_KEYS) | record
