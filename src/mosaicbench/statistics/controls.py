"""What theory says of the controls: a benchmark whose controls score otherwise measures something else than it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from mosaicbench.statistics.common import FAILED, VIEW
from mosaicbench.statistics.scale import NEGATIVE, POSITIVE

if TYPE_CHECKING:
    from mosaicbench.report.roster import Roster

EXACT, DRAWN = (
    0.01,
    0.1,
)  # how far a mean may lie from theory: of what is computed, and of what is drawn for some dozens of cells
# control -> metric -> what it scores, and how near
THEORY = {
    "oracle": {
        "foscttm": (0.0, EXACT),
        "imputation_skill": (1.0, EXACT),
        "imputation_pearson_per_feature": (1.0, EXACT),
    },
    "constant": {"foscttm": (0.5, EXACT)},
    "random_latent": {"foscttm": (0.5, DRAWN)},
    "shuffled": {"foscttm": (0.5, DRAWN), "imputation_pearson_per_feature": (0.0, DRAWN)},
    "train_mean": {"imputation_skill": (0.0, EXACT), "imputation_pearson_per_feature": (0.0, EXACT)},
}


def broken(headline: pd.DataFrame, runs: pd.DataFrame, roster: Roster) -> Iterator[str]:
    """Yield one sentence for everything that is wrong with the controls of a benchmark.

    Every view needs the oracle and a control that knows nothing, none of which failed with any seed; and what
    :data:`THEORY` says of a control has to hold.

    Parameters
    ----------
    headline
        ``summary.headline``.
    runs
        Columns ``contract.RUN_COLUMNS``.
    roster
        Who is a control.
    """
    method_of = headline["run"].map(roster.method)
    for view, of_view in runs.groupby(VIEW, sort=False):
        where = "/".join(view)
        there = of_view.loc[of_view["status"] != "not_applicable", "run"]
        methods = {roster.method(run) for run in there}
        if POSITIVE not in methods:
            yield f"{where}: no run of the control {POSITIVE!r}, which pins the upper end of every scale"
        if not methods & set(NEGATIVE):
            yield f"{where}: no run of a control that knows nothing ({', '.join(NEGATIVE)})"
        failed = of_view[of_view["run"].map(roster.kind).eq("control") & of_view["status"].isin(FAILED)]
        for line in failed.itertuples():
            yield f"{where}: the control {line.run} {line.status.replace('_', ' ')} with seed {line.seed}"
        here = (headline["dataset"] == view[0]) & (headline["scenario"] == view[1])
        for control, expected in THEORY.items():
            for metric, (value, tolerance) in expected.items():
                means = headline[here & (method_of == control) & (headline["metric"] == metric)]
                for line in means.itertuples():
                    if not abs(line.mean - value) <= tolerance:
                        yield f"{where}: the control {line.run} has {metric} {line.mean:.3f}, where theory says {value:g}"
