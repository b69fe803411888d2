"""Who stands where: every run, its status and what it uses, with mean, interval and rank in every score."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mosaicbench.report.tables.contract import STANDING_COLUMNS, of_view
from mosaicbench.report.tables.text import FEWER, absence, counted, mean_with_interval, number
from mosaicbench.roster import Roster
from mosaicbench.statistics.common import ALL, NO_INTERVAL, RESOURCES, RUN, VIEW, joined
from mosaicbench.statistics.overall import RANKS, SCORES
from mosaicbench.statistics.paired import level
from mosaicbench.statistics.summary import SUMMARY, best, merits

OVERALL = "overall"  # the group of the overall score and of the groups that it averages


def standings(
    *,
    headline: pd.DataFrame,
    overall: pd.DataFrame,
    ranks: pd.DataFrame,
    runs: pd.DataFrame,
    paired_tests: pd.DataFrame,
    roster: Roster,
) -> pd.DataFrame:
    """Return one row per run and score of every view, and of every scenario over its datasets, if several.

    Scores are the metrics of quality, resources, and the overall score with its groups. A run without a value keeps its row,
    which says why.

    Parameters
    ----------
    headline, overall, ranks, runs, paired_tests
        Tables of these names, with intervals.
    roster
        Who competes, and what is true of runs and metrics.

    Returns
    -------
    pandas.DataFrame
        Columns ``contract.STANDING_COLUMNS``. In a view, `rank` is the place of the mean among models and baselines,
        1 is best, of `ranked`. Over datasets, ``ALL``, `mean` is that over datasets of runs with a value in each,
        without an interval, `rank` the mean rank over datasets and seeds with its interval. `level` says that a run
        is the `best` or cannot be told from it: by ``paired.level`` in a metric; in the overall score where its
        interval reaches that of the best; over datasets where its mean rank is within the critical difference.
        `shown` is the mean with its interval, "–" for not applicable or not given, "✗ diverged" for a run of which no
        seed succeeded, "†" for a mean over fewer directions, or an overall score of fewer metrics, than another run
        gave.
    """
    over_datasets = overall[overall["dataset"] == ALL]
    parts = [_of_scores(overall, runs), _of_metrics(headline, paired_tests, runs, roster)]
    if len(over_datasets):
        parts.append(_over_datasets(headline, ranks, over_datasets, runs, roster))
    identities = pd.concat(
        [_identities(runs, roster), _identities(runs.assign(dataset=ALL), roster)]
    )
    columns = [name for name in STANDING_COLUMNS if name in RUN or name not in identities]
    table = joined([part.reindex(columns=columns) for part in parts], columns)
    return table.merge(identities, on=RUN, how="left")[STANDING_COLUMNS]


def _identities(runs: pd.DataFrame, roster: Roster) -> pd.DataFrame:
    """Return method, kind, traits, status and number of seeds of every run of every view."""
    rows = []
    for names, of_run in runs.groupby(RUN, sort=False):
        run = names[-1]
        row = (
            dict(zip(RUN, names, strict=True))
            | {"method": roster.method(run), "kind": roster.kind(run)}
            | roster.traits(run)
        )
        seeds = int((of_run["status"] != "not_applicable").sum())
        rows.append(row | {"status": counted(of_run["status"]), "of_seeds": seeds})
    return pd.DataFrame(rows)


def _of_metrics(
    headline: pd.DataFrame, paired_tests: pd.DataFrame, runs: pd.DataFrame, roster: Roster
) -> pd.DataFrame:
    """Return the standing of every run of every view in every metric of which the view has a value."""
    metrics = [*roster.qualities(headline["metric"]), *RESOURCES]
    summary = headline[headline["metric"].isin(metrics)]
    contests = merits(summary, roster).groupby([summary[column] for column in [*VIEW, "metric"]])
    places = {
        "rank": contests.rank(method="min", ascending=False),
        "ranked": contests.transform("count"),
    }
    summary = summary.assign(
        best=best(summary, roster), level=level(summary, paired_tests, roster), **places
    )
    rows = []
    for view, means in summary.groupby(VIEW, sort=False):
        absences = _absences(of_view(runs, *view))
        lines = {(line["metric"], line["run"]): line for line in means.to_dict("records")}
        for metric in [name for name in metrics if name in set(means["metric"])]:
            for run, absent in absences.items():
                row = dict(zip(VIEW, view, strict=True)) | {
                    "run": run,
                    "group": roster.group(metric),
                    "metric": metric,
                }
                if (metric, run) in lines:
                    line = lines[metric, run]
                    fewer = f" {FEWER}" if line["directions"] < line["of_directions"] else ""
                    row |= {
                        name: line[name] for name in (*SUMMARY, "rank", "ranked", "best", "level")
                    }
                    row |= {
                        "shown": mean_with_interval(metric, line["mean"], line["low"], line["high"])
                        + fewer
                    }
                else:
                    row |= {"seeds": 0, "best": False, "level": False, "shown": absent}
                rows.append(row)
    return pd.DataFrame(rows)


def _absences(runs: pd.DataFrame) -> dict[str, str]:
    """Return run -> what stands in the place of a value that it does not have."""
    return {run: absence(runs, run) for run in runs["run"].unique()}


def _of_scores(overall: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the standing of every run in the overall score and in the groups that it averages."""
    rows = []
    ranks_of = dict(zip(SCORES, ("rank", *RANKS), strict=True))
    for (dataset, scenario), lines in overall.groupby(VIEW, sort=False):
        runs_here = runs[runs["scenario"] == scenario]
        absences = _absences(runs_here if dataset == ALL else of_view(runs, dataset, scenario))
        reached = lines.loc[lines["rank"] == 1, ["low", "score"]].min(axis=1).min()
        for metric in [name for name in SCORES if lines[name].notna().any()]:
            ranked = int(lines[ranks_of[metric]].notna().sum())
            for line in lines.to_dict("records"):
                row = {name: line[name] for name in RUN} | {
                    "group": OVERALL,
                    "metric": metric,
                    "best": False,
                    "level": False,
                }
                row |= {"mean": line[metric], "seeds": line["seeds"], "interval": NO_INTERVAL}
                row |= {
                    "rank": line[ranks_of[metric]],
                    "ranked": ranked,
                    "best": line[ranks_of[metric]] == 1 and ranked > 1,
                }
                row |= {"level": row["best"]}
                if metric == "score":
                    row |= {name: line[name] for name in ("low", "high", "interval")}
                    reaches = np.fmax(line["high"], line["score"]) >= reached
                    row |= {"level": bool(reaches and not np.isnan(line["rank"]) and ranked > 1)}
                if np.isnan(line[metric]):
                    row |= {"seeds": 0, "shown": absences[line["run"]]}
                else:
                    fewer = f" {FEWER}" if metric == "score" and not line["complete"] else ""
                    interval = row.get("low", np.nan), row.get("high", np.nan)
                    row |= {"shown": mean_with_interval(metric, line[metric], *interval) + fewer}
                rows.append(row)
    return pd.DataFrame(rows)


