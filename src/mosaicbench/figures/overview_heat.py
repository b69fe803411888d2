"""All runs and scores at a glance: what each run uses, its overall score, every family of metrics, what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib import colormaps, rcParams
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mosaicbench.catalog.run_metadata import TRAITS
from mosaicbench.figures._panels import (
    FLOOR,
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
        "Each run is a row. Dots: what it uses beside the cells' values. Bars: the overall score and the groups of metrics "
        "that it averages, with the run's place among models and baselines; a run without all of them has none (its value "
        "follows a †). Cells: means over seeds, and over directions, as printed (recall, accuracy and the like without the "
        "leading 0); the colour is the mean on a scale from 0, chance (where a metric has none, the strongest control that "
        "knows nothing), to 1, the oracle control of the split (where it gives none, the best possible value). What lies "
        "outside is coloured as the nearer end; a metric in which a control that knows nothing reaches the oracle has no "
        "scale and stays white. Competitors never set the scale. Time and memory: bars on logarithmic scales. A dash: not "
        "applicable or not given; a cross: failed; †: a mean over fewer directions or sources than another run gave."
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
    """Draw the scaled means of one split.

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
        return nothing("No run of this split has a score to draw.", COLUMNS)
    used = measured_resources(summary, "mean")
    parts = _scores(overall)
    for family, names in (families | {"resources": used}).items():
        for name in names:
            means = summary[summary["metric"] == name].set_index("run")
            cells = _resource(means, name) if family == "resources" else _scaled(means, name, theme)
            parts.append((family, name, cells))
    absent = [absence(runs, run) for run in rows]
    drawn = pd.concat(
        [
            cells.reindex(rows).assign(family=family, metric=name, absent=absent)
            for family, name, cells in parts
        ]
    ).reset_index(names="run")
    drawn["shown"] = drawn["shown"].fillna(drawn["absent"])
    drawn["seeds"] = drawn["seeds"].fillna(0).astype(int)
    drawn = drawn.reindex(columns=COLUMNS)
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
            _dots(axes, column, [theme.run_metadata.traits(run)[column.name] for run in rows])
        else:
            for row, run in enumerate(rows):
                _value(axes, column, row, cells[column.name, run], theme.colour(run))
    _headings(axes, columns, theme)
    _scale(figure, size, names)
    name_split(figure, theme, runs)
    return figure, drawn


