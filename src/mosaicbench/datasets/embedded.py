"""The small real datasets inside the package; ``data/embedded/README.md`` says where each comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from mudata import MuData

from mosaicbench.data import embedded

CARD = {
    "label": "Inside the package",
    "summary": "real cells that ship with the package and need no network; counts",
    "labels": "as published; types too fine for so few cells are merged as embedded/merged_types.tsv says",
    "licence": "of each set, in the registry",
    "citation": "of each set, in the registry",
}


def load(
    raw: Path | None,
    *,
    name: str,
    cell_type: Literal["merged", "published"] = "merged",
    cells: Annotated[int, "at least 1"] | None = None,
) -> MuData:
    """Return an embedded dataset.

    Parameters
    ----------
    raw
        Not used: the data are part of the package.
    name
        covid_citeseq_small, bmmc_cite_small, teaseq_small or snareseq_small.
    cell_type
        "merged", where ``merged_types.tsv`` merges types too fine for so few cells; or "published".
    cells
        At most so many cells are kept, drawn at random, always the same; of merged types, those of
        fewer than 10 of these cells lose their label.
    """
    return embedded.load(name, cell_type=cell_type, cells=cells)
