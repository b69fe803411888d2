"""The headline scores, one panel per metric and one row per run, every seed a dot, controls as lines."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mosaicbench.figures._panels import (
    DASHED,
    OVER_ROWS,
    ROW,
    SOLID,
    Drawn,
    better,
    dot,
    grid,
    handle,
    label_rows,
    legend_below,
    name_split,
    nothing,
    wrapped,
    write_absence,
    write_beside,
)
from mosaicbench.report.tables.text import absence
from mosaicbench.report.theme import INK, MARKERS, QUIET, Theme
from mosaicbench.stats.common import CONTESTS
from mosaicbench.stats.means import best, seed_means, signed_means
from mosaicbench.stats.overall import TRIVIAL, ends

CARD = {
    "label": "Scores by run",
    "caption": (
        "Models and baselines, the best mean rank first. A dot is one seed (the mean over "
        "directions), the large marker the mean over seeds, the bar its 95 % interval: Student's t "
        "over seeds, wide with few, and for scores that are means over cells (FOSCTTM, label "
        "transfer accuracy, r per cell) never narrower than the interval over cells. It describes "
        "other splits of this dataset, not other data. A star marks the best mean. Dotted lines: "
        "controls that know each cell's type. Chance, or the strongest control that knows nothing "
        "about a cell, is the dashed line or, beyond these runs, the number below the axis. The "
        "ceiling is the score of a method that knows the rates of all molecules: the solid line, "
        "or the number below; the percentage at the right is the mean's place between chance and "
        "ceiling. A dash: the run does not give this score; a cross: the run failed."
    ),
    "needs": ["scores", "headline", "runs"],
    "per": "split",
}
LEGEND_COLUMN, LEGEND_ROW = 1.4, 0.18  # inches
OF_MEAN = ["mean", "low", "high", "seeds", "best", "ceiling", "attained"]
COLUMNS = ["metric", "run", "seed", "value", *OF_MEAN, "chance", "shown"]


def scores_by_run(
    *, scores: pd.DataFrame, headline: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> Drawn:
    """Draw the headline scores of one split; `shown` is the sign of a missing value."""
    means = seed_means(scores).dropna(subset="value")
    metrics = [metric for metric in CONTESTS if metric in set(means["metric"])]
    summary = headline.assign(best=best(headline, theme.run_metadata))
    rows = _ordered(summary, runs, theme)
    if not metrics or not rows:
        return nothing("No run of this split has a score to draw.", COLUMNS)
    lines = summary.set_index(["metric", "run"])[OF_MEAN].to_dict("index")
    trivial = runs["method"].isin(TRIVIAL.values())
    controls = theme.order("runs", runs.loc[trivial, "run"])
    looks = {
        run: {"color": theme.colour(run), "linewidth": 0.9, "linestyle": (0, (1, 1))}
        for run in controls
    }
    legend = _legend() + [handle(theme.label("runs", run), **look) for run, look in looks.items()]
    width = 1.7 + 1.75 * len(metrics)
    columns = min(len(legend), int(width / LEGEND_COLUMN))
    height = 1.2 + ROW * len(rows) + LEGEND_ROW * (-(-len(legend) // columns) - 1)
    figure, (panels,) = grid(width, height, 1, len(metrics), sharey=True)
    drawn = []
    for axes, metric in zip(panels, metrics, strict=True):
        of_metric = means[means["metric"] == metric]
        chance = ends(of_metric.groupby("run")["value"].mean(), metric, theme.run_metadata)["zero"]
        of_axes = {"metric": metric, "chance": chance, "shown": ""}
        label_rows(axes, theme, rows)
        axes.grid(axis="x")
        for row, run in enumerate(rows):
            named = of_axes | {"run": run}
            if (metric, run) not in lines:
                text = absence(runs, run)
                write_absence(axes, row, text)
                drawn.append(named | {"seeds": 0, "best": False, "shown": text})
                continue
            mean, colour = lines[metric, run], theme.colour(run)
            seeds = of_metric[of_metric["run"] == run]
            axes.plot(
                [mean["low"], mean["high"]],
                [row, row],
                color=colour,
                linewidth=1.4,
                solid_capstyle="butt",
                zorder=2,
            )
            axes.plot(
                seeds["value"],
                [row + 0.3] * len(seeds),
                "o",
                color=colour,
                ms=2.6,
                alpha=0.8,
                mec="none",
                zorder=3,
            )
            star = {"marker": "*", "ms": 10, "mfc": colour, "mec": INK, "mew": 0.7}
            look = star if mean["best"] else theme.marker(run, size=4.6)
            axes.plot([mean["mean"]], [row], zorder=4, **look)
            if not np.isnan(mean["attained"]):
                write_beside(axes, row, f"{100 * mean['attained']:.0f} %")
            for value in seeds[["seed", "value"]].to_dict("records"):
                drawn.append(named | value | mean)
        _limit(axes, *theme.run_metadata.bounds(metric))
        for run, look in looks.items():
            if (metric, run) in lines:
                _reference(axes, lines[metric, run]["mean"], look)
                drawn.append(of_axes | {"run": run} | lines[metric, run])
        _reference(axes, chance, DASHED)
        axes.set_title(wrapped(theme.label("metrics", metric)), **OVER_ROWS)
        ends_of_axis = better(theme, metric, "← better", "better →")
        ceiling = summary.loc[summary["metric"] == metric, "ceiling"].max()
        _reference(axes, ceiling, SOLID)
        known = "" if np.isnan(chance) else f"chance {chance:.3f}"
        text = " · ".join(filter(None, [ends_of_axis, known]))
        text += "" if np.isnan(ceiling) else f"\nceiling {ceiling:.3f} (= 100 %)"
        axes.set_xlabel(text, color=QUIET)
    name_split(figure, theme, runs)
    legend_below(figure, legend, columns, handletextpad=0.4, columnspacing=1.4)
    return figure, pd.DataFrame(drawn, columns=COLUMNS)


def _ordered(summary: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> list[str]:
    summary = summary[summary["metric"].isin(CONTESTS)]
    signed = signed_means(summary, theme.run_metadata)
    ranks = signed.groupby(summary["metric"]).rank(ascending=False)
    mean_rank = ranks.groupby(summary["run"]).mean()
    runs = theme.run_metadata.competing(runs[runs["status"] != "not_applicable"])
    competing = theme.order("runs", runs["run"])
    return list(mean_rank.reindex(competing).sort_values(kind="stable").index)


def _reference(axes: Axes, value: float, look: dict[str, object]) -> None:
    low, high = axes.get_xlim()
    if low <= value <= high:
        axes.axvline(value, **look)


def _limit(axes: Axes, least: float, most: float) -> None:
    low, high = axes.get_xlim()
    margin = 0.04 * (high - low)
    axes.set_xlim(max(low, least - margin), min(high, most + margin))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _legend() -> list[Line2D]:
    return [
        dot("seed", QUIET, size=2.6),
        dot("mean (model)", QUIET, size=4.6, marker=MARKERS["model"]),
        dot("mean (baseline)", QUIET, size=4.6, marker=MARKERS["baseline"]),
        handle("95 % interval", color=QUIET, linewidth=1.4),
        dot("best", QUIET, size=9, marker="*", mec=INK),
        handle("chance", **DASHED),
        handle("ceiling", **SOLID),
    ]
