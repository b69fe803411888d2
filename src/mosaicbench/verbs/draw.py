"""Draw: one figure from the tables, as SVG and PNG, beside the numbers that it shows."""

from __future__ import annotations

import importlib
from pathlib import Path

import pandas as pd

from mosaicbench import catalog, files
from mosaicbench.errors import UserError
from mosaicbench.report import theme
from mosaicbench.report.tables import joined, of_view, read_tables

PROJECTION_COLUMNS = ["dataset", "scenario", "run", "seed", "source", "cell", "modality", "cell_type", "batch", "x", "y"]


def run(*, figure: str, tables: Path, projections: list[Path], display: Path, views: list[str], output: Path) -> None:
    """Write ``output/{dataset}/{scenario}/{figure}.{svg,png,tsv}`` per view, or ``output/{figure}.*`` for a figure of all.

    Parameters
    ----------
    figure
        A file of ``report/figures``.
    tables
        The folder that ``tabulate`` wrote.
    projections
        ``projection.tsv`` of the runs; read only for a figure that needs them.
    display
        ``display.yaml``.
    views
        "dataset/scenario" of each view to draw.
    output
        The folder of the figures.

    Raises
    ------
    UserError
        When there is no such figure.
    """
    if figure not in catalog.names("figures"):
        raise UserError(f"there is no figure {figure!r}; the figures are {', '.join(catalog.names('figures'))}")
    card = catalog.card("figures", figure)
    draw = getattr(importlib.import_module(catalog.module("figures", figure)), figure)
    needs = [name for name in catalog.parameters("figures", figure) if name != "theme"]
    read = read_tables(tables)
    if "projection" in needs:
        read["projection"] = joined([files.read_table(path, PROJECTION_COLUMNS) for path in projections], PROJECTION_COLUMNS)
    known = theme.read_theme(display, read["runs"])
    for view in views if card["per"] == "view" else [None]:
        shown: dict[str, pd.DataFrame] = {name: read[name] for name in needs}
        folder = Path(output)
        if view is not None:
            dataset, scenario = view.split("/")
            shown = {name: of_view(table, dataset, scenario) for name, table in shown.items()}
            folder = folder / dataset / scenario
        with theme.style():
            picture, drawn = draw(**shown, theme=known)
            theme.save(picture, drawn, folder / figure)
