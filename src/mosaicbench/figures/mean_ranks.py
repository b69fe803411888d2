"""Mean ranks of models and baselines over datasets and seeds, with the critical difference."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mosaicbench.figures._panels import (
    OVER_ROWS,
    ROW,
    grid,
    label_rows,
    mark_interval,
    nothing,
    write_absence,
)
from mosaicbench.report.tables.text import NOT_GIVEN
from mosaicbench.report.theme import QUIET, Theme
from mosaicbench.stats.common import HEADLINE

CARD = {
    "label": "Mean ranks",
    "caption": (
        "Runs are ranked within each dataset and seed, 1 is best; the marker is the mean over "
        "datasets of the mean over seeds, the bar its 95 % t interval over seeds, which says "
        "nothing about other datasets. The grey band reaches one critical difference (CD; Nemenyi, "
        "5 %, datasets as blocks) from the best mean rank: by ranks alone, a run inside it is not "
        "separable from the best. With few datasets the band is wider than the panel. A dash: a "
        "run without a value for every dataset and seed is not ranked."
    ),
    "needs": ["ranks"],
    "per": "all",
}
BAND = "#F1F1F1"
COLUMNS = [
    "scenario",
    "metric",
    "run",
    "rank",
    "low",
    "high",
    "ranked",
    "datasets",
    "critical_difference",
    "note",
]


def mean_ranks(*, ranks: pd.DataFrame, theme: Theme) -> tuple[Figure, pd.DataFrame]:
    """Draw the mean ranks of every scenario, one panel per headline score."""
    drawn = ranks[ranks["metric"].isin(HEADLINE) & (ranks["ranked"].astype(float) > 1)]
    if drawn.empty:
        return nothing("No run can be ranked against another in any scenario.", COLUMNS)
    scenarios = theme.order("scenarios", drawn["scenario"])
    metrics = [metric for metric in HEADLINE if metric in set(drawn["metric"])]
    rows_of = {
        name: theme.order("runs", drawn.loc[drawn["scenario"] == name, "run"]) for name in scenarios
    }
    heights = [0.9 + ROW * len(rows_of[name]) for name in scenarios]
    size = 1.6 + 1.75 * len(metrics), sum(heights) + 0.2
    shared = {"sharey": "row", "height_ratios": heights}
    figure, panels = grid(*size, len(scenarios), len(metrics), **shared)
    for axes_of_scenario, scenario in zip(panels, scenarios, strict=True):
        of_scenario = drawn[drawn["scenario"] == scenario]
        for axes, metric in zip(axes_of_scenario, metrics, strict=True):
            of_metric = of_scenario[of_scenario["metric"] == metric].set_index("run")
            _panel(axes, of_metric, rows_of[scenario], theme)
            axes.set_title(theme.label("metrics", metric).replace(" ", "\n", 1), **OVER_ROWS)
        datasets, blocks = (int(of_scenario[name].max()) for name in ("datasets", "blocks"))
        number = f"{datasets} dataset{'s' if datasets != 1 else ''}, {blocks} with seeds"
        label = f"{theme.label('scenarios', scenario)}\n{number}"
        axes_of_scenario[0].set_ylabel(label, color=QUIET, labelpad=10)
    places = drawn["metric"].map(metrics.index)
    drawn = drawn.assign(place=places).sort_values(["scenario", "place"], kind="stable")
    return figure, drawn[COLUMNS].reset_index(drop=True)


def _panel(axes: Axes, of_metric: pd.DataFrame, rows: list[str], theme: Theme) -> None:
    label_rows(axes, theme, rows)
    axes.grid(axis="x")
    if of_metric.empty:
        axes.set_visible(False)
        return
    ranked = int(of_metric["ranked"].iloc[0])
    axes.set_xlim(0.5, ranked + 0.5)
    axes.set_xticks([1, *range(3, ranked + 1, 2)] if ranked > 4 else range(1, ranked + 1))
    difference, label = float(of_metric["critical_difference"].iloc[0]), "← better"
    if np.isfinite(difference):
        best = float(of_metric["rank"].min())
        axes.axvspan(best, best + difference, color=BAND, zorder=0)
        label += f"   CD {difference:.1f}"
    axes.set_xlabel(label, color=QUIET, fontsize=7)
    for row, run in enumerate(rows):
        if run not in of_metric.index or np.isnan(of_metric.loc[run, "rank"]):
            write_absence(axes, row, NOT_GIVEN)
            continue
        rank = of_metric.loc[run]
        mark_interval(axes, row, rank["low"], rank["high"], theme.colour(run))
        axes.plot([rank["rank"]], [row], **theme.marker(run, size=4.6))
