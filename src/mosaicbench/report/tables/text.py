"""Numbers, statuses and absences as words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from mosaicbench.stats.common import FAILED, RESOURCES

NOT_GIVEN = "–"
CROSS = "✗"
FEWER = "†"


def number(metric: str, value: float) -> str:
    """Return a value as text: three decimals for a score; seconds and megabytes to what a reader can use."""
    if metric in RESOURCES and value < 0.01:
        return "<0.01"
    return f"{value:z.{_decimals(metric, value)}f}"


def mean_with_sd(metric: str, summary: Mapping[str, float] | pd.Series) -> str:
    """Return "mean ± sd", or the mean alone where there is one seed, with "†" after a mean over fewer directions."""
    text = number(metric, summary["mean"])
    if not pd.isna(summary["sd"]) and not text.startswith("<"):
        text += f" ± {summary['sd']:.{_decimals(metric, summary['mean'])}f}"
    return text + (f" {FEWER}" if summary["directions"] < summary["of_directions"] else "")


def mean_with_interval(metric: str, mean: float, low: float, high: float) -> str:
    """Return "0.123 [0.101, 0.145]", or the mean alone where there is no interval."""
    text = number(metric, mean)
    if pd.isna(low) or text.startswith("<"):
        return text
    return f"{text} [{number(metric, low)}, {number(metric, high)}]"


def absence(runs: pd.DataFrame, run: str) -> str:
    """Return what stands in the place of a run's value: "✗ diverged" if every seed failed, else "–"."""
    statuses = runs.loc[runs["run"] == run, "status"]
    if len(statuses) and statuses.isin(FAILED).all():
        return f"{CROSS} {', '.join(sorted(set(statuses)))}"
    return NOT_GIVEN


def counted(statuses: pd.Series) -> str:
    """Return "ok", or "ok ×2, diverged ×1"."""
    counts = statuses.value_counts(sort=False)
    return (
        counts.index[0]
        if len(counts) == 1
        else ", ".join(f"{status} ×{count}" for status, count in counts.items())
    )


def distinct(values: Iterable[str], *, none: str = NOT_GIVEN) -> str:
    """Return the value that all share, else each with how many fits have it; `none` where there is no value."""
    counts = pd.Series(list(values), dtype=object).value_counts(sort=False)
    if len(counts) > 1:
        return ", ".join(
            f"{value} ({count} fit{'s' if count > 1 else ''})" for value, count in counts.items()
        )
    return counts.index[0] if len(counts) else none


def _decimals(metric: str, value: float) -> int:
    return 3 if metric not in RESOURCES else 2 if value < 10 else 1 if value < 100 else 0
