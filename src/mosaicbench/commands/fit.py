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
        Of each: dataset, scenario, run, method; module, the dotted name of the method's module; hyperparameters; outputs, its
        folders, one per seed. Where models are saved, keep: true, and the licence of the data; candidate: the one seed whose
        model is saved if it can be, until the best run is known. Of a tuned run, tuned: ``best.json`` of each seed, whose
        hyperparameters are added to its own.
    seeds
        Of each: seed; train, query and, for positive controls, solution: files of the split.
    limits
        minutes and memory_mb of each fit. A run that passes one is stopped and gets the status "timeout" or "out_of_memory".
    usable
        minutes of all fits together, and memory_mb of each; by default no more than `limits` say.
    checkpoint_seconds
        Least time between two savings of a training to its run's folder. Where one was killed, the next run with the same data,
        code, hyperparameters and device goes on from there and gives the same result. A run that was stopped at a limit keeps
        its checkpoint, for an attempt with a higher one; limits hold for each attempt.
    failure
        The status and message of runs that were killed from outside: nothing is fitted, and those without a record get this one.

    Raises
    ------
    UserError
        When an input file breaks its contract.
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
    """Return what each seed of each run asks for, all seeds of the first run first."""
    return [
        Fit(
            identity={key: run[key] for key in ("dataset", "scenario", "run", "method")}
            | {"seed": seed["seed"]},
            module=run["module"],
            hyperparameters=run["hyperparameters"] | _tuned(run, place),
            train=Path(seed["train"]),
            query=Path(seed["query"]),
            solution=Path(seed["solution"]) if seed.get("solution") else None,
            output=Path(output),
            keep=run.get("keep", False),
            candidate=run.get("candidate") == seed["seed"],
            licence=run.get("licence", ""),
        )
        for run in runs
        for place, (seed, output) in enumerate(zip(seeds, run["outputs"], strict=True))
    ]


def _tuned(run: dict, place: int) -> dict:
    """Return the settings that were found for a tuned run's seed at a place in their order, {} for any other run."""
    if "tuned" not in run:
        return {}
    return read_best(
        Path(run["tuned"][place]), {key: run[key] for key in ("dataset", "scenario", "run")}
    )["hyperparameters"]
