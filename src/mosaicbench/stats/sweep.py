"""A swept quantity: its value for datasets, scenarios or runs, and their scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mosaicbench.stats.common import CEILING, NO_INTERVAL, RUN, SPLIT, joined
from mosaicbench.stats.means import headline

INTERVAL = ["mean", "low", "high", "interval"]
ROW_COLUMNS = ["panel", "line", "x", *RUN, "metric", "direction", "seed", "value", "status"]
SWEEP_COLUMNS = ["quantity", "log", *ROW_COLUMNS, *INTERVAL, "ceiling"]
OVER_DIRECTIONS = "mean"  # instead of a direction


def sweep_table(
    sweep: Mapping | None, scores: pd.DataFrame, comparison: pd.DataFrame
) -> pd.DataFrame:
    """Return a row per panel, line, value of the quantity, metric, direction and seed.

    `sweep` is the config's ``report: sweep``, if any. If datasets or scenarios are swept, a line is
    a run and a panel a series; if runs are swept, a line is a series, a panel a split, and runs in
    no series have no `x`. A failed run has a row without a value.
    """
    if sweep is None:
        return pd.DataFrame(columns=SWEEP_COLUMNS)
    placed = _placed(_ended(scores), sweep["series"])
    parts = []
    for metric, directions in sweep["metrics"].items():
        values = _values(scores, metric, directions)
        ceilings = _values(scores, f"{metric}{CEILING}", directions)
        summary = comparison[comparison["metric"] == metric]
        if directions is None:
            summary = headline(scores[scores["metric"] == metric])
            summary = summary.assign(direction=OVER_DIRECTIONS)
        # A failed run needs a row for each direction that any run of its split has.
        of_split = values[[*SPLIT, "direction"]].drop_duplicates()
        keys = [*RUN, "direction"]
        rows = placed.merge(of_split, on=SPLIT)
        rows = rows.merge(values, on=[*keys, "seed"], how="left")
        ceilings = ceilings.rename(columns={"value": "ceiling"})
        rows = rows.merge(ceilings, on=[*keys, "seed"], how="left")
        rows = rows.merge(summary[[*keys, *INTERVAL]], on=keys, how="left")
        parts.append(rows.assign(metric=metric))
    table = joined(parts, [*ROW_COLUMNS, *INTERVAL, "ceiling"])
    table["interval"] = table["interval"].fillna(NO_INTERVAL)
    return table.assign(quantity=sweep["label"], log=sweep["log"])[SWEEP_COLUMNS]


def _values(scores: pd.DataFrame, metric: str, directions: list[str] | None) -> pd.DataFrame:
    keys = [*RUN, "direction", "seed"]
    rows = scores[(scores["metric"] == metric) & (scores["status"] != "not_applicable")]
    if directions is not None:
        return rows.loc[rows["direction"].isin(directions), [*keys, "value"]]
    means = rows.assign(direction=OVER_DIRECTIONS).groupby(keys)["value"]
    return means.mean().where(~means.agg(lambda x: x.isna().any())).reset_index()


def _ended(scores: pd.DataFrame) -> pd.DataFrame:
    ended = scores[[*RUN, "seed", "status"]].drop_duplicates()
    several = ended.duplicated([*RUN, "seed"], keep=False)
    return ended[~several | (ended["status"] != "not_applicable")]


def _placed(runs: pd.DataFrame, series: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    parts = []
    for name, values in series.items():
        column = next((key for key in RUN if set(values) & set(runs[key])), "run")
        members = runs[runs[column].isin(list(values))]
        members = members.assign(x=members[column].map(dict(values)).astype(float))
        if column == "run":
            parts.append(members.assign(line=name, panel=_titles(members, SPLIT)))
        else:
            fixed = [key for key in SPLIT if key != column and runs[key].nunique() > 1]
            members = members.assign(line=members["run"], series=name)
            parts.append(members.assign(panel=_titles(members, ["series", *fixed])))
    swept, names = pd.concat(parts), set().union(*series.values())
    if set(swept["run"]) & names:
        others = runs[~runs["run"].isin(names)]
        others = others.assign(line=others["run"], panel=_titles(others, SPLIT), x=np.nan)
        swept = pd.concat([swept, others])
    return swept


def _titles(runs: pd.DataFrame, columns: list[str]) -> list[str]:
    return [", ".join(names) for names in runs[columns].to_numpy(dtype=object)]
