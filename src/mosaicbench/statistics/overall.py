"""The overall score: one number per run, from 0 (chance or negative control) to 1 (oracle); what is missing stays missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.statistics.common import ALL, FAILED, GROUPS, NO_INTERVAL, RUN, T_OVER_SEEDS, VIEW, half_width
from mosaicbench.statistics.intervals import over_datasets
from mosaicbench.statistics.scale import ends
from mosaicbench.statistics.summary import complete_seed_means

if TYPE_CHECKING:
    from mosaicbench.report.roster import Roster

METRICS = [metric for metrics in GROUPS.values() for metric in metrics]
SCORES = ("score", *GROUPS)
OVERALL_COLUMNS = [*RUN, "method", "kind", "rank", "score", "low", "high", "interval", *GROUPS]
OVERALL_COLUMNS += ["seeds", "of_seeds", "metrics", "of_metrics", "complete", "missing"]


def overall(scores: pd.DataFrame, runs: pd.DataFrame, roster: Roster) -> pd.DataFrame:
    """Return one score per run and view, from 0 (chance or negative control) to 1 (oracle), and per scenario over datasets.

    Each metric of :data:`GROUPS` is scaled by ``scale.ends``; a group is the mean of its metrics, the score the mean of the
    groups. A metric that a run lacks is left out of its mean, never filled in, and then the run is not `complete`: it is listed
    with what it has, and no rank is given to it. So is a run of which a seed failed. Scores may be below 0: worse than chance.

    Returns
    -------
    pandas.DataFrame
        Columns ``OVERALL_COLUMNS``. Dataset "(all)" is the mean over the datasets of a scenario, if several.
    """
    scaled = _scaled_by_seed(scores, roster)
    rows = []
    for (dataset, scenario), of_view in runs.groupby(VIEW, sort=False):
        scaled_here = scaled[(scaled["dataset"] == dataset) & (scaled["scenario"] == scenario)]
        wanted = [metric for metric in METRICS if metric in set(scaled_here["metric"])]
        for run, seeds in of_view.groupby("run", sort=False):
            names = {"dataset": dataset, "scenario": scenario, "run": run}
            names |= {"method": roster.method(run), "kind": roster.kind(run)}
            rows.append(names | _score_of_run(scaled_here[scaled_here["run"] == run], seeds, wanted))
    of_views = pd.DataFrame(rows, columns=[*OVERALL_COLUMNS, "by_seed"])
    parts = [part for part in (of_views, _over_all_datasets(of_views)) if len(part)]
    table = pd.concat(parts or [of_views], ignore_index=True)
    ranked = table["complete"].astype(bool) & table["run"].map(roster.competes).astype(bool)
    places = table["score"].astype(float).where(ranked).groupby([table["scenario"], table["dataset"]])
    return table.assign(rank=places.rank(ascending=False, method="min"))[OVERALL_COLUMNS]


def _scaled_by_seed(scores: pd.DataFrame, roster: Roster) -> pd.DataFrame:
    """Return one row per run, metric of the overall score and seed: the value, scaled; metrics without a scale are left out.

    A metric in which a control that knows nothing reaches the oracle has none.
    """
    means = complete_seed_means(scores)
    parts = [means.iloc[:0].assign(scaled=pd.Series(dtype=float))]
    for (_, _, metric), group in means[means["metric"].isin(METRICS)].groupby([*VIEW, "metric"], sort=False):
        scale = ends(group.groupby("run")["value"].mean(), metric, roster)
        width = scale["one"] - scale["zero"]
        if np.isfinite(width) and width * roster.sign(metric) > 0:
            parts.append(group.assign(scaled=(group["value"] - scale["zero"]) / width))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _score_of_run(scaled: pd.DataFrame, seeds: pd.DataFrame, wanted: list[str]) -> dict[str, object]:
    """Return the overall score of one run in one view, over the seeds in which it has every metric that it has at all.

    Parameters
    ----------
    scaled
        The run's rows of :func:`_scaled_by_seed`.
    seeds
        The run's rows of the table of runs, one per seed.
    wanted
        The metrics that any run of the view has.
    """
    applicable = seeds[seeds["status"] != "not_applicable"]
    by_metric = scaled.pivot(index="seed", columns="metric", values="scaled")  # (seeds, metrics)
    table = by_metric.dropna()
    groups = {name: table[[m for m in metrics if m in table]] for name, metrics in GROUPS.items()}
    by_seed = pd.DataFrame({name: part.mean(axis=1) for name, part in groups.items() if part.shape[1]})
    missing = [metric for metric in wanted if metric not in table] if len(table) else list(wanted)
    lost = ~applicable["seed"].isin(table.index) if len(table) else applicable["status"].isin(FAILED)
    reasons = [f"seed {row.seed} {_reason(row.status, row.seed, by_metric)}" for row in applicable[lost].itertuples()]
    reasons = reasons if len(applicable) else ["not applicable"]
    score = by_seed.mean(axis=1)
    row = {name: by_seed[name].mean() if name in by_seed else np.nan for name in GROUPS} | _mean_with_interval(score.to_numpy())
    row |= {"seeds": len(score), "of_seeds": len(applicable)}
    row |= {"metrics": len(wanted) - len(missing), "of_metrics": len(wanted)}
    row |= {"complete": bool(wanted) and not missing and not reasons, "missing": ", ".join([*missing, *reasons])}
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


def _over_all_datasets(of_views: pd.DataFrame) -> pd.DataFrame:
    """Return one row per scenario and run over its datasets, where there are at least two."""
    rows = []
    for (scenario, run), group in of_views.groupby(["scenario", "run"], sort=False):
        if len(group) < 2:
            continue
        first, scored = group.iloc[0], group[group["score"].notna()]
        row = {"dataset": ALL, "scenario": scenario, "run": run, "method": first["method"], "kind": first["kind"]}
        row |= {name: scored[name].mean(skipna=False) if len(scored) else np.nan for name in SCORES}
        if len(scored):
            by_dataset = {dataset: x[:, None] for dataset, x in zip(scored["dataset"], scored["by_seed"], strict=True)}
            low, high, interval = over_datasets(by_dataset)
            row |= {"low": low[0], "high": high[0], "interval": interval}
        else:
            row |= {"low": np.nan, "high": np.nan, "interval": NO_INTERVAL}
        row |= {name: int(group[name].sum()) for name in ("seeds", "of_seeds", "metrics", "of_metrics")}
        missing = [f"{dataset}: {what}" for dataset, what in zip(group["dataset"], group["missing"], strict=True) if what]
        rows.append(row | {"complete": bool(group["complete"].all()), "missing": "; ".join(missing)})
    return pd.DataFrame(rows, columns=[*OVERALL_COLUMNS, "by_seed"])
