"""The overall score, from 0 (chance or negative control) to 1 (oracle), and ranks over datasets."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.stats.common import (
    ALL,
    CEILING,
    FAILED,
    GROUPS,
    LEVEL,
    NO_INTERVAL,
    RUN,
    SPLIT,
    T_OVER_SEEDS,
    half_width,
    joined,
    pooled,
)
from mosaicbench.stats.intervals import over_datasets
from mosaicbench.stats.means import complete_seed_means

METRICS = [*GROUPS["alignment"], *GROUPS["label_transfer"], *GROUPS["imputation"]]
RANK_OF = {"score": "rank"} | {name: f"rank_{name}" for name in GROUPS}
SCORES = list(RANK_OF)
POSITIVE = "oracle"
NEGATIVE = ("random_latent", "shuffled", "constant", "train_mean")  # know nothing about a cell
TRIVIAL = {"alignment": "label_oracle", "imputation": "celltype_mean"}  # else 0, chance
COUNTS = ["seeds", "of_seeds", "metrics", "of_metrics"]
OVERALL_COLUMNS = [*RUN, "method", "kind", "rank", "score", "low", "high", "interval"]
OVERALL_COLUMNS += [
    *GROUPS,
    *map(RANK_OF.get, GROUPS),
    *COUNTS,
    "complete",
    "missing",
    "not_above",
    "datasets",
]


def ends(means: pd.Series, metric: str, run_metadata: RunMetadata) -> dict[str, object]:
    """Return which values of a split's metric count as 0 and as 1 on the common scale.

    `zero` is chance where the metric's card states a number, else the strongest negative control;
    `zero_is` names it. `one` is the oracle, else the best possible value. NaN is unknown. `means`
    are run -> mean.
    """
    methods = means.index.map(run_metadata.method)
    oracle, negative = means[methods == POSITIVE], means[methods.isin(NEGATIVE)].dropna()
    zero, zero_is = run_metadata.chance(metric), "chance"
    if np.isnan(zero):
        zero_is = ""
        if len(negative):
            zero_is = (run_metadata.sign(metric) * negative).idxmax()
            zero = float(negative[zero_is])
    one = float(oracle.iloc[0]) if len(oracle) else run_metadata.best(metric)
    return {"zero": zero, "zero_is": zero_is, "one": one}


def with_ceilings(summary: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Add to a table of ``means`` the mean `ceiling` of a score, and what is `attained` of it.

    `attained` is 0 at the zero of :func:`ends` and 1 at the ceiling; both are NA for a score without
    a ceiling above zero in the same directions and seeds.
    """
    places = [column for column in ("direction", "normalization") if column in summary]
    keys = [*RUN, "metric", "seeds", *(places or ["directions"])]
    is_ceiling = summary["metric"].str.endswith(CEILING)
    ceilings = summary.loc[is_ceiling, [*keys, "mean"]].rename(columns={"mean": "ceiling"})
    ceilings["metric"] = ceilings["metric"].str.removesuffix(CEILING)
    table = summary.merge(ceilings, on=keys, how="left")
    bounded = table[table["ceiling"].notna()]
    table["attained"] = np.nan
    for (metric, *_), rows in bounded.groupby(["metric", *SPLIT, *places], sort=False):
        zero = ends(rows.set_index("run")["mean"], metric, run_metadata)["zero"]
        scale = (rows["ceiling"] - zero).where(rows["ceiling"] > zero)
        table.loc[rows.index, "attained"] = (rows["mean"] - zero) / scale
    return table.assign(ceiling=table["ceiling"].where(table["attained"].notna()))


