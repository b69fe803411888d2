"""What a file belongs to: it says so itself, and whoever reads it holds it to its place.

A file of an older version may say nothing; it is then taken as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mosaicbench.errors import ContractError

OF_SPLIT = ("dataset", "scenario", "seed")
UNNAMED = "unnamed"  # the dataset of a fit by hand, which may be of any split


def check_place(path: str | Path, says: Mapping, place: Mapping) -> None:
    """Refuse a file of another dataset, scenario, run or seed.

    Parameters
    ----------
    path
        The file, for the message.
    says
        What the file says about itself.
    place
        dataset, scenario, run, seed: those of them that are known of the place where it lies.

    Raises
    ------
    ContractError
    """
    if UNNAMED in (says.get("dataset"), place.get("dataset")):
        return
    for key, expected in place.items():
        if key in says and str(says[key]) != str(expected):
            raise ContractError(
                f"{path}: is of {key} {says[key]}, but lies where {key} {expected} belongs; delete it and run again"
            )


def digest_of(path: str | Path) -> str:
    """Return the sha256 of a file."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_digest(path: str | Path, digests: Mapping[str, str], writer: str) -> None:
    """Refuse a file that is not the one whose digest was noted under its name when `writer` wrote it.

    Raises
    ------
    ContractError
        When it was cut short or changed, or is of another run.
    """
    path = Path(path)
    if not path.is_file():
        raise ContractError(f"{path}: no such file; run again")
    if path.name in digests and digest_of(path) != digests[path.name]:
        raise ContractError(
            f"{path}: is not as `mosaicbench {writer}` wrote it: cut short, changed, or of another run; delete it and run again"
        )
