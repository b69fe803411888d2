"""The query cells in two dimensions, coloured by modality and by cell type."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mosaicbench.report.figures._panels import name_view
from mosaicbench.report.theme import INK, QUIET, SPARE, Theme, empty

CARD = {
    "label": "UMAP of the query cells",
    "caption": (
        "The latents of the query cells of the first seed, projected with UMAP for each run by itself: left coloured by "
        "modality, right by cell type. Where a run embeds each modality, a cell is drawn once per modality, and well aligned "
        "modalities lie on top of each other. At most four runs are drawn, models before baselines; distances between clusters "
        "mean little."
    ),
    "needs": ["projection", "runs"],
    "per": "view",
}
COLUMNS = ["run", "seed", "source", "cell", "modality", "cell_type", "x", "y"]
MOST_RUNS = 4
MOST_TYPES = 24


def umap(*, projection: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> tuple[Figure, pd.DataFrame]:
    """Draw the projection of one view.

    Parameters
    ----------
    projection
        dataset, scenario, run, seed, source, cell, modality, cell_type, batch, x, y of one view.
    runs
        The runs of the view.
    theme
        Labels, colours and order.

    Returns
    -------
    tuple
        The figure, and the points drawn.
    """
    methods = theme.order("runs", (run for run in projection["run"].unique() if theme.kind(run) != "control"))
    chosen = methods[:MOST_RUNS]
    if not chosen:
        return empty("No model or baseline of this view has latents to project."), pd.DataFrame(columns=COLUMNS)
    drawn = pd.concat([_points(projection[projection["run"] == run]) for run in chosen], ignore_index=True)[COLUMNS]
    drawn = drawn.assign(cell_type=drawn["cell_type"].astype(object).where(drawn["cell_type"].notna(), "").map(str))
    palettes = {
        "modality": theme.palette("modalities", drawn["modality"]),
        "cell_type": theme.palette("cell_types", drawn.loc[drawn["cell_type"] != "", "cell_type"]),
    }
    if (drawn["cell_type"] == "").any():
        palettes["cell_type"][""] = SPARE
    labels = {
        "modality": {name: theme.label("modalities", name) for name in palettes["modality"]},
        "cell_type": {name: name or "unlabelled" for name in palettes["cell_type"]},
    }

    figure = Figure(figsize=(7.6, 0.5 + 2.6 * len(chosen)), layout="constrained")
    panels = figure.subplots(len(chosen), 2, squeeze=False)
    for axes_of_run, run in zip(panels, chosen, strict=True):
        points = drawn[drawn["run"] == run]
        order = np.random.default_rng(0).permutation(len(points))  # so that no modality lies on top of another
        for axes, column in zip(axes_of_run, palettes, strict=True):
            _scatter(axes, points.iloc[order], column, palettes[column])
        cells = points["cell"].nunique()
        axes_of_run[0].set_title(f"{theme.label('runs', run)}  (seed {points['seed'].iloc[0]}, {cells} cells)")
    name_view(figure, theme, runs)
    for axes, column in zip(panels[0], palettes, strict=True):
        handles = _handles(palettes[column], labels[column])
        title = {"modality": "Modality", "cell_type": "Cell type"}[column]
        loc, where = {"modality": ("upper right", (-0.02, 1.0)), "cell_type": ("upper left", (1.0, 1.0))}[column]
        legend = axes.legend(handles=handles, title=title, loc=loc, bbox_to_anchor=where, handletextpad=0.2)
        legend.set_alignment("left")
        legend.get_title().set_color(INK)
    return figure, drawn


def _points(projection: pd.DataFrame) -> pd.DataFrame:
    """Return the first seed's points: of the modalities, if the run embeds each, else the joint ones."""
    first = projection[projection["seed"] == projection["seed"].min()]
    single = first[first["source"] != "joint"]
    return single if len(single) else first


def _scatter(axes: Axes, points: pd.DataFrame, column: str, palette: dict[str, str]) -> None:
    size = float(np.clip(6000 / max(len(points), 1), 0.6, 9))
    colours = points[column].map(palette).tolist()
    axes.scatter(points["x"], points["y"], c=colours, s=size, linewidths=0, alpha=0.8, rasterized=True)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_aspect("equal", adjustable="datalim")


def _handles(palette: dict[str, str], labels: dict[str, str]) -> list[Line2D]:
    shown = list(palette)[:MOST_TYPES]
    handles = [Line2D([], [], marker="o", ms=4, linestyle="none", color=palette[name], label=labels[name]) for name in shown]
    if len(palette) > len(shown):
        more = f"and {len(palette) - len(shown)} more"
        handles.append(Line2D([], [], linestyle="none", color=QUIET, label=more))
    return handles
