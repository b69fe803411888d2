"""Two benchmarks side by side: which scores differ, seed by seed, beyond chance, and which fits ended differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.statistics.common import RUN, half_width
from mosaicbench.statistics.summary import complete_seed_means

if TYPE_CHECKING:
    from mosaicbench.roster import Roster

KEYS = [*RUN, "metric"]
MEASURES = ["mean", "low", "high", "interval", "seeds"]
SCORE_COLUMNS = [*KEYS, "change", "difference", "low", "high", "paired_seeds"]
SCORE_COLUMNS += [f"{measure}_{side}" for side in ("a", "b") for measure in MEASURES]
STATUS_COLUMNS = [*RUN, "seed", "status_a", "status_b", "message_a", "message_b"]
BETTER, WORSE, BEYOND = "better", "worse", "beyond"
WITHIN, SAME, NO_TEST, ONLY_A, ONLY_B = "within", "same", "no test", "only in A", "only in B"
CHANGES = {
    BETTER: "B is better: the 95 % interval of the difference, paired by seed, leaves out 0",
    WORSE: "B is worse: the 95 % interval of the difference, paired by seed, leaves out 0",
    BEYOND: "the 95 % interval of the difference leaves out 0; neither side of the metric is better",
    WITHIN: "the 95 % interval of the difference, paired by seed, holds 0",
    NO_TEST: "the means differ, and fewer than two seeds have the score in both",
    SAME: "the same with every seed that both have",
    ONLY_A: "B has no such score",
    ONLY_B: "A has no such score",
}


def scores(
    a: pd.DataFrame,
    b: pd.DataFrame,
    by_seed_a: pd.DataFrame,
    by_seed_b: pd.DataFrame,
    roster: Roster,
) -> pd.DataFrame:
    """Return one row per score of two benchmarks: what changed beyond chance first, time and memory last.

    A seed is the same split in both, so differences are taken seed by seed, over the seeds that both have. Of scores in which
    nothing changed, about one in twenty has an interval of the difference that leaves out 0.

    Parameters
    ----------
    a, b
        Columns ``summary.HEADLINE_COLUMNS``.
    by_seed_a, by_seed_b
        The scores that these are means of: columns ``files.scores.SCORE_COLUMNS``.
    roster
        Which way a metric is better.

    Returns
    -------
    pandas.DataFrame
        Columns ``SCORE_COLUMNS``; `difference` is b less a over the seeds of both, or of the means where they share none, with
        its 95 % t interval; `change` is a key of ``CHANGES``.
    """
    both = a[[*KEYS, *MEASURES]].merge(
        b[[*KEYS, *MEASURES]], on=KEYS, how="outer", suffixes=("_a", "_b"), sort=False
    )
    paired = _differences(by_seed_a, by_seed_b)
    both = both.merge(paired, on=KEYS, how="left")
    both["paired_seeds"] = both["paired_seeds"].fillna(0).astype(int)
    both["difference"] = both["difference"].fillna(both["mean_b"] - both["mean_a"])
    gain = both["difference"] * both["metric"].map(roster.sign).astype(float)
    conditions = {
        ONLY_A: both["mean_b"].isna(),
        ONLY_B: both["mean_a"].isna(),
        SAME: both["is_same"].eq(True) | ((both["paired_seeds"] == 0) & (both["difference"] == 0)),
        NO_TEST: both["low"].isna(),
        WITHIN: (both["low"] <= 0) & (both["high"] >= 0),
        BETTER: gain > 0,
        WORSE: gain < 0,
    }
    both["change"] = (
        np.select(list(conditions.values()), list(conditions), default=BEYOND) if len(both) else ""
    )
    is_resource = both["metric"].map(roster.group) == "resources"
    places = {"resource": is_resource, "place": both["change"].map(list(CHANGES).index)}
    order = both.assign(**places, size=-both["difference"].abs()).sort_values(
        [*places, "size"], kind="stable"
    )
    return both.loc[order.index, SCORE_COLUMNS].reset_index(drop=True)


def _differences(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Return one row per score: its mean difference over the seeds of both, with interval, and whether all are the same.

    Means are over the directions and spaces that both have.
    """
    columns = [*KEYS, "seed", "value"]
    parts = [*KEYS, "direction", "space"]
    given = [
        side.loc[side["status"] != "not_applicable", parts].drop_duplicates() for side in (a, b)
    ]
    shared = given[0].merge(given[1], on=parts)
    sides = [complete_seed_means(side.merge(shared, on=parts))[columns] for side in (a, b)]
    paired = sides[0].merge(sides[1], on=[*KEYS, "seed"], suffixes=("_a", "_b"))
    rows = []
    for names, group in paired.groupby(KEYS, sort=False):
        x = (group["value_b"] - group["value_a"]).to_numpy(dtype=float)
        half = half_width(x) if len(x) > 1 else np.nan
        rows.append(
            [*names, x.mean(), x.mean() - half, x.mean() + half, len(x), bool((x == 0).all())]
        )
    return pd.DataFrame(
        rows, columns=[*KEYS, "difference", "low", "high", "paired_seeds", "is_same"]
    )


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
    both = a[a["seed"].notna()][fit].merge(
        b[b["seed"].notna()][fit], on=fit, how="outer", indicator="side"
    )
    rows = []
    for names, group in both[both["side"] != "both"].groupby(RUN, sort=False):
        seeds = {
            side: ", ".join(map(str, group.loc[group["side"] == f"{side}_only", "seed"]))
            for side in ("left", "right")
        }
        rows.append([*names, seeds["left"], seeds["right"]])
    return pd.DataFrame(rows, columns=[*RUN, "seeds_a", "seeds_b"])
