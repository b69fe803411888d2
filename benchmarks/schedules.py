"""Compare learning-rate schedules: epochs and CPU seconds to the same validation loss, and the scores of the models.

    snakemake --cores 1 results/splits/teaseq_small/paired/seed-{0,1,2}/train.h5mu
    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/schedules.py results/splits/*/paired/seed-* --methods vae_poe mmvae

Each method is trained once by each schedule of `SCHEDULES`, to its end, on the train cells of each split. A row of the table
is a training:

epochs, kept                trained, and the epoch whose weights were kept
validation_loss             mean over 5 epochs that end with the kept one, in nats per cell
reaches                     first epoch whose mean is at most the validation loss of the schedule "constant"; empty if none is
cpu_seconds                 of the training
foscttm, ...                scores of the query cells, as in stopping_rules.py; `imputation_skill` is the mean of all directions
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from stopping_rules import scored

from mosaicbench.catalog import catalog
from mosaicbench.files.splits import as_split, identity_of, read_split
from mosaicbench.models.training import WINDOW

SCHEDULES = {
    "constant": {"learning_rate": 0.001, "patience": 30, "cooldown": 0.0, "warmup": 0.2},
    "cooldown": {},  # the defaults
}
KEYS = ["dataset", "scenario", "method", "seed", "schedule"]


def main() -> None:
    """Train by each schedule, score, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "splits", nargs="+", type=Path, help="folders with train.h5mu, query.h5mu and solution.h5mu"
    )
    parser.add_argument("--methods", nargs="+", required=True)
    parser.add_argument("--into", type=Path, default=Path("docs/benchmarks/schedules.tsv"))
    given = parser.parse_args()
    for split in given.splits:
        for method in given.methods:
            rows = pd.DataFrame(compared(split, method))
            earlier = [pd.read_csv(given.into, sep="\t")] if given.into.is_file() else []
            table = pd.concat([*earlier, rows]).drop_duplicates(KEYS, keep="last").sort_values(KEYS)
            table.round(4).to_csv(given.into, sep="\t", index=False)
            print(rows.round(4).to_string(index=False))


def compared(split: Path, name: str) -> list[dict]:
    """Train a method on a split by each schedule and return a row for each."""
    train, query, solution = (
        read_split(split / f"{noun}.h5mu", noun) for noun in ("train", "query", "solution")
    )
    identity = {key: identity_of(train)[key] for key in ("dataset", "scenario", "seed")}
    identity |= {"cells": train.n_obs + solution.n_obs, "method": name}
    shown = as_split(train, labels=False, links="links" in catalog.card("methods", name)["inputs"])
    level, rows = None, []
    for schedule, settings in SCHEDULES.items():
        own = catalog.hyperparameters(name)
        method = catalog.method_class(name)(**{k: v for k, v in settings.items() if k in own})
        begin = time.process_time()
        history = method.fit(shown, identity["seed"])
        seconds = time.process_time() - begin
        smoothed = pd.Series([row["validation_loss"] for row in history]).rolling(WINDOW).mean()
        kept = int(np.argmax([row["kept"] for row in history]))
        level = smoothed[kept] if level is None else level
        reached = smoothed.index[smoothed <= level]
        scores = scored(method, train, query, solution)
        skills = [scores.pop(key) for key in [*scores] if key.startswith("imputation_skill")]
        rows.append(
            identity
            | {"schedule": schedule, "epochs": len(history), "kept": kept + 1}
            | {"validation_loss": smoothed[kept]}
            | {"reaches": int(reached[0]) + 1 if len(reached) else np.nan}
            | {"cpu_seconds": seconds}
            | scores
            | {"imputation_skill": np.mean(skills)}
        )
    return rows


if __name__ == "__main__":
    main()
