"""The reference results inside the package: scores and records of many runs, and digests of their splits.

``scores.tsv.gz`` has all seeds, ``records.json.gz`` what ``run.json`` held, ``cells.npz`` the scores
of single cells that paired tests need, 8 bits each, ``about.json`` splits and pieces, and
``digests.txt`` the SHA-256 of each of these files.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mosaicbench.errors import UserError
from mosaicbench.files._h5 import without_values
from mosaicbench.files.atomic import atomic, write_text
from mosaicbench.files.identity import digest_of
from mosaicbench.files.scores import SCORE_COLUMNS

FOLDER = Path(__file__).parents[1] / "data/reference"
FILES = ("scores.tsv.gz", "records.json.gz", "cells.npz", "about.json")
DIGESTS = "digests.txt"
OF_CELLS = ("foscttm", "label_transfer_accuracy", "imputation_pearson_per_cell")
NO_SCORE = 255  # the byte of a cell without a score; the others are even steps of a block's range


@dataclass(frozen=True)
class Reference:
    """The stored runs.

    Attributes
    ----------
    scores
        Columns ``files.scores.SCORE_COLUMNS``.
    records
        ``run.json`` of every fit.
    cells
        (dataset, scenario, run, seed, metric, direction, normalization) -> (cells,) scores.
    splits
        dataset, scenario, seed and digest of each split.
    pieces
        piece, commit, code_key, budget and config of each part of the results.
    left_out
        dataset, scenario, run and estimated hours of each run that was left out.
    """

    scores: pd.DataFrame
    records: list[dict]
    cells: dict[tuple, np.ndarray]
    splits: list[dict]
    pieces: list[dict]
    left_out: list[dict]


def empty() -> Reference:
    """Return a reference without runs."""
    return Reference(pd.DataFrame(columns=SCORE_COLUMNS), [], {}, [], [], [])


def write(reference: Reference, folder: Path = FOLDER) -> None:
    """Write the files of a reference, the same bytes for the same content."""
    folder.mkdir(parents=True, exist_ok=True)
    text = reference.scores[SCORE_COLUMNS].to_csv(
        sep="\t", index=False, na_rep="NA", float_format="%.8g"
    )
    _compress(folder / FILES[0], text)
    _compress(folder / FILES[1], json.dumps(reference.records, sort_keys=True))
    ranges = [_range(values) for values in reference.cells.values()]
    blocks = [to_bytes(x, *ends) for x, ends in zip(reference.cells.values(), ranges, strict=True)]
    with atomic(folder / FILES[2]) as temporary:
        np.savez_compressed(
            temporary,
            keys=np.array(json.dumps(list(reference.cells))),
            ranges=np.array(ranges, dtype=np.float32).reshape(-1, 2),
            lengths=np.array([len(block) for block in blocks], dtype=np.int64),
            values=np.concatenate([np.empty(0, dtype=np.uint8), *blocks]),
        )
    about = {name: getattr(reference, name) for name in ("splits", "pieces", "left_out")}
    write_text(folder / FILES[3], json.dumps(about, indent=1) + "\n")
    lines = [f"{digest_of(folder / file)}  {file}\n" for file in FILES]
    write_text(folder / DIGESTS, "".join(lines))


def _compress(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))


def _range(values: np.ndarray) -> tuple[float, float]:
    given = values[~np.isnan(values)]
    return (given.min(), given.max()) if len(given) else (0.0, 0.0)


def to_bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return (cells,) scores from `low` to `high` as bytes, 0 to 254 in even steps."""
    steps = np.nan_to_num((values - low) / ((high - low) or 1.0)) * (NO_SCORE - 1)
    return np.where(np.isnan(values), NO_SCORE, np.rint(steps)).astype(np.uint8)


def from_bytes(block: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the (cells,) float32 scores of a block, NaN where a cell has none."""
    values = low + block.astype(np.float32) / (NO_SCORE - 1) * (high - low)
    return np.where(block == NO_SCORE, np.float32(np.nan), values)


def read(folder: Path = FOLDER) -> Reference:
    """Read the reference results.

    Raises
    ------
    UserError
        When the folder has no results, or a file differs from its digest.
    """
    if not (folder / DIGESTS).is_file():
        raise UserError(f"{folder}: no reference results; install mosaicbench again")
    for line in (folder / DIGESTS).read_text(encoding="utf-8").splitlines():
        digest, file = line.split("  ")
        if not (folder / file).is_file() or digest_of(folder / file) != digest:
            raise UserError(
                f"{folder / file}: differs from what was stored, by {DIGESTS} beside it; restore it "
                f"(git checkout {folder}), or install mosaicbench again"
            )
    scores, records = (gzip.decompress((folder / file).read_bytes()) for file in FILES[:2])
    with np.load(folder / FILES[2], allow_pickle=False) as stored:
        keys = [tuple(key) for key in json.loads(str(stored["keys"]))]
        blocks = np.split(stored["values"], np.cumsum(stored["lengths"])[:-1])
        ranges = stored["ranges"]
    triples = zip(keys, blocks, ranges, strict=True) if keys else ()
    return Reference(
        pd.read_csv(io.BytesIO(scores), sep="\t", keep_default_na=False, na_values={"value": "NA"}),
        json.loads(records),
        {key: from_bytes(block, *ends) for key, block, ends in triples},
        **json.loads((folder / FILES[3]).read_text(encoding="utf-8")),
    )


def digest_of_split(folder: Path) -> str:
    """Return a digest of the names of a split's cells and features and of its hidden pairs.

    It holds no value.
    """
    names = hashlib.sha256()
    for part in ("train", "query", "solution"):
        for modality, cells in without_values(folder / f"{part}.h5mu").mod.items():
            pairs = cells.obs["query_name"] if part == "solution" else ()
            for of_kind in ([part, modality], cells.obs_names, cells.var_names, pairs):
                names.update("\n".join(map(str, of_kind)).encode() + b"\0")
    return names.hexdigest()[:16]
