"""Score runs on all their seeds: align what each gave with the solution, and let every metric that applies say its number."""

from __future__ import annotations

import inspect
import sys
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.errors import ContractError
from mosaicbench.files.runs import latents_of, predicted_of, private_of, read_imputed, read_latents, read_record
from mosaicbench.files.scores import FEATURE_COLUMNS, SCORE_COLUMNS, CellScores, write_cells, write_scores
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.files.views import complete_cells, feature_names, read_view
from mosaicbench.scoring import per_cell, scorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mudata import MuData
    from scipy import sparse

NEARLY_EQUAL = 0.999  # correlation of the entries of two modalities


def main(
    *,
    runs: Sequence[Path],
    views: Sequence[Path],
    groups: Sequence[str],
    scores: Sequence[Path],
    features: Sequence[Path],
    cells: Sequence[Path],
) -> None:
    """Write `scores`, `features` and `cells` of each run from its folders, one per seed, and those of the same seeds' views.

    Parameters
    ----------
    runs
        Folders, in the order of the seeds; all of the first run first.
    views
        Folders, in the order of the seeds; every run is of the same view.
    groups
        The groups of metrics to ask.
    scores, features, cells
        The files to write, one per run.

    Raises
    ------
    UserError
        When a file breaks its contract, or a run's rows are not the solution's cells.
    """
    found = [Scores() for _ in scores]
    folders = np.reshape(runs, (len(scores), len(views)))
    for seed, view in enumerate(views):
        train, solution = (read_view(view / f"{part}.h5mu", part) for part in ("train", "solution"))
        _refuse_one_matrix_twice(view, {modality: _values(cells) for modality, cells in solution.mod.items()})
        for of_run, folder in zip(found, folders[:, seed], strict=True):
            of_run.add(folder, train, solution, groups)
    for of_run, *paths in zip(found, scores, features, cells, strict=True):
        of_run.write(*paths)


class Scores:
    """What one run is found to be worth, seed by seed."""

    def __init__(self):
        self.whose: dict[str, str] = {}
        self.scores, self.features = [], []  # tables, one per seed
        self.names_of_cells, self.values_of_cells = {}, {}

    def add(self, folder: Path, train: MuData, solution: MuData, groups: Sequence[str]) -> None:
        """Score one seed; a run that failed is one row that says so."""
        record = read_record(folder / "run.json")
        print(f"scoring {record['run']} on {record['dataset']}, {record['scenario']}, seed {record['seed']}", file=sys.stderr)
        identity = {key: record[key] for key in ("dataset", "scenario", "run", "seed")}
        self.whose = {key: record[key] for key in ("dataset", "scenario", "run")}
        if record["status"] in ("ok", "collapsed"):
            found, per_feature, names, per_cell = _score_seed(folder, train, solution, groups, record)
            self.names_of_cells[record["seed"]] = names
            self.values_of_cells |= {(record["seed"], *key): values for key, values in per_cell.items()}
        else:
            found = pd.DataFrame([{"metric": "status", "direction": "run", "space": "-", "value": np.nan}])
            per_feature = pd.DataFrame(columns=["metric", "direction", "space", "feature", "value"])
        self.scores.append(found.assign(**identity, status=record["status"])[SCORE_COLUMNS])
        self.features.append(per_feature.assign(**identity)[FEATURE_COLUMNS])

    def write(self, scores: Path, features: Path, cells: Path) -> None:
        """Write the scores, those of single features, and those of single cells."""
        write_scores(scores, pd.concat(self.scores, ignore_index=True))
        write_table(features, pd.concat(self.features, ignore_index=True))
        write_cells(cells, CellScores(**self.whose, cells=self.names_of_cells, values=self.values_of_cells))


def _score_seed(
    folder: Path, train: MuData, solution: MuData, groups: Sequence[str], record: dict
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray, dict]:
    """Return the scores of one seed of a run, its values per feature, the names of the query cells, its values per cell."""
    latents = read_latents(folder / "latents.h5ad")
    imputed = read_imputed(folder / "imputed.h5mu")
    query_names = {modality: cells.obs["query_name"].astype(str) for modality, cells in solution.mod.items()}
    query_names["joint"] = next(iter(query_names.values()))
    sources = list(dict.fromkeys(latents.obs["source"]))
    first = next(iter(solution.mod.values()))
    query_latents = {source: _aligned(folder, latents, source, query_names[source]) for source in sources}
    peaks = {modality: cells for modality, cells in solution.mod.items() if cells.uns["space"] == "lsi"}
    truth = {modality: _values(cells) for modality, cells in solution.mod.items()}
    return _scored(
        np.asarray(first.obs_names, dtype=str),
        groups=groups,
        latents=query_latents,
        private_latents=_private(folder, latents, {source: query_names[source] for source in sources}),
        train_latents={source: latents_of(latents, source, "train")[1] for source in sources},
        train_labels={source: _train_labels(train, latents, source) for source in sources},
        labelled=_labelled(train, latents, sources),
        predicted=_predicted(folder, latents, {source: query_names[source] for source in sources}),
        imputed={d: _rows(folder, cells.obs_names, query_names[d.split("->")[0]], cells.X) for d, cells in imputed.mod.items()},
        truth=truth,
        spaces={modality: cells.uns["space"] for modality, cells in solution.mod.items()},
        train_mean={modality: cells.uns["mean"] for modality, cells in solution.mod.items()},
        train_std={modality: cells.uns["std"] for modality, cells in solution.mod.items()},
        celltype_means={modality: _celltype_means(cells) for modality, cells in train.mod.items()},
        opened={modality: cells.X for modality, cells in peaks.items()},
        loadings={modality: cells.varm["LSI"] for modality, cells in peaks.items()},
        shared_factors=solution.obsm.get("shared_factors"),
        private_factors={
            m: cells.obsm["private_factors"] for m, cells in solution.mod.items() if "private_factors" in cells.obsm
        },
        shared_driven={
            modality: cells.var["shared_driven"].to_numpy()
            for modality, cells in solution.mod.items()
            if "shared_driven" in cells.var and modality not in peaks
        },
        feature_names={modality: feature_names(cells) for modality, cells in solution.mod.items()},
        labels=np.asarray(first.obs["cell_type"], dtype=object),
        batches=np.asarray(first.obs["batch"], dtype=object),
        record=record,
        history={name: column.to_numpy() for name, column in read_table(folder / "history.tsv").items()},
    )


