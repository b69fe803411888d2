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
    """Rank models and baselines within each dataset and seed, and average: `RANK_COLUMNS`.

    Only runs with a value for every dataset and seed are ranked, among themselves; the others are
    listed without a rank. Ties share the mean rank, 1 is best. `simulated` datasets are left out,
    unless all are. The interval is t over seeds, the critical difference Nemenyi's at 5 % with
    datasets as blocks (Demšar 2006), NA with fewer than two.
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
            unranked = {"interval": NO_INTERVAL, "note": _reason(table[run])}
            rows.append(row | mean_ranks.get(run, unranked))
    return pd.DataFrame(rows, columns=RANK_COLUMNS)


def _mean_ranks(ranked: pd.DataFrame) -> dict[str, dict]:
    groups = ranked.groupby(level="dataset", sort=False)
    low, high, interval = over_datasets({name: part.to_numpy() for name, part in groups})
    means = groups.mean().mean()
    table = pd.DataFrame({"rank": means, "low": low, "high": high}).assign(
        interval=interval,
        critical_difference=critical_difference(*ranked.shape[1:], len(groups)),
        note="",
    )
    return table.to_dict("index")


def _reason(values: pd.Series) -> str:
    missing = [f"{dataset} seed {seed}" for dataset, seed in values[values.isna()].index]
    return "no value for " + ", ".join(missing) if missing else "nothing to rank against"


@cache
def critical_difference(runs: int, blocks: int) -> float:
    """Return Nemenyi's critical difference of mean ranks over at least two blocks, at 5 %."""
    from scipy import stats

    if blocks < 2:
        return np.nan
    quantile = stats.studentized_range.ppf(LEVEL, runs, np.inf)
    return float(quantile / np.sqrt(2) * np.sqrt(runs * (runs + 1) / (6 * blocks)))