def overall(
    scores: pd.DataFrame,
    runs: pd.DataFrame,
    run_metadata: RunMetadata,
    simulated: Collection[str] = (),
) -> pd.DataFrame:
    """Return the scores of every run by question, and over questions, per split and over datasets.

    Each metric of `GROUPS` is scaled by :func:`ends`. The score of a question is the mean of its
    metrics, the overall score the mean of the questions. Runs are ranked within each question that
    they answer with every metric and seed; overall, if they answer every question of the split.

    `missing` names absent scores, `not_above` the questions in which the score does not exceed that
    of the trivial control. Dataset "(all)" is the mean over `datasets` of a scenario, if several;
    it leaves out `simulated` ones, unless all are.
    """
    scaled = scaled_by_seed(scores, run_metadata)
    rows = []
    for (dataset, scenario), of_split in runs.groupby(SPLIT, sort=False):
        here = scaled[(scaled["dataset"] == dataset) & (scaled["scenario"] == scenario)]
        metrics = [metric for metric in METRICS if metric in set(here["metric"])]
        for run, seeds in of_split.groupby("run", sort=False):
            names = {"dataset": dataset, "scenario": scenario, "run": run, "datasets": dataset}
            names |= {"method": run_metadata.method(run), "kind": run_metadata.kind(run)}
            rows.append(names | _score_of_run(here[here["run"] == run], seeds, metrics))
    of_splits = pd.DataFrame(rows, columns=[*OVERALL_COLUMNS, "by_seed", "whole"])
    table = joined([of_splits, _over_all_datasets(of_splits, simulated)], list(of_splits))
    competes, keys = table["run"].map(run_metadata.competes), [table[key] for key in SPLIT]
    not_above = pd.DataFrame(index=table.index)
    for name, rank in RANK_OF.items():
        values = table[name].astype(float)
        ranked = competes & table["complete" if name == "score" else "whole"]
        by_split = values.where(ranked.astype(bool)).groupby(keys)
        table[rank] = by_split.rank(ascending=False, method="min")
        if name in GROUPS:
            trivial = values.where(table["method"] == TRIVIAL.get(name)).groupby(keys)
            not_above[name] = values <= trivial.transform("max").fillna(0).clip(lower=0)
    named = [", ".join(not_above.columns[row]) for row in not_above.to_numpy()]
    return table.assign(not_above=named)[OVERALL_COLUMNS]


def together(table: pd.DataFrame, scenario: str) -> list[str]:
    """Return the datasets that count together in a scenario of a table of overall scores."""
    named = table.loc[table["scenario"] == scenario, "datasets"].astype(str)
    return max(named, key=lambda names: names.count(","), default="").split(", ")


