"""The overall score: by question first, from 0 (chance or negative control) to 1 (oracle); what is missing stays missing."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.stats.common import (
    ALL,
    FAILED,
    GROUPS,
    NO_INTERVAL,
    RUN,
    SPLIT,
    T_OVER_SEEDS,
    half_width,
    pooled,
)
from mosaicbench.stats.intervals import over_datasets
from mosaicbench.stats.score_scale import ends
from mosaicbench.stats.summary import complete_seed_means

if TYPE_CHECKING:
    from mosaicbench.catalog.run_metadata import RunMetadata

METRICS = [metric for metrics in GROUPS.values() for metric in metrics]
SCORES = ("score", *GROUPS)
RANKS = tuple(f"rank_{name}" for name in GROUPS)
TRIVIAL = {
    "alignment": "label_oracle",
    "imputation": "celltype_mean",
}  # what a question's score has to exceed; else 0, chance
OVERALL_COLUMNS = [
    *RUN,
    "method",
    "kind",
    "rank",
    "score",
    "low",
    "high",
    "interval",
    *GROUPS,
    *RANKS,
]
OVERALL_COLUMNS += [
    "seeds",
    "of_seeds",
    "metrics",
    "of_metrics",
    "complete",
    "missing",
    "not_above",
    "datasets",
]


def overall(
    scores: pd.DataFrame,
    runs: pd.DataFrame,
    run_metadata: RunMetadata,
    simulated: Collection[str] = (),
) -> pd.DataFrame:
    """Return the scores of every run and split by question, and over questions; per scenario over datasets, too.

    Each metric of :data:`GROUPS` is scaled by ``scale.ends``; the score of a question is the mean of its metrics, the overall
    score the mean of the questions. Runs are ranked within each question that they answer with every metric and seed; the
    overall score and rank are of runs that answer every question of the split. What a run lacks is NA and named in `missing`.
    Scores may be below 0: worse than chance.

    Parameters
    ----------
    scores, runs
        Columns ``files.scores.SCORE_COLUMNS`` and ``contract.RUN_COLUMNS``.
    roster
        Who competes, and what is true of metrics.
    simulated
        Datasets that are simulated: no part of what is over datasets, unless all are.

    Returns
    -------
    pandas.DataFrame
        Columns ``OVERALL_COLUMNS``. `not_above` names the questions in which the score does not exceed that of the trivial
        control. Dataset "(all)" is the mean over `datasets` of a scenario, if several.
    """
    scaled = _scaled_by_seed(scores, run_metadata)
    rows = []
    for (dataset, scenario), of_split in runs.groupby(SPLIT, sort=False):
        scaled_here = scaled[(scaled["dataset"] == dataset) & (scaled["scenario"] == scenario)]
        wanted = [metric for metric in METRICS if metric in set(scaled_here["metric"])]
        for run, seeds in of_split.groupby("run", sort=False):
            names = {"dataset": dataset, "scenario": scenario, "run": run, "datasets": dataset}
            names |= {"method": run_metadata.method(run), "kind": run_metadata.kind(run)}
            rows.append(
                names | _score_of_run(scaled_here[scaled_here["run"] == run], seeds, wanted)
            )
    of_splits = pd.DataFrame(rows, columns=[*OVERALL_COLUMNS, "by_seed", "whole"])
    parts = [part for part in (of_splits, _over_all_datasets(of_splits, simulated)) if len(part)]
    table = pd.concat(parts or [of_splits], ignore_index=True)
    competes = table["run"].map(run_metadata.competes).astype(bool)
    splits = [table["scenario"], table["dataset"]]
    for name, rank in zip(SCORES, ("rank", *RANKS), strict=True):
        ranked = competes & (table["complete"] if name == "score" else table["whole"]).astype(bool)
        table[rank] = (
            table[name]
            .astype(float)
            .where(ranked)
            .groupby(splits)
            .rank(ascending=False, method="min")
        )
    below = [
        _not_above(table[(table[SPLIT] == line[SPLIT]).all(axis=1)], line)
        for _, line in table.iterrows()
    ]
    return table.assign(not_above=below)[OVERALL_COLUMNS]


def _not_above(of_split: pd.DataFrame, line: pd.Series) -> str:
    """Return the questions in which a run's score is not above that of the trivial control of its split: "alignment"."""
    found = []
    for name in GROUPS:
        bar = (
            of_split.loc[of_split["method"] == TRIVIAL.get(name), name]
            .astype(float)
            .fillna(0)
            .max()
        )
        if line[name] <= max(0.0, np.nan_to_num(bar)):
            found.append(name)
    return ", ".join(found)


