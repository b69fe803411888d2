"""The contracts: how each noun of the benchmark lies on disk, and the checks that every reader makes.

========  ====================================  ===================================================================
noun      file                                  what is true of it
========  ====================================  ===================================================================
dataset   ``{dataset}.h5mu``                    every cell fully measured; raw values in ``layers["counts"]`` (or
                                                ``layers["lognorm"]`` where a source has no counts, ``["continuous"]``
                                                of a continuous modality); ``obs`` holds ``cell_type`` ("" = unknown)
                                                and ``batch``; ``varp["links"]``, where known, which features of two
                                                modalities belong together
view      ``train.h5mu``, ``query.h5mu``        what a method may see; an absent measurement is an absent row
view      ``solution.h5mu``                     rows are the query cells in one order in every modality;
                                                ``obs["query_name"]`` of a modality names the row of the query
view      ``audit.tsv``                         what was learned from how many cells: train cells only
run       ``latents.h5ad``                      one row per cell x source, ``obs``: cell, source, subset; where a method
                                                gives them, ``obsm["private"]``, NaN in the rows of other sources,
                                                and ``obs["predicted"]``, the cell type, "" in rows of train cells
run       ``imputed.h5mu``                      a modality per direction, "rna->adt", in the target's value space
run       ``history.tsv``, ``run.json``         cost per epoch; what happened
scores    ``scores.tsv``, ``features.tsv``      long tables, one row per number
scores    ``cells.npz``                         of the scores that are means over cells: one number per cell
========  ====================================  ===================================================================

Every writer goes through :func:`atomic`; every reader raises :class:`ContractError` that names the file.
"""

from __future__ import annotations

import copy
import json
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse

from mosaicbench.errors import UserError
from mosaicbench.view import Cells, Scale, Truth, View

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

KEY = "mosaicbench"  # the key of .uns under which a file says what it is
PRIVATE = "private"  # the key of .obsm of private latents
PREDICTED = "predicted"  # the column of .obs of latents in which a method says the cell type
LINKS = "links"  # the key of .varp of links between features, and of .uns, where their origin is told
ACTIVITY = "gene_activity"  # the key of an ATAC modality's .obsm
SPACES = {"lognorm", "clr", "lsi", "continuous"}
# kind of modality -> what its source values may be
VALUES = {"rna": ("counts", "lognorm"), "atac": ("counts",), "adt": ("counts",), "continuous": ("continuous",)}
STATUSES = ("ok", "collapsed", "diverged", "out_of_memory", "timeout", "crashed", "not_applicable")
SCORE_COLUMNS = ["dataset", "scenario", "run", "seed", "metric", "direction", "space", "value", "status"]
FEATURE_COLUMNS = ["dataset", "scenario", "run", "seed", "metric", "direction", "space", "feature", "value"]
RECORD_KEYS = {"dataset", "scenario", "run", "method", "seed", "status", "message", "hyperparameters", "seconds"}
RECORD_KEYS |= {"peak_host_mb", "peak_device_mb", "device", "threads", "versions", "git_commit"}
# What records of an older version lack, and how it is read there: costs by phase, numbers of cells, the epochs after which a
# killed training was resumed, what it computed with, and how many seeds were trained at once and share its seconds.
LATER_RECORD_KEYS = {"cpu_seconds": {}, "gpu_seconds": {}, "host_mb": {}, "device_mb": {}}
LATER_RECORD_KEYS |= {"cells": {}, "resumed_after": [], "arithmetic": {}, "seeds_at_once": 1}


class ContractError(UserError):
    """A file is absent, truncated, or not what its place in the workflow says."""


@dataclass(frozen=True)
class CellScores:
    """The scores of single query cells of one run, of all its seeds.

    Attributes
    ----------
    dataset, scenario, run
        Whose they are.
    cells
        seed -> (cells,) names of the query cells, in the solution's order, which is the same for every run of the view.
    values
        (seed, metric, direction, space) -> (cells,) float32, NaN where a cell has no score.
    """

    dataset: str
    scenario: str
    run: str
    cells: dict[int, np.ndarray]
    values: dict[tuple[int, str, str, str], np.ndarray]


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place only when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# --- dataset -------------------------------------------------------------------------------------------------------------


