"""What one fit is asked to do, and what it may use meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CHECKPOINT = ".checkpoint.pt"  # in the run's folder; hidden, since it is none of a run's files


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One method on one view with one seed.

    Attributes
    ----------
    identity
        dataset, scenario, run, method and seed: what stands in every row about this run.
    module
        The dotted name of the method's module.
    hyperparameters
        Those that differ from the method's defaults.
    train, query
        The view's files.
    solution
        The view's solution; only positive controls read it.
    output
        The run's folder.
    keep
        Whether the fitted model is kept there.
    licence
        Of the data, for a kept model.
    """

    identity: dict
    module: str
    hyperparameters: dict
    train: Path
    query: Path
    solution: Path | None
    output: Path
    keep: bool = False
    licence: str = ""

    @property
    def seed(self) -> int:
        """What everything random in the fit depends on."""
        return self.identity["seed"]

    @property
    def record(self) -> Path:
        """The file that says what happened."""
        return self.output / "run.json"

    @property
    def model(self) -> Path:
        """The folder of the model, where it is kept."""
        return self.output / "model"

    @property
    def checkpoint(self) -> Path:
        """The file to which a training saves itself."""
        return self.output / CHECKPOINT


@dataclass(frozen=True)
class Limits:
    """The wall-clock minutes, and the MB of resident memory, beyond which a process is stopped."""

    minutes: float
    memory_mb: float
