"""Tune: trial by trial, which settings of a run do best on an inner view; the first trial has the run's own."""

from __future__ import annotations

import hashlib
import sys
from contextlib import suppress
from pathlib import Path

from mosaicbench import catalog, sources, spaces
from mosaicbench.errors import UserError
from mosaicbench.files.best import write_best
from mosaicbench.files.trials import write_trials
from mosaicbench.fitting.job import Fit, Limits
from mosaicbench.fitting.method import import_for
from mosaicbench.fitting.record import digest, versions
from mosaicbench.tuning.objective import metrics_of
from mosaicbench.tuning.search import settings_of_trial
from mosaicbench.tuning.study import Study, Trial, best_of
from mosaicbench.tuning.trial import import_for_scores, tried


def main(
    *,
    identity: dict,
    of: str,
    hyperparameters: dict,
    view: Path,
    output: Path,
    trials: int,
    objective: str,
    seed: int,
    limits: dict,
    python: str | None = None,
) -> None:
    """Write ``trials.tsv`` and ``best.json``.

    Trials that have ended are kept in a hidden folder: where a search was killed, the next one with the same data, code and
    settings goes on after them, and one that asks for more trials adds to them.

    Parameters
    ----------
    identity
        dataset, scenario, run, method and seed of the tuned run; the seed is that of the view and of every fit.
    of
        The run that is tuned.
    hyperparameters
        What the config says of it: these stay as they are, and the rest of the method's space is searched.
    view
        The folder of the inner view.
    output
        The folder to write into.
    trials
        How many fits, the defaults included.
    objective
        "mean" or the id of a metric.
    seed
        Of the search.
    limits
        minutes and memory_mb of each fit.
    python
        The interpreter of the method's own environment, where it has one.

    Raises
    ------
    UserError
        When nothing of the method is left to search, or a file breaks its contract.
    """
    method = identity["method"]
    space = spaces.free(catalog.card("methods", method).get("space", {}), hyperparameters)
    if not space:
        raise UserError(
            f"method {method!r} has nothing to search: its card has no space, or the run states all of it"
        )
    known = catalog.hyperparameters(method)
    defaults = {name: known[name].default for name in space}
    parts = {part: Path(view) / f"{part}.h5mu" for part in ("train", "query", "solution")}
    asked = {
        "identity": identity,
        "hyperparameters": hyperparameters,
        "space": space,
        "objective": objective,
        "seed": seed,
    }
    asked |= {"limits": limits, "versions": versions(), "code": _code(method, objective)}
    study = Study(Path(output), digest(asked, list(parts.values())))
    fit = Fit(
        identity=identity,
        module=catalog.module("methods", method),
        hyperparameters=hyperparameters,
        train=parts["train"],
        query=parts["query"],
        solution=None,
        output=study.workplace,
    )
    if python is None:
        with suppress(Exception):  # then each trial says so itself
            import_for(fit.module, method)
    import_for_scores()

    done: list[Trial] = []
    for number in range(trials):
        trial = study.ended(number)
        if trial is None:
            settings = settings_of_trial(number, space, defaults, done, seed)
            trial = tried(
                number, settings, fit, parts["solution"], objective, Limits(**limits), python
            )
            study.keep(trial)
        done.append(trial)
        _tell(trial, done, trials)
        if number == 0 and trial.status == "not_applicable":
            break  # no setting makes it applicable
    best = best_of(done)
    found = {key: identity[key] for key in ("dataset", "scenario", "seed", "run", "method")} | {
        "of": of,
        "metric": objective,
    }
    found |= {"trials": len(done), "ended": sum(trial.objective is not None for trial in done)}
    found |= {"best_trial": best.number, "best": best.objective, "default": done[0].objective}
    write_trials(Path(output) / "trials.tsv", [trial.row(defaults) for trial in done], list(space))
    write_best(Path(output) / "best.json", found | {"hyperparameters": best.settings})


def _code(method: str, objective: str) -> list[str]:
    """Return digests of the code that decides trials: of fits of the method, of the metrics, of the search."""
    metrics = [catalog.module("metrics", name) for name in metrics_of(objective)]
    files = sources.of("mosaicbench.commands.tune", catalog.module("methods", method), *metrics)
    return [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]


def _tell(trial: Trial, done: list[Trial], of: int) -> None:
    """Say on stderr how far the search is."""
    value = "no score" if trial.objective is None else f"objective {trial.objective:.4f}"
    best = best_of(done)
    leads = (
        "" if best.objective is None else f"; best {best.objective:.4f}, trial {best.number + 1}"
    )
    print(
        f"trial {trial.number + 1} of {of}: {trial.status}, {value}, {trial.seconds:.1f} s{leads}",
        file=sys.stderr,
        flush=True,
    )
