"""Chosen scores against a swept quantity, one line per run, every seed a dot."""

from __future__ import annotations

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mosaicbench.figures._panels import DASHED, dot
from mosaicbench.report.theme import QUIET, Theme, empty
from mosaicbench.stats.common import FAILED
from mosaicbench.stats.sweep import OVER_DIRECTIONS

CARD = {
    "label": "Sweep",
    "caption": (
        "Chosen scores against the quantity that the study sweeps. A line joins the means over seeds of one run, the bar is "
        "the 95 % interval (t over seeds, at least as wide as over cells), "
        "each dot one seed, a cross a seed in which the run collapsed (no latent dimension varies over the "
        "query cells), a cross at the lower edge one that failed. The grey dashed line is chance. Lines stand a little apart "
        "for the eye; a level line is a run in which the quantity does not occur. Values that would crowd stand at "
        "equal distances; where its axis is logarithmic, so are those of time and memory."
    ),
    "needs": ["sweep", "runs"],
    "per": "all",
    "only_with": "sweep",
}
WIDEST_TITLE = 28  # characters
LINE_OF_TITLE = 12  # points
CROWDED = 0.1  # of the range: values that lie nearer to each other are set at equal distances
PATTERNS = ("-", (0, (5, 1.5)), (0, (1, 1)))


def sweep(*, sweep: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> tuple[Figure, pd.DataFrame]:
    """Draw the table of a sweep, a row of panels per series or split.

    Returns
    -------
    tuple
        The figure, and the table that it shows.
    """
    if sweep["value"].isna().all():
        return empty("No run of the sweep has a score to draw."), sweep
    panels = list(dict.fromkeys(sweep["panel"]))
    columns = {panel: _columns(sweep[sweep["panel"] == panel]) for panel in panels}
    widest = max(map(len, columns.values()))
    figure = Figure(figsize=(0.6 + 2.5 * widest, 0.9 + 2.3 * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), widest, squeeze=False)
    lines = _ordered(sweep, theme)
    for row, panel in zip(grid, panels, strict=True):
        rows, most_lines = sweep[sweep["panel"] == panel], 1
        for axes, (metric, direction) in zip(row, columns[panel], strict=False):
            chosen = rows[(rows["metric"] == metric) & (rows["direction"] == direction)]
            _panel(axes, chosen, lines, theme)
            where = "" if direction == OVER_DIRECTIONS else f"\n{theme.direction(direction)}"
            title = fill(theme.label("metrics", metric), WIDEST_TITLE) + where
            axes.set_title(title)
            most_lines = max(most_lines, title.count("\n") + 1)
            better = {"lower": "↓ better", "higher": "↑ better"}.get(
                theme.run_metadata.better(metric), ""
            )
            axes.set_ylabel(better, color=QUIET, fontsize=7)
            axes.set_xlabel(sweep["quantity"].iloc[0])
        for axes in row[len(columns[panel]) :]:
            axes.set_visible(False)
        above = (0, 8 + LINE_OF_TITLE * most_lines)
        row[0].annotate(
            panel,
            (0, 1),
            above,
            xycoords="axes fraction",
            textcoords="offset points",
            color=QUIET,
            va="bottom",
        )
    strokes = _strokes(lines, theme)
    handles = [
        Line2D(
            [],
            [],
            label=theme.label("runs", line) if run == line else line,
            linewidth=1.3,
            **strokes[line],
        )
        for line, run in lines.items()
    ]
    handles += [dot("seed", QUIET), dot("collapsed or failed", QUIET, marker="x")]
    handles.append(Line2D([], [], label="chance", **DASHED))
    columns_of_legend = min(len(handles), max(2, int(figure.get_figwidth() / 1.8)))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns_of_legend, handletextpad=0.5
    )
    return figure, sweep


