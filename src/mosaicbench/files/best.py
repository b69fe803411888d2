"""``best.json``: the settings that the tuning of one run on one split chose, and its objective.

Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mosaicbench.files.atomic import write_text
from mosaicbench.files.identity import check_place, read_json


def write_best(path: Path, best: Mapping) -> None:
    """Write the result of a tuning.

    Parameters
    ----------
    best
        dataset, scenario, seed: of the split; run, of, method: the tuned run, the run that it tunes,
        and its method; metric: the objective; trials, ended: the number of trials, and of those with a
        score; best_trial, best, default: the best trial, its objective and that of the defaults, or
        None; hyperparameters: the settings of the best trial, {} for the defaults.
    """
    write_text(path, json.dumps(best, indent=1) + "\n")


def read_best(path: str | Path, place: Mapping | None = None) -> dict:
    """Read the result of a tuning; `place` is its expected dataset, scenario and run.

    Raises
    ------
    ContractError
        When it is absent, cut short or of another run.
    """
    best = read_json(path, "`mosaicbench tune` writes it", "delete it and run again")
    check_place(path, best, place)
    return best
