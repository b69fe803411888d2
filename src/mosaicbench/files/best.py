"""``best.json``: the settings that the tuning of one run on one split found, and what it was asked to look for.

Standard library only, since the fits that take these settings read them before they fork.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mosaicbench.errors import ContractError
from mosaicbench.files.atomic import write_text
from mosaicbench.files.identity import check_place

KEYS = (
    "dataset",
    "scenario",
    "seed",
    "run",
    "of",
    "method",
    "metric",
    "trials",
    "ended",
    "best_trial",
    "best",
    "default",
)
KEYS += ("hyperparameters",)
REMEDY = "delete it and run again"


def write_best(path: Path, best: Mapping) -> None:
    """Write what a tuning found.

    Parameters
    ----------
    best
        dataset, scenario, seed: of the split; run, of, method: the tuned run, the run that it tunes, and its method; metric: the
        objective; trials, ended: how many there were, and how many of them ended with a score; best_trial, best, default: the
        trial that was best, its objective, and that of the defaults (None where it has none); hyperparameters: the settings
        of the best trial, {} for the defaults.
    """
    if unknown := set(best) ^ set(KEYS):
        raise ContractError(
            f"{path}: the keys are {', '.join(KEYS)}; missing or unknown: {', '.join(sorted(unknown))}"
        )
    write_text(path, json.dumps(best, indent=1) + "\n")


def read_best(path: Path, place: Mapping | None = None) -> dict:
    """Read what a tuning found.

    Parameters
    ----------
    place
        Whose it should be, as far as that is known: dataset, scenario, run.

    Raises
    ------
    ContractError
        When it is absent, cut short or of another run.
    """
    try:
        best = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ContractError(f"{path}: no such file; `mosaicbench tune` writes it") from error
    except (OSError, ValueError) as error:
        raise ContractError(f"{path}: not readable as JSON ({error}); {REMEDY}") from error
    if (
        not isinstance(best, dict)
        or set(KEYS) - set(best)
        or not isinstance(best["hyperparameters"], dict)
    ):
        raise ContractError(f"{path}: does not say {', '.join(KEYS)}; {REMEDY}")
    check_place(path, best, {} if place is None else place)
    return best
