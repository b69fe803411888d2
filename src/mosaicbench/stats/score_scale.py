"""The common scale of scores: from 0, chance, to 1, the oracle. Competitors never set it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from mosaicbench.catalog.run_metadata import RunMetadata

POSITIVE = "oracle"
NEGATIVE = (
    "random_latent",
    "shuffled",
    "constant",
    "train_mean",
)  # methods that know nothing about a single cell


def ends(means: pd.Series, metric: str, run_metadata: RunMetadata) -> dict[str, object]:
    """Return which values count as 0 and as 1 on the common scale of a split's metric, and what they are.

    Zero is chance where the metric's card states a number, else the strongest negative control; one is the oracle, else the
    best possible value.

    Parameters
    ----------
    means
        run -> mean of the metric in one split.

    Returns
    -------
    dict
        `zero` and `one`, NaN where there is none; `zero_is` and `one_is`: a run, "chance", "best possible" or "".
    """
    oracles = [run for run in means.index if run_metadata.method(run) == POSITIVE]
    negative = means[[run for run in means.index if run_metadata.method(run) in NEGATIVE]].dropna()
    chance, perfect = run_metadata.chance(metric), run_metadata.best(metric)
    scale = {"zero": np.nan, "zero_is": "", "one": np.nan, "one_is": ""}
    if not np.isnan(chance):
        scale |= {"zero": chance, "zero_is": "chance"}
    elif len(negative):
        strongest = (
            negative.idxmin() if run_metadata.better(metric) == "lower" else negative.idxmax()
        )
        scale |= {"zero": float(negative[strongest]), "zero_is": strongest}
    if oracles:
        scale |= {"one": float(means[oracles[0]]), "one_is": oracles[0]}
    elif not np.isnan(perfect):
        scale |= {"one": perfect, "one_is": "best possible"}
    return scale
