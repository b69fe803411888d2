"""Score runs on all their seeds: compare their outputs with the solution by every metric."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from mudata import MuData

from mosaicbench.errors import UserError
from mosaicbench.files.runs import read_history, read_imputed, read_latents, read_record
from mosaicbench.files.scores import (
    FEATURE_COLUMNS,
    SCORE_COLUMNS,
    CellScores,
    write_cells,
    write_scores,
)
from mosaicbench.files.splits import identity_of, read_split
from mosaicbench.files.tables import write_table
from mosaicbench.scoring import scorer
from mosaicbench.scoring.collect import run_data_of


def main(
    *,
    runs: list[Path],
    splits: list[Path],
    groups: list[str],
    outputs: list[Path],
) -> None:
    """Write scores.tsv, features.tsv and cells.npz of each run into its folder of `outputs`.

    Parameters
    ----------
    runs
        Folders of all seeds of the first run, then of the next.
    splits
        Folders of one split, in the order of the seeds.
    groups
        The groups of metrics.

    Raises
    ------
    UserError
        When a file breaks its contract; all other runs are written first.
    """
    found, failed = [_Run() for _ in outputs], {}
    folders = np.reshape(runs, (len(outputs), len(splits)))
    for seed, split in enumerate(splits):
        train = read_split(split / "train.h5mu", "train")
        solution = read_split(split / "solution.h5mu", "solution", identity_of(train))
        for place, folder in enumerate(folders[:, seed]):
            if place in failed:
                continue
            try:
                found[place].add(folder, train, solution, groups)
            except Exception as error:
                failed[place] = error
    for place, output in enumerate(outputs):
        if place not in failed:
            found[place].write(output)
    _raise(list(failed.values()))


def _raise(errors: list[Exception]) -> None:
    mistakes = [error for error in errors if isinstance(error, UserError)]
    faults = [error for error in errors if error not in mistakes]
    if faults:
        print(*mistakes, sep="\n", file=sys.stderr)
        raise ExceptionGroup("runs that were not scored", faults) if len(faults) > 1 else faults[0]
    if mistakes:
        raise mistakes[0] if len(mistakes) == 1 else UserError("\n".join(map(str, mistakes)))


class _Run:
    """The scores of one run, seed by seed."""

    def __init__(self):
        self.whose: dict[str, str] = {}
        self.scores, self.features = [], []  # tables, one per seed
        self.names_of_cells, self.values_of_cells = {}, {}

    def add(
        self,
        folder: Path,
        train: MuData,
        solution: MuData,
        groups: list[str],
    ) -> None:
        """Score one seed; a failed run becomes one row with its status."""
        record = read_record(folder / "run.json", identity_of(solution) | self.whose)
        self.whose = {key: record[key] for key in ("dataset", "scenario", "run")}
        seed, place = record["seed"], f"{record['dataset']}, {record['scenario']}"
        print(f"scoring {record['run']} on {place}, seed {seed}", file=sys.stderr)
        if record["status"] in ("ok", "collapsed"):
            read = {"latents": read_latents(folder / "latents.h5ad", record)}
            read |= {"imputed": read_imputed(folder / "imputed.h5mu", record)}
            history = read_history(folder / "history.tsv")
            run_data = run_data_of(
                folder, train=train, solution=solution, record=record, history=history, **read
            )
            found = scorer.score(run_data, groups)
            self.names_of_cells[seed] = np.asarray(solution.obs_names, dtype=str)
            self.values_of_cells |= {(seed, *key): values for key, values in found.cells.items()}
        else:
            found = scorer.NOTHING
        rows = zip(found.scores["metric"], found.scores["direction"], strict=True)
        status = [
            "not_applicable" if row in found.not_applicable else record["status"] for row in rows
        ]
        self.scores.append(
            found.scores.assign(**self.whose, seed=seed, status=status)[SCORE_COLUMNS]
        )
        self.features.append(found.features.assign(**self.whose, seed=seed)[FEATURE_COLUMNS])

    def write(self, output: Path) -> None:
        """Write the scores, also of single features and cells."""
        write_scores(output / "scores.tsv", pd.concat(self.scores, ignore_index=True))
        write_table(output / "features.tsv", pd.concat(self.features, ignore_index=True))
        write_cells(
            output / "cells.npz",
            CellScores(**self.whose, cells=self.names_of_cells, values=self.values_of_cells),
        )
