"""Rebuild the embedded datasets from their publishers' files, byte for byte.

    mosaicbench fetch covid_citeseq bmmc_cite_starter teaseq_matilda snareseq_cortex
    python tests/rebuild_embedded.py [--raw resources/raw] [--check]

Each raw file must have the registry's sha256. With --check nothing is written, and the exit status is 1 if a rebuilt file
differs from the package's. If another release of Python's liblzma compresses the same arrays differently, the arrays are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import inspect
import io
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from mosaicbench.catalog import catalog
from mosaicbench.config import registry
from mosaicbench.data.assemble import source_values
from mosaicbench.data.embedded import FOLDER, GROUPS
from mosaicbench.data.labels_qc import curated
from mosaicbench.data.pairing import stratified
from mosaicbench.errors import UserError
from mosaicbench.files._h5 import quiet_mudata
from mosaicbench.files.dataset import LINKS, links_between

if TYPE_CHECKING:
    from mudata import MuData

EPOCH = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # the earliest time of a zip archive: the bytes do not depend on a clock
# name -> its dataset of the registry, options of its loader, and quality control, without labels. SNARE-seq: 1,519 of the 3,537
# nuclei of the first four batches have at least 80 genes and 80 peaks.
RECIPES = {
    "covid_citeseq_small": ("covid_citeseq", {}, {}),
    "bmmc_cite_small": ("bmmc_cite_starter", {}, {}),
    "teaseq_small": ("teaseq_matilda", {}, {}),
    "snareseq_small": (
        "snareseq_cortex",
        {"batches": ["09A", "09B", "09C", "09D"]},
        {"rna": {"min_features": 80}, "atac": {"min_features": 80, "min_cells": 5}},
    ),
}
# name -> number of random cells, always the same, and the column of groups that contribute in proportion
DRAWN = {"covid_citeseq_small": (3000, "sample")}


def rebuilt(name, raw):
    """Return the bytes of an embedded dataset, from the folder `raw` of fetched files.

    Raises
    ------
    UserError
        If a raw file is absent or differs from the registry's.
    """
    source, options, quality = RECIPES[name]
    stanzas = registry.load()
    for file in registry.raw_files(stanzas, source):
        _check(raw / source / file.name, file.digests["sha256"])
    load = importlib.import_module(catalog.module("datasets", stanzas[source]["loader"])).load
    named = inspect.signature(
        load
    ).parameters  # not the options of curation: types stay as published
    given = {key: value for key, value in stanzas[source]["options"].items() if key in named}
    whole: MuData = load(raw / source, **given, **options)
    if name in DRAWN:
        cells, column = DRAWN[name]
        groups = np.asarray(whole.obs[column], dtype=object)
        with quiet_mudata():
            whole = whole[stratified(groups, cells / whole.n_obs, np.random.default_rng(0))].copy()
    return pack(curated(whole, qc=quality) if quality else whole)


def _check(path, expected):
    if not path.is_file():
        raise UserError(f"{path}: absent; run `mosaicbench fetch {path.parent.name}`")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise UserError(f"{path}: sha256 {found}, the registry has {expected}; fetch it again")


def same_arrays(first, second):
    """Return whether two archives have the same arrays, with any compression."""
    a, b = (np.load(io.BytesIO(whole), allow_pickle=False) for whole in (first, second))
    return sorted(a.files) == sorted(b.files) and all(
        a[key].dtype == b[key].dtype and np.array_equal(a[key], b[key]) for key in a.files
    )


def main():
    """Rebuild all, or check all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--raw", type=Path, default=Path("resources/raw"), help="folder of the fetched files"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing, compare with the package"
    )
    arguments = parser.parse_args()
    differing = 0
    for name in RECIPES:
        whole, path = rebuilt(name, arguments.raw), FOLDER / f"{name}.npz"
        result = ""
        if not arguments.check:
            path.write_bytes(whole)
        elif path.read_bytes() != whole:
            same = same_arrays(path.read_bytes(), whole)
            differing += not same
            result = ": same arrays, other compression" if same else ": DIFFERS from the package"
        print(f"{name}: {len(whole):,} bytes, sha256 {hashlib.sha256(whole).hexdigest()}{result}")
    return int(differing > 0)


def pack(dataset):
    """Return the bytes of an embedded dataset: counts, names, published types, batches, groups, links of genes and peaks.

    Raises
    ------
    ValueError
        If a modality has no counts, or a link is negative.
    """
    kinds = {modality: cells.uns["kind"] for modality, cells in dataset.mod.items()}
    members = {
        "modalities": text_packed([f"{modality}\t{kind}" for modality, kind in kinds.items()]),
        "cell": text_packed(list(dataset.obs_names)),
        "cell_type": text_packed(list(dataset.obs["cell_type"].astype(str))),
        "batch": text_packed(list(dataset.obs["batch"].astype(str))),
    }
    for column in sorted(set(dataset.obs) - {"cell_type", "batch"}):
        members[f"{GROUPS}{column}"] = text_packed(list(dataset.obs[column].astype(str)))
    for modality, cells in dataset.mod.items():
        members |= counts_packed(modality, source_values(cells))
        members[f"{modality}.features"] = text_packed(list(cells.var_names))
        if "chosen" in cells.uns:
            members[f"{modality}.chosen"] = text_packed([cells.uns["chosen"]])
    if LINKS in dataset.varp:
        links = links_between(dataset, "rna", "atac").tocoo()
        if np.any(links.data != 1):
            raise ValueError("links: only those with the sign 1 can be stored")
        order = np.lexsort((links.row, links.col))
        members |= {
            "links.rna": links.row[order].astype("<u2"),
            "links.atac": links.col[order].astype("<u2"),
        }
        members["links_origin"] = text_packed([dataset.uns[LINKS]["rna-atac"]])
    return packed(members)


def packed(members):
    """Return an archive of `members`; its bytes depend on the arrays only."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(f"{name}.npy", EPOCH)
            entry.compress_type, entry.create_system = zipfile.ZIP_LZMA, 3
            plain = io.BytesIO()
            np.lib.format.write_array(
                plain, np.ascontiguousarray(members[name]), version=(1, 0), allow_pickle=False
            )
            archive.writestr(entry, plain.getvalue())
    return whole.getvalue()


def counts_packed(name, counts):
    """Return the members ``{name}.shape``, ``{name}.gaps`` and ``{name}.counts`` of a matrix, (cells, features).

    Raises
    ------
    ValueError
        If a value is no count.
    """
    by_feature = sparse.csc_matrix(counts)
    by_feature.sum_duplicates()
    by_feature.eliminate_zeros()
    values = by_feature.data
    if np.any(values < 0) or np.any(values != np.round(values)):
        raise ValueError(f"{name}: counts are whole numbers of at least 0")
    columns = np.repeat(np.arange(by_feature.shape[1], dtype=np.int64), np.diff(by_feature.indptr))
    places = columns * by_feature.shape[0] + by_feature.indices
    return {
        f"{name}.shape": np.array(by_feature.shape, dtype="<u4"),
        f"{name}.gaps": _narrow(np.diff(places, prepend=-1)),
        f"{name}.counts": _narrow(values.astype(np.int64)),
    }


def text_packed(lines):
    """Return names as UTF-8, a line each."""
    return np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)


def _narrow(values):
    """Return whole numbers of at least 0 in the narrowest little-endian type."""
    top, kinds = int(values.max(initial=0)), ("<u1", "<u2", "<u4", "<u8")
    return values.astype(next(kind for kind in kinds if top <= np.iinfo(kind).max))


if __name__ == "__main__":
    sys.exit(main())
