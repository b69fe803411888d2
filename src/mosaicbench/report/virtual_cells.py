"""Virtual cells beside real ones: where they lie, and whether marker features are where they should be."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mosaicbench.report.theme import FAINT, QUIET, SPARE, Theme

ORIGINS = {"real": "#BBBBBB", "generated": "#D55E00"}


def virtual_cells(
    *, cells: pd.DataFrame, markers: pd.DataFrame, realism: pd.DataFrame, run: str, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw one run's virtual cells.

    Parameters
    ----------
    cells
        origin ("real" or "generated"), cell, cell_type, x, y.
    markers
        modality, marker_of, feature, cell_type, real, generated: mean standardised values.
    realism
        modality, realism_auc.
    run
        The run's id.
    theme
        Labels and colours.

    Returns
    -------
    tuple
        The figure, and the markers drawn.
    """
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    by_origin, by_type, of_markers = figure.subplots(1, 3)
    auc = ", ".join(f"{theme.label('modalities', row.modality)} {row.realism_auc:.2f}" for row in realism.itertuples())
    figure.suptitle(
        f"{theme.label('runs', run)}: cells drawn from the prior   (classifier AUC: {auc}; 0.5 is real)", fontsize=9
    )

    shown = cells.iloc[np.random.default_rng(0).permutation(len(cells))]
    _scatter(by_origin, shown, shown["origin"].map(ORIGINS).tolist())
    for name, colour in ORIGINS.items():
        by_origin.plot([], [], "o", ms=4, color=colour, label=name)
    by_origin.legend(loc="best")
    by_origin.set_title("Real and generated")

    palette = theme.palette("cell_types", cells.loc[cells["cell_type"] != "", "cell_type"])
    made = shown[shown["origin"] == "generated"]
    _scatter(by_type, shown[shown["origin"] == "real"], FAINT)
    _scatter(by_type, made, [palette.get(name, SPARE) for name in made["cell_type"]])
    by_type.set_title("Generated, by the most similar type")

    both = markers.dropna()
    for modality, rows in both.groupby("modality"):
        colour = theme.palette("modalities", markers["modality"])[modality]
        of_markers.plot(rows["real"], rows["generated"], "o", ms=3, color=colour, label=theme.label("modalities", modality))
    if len(both):
        ends = [both[["real", "generated"]].min().min(), both[["real", "generated"]].max().max()]
        of_markers.plot(ends, ends, color=QUIET, linewidth=0.6)
        of_markers.legend(loc="best")
    of_markers.set(
        title="Marker features by cell type", xlabel="mean in real cells (sd)", ylabel="mean in generated cells (sd)"
    )
    return figure, markers


def _scatter(axes: Axes, points: pd.DataFrame, colours: object) -> None:
    axes.scatter(points["x"], points["y"], c=colours, s=5, linewidths=0, alpha=0.8, rasterized=True)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_aspect("equal", adjustable="datalim")
