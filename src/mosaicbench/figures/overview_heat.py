"""All runs and scores at a glance: what each run uses, its overall score, every family of metrics, what it cost."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import colormaps, rcParams
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from mosaicbench.figures._panels import (
    FLOOR,
    inches,
    label_rows,
    measured_resources,
    name_view,
    nothing,
)
from mosaicbench.report.tables.text import FEWER, NOT_GIVEN, absence, number
from mosaicbench.report.theme import FAINT, INK, QUIET, Theme
from mosaicbench.roster import TRAITS
from mosaicbench.statistics.common import FOSCTTM, MACRO_F1, RECALL, TRANSFER
from mosaicbench.statistics.overall import SCORES
from mosaicbench.statistics.scale import ends
from mosaicbench.statistics.summary import headline

CARD = {
    "label": "Overview",
    "caption": (
        "Each run is a row. Dots: what it uses beside the cells' values. Bars: the overall score and the groups of metrics "
        "that it averages, with the run's place among models and baselines; a run without all of them has none (its value "
        "follows a †). Cells: means over seeds, and over directions, as printed (recall, accuracy and the like without the "
        "leading 0); the colour is the mean on a scale from 0, chance (where a metric has none, the strongest control that "
        "knows nothing), to 1, the oracle control of the view (where it gives none, the best possible value). What lies "
        "outside is coloured as the nearer end; a metric in which a control that knows nothing reaches the oracle has no "
        "scale and stays white. Competitors never set the scale. Time and memory: bars on logarithmic scales. A dash: not "
        "applicable or not given; a cross: failed; †: a mean over fewer directions or sources than another run gave."
    ),
    "needs": ["scores", "overall", "runs"],
    "per": "view",
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
DARKEST = 0.92
HEAT, BAR, RANK, DOT, GAP, ROW = 0.41, 0.82, 0.18, 0.2, 0.16, 0.25  # inches


@dataclass(frozen=True)
class _Column:
    """A column of the picture: what it shows, where it starts and how wide it is, in inches."""

    family: str
    name: str
    kind: str
    left: float
    width: float


def overview_heat(
    *, scores: pd.DataFrame, overall: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw the scaled means of one view.

    Returns
    -------
    tuple
        The figure, and one row per score and run: the mean, both ends of the scale and what they are, the scaled mean.
    """
    summary = headline(scores)
    families = {
        name: [metric for metric in metrics if metric in set(summary["metric"])]
        for name, metrics in FAMILIES.items()
    }
    rows = theme.order("runs", runs["run"])
    if not any(families.values()):
        return nothing("No run of this view has a score to draw.", COLUMNS)
    used = measured_resources(summary, "mean")
    absent = {run: absence(runs, run) for run in rows}
    drawn = pd.concat(
        [
            _bars(overall, absent),
            *[
                _cells(family, metric, summary, absent, theme)
                for family, names in families.items()
                for metric in names
            ],
            *[_resources(metric, summary, absent) for metric in used],
        ],
        ignore_index=True,
    )[COLUMNS]
    columns = _columns(families, used, drawn)

    width, top = columns[-1].left + columns[-1].width, 1.35
    names = max(
        1.5,
        0.2 + max(inches(theme.label("runs", run), rcParams["ytick.labelsize"]) for run in rows),
    )
    figure = Figure(figsize=(names + width + 0.25, ROW * len(rows) + top + 0.75))
    size = figure.get_size_inches()
    axes = figure.add_axes(
        (names / size[0], 0.55 / size[1], width / size[0], ROW * len(rows) / size[1])
    )
    axes.spines[:].set_visible(False)
    axes.set_xlim(0, width)
    label_rows(axes, theme, rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks([])
    for row in range(1, len(rows), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#F7F7F7", zorder=0)
    cells = {(cell["metric"], cell["run"]): cell for cell in drawn.to_dict("records")}
    for column in columns:
        if column.kind == "dot":
            _dots(axes, column, [theme.roster.traits(run)[column.name] for run in rows])
        else:
            for row, run in enumerate(rows):
                _value(axes, column, row, cells[column.name, run], theme.colour(run))
    _headings(axes, columns, theme)
    _scale(figure, size, names)
    name_view(figure, theme, runs)
    return figure, drawn


def _bars(overall: pd.DataFrame, absent: dict[str, str]) -> pd.DataFrame:
    """Return the overall score of every run, and its groups."""
    lines, ranked = overall.set_index("run"), overall["rank"].notna().sum()
    parts = []
    for name in SCORES:
        means = lines.dropna(subset=name)
        is_whole = means["complete"] | (name != "score")
        texts = [
            f"{mean:z.2f}{'' if whole else FEWER}"
            for mean, whole in zip(means[name], is_whole, strict=True)
        ]
        cells = means[["seeds"]].assign(mean=means[name], scaled=means[name], shown=texts)
        if name == "score" and ranked > 1:
            cells["rank"] = means["rank"]
        parts.append(_of_all_runs(cells, "score", name, absent))
    return pd.concat(parts, ignore_index=True)


def _cells(
    family: str, metric: str, summary: pd.DataFrame, absent: dict[str, str], theme: Theme
) -> pd.DataFrame:
    """Return a metric's mean of every run, and its place on the scale from 0 to 1."""
    means = summary[summary["metric"] == metric].set_index("run")
    scale = ends(means["mean"], metric, theme.roster)
    width = scale["one"] - scale["zero"]
    scaled = (means["mean"] - scale["zero"]) / (
        width if width * theme.roster.sign(metric) > 0 else np.nan
    )
    is_whole = means["directions"] == means["of_directions"]
    numbers = [re.sub(r"^(-?)0\.", r"\1.", number(metric, mean)) for mean in means["mean"]]
    texts = [text if whole else text + FEWER for text, whole in zip(numbers, is_whole, strict=True)]
    cells = means[["mean", "sd", "seeds"]].assign(scaled=scaled, shown=texts)
    return _of_all_runs(cells, family, metric, absent).assign(**scale)


def _resources(metric: str, summary: pd.DataFrame, absent: dict[str, str]) -> pd.DataFrame:
    """Return what every run took; `scaled` is its place between the least and the most, on a logarithmic scale."""
    means = summary[summary["metric"] == metric].set_index("run")
    logs = np.log10(means["mean"].clip(lower=FLOOR))
    scaled = (logs - logs.min()) / (logs.max() - logs.min() or 1)
    texts = [number(metric, mean) for mean in means["mean"]]
    cells = means[["mean", "sd", "seeds"]].assign(scaled=scaled, shown=texts)
    return _of_all_runs(cells, "resources", metric, absent)


def _of_all_runs(
    cells: pd.DataFrame, family: str, metric: str, absent: dict[str, str]
) -> pd.DataFrame:
    """Return one row for each of the runs of `absent`, which says why one without a row in `cells` has no value."""
    table = cells.reindex(list(absent)).rename_axis("run").reset_index()
    texts = [
        sign if pd.isna(text) else text
        for sign, text in zip(absent.values(), table["shown"], strict=True)
    ]
    seeds = table["seeds"].fillna(0).astype(int)
    return table.assign(family=family, metric=metric, seeds=seeds, shown=texts).reindex(
        columns=COLUMNS
    )


def _columns(families: dict[str, list[str]], used: list[str], drawn: pd.DataFrame) -> list[_Column]:
    scored = [name for name in SCORES if drawn.loc[drawn["metric"] == name, "mean"].notna().any()]
    blocks = [("uses", TRAITS, "dot", DOT), ("score", scored, "bar", BAR)]
    blocks += [(family, names, "heat", HEAT) for family, names in families.items()]
    blocks += [("resources", used, "cost", BAR)]
    columns, left = [], 0.1
    for family, names, kind, width in blocks:
        for name in names:
            columns.append(
                _Column(family, name, kind, left, width + RANK if name == "score" else width)
            )
            left += columns[-1].width
        left += GAP if names else 0
    return columns


def _dots(axes: Axes, column: _Column, used: list[str]) -> None:
    """Draw what the runs use, a row each."""
    middle = column.left + column.width / 2
    rows = {
        answer: [row for row, said in enumerate(used) if said == answer]
        for answer in ("yes", "no", "unknown")
    }
    for answer, face, edge in (("yes", INK, INK), ("no", "white", "#CCCCCC")):
        axes.plot(
            [middle] * len(rows[answer]), rows[answer], "o", ms=4.2, mfc=face, mec=edge, mew=0.7
        )
    for row in rows["unknown"]:
        axes.text(middle, row, NOT_GIVEN, ha="center", va="center", color=QUIET, fontsize=6)


def _value(axes: Axes, column: _Column, row: int, cell: dict, colour: str) -> None:
    """Draw one score: a coloured cell, or a bar; where there is no value, only the sign of absence.

    The axes' limits stand, so patches are added as artists: `add_patch` would ask each for its outline, a third of the time.
    """
    middle = column.left + column.width / 2
    if np.isnan(cell["mean"]):
        sign, _, reason = cell["shown"].partition(" ")
        text = cell["shown"] if column.name == "score" and reason else sign
        axes.text(middle, row, text, ha="center", va="center", color=QUIET, fontsize=6)
    elif column.kind == "heat":
        scaled = cell["scaled"]
        face = "white" if np.isnan(scaled) else COLOURS(np.clip(scaled, 0, 1) * DARKEST)
        box = (column.left + 0.03, row - 0.42)
        style = "round,pad=0,rounding_size=0.06"
        axes.add_artist(
            FancyBboxPatch(
                box, column.width - 0.06, 0.84, boxstyle=style, facecolor=face, edgecolor="none"
            )
        )
        ink = INK if np.isnan(scaled) or scaled < 0.55 else "white"
        axes.text(middle, row, cell["shown"], ha="center", va="center", color=ink, fontsize=6.2)
    else:
        full = 0.45
        width = full * (
            np.clip(cell["scaled"], 0, 1) if column.kind == "bar" else 0.04 + 0.96 * cell["scaled"]
        )
        face = colour if column.kind == "bar" else "#A9A9A9"
        axes.add_artist(
            Rectangle(
                (column.left, row - 0.36), full, 0.72, facecolor=FAINT, edgecolor="none", alpha=0.6
            )
        )
        axes.add_artist(
            Rectangle(
                (column.left, row - 0.36), width, 0.72, facecolor=face, edgecolor="none", alpha=0.75
            )
        )
        place = "" if np.isnan(cell["rank"]) else f" #{int(cell['rank'])}"
        axes.text(
            column.left + full + 0.04,
            row,
            cell["shown"] + place,
            va="center",
            color=INK,
            fontsize=6.2,
        )


def _headings(axes: Axes, columns: list[_Column], theme: Theme) -> None:
    """Write each column's name at a slant, and each family's above a line over its columns."""
    over = axes.get_xaxis_transform()
    rows = axes.get_ylim()[0] + 0.5
    per_inch = 1 / (ROW * rows)  # axes fraction of an inch
    for column in columns:
        if column.kind == "dot":
            label = column.name.removeprefix("uses_")
        else:
            score = column.family == "score"
            label = (
                theme.label("groups", column.name)
                if score
                else theme.metric_of(column.family, column.name)
            )
        axes.text(
            column.left + (column.width / 2 if column.kind in ("dot", "heat") else 0.2),
            1 + 0.06 * per_inch,
            label,
            rotation=50,
            rotation_mode="anchor",
            ha="left",
            va="center",
            transform=over,
            fontsize=6.3,
        )
    for family in dict.fromkeys(column.family for column in columns):
        members = [column for column in columns if column.family == family]
        left, right = members[0].left, members[-1].left + members[-1].width
        y = -0.07 * per_inch
        axes.plot(
            [left + 0.02, right - 0.04],
            [y, y],
            color=QUIET,
            linewidth=1.2,
            transform=over,
            clip_on=False,
        )
        label = {"uses": "Uses", "score": "Scaled scores"}.get(family) or theme.label(
            "groups", family
        )
        axes.text(
            (left + right) / 2,
            y - 0.05 * per_inch,
            label,
            ha="center",
            va="top",
            transform=over,
            fontsize=7,
            fontweight="bold",
        )


def _scale(figure: Figure, size: np.ndarray, left: float) -> None:
    """Add the colour scale of the cells; its dark end is left out, so that white text can be read on all of it."""
    colours = COLOURS(np.linspace(0, DARKEST, 128))
    ground = figure.add_axes((left / size[0], 0.2 / size[1], 1.6 / size[0], 0.09 / size[1]))
    bar = figure.colorbar(
        ScalarMappable(norm=Normalize(0, 1), cmap=ListedColormap(colours)),
        cax=ground,
        orientation="horizontal",
        ticks=[0, 1],
    )
    bar.ax.set_xticklabels(["0: chance or negative control", "1: oracle"], fontsize=6)
    bar.ax.tick_params(length=0, pad=1)
    bar.outline.set_visible(False)