def write_dataset(path: str | Path, dataset: MuData) -> None:
    """Check and write a dataset."""
    _check_dataset(path, dataset)
    _write_mudata(path, dataset)


def read_dataset(path: str | Path) -> MuData:
    """Read and check a dataset."""
    dataset = _read_mudata(path, "dataset")
    _check_dataset(path, dataset)
    return dataset


def _check_dataset(path: str | Path, dataset: MuData) -> None:
    _check_noun(path, dataset, "dataset")
    if len(dataset.mod) < 2:
        raise ContractError(f"{path}: a dataset needs at least two modalities, this one has {list(dataset.mod)}")
    for column in ("cell_type", "batch"):
        if column not in dataset.obs:
            raise ContractError(f'{path}: a dataset needs obs["{column}"]')
    for modality, cells in dataset.mod.items():
        _check_names(path, modality, cells)
        if not np.array_equal(cells.obs_names, dataset.obs_names):
            raise ContractError(f"{path}: the rows of modality {modality!r} are not the dataset's cells in the dataset's order")
        if cells.uns.get("kind") not in VALUES:
            raise ContractError(f'{path}: modality {modality!r} must say uns["kind"], one of {list(VALUES)}')
        if cells.uns.get("values") not in VALUES[cells.uns["kind"]]:
            possible = list(VALUES[cells.uns["kind"]])
            raise ContractError(f'{path}: modality {modality!r} must say uns["values"], for its kind one of {possible}')
        if cells.uns["values"] not in cells.layers:
            raise ContractError(f'{path}: modality {modality!r} has no layers["{cells.uns["values"]}"]')
        values = cells.layers[cells.uns["values"]]
        values = values.data if scipy.sparse.issparse(values) else values
        _check_finite(path, modality, values)
        if cells.uns["values"] == "counts" and (np.any(values < 0) or np.any(values != np.round(values))):
            raise ContractError(
                f"{path}: modality {modality!r} should hold counts but has negative or fractional values; "
                "point to the layer that holds raw counts, or say `values: lognorm` in the dataset's stanza"
            )


# --- view ----------------------------------------------------------------------------------------------------------------


def write_view(path: str | Path, view: MuData) -> None:
    """Check and write one part of a view: train, query or solution, as ``uns["mosaicbench"]["noun"]`` says."""
    _check_view(path, view, view.uns[KEY]["noun"])
    _write_mudata(path, view)


def read_view(path: str | Path, noun: str) -> MuData:
    """Read and check one part of a view; `noun` is "train", "query" or "solution"."""
    view = _read_mudata(path, noun)
    _check_view(path, view, noun)
    return view


def values(cells: AnnData) -> np.ndarray:
    """Return one modality's values in its declared space, (cells, features) float32, not standardised."""
    matrix = cells.obsm["X_lsi"] if cells.uns["space"] == "lsi" else cells.X
    return np.asarray(matrix.toarray() if scipy.sparse.issparse(matrix) else matrix, dtype=np.float32)


def feature_names(cells: AnnData) -> list[str]:
    """Return the names of the columns of :func:`values`."""
    if cells.uns["space"] == "lsi":
        return [f"LSI_{component + 2}" for component in range(cells.obsm["X_lsi"].shape[1])]
    return list(cells.var_names)


def standardised(cells: AnnData) -> np.ndarray:
    """Return :func:`values` less the train cells' mean, over the view's standard deviations, clipped to +-10."""
    return np.clip((values(cells) - cells.uns["mean"]) / cells.uns["std"], -10, 10).astype(np.float32, copy=False)


def unstandardised(cells: AnnData, x: np.ndarray) -> np.ndarray:
    """Take standardised values `x` (rows, features) back to the value space that `cells` declares."""
    return (x * cells.uns["std"] + cells.uns["mean"]).astype(np.float32)


