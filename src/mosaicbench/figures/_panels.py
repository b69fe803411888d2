"""What several figures share: rows of runs, missing values, clouds of cells, legends, titles."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from mosaicbench.catalog.run_metadata import KINDS
from mosaicbench.report.tables.text import NOT_GIVEN
from mosaicbench.report.theme import FAINT, FONT_SIZE, INK, QUIET, Theme, empty

ROW = 0.24  # inches
DASHED = {"color": QUIET, "linewidth": 0.9, "linestyle": (0, (3, 2))}  # at chance
SOLID = DASHED | {"linestyle": "-"}  # at the ceiling
OVER_ROWS = {"y": 1.0}  # of a title: rows have no ticks above, so matplotlib need not look for them
PLAIN = FuncFormatter(lambda value, place: f"{value:,.0f}" if value >= 1 else f"{value:g}")
MANY = 30  # times as much at the end of an axis: then its ticks are powers of ten
LONGEST_KEY = 32  # names
OF_DIRECTION = ["direction", "normalization"]


Drawn = tuple[Figure, pd.DataFrame]  # a figure, and the table of what is drawn


# --- figures and their parts ---------------------------------------------------------------------


def nothing(sentence: str, columns: list[str]) -> Drawn:
    """Return a figure that says why there is nothing to draw, and an empty table."""
    return empty(sentence), pd.DataFrame(columns=columns)


def grid(
    width: float, height: float, rows: int, columns: int, **look: object
) -> tuple[Figure, np.ndarray]:
    """Return a figure of so many inches, and its (rows, columns) panels; `look` as in `subplots`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **look)


