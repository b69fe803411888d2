"""Means of scores over directions and seeds.

No value is made up on the way: a failed or inapplicable run has no number, a mean covers the seeds that gave one and says how
many those were. Standard deviations divide by n - 1; intervals are Student's t over seeds, which are replicates of the whole
experiment (split, initialisation, minibatches), until ``intervals.with_cells`` widens them to what the cells allow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.stats.common import FAILED, NO_INTERVAL, RUN, SPLIT, T_OVER_SEEDS, t_quantile

if TYPE_CHECKING:
    from mosaicbench.catalog.run_metadata import RunMetadata

SUMMARY = ["mean", "sd", "low", "high", "interval", "seeds"]
COMPARISON_COLUMNS = [*RUN, "metric", "direction", "normalization", *SUMMARY, "failed"]
HEADLINE_COLUMNS = [*RUN, "metric", *SUMMARY, "of_seeds", "directions", "of_directions"]


def comparison(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run, metric, direction and space, with the mean over seeds and its 95 % interval.

    Parameters
    ----------
    scores
        Columns ``files.scores.SCORE_COLUMNS``.

    Returns
    -------
    pandas.DataFrame
        Columns ``COMPARISON_COLUMNS``. `seeds` counts the values that the mean covers, `failed` the seeds of the run that
        gave none. `sd`, `low` and `high` are NA with fewer than two seeds, and then `interval`, which says what the interval
        is made of, is "none". A run that failed with every seed keeps one row, of
        metric "status".
    """
    summary = _summarise(scores, [*RUN, "metric", "direction", "normalization"])
    failed = scores[scores["status"].isin(FAILED)].groupby(RUN)["seed"].nunique().rename("failed")
    summary = summary.merge(failed.reset_index(), on=RUN, how="left")
    summary["failed"] = summary["failed"].fillna(0).astype(int)
    names, scored = pd.MultiIndex.from_frame(summary[RUN]), summary["metric"] != "status"
    superfluous = ~scored & names.isin(names[scored])
    return summary.loc[~superfluous, COMPARISON_COLUMNS].reset_index(drop=True)


def seed_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run, metric and seed: the mean over directions, NA where a direction lacks its value.

    A direction between modalities without a common query cell is none: its rows have the status "not_applicable".

    Returns
    -------
    pandas.DataFrame
        Columns: dataset, scenario, run, metric, seed, value, status, directions (of this run), of_directions (of the run that
        has most, in the same split).
    """
    keys = [*RUN, "metric"]
    scored = scores[(scores["metric"] != "status") & (scores["status"] != "not_applicable")]
    directions = (
        scored.drop_duplicates([*keys, "direction", "normalization"])
        .groupby(keys)
        .size()
        .rename("directions")
        .reset_index()
    )
    most = (
        directions.groupby([*SPLIT, "metric"])["directions"]
        .max()
        .rename("of_directions")
        .reset_index()
    )
    means = (
        scored.groupby([*keys, "seed"], sort=False)
        .agg(value=("value", "mean"), counted=("value", "count"), status=("status", "first"))
        .reset_index()
        .merge(directions, on=keys, how="left")
        .merge(most, on=[*SPLIT, "metric"], how="left")
    )
    means["value"] = means["value"].where(means["counted"] == means["directions"])
    return means.drop(columns="counted")


def complete_seed_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of :func:`seed_means` that are means over all directions of the split."""
    means = seed_means(scores)
    return means[means["directions"] == means["of_directions"]].dropna(subset="value")


def headline(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run and metric: mean, sd and interval over seeds of the mean over directions.

    Returns
    -------
    pandas.DataFrame
        Columns ``HEADLINE_COLUMNS``; metrics of which no seed has a value are left out. `seeds` counts those that the mean
        covers, `of_seeds` those with which any run of the split has a value.
    """
    means = seed_means(scores)
    summary = _summarise(means, [*RUN, "metric"])
    directions = means.drop_duplicates([*RUN, "metric"])[
        [*RUN, "metric", "directions", "of_directions"]
    ]
    summary = summary.merge(directions, on=[*RUN, "metric"], how="left")
    seeds = (
        means.dropna(subset="value")
        .groupby([*SPLIT, "metric"])["seed"]
        .nunique()
        .rename("of_seeds")
        .reset_index()
    )
    summary = summary.merge(seeds, on=[*SPLIT, "metric"], how="left")
    return summary.loc[summary["seeds"] > 0, HEADLINE_COLUMNS].reset_index(drop=True)


def signed_means(summary: pd.DataFrame, run_metadata: RunMetadata) -> pd.Series:
    """Return the mean of each row of :func:`headline`, signed so that more is better; NA where it is not compared.

    Controls do not compete; a mean that lacks a direction or a seed of its split is not compared, so that all compared means are
    over the same seeds; and neither are metrics whose card does not say which way is better.
    """
    compared = summary["run"].map(run_metadata.competes).astype(bool) & (
        summary["directions"] == summary["of_directions"]
    )
    compared &= summary["seeds"] == summary["of_seeds"]
    return (summary["mean"] * summary["metric"].map(run_metadata.sign).astype(float)).where(
        compared
    )


def best(summary: pd.DataFrame, run_metadata: RunMetadata) -> pd.Series:
    """Say of each row of :func:`headline` whether no other run of its split and metric has a better mean.

    Only metrics of quality have a best run, so none of resources. A run without a competitor is the best of nothing.
    """
    merit = signed_means(summary, run_metadata).where(
        summary["metric"].map(run_metadata.is_quality).astype(bool)
    )
    comparison_of_runs = [summary[column] for column in [*SPLIT, "metric"]]
    competing = summary["mean"].where(summary["run"].map(run_metadata.competes).astype(bool))
    competitors = competing.groupby(comparison_of_runs).transform("count")
    return (
        merit.notna()
        & (merit == merit.groupby(comparison_of_runs).transform("max"))
        & (competitors > 1)
    )


def _summarise(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return mean, sd, 95 % t interval and number of the values in each group, in order of appearance."""
    summary = (
        table.groupby(keys, sort=False)["value"]
        .agg(mean="mean", sd=lambda x: x.std(ddof=1), seeds="count")
        .reset_index()
    )
    several = summary["seeds"] > 1
    n = summary["seeds"].where(several)
    half = pd.Series(t_quantile(n), index=summary.index) * summary["sd"] / np.sqrt(n)
    kind = pd.Series(
        np.where(several, T_OVER_SEEDS, NO_INTERVAL), index=summary.index, dtype=object
    )
    means = summary["mean"]
    return summary.assign(
        sd=summary["sd"].where(several), low=means - half, high=means + half, interval=kind
    )
