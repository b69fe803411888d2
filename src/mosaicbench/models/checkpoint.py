"""Checkpoints: a killed training goes on from its last saved epoch, to the same result."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

Stateful = Mapping[str, nn.Module | torch.optim.Optimizer]


@dataclass
class Checkpoint:
    """Where and how often a training is saved.

    Attributes
    ----------
    path
        The file. It is replaced as a whole, so a kill during a write leaves the file before.
    key
        Gives a digest of everything that decides the result; a checkpoint with another key is of
        another training.
    seconds
        Least time between two writes; 0 saves every epoch.
    resumed_after
        The epochs after which the training was resumed.
    spent
        "seconds" and "cpu_seconds" of the training before it was last resumed.
    """

    path: Path
    key: Callable[[], str]
    seconds: float
    resumed_after: list[int] = field(default_factory=list)
    spent: dict[str, float] = field(default_factory=lambda: {"seconds": 0.0, "cpu_seconds": 0.0})

    def __post_init__(self) -> None:
        self._began = self._saved = _now()

    def resume(self, stateful: Stateful) -> dict | None:
        """Give `stateful` and the random number generators their saved state.

        Parameters
        ----------
        stateful
            By name, all that changes from epoch to epoch: networks, optimisers, discriminators.

        Returns
        -------
        dict or None
            The saved progress; None without a checkpoint of this training.
        """
        if not self.path.is_file():
            return None
        try:
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # of damaged bytes the unpickler raises anything
            print(f"{self.path}: not readable, training begins anew ({error})", file=sys.stderr)
            return None
        if saved["key"] != self.key():
            print(f"{self.path}: of another training, not used", file=sys.stderr)
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

    def save_if_due(self, stateful: Stateful, epoch: int, progress: dict) -> None:
        """Save `stateful` and `progress` after `epoch`, if the last write is long enough ago."""
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
        except (OSError, RuntimeError) as error:  # a full disk does not end a training
            print(f"{self.path}: not saved, training goes on ({error})", file=sys.stderr)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        self._saved = _now()


def _now() -> dict[str, float]:
    return {"seconds": time.monotonic(), "cpu_seconds": time.process_time()}
