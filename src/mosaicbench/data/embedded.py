"""Small real datasets inside the package: ``embedded/{name}.npz``, read without pickle.

``tests/rebuild_embedded.py`` makes them. A member of the archive is an array of whole numbers, or
UTF-8 text (uint8, one name a line). A matrix of counts has three: ``shape`` (cells, features);
``gaps``, the distances between its non-zero places read feature by feature, the first from -1; and
``counts``, the numbers there. ``MODALITY.chosen`` says who chose its features before, and
``groups.COLUMN`` is a column of cells that a scenario may split by, such as donors.

``embedded/README.md`` has the origin and licence of each set, ``embedded/merged_types.tsv`` the
cell types that are merged.
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
GROUPS = "groups."  # beginning of the name of a member that is a column of obs
# Cells of a merged type; a rarer one has no label, since a query of a fifth would hold one or none.
FEWEST = 10


def load(name: str, *, cell_type: str = "merged", cells: int | None = None) -> MuData:
    """Return the embedded dataset of a name; keywords as of ``datasets.embedded.load``."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as archive:
        members = dict(archive)
    measured, groups = {}, {}
    for line in _text(members["modalities"]):
        modality, kind = line.split("\t")
        features = _text(members[f"{modality}.features"])
        places = coordinates(features) if kind == "atac" else pd.DataFrame()
        chosen = f"{modality}.chosen"
        chosen = "".join(_text(members[chosen])) if chosen in members else ""
        counts = _counts(modality, members)
        measured[modality] = Measurement(counts, features, kind, annotation=places, chosen=chosen)
    for key in [key for key in members if key.startswith(GROUPS)]:
        groups[key.removeprefix(GROUPS)] = _text(members[key])
    dataset = assembled(
        measured,
        groups=groups,
        cells=_text(members["cell"]),
        cell_type=_text(members["cell_type"]),
        batch=_text(members["batch"]),
    )
    if "links.rna" in members:
        genes, peaks = (members[f"links.{m}"].astype(np.int64) for m in ("rna", "atac"))
        links = genes, peaks, np.ones(len(genes), dtype=np.int8)
        origin = _text(members["links_origin"])[0]
        dataset = with_links(dataset, {("rna", "atac"): (links, origin)})
    # Before rare types lose their label, so that no type of too few cells is left.
    if cells is not None:
        dataset = curated(dataset, cells=cells)
        dataset.uns["dropped"] = dataset.uns.pop("curation")["dropped"]
    if cell_type == "merged":
        types = merged(name, list(dataset.obs["cell_type"].astype(str)))
        dataset.obs["cell_type"] = categorical(types)
    return dataset


def merged(name: str, types: list[str]) -> list[str]:
    """Return the merged names of published types, "" for a type of fewer than `FEWEST` cells."""
    table = pd.read_csv(MERGED, sep="\t", dtype=str, keep_default_na=False)
    of_set = table[table["dataset"] == name]
    names = dict(zip(of_set["published"], of_set["merged"], strict=True))
    coarse = [names.get(published, published) for published in types]
    cells = Counter(coarse)
    return [each if cells[each] >= FEWEST else "" for each in coarse]


def _counts(name: str, members: dict[str, np.ndarray]) -> sparse.csr_matrix:
    cells, features = (int(length) for length in members[f"{name}.shape"])
    places = np.cumsum(members[f"{name}.gaps"], dtype=np.int64) - 1
    values = members[f"{name}.counts"].astype(np.float32)
    return sparse.csr_matrix((values, (places % cells, places // cells)), shape=(cells, features))


def _text(member: np.ndarray) -> list[str]:
    return member.tobytes().decode().split("\n")
