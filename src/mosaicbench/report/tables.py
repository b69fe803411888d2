"""Scores become tables by concatenation and grouping, and by nothing else.

No value is made up on the way: a failed or inapplicable run has no number, a mean covers the seeds that gave one and says how
many those were. Standard deviations divide by n - 1; intervals are Student's t over seeds, which are replicates of the whole
experiment (split, initialisation, minibatches), until ``statistics.with_intervals`` knows better.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from mosaicbench.files.scores import FEATURE_COLUMNS, SCORE_COLUMNS
from mosaicbench.files.tables import read_table

Cards = Mapping[str, Mapping[str, dict]]  # room -> id -> card

VIEW = ["dataset", "scenario"]
RUN = [*VIEW, "run"]
FAILED = ("diverged", "out_of_memory", "timeout", "crashed")
HEADLINE = (
    "foscttm",
    "label_transfer_accuracy",
    "imputation_pearson_per_feature",
    "imputation_pearson_per_cell",
    "imputation_skill",
    "fit_seconds",
    "peak_host_mb",
)
RESOURCES = ("fit_seconds", "peak_host_mb", "peak_device_mb")
RUN_COLUMNS = [*RUN, "method", "seed", "status", "message", "seconds", "peak_host_mb", "peak_device_mb", "device"]
RUN_COLUMNS += ["cpu_seconds", "gpu_seconds"]
PHASE_COLUMNS = [*RUN, "method", "seed", "phase", "train_cells", "query_cells"]
PHASE_COLUMNS += ["seconds", "cpu_seconds", "gpu_seconds", "host_mb", "device_mb"]
TRAITS = ("transductive", "uses_labels", "uses_links", "uses_pairs")
SUMMARY = ["mean", "sd", "low", "high", "interval", "seeds"]
COMPARISON_COLUMNS = [*RUN, "metric", "direction", "space", *SUMMARY, "failed"]
HEADLINE_COLUMNS = [*RUN, "metric", *SUMMARY, "directions", "of_directions"]
OVERVIEW_COLUMNS = [*RUN, "method", "kind", *TRAITS, "seeds", "status", *HEADLINE]
PAIRED_COLUMNS = [*VIEW, "metric", "run", "against", "role", "test", "effect", "low", "high", "better", "n", "seeds"]
PAIRED_COLUMNS += ["p", "p_holm", "least_p", "note"]
RANK_COLUMNS = ["scenario", "metric", "run", "rank", "low", "high", "interval", "ranked", "datasets", "blocks", "of_blocks"]
RANK_COLUMNS += ["critical_difference", "note"]
OVERALL_COLUMNS = [*RUN, "method", "kind", "rank", "score", "low", "high", "interval"]
OVERALL_COLUMNS += [
    "alignment",
    "label_transfer",
    "imputation",
    "seeds",
    "of_seeds",
    "metrics",
    "of_metrics",
    "complete",
    "missing",
]
GATE_COLUMNS = [*RUN, "gate", "metric", "seeds", "message"]
PUBLISHED_COLUMNS = ["dataset", "condition", "scenario", "method", "labels", "metric", "direction", "value", "value_to", "sd"]
PUBLISHED_COLUMNS += ["precision", "n", "split", "source", "verdict"]
PUBLISHED_COLUMNS += ["comparable", "run", "same_method", "ours", "ours_sd", "ours_seeds"]
PUBLISHED_COLUMNS += ["differs", "reason", "remark", "definition", "reference"]
STANDING_COLUMNS = [*RUN, "method", "kind", *TRAITS, "status", "group", "metric", "mean", "sd", "low", "high", "interval"]
STANDING_COLUMNS += ["seeds", "of_seeds", "rank", "rank_low", "rank_high", "ranked", "best", "shown"]
HISTORY_COLUMNS = [*RUN, "seed", "epoch", "cost", "value"]
SWEEP_COLUMNS = ["quantity", "log", "panel", "line", "x", *RUN, "metric", "direction", "seed", "value", "status"]
SWEEP_COLUMNS += ["mean", "low", "high", "interval"]
T_OVER_SEEDS = "t over seeds"
NO_INTERVAL = "none"
NOT_GIVEN = "–"
CROSS = "✗"
FEWER = "†"


def comparison(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run, metric, direction and space, with the mean over seeds and its 95 % interval.

    Parameters
    ----------
    scores
        Columns ``files.SCORE_COLUMNS``.

    Returns
    -------
    pandas.DataFrame
        Columns ``COMPARISON_COLUMNS``. `seeds` counts the values that the mean covers, `failed` the seeds of the run that
        gave none. `sd`, `low` and `high` are NA with fewer than two seeds, and then `interval`, which says what the interval
        is made of, is "none". A run that failed with every seed keeps one row, of
        metric "status".
    """
    summary = _summarise(scores, [*RUN, "metric", "direction", "space"])
    failed = scores[scores["status"].isin(FAILED)].groupby(RUN)["seed"].nunique().rename("failed")
    summary = summary.merge(failed.reset_index(), on=RUN, how="left")
    summary["failed"] = summary["failed"].fillna(0).astype(int)
    names, scored = pd.MultiIndex.from_frame(summary[RUN]), summary["metric"] != "status"
    superfluous = ~scored & names.isin(names[scored])
    return summary.loc[~superfluous, COMPARISON_COLUMNS].reset_index(drop=True)


