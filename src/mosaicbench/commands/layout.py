"""Layout: the tables of figures of cells: UMAP, clusters and markers, transferred labels, values.

All runs of a split show the same random cells.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import scanpy
from anndata import AnnData
from mudata import MuData

from mosaicbench.commands._processes import each
from mosaicbench.commands._umap import laid_out, leiden_clusters, neighbourhood
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
from mosaicbench.files.tables import read_table, write_tables
from mosaicbench.metrics.imputation import pearson_columns
from mosaicbench.report.projections import COLUMNS, MEASURED, WHOSE
from mosaicbench.report.recommendation import SPEED
from mosaicbench.report.tables.contract import of_split
from mosaicbench.stats.common import joined

MOST_CELLS = 2000  # laid out; more would overlap in a figure of a few centimetres
MOST_RUNS = 3  # if none are chosen
MOST_IMPUTED = 500  # drawn with their imputed values
COMPONENTS = 50
DECIMALS = 4
MARKERS = 2  # per cluster
SMALLEST = 5  # cells of a cluster with markers
NEIGHBORS = 15  # of label transfer, as in label_transfer_accuracy


@dataclass(frozen=True)
class _Imputed:
    """A run's values of a direction: each feature's Pearson r over all cells, values of some."""

    run: str
    direction: str
    r: np.ndarray
    cells: pd.Index
    values: np.ndarray


@dataclass(frozen=True)
class _Latents:
    """The latents of a run, and the solution."""

    folder: Path
    latents: AnnData
    truth: MuData

    @property
    def sources(self) -> list[str]:
        """The sources with query cells: joint, modalities in the solution's order."""
        query = set(self.latents.obs.loc[self.latents.obs["subset"] == "query", "source"])
        return [source for source in ("joint", *self.truth.mod) if source in query]

    def cells(self, source: str) -> pd.DataFrame:
        """Return the table of a source's query cells; for joint, the first modality's."""
        if source == "joint":
            return next(iter(self.truth.mod.values())).obs.loc[complete_cells(self.truth)]
        return self.truth[source].obs

    def of(self, source: str) -> np.ndarray:
        """Return the latents of all query cells in the order of :meth:`cells`."""
        names, z = latents_of(self.latents, source, "query")
        return z[_rows(self.folder, names, self.cells(source)["query_name"])]


def main(
    *,
    splits: list[list[Path]],
    seed: int,
    output: Path,
    generate: Sequence[Path] = (),
    recommendations: Path | None = None,
    processes: int = 1,
) -> None:
    """Write every table of ``report.projections.COLUMNS`` as ``.tsv``, in DATASET/SCENARIO of `output`.

    Parameters
    ----------
    splits
        For each split its folder, then the folders of runs on it, of the same seed.
    seed
        Of the choice of cells, of UMAP and of Leiden clustering.
    generate
        Folders of runs on any of these splits with models that draw virtual cells.
    recommendations
        The table of `tabulate`, to lay out only the runs that it recommends on a split.
    """
    recommended = None if recommendations is None else read_table(recommendations)

    def work(folders: list[Path]) -> None:
        split_folder, *runs = folders
        truth = read_split(split_folder / "solution.h5mu", "solution")
        split = identity_of(truth)
        train = read_split(split_folder / "train.h5mu", "train", split)
        order = truth.obs_names[np.random.default_rng(seed).permutation(truth.n_obs)]
        cells, few = order[:MOST_CELLS], order[:MOST_IMPUTED]
        parts: dict[str, list[pd.DataFrame]] = {name: [] for name in COLUMNS}
        imputed: list[_Imputed] = []
        ended = {}
        for folder in runs:
            record = read_record(folder / "run.json", split)
            if record["status"] in ("ok", "collapsed"):
                ended[record["run"]] = folder, record
        for run in _shown(ended, split, recommended):
            folder, record = ended[run]
            print(f"laying out {run}", file=sys.stderr)
            latents = _Latents(folder, read_latents(folder / "latents.h5ad", record), truth)
            layouts = _layouts(latents, cells, seed)
            of_run = {
                "projection": [layouts],
                "markers": _markers(layouts, truth),
                "transfers": _transfers(latents, train),
            }
            for name, tables in of_run.items():
                parts[name] += [table.assign(run=run) for table in tables]
            imputed += _imputed(folder, record, truth, few)
        parts["imputed_values"] = _extreme_features(imputed, truth)
        parts["imputed_layout"] = _imputed_layouts(imputed, truth, few, seed)
        folder = output / split["dataset"] / split["scenario"]
        make_folder(folder / "virtual")
        tables = {
            name: joined([part.assign(**split) for part in of_table], COLUMNS[name])
            for name, of_table in parts.items()
        }
        sampled = [
            run for run in generate if split.items() <= read_record(run / "run.json").items()
        ]
        tables |= virtual_cells(sampled, train, truth, seed, folder / "virtual")
        write_tables(folder, tables)

    each(work, splits, processes)


