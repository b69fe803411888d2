"""What files say of their cells and features, read without their matrices: in a moment."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from mosaicbench.data.own_files import kind_of
from mosaicbench.data.read import FEATURE_TYPES, INTERVAL, opened
from mosaicbench.errors import UserError

WORDS = {  # kind -> words in names of files and modalities of that kind
    "adt": "adt|prot|antibod|cite|surface|totalseq",
    "atac": "atac|peak|chromatin",
    "rna": "rna|gex|gene|transcript|expression",
}
PANEL = 1000  # features, at most, of a panel of antibodies


@dataclass(frozen=True)
class Header:
    """One modality of a file.

    Attributes
    ----------
    file
        Where it is.
    name
        That of a modality of an ``.h5mu``; else the kind.
    kind
        "rna", "atac" or "adt", as far as feature types or names say; else "".
    obs
        The table of its cells; without columns for files that have none.
    features
        Their number.
    """

    file: Path
    name: str
    kind: str
    obs: pd.DataFrame
    features: int

    def __str__(self) -> str:
        return f"{len(self.obs):,} cells, {self.features:,} features"


def headers(path: str | Path) -> list[Header]:
    """Return the header of each modality of a file or folder that has features.

    Raises
    ------
    UserError
        When the file is absent, unreadable or of a kind without a header.
    """
    file = Path(path)
    name = file.name.lower().removesuffix(".gz")
    if file.is_dir():
        found = _of_folder(file)
    elif name.endswith((".csv", ".tsv", ".txt")):
        found = opened(file, _of_table)
    elif name.endswith((".h5ad", ".h5mu", ".h5")):
        found = opened(file, _of_h5)
    else:
        raise UserError(
            f"{file}: is neither .h5ad, .h5mu, 10x .h5, a table (.csv, .tsv) nor a Matrix Market folder"
        )
    return [header for header in found if header.features]


def of_dataset(path: str | dict, kinds: dict[str, str]) -> dict[str, list[Header]]:
    """Return modality -> headers of its files, for `path` and `kinds` of ``own_files.load``."""
    if not isinstance(path, dict):
        return {header.name: [header] for header in headers(path)}
    found: dict[str, list[Header]] = {modality: [] for modality in path}
    for modality, files in path.items():
        for file in [files] if isinstance(files, str) else files:
            parts = headers(file)
            wanted = [part for part in parts if part.kind == kind_of(modality, kinds)]
            found[modality] += (wanted or parts)[:1]
    return found


def known_kind(modality: str) -> str:
    """Return the kind that a modality has by its name alone, "" if ``kinds`` has to say it."""
    try:
        return kind_of(modality, {})
    except UserError:
        return ""


def kind_by_name(name: str, features: Sequence[str]) -> str:
    """Return the kind that a modality's or file's name says, else that of its features; or ""."""
    if known := known_kind(name):
        return known
    for kind, words in WORDS.items():
        if re.search(words, name.lower()):
            return kind
    if len(features) and re.match(INTERVAL, str(features[0])):
        return "atac"
    return "rna" if len(features) > PANEL else ""


def _of_h5(file: Path) -> list[Header]:
    from anndata.io import read_elem

    with h5py.File(file) as content:
        if "mod" in content:
            shared = read_elem(content["obs"])
            return [
                _of_modality(file, str(name), content["mod"][name], shared)
                for name in content["mod"].attrs.get("mod-order", content["mod"])
            ]
        if "matrix" in content:
            features = content["matrix/features"]
            types = features["feature_type"].asstr()[:]
            obs = pd.DataFrame(index=content["matrix/barcodes"].asstr()[:])
            return _by_type(file, obs, features["name"].asstr()[:], types)
        obs, var = read_elem(content["obs"]), read_elem(content["var"])
        found = _by_type(file, obs, var.index, var.get("feature_types", ()))
        for key, table in content.get("obsm", {}).items():
            if len(found) == 1 and "protein" in key.lower() and "column-order" in table.attrs:
                found.append(Header(file, "adt", "adt", obs, len(table.attrs["column-order"])))
        return found


def _of_modality(file: Path, name: str, part: h5py.Group, shared: pd.DataFrame) -> Header:
    from anndata.io import read_elem

    obs, features = read_elem(part["obs"]), read_elem(part["var"]).index
    obs = obs.join(shared[shared.columns.difference(obs.columns, sort=False)])
    return Header(file, name, kind_by_name(name, features), obs, len(features))


def _of_table(file: Path) -> list[Header]:
    with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as lines:
        first = next(lines).rstrip("\n")
        between = max(",;\t", key=first.count)
        cells = [line.split(between, 1)[0].strip('"') for line in lines]
    return _by_type(file, pd.DataFrame(index=cells), first.split(between)[1:], ())


def _of_folder(folder: Path) -> list[Header]:
    def rows(*names: str) -> pd.DataFrame:
        for name in names:
            for file in sorted(folder.glob(f"{name}.tsv*")):
                return opened(
                    file, lambda file: pd.read_csv(file, sep="\t", header=None, dtype=str)
                )
        raise UserError(f"{folder}: has no {names[0]}.tsv")

    features = rows("features", "genes")
    obs = pd.DataFrame(index=rows("barcodes")[0])
    return _by_type(folder, obs, features.get(1, features[0]), features.get(2, ()))


def _by_type(
    file: Path, obs: pd.DataFrame, features: Sequence[str], types: Sequence[str]
) -> list[Header]:
    """Return a header per known feature type, or else one, of the kind that names say."""
    counts = {kind: int(np.sum(np.asarray(types) == name)) for name, kind in FEATURE_TYPES.items()}
    if not any(counts.values()):
        counts = {kind_by_name(file.name, list(features)): len(features)}
    return [Header(file, kind, kind, obs, number) for kind, number in counts.items()]
