"""Exceptions, a warning, and the hint that goes with a misspelt name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[object]) -> str:
    """Return the end of a message about an unknown name: the nearest valid one, or all."""
    names = list(map(str, known))
    small = {each.lower(): each for each in reversed(names)}
    close = difflib.get_close_matches(str(name).lower(), small, n=1, cutoff=0.5)
    return f"; did you mean {small[close[0]]!r}?" if close else f"; there are: {', '.join(names)}"


class UserError(ValueError):
    """A user's mistake; the message has the file or key, and the remedy.

    The command line prints only the message, and exits with status 1.
    """


class DataWarning(UserWarning):
    """Something in the input that a person should look at; it does not stop anything."""


class Diverged(ArithmeticError):
    """The loss of a training is not finite; the run becomes a row with the status "diverged"."""


class NotApplicable(ValueError):
    """A method needs what this split lacks, as only the data showed, or cannot do a task.

    Raised in `fit`, the run becomes a row with that status; in `embed` or `impute`, that source or
    direction is left out, and the run's message has the reason.
    """


class NotWritten(UserError):
    """The disk refused a file, as full or read-only; the earlier file is unchanged."""


class ContractError(UserError):
    """A file is absent, truncated, or of another kind or run than its place."""
