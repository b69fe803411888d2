"""Checkpoints: a training that was killed goes on from where it was last saved, and ends as if nothing had happened."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch


class Stateful(Protocol):
    """Networks and optimisers: whatever can say its state and take it back."""

    def state_dict(self) -> dict:
        """Return the state, in tensors and plain values."""

    def load_state_dict(self, state: dict) -> object:
        """Take a state back."""


@dataclass
class Checkpoint:
    """Where one training is saved, how often, and what tells whether a saved one is of this training.

    Attributes
    ----------
    path
        The file. It is replaced as a whole, so a kill while it is written leaves the one before.
    key
        Gives a digest of everything that decides the result. It is asked for only when something is to be resumed or saved.
    seconds
        Least time between two savings; 0 saves every epoch.
    resumed_after
        The epochs after which the training was resumed, so far.
    spent
        Wall-clock and CPU seconds of the training before it was last resumed, by the names "seconds" and "cpu_seconds".
    """

    path: Path
    key: Callable[[], str]
    seconds: float
    resumed_after: list[int] = field(default_factory=list)
    spent: dict[str, float] = field(default_factory=lambda: {"seconds": 0.0, "cpu_seconds": 0.0})

    def __post_init__(self) -> None:
        """Begin to count time."""
        self._began = self._saved = _now()

    def resume(self, stateful: Mapping[str, Stateful]) -> dict | None:
        """Give `stateful` and the random number generators the state that was saved, and return the progress saved with it.

        Parameters
        ----------
        stateful
            By name, all that changes from epoch to epoch: networks, optimisers, discriminators and theirs.

        Returns
        -------
        dict or None
            None where there is nothing to resume: no file, one of another training, or one that cannot be read.
        """
        saved = self._read() if self.path.is_file() else None
        if saved is None:
            return None
        for name, thing in stateful.items():
            thing.load_state_dict(saved["state"][name])
        torch.set_rng_state(saved["random"]["cpu"])
        if "cuda" in saved["random"]:
            torch.cuda.set_rng_state(saved["random"]["cuda"])
        self.spent = saved["spent"]
        self.resumed_after = [*saved["resumed_after"], saved["epoch"]]
        print(f"resumed after epoch {saved['epoch']}, from {self.path}", file=sys.stderr)
        return saved["progress"]

    def save_if_due(self, stateful: Mapping[str, Stateful], epoch: int, progress: dict) -> None:
        """Save all that a training needs to go on after `epoch`, if the last saving is long enough ago.

        Parameters
        ----------
        stateful
            As for :meth:`resume`.
        progress
            What the training itself keeps, of plain values and tensors.
        """
        now = _now()
        if now["seconds"] - self._saved["seconds"] < self.seconds:
            return
        random = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            random["cuda"] = torch.cuda.get_rng_state()
        held = {
            "key": self.key(),
            "state": {name: thing.state_dict() for name, thing in stateful.items()},
            "random": random,
            "epoch": epoch,
            "progress": progress,
            "resumed_after": self.resumed_after,
            "spent": {name: self.spent[name] + now[name] - self._began[name] for name in now},
        }
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        try:
            with temporary.open("wb") as stream:
                torch.save(held, stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, self.path)
        except (
            OSError,
            RuntimeError,
        ) as error:  # a training needs no checkpoint: a full disk does not end it
            print(f"{self.path}: not saved, training goes on ({error})", file=sys.stderr)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        self._saved = _now()

    def _read(self) -> dict | None:
        try:
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
            key = saved["key"]
        except Exception as error:  # damaged bytes make the unpickler raise whatever they spell
            print(
                f"{self.path}: not readable as a checkpoint, training begins anew ({error})",
                file=sys.stderr,
            )
            return None
        if key != self.key():
            print(f"{self.path}: of another training, left aside", file=sys.stderr)
            return None
        return saved


def _now() -> dict[str, float]:
    return {"seconds": time.monotonic(), "cpu_seconds": time.process_time()}
