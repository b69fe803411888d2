"""Jobs: the files of one that tabulates, and fits as a rule of the workflow or the command line's options describe them.

A description of fits is JSON with the keys

========  =======================================================================================================
runs      of each: dataset, scenario, run, method, hyperparameters; outputs, its folders, one per seed; where models are
          kept, keep: true and the data's licence; candidate: the seed whose model is kept in case it will be wanted;
          of a tuned run, tuned: best.json of each seed, whose hyperparameters are added when the job runs
seeds     of each: seed; train, query and, for positive controls, solution: files of the split
limits    minutes and memory_mb of each fit; none by default
========  =======================================================================================================
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.errors import UserError
from mosaicbench.workflow import layout

NO_LIMITS = {"minutes": float("inf"), "memory_mb": float("inf")}
KEYS = {"runs", "seeds", "limits"}
NEEDED = {
    "runs": ("dataset", "scenario", "run", "method", "hyperparameters", "outputs"),
    "seeds": ("seed", "train", "query"),
}
NEEDED_INSIDE = {  # command -> of a job on the command line: key -> what its object, or each object of its list, has
    "adopt": {"seeds": ("seed", "split", "output")},
    "tune": {
        "identity": ("dataset", "scenario", "run", "method", "seed"),
        "limits": tuple(NO_LIMITS),
    },
}


def described(text: str) -> dict:
    """Return the keywords of ``commands.fit.main`` from a description, from the name of its file, or from "-" for stdin.

    Raises
    ------
    UserError
        When it is not readable, or a key is missing or unknown.
    """
    try:
        if not text.lstrip().startswith("{"):
            text = sys.stdin.read() if text == "-" else Path(text).read_text()
        job = json.loads(text)
    except (OSError, ValueError) as error:
        raise UserError(f"not readable as the description of a job: {error}") from error
    if not isinstance(job, dict):
        raise UserError("the description of a job is a JSON object, {...}")
    if unknown := sorted(set(job) - KEYS):
        raise UserError(f"a job has no key {unknown[0]!r}; it has {', '.join(sorted(KEYS))}")
    for part, keys in NEEDED.items():
        _check_list(part, job.get(part), keys)
    for number, run in enumerate(job["runs"]):
        if len(run["outputs"]) != len(job["seeds"]):
            raise UserError(
                f"runs[{number}] needs as many outputs as there are seeds, {len(job['seeds'])}"
            )
        if len(run.get("tuned", job["seeds"])) != len(job["seeds"]):
            raise UserError(
                f"runs[{number}] needs as many files of tuned settings as there are seeds, {len(job['seeds'])}"
            )
    if unknown := sorted(set(job.get("limits", {})) - set(NO_LIMITS)):
        raise UserError(f"limits have no key {unknown[0]!r}; they have {', '.join(NO_LIMITS)}")
    runs = [run | {"module": _module(run["method"])} for run in job["runs"]]
    return job | {"runs": runs, "limits": NO_LIMITS | job.get("limits", {})}


def check_inside(command: str, job: dict) -> None:
    """Refuse a job of `adopt` or `tune` that lacks a key inside one of its keys.

    Raises
    ------
    UserError
    """
    for part, keys in NEEDED_INSIDE[command].items():
        (_check_list if part == "seeds" else _check_object)(part, job[part], keys)


def _check_list(part: str, entries: object, keys: tuple[str, ...]) -> None:
    if not entries or not isinstance(entries, list):
        raise UserError(f"a job needs {part!r}, a list of at least one")
    for number, entry in enumerate(entries):
        _check_object(f"{part}[{number}]", entry, keys)


def _check_object(name: str, entry: object, keys: tuple[str, ...]) -> None:
    if not isinstance(entry, dict):
        raise UserError(f"{name} is to be an object, {{...}}, with the keys {', '.join(keys)}")
    if missing := [key for key in keys if key not in entry]:
        raise UserError(f"{name} lacks the key {missing[0]!r}")


def of_one_run(
    *,
    method: str | None,
    hyperparameters: dict,
    identity: dict,
    train: str | None,
    query: str | None,
    solution: str | None,
    output: str | None,
    max_minutes: float,
    max_memory_mb: float,
) -> dict:
    """Return the keywords of ``commands.fit.main`` for one seed of one run.

    Raises
    ------
    UserError
        When an option is missing.
    """
    needed = {"--method": method, "--train": train, "--query": query, "--output": output}
    if missing := [option for option, value in needed.items() if value is None]:
        raise UserError(
            f"a single run needs {', '.join(missing)}; or give the description of a job"
        )
    names = (
        {"dataset": "unnamed", "scenario": "unnamed", "run": method, "seed": 0}
        | identity
        | {"method": method}
    )
    seed = {"seed": names.pop("seed"), "train": train, "query": query, "solution": solution}
    run = names | {
        "module": _module(method),
        "hyperparameters": hyperparameters,
        "outputs": [output],
    }
    return {
        "runs": [run],
        "seeds": [seed],
        "limits": {"minutes": max_minutes, "memory_mb": max_memory_mb},
    }


def _module(method: str) -> str:
    """Return the dotted name of a method's module."""
    catalog.card("methods", method)  # refuses an unknown one, with the nearest
    return catalog.module("methods", method)


def _simulated(datasets: dict[str, dict]) -> list[str]:
    """Return the datasets of which the loader's card says that all is simulated."""
    cards = catalog.cards("datasets")
    return [
        name
        for name, dataset in datasets.items()
        if cards.get(dataset["loader"], {}).get("simulated")
    ]


def of_tables(config: object, results: Path, published: Path, display: Path, output: Path) -> dict:
    """Return the keywords of ``commands.tabulate.main``: the files that the runs of a config have written."""
    lies = layout.Results(results)
    scores, features, cells = (
        [Path(lies.run(*run), name) for run in config.applicable] for name in layout.FILES_OF_SCORES
    )
    fits = [Path(lies.fit(*run, seed)) for run in config.applicable for seed in config.seeds]
    return {
        "scores": scores,
        "features": features,
        "cells": cells,
        "records": [fit / "run.json" for fit in fits],
        "histories": [fit / "history.tsv" for fit in fits],
        "not_applicable": config.not_applicable,
        "methods": {run.name: run.method for run in config.runs.values()},
        "kinds": {name: stanza["kind"] for name, stanza in config.scenarios.items()},
        "reference": config.config["report"]["reference_run"],
        "sweep": config.config["report"]["sweep"],
        "published": published,
        "display": display,
        "results": results,
        "output": output,
        "places": [
            dict(zip(("dataset", "scenario", "run"), run, strict=True)) for run in config.applicable
        ],
        "seeds": config.seeds,
        "simulated": _simulated(config.datasets),
        "sizes": config.sizes,
        "searches": [
            (
                dict(zip(("dataset", "scenario", "run", "seed"), (*run, seed), strict=True)),
                Path(lies.tuning(*run, seed)),
            )
            for run in config.tuned
            for seed in config.tuned_seeds
        ],
    }
