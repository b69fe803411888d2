"""embeddings: the latents of all runs of a split in one ``.h5ad``, as scanpy and scib read them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import read_elem

from mosaicbench.files._h5 import KEY, read_h5, without_values, write_h5
from mosaicbench.files.runs import read_latents, read_record
from mosaicbench.files.splits import identity_of, query_names, train_names


def main(*, splits: list[dict]) -> None:
    """Write `output` of each split, of dataset (file), split (folder) and runs (folders of one seed)."""
    for split in splits:
        split["output"].parent.mkdir(parents=True, exist_ok=True)
        write_h5(split["output"], embeddings(split["dataset"], split["split"], split["runs"]))


def embeddings(dataset: Path, split: Path, runs: list[Path]) -> AnnData:
    """Return the cells of a split with the latents of all fits that have some, without values.

    ``obs`` has the dataset's columns and names of cells, and subset, "train" or "query".
    ``obsm["X_RUN"]`` holds the joint latents of a run, ``obsm["X_RUN_MODALITY"]`` those of one modality,
    (cells, latent) float32; NaN for a cell without that modality. ``uns["mosaicbench"]`` holds dataset,
    scenario and seed.
    """
    solution = read_h5(split / "solution.h5mu", without_values)
    train, query = train_names(solution), query_names(solution)
    with h5py.File(dataset) as file:
        obs = read_elem(file["obs"])
    obs = obs.loc[obs.index.isin([*train, *solution.obs.index])]
    obs["subset"] = pd.Categorical(np.where(obs.index.isin(train), "train", "query"))
    of_split = identity_of(solution)
    whole = AnnData(obs=obs, uns={KEY: {"noun": "embeddings"} | of_split})
    for folder in runs:
        record = read_record(folder / "run.json", of_split)
        latents = read_latents(folder / "latents.h5ad", record)
        for source, rows in latents.obs.groupby("source", observed=True).indices.items():
            key = f"X_{record['run']}" if source == "joint" else f"X_{record['run']}_{source}"
            of_query = pd.Series(query[source].index, query[source])
            cells = pd.concat([train, of_query]).loc[latents.obs["cell"].iloc[rows]]
            z = np.full((whole.n_obs, latents.n_vars), np.nan, dtype=np.float32)
            z[whole.obs_names.get_indexer(cells)] = latents.X[rows]
            whole.obsm[key] = z
    return whole
