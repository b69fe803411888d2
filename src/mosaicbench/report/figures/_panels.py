"""What several figures share: rows that are runs, and what stands where a run has no value."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mosaicbench.report.tables import CROSS, FAILED, NOT_GIVEN
from mosaicbench.report.theme import QUIET, Theme

ROW = 0.24  # inches


def label_rows(axes: Axes, theme: Theme, runs: list[str]) -> None:
    """Give each run a row, the first on top, with a line between models, baselines and controls."""
    axes.set_yticks(range(len(runs)), [theme.label("runs", run) for run in runs])
    axes.set_ylim(len(runs) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    for row, (above, below) in enumerate(zip(runs, runs[1:], strict=False)):
        if theme.kind(above) != theme.kind(below):
            axes.axhline(row + 0.5, color="#BBBBBB", linewidth=0.6)


def absence(runs: pd.DataFrame, run: str) -> str:
    """Return what stands in the place of a run's value: "✗ diverged" if every seed failed, else "–"."""
    statuses = runs.loc[runs["run"] == run, "status"]
    if len(statuses) and statuses.isin(FAILED).all():
        return f"{CROSS} {', '.join(sorted(set(statuses)))}"
    return NOT_GIVEN


def write_absence(axes: Axes, row: float, text: str) -> None:
    """Write the sign of absence at the left of a row."""
    ground = None if text == NOT_GIVEN else {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    axes.text(0.02, row, text, transform=axes.get_yaxis_transform(), va="center", color=QUIET, fontsize=7, bbox=ground)


def name_view(figure: Figure, theme: Theme, runs: pd.DataFrame) -> None:
    """Write the dataset and scenario above a figure of one view."""
    first = runs.iloc[0]
    figure.suptitle(theme.view(first["dataset"], first["scenario"]), x=0.008, ha="left", fontsize=8, color=QUIET)
