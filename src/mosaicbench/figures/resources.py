"""Time and memory of the runs, and their scores against them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import LogLocator

from mosaicbench.figures._panels import (
    FLOOR,
    OVER_ROWS,
    ROW,
    Part,
    handle,
    head,
    label_rows,
    legend_of_runs,
    mark_seeds,
    measured_resources,
    name_split,
    nothing,
    plain_log,
    stacked,
    write_absence,
    write_beside,
)
from mosaicbench.report.tables.text import absence, number
from mosaicbench.report.theme import INK, Theme
from mosaicbench.stats.means import seed_means
from mosaicbench.stats.overall import SCORES

CARD = {
    "label": "Time, memory and scores",
    "caption": (
        "Top: wall-clock seconds of fitting and peak memory of the process (and of the "
        "accelerator, if one was used), on logarithmic axes: a dot is one seed, the larger marker "
        "the mean over seeds, printed beside it. Bottom: a run's scaled score (0 is chance or the "
        "strongest negative control, 1 the oracle) against these means: best is top left. The grey "
        "line joins the runs that no other beats in both. Rows are the overall score and its groups "
        "of metrics; a run without all groups has no overall score. Controls and runs without a "
        "score are only in the top part. Values below 0.01 are drawn at 0.01. Compare only runs of "
        "the same machine."
    ),
    "needs": ["overall", "scores", "runs"],
    "per": "split",
}
COLUMNS = ["metric", "run", "seed", "value", "mean", "seeds", "shown", "score", "scaled", "front"]
WIDTH, HEIGHT = 2.6, 1.9  # inches
FRONT = "#BBBBBB"


def resources(
    *, overall: pd.DataFrame, scores: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw time and memory of the runs of one split, and their scores against them.

    The table has a row per resource, run and seed of the top, and per score, resource and
    run of the bottom.
    """
    values = seed_means(scores).dropna(subset="value")
    measured = measured_resources(values, "value")
    if not measured:
        return nothing("No run of this split has a measured time or memory.", COLUMNS)
    values = values[values["metric"].isin(measured)]
    of_runs = values.groupby(["metric", "run"])["value"]
    values = values.assign(mean=of_runs.transform("mean"), seeds=of_runs.transform("size"))
    parts = [_of_fits(values, measured, runs, theme)]
    complete = overall.assign(score=overall["score"].where(overall["complete"]))
    scaled = theme.run_metadata.competing(complete).set_index("run")
    pairs = [
        _pairs(scaled[name], of_runs.mean()[resource], theme).assign(score=name, metric=resource)
        for name, resource in product(SCORES, measured)
        if scaled[name].notna().any()
    ]
    if any(map(len, pairs)):
        parts.append(_against(pd.concat(pairs, ignore_index=True), theme))
    figure, drawn = stacked(parts)
    name_split(figure, theme, runs)
    return figure, drawn.reindex(columns=COLUMNS)


def _of_fits(values: pd.DataFrame, measured: list[str], runs: pd.DataFrame, theme: Theme) -> Part:
    rows = theme.order("runs", runs["run"])
    of_seeds = dict(tuple(values.groupby(["metric", "run"])))

    def draw(room: SubFigure) -> pd.DataFrame:
        drawn = []
        head(room, "Time and memory of a fit")
        panels = room.subplots(1, len(measured), sharey=True, squeeze=False)[0]
        for axes, resource in zip(panels, measured, strict=True):
            label_rows(axes, theme, rows)
            axes.grid(axis="x")
            axes.set_xscale("log")
            axes.set_title(theme.label("metrics", resource), **OVER_ROWS)
            for row, run in enumerate(rows):
                seeds = of_seeds.get((resource, run))
                if seeds is None:
                    text = absence(runs, run)
                    write_absence(axes, row, text)
                    seeds = pd.DataFrame([{"metric": resource, "run": run, "seeds": 0}])
                else:
                    mean = seeds["mean"].iloc[0]
                    text = number(resource, mean)
                    mark_seeds(axes, row, seeds["value"].clip(lower=FLOOR), theme.colour(run))
                    axes.plot([max(mean, FLOOR)], [row], zorder=4, **theme.marker(run, size=4.6))
                    write_beside(axes, row, text, color=INK, fontsize=6.5)
                drawn.append(seeds.assign(shown=text))
            # at least one whole decade
            low, high = axes.get_xlim()
            axes.set_xlim(min(low, 10 ** np.floor(np.log10(high / 10))), high * 1.3)
            plain_log(axes)
        return pd.concat(drawn)

    return (1.6 + 2.5 * len(measured), 0.8 + ROW * len(rows)), draw


def _against(drawn: pd.DataFrame, theme: Theme) -> Part:
    names, measured = drawn["score"].unique(), drawn["metric"].unique()

    def draw(room: SubFigure) -> pd.DataFrame:
        head(room, "Scores against time and memory")
        panels = room.subplots(len(names), len(measured), squeeze=False, sharex="col", sharey="row")
        for axes, (name, resource) in zip(panels.ravel(), product(names, measured), strict=True):
            points = drawn[(drawn["score"] == name) & (drawn["metric"] == resource)]
            used = points["mean"].clip(lower=FLOOR)
            front = points[points["front"]].sort_values("mean")
            axes.plot(used[front.index], front["scaled"], color=FRONT, linewidth=1, zorder=1)
            for run, x, y in zip(points["run"], used, points["scaled"], strict=True):
                axes.plot([x], [y], zorder=2, alpha=0.9, **theme.marker(run, size=5.5))
            axes.set_xscale("log")
            axes.grid()
        for axes, name in zip(panels[:, 0], names, strict=True):
            axes.set_ylabel(theme.label("groups", name))
        for axes, resource in zip(panels[-1], measured, strict=True):
            axes.set_xlabel(theme.label("metrics", resource))
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            plain_log(axes)
        front = handle("not beaten in both", color=FRONT)
        legend_of_runs(room, theme, drawn["run"], front)
        return drawn

    return (WIDTH * len(measured) + 2.0, 0.5 + HEIGHT * len(names)), draw


def _pairs(scores: pd.Series, means: pd.Series, theme: Theme) -> pd.DataFrame:
    """Return a row per run with both a score and a resource, and whether it is on the front."""
    pairs = pd.DataFrame({"scaled": scores, "mean": means}).dropna()
    pairs = pairs.loc[theme.order("runs", pairs.index)]
    front = []
    for scaled, used in pairs.itertuples(index=False):
        as_good = (pairs["scaled"] >= scaled) & (pairs["mean"] <= used)
        is_better = (pairs["scaled"] > scaled) | (pairs["mean"] < used)
        front.append(not (as_good & is_better).any())
    return pairs.assign(front=front).rename_axis("run").reset_index()
