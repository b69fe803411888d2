"""How far a long step is, and the time left: a bar in a terminal, else a line now and then."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

LOG_SECONDS = 15.0  # between two reports of progress where there is no terminal


def progress(what: str, *args: object, **options: Any) -> tqdm:
    """Return a ``tqdm`` called `what`; other arguments are its own."""
    quiet = not sys.stderr.isatty()
    seconds = {"mininterval": LOG_SECONDS, "delay": LOG_SECONDS} if quiet else {"delay": 1}
    return tqdm(*args, desc=what, **seconds, **options)
