"""Rebuild the embedded datasets from their publishers' files, byte for byte.

    mosaicbench fetch bmmc_cite_starter teaseq_matilda snareseq_cortex
    python tests/rebuild_embedded.py [--raw resources/raw] [--check]

Each raw file must have the bytes and the sha256 of the registry. With --check nothing is written: the exit status is 1 where a
rebuilt file is not the one in the package. The compressor is part of Python (liblzma): should another release of it pack the
same arrays otherwise, that is said, and the arrays are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import inspect
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mosaicbench import catalog, registry
from mosaicbench.data.curate import curated
from mosaicbench.data.embedded import FOLDER, pack
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from mudata import MuData

# name -> the dataset of the registry that it is made of, options of its loader, and the quality that is asked of its cells and
# features; labels take no part. SNARE-seq: of 3,537 nuclei in the first four batches 1,519 see at least 80 genes and 80 peaks.
RECIPES = {
    "bmmc_cite_small": ("bmmc_cite_starter", {}, {}),
    "teaseq_small": ("teaseq_matilda", {}, {}),
    "snareseq_small": (
        "snareseq_cortex",
        {"batches": ["09A", "09B", "09C", "09D"]},
        {"rna": {"min_features": 80}, "atac": {"min_features": 80, "min_cells": 5}},
    ),
}


def rebuilt(name: str, raw: Path) -> bytes:
    """Return the bytes of an embedded dataset, from the folder `raw` of the fetched files of all datasets.

    Raises
    ------
    UserError
        When a raw file is absent, or is not the one that the registry states.
    """
    source, options, quality = RECIPES[name]
    stanzas = registry.load()
    for file in registry.raw_files(stanzas, source):
        _check(raw / source / file.name, file.digests["sha256"])
    load = importlib.import_module(catalog.module("datasets", stanzas[source]["loader"])).load
    own = inspect.signature(load).parameters  # the other options curate: published types stay as they are
    whole: MuData = load(
        raw / source, **{key: value for key, value in stanzas[source]["options"].items() if key in own}, **options
    )
    return pack(curated(whole, qc=quality) if quality else whole)


def _check(path: Path, expected: str) -> None:
    if not path.is_file():
        raise UserError(f"{path}: absent; run `mosaicbench fetch {path.parent.name}`")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise UserError(f"{path}: sha256 {found}, but the registry states {expected}; fetch it again")


def same_arrays(first: bytes, second: bytes) -> bool:
    """Return whether two archives hold the same arrays, however these were compressed."""
    a, b = (np.load(io.BytesIO(whole), allow_pickle=False) for whole in (first, second))
    return sorted(a.files) == sorted(b.files) and all(
        a[key].dtype == b[key].dtype and np.array_equal(a[key], b[key]) for key in a.files
    )


def main() -> int:
    """Rebuild all, or check all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--raw", type=Path, default=Path("resources/raw"), help="folder of the fetched files")
    parser.add_argument("--check", action="store_true", help="write nothing, compare with the package")
    asked = parser.parse_args()
    differing = 0
    for name in RECIPES:
        whole, path = rebuilt(name, asked.raw), FOLDER / f"{name}.npz"
        told = f"{name}: {len(whole):,} bytes, sha256 {hashlib.sha256(whole).hexdigest()}"
        if not asked.check:
            path.write_bytes(whole)
        elif (there := path.read_bytes()) != whole:
            differing += not same_arrays(there, whole)
            told += ": the same arrays, packed otherwise" if same_arrays(there, whole) else ": NOT what the package holds"
        print(told)
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
