"""Who stands where: every run, its status and what it uses, with mean, interval and rank in every score."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.report.tables.contract import STANDING_COLUMNS
from mosaicbench.report.tables.text import FEWER, absence, counted, mean_with_interval
from mosaicbench.stats.common import ALL, FAILED, NO_INTERVAL, RESOURCES, RUN, SPLIT, joined
from mosaicbench.stats.means import SUMMARY, best, signed_means
from mosaicbench.stats.overall import RANKS, SCORES
from mosaicbench.stats.paired import tied_with_best

OVERALL = "overall"  # the group of the overall score and of the groups that it averages


def rankings(tables: Mapping[str, pd.DataFrame], run_metadata: RunMetadata) -> pd.DataFrame:
    """Return one row per run and score of every split, and of every scenario over its datasets, if several.

    Scores are the metrics of quality, resources, and the overall score with its groups. A run without a value keeps its row,
    which says why.

    Parameters
    ----------
    tables
        "headline", "overall", "ranks", "runs" and "paired_tests", as `tabulate` makes them.
    roster
        Who competes, and what is true of runs and metrics.

    Returns
    -------
    pandas.DataFrame
        Columns ``contract.STANDING_COLUMNS``. In a split, `rank` is the place of the mean among models and baselines,
        1 is best, of `ranked`. Over datasets, ``ALL``, `mean` is that over datasets of runs with a value in each,
        without an interval, `rank` the mean rank over datasets and seeds with its interval. `level` says that a run
        is the `best` or cannot be told from it: by ``paired.tied_with_best`` in a metric; in the overall score where its
        interval reaches that of the best; over datasets where its mean rank is within the critical difference.
        `shown` is the mean with its interval, "–" for not applicable or not given, "✗ diverged" for a run of which no
        seed succeeded, "†" for a mean over fewer directions, or an overall score of fewer metrics, than another run
        gave.
    """
    headline, overall, runs = (tables[name] for name in ("headline", "overall", "runs"))
    everywhere = pd.concat([runs, runs.assign(dataset=ALL)])
    who = identities(everywhere, run_metadata).drop(columns="seeds")
    parts = [
        _of_scores(overall),
        _of_metrics(headline, tables["paired_tests"], run_metadata),
        _over_datasets(headline, tables["ranks"], overall, run_metadata),
    ]
    columns = [*STANDING_COLUMNS, "absent", "fewer"]
    filled = []
    for part in parts:
        asked = part[[*SPLIT, "metric"]].drop_duplicates().merge(who, on=SPLIT)
        filled.append(asked.merge(part, on=[*RUN, "metric"], how="left").reindex(columns=columns))
    table = joined(filled, columns)
    has = table["mean"].notna()
    values = table[["metric", "mean", "low", "high"]].itertuples(index=False)
    texts = pd.Series([mean_with_interval(*value) for value in values], dtype=object)
    return table.assign(
        group=table["metric"].map(run_metadata.group).mask(table["metric"].isin(SCORES), OVERALL),
        shown=(texts + table["fewer"].map({True: f" {FEWER}"}).fillna("")).where(
            has, table["absent"]
        ),
        seeds=table["seeds"].where(has, 0).astype(int),
        interval=table["interval"].mask(
            table["interval"].isna() & (table["dataset"] == ALL), NO_INTERVAL
        ),
        **{name: table[name].eq(True) for name in ("best", "level")},
    )[STANDING_COLUMNS]


def identities(runs: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return a row per run of every split: what it is and uses, how its seeds ended, and what is written where it has no value."""
    rows = []
    for names, of_run in runs.groupby(RUN, sort=False):
        run, statuses = names[-1], of_run["status"]
        ran = statuses[statuses != "not_applicable"]
        row = dict(zip(RUN, names, strict=True)) | run_metadata.traits(run)
        row |= {
            "method": run_metadata.method(run),
            "kind": run_metadata.kind(run),
            "status": counted(statuses),
        }
        row |= {"of_seeds": len(ran), "seeds": int((~ran.isin(FAILED)).sum())}
        rows.append(row | {"absent": absence(of_run, run)})
    return pd.DataFrame(rows)


