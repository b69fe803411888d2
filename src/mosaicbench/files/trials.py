"""``trials.tsv``: all trials of the tuning of one run on one split, the defaults first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mosaicbench.files.tables import write_table

# Then a column per hyperparameter.
COLUMNS = ["trial", "status", "objective", "seconds", "cpu_seconds", "message"]


def write_trials(
    path: Path, trials: Sequence[dict] | pd.DataFrame, searched: Sequence[str]
) -> None:
    """Write trials: `COLUMNS` and the `searched` hyperparameters; NA is a default of None."""
    write_table(path, pd.DataFrame(trials, columns=[*COLUMNS, *searched]))