def _scaled_by_seed(scores: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return one row per run, metric of the overall score and seed: the value, scaled; metrics without a scale are left out.

    A metric in which a control that knows nothing reaches the oracle has none.
    """
    means = complete_seed_means(scores)
    parts = [means.iloc[:0].assign(scaled=pd.Series(dtype=float))]
    for (_, _, metric), group in means[means["metric"].isin(METRICS)].groupby(
        [*SPLIT, "metric"], sort=False
    ):
        scale = ends(group.groupby("run")["value"].mean(), metric, run_metadata)
        width = scale["one"] - scale["zero"]
        if np.isfinite(width) and width * run_metadata.sign(metric) > 0:
            parts.append(group.assign(scaled=(group["value"] - scale["zero"]) / width))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _score_of_run(
    scaled: pd.DataFrame, seeds: pd.DataFrame, wanted: list[str]
) -> dict[str, object]:
    """Return the scores of one run in one split, over the seeds in which it has every metric that it has at all.

    Parameters
    ----------
    scaled
        The run's rows of :func:`_scaled_by_seed`.
    seeds
        The run's rows of the table of runs, one per seed.
    wanted
        The metrics that any run of the split has.
    """
    applicable = seeds[seeds["status"] != "not_applicable"]
    by_metric = scaled.pivot(index="seed", columns="metric", values="scaled")  # (seeds, metrics)
    table = by_metric.dropna()
    questions = {
        name: [metric for metric in metrics if metric in wanted] for name, metrics in GROUPS.items()
    }
    questions = {name: metrics for name, metrics in questions.items() if metrics}
    by_seed = pd.DataFrame(
        {
            name: table.reindex(columns=metrics).mean(axis=1, skipna=False)
            for name, metrics in questions.items()
        }
    )
    missing = [metric for metric in wanted if metric not in table] if len(table) else list(wanted)
    lost = (
        ~applicable["seed"].isin(table.index) if len(table) else applicable["status"].isin(FAILED)
    )
    reasons = [
        f"seed {row.seed} {_reason(row.status, row.seed, by_metric)}"
        for row in applicable[lost].itertuples()
    ]
    reasons = reasons if len(applicable) else ["not applicable"]
    score = by_seed.mean(axis=1, skipna=False).dropna()
    row = {
        name: by_seed[name].mean() if name in by_seed else np.nan for name in GROUPS
    } | _mean_with_interval(score.to_numpy())
    row |= {"seeds": len(table), "of_seeds": len(applicable), "whole": not reasons}
    row |= {"metrics": len(wanted) - len(missing), "of_metrics": len(wanted)}
    row |= {
        "complete": bool(wanted) and not missing and not reasons,
        "missing": ", ".join([*missing, *reasons]),
    }
    return row | {"by_seed": score.to_numpy()}


def _reason(status: str, seed: int, by_metric: pd.DataFrame) -> str:
    """Return why a seed does not count: how it failed, or which metrics of (seeds, metrics) have no value."""
    if status in FAILED:
        return status
    absent = by_metric.columns[by_metric.reindex([seed]).isna().iloc[0]]
    return f"without {' and '.join(absent)}"


def _mean_with_interval(x: np.ndarray) -> dict[str, object]:
    mean = float(x.mean()) if len(x) else np.nan
    if len(x) < 2:
        return {"score": mean, "low": np.nan, "high": np.nan, "interval": NO_INTERVAL}
    half = half_width(x)
    return {"score": mean, "low": mean - half, "high": mean + half, "interval": T_OVER_SEEDS}


def _over_all_datasets(of_splits: pd.DataFrame, simulated: Collection[str]) -> pd.DataFrame:
    """Return one row per scenario and run over its datasets, where there are at least two; simulated ones are left out."""
    rows = []
    for (scenario, run), group in pooled(of_splits, simulated).groupby(
        ["scenario", "run"], sort=False
    ):
        if len(group) < 2:
            continue
        first, scored = group.iloc[0], group[group["score"].notna()]
        row = {
            "dataset": ALL,
            "scenario": scenario,
            "run": run,
            "method": first["method"],
            "kind": first["kind"],
        }
        row |= {name: group[name].astype(float).mean(skipna=False) for name in SCORES}
        row |= {"datasets": ", ".join(group["datasets"]), "whole": bool(group["whole"].all())}
        if len(scored) == len(group):
            by_dataset = {
                dataset: x[:, None]
                for dataset, x in zip(scored["dataset"], scored["by_seed"], strict=True)
            }
            low, high, interval = over_datasets(by_dataset)
            row |= {"low": low[0], "high": high[0], "interval": interval}
        else:
            row |= {"low": np.nan, "high": np.nan, "interval": NO_INTERVAL}
        row |= {
            name: int(group[name].sum()) for name in ("seeds", "of_seeds", "metrics", "of_metrics")
        }
        missing = [
            f"{dataset}: {what}"
            for dataset, what in zip(group["dataset"], group["missing"], strict=True)
            if what
        ]
        rows.append(
            row | {"complete": bool(group["complete"].all()), "missing": "; ".join(missing)}
        )
    return pd.DataFrame(rows, columns=[*OVERALL_COLUMNS, "by_seed", "whole"])
