"""Two benchmarks side by side: which scores differ by more than their intervals allow, and which fits ended differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.statistics.common import RUN

if TYPE_CHECKING:
    from mosaicbench.report.roster import Roster

KEYS = [*RUN, "metric"]
MEASURES = ["mean", "low", "high", "interval", "seeds"]
SCORE_COLUMNS = [*KEYS, "change", "difference"]
SCORE_COLUMNS += [f"{measure}_{side}" for side in ("a", "b") for measure in MEASURES]
STATUS_COLUMNS = [*RUN, "seed", "status_a", "status_b", "message_a", "message_b"]
BETTER, WORSE, BEYOND = "better", "worse", "beyond"
WITHIN, SAME, NO_INTERVAL, ONLY_A, ONLY_B = "within", "same", "no interval", "only in A", "only in B"
CHANGES = {
    BETTER: "B is better, and the 95 % intervals do not meet",
    WORSE: "B is worse, and the 95 % intervals do not meet",
    BEYOND: "the 95 % intervals do not meet; neither side of the metric is better",
    WITHIN: "the 95 % intervals meet",
    NO_INTERVAL: "the means differ, and one of them has too few seeds for an interval",
    SAME: "the same mean to the last digit",
    ONLY_A: "B has no such score",
    ONLY_B: "A has no such score",
}


def scores(a: pd.DataFrame, b: pd.DataFrame, roster: Roster) -> pd.DataFrame:
    """Return one row per score of two benchmarks: what changed beyond its intervals first, time and memory last.

    That two 95 % intervals do not meet is a stricter demand than that the interval of their difference leaves out zero;
    where they meet, nothing is claimed.

    Parameters
    ----------
    a, b
        Columns ``summary.HEADLINE_COLUMNS``.
    roster
        Which way a metric is better.

    Returns
    -------
    pandas.DataFrame
        Columns ``SCORE_COLUMNS``; `difference` is b less a, `change` a key of ``CHANGES``.
    """
    both = a[[*KEYS, *MEASURES]].merge(b[[*KEYS, *MEASURES]], on=KEYS, how="outer", suffixes=("_a", "_b"), sort=False)
    both["difference"] = both["mean_b"] - both["mean_a"]
    apart = (both["low_a"] > both["high_b"]) | (both["low_b"] > both["high_a"])
    without_interval = both[["low_a", "low_b"]].isna().any(axis=1)
    gain = both["difference"] * both["metric"].map(roster.sign).astype(float)
    conditions = {
        ONLY_A: both["mean_b"].isna(),
        ONLY_B: both["mean_a"].isna(),
        SAME: both["difference"] == 0,
        NO_INTERVAL: without_interval,
        WITHIN: ~apart,
        BETTER: gain > 0,
        WORSE: gain < 0,
    }
    both["change"] = np.select(list(conditions.values()), list(conditions), default=BEYOND) if len(both) else ""
    is_resource = both["metric"].map(roster.group) == "resources"
    places = {"resource": is_resource, "place": both["change"].map(list(CHANGES).index)}
    order = both.assign(**places, size=-both["difference"].abs()).sort_values([*places, "size"], kind="stable")
    return both.loc[order.index, SCORE_COLUMNS].reset_index(drop=True)


def statuses(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Return one row per fit that both have, and that ended differently in B.

    Parameters
    ----------
    a, b
        Columns ``tables.contract.RUN_COLUMNS``.

    Returns
    -------
    pandas.DataFrame
        Columns ``STATUS_COLUMNS``.
    """
    fit = [*RUN, "seed"]
    columns = [*fit, "status", "message"]
    both = a[columns].merge(b[columns], on=fit, suffixes=("_a", "_b"))
    return both.loc[both["status_a"] != both["status_b"], STATUS_COLUMNS].reset_index(drop=True)


def fits_of_one(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run of which one benchmark has seeds that the other lacks.

    Returns
    -------
    pandas.DataFrame
        Columns: dataset, scenario, run, seeds_a, seeds_b; the seeds that only that one has, as text.
    """
    fit = [*RUN, "seed"]
    both = a[a["seed"].notna()][fit].merge(b[b["seed"].notna()][fit], on=fit, how="outer", indicator="side")
    rows = []
    for names, group in both[both["side"] != "both"].groupby(RUN, sort=False):
        seeds = {side: ", ".join(map(str, group.loc[group["side"] == f"{side}_only", "seed"])) for side in ("left", "right")}
        rows.append([*names, seeds["left"], seeds["right"]])
    return pd.DataFrame(rows, columns=[*RUN, "seeds_a", "seeds_b"])
