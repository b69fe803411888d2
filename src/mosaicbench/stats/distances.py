"""Which results depend on the distance between latents: the same scores by each distance."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.stats.common import BY_DISTANCE, DISTANCES, HEADLINE, SPLIT
from mosaicbench.stats.means import signed_means

if TYPE_CHECKING:
    from mosaicbench.catalog.run_metadata import RunMetadata

BEST_COLUMNS = [f"best_{distance}" for distance in DISTANCES]
DISTANCE_COLUMNS = [*SPLIT, "metric", *BEST_COLUMNS, "differs", "runs", "pairs", "turned"]
SCORES = [score for score, forms in BY_DISTANCE.items() if set(forms.values()) & set(HEADLINE)]


def verdicts_by_distance(summary: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return the best runs by each distance, per split and headline score of latents.

    Parameters
    ----------
    summary
        Columns ``means.HEADLINE_COLUMNS``.
    run_metadata
        Which runs compete.

    Returns
    -------
    pandas.DataFrame
        Columns `DISTANCE_COLUMNS`. `metric` is the score by Euclidean distance, `runs` counts the
        models and baselines with a score by every distance; `turned` of their `pairs` have another
        order by another distance. `differs` says whether the best run is another. A split with
        fewer than two such runs has no row.
    """
    signed = summary.assign(signed=signed_means(summary, run_metadata)).dropna(subset="signed")
    rows = []
    for split, of_split in signed.groupby(SPLIT, sort=False):
        for score in SCORES:
            forms = list(BY_DISTANCE[score].values())
            of_score = of_split[of_split["metric"].isin(forms)]
            table = of_score.pivot(index="run", columns="metric", values="signed")
            table = table.reindex(columns=forms).dropna()  # (runs, distances)
            if len(table) > 1:
                best = [
                    ", ".join(sorted(table.index[table[form] == table[form].max()]))
                    for form in forms
                ]
                pairs = list(combinations(table.to_numpy(), 2))
                orders = [set(np.sign(one - other)) for one, other in pairs]  # a tie is an order
                turned = sum(len(order) > 1 for order in orders)
                differs = len(set(best)) > 1
                rows.append([*split, score, *best, differs, len(table), len(pairs), turned])
    return pd.DataFrame(rows, columns=DISTANCE_COLUMNS)
