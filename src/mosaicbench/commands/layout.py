"""Project chosen runs onto what pictures of cells show: layouts, markers of clusters, carried labels, imputed and virtual cells.

Everything is worked out for the same random cells of the split, so that the pictures of two runs can be laid side by side.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.commands._umap import Neighbourhood
from mosaicbench.commands._virtual import virtual_cells
from mosaicbench.errors import ContractError
from mosaicbench.files.atomic import make_folder
from mosaicbench.files.runs import latents_of, read_imputed, read_latents, read_record
from mosaicbench.files.splits import (
    complete_cells,
    feature_names,
    identity_of,
    read_split,
    space_values,
)
from mosaicbench.files.tables import write_tables
from mosaicbench.metrics.imputation import pearson_columns
from mosaicbench.report.projections import COLUMNS, MEASURED, WHOSE
from mosaicbench.stats.common import joined

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

MOST_CELLS = (
    2000  # laid out, once per modality; more cannot be told apart in a picture of a few centimetres
)
MOST_IMPUTED = 500  # drawn with their imputed values
COMPONENTS = 50
DECIMALS = 4
MARKERS = 2  # per cluster
SMALLEST = 5  # cells of a cluster that has markers
NEIGHBORS = 15  # of label transfer, as in label_transfer_accuracy


@dataclass(frozen=True)
class _Imputed:
    """What a run imputed in one direction: Pearson's r of each feature over all cells with a truth, and the values of some."""

    r: np.ndarray
    cells: pd.Index
    values: np.ndarray


def main(
    *, splits: list[list[Path]], seed: int, output: Path, generate: Sequence[Path] = ()
) -> None:
    """Write every table of ``report.projections.COLUMNS`` as ``.tsv``; a run without what a table shows has no rows in it.

    Parameters
    ----------
    splits
        For each split its folder, and after it the folders of runs on it, of the same seed.
    seed
        Of the choice of cells, of UMAP and of Leiden clustering.
    output
        A folder. It holds a split's tables in DATASET/SCENARIO, and virtual cells in a folder ``virtual`` beside them.
    generate
        Folders of runs on any of these splits from whose models virtual cells are drawn.
    """
    for split, *runs in splits:
        _project(split, runs, seed, Path(output), generate)


def _project(
    split_folder: Path, runs: list[Path], seed: int, output: Path, generate: Sequence[Path]
) -> None:
    """Write the tables of one split."""
    truth = read_split(split_folder / "solution.h5mu", "solution")
    split = identity_of(truth)
    learned = read_split(split_folder / "train.h5mu", "train", split)
    cells = np.sort(np.random.default_rng(seed).permutation(len(truth.obs_names))[:MOST_CELLS])
    few = np.sort(np.random.default_rng(seed).permutation(len(truth.obs_names))[:MOST_IMPUTED])
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in COLUMNS}
    of_split = [
        folder for folder in generate if split.items() <= read_record(folder / "run.json").items()
    ]
    imputed: dict[tuple[str, str], _Imputed] = {}
    for folder in runs:
        record = read_record(folder / "run.json", split)
        if record["status"] not in ("ok", "collapsed"):
            continue
        print(f"projecting {record['run']}", file=sys.stderr)
        latents = read_latents(folder / "latents.h5ad", record)
        layouts = _layouts(folder, latents, truth, cells, seed)
        parts = {"projection": [layouts], "markers": _markers(layouts, truth)}
        parts["transfers"] = _transfers(folder, latents, learned, truth)
        for name, tables in parts.items():
            found[name] += [table.assign(run=record["run"]) for table in tables]
        for direction, values in read_imputed(folder / "imputed.h5mu", record).mod.items():
            if (own := _imputed(folder, direction, values, truth, few)) is not None:
                imputed[(record["run"], direction)] = own
    found["imputed_values"] += _extreme_features(imputed, truth)
    found["imputed_layout"] += _imputed_layouts(imputed, truth, few, seed)
    folder = output / split["dataset"] / split["scenario"]
    make_folder(folder / "virtual")
    tables = {
        name: joined([part.assign(**split) for part in parts], COLUMNS[name])
        for name, parts in found.items()
    }
    tables |= virtual_cells(of_split, learned, truth, seed, folder / "virtual")
    write_tables(folder, tables)


# --- latents -------------------------------------------------------------------------------------------------------------


def _layouts(
    folder: Path, latents: AnnData, truth: MuData, cells: np.ndarray, seed: int
) -> pd.DataFrame:
    """Return coordinates and clusters: one layout of the joint latents, one of all modalities' latents together."""
    there = set(latents.obs.loc[latents.obs["subset"] == "query", "source"])
    parts = []
    for sources in (["joint"], list(truth.mod)):
        sources = [
            source
            for source in sources
            if source in there and _chosen(truth, source, cells).sum() > 1
        ]
        if sources:
            latents_of_chosen = [
                _latents(folder, latents, source, truth)[_chosen(truth, source, cells)]
                for source in sources
            ]
            z = np.concatenate(latents_of_chosen)
            neighbourhood = Neighbourhood.of(z)
            x, y = neighbourhood.layout(seed).round(DECIMALS).T
            named = pd.concat(
                [_cells(truth, source, cells) for source in sources], ignore_index=True
            )
            parts.append(named.assign(leiden=neighbourhood.clusters(seed), x=x, y=y))
    return joined(parts, COLUMNS["projection"][len(WHOSE) :])