def scaled_by_seed(scores: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return the scaled value per run, metric of the overall score and seed.

    A metric has no scale, and is left out, if a negative control reaches the oracle.
    """
    means, parts = complete_seed_means(scores), []
    means = means[means["metric"].isin(METRICS)]
    for (*_, metric), group in means.groupby([*SPLIT, "metric"], sort=False):
        scale = ends(group.groupby("run")["value"].mean(), metric, run_metadata)
        width = scale["one"] - scale["zero"]
        if np.isfinite(width) and width * run_metadata.sign(metric) > 0:
            parts.append(group.assign(scaled=(group["value"] - scale["zero"]) / width))
    return joined(parts, [*means.columns, "scaled"])


def _score_of_run(
    scaled: pd.DataFrame, seeds: pd.DataFrame, wanted: list[str]
) -> dict[str, object]:
    applicable = seeds[seeds["status"] != "not_applicable"]
    by_metric = scaled.pivot(index="seed", columns="metric", values="scaled")  # (seeds, metrics)
    table = by_metric.dropna()
    by_question = {}
    for name, metrics in GROUPS.items():
        of_question = [metric for metric in metrics if metric in wanted]
        if of_question:
            by_question[name] = table.reindex(columns=of_question).mean(axis=1, skipna=False)
    missing, lost = wanted, applicable["status"].isin(FAILED)
    if len(table):
        missing = [metric for metric in wanted if metric not in table]
        lost = ~applicable["seed"].isin(table.index)
    reasons = [] if len(applicable) else ["not applicable"]
    for row in applicable[lost].itertuples():
        reason = row.status
        if reason not in FAILED:
            absent = by_metric.columns[by_metric.reindex([row.seed]).isna().iloc[0]]
            reason = f"without {' and '.join(absent)}"
        reasons.append(f"seed {row.seed} {reason}")
    score = pd.DataFrame(by_question).mean(axis=1, skipna=False).dropna().to_numpy()
    mean = score.mean() if len(score) else np.nan
    half = half_width(score) if len(score) > 1 else np.nan
    return {name: of_seeds.mean() for name, of_seeds in by_question.items()} | {
        "score": mean,
        "low": mean - half,
        "high": mean + half,
        "interval": T_OVER_SEEDS if len(score) > 1 else NO_INTERVAL,
        "seeds": len(table),
        "of_seeds": len(applicable),
        "whole": not reasons,
        "metrics": len(wanted) - len(missing),
        "of_metrics": len(wanted),
        "complete": bool(wanted) and not missing and not reasons,
        "missing": ", ".join([*missing, *reasons]),
        "by_seed": score,
    }


def _over_all_datasets(of_splits: pd.DataFrame, simulated: Collection[str]) -> pd.DataFrame:
    rows = []
    for _, group in pooled(of_splits, simulated).groupby(["scenario", "run"], sort=False):
        if len(group) < 2:
            continue
        low, high, interval = np.nan, np.nan, NO_INTERVAL
        if group["score"].notna().all():
            by_seed = {row.dataset: row.by_seed[:, None] for row in group.itertuples()}
            (low,), (high,), interval = over_datasets(by_seed)
        missing = [f"{row.dataset}: {row.missing}" for row in group.itertuples() if row.missing]
        rows.append(
            {name: group[name].iloc[0] for name in ("scenario", "run", "method", "kind")}
            | {name: group[name].astype(float).mean(skipna=False) for name in SCORES}
            | {name: int(group[name].sum()) for name in COUNTS}
            | {name: bool(group[name].all()) for name in ("whole", "complete")}
            | {
                "dataset": ALL,
                "datasets": ", ".join(group["datasets"]),
                "low": low,
                "high": high,
                "interval": interval,
                "missing": "; ".join(missing),
            }
        )
    return pd.DataFrame(rows, columns=list(of_splits))


# --- ranks ---


RANK_COLUMNS = ["scenario", "metric", "run", "rank", "low", "high", "interval", "ranked"]
RANK_COLUMNS += ["datasets", "blocks", "of_blocks", "critical_difference", "note"]


def ranks(
    scores: pd.DataFrame, run_metadata: RunMetadata, simulated: Collection[str] = ()
) -> pd.DataFrame:
    """Rank models and baselines within each dataset and seed, and average: `RANK_COLUMNS`.

    Only runs with a value for every dataset and seed are ranked, among themselves. Ties share the
    mean rank, 1 is best. The critical difference is Nemenyi's at 5 % with datasets as blocks
    (Demšar 2006), NA with fewer than two. `simulated` datasets are left out, unless all are.
    """
    rows = []
    means = pooled(run_metadata.competing(complete_seed_means(scores)), simulated)
    for (scenario, metric), group in means.groupby(["scenario", "metric"], sort=False):
        if not run_metadata.is_quality(metric):
            continue
        table = group.pivot(index=["dataset", "seed"], columns="run", values="value")
        table = table[group["run"].unique()]  # (datasets x seeds, runs)
        ranked = table.dropna(axis="columns")
        ranked = ranked.rank(axis="columns", ascending=run_metadata.sign(metric) < 0)
        mean_ranks = _mean_ranks(ranked) if ranked.shape[1] > 1 else {}
        of_all = {
            "scenario": scenario,
            "metric": metric,
            "of_blocks": len(table),
            "datasets": table.index.get_level_values("dataset").nunique(),
            "ranked": len(mean_ranks),
        }
        for run in table:
            row = {"run": run, "blocks": int(table[run].notna().sum())} | of_all
            absent = [f"{dataset} seed {seed}" for dataset, seed in table.index[table[run].isna()]]
            note = f"no value for {', '.join(absent)}" if absent else "nothing to rank against"
            unranked = {"interval": NO_INTERVAL, "note": note}
            rows.append(row | mean_ranks.get(run, unranked))
    return pd.DataFrame(rows, columns=RANK_COLUMNS)


def _mean_ranks(ranked: pd.DataFrame) -> dict[str, dict]:
    groups = ranked.groupby(level="dataset", sort=False)
    low, high, interval = over_datasets({name: part.to_numpy() for name, part in groups})
    columns = {
        "rank": groups.mean().mean(),
        "low": low,
        "high": high,
        "interval": interval,
        "critical_difference": critical_difference(ranked.shape[1], len(groups)),
        "note": "",
    }
    return pd.DataFrame(columns).to_dict("index")


@cache
def critical_difference(runs: int, blocks: int) -> float:
    """Return Nemenyi's critical difference of mean ranks over at least two blocks, at 5 %."""
    from scipy import stats

    if blocks < 2:
        return np.nan
    quantile = stats.studentized_range.ppf(LEVEL, runs, np.inf)
    return float(quantile / np.sqrt(2) * np.sqrt(runs * (runs + 1) / (6 * blocks)))
