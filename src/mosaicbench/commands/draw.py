"""Draw: figures from the tables, as SVG and PNG, with their numbers as TSV."""

from __future__ import annotations

import traceback
from pathlib import Path

import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.commands._processes import each
from mosaicbench.errors import UserError
from mosaicbench.report.projections import COLUMNS, read_projection
from mosaicbench.report.tables.contract import of_split, read_tables
from mosaicbench.report.theme import Theme, not_drawn, read_theme, save, style
from mosaicbench.stats.common import SPLIT
from mosaicbench.workflow.layout import TABLES, Results


def main(
    *,
    results: Path,
    figures: list[str],
    splits: list[tuple[str, str]],
    output: Path,
    processes: int = 1,
) -> None:
    """Write ``{dataset}/{scenario}/{figure}.{svg,png,tsv}``, or ``{figure}.*`` of all splits.

    A figure that fails becomes a note with the reason; the traceback goes to the log. `splits` are
    (dataset, scenario) of each split to draw.
    """
    needs = {
        figure: [name for name in catalog.parameters("figures", figure) if name != "theme"]
        for figure in figures
    }
    needed, files = {"runs"}.union(*needs.values()), Results(results)
    contents = read_tables(files.tables, [name for name in TABLES if name in needed])
    theme = read_theme(contents["runs"])

    def work(picture: tuple[str, tuple[str, str] | None]) -> None:
        figure, split = picture
        if split is None:
            _draw(figure, {name: contents[name] for name in needs[figure]}, theme, output)
            return
        place = dict(zip(SPLIT, split, strict=True))
        of_figure = {
            name: read_projection(files.projection(*split), name, place)
            if name in COLUMNS
            else of_split(contents[name], *split)
            for name in needs[figure]
        }
        _draw(figure, of_figure, theme, output.joinpath(*split))

    per = {figure: catalog.card("figures", figure)["per"] for figure in figures}
    places = {figure: splits if per[figure] == "split" else [None] for figure in figures}
    each(work, [(figure, split) for figure in figures for split in places[figure]], processes)


def _draw(figure: str, contents: dict[str, pd.DataFrame], theme: Theme, folder: Path) -> None:
    with style():
        try:
            picture, drawn = catalog.function("figures", figure)(**contents, theme=theme)
            save(picture, drawn, folder / figure)
        except (UserError, OSError, MemoryError):
            raise
        except Exception as error:  # of unusual names or numbers: the report goes on
            traceback.print_exc()
            picture, drawn = not_drawn(catalog.card("figures", figure)["label"], error)
            save(picture, drawn, folder / figure)