def _over_datasets(
    headline: pd.DataFrame,
    ranks: pd.DataFrame,
    overall: pd.DataFrame,
    runs: pd.DataFrame,
    roster: Roster,
) -> pd.DataFrame:
    """Return the standing of every run over the datasets of a scenario, in every metric in which runs are ranked."""
    rows = []
    for scenario in overall["scenario"].unique():
        absences = _absences(runs[runs["scenario"] == scenario])
        of_scenario = headline[headline["scenario"] == scenario]
        ranks_here = {
            (rank["metric"], rank["run"]): rank
            for rank in ranks[ranks["scenario"] == scenario].to_dict("records")
        }
        for metric in roster.qualities(of_scenario["metric"]):
            of_metric = of_scenario[of_scenario["metric"] == metric]
            complete = of_metric[of_metric["directions"] == of_metric["of_directions"]].groupby(
                "run"
            )["mean"]
            means = complete.mean()[complete.size() == of_metric["dataset"].nunique()]
            for run, absent in absences.items():
                row = {
                    "dataset": ALL,
                    "scenario": scenario,
                    "run": run,
                    "group": roster.group(metric),
                    "metric": metric,
                }
                row |= {"best": False, "interval": NO_INTERVAL, "seeds": 0, "shown": absent}
                if run in means.index:
                    row |= {"mean": means[run], "shown": number(metric, means[run])}
                    row |= {"seeds": int(of_metric.loc[of_metric["run"] == run, "seeds"].sum())}
                if (metric, run) in ranks_here:
                    rank = ranks_here[metric, run]
                    row |= {
                        "rank": rank["rank"],
                        "rank_low": rank["low"],
                        "rank_high": rank["high"],
                        "ranked": rank["ranked"],
                    }
                    row |= {"margin": rank["critical_difference"]}
                rows.append(row)
    table = pd.DataFrame(rows).reindex(columns=[*STANDING_COLUMNS, "margin"])
    first = table.groupby(["scenario", "metric"])["rank"].transform("min")
    is_best = (table["rank"] == first) & (table["ranked"] > 1)
    return table.assign(
        best=is_best, level=is_best | (table["rank"] - first <= table["margin"])
    ).drop(columns="margin")
