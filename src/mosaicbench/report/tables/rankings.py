"""Every run, its status and inputs: its headline scores in one line, its place in every score."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.report.tables.contract import OVERVIEW_COLUMNS, RANKING_COLUMNS
from mosaicbench.report.tables.text import (
    FEWER,
    NOT_GIVEN,
    absence,
    counted,
    mean_with_interval,
    mean_with_sd,
)
from mosaicbench.stats.common import ALL, FAILED, NO_INTERVAL, RESOURCES, RUN, SPLIT, TABLED, Tables
from mosaicbench.stats.means import SUMMARY, best, headline, signed_means
from mosaicbench.stats.overall import RANK_OF
from mosaicbench.stats.paired import tied_with_best

OVERALL = "overall"  # the group of the overall score and of its groups


def rankings(tables: Tables, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return a row per run and score of every split, and of every scenario with several datasets.

    Of ``contract.RANKING_COLUMNS``, `rank` is in a split the place of the mean among the `ranked`
    models and baselines, 1 is best; over datasets, ``ALL``, the mean rank over datasets and seeds,
    and `mean` that of runs with a value in each. `level` marks the `best` run and those that tie
    with it: in a metric by ``paired.tied_with_best``, in the overall score if the intervals meet,
    over datasets if the mean rank is within the critical difference. "†" in `shown` marks a mean
    over fewer directions, or an overall score of fewer metrics, than another run gave.
    """
    everywhere = pd.concat([tables["runs"], tables["runs"].assign(dataset=ALL)])
    known = identities(everywhere, run_metadata).drop(columns="seeds")
    ranked = pd.concat(
        [
            _of_scores(tables["overall"]),
            _of_metrics(tables["headline"], tables["paired_tests"], run_metadata),
            _over_datasets(tables, run_metadata),
        ]
    )
    every = ranked[[*SPLIT, "metric"]].drop_duplicates().merge(known, on=SPLIT)
    table = every.merge(ranked, on=[*RUN, "metric"], how="left")
    table = table.reindex(columns=[*RANKING_COLUMNS, "absent", "fewer"])
    has, metrics, interval = table["mean"].notna(), table["metric"], table["interval"]
    values = table[["metric", "mean", "low", "high"]].to_numpy()
    texts = pd.Series([mean_with_interval(*value) for value in values], dtype=object)
    texts += table["fewer"].map({True: f" {FEWER}"}).fillna("")
    return table.assign(
        group=metrics.map(run_metadata.group).mask(metrics.isin(list(RANK_OF)), OVERALL),
        shown=texts.where(has, table["absent"]),
        seeds=table["seeds"].where(has, 0).astype(int),
        interval=interval.mask(interval.isna() & (table["dataset"] == ALL), NO_INTERVAL),
        best=table["best"].eq(True),
        level=table["level"].eq(True),
    )[RANKING_COLUMNS]


