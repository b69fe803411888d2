"""All runs and scores at a glance: inputs, overall score, every family of metrics, resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps, rcParams
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mosaicbench.catalog.run_metadata import RESOURCES, TRAITS
from mosaicbench.figures._panels import (
    FLOOR,
    colour_bar,
    inches,
    label_rows,
    measured_resources,
    name_split,
    nothing,
)
from mosaicbench.report.tables.text import FEWER, NOT_GIVEN, absence, number
from mosaicbench.report.theme import FAINT, INK, QUIET, Theme
from mosaicbench.stats.common import FOSCTTM, MACRO_F1, RECALL, TRANSFER
from mosaicbench.stats.means import headline
from mosaicbench.stats.overall import SCORES, ends

CARD = {
    "label": "Overview",
    "caption": (
        "Each run is a row. Dots: its inputs beside the cells' values. Bars: the overall score and "
        "its groups of metrics, with the run's place among models and baselines; a run without all "
        "of them has no place (a † follows its value). Cells: means over seeds and directions, as "
        "printed (without the leading 0); the colour is the mean on a scale from 0, chance (or the "
        "strongest control that knows nothing, if a metric has no chance level), to 1, the split's "
        "oracle control (or the best possible value, if the oracle gives none). Values outside 0 to "
        "1 have the colour of the nearer end; metrics in which a control that knows nothing matches "
        "the oracle stay white. The compared methods do not affect the scale. Time and memory: bars "
        "on logarithmic scales. A dash: not applicable or not given; a cross: failed; †: a mean over "
        "fewer directions or sources than another run gave."
    ),
    "needs": ["scores", "overall", "runs"],
    "per": "split",
}
FAMILIES = {
    "alignment": (FOSCTTM, RECALL, "foscttm_within_cell_type"),
    "label_transfer": (TRANSFER, "label_transfer_balanced_accuracy", MACRO_F1),
    "imputation": (
        "imputation_pearson_per_feature",
        "imputation_pearson_per_cell",
        "imputation_skill",
        "imputation_auroc_per_peak",
    ),
    "biology": ("nmi", "ari", "label_silhouette", "clisi"),
    "mixing": ("modality_mixing", "ilisi", "kbet", "pcr"),
}
COLUMNS = [
    "family",
    "metric",
    "run",
    "mean",
    "sd",
    "seeds",
    "zero",
    "zero_is",
    "one",
    "one_is",
    "scaled",
    "rank",
    "shown",
]
COLOURS = colormaps["YlGnBu"]
DARKEST = 0.92  # of the colours, so that white text is legible on all of them
RANK, GAP, ROW = 0.18, 0.16, 0.25  # inches
WIDTHS = {"inputs": 0.2, "score": 0.82, "resources": 0.82}  # inches, of the columns of a family
HEAT = 0.41  # inches, of the columns of other families


def overview_heat(
    *, scores: pd.DataFrame, overall: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw the scaled means of one split.

    The table has a row per score and run: the mean, both ends of the scale and what they
    are, the scaled mean.
    """
    summary = headline(scores)
    rows = theme.order("runs", runs["run"])
    families = {
        family: [metric for metric in metrics if metric in set(summary["metric"])]
        for family, metrics in FAMILIES.items()
    }
    if not any(families.values()):
        return nothing("No run of this split has a score to draw.", COLUMNS)
    families["resources"] = measured_resources(summary, "mean")
    parts = _scores(overall, rows)
    for family, names in families.items():
        for name in names:
            cells = _of_metric(summary[summary["metric"] == name].set_index("run"), name, theme)
            parts.append(cells.reindex(rows).assign(family=family, metric=name))
    drawn = pd.concat(parts).reset_index(names="run").reindex(columns=COLUMNS)
    absent = drawn["run"].map({run: absence(runs, run) for run in rows})
    seeds = drawn["seeds"].fillna(0).astype(int)
    drawn = drawn.assign(shown=drawn["shown"].fillna(absent), seeds=seeds)
    has_mean = drawn.groupby("metric")["mean"].count() > 0
    scaled = [name for name in SCORES if has_mean[name]]
    columns = _columns({"inputs": TRAITS, "score": scaled} | families)
    figure = _picture(columns, drawn, rows, theme)
    name_split(figure, theme, runs)
    return figure, drawn


