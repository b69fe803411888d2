"""Divide: the train cells of a view become an inner view, on which settings are chosen."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.data.scenarios import inner_view
from mosaicbench.files.splits import read_view, write_view


def main(
    *, view: Path, share: float, seed: int, by: str | None, train: Path, query: Path, solution: Path
) -> None:
    """Read the train cells of a view, and nothing else of it; divide them, and write the three parts.

    Parameters
    ----------
    view
        ``train.h5mu`` of the view.
    share, seed, by
        As of ``data.scenarios.inner_view``.
    train, query, solution
        The files to write.
    """
    parts = inner_view(read_view(view, "train"), share=share, seed=seed, by=by)
    for noun, path in (("train", train), ("query", query), ("solution", solution)):
        write_view(path, parts[noun])
