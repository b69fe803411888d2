"""Ranks of models and baselines over datasets and seeds."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.stats.common import LEVEL, NO_INTERVAL, pooled
from mosaicbench.stats.intervals import over_datasets
from mosaicbench.stats.means import complete_seed_means

RANK_COLUMNS = ["scenario", "metric", "run", "rank", "low", "high", "interval", "ranked"]
RANK_COLUMNS += ["datasets", "blocks", "of_blocks", "critical_difference", "note"]


def ranks(
    scores: pd.DataFrame, run_metadata: RunMetadata, simulated: Collection[str] = ()
) -> pd.DataFrame:
    """Rank models and baselines within each dataset and seed, and average.

    Only runs with a value for every dataset and seed are ranked, among themselves; the others are
    listed without a rank. Ties share the mean rank. `simulated` datasets are left out, unless all
    are.

    Returns
    -------
    pandas.DataFrame
        A row per scenario, metric and run, columns `RANK_COLUMNS`. `rank` is the mean over datasets
        of the mean over seeds, 1 is best, with a t interval over seeds. `critical_difference` is
        Nemenyi's at 5 % with datasets as blocks (Demšar 2006), NA with fewer than two.
    """
    rows = []
    means = pooled(run_metadata.competing(complete_seed_means(scores)), simulated)
    for (scenario, metric), group in means.groupby(["scenario", "metric"], sort=False):
        if not run_metadata.is_quality(metric):
            continue
        table = group.pivot(index=["dataset", "seed"], columns="run", values="value")
        table = table[group["run"].unique()]  # (datasets x seeds, runs)
        ranked = table.dropna(axis="columns")
        if ranked.shape[1] < 2:
            ranked = ranked.iloc[:, :0]
        ranked = ranked.rank(axis="columns", ascending=run_metadata.sign(metric) < 0)
        mean_ranks = _mean_ranks(ranked)
        of_all = {
            "scenario": scenario,
            "metric": metric,
            "of_blocks": len(table),
            "datasets": table.index.get_level_values("dataset").nunique(),
            "ranked": ranked.shape[1],
        }
        for run in table:
            row = {"run": run, "blocks": int(table[run].notna().sum())} | of_all
            unranked = {"interval": NO_INTERVAL, "note": _reason(table[run])}
            rows.append(row | mean_ranks.get(run, unranked))
    return pd.DataFrame(rows, columns=RANK_COLUMNS)


def _mean_ranks(ranked: pd.DataFrame) -> dict[str, dict]:
    if ranked.empty:
        return {}
    groups = ranked.groupby(level="dataset", sort=False)
    by_dataset = {dataset: part.to_numpy() for dataset, part in groups}  # (seeds, runs)
    low, high, interval = over_datasets(by_dataset)
    several = len(by_dataset) > 1
    difference = critical_difference(ranked.shape[1], len(by_dataset)) if several else np.nan
    of_all = {"interval": interval, "critical_difference": difference, "note": ""}
    mean = np.mean([x.mean(axis=0) for x in by_dataset.values()], axis=0)
    return {
        run: {"rank": mean[i], "low": low[i], "high": high[i]} | of_all
        for i, run in enumerate(ranked)
    }


def _reason(values: pd.Series) -> str:
    missing = [f"{dataset} seed {seed}" for dataset, seed in values[values.isna()].index]
    return "no value for " + ", ".join(missing) if missing else "nothing to rank against"


@cache
def critical_difference(runs: int, blocks: int) -> float:
    """Return Nemenyi's critical difference of mean ranks over blocks at 5 % (Demšar 2006)."""
    from scipy import stats

    quantile = stats.studentized_range.ppf(LEVEL, runs, np.inf)
    return float(quantile / np.sqrt(2) * np.sqrt(runs * (runs + 1) / (6 * blocks)))