def links_between(part: MuData, first: str, second: str) -> scipy.sparse.csr_matrix:
    """Return the links of a dataset or a part of a view, (features of `first`, features of `second`), 1, -1 or 0."""
    shape = part[first].n_vars, part[second].n_vars
    if LINKS not in part.varp:
        return scipy.sparse.csr_matrix(shape, dtype=np.int8)
    column = offsets(part)
    rows = slice(column[first], column[first] + shape[0])
    return scipy.sparse.csr_matrix(part.varp[LINKS])[rows, column[second] : column[second] + shape[1]]


def offsets(part: MuData) -> dict[str, int]:
    """Return modality -> position of its first feature among all of `part`."""
    sizes = [cells.n_vars for cells in part.mod.values()]
    return dict(zip(part.mod, np.cumsum([0, *sizes]).tolist(), strict=False))


def as_view(train: MuData, *, labels: bool, links: bool = False) -> View:
    """Return train cells as blocks that share what was observed; cell types and links are shown only if asked for."""
    blocks = []
    patterns = pd.DataFrame({m: train.obs_names.isin(train[m].obs_names) for m in train.mod}, index=train.obs_names)
    for pattern, rows in patterns.groupby(list(patterns.columns), sort=False):
        observed = [modality for modality, seen in zip(train.mod, pattern, strict=True) if seen]
        blocks.append(as_cells(train, observed, rows.index, labels=labels, links=links, counts=True))
    return View(
        blocks=tuple(blocks),
        features={m: len(feature_names(train[m])) for m in train.mod},
        scales={m: _scale(cells) for m, cells in train.mod.items() if "counts" in cells.layers},
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
            raise ContractError(f"{(index < 0).sum()} cells asked for are not observed in modality {modality!r}")
    obs = first.obs.loc[names]
    counted = {m: index for m, index in rows.items() if counts and "counts" in part[m].layers}
    return Cells(
        names=np.asarray(names, dtype=object),
        values={modality: standardised(part[modality])[index] for modality, index in rows.items()},
        labels=np.asarray(obs["cell_type"], dtype=object) if labels else None,
        batches=np.asarray(obs["batch"], dtype=object),
        counts={modality: part[modality].layers["counts"][index] for modality, index in counted.items()},
        totals={modality: part[modality].obs["total"].to_numpy()[index] for modality, index in counted.items()},
        activity=_activity(part, rows) if links else {},
    )


def _activity(part: MuData, rows: dict[str, np.ndarray]) -> dict[str, scipy.sparse.csr_matrix]:
    """Return the gene activities at `rows` of the modalities that have them."""
    having = [modality for modality in rows if ACTIVITY in part[modality].obsm]
    return {modality: scipy.sparse.csr_matrix(part[modality].obsm[ACTIVITY])[rows[modality]] for modality in having}


def _links(train: MuData) -> dict[tuple[str, str], scipy.sparse.csr_matrix]:
    """Return the links between every two modalities that have any."""
    found = {pair: links_between(train, *pair) for pair in permutations(train.mod, 2)}
    return {pair: links for pair, links in found.items() if links.nnz}


def _scale(train: AnnData) -> Scale:
    """Return what leads from counts to values in one modality of the train cells."""
    counts = scipy.sparse.csr_matrix(train.layers["counts"])
    opened = counts.getnnz(axis=0) / counts.shape[0]
    total = train.obs["total"].to_numpy(dtype=np.float64)
    lsi = train.uns["space"] == "lsi"
    return Scale(
        space=train.uns["space"],
        mean=train.uns["mean"],
        std=train.uns["std"],
        total=float(np.median(total)),
        share=np.asarray(counts.sum(axis=0)).ravel() / max(total.sum(), 1),
        opened=opened,
        when_open=np.asarray(train.X.sum(axis=0)).ravel() / np.maximum(counts.getnnz(axis=0), 1) if lsi else None,
        loadings=train.varm["LSI"] if lsi else None,
    )


def as_truth(solution: MuData) -> Truth:
    """Return what the positive controls may know of the query cells."""
    rows = {name: row for cells in solution.mod.values() for row, name in enumerate(cells.obs["query_name"])}
    labels = next(iter(solution.mod.values())).obs["cell_type"]
    values_of = {m: (values(cells) - cells.uns["mean"]) / cells.uns["std"] for m, cells in solution.mod.items()}
    return Truth(rows=rows, labels=np.asarray(labels, dtype=object), values=values_of)


def complete(part: MuData) -> pd.Index:
    """Return the names of the cells of `part` in which every modality was observed, in the first modality's order."""
    first, *others = (cells.obs_names for cells in part.mod.values())
    return first[np.all([first.isin(names) for names in others], axis=0)]


def _check_view(path: str | Path, view: MuData, noun: str) -> None:
    _check_noun(path, view, noun)
    for key in ("dataset", "scenario", "seed"):
        if key not in view.uns[KEY]:
            raise ContractError(f'{path}: uns["{KEY}"] does not say its {key}')
    for modality, cells in view.mod.items():
        _check_names(path, modality, cells)
        if cells.uns.get("space") not in SPACES:
            raise ContractError(f'{path}: modality {modality!r} must say uns["space"], one of {sorted(SPACES)}')
        if cells.uns["space"] == "lsi" and "X_lsi" not in cells.obsm:
            raise ContractError(f'{path}: modality {modality!r} is in LSI space but has no obsm["X_lsi"]')
        matrix = cells.obsm["X_lsi"] if cells.uns["space"] == "lsi" else cells.X
        _check_finite(path, modality, matrix.data if scipy.sparse.issparse(matrix) else matrix)
        for moment in ("mean", "std"):
            if len(cells.uns.get(moment, ())) != matrix.shape[1]:
                raise ContractError(f'{path}: modality {modality!r} needs uns["{moment}"] with one number per feature')
        if noun == "query" and "cell_type" in cells.obs:
            raise ContractError(f"{path}: the query shows cell types in modality {modality!r}; only the solution may")
        if noun != "query" and "cell_type" not in cells.obs:
            raise ContractError(f'{path}: modality {modality!r} has no obs["cell_type"]')
        if noun == "solution":
            if "query_name" not in cells.obs:
                raise ContractError(f'{path}: modality {modality!r} has no obs["query_name"]')
            if not np.array_equal(cells.obs_names, view.obs_names):
                raise ContractError(f"{path}: the rows of modality {modality!r} are not the solution's cells in order")


# --- run -----------------------------------------------------------------------------------------------------------------


def latents_table(
    latents: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]],
    private: dict[tuple[str, str], np.ndarray] | None = None,
    predicted: dict[tuple[str, str], np.ndarray] | None = None,
) -> AnnData:
    """Stack latents into one table.

    Parameters
    ----------
    latents
        (source, subset) -> (names, (cells, latent)); an empty dict gives a table without rows.
    private
        (source, subset) -> (cells, private) of those sources that have private latents, all of the same width.
    predicted
        (source, subset) -> (cells,) cell types that the method says, of the sources of which it does.
    """
    import anndata

    obs = pd.concat(
        [pd.DataFrame({"cell": [], "source": [], "subset": []}, dtype=object)]
        + [pd.DataFrame({"cell": names, "source": s, "subset": sub}, dtype=object) for (s, sub), (names, _) in latents.items()],
        ignore_index=True,
    )
    x = np.concatenate([z for _, z in latents.values()]) if latents else np.zeros((0, 1))
    obs.index = obs.index.astype(str)
    table = anndata.AnnData(X=np.asarray(x, dtype=np.float32), obs=obs, uns={KEY: {"noun": "latents"}})
    if private:
        width = next(iter(private.values())).shape[1]
        blocks = [private.get(key, np.full((len(names), width), np.nan)) for key, (names, _) in latents.items()]
        table.obsm[PRIVATE] = np.concatenate(blocks).astype(np.float32)
    if predicted:
        unsaid = {key: np.full(len(names), "", dtype=object) for key, (names, _) in latents.items()}
        table.obs[PREDICTED] = pd.Categorical(np.concatenate(list((unsaid | predicted).values())).astype(str))
    return table


