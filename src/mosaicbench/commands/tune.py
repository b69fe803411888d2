"""Tune: search the settings of a run that do best on an inner split."""

from __future__ import annotations

import hashlib
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.catalog import search_spaces as spaces
from mosaicbench.errors import UserError
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

    A journal in a hidden folder keeps finished trials. After a kill, a search with the same data,
    code and settings goes on after them; one with more trials adds to them.

    Parameters
    ----------
    identity
        dataset, scenario, run, method and seed of the tuned run; the seed is that of the split and
        of every fit.
    of
        The run that is tuned.
    hyperparameters
        Of the run's stanza: these stay as they are; the rest of the method's space is searched.
    split
        The folder of the inner split.
    output
        The folder to write into.
    trials
        Number of fits, with that of the defaults.
    objective
        "mean" or the id of a metric.
    seed
        Of the search.
    limits
        minutes and memory_mb of each fit.
    python
        The interpreter of the method's environment, if it has one.

    Raises
    ------
    UserError
        If no hyperparameter is left to search, or a file breaks its contract.
    """
    method = identity["method"]
    space = spaces.free(catalog.card("methods", method).get("space", {}), hyperparameters)
    if not space:
        raise UserError(
            f"method {method!r} has nothing to search: its card has no space, or the run states all of it"
        )
    known = catalog.hyperparameters(method)
    defaults = {name: known[name].default for name in space}
    parts = {part: Path(split) / f"{part}.h5mu" for part in ("train", "query", "solution")}
    asked = {
        "identity": identity,
        "hyperparameters": hyperparameters,
        "space": space,
        "objective": objective,
        "seed": seed,
    }
    asked |= {"limits": limits, "versions": versions(), "code": _code(method, objective)}
    study = opened(output, digest(asked, *parts.values()))
    fit = Fit(
        identity=identity,
        module=catalog.module("methods", method),
        hyperparameters=hyperparameters,
        train=parts["train"],
        query=parts["query"],
        solution=None,
        output=Path(output) / FOLDER / "fit",
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
        _tell(done, trials)
        if done[0].user_attrs["status"] == "not_applicable":
            break  # no setting makes it applicable
    best = best_of(done)
    found = {key: identity[key] for key in ("dataset", "scenario", "seed", "run", "method")} | {
        "of": of,
        "metric": objective,
    }
    found |= {"trials": len(done), "ended": sum(trial.value is not None for trial in done)}
    found |= {"best_trial": best.number, "best": best.value, "default": done[0].value}
    write_trials(Path(output) / "trials.tsv", table_of(study)[: len(done)], list(space))
    write_best(Path(output) / "best.json", found | {"hyperparameters": settings_of(best)})


def _code(method: str, objective: str) -> list[str]:
    """Return digests of the code of the method's fits, the metrics and the search."""
    metrics = [catalog.module("metrics", name) for name in metrics_of(objective)]
    files = code_hash.of("mosaicbench.commands.tune", catalog.module("methods", method), *metrics)
    return [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]


def _tell(done: list, of: int) -> None:
    trial, best = done[-1], best_of(done)
    value = "no score" if trial.value is None else f"objective {trial.value:.4f}"
    leads = "" if best.value is None else f"; best {best.value:.4f}, trial {best.number + 1}"
    said = f"{trial.user_attrs['status']}, {value}, {trial.user_attrs['seconds']:.1f} s"
    print(f"trial {len(done)} of {of}: {said}{leads}", file=sys.stderr, flush=True)
