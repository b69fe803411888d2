"""Project the latents of chosen runs onto two dimensions, for the figures: UMAP, all modalities of the query cells at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from mosaicbench import files

COLUMNS = ["dataset", "scenario", "run", "seed", "source", "cell", "modality", "cell_type", "batch", "x", "y"]


def run(*, runs: list[Path], solution: Path, seed: int, output: Path) -> None:
    """Write one row per run x modality x query cell; runs without latents of single modalities have none.

    Parameters
    ----------
    runs
        Folders of runs of one dataset, scenario and seed.
    seed
        Of UMAP. The layout is made from all modalities' latents of a run together, so that mixing can be seen.
    """
    truth = files.read_view(solution, "solution")
    tables = [pd.DataFrame(columns=COLUMNS)]
    for folder in runs:
        record = files.read_record(folder / "run.json")
        identity = {key: record[key] for key in ("dataset", "scenario", "run", "seed")}
        if record["status"] in ("ok", "collapsed"):
            print(f"projecting {record['run']}", file=sys.stderr)
            tables.append(_project(files.read_latents(folder / "latents.h5ad"), truth, seed).assign(**identity))
    files.write_table(output, pd.concat([t for t in tables if len(t)] or tables)[COLUMNS])


def _project(latents, truth, seed: int) -> pd.DataFrame:
    """Return the two coordinates of every query cell in every modality that has latents of its own."""
    from umap import UMAP

    rows = (latents.obs["subset"] == "query").to_numpy() & latents.obs["source"].isin(list(truth.mod)).to_numpy()
    if not rows.any():
        return pd.DataFrame(columns=COLUMNS)
    obs = latents.obs[rows]
    coordinates = UMAP(random_state=seed, n_jobs=1).fit_transform(latents.X[rows])
    known = pd.concat(
        cells.obs.assign(modality=modality, cell=cells.obs_names).set_index(["modality", "query_name"])
        for modality, cells in truth.mod.items()
    )[["cell", "cell_type", "batch"]]
    known = known.loc[list(zip(obs["source"].astype(str), obs["cell"].astype(str), strict=True))]
    return pd.DataFrame(
        {
            "source": obs["source"].to_numpy(),
            "modality": obs["source"].to_numpy(),
            "x": coordinates[:, 0],
            "y": coordinates[:, 1],
        }
        | {column: known[column].to_numpy() for column in known}
    )