def latents_of(latents: AnnData, source: str, subset: str) -> tuple[pd.Index, np.ndarray]:
    """Return the names and latents of one source and subset, (cells, latent)."""
    rows = ((latents.obs["source"] == source) & (latents.obs["subset"] == subset)).to_numpy()
    return pd.Index(latents.obs["cell"][rows].astype(str)), latents.X[rows]


def private_of(latents: AnnData, source: str, subset: str) -> np.ndarray | None:
    """Return the private latents of one source and subset, (cells, private), in the order of :func:`latents_of`, or None."""
    rows = ((latents.obs["source"] == source) & (latents.obs["subset"] == subset)).to_numpy()
    if PRIVATE not in latents.obsm or not rows.any() or np.isnan(latents.obsm[PRIVATE][rows]).all():
        return None
    return np.asarray(latents.obsm[PRIVATE][rows])


def predicted_of(latents: AnnData, source: str, subset: str) -> np.ndarray | None:
    """Return the cell types that a method says, (cells,), in the order of :func:`latents_of`, or None."""
    rows = ((latents.obs["source"] == source) & (latents.obs["subset"] == subset)).to_numpy()
    if PREDICTED not in latents.obs or (latents.obs[PREDICTED][rows] == "").all():
        return None
    return np.asarray(latents.obs[PREDICTED][rows], dtype=object)


