"""The best objective so far against trials and CPU hours, one line per tuned run."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mosaicbench.figures._panels import (
    Drawn,
    dot,
    grid,
    handle,
    label_plainly,
    legend_below,
    mark_failed,
)
from mosaicbench.report.theme import QUIET, Theme, empty
from mosaicbench.stats.common import SPLIT

CARD = {
    "label": "Trials of tuning",
    "caption": (
        "The gain of more trials: the best objective so far, on the inner query cells, against the "
        "number of trials and against the CPU hours of their fits. The first trial has the "
        "defaults (open circle); a dot is the trial with the chosen settings, a cross at the lower "
        "edge a failed trial. The settings were chosen on the cells that judge them, so the curve "
        "is optimistic; the section on tuning has the gain on other cells. One search per line, of "
        "the first seed."
    ),
    "needs": ["trials"],
    "per": "all",
    "only_with": "tuning",
}
AXES = {"trials": "trials", "cpu_hours": "CPU hours of fits"}


def tuning_trials(*, trials: pd.DataFrame, theme: Theme) -> Drawn:
    """Draw a row of two panels per split.

    The table has the trials of the first seed of each split.
    """
    is_first = trials["seed"] == trials.groupby(SPLIT)["seed"].transform("first")
    shown = trials[is_first].assign(trials=lambda table: table["trial"] + 1)
    if shown["objective"].isna().all():
        return empty("No trial has an objective to draw."), shown
    splits = list(shown.groupby(SPLIT, sort=False))
    runs = theme.order("runs", shown["run"])
    figure, panels = grid(7.2, 0.6 + 2.1 * len(splits), len(splits), 2, sharey="row")
    for row, (split, table) in zip(panels, splits, strict=True):
        for axes, column in zip(row, AXES, strict=True):
            _panel(axes, table, column, runs, theme)
        row[0].set_title(theme.split(*split))
        row[0].set_ylabel("best objective so far")
    for axes, label in zip(panels[-1], AXES.values(), strict=True):
        axes.set_xlabel(label)
    handles = [
        handle(theme.label("runs", run), linewidth=1.3, color=theme.colour(run)) for run in runs
    ]
    handles += [dot("defaults", QUIET, mfc="white"), dot("chosen settings", QUIET)]
    handles.append(dot("failed", QUIET, marker="x"))
    legend_below(figure, handles, 4)
    return figure, shown


def _panel(axes: Axes, table: pd.DataFrame, column: str, runs: list[str], theme: Theme) -> None:
    axes.grid(axis="y")
    log = column == "cpu_hours" and (table[column] > 0).any()
    if log:
        axes.set_xscale("log")
    elif column == "trials":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for run in runs:
        rows, colour = table[table["run"] == run], theme.colour(run)
        ended, failed = rows[rows["objective"].notna()], rows[rows["objective"].isna()]
        axes.plot(
            rows[column], rows["best_so_far"], drawstyle="steps-post", color=colour, linewidth=1.3
        )
        first = ended[ended["trial"] == 0]
        axes.plot(first[column], first["objective"], "o", ms=4, mfc="white", mec=colour, zorder=3)
        best = ended.nlargest(1, "objective")
        axes.plot(best[column], best["objective"], "o", ms=4, color=colour, zorder=4)
        mark_failed(axes, failed[column], color=colour, zorder=4)
    if log:
        label_plainly(axes.xaxis)