def _shown(
    runs: Iterable[str], split: dict[str, object], recommended: pd.DataFrame | None
) -> list[str]:
    if recommended is None:
        return list(runs)
    here = of_split(recommended, split["dataset"], split["scenario"])
    best = here.loc[here["question"] != SPEED, "run"].unique()
    best = [run for run in best if run in runs]
    return (best or list(runs))[:MOST_RUNS]


# --- latents ---


def _layouts(latents: _Latents, cells: pd.Index, seed: int) -> pd.DataFrame:
    parts = []
    for is_joint in (True, False):
        z, tables = [], []
        for source in latents.sources:
            obs = latents.cells(source)
            chosen = obs.index.isin(cells)
            if (source == "joint") == is_joint and chosen.sum() > 1:
                z.append(latents.of(source)[chosen])
                table = obs.loc[chosen, ["cell_type", "batch"]].astype(str)
                table = table.rename_axis("cell").reset_index()
                tables.append(table.assign(source=source, modality=source))
        if z:
            rows = neighbourhood(np.concatenate(z))
            x, y = laid_out(rows, seed).round(DECIMALS).T
            table = pd.concat(tables, ignore_index=True)
            parts.append(table.assign(leiden=leiden_clusters(rows, seed), x=x, y=y))
    return joined(parts, COLUMNS["projection"][len(WHOSE) :])


def _rows(folder: Path, names: pd.Index, wanted: pd.Series) -> np.ndarray:
    rows = names.get_indexer(wanted.astype(str))
    if np.any(rows < 0):
        raise ContractError(
            f"{folder}: {(rows < 0).sum()} of the solution's cells are not among its rows; was the "
            "split made again? Delete the folder."
        )
    return rows


def _markers(layouts: pd.DataFrame, truth: MuData) -> list[pd.DataFrame]:
    """Return measured means of the marker features of clusters, for modalities with named features.

    A cluster's markers have the highest t against all other cells (variance overestimated, as in
    scanpy). `above`: the fraction of its cells above 0 (log-normalised values) or the mean of all
    cells; `share`: of its most frequent cell type.
    """
    parts = []
    for modality, measured in truth.mod.items():
        source = "joint" if "joint" in set(layouts["source"]) else modality
        of_source = layouts[layouts["source"] == source]
        sizes = of_source["leiden"].value_counts().sort_index()
        clusters = sizes.index[sizes >= SMALLEST]
        normalization = measured.uns["normalization"]
        if normalization == "lsi" or len(clusters) < 2:
            continue
        x = space_values(measured[of_source["cell"].to_list()])
        marked = _marking(x, of_source["leiden"].to_numpy(), clusters)
        floor = 0 if normalization == "lognorm" else x.mean(axis=0)
        columns, features = list(marked), feature_names(measured)
        for cluster in clusters:
            inside = (of_source["leiden"] == cluster).to_numpy()
            types = of_source.loc[inside, "cell_type"]
            types = types[types != ""].value_counts()
            table = {
                "modality": modality,
                "normalization": normalization,
                "leiden": cluster,
                "cells": inside.sum(),
                "cell_type": types.index[0] if len(types) else "",
                "share": types.iloc[0] / inside.sum() if len(types) else np.nan,
                "feature": [features[column] for column in columns],
                "marks": list(marked.values()),
                "mean": x[inside][:, columns].mean(axis=0),
                "above": (x[inside] > floor)[:, columns].mean(axis=0),
            }
            parts.append(pd.DataFrame(table))
    return parts


