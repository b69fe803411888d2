"""A swept quantity: which datasets, scenarios or runs stand at which value of it, and what they scored there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mosaicbench.stats.common import NO_INTERVAL, RUN, SPLIT, joined
from mosaicbench.stats.summary import headline

SWEEP_COLUMNS = [
    "quantity",
    "log",
    "panel",
    "line",
    "x",
    *RUN,
    "metric",
    "direction",
    "seed",
    "value",
    "status",
]
SWEEP_COLUMNS += ["mean", "low", "high", "interval"]
OVER_DIRECTIONS = "mean"  # in the place of a direction


def sweep_table(
    sweep: Mapping | None, scores: pd.DataFrame, comparison: pd.DataFrame
) -> pd.DataFrame:
    """Return one row per panel, line, value of the quantity, metric, direction and seed; none without a sweep.

    Parameters
    ----------
    sweep
        The config's ``report: sweep``: label, log, metrics (metric -> directions, or None for their mean) and series (name ->
        id of a dataset, scenario or run -> value of the quantity).
    scores, comparison
        Columns ``files.scores.SCORE_COLUMNS`` and ``summary.COMPARISON_COLUMNS``.

    Returns
    -------
    pandas.DataFrame
        Columns ``SWEEP_COLUMNS``. Where datasets or scenarios are swept, a line is a run and a panel a series; where
        runs are swept, a line is a series and a panel a split, and runs in no series have no `x`. `mean`, `low` and `high` are
        over the seeds; a run that failed has a row without a value.
    """
    if sweep is None:
        return pd.DataFrame(columns=SWEEP_COLUMNS)
    placed = _placed(_ended(scores), sweep["series"])
    parts = []
    for metric, directions in sweep["metrics"].items():
        of_metric = scores[scores["metric"] == metric]
        if directions is None:
            summary = headline(of_metric).assign(direction=OVER_DIRECTIONS)
            values = (
                of_metric.groupby([*RUN, "seed"], as_index=False)["value"]
                .mean()
                .assign(direction=OVER_DIRECTIONS)
            )
        else:
            summary = comparison[
                (comparison["metric"] == metric) & comparison["direction"].isin(directions)
            ]
            values = of_metric.loc[
                of_metric["direction"].isin(directions), [*RUN, "seed", "direction", "value"]
            ]
        # A failed run has to be seen missing in each direction that any run of its split has.
        directions_of_splits = values[[*SPLIT, "direction"]].drop_duplicates()
        rows = placed.merge(directions_of_splits, on=SPLIT, how="inner")
        rows = rows.merge(values, on=[*RUN, "seed", "direction"], how="left")
        summary = summary[[*RUN, "direction", "mean", "low", "high", "interval"]]
        parts.append(rows.merge(summary, on=[*RUN, "direction"], how="left").assign(metric=metric))
    table = joined(parts, [column for column in SWEEP_COLUMNS if column not in ("quantity", "log")])
    table["interval"] = table["interval"].fillna(NO_INTERVAL)
    return table.assign(quantity=sweep["label"], log=sweep["log"])[SWEEP_COLUMNS]


def _ended(scores: pd.DataFrame) -> pd.DataFrame:
    """Return how each run ended with each seed; one that only lacks a direction is not called not applicable."""
    ended = scores[[*RUN, "seed", "status"]].drop_duplicates()
    several = ended.duplicated([*RUN, "seed"], keep=False)
    return ended[~several | (ended["status"] != "not_applicable")]


def _placed(runs: pd.DataFrame, series: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Return the runs with their panel, line and x, as often as they are in a series."""
    parts = []
    for name, values in series.items():
        column = next(
            (column for column in ("dataset", "scenario") if set(values) & set(runs[column])), "run"
        )
        members = runs[runs[column].isin(list(values))]
        members = members.assign(x=members[column].map(dict(values)).astype(float))
        if column == "run":
            parts.append(members.assign(line=name, panel=_title(members, SPLIT)))
        else:
            fixed = [other for other in SPLIT if other != column and runs[other].nunique() > 1]
            parts.append(
                members.assign(
                    line=members["run"], panel=name + _title(members, fixed, before=", ")
                )
            )
    swept = pd.concat(parts, ignore_index=True)
    in_a_series = {name for values in series.values() for name in values}
    if set(swept["run"]) & in_a_series:
        others = runs[~runs["run"].isin(in_a_series)]
        swept = pd.concat(
            [swept, others.assign(line=others["run"], panel=_title(others, SPLIT), x=np.nan)],
            ignore_index=True,
        )
    return swept


def _title(runs: pd.DataFrame, columns: list[str], *, before: str = "") -> pd.Series:
    texts = [", ".join(names) for names in runs[columns].to_numpy(dtype=object)]
    return pd.Series(
        [before + text if text else "" for text in texts], index=runs.index, dtype=object
    )