def seed_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run, metric and seed: the mean over directions, NA where a direction lacks its value.

    Returns
    -------
    pandas.DataFrame
        Columns: dataset, scenario, run, metric, seed, value, status, directions (of this run), of_directions (of the run that
        has most, in the same view).
    """
    keys = [*RUN, "metric"]
    scored = scores[scores["metric"] != "status"]
    directions = scored.drop_duplicates([*keys, "direction", "space"]).groupby(keys).size().rename("directions").reset_index()
    most = directions.groupby([*VIEW, "metric"])["directions"].max().rename("of_directions").reset_index()
    means = (
        scored.groupby([*keys, "seed"], sort=False)
        .agg(value=("value", "mean"), counted=("value", "count"), status=("status", "first"))
        .reset_index()
        .merge(directions, on=keys, how="left")
        .merge(most, on=[*VIEW, "metric"], how="left")
    )
    means["value"] = means["value"].where(means["counted"] == means["directions"])
    return means.drop(columns="counted")


def headline(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run and metric: mean, sd and interval over seeds of the mean over directions.

    Returns
    -------
    pandas.DataFrame
        Columns ``HEADLINE_COLUMNS``; metrics of which no seed has a value are left out.
    """
    means = seed_means(scores)
    summary = _summarise(means, [*RUN, "metric"])
    directions = means.drop_duplicates([*RUN, "metric"])[[*RUN, "metric", "directions", "of_directions"]]
    summary = summary.merge(directions, on=[*RUN, "metric"], how="left")
    return summary.loc[summary["seeds"] > 0, HEADLINE_COLUMNS].reset_index(drop=True)


def overview(scores: pd.DataFrame, runs: pd.DataFrame, cards: Cards) -> pd.DataFrame:
    """Return one row per run of each view, controls among them, and one formatted column per headline metric.

    Parameters
    ----------
    scores, runs
        Columns ``files.SCORE_COLUMNS`` and ``RUN_COLUMNS``.
    cards
        room -> id -> card; of "methods" the `kind` is read.

    Returns
    -------
    pandas.DataFrame
        Columns ``OVERVIEW_COLUMNS``: "0.123 ± 0.004" is the mean and standard deviation over seeds, "–" not applicable or
        not given, "✗ diverged" a run of which no seed succeeded, "†" a mean over fewer directions than another run gave.
    """
    summary = headline(scores).set_index([*RUN, "metric"])
    rows = []
    for names, group in runs.groupby(RUN, sort=False):
        method = group["method"].iloc[0]
        applicable = group[group["status"] != "not_applicable"]
        failures = sorted(set(applicable.loc[applicable["status"].isin(FAILED), "status"]))
        succeeded = int((~applicable["status"].isin(FAILED)).sum())
        row = dict(zip(RUN, names, strict=True)) | {
            "method": method,
            "kind": cards["methods"].get(method, {}).get("kind", "model"),
            **traits(cards["methods"].get(method, {})),
            "seeds": f"{succeeded}/{len(applicable)}" if len(applicable) else NOT_GIVEN,
            "status": counted(group["status"]),
        }
        for metric in HEADLINE:
            if (*names, metric) in summary.index:
                row[metric] = formatted(metric, summary.loc[(*names, metric)])
            else:
                row[metric] = f"{CROSS} {', '.join(failures)}" if failures and not succeeded else NOT_GIVEN
        rows.append(row)
    return pd.DataFrame(rows, columns=OVERVIEW_COLUMNS)


