"""The scores of the runs against their time and memory."""

from __future__ import annotations

from itertools import product

import pandas as pd

from mosaicbench.catalog.run_metadata import RESOURCES
from mosaicbench.figures._panels import (
    Drawn,
    grid,
    handle,
    label_plainly,
    legend_of_runs,
    name_split,
    nothing,
)
from mosaicbench.report.theme import Theme
from mosaicbench.stats.means import seed_means
from mosaicbench.stats.overall import SCORES

CARD = {
    "label": "Scores against time and memory",
    "caption": (
        "A run's scaled score (0 is chance or the strongest negative control, 1 the oracle) "
        "against the mean wall-clock seconds of fitting and peak memory of the process (and of the "
        "accelerator, if one was used): best is top left. Bars: 95 % intervals of the overall "
        "score, over seeds. The grey line joins the runs that no other beats in both. Rows are the "
        "overall score and its groups of metrics; a run without all groups has no overall score. "
        "Values below 0.01 are drawn at 0.01. Compare only runs of the same machine."
    ),
    "needs": ["overall", "scores", "runs"],
    "per": "split",
}
COLUMNS = ["metric", "run", "mean", "score", "scaled", "low", "high", "front"]
WIDTH, HEIGHT = 2.6, 1.9  # inches
FRONT = "#BBBBBB"
FLOOR = 0.01  # the least value on a logarithmic axis


def resources(
    *, overall: pd.DataFrame, scores: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> Drawn:
    """Draw the scores of one split's runs; the table has a row per score, resource and run."""
    values = seed_means(scores).dropna(subset="value")
    most = values.groupby("metric")["value"].max()
    measured = [metric for metric in RESOURCES if most.get(metric, 0) > 0]
    means = values.groupby(["metric", "run"])["value"].mean()
    complete = overall.assign(score=overall["score"].where(overall["complete"]))
    scaled = theme.run_metadata.competing(complete).set_index("run")
    pairs = [
        _pairs(scaled[name], means[resource], theme).assign(score=name, metric=resource)
        for name, resource in product(SCORES, measured)
    ]
    if not any(map(len, pairs)):
        return nothing("No run of this split has a score and a measured time or memory.", COLUMNS)
    drawn = pd.concat([part for part in pairs if len(part)], ignore_index=True)
    is_overall = drawn["score"] == "score"
    for end in ("low", "high"):
        drawn[end] = drawn["run"].map(scaled[end]).where(is_overall)
    names, measured = drawn["score"].unique(), drawn["metric"].unique()
    size = WIDTH * len(measured) + 2.0, 0.7 + HEIGHT * len(names)
    figure, panels = grid(*size, len(names), len(measured), sharex="col", sharey="row")
    for axes, (name, resource) in zip(panels.ravel(), product(names, measured), strict=True):
        points = drawn[(drawn["score"] == name) & (drawn["metric"] == resource)]
        points = points.assign(used=points["mean"].clip(lower=FLOOR))
        front = points[points["front"]].sort_values("mean")
        axes.plot(front["used"], front["scaled"], color=FRONT, linewidth=1, zorder=1)
        for point in points.itertuples():
            axes.vlines(point.used, point.low, point.high, color=theme.colour(point.run))
            look = theme.marker(point.run, size=5.5)
            axes.plot([point.used], [point.scaled], zorder=2, alpha=0.9, **look)
        axes.set_xscale("log")
        axes.grid()
    for axes, name in zip(panels[:, 0], names, strict=True):
        axes.set_ylabel(theme.label("groups", name))
    for axes, resource in zip(panels[-1], measured, strict=True):
        axes.set_xlabel(theme.label("metrics", resource))
        label_plainly(axes.xaxis)
    legend_of_runs(figure, theme, drawn["run"], handle("not beaten in both", color=FRONT))
    name_split(figure, theme, runs)
    return figure, drawn[COLUMNS]


def _pairs(scores: pd.Series, means: pd.Series, theme: Theme) -> pd.DataFrame:
    pairs = pd.DataFrame({"scaled": scores, "mean": means}).dropna()
    pairs = pairs.loc[theme.order("runs", pairs.index)]
    scaled, used = pairs.to_numpy().T
    as_good = (scaled >= scaled[:, None]) & (used <= used[:, None])  # (runs, other runs)
    is_better = (scaled > scaled[:, None]) | (used < used[:, None])
    front = ~(as_good & is_better).any(axis=1)
    return pairs.assign(front=front).rename_axis("run").reset_index()
