"""Chosen scores against a swept quantity, one line per run, every seed a dot."""

from __future__ import annotations

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mosaicbench.figures._panels import (
    DASHED,
    SOLID,
    Drawn,
    better,
    dot,
    grid,
    handle,
    label_plainly,
    legend_below,
    mark_failed,
)
from mosaicbench.report.theme import QUIET, Theme, empty
from mosaicbench.stats.common import FAILED
from mosaicbench.stats.sweep import OVER_DIRECTIONS

CARD = {
    "label": "Sweep",
    "caption": (
        "Chosen scores against the quantity that the study sweeps. A line joins the means over "
        "seeds of one run, the bar is the 95 % interval (t over seeds, never narrower than the "
        "interval over cells), each dot one seed, a cross a seed in which the run collapsed (no "
        "latent dimension varies over the query cells), a cross at the lower edge a failed seed. "
        "The grey dashed line is chance, the grey solid one the ceiling of any method. Lines are shifted a little sideways so that they do not "
        "overlap; a level line is a run in which the quantity does not occur. Values that would be "
        "crowded have equal distances. If the quantity's axis is logarithmic, so are those of time "
        "and memory."
    ),
    "needs": ["sweep", "runs"],
    "per": "all",
    "only_with": "sweep",
}
WIDEST_TITLE = 28  # characters
LINE_OF_TITLE = 12  # points
CROWDED = 0.1  # of the range: nearer values get equal distances
ABOVE = 0.12  # of the range, for the text of a ceiling
PATTERNS = ("-", (0, (5, 1.5)), (0, (1, 1)))


