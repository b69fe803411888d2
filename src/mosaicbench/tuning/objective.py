"""What a trial is judged by: one number from its scores on the inner query, more is better.

``mean`` is the overall score of the benchmark without its controls: every metric of alignment, label transfer and imputation
from 0 (chance, or where the card states none, the worst value) to 1 (the best value); the mean of each group; the mean of the
groups. A group or metric that the method does not take part in is left out, as it is in each of its trials; a score that is not
defined counts 0. Any metric can stand in its place, signed so that more is better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mosaicbench.catalog import catalog
from mosaicbench.stats.common import GROUPS

MEAN = "mean"


def metrics_of(objective: str) -> list[str]:
    """Return the metrics that an objective is made of."""
    return (
        [metric for metrics in GROUPS.values() for metric in metrics]
        if objective == MEAN
        else [objective]
    )


def value_of(objective: str, scores: Mapping[str, float]) -> float | None:
    """Return the objective of a trial, None where it has none.

    Parameters
    ----------
    scores
        metric -> mean over directions, NaN where it is not defined; metrics that the method does not take part in are absent.
    """
    if objective != MEAN:
        value = scores.get(objective, math.nan)
        sign = -1 if catalog.card("metrics", objective)["better"] == "lower" else 1
        return None if math.isnan(value) else sign * value
    groups = [
        [_scaled(metric, scores[metric]) for metric in metrics if metric in scores]
        for metrics in GROUPS.values()
    ]
    means = [np.mean(group) for group in groups if group]
    return float(np.mean(means)) if means else None


def _scaled(metric: str, value: float) -> float:
    """Return a score on the scale from 0, chance or the worst, to 1, the best; 0 where it is not defined."""
    card = catalog.card("metrics", metric)
    worst = card["bounds"][1 if card["better"] == "lower" else 0]
    zero = worst if card["chance"] is None else card["chance"]
    return 0.0 if math.isnan(value) else (value - zero) / (card["best"] - zero)
