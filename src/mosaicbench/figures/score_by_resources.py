"""What a score costs: overall scores against seconds of fitting and peak memory."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from mosaicbench.figures._panels import FLOOR, measured_resources, name_view, plain_numbers
from mosaicbench.report.theme import Theme, empty
from mosaicbench.statistics.overall import SCORES
from mosaicbench.statistics.summary import headline

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
FRONT = "#BBBBBB"


def score_by_resources(
    *, overall: pd.DataFrame, scores: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw the scores of one view against what they cost.

    Returns
    -------
    tuple
        The figure, and one row per score, resource and run drawn.
    """
    means = headline(scores)
    resources = measured_resources(means, "mean")
    complete = overall.assign(score=overall["score"].where(overall["complete"]))
    scaled = theme.roster.competing(complete).set_index("run")
    names = [name for name in SCORES if scaled[name].notna().any()]
    if not resources or not names:
        return empty(
            "No run of this view has a score and a measured time or memory."
        ), pd.DataFrame(columns=COLUMNS)
    parts = [_pairs(scaled, means, name, metric, theme) for name in names for metric in resources]
    drawn = pd.concat(parts, ignore_index=True)[COLUMNS]

    figure = Figure(
        figsize=(SIDE[0] * len(resources) + 2.0, 0.5 + SIDE[1] * len(names)), layout="constrained"
    )
    panels = figure.subplots(len(names), len(resources), squeeze=False, sharex="col", sharey="row")
    for axes_of_score, name in zip(panels, names, strict=True):
        for axes, metric in zip(axes_of_score, resources, strict=True):
            points = drawn[(drawn["score"] == name) & (drawn["resource"] == metric)]
            front = points[points["front"]].sort_values("used")
            axes.plot(
                front["used"].clip(lower=FLOOR), front["scaled"], color=FRONT, linewidth=1, zorder=1
            )
            for point in points.itertuples():
                axes.plot(
                    [max(point.used, FLOOR)],
                    [point.scaled],
                    zorder=2,
                    alpha=0.9,
                    **theme.marker(point.run, size=5.5),
                )
            axes.set_xscale("log")
            axes.grid()
        axes_of_score[0].set_ylabel(theme.label("groups", name))
    for axes, metric in zip(panels[-1], resources, strict=True):
        axes.set_xlabel(theme.label("metrics", metric))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(plain_numbers())
        axes.xaxis.set_minor_formatter(NullFormatter())
    runs_drawn = theme.order("runs", drawn["run"])
    handles = [
        Line2D([], [], label=theme.label("runs", run), **theme.marker(run, size=5))
        for run in runs_drawn
    ]
    handles.append(Line2D([], [], color=FRONT, label="not beaten in both"))
    legend = figure.legend(handles=handles, loc="outside right upper", handletextpad=0.3)
    legend.set_alignment("left")
    name_view(figure, theme, runs)
    return figure, drawn


def _pairs(
    scaled: pd.DataFrame, means: pd.DataFrame, score: str, resource: str, theme: Theme
) -> pd.DataFrame:
    """Return a row for each run that has both a score and a resource, and whether it is on the front."""
    used = means[means["metric"] == resource].set_index("run")["mean"]
    pairs = pd.DataFrame({"scaled": scaled[score], "used": used}).dropna()
    pairs = pairs.loc[theme.order("runs", pairs.index)]
    front = [_unbeaten(pairs, run) for run in pairs.index]
    return (
        pairs.assign(score=score, resource=resource, front=front).rename_axis("run").reset_index()
    )


def _unbeaten(pairs: pd.DataFrame, run: str) -> bool:
    """Say whether no other run is at least as good in both and better in one."""
    scaled, used = pairs.loc[run]
    as_good = (pairs["scaled"] >= scaled) & (pairs["used"] <= used)
    better = (pairs["scaled"] > scaled) | (pairs["used"] < used)
    return not bool((as_good & better).any())
