"""Small real datasets inside the package: ``embedded/{name}.npz``, how they are made of a whole dataset, and read again.

``embedded/README.md`` says where each comes from, under which licence, and which cells and features were kept;
``embedded/merged_types.tsv`` which published cell types are one here. What is stored are the published names.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.data.assemble import Measurement, assembled, source_values
from mosaicbench.data.links import with_links
from mosaicbench.data.packed import counts_packed, counts_unpacked, packed, text_packed, text_unpacked, unpacked
from mosaicbench.data.readers import coordinates
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import LINKS, links_between

if TYPE_CHECKING:
    from mudata import MuData

FOLDER = Path(__file__).with_name("embedded")
MERGED = FOLDER / "merged_types.tsv"
FEWEST = 10  # cells of a merged type; those of a rarer one have no label, since a query of a fifth would hold one or none


def load(name: str, *, cell_type: str = "merged") -> MuData:
    """Return an embedded dataset.

    Parameters
    ----------
    name
        Of its file in the folder ``embedded``.
    cell_type
        "merged": types too fine for so few cells are merged as ``merged_types.tsv`` says, then types of fewer than 10 cells
        lose their label. "published": the names as published.

    Raises
    ------
    UserError
        When `cell_type` is neither, or the file is absent or damaged.
    """
    if cell_type not in ("merged", "published"):
        raise UserError(f"cell_type: must be merged or published, found {cell_type!r}")
    members = unpacked(FOLDER / f"{name}.npz")
    texts = {key: text_unpacked(member) for key, member in members.items() if member.dtype == np.uint8 and "." not in key}
    measured = {}
    for line in texts["modalities"]:
        modality, kind = line.split("\t")
        features = text_unpacked(members[f"{modality}.features"])
        places = coordinates(features) if kind == "atac" else pd.DataFrame()
        measured[modality] = Measurement(counts_unpacked(modality, members), features, kind, annotation=places)
    types = texts["cell_type"] if cell_type == "published" else merged(name, texts["cell_type"])
    dataset = assembled(measured, cells=texts["cell"], cell_type=types, batch=texts["batch"])
    if "links.rna" in members:
        genes, peaks = (members[f"links.{modality}"].astype(np.int64) for modality in ("rna", "atac"))
        links = genes, peaks, np.ones(len(genes), dtype=np.int8)
        dataset = with_links(dataset, {("rna", "atac"): (links, texts["links_origin"][0])})
    return dataset


def merged(name: str, types: list[str]) -> list[str]:
    """Return the merged names of published types, "" for a type of fewer than `FEWEST` cells."""
    table = pd.read_csv(MERGED, sep="\t", dtype=str, keep_default_na=False)
    own = table[table["dataset"] == name]
    names = dict(zip(own["published"], own["merged"], strict=True))
    found = [names.get(published, published) for published in types]
    cells = Counter(found)
    return [each if cells[each] >= FEWEST else "" for each in found]


def pack(dataset: MuData) -> bytes:
    """Return the bytes of an embedded dataset: counts, names, published types, batches, and the links of genes and peaks.

    Raises
    ------
    ValueError
        When a modality holds no counts, or a link is negative.
    """
    kinds = {modality: cells.uns["kind"] for modality, cells in dataset.mod.items()}
    members = {
        "modalities": text_packed([f"{modality}\t{kind}" for modality, kind in kinds.items()]),
        "cell": text_packed(list(dataset.obs_names)),
        "cell_type": text_packed(list(dataset.obs["cell_type"].astype(str))),
        "batch": text_packed(list(dataset.obs["batch"].astype(str))),
    }
    for modality, cells in dataset.mod.items():
        members |= counts_packed(modality, source_values(cells))
        members[f"{modality}.features"] = text_packed(list(cells.var_names))
    if LINKS in dataset.varp:
        links = links_between(dataset, "rna", "atac").tocoo()
        if np.any(links.data != 1):
            raise ValueError("links: only those with the sign 1 can be stored")
        order = np.lexsort((links.row, links.col))
        members |= {"links.rna": links.row[order].astype("<u2"), "links.atac": links.col[order].astype("<u2")}
        members["links_origin"] = text_packed([dataset.uns[LINKS]["rna-atac"]])
    return packed(members)
