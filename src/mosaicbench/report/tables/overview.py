"""One line per run: what it is, what it uses, how it ended, and its headline scores."""

from __future__ import annotations

import pandas as pd

from mosaicbench.report.tables.contract import OVERVIEW_COLUMNS
from mosaicbench.report.tables.text import NOT_GIVEN, absence, counted, mean_with_sd
from mosaicbench.roster import Roster
from mosaicbench.statistics.common import FAILED, RUN, TABLED
from mosaicbench.statistics.summary import headline


def overview(scores: pd.DataFrame, runs: pd.DataFrame, roster: Roster) -> pd.DataFrame:
    """Return one row per run of each view, controls among them, and one formatted column per headline metric and distance.

    Parameters
    ----------
    scores, runs
        Columns ``files.scores.SCORE_COLUMNS`` and ``contract.RUN_COLUMNS``.
    roster
        The kind of a run, and what it uses.

    Returns
    -------
    pandas.DataFrame
        Columns ``contract.OVERVIEW_COLUMNS``: "0.123 ± 0.004" is the mean and standard deviation over seeds, "–" not applicable
        or not given, "✗ diverged" a run of which no seed succeeded, "†" a mean over fewer directions than another run gave.
    """
    lines = {
        tuple(line[name] for name in (*RUN, "metric")): line
        for line in headline(scores).to_dict("records")
    }
    rows = []
    for names, of_run in runs.groupby(RUN, sort=False):
        run = names[-1]
        applicable = of_run[of_run["status"] != "not_applicable"]
        succeeded = int((~applicable["status"].isin(FAILED)).sum())
        row = dict(zip(RUN, names, strict=True)) | {
            "method": roster.method(run),
            "kind": roster.kind(run),
            **roster.traits(run),
            "seeds": f"{succeeded}/{len(applicable)}" if len(applicable) else NOT_GIVEN,
            "status": counted(of_run["status"]),
        }
        for metric in TABLED:
            line = lines.get((*names, metric))
            row[metric] = mean_with_sd(metric, line) if line else absence(of_run, run)
        rows.append(row)
    return pd.DataFrame(rows, columns=OVERVIEW_COLUMNS)