def _columns(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return metric and direction of the panels of a row."""
    return list(dict.fromkeys(zip(table["metric"], table["direction"], strict=True)))


def _ordered(table: pd.DataFrame, theme: Theme) -> dict[str, str]:
    """Return line -> the run that colours it, in display order."""
    run_of = dict(zip(table["line"], table["run"], strict=True))
    order = theme.order("runs", run_of.values())
    return dict(sorted(run_of.items(), key=lambda item: order.index(item[1])))


def _strokes(lines: dict[str, str], theme: Theme) -> dict[str, dict]:
    """Return how each line is drawn: in its run's colour, and broken where another line has that colour already."""
    seen: dict[str, int] = {}
    strokes = {}
    for line, run in lines.items():
        colour = theme.colour(run)
        strokes[line] = {
            "color": colour,
            "linestyle": PATTERNS[seen.get(colour, 0) % len(PATTERNS)],
        }
        seen[colour] = seen.get(colour, 0) + 1
    return strokes


def _panel(axes: Axes, table: pd.DataFrame, lines: dict[str, str], theme: Theme) -> None:
    """Draw one metric and direction."""
    values = np.array(sorted(table["x"].dropna().unique()))
    log = bool(table["log"].iloc[0])
    places = _places(values, log=log)
    axes.grid(axis="y")
    metric = table["metric"].iloc[0]
    chance = theme.run_metadata.chance(metric)
    if not np.isnan(chance):
        axes.axhline(chance, zorder=1, **DASHED)
    nearest, whole = (np.diff(places).min(), np.ptp(places)) if len(places) > 1 else (1.0, 1.0)
    gap = min(0.012 * whole, 0.7 * nearest / len(lines))
    for place, (line, stroke) in enumerate(_strokes(lines, theme).items()):
        rows, colour = table[table["line"] == line], stroke["color"]
        if rows["x"].isna().all():
            axes.axhline(rows["mean"].mean(), linewidth=0.9, zorder=1, **stroke)
            continue
        shift = gap * (place - (len(lines) - 1) / 2)
        at = lambda x, shift=shift: places[np.searchsorted(values, x)] + shift  # noqa: E731
        means = rows.drop_duplicates("x").sort_values("x")
        x = at(means["x"].to_numpy())
        axes.plot(x, means["mean"], linewidth=1.3, zorder=3, **stroke)
        axes.vlines(x, means["low"], means["high"], color=colour, linewidth=1.3, zorder=3)
        for sign, seeds in (
            ("o", rows[rows["status"] == "ok"]),
            ("x", rows[rows["status"] == "collapsed"]),
        ):
            size = 2.6 if sign == "o" else 4
            axes.plot(
                at(seeds["x"].to_numpy()),
                seeds["value"],
                sign,
                ms=size,
                color=colour,
                alpha=0.8,
                zorder=4,
            )
        failed = rows[rows["status"].isin(FAILED)]
        edge = axes.get_xaxis_transform()
        axes.plot(
            at(failed["x"].to_numpy()),
            [0.02] * len(failed),
            "x",
            ms=4,
            color=colour,
            transform=edge,
            zorder=4,
        )
    axes.set_xticks(places, [f"{value:g}" for value in values])
    if log and theme.run_metadata.group(metric) == "resources":
        axes.set_yscale("log", nonpositive="mask")  # a power of the quantity is a line
    else:
        _limit(axes, chance, table)


def _places(values: np.ndarray, *, log: bool) -> np.ndarray:
    """Return where the sorted values stand on the axis."""
    places = np.log(values) if log else values.astype(float)
    crowded = len(values) > 2 and np.diff(places).min() < CROWDED * np.ptp(places)
    return np.arange(len(values), dtype=float) if crowded else places


def _limit(axes: Axes, chance: float, table: pd.DataFrame) -> None:
    """Show the dots, the means and chance, and no more: an interval of few seeds may reach far beyond them."""
    values = pd.Series([*table["value"], *table["mean"], chance]).dropna()
    margin = 0.08 * (values.max() - values.min() or 1.0)
    axes.set_ylim(values.min() - margin, values.max() + margin)
