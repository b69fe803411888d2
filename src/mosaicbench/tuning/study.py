"""The trials of one run on one view, each on the disk as soon as it ended, so that none is repeated after a kill."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mosaicbench.files.atomic import write_text

FOLDER = ".trials"  # in the folder of a tuning; hidden, since Snakemake removes what it knows of before a job starts
KEY = "key"


@dataclass(frozen=True)
class Trial:
    """One fit with some settings, and how it was judged.

    Attributes
    ----------
    number
        0 for the first.
    settings
        Hyperparameters that differ from the run's own.
    status
        As of a run; "crashed" also where it could not be scored.
    objective
        None where there is none.
    seconds, cpu_seconds
        Of the fit, over all phases.
    message
        Of the run's record.
    scores
        metric -> mean over directions.
    """

    number: int
    settings: dict
    status: str
    objective: float | None
    seconds: float
    cpu_seconds: float
    message: str = ""
    scores: dict[str, float] = field(default_factory=dict)

    def row(self, defaults: dict) -> dict:
        """Return the trial as a row of trials.tsv, with all that is searched."""
        told = {
            key: value
            for key, value in asdict(self).items()
            if key not in ("number", "settings", "scores")
        }
        return {"trial": self.number} | told | defaults | self.settings


class Study:
    """The trials that have ended, of those that the same key says.

    Parameters
    ----------
    folder
        Of the tuning.
    key
        A digest of all that decides a trial: trials under another one are forgotten.
    """

    def __init__(self, folder: Path, key: str):
        self._folder = folder / FOLDER
        of_trials = self._folder / KEY
        if not of_trials.is_file() or of_trials.read_text() != key:
            shutil.rmtree(self._folder, ignore_errors=True)
            write_text(of_trials, key)

    @property
    def workplace(self) -> Path:
        """The folder that a trial fits into."""
        return self._folder / "fit"

    def ended(self, number: int) -> Trial | None:
        """Return a trial, None where it has not ended or cannot be read."""
        try:
            return Trial(**json.loads((self._folder / f"{number:05d}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, trial: Trial) -> None:
        """Write a trial that has ended, and remove what it fitted."""
        write_text(self._folder / f"{trial.number:05d}.json", json.dumps(asdict(trial)))
        shutil.rmtree(self.workplace, ignore_errors=True)


def best_of(trials: list[Trial]) -> Trial:
    """Return the trial of the best objective, the earliest of equals; the first where none has any."""
    return max(
        trials,
        key=lambda trial: (trial.objective is not None, trial.objective or 0.0, -trial.number),
    )
