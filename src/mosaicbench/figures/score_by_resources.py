"""What a score costs: overall scores against seconds of fitting and peak memory."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mosaicbench.figures._panels import name_view
from mosaicbench.report import statistics, tables
from mosaicbench.report.theme import Theme, empty

CARD = {
    "label": "Scores against time and memory",
    "caption": (
        "A run's scaled score (0 is chance or the strongest negative control, 1 the oracle) against its mean seconds of "
        "fitting and peak memory over seeds, on logarithmic axes: best is top left. The grey line joins the runs that no "
        "other beats in both. Rows are the overall score and the groups of metrics that it averages; a run without all "
        "groups has no overall score. Controls, and runs without a score, are not drawn; values below 0.01 are drawn at "
        "0.01. Compare times only within one machine."
    ),
    "needs": ["overall", "scores", "runs"],
    "per": "view",
}
COLUMNS = ["score", "resource", "run", "scaled", "used", "front"]
SIDE = (2.6, 1.9)  # inches
FLOOR, FRONT = 0.01, "#BBBBBB"


def score_by_resources(
    *, overall: pd.DataFrame, scores: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw the scores of one view against what they cost.

    Parameters
    ----------
    overall, scores, runs
        The rows of one view.
    theme
        Labels, colours and order.

    Returns
    -------
    tuple
        The figure, and one row per score, resource and run drawn.
    """
    used = tables.headline(scores)
    resources = [metric for metric in tables.RESOURCES if used.loc[used["metric"] == metric, "mean"].max() > 0]
    scaled = overall.assign(score=overall["score"].where(overall["complete"])).set_index("run")
    competing = [run for run in scaled.index if theme.kind(run) != "control"]
    shown = [name for name in ("score", *statistics.GROUPS) if scaled.loc[competing, name].notna().any()]
    if not resources or not shown:
        return empty("No run of this view has a score and a measured time or memory."), pd.DataFrame(columns=COLUMNS)
    drawn = []
    for name in shown:
        for metric in resources:
            of_metric = used[used["metric"] == metric].set_index("run")["mean"]
            pairs = pd.DataFrame({"scaled": scaled[name], "used": of_metric}).dropna()
            pairs = pairs.loc[theme.order("runs", (run for run in pairs.index if theme.kind(run) != "control"))]
            front = [_unbeaten(pairs, run) for run in pairs.index]
            drawn.append(pairs.assign(score=name, resource=metric, front=front).rename_axis("run").reset_index())
    drawn = pd.concat(drawn, ignore_index=True)[COLUMNS]

    there = theme.order("runs", drawn["run"])
    figure = Figure(figsize=(SIDE[0] * len(resources) + 2.0, 0.5 + SIDE[1] * len(shown)), layout="constrained")
    panels = figure.subplots(len(shown), len(resources), squeeze=False, sharex="col", sharey="row")
    for axes_of_score, name in zip(panels, shown, strict=True):
        for axes, metric in zip(axes_of_score, resources, strict=True):
            points = drawn[(drawn["score"] == name) & (drawn["resource"] == metric)]
            front = points[points["front"]].sort_values("used")
            axes.plot(front["used"].clip(lower=FLOOR), front["scaled"], color=FRONT, linewidth=1, zorder=1)
            for point in points.itertuples():
                axes.plot([max(point.used, FLOOR)], [point.scaled], zorder=2, alpha=0.9, **theme.marker(point.run, size=5.5))
            axes.set_xscale("log")
            axes.grid()
        axes_of_score[0].set_ylabel(theme.label("groups", name))
    for axes, metric in zip(panels[-1], resources, strict=True):
        axes.set_xlabel(theme.label("metrics", metric))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    handles = [Line2D([], [], label=theme.label("runs", run), **theme.marker(run, size=5)) for run in there]
    handles.append(Line2D([], [], color=FRONT, label="not beaten in both"))
    legend = figure.legend(handles=handles, loc="outside right upper", handletextpad=0.3)
    legend.set_alignment("left")
    name_view(figure, theme, runs)
    return figure, drawn


def _unbeaten(competing: pd.DataFrame, run: str) -> bool:
    """Say whether no other run is at least as good in both and better in one."""
    own = competing.loc[run]
    as_good = (competing["scaled"] >= own["scaled"]) & (competing["used"] <= own["used"])
    better = (competing["scaled"] > own["scaled"]) | (competing["used"] < own["used"])
    return not bool((as_good & better).any())
