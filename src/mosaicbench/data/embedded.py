"""Small real datasets inside the package: ``embedded/{name}.npz``, made by ``tests/rebuild_embedded.py``, read without pickle.

A member of the archive is an array of whole numbers, or UTF-8 text (uint8, one name a line). A matrix of counts has three:
``shape`` (cells, features); ``gaps``, the distances between its non-zero places read feature by feature, the first from -1; and
``counts``, what stands there, each in the narrowest type that holds it. Where known, ``MODALITY.chosen`` says who chose its
features before, and ``groups.COLUMN`` is a column of cells that a scenario may split by, such as donors.

``embedded/README.md`` says where each comes from, under which licence, and which cells and features were kept;
``embedded/merged_types.tsv`` which published cell types are one here. What is stored are the published names.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.assemble import Measurement, assembled, categorical
from mosaicbench.data.labels_qc import curated
from mosaicbench.data.links import with_links
from mosaicbench.data.read import coordinates

if TYPE_CHECKING:
    from mudata import MuData

FOLDER = Path(__file__).with_name("embedded")
MERGED = FOLDER / "merged_types.tsv"
GROUPS = "groups."  # what the member of a column's name begins with
FEWEST = 10  # cells of a merged type; those of a rarer one have no label, since a query of a fifth would hold one or none


def load(name: str, *, cell_type: str = "merged", cells: int | None = None) -> MuData:
    """Return an embedded dataset.

    Parameters
    ----------
    name
        Of its file in the folder ``embedded``.
    cell_type
        "merged": types too fine for so few cells are merged as ``merged_types.tsv`` says, then types of fewer than 10 cells
        lose their label. "published": the names as published.
    cells
        At most so many cells are kept, drawn as ``curated`` draws them; a type must have 10 of these.
    """
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as archive:
        members = {key: archive[key] for key in archive.files}
    texts = {
        key: _text_unpacked(member)
        for key, member in members.items()
        if member.dtype == np.uint8 and "." not in key
    }
    measured = {}
    for line in texts["modalities"]:
        modality, kind = line.split("\t")
        features = _text_unpacked(members[f"{modality}.features"])
        places = coordinates(features) if kind == "atac" else pd.DataFrame()
        chosen = "".join(
            _text_unpacked(members[key]) if (key := f"{modality}.chosen") in members else ()
        )
        measured[modality] = Measurement(
            _counts_unpacked(modality, members), features, kind, annotation=places, chosen=chosen
        )
    groups = {
        key.removeprefix(GROUPS): _text_unpacked(member)
        for key, member in members.items()
        if key.startswith(GROUPS)
    }
    dataset = assembled(
        measured,
        cells=texts["cell"],
        cell_type=texts["cell_type"],
        batch=texts["batch"],
        groups=groups,
    )
    if "links.rna" in members:
        genes, peaks = (
            members[f"links.{modality}"].astype(np.int64) for modality in ("rna", "atac")
        )
        links = genes, peaks, np.ones(len(genes), dtype=np.int8)
        dataset = with_links(dataset, {("rna", "atac"): (links, texts["links_origin"][0])})
    if (
        cells is not None
    ):  # before rare types lose their label, so that none of too few cells is left
        dataset = curated(dataset, cells=cells)
        dataset.uns["dropped"] = dataset.uns.pop("curation")["dropped"]
    if cell_type == "merged":
        dataset.obs["cell_type"] = categorical(
            merged(name, list(dataset.obs["cell_type"].astype(str)))
        )
    return dataset


def merged(name: str, types: list[str]) -> list[str]:
    """Return the merged names of published types, "" for a type of fewer than `FEWEST` cells."""
    table = pd.read_csv(MERGED, sep="\t", dtype=str, keep_default_na=False)
    own = table[table["dataset"] == name]
    names = dict(zip(own["published"], own["merged"], strict=True))
    coarse = [names.get(published, published) for published in types]
    cells = Counter(coarse)
    return [each if cells[each] >= FEWEST else "" for each in coarse]


def _counts_unpacked(name: str, members: dict[str, np.ndarray]) -> sparse.csr_matrix:
    """Return a matrix of counts, (cells, features) float32."""
    cells, features = (int(length) for length in members[f"{name}.shape"])
    places = np.cumsum(members[f"{name}.gaps"], dtype=np.int64) - 1
    values = members[f"{name}.counts"].astype(np.float32)
    return sparse.csr_matrix((values, (places % cells, places // cells)), shape=(cells, features))


def _text_unpacked(member: np.ndarray) -> list[str]:
    """Return names."""
    return member.tobytes().decode().split("\n")