def _cells(truth: MuData, source: str, cells: np.ndarray) -> pd.DataFrame:
    known = _known(truth, source)[_chosen(truth, source, cells)]
    named = {"source": source, "modality": source, "cell": known.index.to_numpy()}
    return pd.DataFrame(
        named | {column: known[column].astype(str).to_numpy() for column in ("cell_type", "batch")}
    )


def _known(truth: MuData, source: str) -> pd.DataFrame:
    """Return what is known of a source's query cells; those of joint latents are called as the first modality calls them."""
    if source == "joint":
        return next(iter(truth.mod.values())).obs.loc[complete_cells(truth)]
    return truth[source].obs


def _chosen(truth: MuData, source: str, cells: np.ndarray) -> np.ndarray:
    """Return a mask of a source's query cells: those at the places `cells` among all."""
    return _known(truth, source).index.isin(truth.obs_names[cells])


def _latents(folder: Path, latents: AnnData, source: str, truth: MuData) -> np.ndarray:
    """Return the latents of all query cells in the solution's order."""
    names, z = latents_of(latents, source, "query")
    return z[_rows(folder, names, _known(truth, source)["query_name"])]


def _rows(folder: Path, names: pd.Index, wanted: pd.Series) -> np.ndarray:
    rows = names.get_indexer(wanted.astype(str))
    if np.any(rows < 0):
        raise ContractError(
            f"{folder}: {(rows < 0).sum()} of the solution's cells are not among its rows; was the split cut again? "
            "Delete the folder."
        )
    return rows


def _markers(layouts: pd.DataFrame, truth: MuData) -> list[pd.DataFrame]:
    """Return measured means of the clusters' marker features, of modalities whose features have names.

    Clusters are those of the joint latents, else of the modality's own. A cluster's markers are the features with the highest t
    against all other cells (the variance overestimated, as scanpy's default). `above` is the share of a cluster's cells above
    0, of other than log-normalised values above the mean of all cells; `share` is that of its most frequent cell type.
    """
    parts = []
    for modality, measured in truth.mod.items():
        if measured.uns["normalization"] == "lsi":
            continue
        source = "joint" if "joint" in set(layouts["source"]) else modality
        of_source = layouts[layouts["source"] == source]
        sizes = of_source["leiden"].value_counts().sort_index()
        clusters = sizes.index[sizes >= SMALLEST]
        if len(clusters) > 1:
            x = space_values(measured[of_source["cell"].to_list()])
            features = feature_names(measured)
            marked = _marking(x, of_source["leiden"].to_numpy(), clusters)
            floor = 0 if measured.uns["normalization"] == "lognorm" else x.mean(axis=0)
            columns = list(marked)
            for cluster in clusters:
                own = (of_source["leiden"] == cluster).to_numpy()
                types = of_source.loc[own, "cell_type"]
                types = types[types != ""].value_counts()
                named = {
                    "modality": modality,
                    "normalization": measured.uns["normalization"],
                    "leiden": cluster,
                }
                named |= {"cells": own.sum(), "cell_type": types.index[0] if len(types) else ""}
                values = {
                    "share": types.iloc[0] / own.sum() if len(types) else np.nan,
                    "feature": [features[column] for column in columns],
                    "marks": list(marked.values()),
                    "mean": x[own][:, columns].mean(axis=0),
                    "above": (x[own] > floor)[:, columns].mean(axis=0),
                }
                parts.append(pd.DataFrame(named | values))
    return parts


def _marking(x: np.ndarray, leiden: np.ndarray, clusters: pd.Index) -> dict[int, int]:
    """Return column of a marker -> the cluster that it marks, cluster by cluster; the first that takes a marker keeps it."""
    import anndata
    import scanpy

    obs = pd.DataFrame(
        {"leiden": pd.Categorical(leiden.astype(str))}, index=[str(row) for row in range(len(x))]
    )
    rows = anndata.AnnData(
        x, obs=obs, var=pd.DataFrame(index=[str(column) for column in range(x.shape[1])])
    )
    scanpy.tl.rank_genes_groups(
        rows, "leiden", groups=[str(c) for c in clusters], method="t-test_overestim_var"
    )
    ranked = rows.uns["rank_genes_groups"]["names"]
    marked: dict[int, int] = {}
    for cluster in clusters:
        free = [int(column) for column in ranked[str(cluster)] if int(column) not in marked]
        marked |= dict.fromkeys(free[:MARKERS], int(cluster))
    return marked