def _refuse_one_matrix_twice(view: Path, values: dict[str, np.ndarray | sparse.csr_matrix]) -> None:
    """Refuse a solution in which two modalities hold the same numbers, or nearly: any score of their alignment is void."""
    for (name, x), (other, y) in combinations(values.items(), 2):
        if x.shape == y.shape and x.shape[1] > 1:
            rows = slice(0, 200)
            x_rows, y_rows = (np.asarray(z[rows].todense() if hasattr(z, "todense") else z[rows]).ravel() for z in (x, y))
            if np.array_equal(x_rows, y_rows) or np.corrcoef(x_rows, y_rows)[0, 1] > NEARLY_EQUAL:
                raise ContractError(
                    f"{view}/solution.h5mu: modalities {name!r} and {other!r} hold the same matrix, or nearly; "
                    "was one file given twice in the dataset's stanza?"
                )


def _scored(names: np.ndarray, **supplied: object) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray, dict]:
    """Ask the scorer, and for the values per cell, with what both are supplied with."""
    known = {name: supplied[name] for name in inspect.signature(per_cell.per_cell).parameters}
    return *scorer.score(**supplied), names, per_cell.per_cell(**known)


def _values(cells) -> np.ndarray | sparse.csr_matrix:
    """Return a modality's values in its space, sparse where they lie sparse in the file."""
    return cells.obsm["X_lsi"] if cells.uns["space"] == "lsi" else cells.X


def _celltype_means(cells) -> dict[str, np.ndarray]:
    """Return cell type -> (features,) mean profile of its train cells; cells without a type are left out."""
    x, types = _values(cells), np.asarray(cells.obs["cell_type"], dtype=object)
    return {str(t): np.asarray(x[types == t].mean(axis=0), dtype=np.float32).ravel() for t in np.unique(types.astype(str)) if t}


def _aligned(folder: Path, latents, source: str, query_names: pd.Series) -> np.ndarray:
    """Return a source's query latents in the order of the solution's cells."""
    names, z = latents_of(latents, source, "query")
    return _rows(folder, names, query_names, z)


def _private(folder: Path, latents, query_names: dict[str, pd.Series]) -> dict[str, np.ndarray]:
    """Return source -> private latents in the order of the solution's cells; the joint source has those of all modalities."""
    found = {}
    for source, wanted in query_names.items():
        if (z := private_of(latents, source, "query")) is not None:
            found[source] = _rows(folder, latents_of(latents, source, "query")[0], wanted, z)
    if found and "joint" in query_names:
        found["joint"] = np.concatenate(list(found.values()), axis=1)
    return found


def _predicted(folder: Path, latents, query_names: dict[str, pd.Series]) -> dict[str, np.ndarray]:
    """Return source -> the cell types that the method says, in the order of the solution's cells."""
    said = {source: predicted_of(latents, source, "query") for source in query_names}
    return {
        source: _rows(folder, latents_of(latents, source, "query")[0], query_names[source], types)
        for source, types in said.items()
        if types is not None
    }


def _labelled(train, latents, sources: list[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return latents and types of the train cells of known type, None if there are none.

    A cell in which all was measured is there once, as the joint source gives it; others once for each of their modalities.
    """
    found, complete = [], complete_cells(train) if "joint" in sources else pd.Index([])
    for source in sources:
        names, z = latents_of(latents, source, "train")
        types = _train_labels(train, latents, source)
        rows = (types != "") & ((source == "joint") | ~names.isin(complete))
        found.append((z[rows], types[rows]))
    if not found or not sum(len(types) for _, types in found):
        return None
    return np.concatenate([z for z, _ in found]), np.concatenate([types for _, types in found])


def _rows(folder: Path, names: pd.Index, wanted: pd.Series, values: np.ndarray) -> np.ndarray:
    """Return the rows of `values`, called `names`, in the order `wanted`; both must be the same cells."""
    rows = names.get_indexer(wanted)
    if np.any(rows < 0) or len(names) != len(wanted):
        raise ContractError(
            f"{folder}: its {len(names)} rows are not the solution's {len(wanted)} cells; was the view cut again? "
            "Delete the folder."
        )
    return values[rows]


def _train_labels(train, latents, source: str) -> np.ndarray:
    names, _ = latents_of(latents, source, "train")
    cells = next(iter(train.mod.values())) if source == "joint" else train[source]
    return np.asarray(cells.obs["cell_type"].reindex(names), dtype=object)
