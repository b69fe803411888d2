"""Which epoch's weights do other stopping rules keep, and what do these weights score? Rules read the validation loss alone.

    snakemake --cores 1 results/splits/teaseq_small/paired/seed-{0,1,2}/train.h5mu
    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/stopping_rules.py results/splits/*/paired/seed-* --methods vae_poe mmvae --epochs 200

Each method is trained once on the train cells of each split for `--epochs` epochs, without stopping. The validation loss of
every held-out cell is kept in each epoch, and the query cells are scored every `--every` epochs. Then each rule of `RULES` is
applied to the losses, with a patience of 30 epochs. A row of the table is a rule: the epoch that it keeps, the epoch in which
it stops, and the scores of the scored epoch nearest to the one kept:

foscttm, foscttm_cosine     means of both directions, between latents of one modality each
label_transfer_accuracy     15 nearest train cells of the other modality, mean of both directions
imputation_skill            by direction

The rules: the lowest loss ("lowest"), the lowest mean over 5 epochs ("smoothed", what this package does), a mean that is lower
than the kept one by more than one or two standard errors over the held-out cells ("one_se", "two_se": paired differences), and
one that is lower by 0.5 % of the fall since the first epoch ("half_percent"). "last" keeps the weights of the last epoch.
"""

from __future__ import annotations

import argparse
from itertools import permutations
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch

from mosaicbench.catalog import catalog
from mosaicbench.files.splits import (
    as_cells,
    as_split,
    identity_of,
    read_split,
    space_values,
    unstandardised_values,
)
from mosaicbench.metrics._nearest import transfer
from mosaicbench.metrics.alignment import foscttm
from mosaicbench.metrics.imputation import imputation_skill
from mosaicbench.models import training
from mosaicbench.models.training import LONGEST, WINDOW

PATIENCE, WARMUP = 30, 0.2
RULES = {
    "lowest": lambda gain, fall: gain.mean() > 0,
    "smoothed": lambda gain, fall: gain.mean() > 0,
    "one_se": lambda gain, fall: gain.mean() > _standard_error(gain),
    "two_se": lambda gain, fall: gain.mean() > 2 * _standard_error(gain),
    "half_percent": lambda gain, fall: gain.mean() > 0.005 * fall,
}


def main() -> None:
    """Train, score, apply the rules, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "splits", nargs="+", type=Path, help="folders with train.h5mu, query.h5mu and solution.h5mu"
    )
    parser.add_argument("--methods", nargs="+", required=True)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--into", type=Path, default=Path("docs/results/stopping_rules.tsv"))
    given = parser.parse_args()
    for split in given.splits:
        for method in given.methods:
            rows = pd.DataFrame(trained(split, method, given.epochs, given.every))
            earlier = [pd.read_csv(given.into, sep="\t")] if given.into.is_file() else []
            table = pd.concat([*earlier, rows]).drop_duplicates(
                ["dataset", "method", "seed", "rule"], keep="last"
            )
            table.round(4).to_csv(given.into, sep="\t", index=False)
            print(rows.round(4).to_string(index=False))


def trained(split: Path, name: str, epochs: int, every: int) -> list[dict]:
    """Train a method on a split without stopping and return a row for each rule."""
    train, query, solution = (
        read_split(split / f"{noun}.h5mu", noun) for noun in ("train", "query", "solution")
    )
    identity = {key: identity_of(train)[key] for key in ("dataset", "seed")} | {"method": name}
    method = catalog.method_class(name)(
        max_epochs=epochs, patience=epochs, learning_rate=0.001, cooldown=0.0, warmup=WARMUP
    )
    losses, scores = [], {}

    def held_out_losses(
        loss: training.LossFunction, nets: torch.nn.Module, held_out: list
    ) -> float:
        nets.eval()
        with torch.no_grad():
            pieces = [piece for block in held_out for piece in block.pieces()]
            losses.append(
                np.concatenate([sum(loss(piece, 1.0).values()).numpy() for piece in pieces])
            )
        if len(losses) % every == 0 or len(losses) <= 3:
            scores[len(losses)] = scored(method, train, query, solution)
        return float(losses[-1].mean())

    with mock.patch.object(training, "_validation_loss", held_out_losses):
        method.fit(
            as_split(train, labels=False, links="links" in catalog.card("methods", name)["inputs"]),
            identity["seed"],
        )
    kept = {rule: kept_by(rule, np.array(losses)) for rule in RULES} | {"last": (epochs, epochs)}
    rows = []
    for rule, (epoch, end) in kept.items():
        nearest = min(scores, key=lambda scored_epoch: abs(scored_epoch - epoch))
        rows.append(
            identity
            | {"cells": train.n_obs + solution.n_obs, "rule": rule, "kept": epoch, "end": end}
            | scores[nearest]
        )
    return rows


def kept_by(rule: str, losses: np.ndarray) -> tuple[int, int]:
    """Return the epoch that a rule keeps and the one in which it stops, from losses (epochs, held-out cells)."""
    first = max(1, round(WARMUP * min(len(losses), LONGEST)))
    best, best_epoch = None, first
    for epoch in range(first, len(losses) + 1):
        begin = epoch - 1 if rule == "lowest" else max(first - 1, epoch - WINDOW)
        now = losses[begin:epoch].mean(0)
        if best is None or RULES[rule](best - now, losses[0].mean() - best.mean()):
            best, best_epoch = now, epoch
        if epoch - best_epoch >= PATIENCE:
            return best_epoch, epoch
    return best_epoch, len(losses)


def scored(method: object, train: object, query: object, solution: object) -> dict[str, float]:
    """Return the scores of the query cells, given each modality alone."""
    names = {m: solution[m].obs["query_name"] for m in solution.mod}
    cells = {m: as_cells(query, [m], pd.Index(names[m])) for m in solution.mod}
    latents = {m: method.embed(shown) for m, shown in cells.items()}
    of_train = {m: method.embed(as_cells(train, [m])) for m in solution.mod}
    types = {m: np.asarray(train[m].obs["cell_type"], dtype=object) for m in solution.mod}
    found: dict[str, list[float]] = {
        "foscttm": [],
        "foscttm_cosine": [],
        "label_transfer_accuracy": [],
    }
    skills = {}
    for source, target in permutations(solution.mod, 2):
        found["foscttm"].append(foscttm(latents[source], latents[target]))
        found["foscttm_cosine"].append(foscttm(_unit(latents[source]), _unit(latents[target])))
        labels = np.asarray(solution[target].obs["cell_type"], dtype=object)
        transferred = transfer(of_train[source], types[source], latents[target])
        found["label_transfer_accuracy"].append((transferred == labels)[labels != ""].mean())
        imputed = unstandardised_values(solution[target], method.impute(cells[source], target))
        moments = (solution[target].uns["mean"], solution[target].uns["std"])
        skill = imputation_skill(space_values(solution[target]), imputed, *moments)
        skills[f"imputation_skill {source}->{target}"] = skill
    return {metric: float(np.mean(values)) for metric, values in found.items()} | skills


def _standard_error(x: np.ndarray) -> float:
    return x.std(ddof=1) / np.sqrt(len(x))


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