# --- values --------------------------------------------------------------------------------------


def _scores(overall: pd.DataFrame, rows: list[str]) -> list[pd.DataFrame]:
    lines, parts = overall.set_index("run"), []
    is_ranked = lines["rank"].notna().sum() > 1
    for name in SCORES:
        means = lines.dropna(subset=name)
        lacks = ~means["complete"].astype(bool) & (name == "score")
        texts = means[name].map("{:z.2f}".format) + lacks.map({True: FEWER, False: ""})
        cells = means[["seeds"]].assign(mean=means[name], scaled=means[name], shown=texts)
        cells["rank"] = means["rank"] if name == "score" and is_ranked else np.nan
        parts.append(cells.reindex(rows).assign(family="score", metric=name))
    return parts


def _of_metric(means: pd.DataFrame, metric: str, theme: Theme) -> pd.DataFrame:
    """Return a metric's mean of every run, its text, and its place on a scale from 0 to 1.

    A resource has its place between the least and the most, on a logarithmic scale.
    """
    texts = means["mean"].map(partial(number, metric))
    if metric in RESOURCES:
        logs = np.log10(means["mean"].clip(lower=FLOOR))
        scaled = (logs - logs.min()) / (logs.max() - logs.min() or 1)
        return means.assign(scaled=scaled, shown=texts)
    scale = ends(means["mean"], metric, theme.run_metadata)
    width = scale["one"] - scale["zero"]
    has_scale = width * theme.run_metadata.sign(metric) > 0
    scaled = (means["mean"] - scale["zero"]) / (width if has_scale else np.nan)
    texts = texts.str.replace(r"^(-?)0\.", r"\1.", regex=True)
    texts = texts.where(means["directions"] == means["of_directions"], texts + FEWER)
    return means.assign(scaled=scaled, shown=texts, **scale)


# --- picture -------------------------------------------------------------------------------------