def label_plainly(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers."""
    low, high = axis.get_view_interval()
    if high < 10 * low:
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    else:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < MANY * low else (1,)))
    axis.set_major_formatter(PLAIN)
    axis.set_minor_formatter(NullFormatter())


def name_split(figure: Figure, theme: Theme, runs: pd.DataFrame, what: str = "") -> None:
    """Write dataset, scenario and `what` (by default the number of seeds) above a figure."""
    first, seeds = runs.iloc[0], runs["seed"].nunique()
    what = what or f"{seeds} seed{'s' if seeds != 1 else ''}"
    title = f"{theme.split(first['dataset'], first['scenario'])} · {what}"
    figure.suptitle(title, x=0.008, ha="left", color=QUIET)


def name_cells(
    figure: Figure,
    theme: Theme,
    runs: pd.DataFrame,
    drawn: pd.DataFrame,
    cells: int,
    *,
    which: str = "query cells",
) -> None:
    """Write dataset, scenario, seed and the number of drawn cells above a figure."""
    name_split(figure, theme, runs, f"seed {drawn['seed'].iloc[0]}, {cells:,} {which}")


def shape(panels: int) -> tuple[int, int]:
    """Return how many lines and columns hold the panels, at most three side by side."""
    columns = min(3, panels)
    return math.ceil(panels / columns), columns


def legend_below(figure: Figure, handles: list[Line2D], columns: int, **look: object) -> None:
    """Add a legend in so many columns below a figure."""
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, **look)


# --- directions of imputation --------------------------------------------------------------------


def size_of_directions(values: pd.DataFrame, row: float, above: float) -> tuple[float, float]:
    """Return the inches that :func:`rows_of_directions` needs; `row` and `above` are of a panel."""
    lines, columns = shape(len(values[OF_DIRECTION].drop_duplicates()))
    return 1.4 + 2.7 * columns, lines * (above + row * values["run"].nunique())


def rows_of_directions(
    room: Figure | SubFigure, values: pd.DataFrame, label: str, theme: Theme
) -> Iterator[tuple[Axes, int, dict[str, str], pd.DataFrame]]:
    """Yield a row per direction and run: its panel, its place there, its names and its values.

    A panel shows one direction and normalization; `label` names its x axis.
    """
    rows, order = theme.order("runs", values["run"]), theme.directions(values["direction"])
    named = dict(tuple(values.groupby(OF_DIRECTION)))
    lines, columns = shape(len(named))
    panels = room.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(named) :]:
        axes.set_visible(False)
    for axes in panels[: len(named)][-columns:]:
        axes.set_xlabel(label)
        axes.tick_params(labelbottom=True)
    names = sorted(named, key=lambda names: (order.index(names[0]), names[1]))
    for axes, (direction, normalization) in zip(panels, names, strict=False):
        label_rows(axes, theme, rows)
        axes.set_title(f"{theme.direction(direction)}  ({normalization})", **OVER_ROWS)
        of_direction = named[direction, normalization]
        for row, run in enumerate(rows):
            names_of_row = {"direction": direction, "normalization": normalization, "run": run}
            yield axes, row, names_of_row, of_direction[of_direction["run"] == run]


# --- rows of runs --------------------------------------------------------------------------------


def label_rows(axes: Axes, theme: Theme, runs: list[str]) -> None:
    """Give each run a row, with a line between models, baselines and controls in this order.

    A panel that shares its rows with one to its left has no axis.
    """
    if axes.yaxis.get_tick_params().get("labelleft", True):
        axes.tick_params(axis="y", length=0)
        axes.set_yticks(range(len(runs)), [theme.label("runs", run) for run in runs])
    else:
        axes.yaxis.set_visible(False)
    axes.set_ylim(len(runs) - 0.4, -0.6)
    kinds = [KINDS.index(theme.run_metadata.kind(run)) for run in runs]
    for row in range(1, len(runs)):
        if kinds[row] != kinds[row - 1] and kinds == sorted(kinds):
            axes.axhline(row - 0.5, color="#BBBBBB", linewidth=0.6)


def write_absence(axes: Axes, row: float, text: str) -> None:
    """Write the sign of a missing value at the left of a row."""
    box = None if text == NOT_GIVEN else {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    at = axes.get_yaxis_transform()
    axes.text(0.02, row, text, transform=at, va="center", color=QUIET, bbox=box)


def mark_failed(axes: Axes, x: pd.Series, **look: object) -> None:
    """Draw crosses at the lower edge."""
    axes.plot(x, [0.02] * len(x), "x", ms=4, transform=axes.get_xaxis_transform(), **look)


def write_beside(axes: Axes, row: float, text: str) -> None:
    """Write a text at the right of a row."""
    at = axes.get_yaxis_transform()
    axes.text(1.01, row, text, transform=at, va="center", color=QUIET)


def better(theme: Theme, metric: str, lower: str, higher: str) -> str:
    """Return the text for the better end of a metric's axis."""
    return {"lower": lower, "higher": higher}.get(theme.run_metadata.better(metric), "")


# --- axes ----------------------------------------------------------------------------------------


def bare(axes: Axes) -> None:
    """Remove the ticks of a panel with meaningless coordinates, and frame it."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(visible=True, color=FAINT)
    axes.set_aspect("equal", adjustable="datalim")


def cloud(axes: Axes, x: pd.Series, y: pd.Series, colours: object, *, points: int) -> None:
    """Draw points, as one picture in an SVG; the more `points`, the smaller each is."""
    size = float(np.clip(5000 / max(points, 1), 0.8, 9))
    axes.scatter(x, y, c=colours, s=size, linewidths=0, alpha=0.8, rasterized=True)


def shuffled(points: pd.DataFrame) -> pd.DataFrame:
    """Return points in random order, so that no group covers another."""
    return points.iloc[np.random.default_rng(0).permutation(len(points))]


# --- text and legends ----------------------------------------------------------------------------


def wrapped(label: str, *, width: int = 18) -> str:
    """Return a label in lines of about `width` characters, broken between words."""
    return fill(label, width, break_long_words=False, break_on_hyphens=False)


def inches(text: str, size: float) -> float:
    """Return the width of a line of text at a font size in points."""
    font = FontProperties(size=size)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72


def shortened(name: str, *, most: int = 28) -> str:
    """Return a name of at most `most` characters, with an ellipsis for a cut end."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def handle(label: str, **look: object) -> Line2D:
    """Return a line of a legend."""
    return Line2D([], [], label=label, **look)


def dot(label: str, colour: str, *, size: float = 4, **look: object) -> Line2D:
    """Return a legend's dot."""
    point = {"marker": "o", "linestyle": "none", "color": colour, "ms": size}
    return handle(label, **point | look)


def legend_of_runs(
    room: Figure | SubFigure, theme: Theme, runs: Iterable[str], *more: Line2D
) -> None:
    """Add a legend of runs in display order, and of `more`, at the right."""
    runs = theme.order("runs", runs)
    handles = [handle(theme.label("runs", run), **theme.marker(run, size=5)) for run in runs]
    legend = room.legend(handles=[*handles, *more], loc="outside right upper", handletextpad=0.3)
    legend.set_alignment("left")


def colour_bar(figure: Figure, colours: Colormap, ticks: dict[float, str], **place: object) -> Axes:
    """Add the scale of colours from 0 to 1, and return its axes; `place` as in `colorbar`."""
    scale = ScalarMappable(norm=Normalize(0, 1), cmap=colours)
    bar = figure.colorbar(scale, ticks=list(ticks), **place)
    bar.long_axis.set_ticklabels(list(ticks.values()))
    bar.outline.set_visible(False)
    return bar.ax


def key(axes: Axes, palette: dict[str, str], labels: dict[str, str], title: str) -> None:
    """Fill a panel with the legend of a palette, its first :data:`LONGEST_KEY` names."""
    axes.axis("off")
    handles = [dot(shortened(labels[name]), palette[name]) for name in [*palette][:LONGEST_KEY]]
    if (rest := len(palette) - LONGEST_KEY) > 0:
        handles.append(handle(f"and {rest} more", linestyle="none"))
    legend = axes.legend(
        handles=handles,
        title=title,
        loc="upper left",
        bbox_to_anchor=(0, 1),
        ncols=_columns_of_key(palette, labels),
        handletextpad=0.1,
        borderpad=0,
        columnspacing=0.8,
        title_fontproperties={"size": FONT_SIZE, "weight": "bold"},
    )
    legend.set_alignment("left")
    legend.get_title().set_color(INK)


def lines_of_key(palette: dict[str, str], labels: dict[str, str]) -> int:
    """Return how many lines :func:`key` needs, with its title."""
    names = min(len(palette), LONGEST_KEY + 1)
    return 1 + math.ceil(names / _columns_of_key(palette, labels))


def _columns_of_key(palette: dict[str, str], labels: dict[str, str]) -> int:
    return 3 if len(palette) > 8 and max(map(len, labels.values())) <= 6 else 1
