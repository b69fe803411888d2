"""Which results depend on the distance between latents: the same scores by each distance."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.stats.common import BY_DISTANCE, DISTANCES, HEADLINE, SPLIT
from mosaicbench.stats.means import signed_means

BEST_COLUMNS = [f"best_{distance}" for distance in DISTANCES]
DISTANCE_COLUMNS = [*SPLIT, "metric", *BEST_COLUMNS, "differs", "runs", "pairs", "turned"]
SCORES = [score for score, forms in BY_DISTANCE.items() if set(forms.values()) & set(HEADLINE)]


def verdicts_by_distance(summary: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return the best runs by each distance, per split and headline score of latents.

    `runs` counts the models and baselines with a score by every distance, at least two; `turned` of
    their `pairs` change their order with the distance; `differs` says whether the best run does.
    """
    signed = summary.assign(signed=signed_means(summary, run_metadata)).dropna(subset="signed")
    rows = []
    for split, of_split in signed.groupby(SPLIT, sort=False):
        for score in SCORES:
            forms = list(BY_DISTANCE[score].values())
            table = of_split.pivot(index="run", columns="metric", values="signed")
            table = table.reindex(columns=forms).dropna()  # (runs, distances)
            if len(table) < 2:
                continue
            best = []
            for form in forms:
                best.append(", ".join(sorted(table.index[table[form] == table[form].max()])))
            pairs = list(combinations(table.to_numpy(), 2))
            turned = sum(len(set(np.sign(one - other))) > 1 for one, other in pairs)  # or a tie
            rows.append([*split, score, *best, len(set(best)) > 1, len(table), len(pairs), turned])
    return pd.DataFrame(rows, columns=DISTANCE_COLUMNS)
