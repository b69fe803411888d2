"""Virtual cells beside real ones: their layout, their types, and their marker features."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from mosaicbench.figures._panels import Drawn, bare, cloud, dot, grid, legend_below, shuffled
from mosaicbench.report.theme import FAINT, QUIET, SPARE, Theme, empty

CARD = {
    "label": "Virtual cells",
    "caption": (
        "Cells drawn from the prior of a run's model, first seed, beside the query cells. Left: "
        "one UMAP of both, on all modalities. Middle: the virtual cells, each with the type of the "
        "most similar mean real profile. Right: two marker features of every cell type and "
        "modality, their mean in the cells of a type, real against virtual; on the line they "
        "agree. The AUC is that of a classifier that separates virtual from real cells: 0.5 if it "
        "cannot, 1 if it always can. Virtual cells are expected values: they lack a measurement's "
        "noise, which alone can give them away."
    ),
    "needs": ["virtual_cells", "virtual_markers", "virtual_realism"],
    "per": "split",
    "only_with": "sampled_runs",
}
ORIGINS = {"real": "#BBBBBB", "generated": "#D55E00"}


def virtual_cells(
    *,
    virtual_cells: pd.DataFrame,
    virtual_markers: pd.DataFrame,
    virtual_realism: pd.DataFrame,
    theme: Theme,
) -> Drawn:
    """Draw the virtual cells of one split, a row of panels per run."""
    runs = theme.order("runs", virtual_cells["run"])
    if not runs:
        return empty("No run for virtual cells has a model."), virtual_markers
    figure, rows = grid(9.6, 3.4 * len(runs), len(runs), 3)
    types = theme.palette("cell_types", set(virtual_cells["cell_type"]) - {""})
    for run, (by_origin, by_type, of_markers) in zip(runs, rows, strict=True):
        cells = virtual_cells[virtual_cells["run"] == run]
        auc = ", ".join(
            f"{theme.label('modalities', row.modality)} {row.realism_auc:.2f}"
            for row in virtual_realism[virtual_realism["run"] == run].itertuples()
        )
        _origins(by_origin, cells)
        by_origin.set_title(f"{theme.label('runs', run)}: real and virtual\nclassifier AUC {auc}")
        _types(by_type, cells, types)
        _markers(of_markers, virtual_markers[virtual_markers["run"] == run], theme)
    if types:
        dots = [dot(name, colour) for name, colour in types.items()]
        legend_below(figure, dots, min(len(dots), 6))
    return figure, virtual_markers


def _origins(axes: Axes, cells: pd.DataFrame) -> None:
    points = shuffled(cells)
    bare(axes)
    cloud(axes, points["x"], points["y"], points["origin"].map(ORIGINS).tolist(), points=len(cells))
    for name, colour in zip(("real", "virtual"), ORIGINS.values(), strict=True):
        axes.plot([], [], "o", ms=4, color=colour, label=name)
    axes.legend(loc="best")


def _types(axes: Axes, cells: pd.DataFrame, palette: dict[str, str]) -> None:
    is_real = cells["origin"] == "real"
    real, virtual = cells[is_real], cells[~is_real]
    bare(axes)
    cloud(axes, real["x"], real["y"], FAINT, points=len(cells))
    colours = [palette.get(name, SPARE) for name in virtual["cell_type"]]
    cloud(axes, virtual["x"], virtual["y"], colours, points=len(cells))
    axes.set_title("virtual, by the most similar type")


def _markers(axes: Axes, markers: pd.DataFrame, theme: Theme) -> None:
    both = markers.dropna(subset=["real", "generated"])
    palette = theme.palette("modalities", markers["modality"])
    for modality, rows in both.groupby("modality"):
        label = theme.label("modalities", modality)
        axes.plot(rows["real"], rows["generated"], "o", ms=3, color=palette[modality], label=label)
    if len(both):
        values = both[["real", "generated"]].to_numpy()
        ends = [values.min(), values.max()]
        axes.plot(ends, ends, color=QUIET, linewidth=0.6)
        axes.legend(loc="best")
    axes.set(
        title="marker features by cell type",
        xlabel="mean in real cells (sd)",
        ylabel="mean in virtual cells (sd)",
    )
