"""What one fit is asked to do, whose folder it writes, and what it may use meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from mosaicbench.errors import FolderTaken
from mosaicbench.files.atomic import write_text

CLAIM = ".job"  # in the run's folder during a fit: the ticket of its job
CHECKPOINT = ".checkpoint.pt"  # in the run's folder; hidden, since a finished run has none


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One method on one split with one seed.

    Attributes
    ----------
    identity
        dataset, scenario, run, method and seed, as every row of this run has them.
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
        Whether to keep the fitted model; if that fails, the run's message says so.
    candidate
        Whether to keep it since it may be the best; if that fails, no message says so.
    licence
        Of the data, for a kept model.
    ticket
        The id of this job, unlike that of any other that may write into the folder.
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
    ticket: str = field(default_factory=lambda: uuid4().hex)

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

    def claim_folder(self) -> None:
        """Make the run's folder this job's, whoever had it before."""
        write_text(self.output / CLAIM, self.ticket)

    def check_claim(self) -> None:
        """Refuse to go on where another job has claimed the folder since.

        Raises
        ------
        FolderTaken
        """
        claim = self.output / CLAIM
        if not claim.is_file() or claim.read_text() != self.ticket:
            raise FolderTaken(
                f"{self.output}: another job fits this run now, so this one wrote nothing; wait for the other one"
            )

    def release_folder(self) -> None:
        """Give the folder up, if it is still this job's."""
        claim = self.output / CLAIM
        if claim.is_file() and claim.read_text() == self.ticket:
            claim.unlink()


@dataclass(frozen=True)
class Limits:
    """The wall-clock minutes, and the MB of resident memory, beyond which a process is stopped."""

    minutes: float
    memory_mb: float