def _marking(x: np.ndarray, leiden: np.ndarray, clusters: pd.Index) -> dict[int, int]:
    rows = AnnData(
        x,
        obs=pd.DataFrame({"leiden": pd.Categorical(leiden.astype(str))}).rename(index=str),
        var=pd.DataFrame(index=pd.RangeIndex(x.shape[1]).astype(str)),
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


def _transfers(latents: _Latents, train: MuData) -> list[pd.DataFrame]:
    from mosaicbench.metrics._nearest import transfer

    parts, modalities = [], [source for source in latents.sources if source != "joint"]
    for source, target in permutations(modalities, 2):
        names, reference = latents_of(latents.latents, source, "train")
        labels = train[source].obs["cell_type"].reindex(names).astype(str).to_numpy(dtype=object)
        if np.any(labels != ""):
            types = latents.cells(target)["cell_type"].astype(str).to_numpy()
            carried = transfer(reference, labels, latents.of(target), k=NEIGHBORS)
            pairs = pd.DataFrame({"cell_type": types, "transferred": carried})[types != ""]
            counts = pairs.value_counts(sort=False).rename("cells").reset_index()
            parts.append(counts.assign(direction=f"{source}->{target}"))
    return parts


# --- imputed values ---


def _imputed(folder: Path, record: dict, truth: MuData, few: pd.Index) -> Iterator[_Imputed]:
    for direction, values in read_imputed(folder / "imputed.h5mu", record).mod.items():
        source, target = (truth[modality] for modality in direction.split("->"))
        both = source.obs_names[source.obs_names.isin(target.obs_names)]
        if len(both) > 1:
            rows = _rows(folder, values.obs_names, source.obs.loc[both, "query_name"])
            x, shown = np.asarray(values.X)[rows], both.isin(few)
            r = pearson_columns(space_values(target[both]), x)
            yield _Imputed(record["run"], direction, r, both[shown], x[shown])


def _extreme_features(imputed: list[_Imputed], truth: MuData) -> list[pd.DataFrame]:
    parts = []
    for direction in dict.fromkeys(one.direction for one in imputed):
        of_runs = [one for one in imputed if one.direction == direction]
        mean = np.mean([one.r for one in of_runs], axis=0)
        ranked = np.argsort(-mean, kind="stable")
        ranked = ranked[~np.isnan(mean[ranked])]
        if not len(ranked):
            continue
        target = truth[direction.split("->")[1]]
        features = feature_names(target)
        places = {"best": ranked[0], "median": ranked[len(ranked) // 2], "worst": ranked[-1]}
        for one in of_runs:
            measured = space_values(target[one.cells])
            for place, column in places.items():
                table = {
                    "run": one.run,
                    "direction": direction,
                    "normalization": target.uns["normalization"],
                    "feature": features[column],
                    "place": place,
                    "r": one.r[column],
                    "cell": one.cells,
                    "measured": measured[:, column].round(DECIMALS),
                    "imputed": one.values[:, column].round(DECIMALS),
                }
                parts.append(pd.DataFrame(table))
    return parts


def _imputed_layouts(
    imputed: list[_Imputed], truth: MuData, few: pd.Index, seed: int
) -> list[pd.DataFrame]:
    """Return one layout per imputed modality, of measured values and all runs' imputed values.

    Both are projected on the first principal components of the measured values.
    """
    parts = []
    for modality, target in truth.mod.items():
        cells = target.obs_names[target.obs_names.isin(few)]
        drawn = [one for one in imputed if one.direction.endswith(f"->{modality}")]
        if not drawn or len(cells) < 2:
            continue
        measured = space_values(target[cells])
        centre = measured.mean(axis=0)
        axes = np.linalg.svd(measured - centre, full_matrices=False)[2]
        axes = axes[:COMPONENTS].T  # (features, components)
        drawn = [_Imputed(MEASURED, MEASURED, np.empty(0), cells, measured), *drawn]
        projected = np.concatenate([(one.values - centre) @ axes for one in drawn])
        xy, end = laid_out(neighbourhood(projected), seed).round(DECIMALS), 0
        for one in drawn:
            start, end = end, end + len(one.cells)
            table = {
                "run": one.run,
                "modality": modality,
                "direction": one.direction,
                "cell": one.cells,
                "cell_type": target.obs.loc[one.cells, "cell_type"].astype(str).to_numpy(),
                "x": xy[start:end, 0],
                "y": xy[start:end, 1],
            }
            parts.append(pd.DataFrame(table))
    return parts