def traits(card: Mapping[str, object]) -> dict[str, str]:
    """Return "yes" or "no" for each of :data:`TRAITS`; a method is transductive only if its card says so."""
    uses = card.get("uses", ())
    known = {"transductive": bool(card.get("transductive", False))}
    known |= {name: name.removeprefix("uses_") in uses for name in TRAITS if name != "transductive"}
    return {name: "yes" if known[name] else "no" for name in TRAITS}


def formatted(metric: str, summary: pd.Series) -> str:
    """Return "mean ± sd", or the mean alone where there is one seed, with "†" after a mean over fewer directions."""
    text = number(metric, summary["mean"])
    if not pd.isna(summary["sd"]) and not text.startswith("<"):
        text += f" ± {summary['sd']:.{_decimals(metric, summary['mean'])}f}"
    return text + (f" {FEWER}" if summary["directions"] < summary["of_directions"] else "")


def number(metric: str, value: float) -> str:
    """Return a value as text: three decimals for a score; seconds and megabytes to what a reader can use."""
    if metric in RESOURCES and value < 0.01:
        return "<0.01"
    return f"{value:z.{_decimals(metric, value)}f}"


def absence(runs: pd.DataFrame, run: str) -> str:
    """Return what stands in the place of a run's value: "✗ diverged" if every seed failed, else "–"."""
    statuses = runs.loc[runs["run"] == run, "status"]
    if len(statuses) and statuses.isin(FAILED).all():
        return f"{CROSS} {', '.join(sorted(set(statuses)))}"
    return NOT_GIVEN


def best(summary: pd.DataFrame, runs: pd.DataFrame, cards: Cards) -> pd.Series:
    """Say of each row of :func:`headline` whether no other run of its view and metric has a better mean.

    Controls do not compete, and neither do means over fewer directions than the view has, nor metrics of resources, or
    whose card does not say which way is better. A run without a competitor is the best of nothing.
    """
    methods = dict(zip(runs["run"], runs["method"], strict=True))
    kinds = summary["run"].map(lambda run: cards["methods"].get(methods.get(run), {}).get("kind"))
    sign = summary["metric"].map(
        lambda metric: {"lower": -1.0, "higher": 1.0}.get(cards["metrics"].get(metric, {}).get("better"))
    )
    compared = (summary["directions"] == summary["of_directions"]) & ~summary["metric"].isin(RESOURCES)
    merit = (summary["mean"] * sign.astype(float)).where((kinds != "control") & compared)
    contest = [summary[column] for column in [*VIEW, "metric"]]
    competitors = summary["mean"].where(kinds != "control").groupby(contest).transform("count")
    return merit.notna() & (merit == merit.groupby(contest).transform("max")) & (competitors > 1)


def gates(scores: pd.DataFrame, runs: pd.DataFrame, cards: Cards) -> pd.DataFrame:
    """Return one row per set of seeds of a run, not a control, whose scores are identical in every metric but resources.

    Seeds drive the split, the initialisation and the minibatches, so equal results mean that a seed is not read or that a
    result was copied.

    Returns
    -------
    pandas.DataFrame
        Columns ``GATE_COLUMNS``; no rows when all is well.
    """
    methods = dict(zip(runs["run"], runs["method"], strict=True))
    resources = {metric for metric, card in cards["metrics"].items() if card.get("group") == "resources"} | set(RESOURCES)
    tested = scores[~scores["metric"].isin([*resources, "status"])].dropna(subset="value")
    rows = []
    for names, group in tested.groupby(RUN, sort=False):
        if cards["methods"].get(methods.get(names[-1]), {}).get("kind") == "control":
            continue
        seeds_of: dict[frozenset, list] = {}
        for seed, part in group.groupby("seed"):
            results = frozenset(zip(part["metric"], part["direction"], part["space"], part["value"], strict=True))
            seeds_of.setdefault(results, []).append(seed)
        for results, seeds in seeds_of.items():
            if len(seeds) > 1:
                listed = ", ".join(str(seed) for seed in seeds)
                message = (
                    f"seeds {listed} gave identical values in all {len(results)} scores: is the seed read, was a result copied?"
                )
                rows.append([*names, "identical seeds", "all", listed, message])
    return pd.DataFrame(rows, columns=GATE_COLUMNS)


