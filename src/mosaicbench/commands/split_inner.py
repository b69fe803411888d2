"""split-inner: the train cells of a split become an inner split, on which settings are chosen."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.data.split import inner_split
from mosaicbench.files.splits import read_split, write_split


def main(*, split: Path, fraction: float, seed: int, by: str | None, output: Path) -> None:
    """Split ``train.h5mu`` of a split, and write the parts; `fraction`, `seed`, `by` as ``inner_split``."""
    parts = inner_split(read_split(split, "train"), fraction=fraction, seed=seed, by=by)
    for noun, part in parts.items():
        write_split(output / f"{noun}.h5mu", part)
