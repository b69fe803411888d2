"""One trial: a fit on the inner split and its scores, each in a child process.

No failure of a trial ends the search.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from mosaicbench.files.atomic import write_text
from mosaicbench.fitting.attempt import fit_each
from mosaicbench.fitting.job import Fit, Limits
from mosaicbench.fitting.meter import Meter
from mosaicbench.fitting.process import run_in_child
from mosaicbench.tuning.objective import metrics_of, value_of

SCORED = ("ok", "collapsed")
SCORES = "scores.json"
FIT = "import json, sys; from mosaicbench.commands import fit; fit.main(**json.load(sys.stdin))"
NO_LIMIT = Limits(float("inf"), float("inf"))


def tried(
    settings: dict,
    fit: Fit,
    solution: Path,
    objective: str,
    limits: Limits,
    python: str | None,
) -> tuple[float | None, dict]:
    """Fit with some settings; return the objective, if defined, and other columns of trials.tsv.

    `fit` is the run's fit without these settings; it never reads the `solution` of the inner split.
    `python` is the interpreter of the method's environment; None for this one.
    """
    fit = replace(fit, hyperparameters=fit.hyperparameters | settings)
    if python is None:
        fit_each([fit], limits, minutes=limits.minutes, checkpoint_seconds=float("inf"))
    else:
        _fit_with(fit, limits, python)
    record = json.loads(fit.record.read_text())
    scores: dict[str, float] = {}
    status, message = record["status"], record["message"]
    if status in SCORED:
        _, failure = run_in_child(
            partial(_score, fit, solution, metrics_of(objective)), Meter(), NO_LIMIT
        )
        if failure is None:
            scores = json.loads((fit.output / SCORES).read_text())
        else:
            status, message = "crashed", f"not scored: {failure['message']}"
    spent = {
        measure: round(sum(record[measure].values()), 3) for measure in ("seconds", "cpu_seconds")
    }
    value = value_of(objective, scores) if scores else None
    return value, {"status": status, **spent, "message": message}


def import_for_scores() -> None:
    """Import the scorer before anything forks, so that not every trial does."""
    with suppress(ImportError):
        from mosaicbench.scoring import collect, scorer  # noqa: F401


def _fit_with(fit: Fit, limits: Limits, python: str) -> None:
    names = {key: value for key, value in fit.identity.items() if key != "seed"}
    run = names | {"module": fit.module, "hyperparameters": fit.hyperparameters}
    job = {
        "runs": [run | {"outputs": [str(fit.output)]}],
        "seeds": [{"seed": fit.seed, "train": str(fit.train), "query": str(fit.query)}],
        "limits": {"minutes": limits.minutes, "memory_mb": limits.memory_mb},
    }
    subprocess.run([python, "-c", FIT], input=json.dumps(job), text=True, check=True)


def _score(fit: Fit, solution: Path, metrics: list[str]) -> None:
    from mosaicbench.files.runs import read_history, read_imputed, read_latents, read_record
    from mosaicbench.files.splits import read_split
    from mosaicbench.scoring import scorer
    from mosaicbench.scoring.collect import run_data_of

    record = read_record(fit.record, fit.identity)
    run_data = run_data_of(
        fit.output,
        record=record,
        train=read_split(fit.train, "train"),
        solution=read_split(solution, "solution"),
        latents=read_latents(fit.output / "latents.h5ad", record),
        imputed=read_imputed(fit.output / "imputed.h5mu", record),
        history=read_history(fit.output / "history.tsv"),
    )
    write_text(fit.output / SCORES, json.dumps(scorer.means(run_data, metrics)))
