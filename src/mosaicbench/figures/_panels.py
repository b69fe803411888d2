"""What several figures share: rows that are runs, the sign of a missing value, clouds of cells and their legends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter, NullFormatter

from mosaicbench.catalog.run_metadata import RESOURCES
from mosaicbench.report.tables.text import NOT_GIVEN
from mosaicbench.report.theme import INK, QUIET, Theme, empty

ROW = 0.24  # inches
DASHED = {"color": QUIET, "linewidth": 0.9, "linestyle": (0, (3, 2))}  # at chance
OVER_ROWS = {
    "y": 1.0
}  # of a title: above rows stand no ticks or numbers, which matplotlib would look for at every turn
FLOOR = 0.01  # the least value on a logarithmic axis


def nothing(sentence: str, columns: Sequence[str]) -> tuple[Figure, pd.DataFrame]:
    """Return a figure that says why there is nothing to draw, and a table of these columns without rows."""
    return empty(sentence), pd.DataFrame(columns=columns)


def stacked(
    parts: Sequence[tuple[tuple[float, float], Callable[[SubFigure], pd.DataFrame]]],
) -> tuple[Figure, pd.DataFrame]:
    """Return a figure of parts under each other, and the rows that they drew.

    Parameters
    ----------
    parts
        Of each part its width and height in inches, and the function that draws into its subfigure and returns the rows drawn.
    """
    widths, heights = zip(*(size for size, _ in parts), strict=True)
    figure = Figure(figsize=(max(widths), sum(heights) + 0.3), layout="constrained")
    rooms = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
    drawn = [draw(room) for room, (_, draw) in zip(rooms, parts, strict=True)]
    return figure, pd.concat(drawn, ignore_index=True)


def head(room: SubFigure, text: str) -> None:
    """Write what a part of a figure shows above it."""
    room.suptitle(text, x=0.008, ha="left", fontsize=8.5, fontweight="bold")


def shape(panels: int, *, most: int = 3) -> tuple[int, int]:
    """Return how many lines and columns of panels hold so many, at most `most` side by side."""
    columns = min(most, panels)
    return math.ceil(panels / columns), columns


def panels_of_directions(
    room: Figure | SubFigure, directions: pd.DataFrame, rows: list[str], label: str, theme: Theme
) -> list[Axes]:
    """Return a panel per direction and space, with a row per run; the lowest of every column says what is across."""
    lines, columns = shape(len(directions))
    panels = room.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(directions) :]:
        axes.set_visible(False)
    for axes, direction in zip(panels, directions.itertuples(), strict=False):
        label_rows(axes, theme, rows)
        axes.set_title(
            f"{theme.direction(direction.direction)}  ({direction.normalization})", **OVER_ROWS
        )
    for axes in panels[len(directions) - columns : len(directions)]:
        axes.set_xlabel(label)
        axes.tick_params(labelbottom=True)
    return list(panels[: len(directions)])


def directions_of(values: pd.DataFrame, theme: Theme) -> pd.DataFrame:
    """Return the directions and spaces of a table, a row each, in display order."""
    found = values[["direction", "normalization"]].drop_duplicates().sort_values("normalization")
    order = theme.directions(found["direction"])
    return found.sort_values("direction", key=lambda names: names.map(order.index), kind="stable")


def scenarios_of_runs(theme: Theme, runs: Sequence[str]) -> list[Line2D]:
    """Return a legend's markers of runs, in display order."""
    return [
        Line2D([], [], label=theme.label("runs", run), **theme.marker(run, size=5))
        for run in theme.order("runs", runs)
    ]


def dot(label: str, colour: str, *, size: float = 4, **look: object) -> Line2D:
    """Return a legend's dot."""
    point = {"marker": "o", "linestyle": "none", "color": colour, "ms": size}
    return Line2D([], [], label=label, **point | look)


def label_rows(axes: Axes, theme: Theme, runs: list[str]) -> None:
    """Give each run a row, the first on top, with a line between models, baselines and controls.

    A panel that shares its rows with one at its left, which names them, needs no axis: hidden ticks are laid out all the same.
    """
    if axes.yaxis.get_tick_params().get("labelleft", True):
        axes.tick_params(axis="y", length=0)
        axes.set_yticks(range(len(runs)), [theme.label("runs", run) for run in runs])
    else:
        axes.yaxis.set_visible(False)
    axes.set_ylim(len(runs) - 0.4, -0.6)
    for row, (above, below) in enumerate(zip(runs, runs[1:], strict=False)):
        if theme.run_metadata.kind(above) != theme.run_metadata.kind(below):
            axes.axhline(row + 0.5, color="#BBBBBB", linewidth=0.6)