def collapsed(latents: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]) -> bool:
    """Return whether no latent dimension of any source has a variance above 0.01 over the query cells."""
    return all(z.var(axis=0).max() <= 0.01 for (_, subset), (_, z) in latents.items() if subset == "query")


def imputed_table(imputed: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]], query: MuData | None) -> MuData:
    """Return a modality per direction from (source, target) -> (names, standardised values), in the target's value space."""
    import anndata
    import mudata

    directions = {}
    for (source, target), (names, x) in imputed.items():
        directions[f"{source}->{target}"] = anndata.AnnData(
            X=unstandardised(query[target], x),
            obs=pd.DataFrame(index=pd.Index(names).astype(str)),
            var=pd.DataFrame(index=feature_names(query[target])),
            uns={"space": query[target].uns["space"]},
        )
    with quiet_mudata():
        table = mudata.MuData(directions)
    table.uns[KEY] = {"noun": "imputed"}
    return table


def generated_table(
    generated: dict[str, np.ndarray], train: MuData, names: np.ndarray, cell_types: np.ndarray, identity: dict
) -> MuData:
    """Return virtual cells from modality -> (cells, features) standardised values, in the train cells' value spaces."""
    import anndata
    import mudata

    modalities = {
        modality: anndata.AnnData(
            X=unstandardised(train[modality], x),
            obs=pd.DataFrame(index=pd.Index(names).astype(str)),
            var=pd.DataFrame(index=feature_names(train[modality])),
            uns={"space": train[modality].uns["space"]},
        )
        for modality, x in generated.items()
    }
    with quiet_mudata():
        table = mudata.MuData(modalities)
    table.obs["cell_type"] = pd.Categorical(cell_types.astype(str))
    table.uns[KEY] = {"noun": "generated"} | identity
    return table


def write_history(path: str | Path, history: list[dict[str, float]]) -> None:
    """Write the cost of every epoch; a method that is not trained has none."""
    write_table(path, pd.DataFrame(history, columns=list(history[0]) if history else ["epoch", "cost"]))


def write_latents(path: str | Path, latents: AnnData) -> None:
    """Check and write a run's latents."""
    _check_latents(path, latents)
    with atomic(path) as temporary:
        latents.write_h5ad(temporary)


def read_latents(path: str | Path) -> AnnData:
    """Read and check a run's latents."""
    import anndata

    latents = _read_h5(path, anndata.read_h5ad)
    _check_latents(path, latents)
    return latents


