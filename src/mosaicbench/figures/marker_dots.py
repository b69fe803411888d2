"""The clusters of each run and the features that mark them: a dot plot."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mosaicbench.figures._panels import dot, name_cells, nothing, shortened, wrapped
from mosaicbench.report.projections import COLUMNS as OF_CELLS
from mosaicbench.report.theme import FAINT, INK, QUIET, Theme

CARD = {
    "label": "Markers of the Leiden clusters",
    "caption": (
        "Measured values of the two features that mark each Leiden cluster best (highest t against all other cells), per "
        "run: clusters of its joint latents, or of a modality's own where there are none, of at most 2,000 query cells of "
        "the first seed. A dot's area is the share of a cluster's cells above 0 (of other than log-normalised values: above "
        "the mean of all cells), its colour the mean, scaled per feature from its lowest to its highest cluster. A row "
        "names the cluster, its cells, and its most frequent cell type with its share. Dots along the diagonal are clusters "
        "with markers of their own. Modalities whose features have no names (LSI components) and clusters of fewer than 5 "
        "cells are left out."
    ),
    "needs": ["markers", "runs"],
    "per": "split",
}
COLUMNS = [*(name for name in OF_CELLS["markers"] if name not in ("dataset", "scenario")), "scaled"]
COLOURS = "YlGnBu"
DOT = 0.155  # inches
LARGEST = 44.0  # points squared


def marker_dots(
    *, markers: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw the markers of one split.

    Returns
    -------
    tuple
        The figure, and one row per dot.
    """
    if markers.empty:
        return nothing("No run that was projected has clusters with markers.", COLUMNS)
    of_feature = markers.groupby(["run", "modality", "feature"])["mean"]
    width = (of_feature.transform("max") - of_feature.transform("min")).replace(0, np.nan)
    drawn = markers.assign(
        scaled=((markers["mean"] - of_feature.transform("min")) / width).fillna(0)
    )[COLUMNS]
    rows, modalities = (
        theme.order("runs", drawn["run"]),
        theme.order("modalities", drawn["modality"]),
    )
    heights = [DOT * drawn.loc[drawn["run"] == run, "leiden"].nunique() + 0.95 for run in rows]
    widths = [
        DOT * drawn[drawn["modality"] == m].groupby("run")["feature"].nunique().max() + 1.5
        for m in modalities
    ]
    figure = Figure(figsize=(sum(widths) + 0.5, sum(heights) + 0.9), layout="constrained")
    panels = figure.subplots(
        len(rows), len(modalities), squeeze=False, height_ratios=heights, width_ratios=widths
    )
    for axes_of_run, run in zip(panels, rows, strict=True):
        for axes, modality, wide in zip(axes_of_run, modalities, widths, strict=True):
            dots = drawn[(drawn["run"] == run) & (drawn["modality"] == modality)]
            if dots.empty:
                axes.axis("off")
                continue
            _dots(axes, dots)
            title = f"{theme.label('runs', run)}, {theme.label('modalities', modality)}"
            room = wide - 0.8  # inches, beside the names of the clusters
            axes.set_title(
                wrapped(title, width=max(14, int(10 * room)))
            )  # about ten letters to an inch
    figure.legend(
        handles=_sizes(),
        loc="outside lower left",
        ncols=4,
        title="share of cells",
        handletextpad=0.2,
    )
    colours = ScalarMappable(norm=Normalize(0, 1), cmap=colormaps[COLOURS])
    bar = figure.colorbar(
        colours,
        ax=panels.ravel().tolist(),
        location="bottom",
        shrink=0.25,
        aspect=25,
        ticks=[0, 1],
        pad=0.01,
    )
    bar.ax.set_xticklabels(["lowest mean", "highest"])
    bar.outline.set_visible(False)
    cells = (
        drawn.drop_duplicates(["run", "modality", "leiden"])
        .groupby(["run", "modality"])["cells"]
        .sum()
        .max()
    )
    name_cells(figure, theme, runs, drawn["seed"].iloc[0], cells)
    return figure, drawn.reset_index(drop=True)


def _dots(axes: Axes, dots: pd.DataFrame) -> None:
    clusters = dots.drop_duplicates("leiden").sort_values("leiden").set_index("leiden")
    features = (
        dots.drop_duplicates("feature").sort_values("marks", kind="stable")["feature"].tolist()
    )
    columns, rows = (
        dots["feature"].map(features.index),
        dots["leiden"].map(list(clusters.index).index),
    )
    axes.scatter(
        columns,
        rows,
        s=LARGEST * dots["above"],
        c=dots["scaled"],
        cmap=COLOURS,
        vmin=0,
        vmax=1,
        linewidths=0.4,
        edgecolors=QUIET,
    )
    named = [_cluster(int(name), row) for name, row in clusters.iterrows()]
    axes.set_yticks(range(len(clusters)), named, fontsize=6)
    axes.set_xticks(
        range(len(features)),
        [shortened(name, most=18) for name in features],
        rotation=90,
        fontsize=6,
    )
    axes.tick_params(length=0, labelcolor=INK)
    axes.set_xlim(-0.7, len(features) - 0.3)
    axes.set_ylim(len(clusters) - 0.3, -0.7)
    axes.grid(color=FAINT)
    axes.spines[:].set_visible(False)


def _cluster(name: int, row: pd.Series) -> str:
    text = f"{name} · {int(row['cells']):,}"
    return text + (
        f" · {shortened(row['cell_type'], most=20)} {row['share']:.0%}" if row["cell_type"] else ""
    )


def _sizes() -> list[Line2D]:
    shares = (0.1, 0.25, 0.5, 1.0)
    return [dot(f"{share:.0%}", QUIET, size=np.sqrt(LARGEST * share)) for share in shares]
