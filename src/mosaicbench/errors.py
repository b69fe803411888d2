"""Exceptions, and the hint that goes with a misspelt name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[object]) -> str:
    """Return how a message about an unknown name goes on: with the nearest valid one, or with all that there are."""
    names = list(map(str, known))
    small = {each.lower(): each for each in reversed(names)}
    close = difflib.get_close_matches(str(name).lower(), small, n=1, cutoff=0.5)
    return f"; did you mean {small[close[0]]!r}?" if close else f"; there are: {', '.join(names)}"


class UserError(ValueError):
    """A mistake that its maker can mend: says what is wrong, in which file or key, and what to do.

    The command line prints the message alone, without a traceback, and exits with status 1.
    """


class Diverged(ArithmeticError):
    """The loss of a training is not finite; the run becomes a row with the status "diverged"."""


class NotApplicable(ValueError):
    """A method needs what this split lacks, as only the data could tell, or cannot do what it was asked for.

    Raised in `fit`, the run becomes a row with that status; in `embed` or `impute`, that source of latents or that direction
    is left out, and the run's message says why.
    """


class NotWritten(UserError):
    """The disk did not take a file: it is full, or may not be written to; what was there before is left as it was."""


class ContractError(UserError):
    """A file is absent, truncated, or not what its place in the workflow says."""
