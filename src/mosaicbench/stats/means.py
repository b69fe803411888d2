"""Means of scores over directions and seeds; failed and inapplicable runs have none.

Standard deviations divide by n - 1. Intervals are t over seeds, until ``intervals.with_cells``
widens them.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.stats.common import (
    BY_DISTANCE,
    DISTANCES,
    FAILED,
    HEADLINE,
    NO_INTERVAL,
    RUN,
    SPLIT,
    T_OVER_SEEDS,
    t_quantile,
)

SUMMARY = ["mean", "sd", "low", "high", "interval", "seeds"]
COMPARISON_COLUMNS = [*RUN, "metric", "direction", "normalization", *SUMMARY, "failed"]
HEADLINE_COLUMNS = [*RUN, "metric", *SUMMARY, "of_seeds", "directions", "of_directions"]


def comparison(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over seeds and its 95 % interval, per run, metric and direction.

    `seeds` counts the values of the mean, `failed` the failed seeds of the run. With fewer than two
    seeds, `sd`, `low` and `high` are NA. A run that failed with every seed has one row, of metric
    "status".
    """
    summary = _summarise(scores, [*RUN, "metric", "direction", "normalization"])
    failed = scores[scores["status"].isin(FAILED)].groupby(RUN)["seed"].nunique().rename("failed")
    summary = summary.join(failed, on=RUN)
    summary["failed"] = summary["failed"].fillna(0).astype(int)
    names, scored = pd.MultiIndex.from_frame(summary[RUN]), summary["metric"] != "status"
    kept = scored | ~names.isin(names[scored])
    return summary.loc[kept, COMPARISON_COLUMNS].reset_index(drop=True)


def seed_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over directions per run, metric and seed, NA where a direction has no value.

    Rows of status "not_applicable" are no direction: no query cell has both modalities. The columns
    `directions` and `of_directions` count those of the run, and the most of any run of the split.
    """
    keys = [*RUN, "metric"]
    scored = scores[(scores["metric"] != "status") & (scores["status"] != "not_applicable")]
    different = scored.drop_duplicates([*keys, "direction", "normalization"])
    directions = different.groupby(keys).size().reset_index(name="directions")
    of_split = directions.groupby([*SPLIT, "metric"])["directions"]
    directions["of_directions"] = of_split.transform("max")
    means = scored.groupby([*keys, "seed"], sort=False).agg(
        value=("value", "mean"), counted=("value", "count"), status=("status", "first")
    )
    means = means.reset_index().merge(directions, on=keys)
    means["value"] = means["value"].where(means["counted"] == means["directions"])
    return means.drop(columns="counted")


def complete_seed_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of :func:`seed_means` that are means over all directions of the split."""
    means = seed_means(scores)
    return means[means["directions"] == means["of_directions"]].dropna(subset="value")


def headline(scores: pd.DataFrame) -> pd.DataFrame:
    """Return `HEADLINE_COLUMNS`: mean, sd and interval over seeds of the mean over directions.

    Metrics without a value are left out. `seeds` counts the values of the mean, `of_seeds` the seeds
    with which any run of the split has a value.
    """
    means = seed_means(scores)
    keys, of_split = [*RUN, "metric", "directions", "of_directions"], [*SPLIT, "metric"]
    seeds = means.dropna(subset="value").groupby(of_split)["seed"].nunique().rename("of_seeds")
    summary = _summarise(means, keys).join(seeds, on=of_split)
    return summary.loc[summary["seeds"] > 0, HEADLINE_COLUMNS].reset_index(drop=True)


def signed_means(summary: pd.DataFrame, run_metadata: RunMetadata) -> pd.Series:
    """Return the mean of each row of :func:`headline`, signed so that more is better.

    NA where nothing is compared: controls, means that lack a direction or seed of their split, and
    metrics whose card states no better direction.
    """
    compared = summary["run"].map(run_metadata.competes).astype(bool)
    compared &= summary["directions"] == summary["of_directions"]
    compared &= summary["seeds"] == summary["of_seeds"]
    signs = summary["metric"].map(run_metadata.sign).astype(float)
    return (summary["mean"] * signs).where(compared)


def best(summary: pd.DataFrame, run_metadata: RunMetadata) -> pd.Series:
    """Say of each row of :func:`headline` whether its run has the best mean of its split.

    Only metrics of quality have a best run, so none of resources, and only among several runs.
    """
    is_quality = summary["metric"].map(run_metadata.is_quality).astype(bool)
    signed = signed_means(summary, run_metadata).where(is_quality)
    keys = [summary[column] for column in [*SPLIT, "metric"]]
    competing = summary["mean"].where(summary["run"].map(run_metadata.competes).astype(bool))
    several = competing.groupby(keys).transform("count") > 1
    return signed.notna() & (signed == signed.groupby(keys).transform("max")) & several


def _summarise(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    values = table.groupby(keys, sort=False)["value"]
    summary = values.agg(mean="mean", sd="std", seeds="count").reset_index()
    half = t_quantile(summary["seeds"]) * summary["sd"] / np.sqrt(summary["seeds"])
    kind = np.where(summary["seeds"] > 1, T_OVER_SEEDS, NO_INTERVAL).astype(object)
    return summary.assign(low=summary["mean"] - half, high=summary["mean"] + half, interval=kind)


# --- the same scores by each distance ---


BEST_COLUMNS = [f"best_{distance}" for distance in DISTANCES]
DISTANCE_COLUMNS = [*SPLIT, "metric", *BEST_COLUMNS, "differs", "runs", "pairs", "turned"]
OF_LATENTS = [score for score, forms in BY_DISTANCE.items() if set(forms.values()) & set(HEADLINE)]


def verdicts_by_distance(summary: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return the best runs by each distance, per split and headline score of latents.

    `runs` counts the models and baselines with a score by every distance, at least two; `turned` of
    their `pairs` change their order with the distance; `differs` says whether the best run does.
    """
    signed = summary.assign(signed=signed_means(summary, run_metadata)).dropna(subset="signed")
    rows = []
    for split, of_split in signed.groupby(SPLIT, sort=False):
        for score in OF_LATENTS:
            forms = list(BY_DISTANCE[score].values())
            table = of_split.pivot(index="run", columns="metric", values="signed")
            table = table.reindex(columns=forms).dropna()  # (runs, distances)
            if len(table) < 2:
                continue
            are_best = table == table.max()
            winners = [", ".join(sorted(table.index[are_best[form]])) for form in forms]
            pairs = list(combinations(table.to_numpy(), 2))
            turned = sum(len(set(np.sign(one - other))) > 1 for one, other in pairs)  # or a tie
            rows.append(
                [*split, score, *winners, len(set(winners)) > 1, len(table), len(pairs), turned]
            )
    return pd.DataFrame(rows, columns=DISTANCE_COLUMNS)