def _transfers(
    folder: Path, latents: AnnData, learned: MuData, truth: MuData
) -> list[pd.DataFrame]:
    """Return how many query cells of each type took which type from train cells of another modality."""
    from mosaicbench.metrics._nearest import transfer

    parts = []
    query = set(latents.obs.loc[latents.obs["subset"] == "query", "source"])
    for source, target in permutations(
        [modality for modality in truth.mod if modality in query], 2
    ):
        names, reference = latents_of(latents, source, "train")
        labels = learned[source].obs["cell_type"].reindex(names).astype(str).to_numpy(dtype=object)
        if not np.any(labels != ""):
            continue
        types = truth[target].obs["cell_type"].astype(str).to_numpy()
        carried = transfer(reference, labels, _latents(folder, latents, target, truth), k=NEIGHBORS)
        counts = pd.DataFrame({"cell_type": types, "transferred": carried})[
            types != ""
        ].value_counts(sort=False)
        parts.append(counts.rename("cells").reset_index().assign(direction=f"{source}->{target}"))
    return parts


# --- imputed values ------------------------------------------------------------------------------------------------------


def _imputed(
    folder: Path, direction: str, values: AnnData, truth: MuData, few: np.ndarray
) -> _Imputed | None:
    """Return what is drawn of one direction, of the cells that were measured in both modalities; None without any."""
    source, target = (truth[modality] for modality in direction.split("->"))
    both = source.obs_names[source.obs_names.isin(target.obs_names)]
    if len(both) < 2:
        return None
    rows = _rows(folder, pd.Index(values.obs_names), source.obs.loc[both, "query_name"])
    x, shown = np.asarray(values.X)[rows], both.isin(truth.obs_names[few])
    return _Imputed(
        r=pearson_columns(space_values(target[both]), x), cells=both[shown], values=x[shown]
    )


def _extreme_features(
    imputed: dict[tuple[str, str], _Imputed], truth: MuData
) -> list[pd.DataFrame]:
    """Return measured beside imputed values of the features with the best, median and worst mean r over the runs."""
    parts = []
    for direction in dict.fromkeys(direction for _, direction in imputed):
        runs = [name for name, own in imputed if own == direction]
        mean = np.mean([imputed[(name, direction)].r for name in runs], axis=0)
        ranked = [
            column for column in np.argsort(-mean, kind="stable") if not np.isnan(mean[column])
        ]
        if not ranked:
            continue
        target = truth[direction.split("->")[1]]
        features = feature_names(target)
        places = {"best": ranked[0], "median": ranked[len(ranked) // 2], "worst": ranked[-1]}
        for name in runs:
            own = imputed[(name, direction)]
            measured = space_values(target[own.cells])
            for place, column in places.items():
                named = {
                    "run": name,
                    "direction": direction,
                    "normalization": target.uns["normalization"],
                    "feature": features[column],
                }
                values = {
                    "measured": measured[:, column].round(DECIMALS),
                    "imputed": own.values[:, column].round(DECIMALS),
                }
                values |= {"cell": own.cells}
                parts.append(pd.DataFrame(named | {"place": place, "r": own.r[column]} | values))
    return parts


def _imputed_layouts(
    imputed: dict[tuple[str, str], _Imputed], truth: MuData, few: np.ndarray, seed: int
) -> list[pd.DataFrame]:
    """Return one layout per imputed modality, of its measured values and all values imputed for the same cells.

    Both are laid out on the first principal components of the measured values, which are centred and not standardised.
    """
    parts = []
    for modality in truth.mod:
        keys = [key for key in imputed if key[1].split("->")[1] == modality]
        if not keys:
            continue
        cells = truth[modality].obs_names[truth[modality].obs_names.isin(truth.obs_names[few])]
        if len(cells) < 2:
            continue
        measured = space_values(truth[modality][cells])
        centre = measured.mean(axis=0)
        axes = np.linalg.svd(measured - centre, full_matrices=False)[2][
            :COMPONENTS
        ].T  # (features, components)
        stacked = {(MEASURED, MEASURED): measured} | {key: imputed[key].values for key in keys}
        projected = np.concatenate([(x - centre) @ axes for x in stacked.values()])
        xy = Neighbourhood.of(projected).layout(seed).round(DECIMALS)
        ends = np.cumsum([len(x) for x in stacked.values()])[:-1]
        for (name, direction), own in zip(stacked, np.split(xy, ends), strict=True):
            known = truth[modality].obs.loc[
                cells if name == MEASURED else imputed[name, direction].cells
            ]
            named = {"run": name, "modality": modality, "direction": direction}
            named |= {"cell": known.index, "cell_type": known["cell_type"].astype(str)}
            parts.append(pd.DataFrame(named | {"x": own[:, 0], "y": own[:, 1]}))
    return parts
