"""What training minimises: named costs per cell, in nats."""

from __future__ import annotations

from torch import Tensor


class Cost(dict[str, Tensor]):
    """name -> (cells,) nats, summed over features; `+` adds by name, `*` scales every term.

    There is one reduction everywhere, the sum over features and the mean over cells, so that a weight means the same in every
    method. The names become columns of the history.
    """

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self
            | {name: self[name] + value if name in self else value for name, value in other.items()}
        )

    def __mul__(self, weight: float) -> Cost:
        return Cost({name: weight * value for name, value in self.items()})

    __rmul__ = __mul__

    def total(self) -> Tensor:
        """Return the scalar that is minimised: the mean over cells of the sum of all terms."""
        return sum(self.values()).mean()
