"""Numbers, statuses and missing values as text."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mosaicbench.stats.common import FAILED, RESOURCES

NOT_GIVEN = "–"
CROSS = "✗"
FEWER = "†"


def number(metric: str, value: float) -> str:
    """Return a score with three decimals, or seconds and megabytes with fewer."""
    if metric in RESOURCES and value < 0.01:
        return "<0.01"
    return f"{value:z.{_decimals(metric, value)}f}"


def mean_with_sd(metric: str, summary: dict[str, float]) -> str:
    """Return "mean ± sd", or the mean of one seed; "†" marks a mean over fewer directions."""
    text = number(metric, summary["mean"])
    if not pd.isna(summary["sd"]) and not text.startswith("<"):
        text += f" ± {summary['sd']:.{_decimals(metric, summary['mean'])}f}"
    return text + (f" {FEWER}" if summary["directions"] < summary["of_directions"] else "")


def mean_with_interval(metric: str, mean: float, low: float, high: float) -> str:
    """Return "0.123 [0.101, 0.145]", or the mean alone without an interval."""
    text = number(metric, mean)
    if pd.isna(low) or text.startswith("<"):
        return text
    return f"{text} [{number(metric, low)}, {number(metric, high)}]"


def absence(runs: pd.DataFrame, run: str) -> str:
    """Return the text for a run's missing value: "✗ diverged" if every seed failed, else "–"."""
    statuses = runs.loc[runs["run"] == run, "status"]
    if len(statuses) and statuses.isin(FAILED).all():
        return f"{CROSS} {', '.join(sorted(set(statuses)))}"
    return NOT_GIVEN


def counted(statuses: pd.Series) -> str:
    """Return "ok", or "ok ×2, diverged ×1"."""
    counts = statuses.value_counts(sort=False)
    if len(counts) == 1:
        return counts.index[0]
    return ", ".join(f"{status} ×{count}" for status, count in counts.items())


def distinct(values: Iterable[str], *, none: str = NOT_GIVEN) -> str:
    """Return the common value, or each value with its number of fits; `none` without values."""
    counts = pd.Series(list(values), dtype=object).value_counts(sort=False)
    if len(counts) > 1:
        return ", ".join(
            f"{value} ({count} fit{'s' if count > 1 else ''})" for value, count in counts.items()
        )
    return counts.index[0] if len(counts) else none


def _decimals(metric: str, value: float) -> int:
    if metric not in RESOURCES:
        return 3
    return 2 if value < 10 else 1 if value < 100 else 0
