"""When beta rises, which epoch's weights are kept and when training stops: alone and in a stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NEVER_FINITE = "the validation cost was never finite after the warm-up"
LONGEST = 100  # epochs that a warm-up is a fraction of, however many more the budget has
WINDOW = 5  # epochs: the validation cost is their mean, since that of one epoch depends on what was drawn for its few cells


@dataclass(frozen=True)
class Schedule:
    """What training does by the number of an epoch, the first of which is 1; a stack asks for each of its seeds.

    Attributes
    ----------
    warmup_epochs
        The epoch in which the cost is first what it will stay.
    patience
        Epochs to wait for a lower validation cost.
    """

    warmup_epochs: int
    patience: int

    @classmethod
    def of(cls, max_epochs: int, patience: int, warmup: float) -> Schedule:
        """Return that of a budget, and of a warm-up in parts of its epochs."""
        return cls(max(1, round(warmup * min(max_epochs, LONGEST))), patience)

    def progress(self, epoch: int) -> float:
        """Return how far the warm-up has come, up to 1."""
        return min(1.0, epoch / self.warmup_epochs)

    def smoothed(self, costs: Sequence[float]) -> float:
        """Return the mean of the last `WINDOW` validation costs since the end of the warm-up; `costs` are those of all epochs.

        Before the end of the warm-up, weights minimise another cost: there it is infinite.
        """
        recent = costs[self.warmup_epochs - 1 :][-WINDOW:]
        return sum(recent) / len(recent) if recent else float("inf")

    def goes_on(self, epoch: int, best_epoch: int) -> bool:
        """Return whether there is patience for another epoch; it is not tried before the end of the warm-up."""
        return epoch - max(best_epoch, self.warmup_epochs) < self.patience
