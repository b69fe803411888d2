"""Typeset: the standings become LaTeX, one file per dataset and scenario, and a document that sets them all."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.files.atomic import write_text
from mosaicbench.report import latex
from mosaicbench.report.tables.contract import read_tables
from mosaicbench.report.theme import read_theme
from mosaicbench.statistics.common import ALL, VIEW

OVER_DATASETS = "all_datasets"  # what stands for ALL in the name of a folder


def main(*, tables: Path, display: Path, views: list[str], output: Path) -> None:
    """Write ``output/{dataset}/{scenario}.tex`` per view, ``output/all_datasets/{scenario}.tex``, and ``output/document.tex``.

    Parameters
    ----------
    tables
        The folder that ``tabulate`` wrote.
    display
        ``display.yaml``.
    views
        "dataset/scenario" of each view, in the order of the document; scenarios over several datasets come last.
    output
        A folder. `document.tex` is compiled in it.
    """
    contents = read_tables(tables)
    theme = read_theme(display, contents["runs"])
    standings = dict(iter(contents["standings"].groupby(VIEW, sort=False)))
    places = {tuple(view.split("/")): view for view in views}
    places |= {key: f"{OVER_DATASETS}/{key[1]}" for key in standings if key[0] == ALL}
    texts = {
        place: latex.tables_of(standings[key], theme) if key in standings else ""
        for key, place in places.items()
    }
    texts["document"] = latex.document([place for place, text in texts.items() if text])
    for place, text in texts.items():
        path = Path(output) / f"{place}.tex"
        write_text(path, text)
