"""The description of one fit, and its limits of time and memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CHECKPOINT = ".checkpoint.pt"  # in the run's folder, hidden


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One method on one split with one seed.

    Attributes
    ----------
    identity
        Dataset, scenario, run, method and seed: columns of every row about this run.
    module
        The dotted name of the method's module.
    hyperparameters
        Those that differ from the method's defaults.
    train, query
        The split's files.
    solution
        The split's solution; only positive controls read it.
    output
        The run's folder.
    keep
        Whether the fitted model is saved there; if that fails, the run's message says so.
    candidate
        Whether it is saved because it may be recommended; if that fails, nothing is said.
    licence
        Of the data, for a saved model.
    """

    identity: dict
    module: str
    hyperparameters: dict
    train: Path
    query: Path
    solution: Path | None
    output: Path
    keep: bool = False
    candidate: bool = False
    licence: str = ""

    @property
    def seed(self) -> int:
        """The seed of everything random in the fit."""
        return self.identity["seed"]

    @property
    def record(self) -> Path:
        """The file ``run.json``."""
        return self.output / "run.json"

    @property
    def model(self) -> Path:
        """The folder of the saved model."""
        return self.output / "model"

    @property
    def checkpoint(self) -> Path:
        """The file to which a training saves itself."""
        return self.output / CHECKPOINT


@dataclass(frozen=True)
class Limits:
    """A process is stopped beyond these wall-clock minutes, or MB of resident memory."""

    minutes: float
    memory_mb: float