def _of_metrics(
    headline: pd.DataFrame, paired_tests: pd.DataFrame, run_metadata: RunMetadata
) -> pd.DataFrame:
    """Return the standing of the runs of every split in every metric of which the split has a value."""
    metrics = [*run_metadata.qualities(headline["metric"]), *RESOURCES]
    summary = headline[headline["metric"].isin(metrics)]
    contests = signed_means(summary, run_metadata).groupby(
        [summary[column] for column in [*SPLIT, "metric"]]
    )
    table = summary[[*RUN, "metric", *SUMMARY]].assign(
        rank=contests.rank(method="min", ascending=False),
        ranked=contests.transform("count"),
        best=best(summary, run_metadata),
        level=tied_with_best(summary, paired_tests, run_metadata),
        fewer=summary["directions"] < summary["of_directions"],
    )
    splits = table.groupby(SPLIT, sort=False).ngroup()
    return table.iloc[np.lexsort([table["metric"].map(metrics.index), splits])]


def _of_scores(overall: pd.DataFrame) -> pd.DataFrame:
    """Return the standing of every run in the overall score and in the groups that it averages."""
    parts, splits = [], [overall[column] for column in SPLIT]
    for metric, rank in zip(SCORES, ("rank", *RANKS), strict=True):
        ranked = overall[rank].groupby(splits).transform("count")
        part = overall[[*RUN, "seeds"]].assign(
            metric=metric, mean=overall[metric], rank=overall[rank], ranked=ranked
        )
        part["best"] = part["level"] = (part["rank"] == 1) & (ranked > 1)
        part["interval"] = NO_INTERVAL
        if metric == "score":
            part = part.assign(**overall[["low", "high", "interval"]], fewer=~overall["complete"])
            ends = overall[["low", "score"]].min(axis=1).where(overall["rank"] == 1)
            reaches = np.fmax(overall["high"], overall["score"]) >= ends.groupby(splits).transform(
                "min"
            )
            part["level"] = reaches & part["rank"].notna() & (ranked > 1)
        parts.append(part[part["mean"].groupby(splits).transform("count") > 0])
    table = pd.concat(parts)
    return table.iloc[np.argsort(table.groupby(SPLIT, sort=False).ngroup(), kind="stable")]


def _over_datasets(
    headline: pd.DataFrame, ranks: pd.DataFrame, overall: pd.DataFrame, run_metadata: RunMetadata
) -> pd.DataFrame:
    """Return the standing of the runs over the datasets of a scenario, in every metric in which runs are ranked."""
    of, keys = ["scenario", "metric"], ["scenario", "metric", "run"]
    scenarios = list(overall.loc[overall["dataset"] == ALL, "scenario"].unique())
    asked = headline[
        headline["scenario"].isin(scenarios) & headline["metric"].map(run_metadata.is_quality)
    ]
    complete = asked[asked["directions"] == asked["of_directions"]]
    table = asked.groupby(keys, sort=False)["seeds"].sum().to_frame()
    table = table.join(complete.groupby(keys)["mean"].agg(["mean", "size"])).reset_index()
    datasets = table.merge(asked.groupby(of)["dataset"].nunique().reset_index(), on=of)["dataset"]
    table["mean"] = table["mean"].where(table["size"] == datasets)
    named = {"low": "rank_low", "high": "rank_high", "critical_difference": "margin"}
    places = ranks.rename(columns=named)[[*keys, "rank", *named.values(), "ranked"]]
    table = table.merge(places, on=keys, how="left").assign(dataset=ALL)
    behind = table["rank"] - table.groupby(of)["rank"].transform("min")
    is_best = (behind == 0) & (table["ranked"] > 1)
    table = table.assign(best=is_best, level=is_best | (behind <= table["margin"]))
    return table.iloc[np.argsort(table["scenario"].map(scenarios.index), kind="stable")]