def _scores(overall: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Return the overall score of every run, and its groups, each with its family."""
    lines, parts = overall.set_index("run"), []
    is_ranked = lines["rank"].notna().sum() > 1
    for name in SCORES:
        means = lines.dropna(subset=name)
        lacks = ~means["complete"].astype(bool) & (name == "score")
        texts = means[name].map("{:z.2f}".format) + lacks.map({True: FEWER, False: ""})
        cells = means[["seeds"]].assign(mean=means[name], scaled=means[name], shown=texts)
        cells["rank"] = means["rank"] if name == "score" and is_ranked else np.nan
        parts.append(("score", name, cells))
    return parts


def _scaled(means: pd.DataFrame, metric: str, theme: Theme) -> pd.DataFrame:
    """Return a metric's mean of every run, and its place on the scale from 0 to 1."""
    scale = ends(means["mean"], metric, theme.run_metadata)
    width = scale["one"] - scale["zero"]
    has_scale = width * theme.run_metadata.sign(metric) > 0
    scaled = (means["mean"] - scale["zero"]) / (width if has_scale else np.nan)
    texts = means["mean"].map(partial(number, metric))
    texts = texts.str.replace(r"^(-?)0\.", r"\1.", regex=True)
    texts = texts.where(means["directions"] == means["of_directions"], texts + FEWER)
    return means[["mean", "sd", "seeds"]].assign(scaled=scaled, shown=texts, **scale)


def _resource(means: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return what every run took; `scaled` is its place between the least and the most, on a logarithmic scale."""
    logs = np.log10(means["mean"].clip(lower=FLOOR))
    scaled = (logs - logs.min()) / (logs.max() - logs.min() or 1)
    texts = means["mean"].map(partial(number, metric))
    return means[["mean", "sd", "seeds"]].assign(scaled=scaled, shown=texts)


def _columns(families: dict[str, list[str]], used: list[str], drawn: pd.DataFrame) -> list[_Column]:
    scored = [name for name in SCORES if drawn.loc[drawn["metric"] == name, "mean"].notna().any()]
    blocks = [("inputs", TRAITS, "dot", DOT), ("score", scored, "bar", BAR)]
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


def _write(axes: Axes, x: float, y: float, text: str, **look: object) -> None:
    axes.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": 6.2, "color": INK} | look)


def _box(axes: Axes, left: float, row: float, size: tuple[float, float], **look: object) -> None:
    """Draw a box in the middle of a row; as an artist, since `add_patch` takes three times as long to find its outline."""
    width, height = size
    axes.add_artist(Rectangle((left, row - height / 2), width, height, edgecolor="none", **look))


def _dots(axes: Axes, column: _Column, used: list[str]) -> None:
    """Draw what the runs use, a row each."""
    middle = column.left + column.width / 2
    for row, answer in enumerate(used):
        if answer == "unknown":
            _write(axes, middle, row, NOT_GIVEN, color=QUIET)
        else:
            face, edge = (INK, INK) if answer == "yes" else ("white", "#CCCCCC")
            axes.plot([middle], [row], "o", ms=4.2, mfc=face, mec=edge, mew=0.7)


def _value(axes: Axes, column: _Column, row: int, cell: dict, colour: str) -> None:
    """Draw one score: a coloured cell, or a bar; where there is no value, only the sign of absence."""
    middle, scaled = column.left + column.width / 2, cell["scaled"]
    if np.isnan(cell["mean"]):
        text = cell["shown"] if column.name == "score" else cell["shown"].split()[0]
        _write(axes, middle, row, text, color=QUIET)
    elif column.kind == "heat":
        face = "white" if np.isnan(scaled) else COLOURS(np.clip(scaled, 0, 1) * DARKEST)
        _box(axes, column.left + 0.03, row, (column.width - 0.06, 0.84), facecolor=face)
        _write(axes, middle, row, cell["shown"], color="white" if scaled >= 0.55 else INK)
    else:
        is_score = column.kind == "bar"
        full, part = 0.45, np.clip(scaled, 0, 1) if is_score else 0.04 + 0.96 * scaled
        _box(axes, column.left, row, (full, 0.72), facecolor=FAINT, alpha=0.6)
        face = colour if is_score else "#A9A9A9"
        _box(axes, column.left, row, (full * part, 0.72), facecolor=face, alpha=0.75)
        place = "" if np.isnan(cell["rank"]) else f" #{int(cell['rank'])}"
        _write(axes, column.left + full + 0.04, row, cell["shown"] + place, ha="left")


def _headings(axes: Axes, columns: list[_Column], theme: Theme) -> None:
    """Write each column's name at a slant, and each family's above a line over its columns."""
    over = axes.get_xaxis_transform()
    rows = axes.get_ylim()[0] + 0.5
    per_inch = 1 / (ROW * rows)  # axes fraction of an inch
    slanted = {"rotation": 50, "rotation_mode": "anchor", "ha": "left", "fontsize": 6.3}
    for column in columns:
        if column.kind == "dot":
            label = column.name.removeprefix("takes_")
        elif column.family == "score":
            label = theme.label("groups", column.name)
        else:
            label = theme.metric_of(column.family, column.name)
        middle = column.left + (column.width / 2 if column.kind in ("dot", "heat") else 0.2)
        _write(axes, middle, 1 + 0.06 * per_inch, label, transform=over, **slanted)
    named, y = {"inputs": "Uses", "score": "Scaled scores"}, -0.07 * per_inch
    head = {"va": "top", "fontsize": 7, "fontweight": "bold", "transform": over}
    for family in dict.fromkeys(column.family for column in columns):
        members = [column for column in columns if column.family == family]
        left, right = members[0].left, members[-1].left + members[-1].width
        line = {"color": QUIET, "linewidth": 1.2, "transform": over, "clip_on": False}
        axes.plot([left + 0.02, right - 0.04], [y, y], **line)
        label = named.get(family) or theme.label("groups", family)
        _write(axes, (left + right) / 2, y - 0.05 * per_inch, label, **head)


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
