"""Tune: search for the best settings of a run on an inner split."""

from __future__ import annotations

import hashlib
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.catalog import search_spaces as spaces
from mosaicbench.files.best import write_best
from mosaicbench.files.trials import write_trials
from mosaicbench.fitting.job import Fit, Limits
from mosaicbench.fitting.method import import_for
from mosaicbench.fitting.record import digest, versions
from mosaicbench.tuning.objective import metrics_of
from mosaicbench.tuning.search import (
    FOLDER,
    best_of,
    keep,
    next_settings,
    opened,
    settings_of,
    table_of,
)
from mosaicbench.tuning.trial import import_for_scores, tried
from mosaicbench.workflow import code_hash


def main(
    *,
    identity: dict,
    of: str,
    hyperparameters: dict,
    split: Path,
    output: Path,
    trials: int,
    objective: str,
    seed: int,
    limits: dict,
    python: str | None = None,
) -> None:
    """Write ``trials.tsv`` and ``best.json``.

    A journal in a hidden folder keeps finished trials. A search with the same data, code and
    settings continues after them, also with more trials.

    Parameters
    ----------
    identity
        dataset, scenario, run, method and seed of the tuned run; `of` is the run with the defaults.
    hyperparameters
        Fixed ones; the rest of the method's space is searched.
    split, output
        The folder of the inner split, and the folder to write into.
    trials
        Number of fits, with that of the defaults.
    objective
        "mean" or the id of a metric.
    limits
        minutes and memory_mb of each fit.
    python
        The interpreter of the method's environment, if it has one.
    """
    method = identity["method"]
    space = spaces.free(catalog.card("methods", method)["space"], hyperparameters)
    known = catalog.hyperparameters(method)
    defaults = {name: known[name].default for name in space}
    parts = {part: split / f"{part}.h5mu" for part in ("train", "query", "solution")}
    decisive = {
        "identity": identity,
        "hyperparameters": hyperparameters,
        "space": space,
        "objective": objective,
        "seed": seed,
        "limits": limits,
        "versions": versions(),
        "code": _code(method, objective),
    }
    study = opened(output, digest(decisive, *parts.values()))
    fit = Fit(
        identity=identity,
        module=catalog.module("methods", method),
        hyperparameters=hyperparameters,
        train=parts["train"],
        query=parts["query"],
        solution=None,
        output=output / FOLDER / "fit",
    )
    if python is None:
        with suppress(Exception):  # each trial then records the error
            import_for(fit.module, method)
    import_for_scores()

    done = study.trials[:trials]
    while len(done) < trials:
        settings = next_settings(done, space, defaults, seed)
        judged = tried(settings, fit, parts["solution"], objective, Limits(**limits), python)
        keep(study, space, defaults | settings, *judged)
        shutil.rmtree(fit.output, ignore_errors=True)
        done = study.trials
        _print(done, trials)
        if done[0].user_attrs["status"] == "not_applicable":
            break  # no setting makes it applicable
    best = best_of(done)
    write_trials(output / "trials.tsv", table_of(study)[: len(done)], list(space))
    write_best(
        output / "best.json",
        identity
        | {
            "of": of,
            "metric": objective,
            "trials": len(done),
            "ended": sum(trial.value is not None for trial in done),
            "best_trial": best.number,
            "best": best.value,
            "default": done[0].value,
            "hyperparameters": settings_of(best),
        },
    )


def _code(method: str, objective: str) -> list[str]:
    metrics = [catalog.module("metrics", name) for name in metrics_of(objective)]
    files = code_hash.of("mosaicbench.commands.tune", catalog.module("methods", method), *metrics)
    return [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]


def _print(done: list, of: int) -> None:
    trial, best = done[-1], best_of(done)
    value = "no score" if trial.value is None else f"objective {trial.value:.4f}"
    leads = "" if best.value is None else f"; best {best.value:.4f}, trial {best.number + 1}"
    outcome = f"{trial.user_attrs['status']}, {value}, {trial.user_attrs['seconds']:.1f} s"
    print(f"trial {len(done)} of {of}: {outcome}{leads}", file=sys.stderr, flush=True)