def sweep(*, sweep: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> Drawn:
    """Draw the table of a sweep, a row of panels per series or split."""
    if sweep["value"].isna().all():
        return empty("No run of the sweep has a score to draw."), sweep
    columns = {
        panel: list(dict.fromkeys(zip(rows["metric"], rows["direction"], strict=True)))
        for panel, rows in sweep.groupby("panel", sort=False)
    }
    widest = max(map(len, columns.values()))
    size = 0.6 + 2.5 * widest, 0.9 + 2.3 * len(columns)
    figure, panels = grid(*size, len(columns), widest)
    run_of = dict(zip(sweep["line"], sweep["run"], strict=True))
    strokes = _strokes(run_of, theme)
    for axes_of_panel, (panel, of_panel) in zip(panels, columns.items(), strict=True):
        rows = sweep[sweep["panel"] == panel]
        for axes, (metric, direction) in zip(axes_of_panel, of_panel, strict=False):
            chosen = rows[(rows["metric"] == metric) & (rows["direction"] == direction)]
            _panel(axes, chosen, strokes, theme)
            where = "" if direction == OVER_DIRECTIONS else f"\n{theme.direction(direction)}"
            axes.set_title(fill(theme.label("metrics", metric), WIDEST_TITLE) + where)
            axes.set_ylabel(better(theme, metric, "↓ better", "↑ better"), color=QUIET)
            axes.set_xlabel(sweep["quantity"].iloc[0])
        for axes in axes_of_panel[len(of_panel) :]:
            axes.set_visible(False)
        most = max(axes.get_title(loc="left").count("\n") for axes in axes_of_panel)
        axes_of_panel[0].annotate(
            panel,
            (0, 1),
            (0, 8 + LINE_OF_TITLE * (1 + most)),
            xycoords="axes fraction",
            textcoords="offset points",
            color=QUIET,
            va="bottom",
        )
    handles = []
    for name, stroke in strokes.items():
        label = theme.label("runs", name) if run_of[name] == name else name
        handles.append(handle(label, linewidth=1.3, **stroke))
    handles += [dot("seed", QUIET), dot("collapsed or failed", QUIET, marker="x")]
    handles.append(handle("chance", **DASHED))
    if sweep["ceiling"].notna().any():
        handles.append(handle("ceiling", **SOLID))
    beside = min(len(handles), max(2, int(size[0] / 1.8)))
    legend_below(figure, handles, beside, handletextpad=0.5)
    return figure, sweep


def _strokes(run_of: dict[str, str], theme: Theme) -> dict[str, dict]:
    order = theme.order("runs", run_of.values())
    strokes: dict[str, dict] = {}
    for line in sorted(run_of, key=lambda line: order.index(run_of[line])):
        colour = theme.colour(run_of[line])
        before = sum(stroke["color"] == colour for stroke in strokes.values())
        strokes[line] = {"color": colour, "linestyle": PATTERNS[before % len(PATTERNS)]}
    return strokes


def _panel(axes: Axes, table: pd.DataFrame, strokes: dict[str, dict], theme: Theme) -> None:
    values = np.array(sorted(table["x"].dropna().unique()))
    log = bool(table["log"].iloc[0])
    places = _places(values, log=log)
    place_of = dict(zip(values, places, strict=True))
    axes.grid(axis="y")
    metric = table["metric"].iloc[0]
    chance = theme.run_metadata.chance(metric)
    if not np.isnan(chance):
        axes.axhline(chance, zorder=1, **DASHED)
    nearest, whole = (np.diff(places).min(), np.ptp(places)) if len(places) > 1 else (1.0, 1.0)
    gap = min(0.012 * whole, 0.7 * nearest / len(strokes))
    for place, (line, stroke) in enumerate(strokes.items()):
        rows = table[table["line"] == line]
        if rows["x"].isna().all():
            axes.axhline(rows["mean"].mean(), linewidth=0.9, zorder=1, **stroke)
            continue
        shift = gap * (place - (len(strokes) - 1) / 2)
        _line(axes, rows.assign(at=rows["x"].map(place_of) + shift), stroke)
    axes.set_xticks(places, [f"{value:g}" for value in values])
    if log and theme.run_metadata.group(metric) == "resources":
        axes.set_yscale("log", nonpositive="mask")  # a power of the quantity is a line
        label_plainly(axes.yaxis)
    else:
        _limit(axes, chance, table)
        _ceiling(axes, table.assign(at=table["x"].map(place_of)))


def _line(axes: Axes, rows: pd.DataFrame, stroke: dict) -> None:
    look = {"color": stroke["color"], "linewidth": 1.3, "zorder": 3}
    means = rows.drop_duplicates("x").sort_values("x")
    axes.plot(means["at"], means["mean"], **look | stroke)
    axes.vlines(means["at"], means["low"], means["high"], **look)
    look = {"color": stroke["color"], "zorder": 4}
    for status, sign, size in (("ok", "o", 2.6), ("collapsed", "x", 4)):
        seeds = rows[rows["status"] == status]
        axes.plot(seeds["at"], seeds["value"], sign, ms=size, alpha=0.8, **look)
    mark_failed(axes, rows.loc[rows["status"].isin(FAILED), "at"], **look)


def _ceiling(axes: Axes, table: pd.DataFrame) -> None:
    ceilings = table.dropna(subset=["x", "ceiling"]).groupby("at")["ceiling"].mean()
    if ceilings.empty:
        return
    low, high = axes.get_ylim()
    if ceilings.min() < high:
        edges = axes.get_xlim() if len(ceilings) == 1 else ceilings.index
        axes.plot(edges, np.resize(ceilings, len(edges)), zorder=1, **SOLID)
        axes.set_ylim(low, high)
        return
    axes.set_ylim(low, high + ABOVE * (high - low))
    ends = dict.fromkeys([f"{ceilings.min():.2f}", f"{ceilings.max():.2f}"])
    text = f"ceiling {' to '.join(ends)} ↑"
    axes.text(0.99, 0.99, text, transform=axes.transAxes, ha="right", va="top", color=QUIET)


def _places(values: np.ndarray, *, log: bool) -> np.ndarray:
    places = np.log(values) if log else values.astype(float)
    crowded = len(values) > 2 and np.diff(places).min() < CROWDED * np.ptp(places)
    return np.arange(len(values), dtype=float) if crowded else places


def _limit(axes: Axes, chance: float, table: pd.DataFrame) -> None:
    values = pd.Series([*table["value"], *table["mean"], chance]).dropna()
    margin = 0.08 * (values.max() - values.min() or 1.0)
    axes.set_ylim(values.min() - margin, values.max() + margin)
