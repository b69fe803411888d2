"""Fit runs on a split, all seeds of each."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.files.best import read_best
from mosaicbench.fitting.attempt import fit_each, record_failure
from mosaicbench.fitting.job import Fit, Limits


def main(
    *,
    runs: list[dict],
    seeds: list[dict],
    limits: dict,
    usable: dict | None = None,
    checkpoint_seconds: float = 60,
    failure: dict | None = None,
) -> None:
    """Write latents.h5ad, imputed.h5mu, history.tsv and run.json for every seed of every run.

    Parameters
    ----------
    runs
        Of each: dataset, scenario, run, method, module, hyperparameters, and outputs, a folder per
        seed. keep saves models, with the data's licence; candidate is the one seed that saves its
        model until the best run is known; tuned is the ``best.json`` of each seed.
    seeds
        Of each: seed; train, query and, for positive controls, solution: files of the split.
    limits
        minutes and memory_mb of each fit; beyond, its status is "timeout" or "out_of_memory".
    usable
        minutes of all fits together, and memory_mb of each; by default those of `limits`.
    checkpoint_seconds
        Least time between two checkpoints, from which a stopped fit of the same data, code,
        hyperparameters and device continues with the same result.
    failure
        Status and message of a killed job: runs without a record get it, and nothing is fitted.
    """
    fits = _fits(runs, seeds)
    if failure is not None:
        record_failure([fit for fit in fits if not fit.record.is_file()], failure)
        return
    usable = usable or {"minutes": float("inf"), "memory_mb": limits["memory_mb"]}
    fit_each(
        fits,
        Limits(limits["minutes"], usable["memory_mb"]),
        minutes=usable["minutes"],
        checkpoint_seconds=checkpoint_seconds,
    )


def _fits(runs: list[dict], seeds: list[dict]) -> list[Fit]:
    fits = []
    for run in runs:
        names = {key: run[key] for key in ("dataset", "scenario", "run")}
        for place, (seed, output) in enumerate(zip(seeds, run["outputs"], strict=True)):
            tuned = {}
            if "tuned" in run:
                tuned = read_best(run["tuned"][place], names)["hyperparameters"]
            fits.append(
                Fit(
                    identity=names | {"method": run["method"], "seed": seed["seed"]},
                    module=run["module"],
                    hyperparameters=run["hyperparameters"] | tuned,
                    train=Path(seed["train"]),
                    query=Path(seed["query"]),
                    solution=Path(seed["solution"]) if seed.get("solution") else None,
                    output=Path(output),
                    keep=run.get("keep", False),
                    candidate=run.get("candidate") == seed["seed"],
                    licence=run.get("licence", ""),
                )
            )
    return fits
