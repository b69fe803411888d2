"""Draw: figures from the tables, as SVG and PNG, beside the numbers that they show."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.errors import UserError
from mosaicbench.report.projections import COLUMNS, read_projection
from mosaicbench.report.tables.contract import TABLES, of_split, read_tables
from mosaicbench.report.theme import Theme, not_drawn, read_theme, save, style


def main(
    *,
    figures: Sequence[str],
    tables: Path,
    projections: Path,
    display: Path,
    splits: list[str],
    output: Path,
) -> None:
    """Write ``output/{dataset}/{scenario}/{figure}.{svg,png,tsv}`` per figure and split, ``output/{figure}.*`` of one for all.

    One that cannot be drawn becomes a note with the reason in its place; the traceback goes to the log.

    Parameters
    ----------
    figures
        Ids of figures.
    tables
        The folder that ``tabulate`` wrote.
    projections
        The folder that ``project`` wrote, with one folder per dataset and scenario; read only for figures of
        cells.
    display
        ``display.yaml``.
    splits
        "dataset/scenario" of each split to draw.
    output
        The folder of the figures.
    """
    needed = {"runs"}.union(*map(_needs, figures))
    contents = read_tables(tables, [name for name in TABLES if name in needed])
    theme = read_theme(display, contents["runs"])
    for figure in figures:
        _draw(
            figure,
            contents,
            theme,
            projections=Path(projections),
            splits=splits,
            output=Path(output),
        )


def _draw(
    figure: str,
    contents: dict[str, pd.DataFrame],
    theme: Theme,
    *,
    projections: Path,
    splits: Sequence[str],
    output: Path,
) -> None:
    card = catalog.card("figures", figure)
    draw = catalog.function("figures", figure)
    needs = _needs(figure)
    for split in splits if card["per"] == "split" else [None]:
        if split is None:
            of_figure, folder = {name: contents[name] for name in needs}, output
        else:
            of_figure, folder = (
                _of_split(contents, projections / split, split, needs),
                output / split,
            )
        with style():
            try:
                picture, drawn = draw(**of_figure, theme=theme)
                save(picture, drawn, folder / figure)
            except (UserError, OSError, MemoryError):
                raise
            except Exception as error:  # of what nobody foresaw in names or numbers: the report goes on, and says so
                traceback.print_exc()
                picture, drawn = not_drawn(card["label"], error)
                save(picture, drawn, folder / figure)


def _needs(figure: str) -> list[str]:
    """Return the tables that a figure shows."""
    return [name for name in catalog.parameters("figures", figure) if name != "theme"]


def _of_split(
    contents: dict[str, pd.DataFrame], projected: Path, split: str, needs: list[str]
) -> dict[str, pd.DataFrame]:
    """Return the tables of one split, those of its cells from the folder that `project` wrote."""
    dataset, scenario = split.split("/")
    whose = {"dataset": dataset, "scenario": scenario}
    of_cells = {name: read_projection(projected, name, whose) for name in needs if name in COLUMNS}
    return of_cells | {
        name: of_split(contents[name], dataset, scenario) for name in needs if name not in of_cells
    }
