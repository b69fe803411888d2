"""The scores: ``scores.tsv`` and ``features.tsv``, a row per number; ``cells.npz``.

``cells.npz`` holds, of the scores that are means over cells, the numbers of the single cells.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mosaicbench.errors import ContractError
from mosaicbench.files._h5 import KEY
from mosaicbench.files.atomic import atomic
from mosaicbench.files.identity import check_place
from mosaicbench.files.tables import read_table, write_table

KEYS = ["dataset", "scenario", "run", "seed", "metric", "direction"]
SCORE_COLUMNS = [*KEYS, "normalization", "value", "status"]
FEATURE_COLUMNS = [*KEYS, "normalization", "feature", "value"]


@dataclass(frozen=True)
class CellScores:
    """The scores of single query cells of one run, of all its seeds.

    Attributes
    ----------
    dataset, scenario, run
        Identity of the run.
    cells
        seed -> (cells,) names of the query cells, in the solution's order.
    values
        (seed, metric, direction, normalization) -> (cells,) float32, NaN where a cell has no score.
    """

    dataset: str
    scenario: str
    run: str
    cells: dict[int, np.ndarray]
    values: dict[tuple[int, str, str, str], np.ndarray]


def write_scores(path: str | Path, scores: pd.DataFrame) -> None:
    """Write the scores of one run."""
    write_table(path, scores[SCORE_COLUMNS])


def read_scores(path: str | Path, place: Mapping | None = None) -> pd.DataFrame:
    """Read the scores of one run; `place`: its expected dataset, scenario and run."""
    scores = read_table(path, SCORE_COLUMNS)
    _check_rows(path, scores, place)
    return scores


def read_features(path: str | Path, place: Mapping | None = None) -> pd.DataFrame:
    """Read the scores of single features; `place` as of :func:`read_scores`."""
    features = read_table(path, FEATURE_COLUMNS)
    _check_rows(path, features, place)
    return features


def _check_rows(path: str | Path, table: pd.DataFrame, place: Mapping | None) -> None:
    for key, expected in (place or {}).items():
        for name in table[key].unique():
            check_place(path, {key: name}, {key: expected})


def write_cells(path: str | Path, scores: CellScores) -> None:
    """Write the scores of single cells; a run that failed with every seed has none."""
    arrays = {
        "identity": np.array([KEY, "cells", scores.dataset, scores.scenario, scores.run]),
        "seeds": np.array(list(scores.cells), dtype=np.int64),
        "blocks": np.array([tuple(map(str, key)) for key in scores.values], dtype=str).reshape(
            -1, 4
        ),
    }
    for seed, names in scores.cells.items():
        arrays[f"cells_{seed}"] = np.asarray(names, dtype=str)
    for number, values in enumerate(scores.values.values()):
        arrays[f"values_{number}"] = np.asarray(values, dtype=np.float32)
    with atomic(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def read_cells(path: str | Path, place: Mapping | None = None) -> CellScores:
    """Read the scores of single cells; `place` is as of :func:`read_scores`."""
    if not Path(path).is_file():
        raise ContractError(f"{path}: no such file")
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = dict(stored)
        *_, dataset, scenario, run = arrays["identity"].tolist()
        cells = {int(seed): arrays[f"cells_{seed}"] for seed in arrays["seeds"]}
        keys = [(int(seed), *names) for seed, *names in arrays["blocks"].tolist()]
        values = {key: arrays[f"values_{i}"] for i, key in enumerate(keys)}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ContractError(
            f"{path}: not readable as the scores of single cells ({error}); delete it and run again"
        ) from error
    whose = {"dataset": dataset, "scenario": scenario, "run": run}
    check_place(path, whose, place)
    return CellScores(**whose, cells=cells, values=values)