def identities(runs: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return a row per run of every split: method, kind, traits, status and seeds.

    `absent` is the text for its missing values.
    """
    rows = []
    for names, of_run in runs.groupby(RUN, sort=False):
        run, statuses = names[-1], of_run["status"]
        ran = statuses[statuses != "not_applicable"]
        facts = {
            "method": run_metadata.method(run),
            "kind": run_metadata.kind(run),
            "status": counted(statuses),
            "of_seeds": len(ran),
            "seeds": int((~ran.isin(FAILED)).sum()),
            "absent": absence(of_run, run),
        }
        rows.append(dict(zip(RUN, names, strict=True)) | run_metadata.traits(run) | facts)
    return pd.DataFrame(rows)


def _of_metrics(
    headline: pd.DataFrame, paired_tests: pd.DataFrame, run_metadata: RunMetadata
) -> pd.DataFrame:
    metrics = [*run_metadata.qualities(headline["metric"]), *RESOURCES]
    summary = headline[headline["metric"].isin(metrics)]
    keys = [summary[column] for column in [*SPLIT, "metric"]]
    signed = signed_means(summary, run_metadata).groupby(keys)
    table = summary[[*RUN, "metric", *SUMMARY]].assign(
        rank=signed.rank(method="min", ascending=False),
        ranked=signed.transform("count"),
        best=best(summary, run_metadata),
        level=tied_with_best(summary, paired_tests, run_metadata),
        fewer=summary["directions"] < summary["of_directions"],
    )
    splits = table.groupby(SPLIT, sort=False).ngroup()
    return table.iloc[np.lexsort([table["metric"].map(metrics.index), splits])]


def _of_scores(overall: pd.DataFrame) -> pd.DataFrame:
    of_score = overall[["low", "high", "interval"]].assign(fewer=~overall["complete"])
    parts = []
    for metric, rank in RANK_OF.items():
        part = overall[[*RUN, "seeds"]].assign(
            metric=metric, mean=overall[metric], rank=overall[rank], interval=NO_INTERVAL
        )
        parts.append(part.assign(**of_score) if metric == "score" else part)
    table = pd.concat(parts, ignore_index=True)
    keys = [table[column] for column in [*SPLIT, "metric"]]
    ranked, is_first = table["rank"].groupby(keys).transform("count"), table["rank"] == 1
    low = table[["low", "mean"]].min(axis=1).where(is_first)
    reaches = np.fmax(table["high"], table["mean"]) >= low.groupby(keys).transform("min")
    is_compared = table["rank"].notna() & (ranked > 1)
    table = table.assign(ranked=ranked, best=is_first & is_compared, level=reaches & is_compared)[
        table["mean"].groupby(keys).transform("count") > 0
    ]
    return table.iloc[np.argsort(table.groupby(SPLIT, sort=False).ngroup(), kind="stable")]


def _over_datasets(tables: Tables, run_metadata: RunMetadata) -> pd.DataFrame:
    of, keys = ["scenario", "metric"], ["scenario", "metric", "run"]
    overall, scores = tables["overall"], tables["headline"]
    scenarios = list(overall.loc[overall["dataset"] == ALL, "scenario"].unique())
    is_ranked = scores["metric"].map(run_metadata.is_quality)
    scores = scores[scores["scenario"].isin(scenarios) & is_ranked]
    complete = scores["mean"].where(scores["directions"] == scores["of_directions"])
    datasets = scores.groupby(of)["dataset"].transform("nunique")
    scores = scores.assign(mean=complete, datasets=datasets)
    table = scores.groupby(keys, sort=False).agg(
        seeds=("seeds", "sum"),
        mean=("mean", "mean"),
        size=("mean", "count"),
        datasets=("datasets", "first"),
    )
    table["mean"] = table["mean"].where(table["size"] == table["datasets"])
    table = table.reset_index().merge(tables["ranks"], on=keys, how="left", suffixes=("", "_"))
    table = table.rename(columns={"low": "rank_low", "high": "rank_high"}).assign(dataset=ALL)
    behind = table["rank"] - table.groupby(of)["rank"].transform("min")
    is_best = (behind == 0) & (table["ranked"] > 1)
    level = is_best | (behind <= table["critical_difference"])
    table = table.drop(columns="interval").assign(best=is_best, level=level)
    return table.iloc[np.argsort(table["scenario"].map(scenarios.index), kind="stable")]


def overview(scores: pd.DataFrame, runs: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return a row per run of each split, with a formatted column per headline metric and distance.

    "0.123 ± 0.004" is the mean and standard deviation over seeds, "–" not applicable or not given,
    "✗ diverged" a run that failed with every seed.
    """
    means = headline(scores)
    texts = [mean_with_sd(line["metric"], line) for line in means.to_dict("records")]
    texts = means.assign(text=texts).pivot(index=RUN, columns="metric", values="text")
    table = identities(runs, run_metadata).set_index(RUN)
    table = table.join(texts.reindex(columns=TABLED))
    counts = table["seeds"].astype(str) + "/" + table["of_seeds"].astype(str)
    table["seeds"] = counts.where(table["of_seeds"] > 0, NOT_GIVEN)
    for metric in TABLED:
        table[metric] = table[metric].fillna(table["absent"])
    return table.reset_index()[OVERVIEW_COLUMNS]