def _columns(families: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return family, name, left edge and width in inches of every column of the picture."""
    columns, left = [], 0.1
    for family, names in families.items():
        for name in names:
            width = WIDTHS.get(family, HEAT) + (RANK if name == "score" else 0)
            columns.append((family, name, left, width))
            left += width
        left += GAP if names else 0
    return pd.DataFrame(columns, columns=["family", "name", "left", "width"])


def _picture(columns: pd.DataFrame, drawn: pd.DataFrame, rows: list[str], theme: Theme) -> Figure:
    width, top = columns["left"].iloc[-1] + columns["width"].iloc[-1], 1.35
    size = rcParams["ytick.labelsize"]
    names = max(1.5, 0.2 + max(inches(theme.label("runs", run), size) for run in rows))
    height = ROW * len(rows)
    wide, high = names + width + 0.25, height + top + 0.75
    figure = Figure(figsize=(wide, high))
    axes = figure.add_axes((names / wide, 0.55 / high, width / wide, height / high))
    axes.spines[:].set_visible(False)
    axes.set_xlim(0, width)
    label_rows(axes, theme, rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks([])
    for row in range(1, len(rows), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#F7F7F7", zorder=0)
    cells = {(cell["metric"], cell["run"]): cell for cell in drawn.to_dict("records")}
    for column in columns.itertuples():
        for row, run in enumerate(rows):
            if column.family == "inputs":
                _dot(axes, column, row, theme.run_metadata.traits(run)[column.name])
            else:
                _value(axes, column, row, cells[column.name, run], theme.colour(run))
    _headings(axes, columns, theme)
    ground = figure.add_axes((names / wide, 0.2 / high, 1.6 / wide, 0.09 / high))
    colours = ListedColormap(COLOURS(np.linspace(0, DARKEST, 128)))
    ticks = {0: "0: chance or negative control", 1: "1: oracle"}
    bar = colour_bar(figure, colours, ticks, cax=ground, orientation="horizontal")
    bar.tick_params(length=0, pad=1, labelsize=6)
    return figure


def _write(axes: Axes, x: float, y: float, text: str, **look: object) -> None:
    axes.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": 6.2, "color": INK} | look)


def _box(axes: Axes, left: float, row: float, size: tuple[float, float], **look: object) -> None:
    """Draw a box in the middle of a row; `add_patch` would take three times as long."""
    width, height = size
    axes.add_artist(Rectangle((left, row - height / 2), width, height, edgecolor="none", **look))


def _dot(axes: Axes, column: NamedTuple, row: int, answer: str) -> None:
    middle = column.left + column.width / 2
    if answer == "unknown":
        _write(axes, middle, row, NOT_GIVEN, color=QUIET)
    else:
        face, edge = (INK, INK) if answer == "yes" else ("white", "#CCCCCC")
        axes.plot([middle], [row], "o", ms=4.2, mfc=face, mec=edge, mew=0.7)


def _value(axes: Axes, column: NamedTuple, row: int, cell: dict, colour: str) -> None:
    middle, scaled = column.left + column.width / 2, cell["scaled"]
    if np.isnan(cell["mean"]):
        text = cell["shown"] if column.name == "score" else cell["shown"].split()[0]
        _write(axes, middle, row, text, color=QUIET)
    elif column.family in WIDTHS:
        full, part, face = 0.45, 0.04 + 0.96 * scaled, "#A9A9A9"
        if column.family == "score":
            part, face = np.clip(scaled, 0, 1), colour
        _box(axes, column.left, row, (full, 0.72), facecolor=FAINT, alpha=0.6)
        _box(axes, column.left, row, (full * part, 0.72), facecolor=face, alpha=0.75)
        place = "" if np.isnan(cell["rank"]) else f" #{int(cell['rank'])}"
        _write(axes, column.left + full + 0.04, row, cell["shown"] + place, ha="left")
    else:
        face = "white" if np.isnan(scaled) else COLOURS(np.clip(scaled, 0, 1) * DARKEST)
        _box(axes, column.left + 0.03, row, (column.width - 0.06, 0.84), facecolor=face)
        _write(axes, middle, row, cell["shown"], color="white" if scaled >= 0.55 else INK)


def _headings(axes: Axes, columns: pd.DataFrame, theme: Theme) -> None:
    over = {"transform": axes.get_xaxis_transform()}
    inch = 1 / (ROW * (axes.get_ylim()[0] + 0.5))  # as a fraction of the axes
    slanted = {"rotation": 50, "rotation_mode": "anchor", "ha": "left", "fontsize": 6.3}
    for column in columns.itertuples():
        middle = column.left + (0.2 if column.width > HEAT else column.width / 2)
        if column.family == "inputs":
            label = column.name.removeprefix("takes_")
        elif column.family == "score":
            label = theme.label("groups", column.name)
        else:
            label = theme.metric_of(column.family, column.name)
        _write(axes, middle, 1 + 0.06 * inch, label, **over, **slanted)
    named, y = {"inputs": "Inputs", "score": "Scaled scores"}, -0.07 * inch
    for family, members in columns.groupby("family", sort=False):
        left, right = members["left"].min(), (members["left"] + members["width"]).max()
        line = {"color": QUIET, "linewidth": 1.2, "clip_on": False}
        axes.plot([left + 0.02, right - 0.04], [y, y], **over, **line)
        label = named.get(family) or theme.label("groups", family)
        look = {"va": "top", "fontsize": 7, "fontweight": "bold"}
        _write(axes, (left + right) / 2, y - 0.05 * inch, label, **over, **look)