def write_absence(axes: Axes, row: float, text: str) -> None:
    """Write the sign of absence at the left of a row."""
    ground = None if text == NOT_GIVEN else {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    axes.text(
        0.02,
        row,
        text,
        transform=axes.get_yaxis_transform(),
        va="center",
        color=QUIET,
        fontsize=7,
        bbox=ground,
    )


def mark_seeds(axes: Axes, row: int, values: pd.Series, colour: str) -> None:
    """Draw the values of single seeds a little below a row's middle."""
    axes.plot(
        values,
        np.full(len(values), row + 0.3),
        "o",
        color=colour,
        ms=2.6,
        alpha=0.8,
        mec="none",
        zorder=3,
    )


def mark_interval(axes: Axes, row: int, low: float, high: float, colour: str) -> None:
    """Draw an interval along a row, nothing where it is missing."""
    if np.isfinite(low):
        axes.plot(
            [low, high], [row, row], color=colour, linewidth=1.4, solid_capstyle="butt", zorder=2
        )


def write_beside(axes: Axes, row: float, text: str, **look: object) -> None:
    """Write a text at the right of a row."""
    look = {"va": "center", "color": QUIET, "fontsize": 6} | look
    axes.text(1.01, row, text, transform=axes.get_yaxis_transform(), **look)


def plain_log(axes: Axes) -> None:
    """Write the numbers of a logarithmic axis in full, at its larger ticks alone."""
    axes.xaxis.set_major_formatter(plain_numbers())
    axes.xaxis.set_minor_formatter(NullFormatter())


def plain_numbers() -> FuncFormatter:
    """Return what writes the numbers of a logarithmic axis in full."""
    return FuncFormatter(lambda value, place: f"{value:,.0f}" if value >= 1 else f"{value:g}")


def measured_resources(table: pd.DataFrame, column: str) -> list[str]:
    """Return the resources of which a table with the columns `metric` and `column` has a value above 0."""
    return [
        metric for metric in RESOURCES if table.loc[table["metric"] == metric, column].max() > 0
    ]


def name_split(figure: Figure, theme: Theme, runs: pd.DataFrame, what: str = "") -> None:
    """Write the dataset, the scenario and what is drawn above a figure of one split; by default the number of seeds."""
    first, seeds = runs.iloc[0], runs["seed"].nunique()
    what = what or f"{seeds} seed{'s' if seeds != 1 else ''}"
    title = f"{theme.split(first['dataset'], first['scenario'])} · {what}"
    figure.suptitle(title, x=0.008, ha="left", fontsize=8, color=QUIET)


def name_cells(
    figure: Figure,
    theme: Theme,
    runs: pd.DataFrame,
    seed: int,
    cells: int,
    *,
    which: str = "query cells",
) -> None:
    """Write the dataset, the scenario, the seed and how many cells are drawn above a figure of one split."""
    name_split(figure, theme, runs, f"seed {seed}, {cells:,} {which}")


def bare(axes: Axes) -> None:
    """Leave nothing of the frame of a panel whose coordinates mean nothing."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_aspect("equal", adjustable="datalim")


def cloud(axes: Axes, x: pd.Series, y: pd.Series, colours: object, *, points: int) -> None:
    """Draw points, one picture in an SVG, the smaller the more `points` there are."""
    size = float(np.clip(5000 / max(points, 1), 0.8, 9))
    axes.scatter(x, y, c=colours, s=size, linewidths=0, alpha=0.8, rasterized=True)


def wrapped(label: str, *, width: int = 18) -> str:
    """Return a label in lines of about `width` characters, broken between words."""
    lines = [""]
    for word in label.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def inches(text: str, size: float) -> float:
    """Return how wide a line of text is at a font size in points."""
    return (
        text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)[0]
        / 72
    )


def shortened(name: str, *, most: int = 28) -> str:
    """Return a name of at most so many characters, an ellipsis in place of its end."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def key(
    axes: Axes, palette: dict[str, str], labels: dict[str, str], title: str, *, most: int = 32
) -> None:
    """Fill a panel with the legend of a palette, its first `most` names."""
    axes.axis("off")
    names = list(palette)[:most]
    handles = [dot(shortened(labels[name]), palette[name]) for name in names]
    if len(palette) > most:
        handles.append(Line2D([], [], linestyle="none", label=f"and {len(palette) - most} more"))
    short = max(map(len, labels.values()), default=0) <= 6 and len(handles) > 8
    legend = axes.legend(
        handles=handles,
        title=title,
        loc="upper left",
        bbox_to_anchor=(0, 1),
        ncols=3 if short else 1,
        handletextpad=0.1,
        borderpad=0,
        fontsize=6.5,
        columnspacing=0.8,
        title_fontproperties={"size": 7, "weight": "bold"},
    )
    legend.set_alignment("left")
    legend.get_title().set_color(INK)


def lines_of_key(palette: dict[str, str], labels: dict[str, str], *, most: int = 32) -> int:
    """Return how many lines :func:`key` needs, its title among them."""
    names = min(len(palette), most + 1)
    short = max(map(len, labels.values()), default=0) <= 6 and names > 8
    return 1 + (math.ceil(names / 3) if short else names)
