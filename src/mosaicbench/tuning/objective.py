"""The objective of a trial: one number from its scores on the inner query, more is better.

``mean`` is the overall score of the benchmark without its controls: every metric of alignment,
label transfer and imputation is scaled from 0 (chance, or the worst value if the card has no
chance) to 1 (the best value), then averaged within groups and over groups. Groups and metrics
without a score of the method are left out; an undefined score counts 0. Any other metric can be the
objective.
"""

from __future__ import annotations

import math
from itertools import chain

import numpy as np

from mosaicbench.catalog import catalog
from mosaicbench.stats.common import GROUPS

MEAN = "mean"


def metrics_of(objective: str) -> list[str]:
    """Return the metrics that an objective needs."""
    return list(chain(*GROUPS.values())) if objective == MEAN else [objective]


def value_of(objective: str, scores: dict[str, float]) -> float | None:
    """Return the objective of a trial, None if undefined.

    Parameters
    ----------
    scores
        metric -> mean over directions, NaN if undefined; without those that do not apply.
    """
    if objective != MEAN:
        value = scores.get(objective, math.nan)
        sign = -1 if catalog.card("metrics", objective)["better"] == "lower" else 1
        return None if math.isnan(value) else sign * value
    means = []
    for metrics in GROUPS.values():
        if values := [_scaled(metric, scores[metric]) for metric in metrics if metric in scores]:
            means.append(np.mean(values))
    return float(np.mean(means)) if means else None


def _scaled(metric: str, value: float) -> float:
    card = catalog.card("metrics", metric)
    worst = card["bounds"][1 if card["better"] == "lower" else 0]
    zero = worst if card["chance"] is None else card["chance"]
    return 0.0 if math.isnan(value) else (value - zero) / (card["best"] - zero)