def _check_latents(path: str | Path, latents: AnnData) -> None:
    _check_noun(path, latents, "latents")
    for column in ("cell", "source", "subset"):
        if column not in latents.obs:
            raise ContractError(f'{path}: latents need obs["{column}"]')
    if latents.obs.duplicated(["cell", "source", "subset"]).any():
        raise ContractError(f"{path}: a cell appears twice for the same source")
    _check_finite(path, "latents", latents.X)
    if PRIVATE in latents.obsm:
        given = ~np.isnan(latents.obsm[PRIVATE]).all(axis=1)
        _check_finite(path, "private latents", latents.obsm[PRIVATE][given])


def write_imputed(path: str | Path, imputed: MuData) -> None:
    """Check and write a run's imputed values."""
    _check_imputed(path, imputed)
    _write_mudata(path, imputed)


def read_imputed(path: str | Path) -> MuData:
    """Read and check a run's imputed values."""
    imputed = _read_mudata(path, "imputed")
    _check_imputed(path, imputed)
    return imputed


def _check_imputed(path: str | Path, imputed: MuData) -> None:
    _check_noun(path, imputed, "imputed")
    for direction, cells in imputed.mod.items():
        if "->" not in direction:
            raise ContractError(f"{path}: {direction!r} is not a direction such as 'rna->adt'")
        _check_names(path, direction, cells)
        if cells.uns.get("space") not in SPACES:
            raise ContractError(f'{path}: {direction!r} must say uns["space"], one of {sorted(SPACES)}')
        _check_finite(path, direction, cells.X)


def write_generated(path: str | Path, generated: MuData) -> None:
    """Check and write virtual cells."""
    _check_noun(path, generated, "generated")
    for modality, cells in generated.mod.items():
        _check_names(path, modality, cells)
        _check_finite(path, modality, cells.X)
    _write_mudata(path, generated)


def write_record(path: str | Path, record: dict) -> None:
    """Check and write ``run.json``."""
    _check_record(path, record)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


def read_record(path: str | Path) -> dict:
    """Read and check ``run.json``."""
    try:
        record = json.loads(Path(path).read_text())
    except FileNotFoundError as error:
        raise ContractError(f"{path}: no such file") from error
    except ValueError as error:
        raise ContractError(f"{path}: not valid JSON ({error}); delete the run's folder and run again") from error
    _check_record(path, record)
    return copy.deepcopy(LATER_RECORD_KEYS) | record


def _check_record(path: str | Path, record: dict) -> None:
    if missing := RECORD_KEYS - set(record):
        raise ContractError(f"{path}: run.json lacks {sorted(missing)}")
    if record["status"] not in STATUSES:
        raise ContractError(f"{path}: unknown status {record['status']!r}; one of {', '.join(STATUSES)}")


# --- tables --------------------------------------------------------------------------------------------------------------


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a tab-separated table; a missing number is written NA."""
    with atomic(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="NA")


def read_table(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a tab-separated table and check that it has exactly `columns`, if given."""
    try:
        table = pd.read_csv(path, sep="\t", na_values=["NA"], keep_default_na=False)
    except FileNotFoundError as error:
        raise ContractError(f"{path}: no such file") from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ContractError(f"{path}: not a readable tab-separated table ({error})") from error
    if columns is not None and list(table.columns) != columns:
        raise ContractError(f"{path}: expected the columns {columns}, found {list(table.columns)}")
    return table