def read_tables(folder: str | Path) -> dict[str, pd.DataFrame]:
    """Read every table that ``tabulate`` wrote, by name.

    Raises
    ------
    files.ContractError
        When one is absent or has other columns.
    """
    columns = {
        "scores": SCORE_COLUMNS,
        "features": FEATURE_COLUMNS,
        "runs": RUN_COLUMNS,
        "comparison": COMPARISON_COLUMNS,
        "headline": HEADLINE_COLUMNS,
        "overview": OVERVIEW_COLUMNS,
        "paired_tests": PAIRED_COLUMNS,
        "ranks": RANK_COLUMNS,
        "overall": OVERALL_COLUMNS,
        "gates": GATE_COLUMNS,
        "published": PUBLISHED_COLUMNS,
        "history": HISTORY_COLUMNS,
        "standings": STANDING_COLUMNS,
        "sweep": SWEEP_COLUMNS,
    }
    read = {name: read_table(Path(folder) / f"{name}.tsv", expected) for name, expected in columns.items()}
    return read | {
        "scores": checked_scores(read["scores"]),
        "runs": checked_runs(read["runs"]),
        "overall": read["overall"].assign(complete=read["overall"]["complete"].astype(str) == "True"),
        "standings": read["standings"].assign(best=read["standings"]["best"].astype(str) == "True"),
    }


def joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Return the rows of all parts under `columns`, also when there are none."""
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True)[columns] if filled else pd.DataFrame(columns=columns)


def of_view(table: pd.DataFrame, dataset: str, scenario: str) -> pd.DataFrame:
    """Return the rows of one dataset and scenario."""
    return table[(table["dataset"] == dataset) & (table["scenario"] == scenario)].reset_index(drop=True)


def checked_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the contract, with names as text and values as floats."""
    return _typed(scores, ["dataset", "scenario", "run", "metric", "direction", "space", "status"], ["value"])[SCORE_COLUMNS]


def checked_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with names as text, measurements as floats, and the seed a nullable integer."""
    numbers = ["seconds", "cpu_seconds", "gpu_seconds", "peak_host_mb", "peak_device_mb"]
    typed = _typed(runs.reindex(columns=RUN_COLUMNS), [*RUN, "method", "status", "message", "device"], numbers)
    return typed.assign(seed=pd.to_numeric(typed["seed"]).astype("Int64"))[RUN_COLUMNS]


def _decimals(metric: str, value: float) -> int:
    return 3 if metric not in RESOURCES else 2 if value < 10 else 1 if value < 100 else 0


def _typed(table: pd.DataFrame, names: list[str], numbers: list[str]) -> pd.DataFrame:
    text = {column: table[column].astype(object).where(table[column].notna(), "").map(str) for column in names}
    return table.assign(**text, **{column: pd.to_numeric(table[column]).astype(float) for column in numbers})


def _summarise(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return mean, sd, 95 % t interval and number of the values in each group, in order of appearance."""
    summary = table.groupby(keys, sort=False)["value"].agg(mean="mean", sd=lambda x: x.std(ddof=1), seeds="count").reset_index()
    several = summary["seeds"] > 1
    n = summary["seeds"].where(several)
    half = pd.Series(stdtrit(n - 1, 0.975), index=summary.index) * summary["sd"] / np.sqrt(n)
    kind = pd.Series(np.where(several, T_OVER_SEEDS, NO_INTERVAL), index=summary.index, dtype=object)
    means = summary["mean"]
    return summary.assign(sd=summary["sd"].where(several), low=means - half, high=means + half, interval=kind)


def counted(statuses: pd.Series) -> str:
    """Return "ok", or "ok ×2, diverged ×1"."""
    counts = statuses.value_counts(sort=False)
    return counts.index[0] if len(counts) == 1 else ", ".join(f"{status} ×{count}" for status, count in counts.items())
