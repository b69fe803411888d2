"""Which verdicts depend on the distance between latents: the same scores by each of ``common.DISTANCES``, side by side."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.stats.common import BY_DISTANCE, DISTANCES, HEADLINE, SPLIT
from mosaicbench.stats.summary import signed_means

if TYPE_CHECKING:
    from mosaicbench.catalog.run_metadata import RunMetadata

DISTANCE_COLUMNS = [
    *SPLIT,
    "metric",
    *(f"best_{distance}" for distance in DISTANCES),
    "differs",
    "runs",
    "pairs",
    "turned",
]
SCORES = [score for score, forms in BY_DISTANCE.items() if set(forms.values()) & set(HEADLINE)]


def verdicts_by_distance(summary: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return one row per split and headline score of latents: who is best by each distance, and what changes between them.

    Parameters
    ----------
    summary
        Columns ``summary.HEADLINE_COLUMNS``.
    roster
        Who competes.

    Returns
    -------
    pandas.DataFrame
        Columns ``DISTANCE_COLUMNS``: `metric` is the score by Euclidean distance, `runs` counts the models and baselines that
        are compared by every distance; of their `pairs`, `turned` have another order by another distance. `differs` says
        whether another run is best. A split with fewer than two such runs has no row.
    """
    merit = summary.assign(merit=signed_means(summary, run_metadata)).dropna(subset="merit")
    rows = []
    for (dataset, scenario), of_split in merit.groupby(SPLIT, sort=False):
        for score in SCORES:
            forms = BY_DISTANCE[score]
            table = of_split[of_split["metric"].isin(forms.values())].pivot(
                index="run", columns="metric", values="merit"
            )
            table = table.reindex(columns=list(forms.values())).dropna()  # (runs, distances)
            if len(table) < 2:
                continue
            best = {
                distance: sorted(table.index[table[form] == table[form].max()])
                for distance, form in forms.items()
            }
            row = {"dataset": dataset, "scenario": scenario, "metric": score, "runs": len(table)}
            row |= {f"best_{distance}": ", ".join(runs) for distance, runs in best.items()}
            row |= {
                "differs": len(set(map(tuple, best.values()))) > 1,
                "pairs": len(table) * (len(table) - 1) // 2,
            }
            rows.append(row | {"turned": _turned(table.to_numpy())})
    return pd.DataFrame(rows, columns=DISTANCE_COLUMNS)


def _turned(merit: np.ndarray) -> int:
    """Return how many pairs of runs have another order by another distance, of (runs, distances); a tie is an order, too."""
    orders = (np.sign(one - other) for one, other in combinations(merit, 2))
    return sum(len(set(order)) > 1 for order in orders)
