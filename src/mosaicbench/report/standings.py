"""Who stands where: every run, its status and what it uses, with mean, interval and rank in every score."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mosaicbench.report import statistics, tables
from mosaicbench.report.tables import RUN, VIEW, Cards

OVERALL = "overall"  # the group of the overall score and of the groups that it averages
SCORES = ("score", *statistics.GROUPS)


def standings(
    *, headline: pd.DataFrame, overall: pd.DataFrame, ranks: pd.DataFrame, runs: pd.DataFrame, cards: Cards
) -> pd.DataFrame:
    """Return one row per run and score of every view, and of every scenario over its datasets, if several.

    Scores are the metrics whose card says which way is better and that are no reference, sanity value or variant, resources,
    and the overall score with its groups. A run without a value keeps its row, which says why.

    Parameters
    ----------
    headline, overall, ranks, runs
        Tables of these names, with intervals.
    cards
        room -> id -> card.

    Returns
    -------
    pandas.DataFrame
        Columns ``tables.STANDING_COLUMNS``. In a view, `rank` is the place of the mean among models and baselines, 1 is best,
        of `ranked`. Over datasets, ``statistics.ALL``, `mean` is that over datasets of runs with a value in each, without an
        interval, `rank` the mean rank over datasets and seeds with its interval. `shown` is the mean with its interval, "–" for
        not applicable or not given, "✗ diverged" for a run of which no seed succeeded, "†" for a mean over fewer directions,
        or an overall score of fewer metrics, than another run gave.
    """
    whole = overall["dataset"] == statistics.ALL
    parts = [_of_scores(overall, runs, cards), _of_metrics(headline, runs, cards)]
    if whole.any():
        parts.append(_over_datasets(headline, ranks, overall[whole], runs, cards))
    known = pd.concat([_identities(runs, cards), _identities(runs.assign(dataset=statistics.ALL), cards)])
    own = [name for name in tables.STANDING_COLUMNS if name in RUN or name not in known]
    found = tables.joined([part[own] for part in parts], own)
    return found.merge(known, on=RUN, how="left")[tables.STANDING_COLUMNS]


def _identities(runs: pd.DataFrame, cards: Cards) -> pd.DataFrame:
    """Return method, kind, traits, status and number of seeds of every run of every view."""
    rows = []
    for names, group in runs.groupby(RUN, sort=False):
        method = group["method"].iloc[0]
        card = cards["methods"].get(method, {})
        row = dict(zip(RUN, names, strict=True)) | {"method": method, "kind": card.get("kind", "model"), **tables.traits(card)}
        made = int((group["status"] != "not_applicable").sum())
        rows.append(row | {"status": tables.counted(group["status"]), "of_seeds": made})
    return pd.DataFrame(rows)


def _of_metrics(headline: pd.DataFrame, runs: pd.DataFrame, cards: Cards) -> pd.DataFrame:
    """Return the standing of every run of every view in every metric of which the view has a value."""
    names = [*statistics.qualities(headline["metric"], cards), *tables.RESOURCES]
    summary = headline[headline["metric"].isin(names)]
    summary = summary.assign(best=tables.best(summary, runs, cards), **_places(summary, runs, cards))
    rows = []
    for view, of_view in summary.groupby(VIEW, sort=False):
        here = runs[(runs["dataset"] == view[0]) & (runs["scenario"] == view[1])]
        known = of_view.set_index(["metric", "run"])
        for metric in [name for name in names if name in set(of_view["metric"])]:
            group = {"group": cards["metrics"].get(metric, {}).get("group", "resources"), "metric": metric}
            for run in here["run"].unique():
                row = dict(zip(VIEW, view, strict=True)) | {"run": run} | group
                if (metric, run) in known.index:
                    own = known.loc[(metric, run)]
                    fewer = own["directions"] < own["of_directions"]
                    row |= own[[*tables.SUMMARY, "rank", "ranked", "best"]].to_dict()
                    row |= {"shown": _shown(own, metric) + (f" {tables.FEWER}" if fewer else "")}
                else:
                    row |= {"seeds": 0, "best": False, "shown": tables.absence(here, run)}
                rows.append(row)
    return pd.DataFrame(rows).reindex(columns=tables.STANDING_COLUMNS)


def _places(summary: pd.DataFrame, runs: pd.DataFrame, cards: Cards) -> dict[str, pd.Series]:
    """Return the place of every mean among models and baselines of its view, and how many have one."""
    methods = dict(zip(runs["run"], runs["method"], strict=True))
    kinds = summary["run"].map(lambda run: cards["methods"].get(methods.get(run), {}).get("kind"))
    compared = (kinds != "control") & (summary["directions"] == summary["of_directions"])
    lower = summary["metric"].map(lambda name: cards["metrics"].get(name, {}).get("better", "lower") == "lower")
    merit = summary["mean"].where(lower, -summary["mean"]).where(compared)
    contest = [summary[column] for column in [*VIEW, "metric"]]
    return {"rank": merit.groupby(contest).rank(method="min"), "ranked": merit.groupby(contest).transform("count")}


def _of_scores(overall: pd.DataFrame, runs: pd.DataFrame, cards: Cards) -> pd.DataFrame:
    """Return the standing of every run in the overall score and in the groups that it averages."""
    rows = []
    for view, of_view in overall.groupby(VIEW, sort=False):
        here = runs[runs["scenario"] == view[1]]
        here = here if view[0] == statistics.ALL else here[here["dataset"] == view[0]]
        ranked = int(of_view["rank"].notna().sum())
        for metric in [name for name in SCORES if of_view[name].notna().any()]:
            for own in of_view.to_dict("records"):
                row = dict(zip(VIEW, view, strict=True)) | {
                    "run": own["run"],
                    "group": OVERALL,
                    "metric": metric,
                    "best": False,
                }
                row |= {"mean": own[metric], "seeds": own["seeds"], "interval": tables.NO_INTERVAL}
                if metric == "score":
                    row |= {name: own[name] for name in ("low", "high", "interval", "rank")} | {"ranked": ranked}
                    row |= {"best": own["rank"] == 1 and ranked > 1}
                if np.isnan(own[metric]):
                    row |= {"seeds": 0, "shown": tables.absence(here, own["run"])}
                else:
                    fewer = metric == "score" and not own["complete"]
                    row |= {"shown": _shown(pd.Series(row).reindex(["mean", "low", "high"]), metric)}
                    row |= {"shown": row["shown"] + f" {tables.FEWER}"} if fewer else {}
                rows.append(row)
    return pd.DataFrame(rows).reindex(columns=tables.STANDING_COLUMNS)


def _over_datasets(
    headline: pd.DataFrame, ranks: pd.DataFrame, overall: pd.DataFrame, runs: pd.DataFrame, cards: Cards
) -> pd.DataFrame:
    """Return the standing of every run over the datasets of a scenario, in every metric in which runs are ranked."""
    rows = []
    for scenario in overall["scenario"].unique():
        here = runs[runs["scenario"] == scenario]
        of_scenario = headline[headline["scenario"] == scenario]
        ranked = ranks[ranks["scenario"] == scenario].set_index(["metric", "run"])
        for metric in statistics.qualities(of_scenario["metric"], cards):
            of_metric = of_scenario[of_scenario["metric"] == metric]
            datasets = of_metric["dataset"].nunique()
            whole = of_metric[of_metric["directions"] == of_metric["of_directions"]].groupby("run")["mean"]
            means = whole.mean()[whole.size() == datasets]
            group = {"group": cards["metrics"][metric]["group"], "metric": metric}
            for run in here["run"].unique():
                row = {
                    "dataset": statistics.ALL,
                    "scenario": scenario,
                    "run": run,
                    "best": False,
                    "interval": tables.NO_INTERVAL,
                }
                row |= group | {"seeds": 0, "shown": tables.absence(here, run)}
                if run in means.index:
                    row |= {"mean": means[run], "shown": tables.number(metric, means[run])}
                    row |= {"seeds": int(of_metric.loc[of_metric["run"] == run, "seeds"].sum())}
                if (metric, run) in ranked.index:
                    own = ranked.loc[(metric, run)]
                    row |= {"rank": own["rank"], "rank_low": own["low"], "rank_high": own["high"], "ranked": own["ranked"]}
                rows.append(row)
    found = pd.DataFrame(rows).reindex(columns=tables.STANDING_COLUMNS)
    first = found.groupby(["scenario", "metric"])["rank"].transform("min")
    return found.assign(best=(found["rank"] == first) & (found["ranked"] > 1))


def _shown(own: pd.Series, metric: str) -> str:
    """Return "0.123 [0.101, 0.145]", or the mean alone where there is no interval."""
    mean = tables.number(metric, own["mean"])
    if pd.isna(own["low"]) or mean.startswith("<"):
        return mean
    return f"{mean} [{tables.number(metric, own['low'])}, {tables.number(metric, own['high'])}]"