def write_scores(path: str | Path, scores: pd.DataFrame) -> None:
    """Check and write the scores of one run."""
    _check_scores(path, scores)
    write_table(path, scores[SCORE_COLUMNS])


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read and check the scores of one run."""
    scores = read_table(path, SCORE_COLUMNS)
    _check_scores(path, scores)
    return scores


def _check_scores(path: str | Path, scores: pd.DataFrame) -> None:
    if unknown := set(scores["status"]) - set(STATUSES):
        raise ContractError(f"{path}: unknown status {sorted(unknown)}")
    if scores.duplicated(SCORE_COLUMNS[:6]).any():
        raise ContractError(f"{path}: the same score stands twice")


def write_cells(path: str | Path, scores: CellScores) -> None:
    """Write the scores of single cells, compressed; a run that failed with every seed has none."""
    arrays = {
        "identity": np.array([KEY, "cells", scores.dataset, scores.scenario, scores.run]),
        "seeds": np.array(list(scores.cells), dtype=np.int64),
        "blocks": np.array([tuple(map(str, key)) for key in scores.values], dtype=str).reshape(-1, 4),
    }
    arrays |= {f"cells_{seed}": np.asarray(names, dtype=str) for seed, names in scores.cells.items()}
    arrays |= {f"values_{i}": np.asarray(x, dtype=np.float32) for i, x in enumerate(scores.values.values())}
    with atomic(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def read_cells(path: str | Path) -> CellScores:
    """Read and check the scores of single cells."""
    if not Path(path).is_file():
        raise ContractError(f"{path}: no such file")
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = dict(stored)
        *kind, dataset, scenario, run = arrays["identity"].tolist()
        cells = {int(seed): arrays[f"cells_{seed}"] for seed in arrays["seeds"]}
        keys = [(int(seed), *names) for seed, *names in arrays["blocks"].tolist()]
        values = {key: arrays[f"values_{i}"] for i, key in enumerate(keys)}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ContractError(f"{path}: not readable as the scores of single cells ({error}); delete it and run again") from error
    if kind != [KEY, "cells"]:
        raise ContractError(f"{path}: expected the scores of single cells, but it says {kind} about itself")
    for seed, *names in values:
        if len(values[(seed, *names)]) != len(cells.get(seed, ())):
            raise ContractError(f"{path}: {names[0]} of seed {seed} has not one number per cell; delete it and run again")
    return CellScores(dataset=dataset, scenario=scenario, run=run, cells=cells, values=values)


# --- shared checks -------------------------------------------------------------------------------------------------------


def _check_noun(path: str | Path, thing: AnnData | MuData, noun: str) -> None:
    found = thing.uns.get(KEY, {}).get("noun")
    if found != noun:
        raise ContractError(f"{path}: expected a {noun} file, but it says {found or 'nothing'} about itself")


def _check_names(path: str | Path, modality: str, cells: AnnData) -> None:
    for axis, names in (("cell", cells.obs_names), ("feature", cells.var_names)):
        if not names.is_unique:
            raise ContractError(
                f"{path}: duplicated {axis} names in modality {modality!r}, e.g. {names[names.duplicated()][0]!r}"
            )
        if not len(names):
            raise ContractError(f"{path}: modality {modality!r} has no {axis}s")


def _check_finite(path: str | Path, what: str, array: np.ndarray) -> None:
    if not np.all(np.isfinite(array)):
        raise ContractError(f"{path}: {what!r} holds NaN or infinite values")


def _write_mudata(path: str | Path, thing: MuData) -> None:
    with atomic(path) as temporary, quiet_mudata():
        thing.write_h5mu(temporary)


def _read_mudata(path: str | Path, noun: str) -> MuData:
    import mudata

    with quiet_mudata():
        thing = _read_h5(path, mudata.read_h5mu)
    _check_noun(path, thing, noun)
    return thing


@contextmanager
def quiet_mudata() -> Iterator[None]:
    """Keep mudata from copying columns between levels, and from warning where a gene and a protein share a name."""
    import mudata

    # From 0.4 on it copies nothing unless asked, and the option has moved.
    copies_nothing = mudata.set_options(pull_on_update=False) if hasattr(mudata, "set_options") else nullcontext()
    with copies_nothing, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="var_names are not unique")
        yield


def _read_h5(path: str | Path, reader: object) -> AnnData | MuData:
    """Read with `reader`; HDF5's own complaints become one sentence with the file's name."""
    if not Path(path).is_file():
        raise ContractError(f"{path}: no such file")
    try:
        return reader(path)
    except (OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ContractError(f"{path}: cannot be read as HDF5, it is truncated or of another kind ({reason})") from error
