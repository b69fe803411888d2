"""What a file belongs to: it says so itself, and its reader compares that with its place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from mosaicbench.errors import ContractError

OF_SPLIT = ("dataset", "scenario", "seed")
UNNAMED = "unnamed"  # the dataset of a fit by hand, which may be of any split


def check_place(path: str | Path, says: Mapping, place: Mapping | None) -> None:
    """Refuse a file of another dataset, scenario, run or seed.

    Parameters
    ----------
    path
        The file, for the message.
    says
        What the file says about itself.
    place
        The dataset, scenario, run and seed that its place implies, as far as they are given.
    """
    place = place or {}
    if UNNAMED in (says.get("dataset"), place.get("dataset")):
        return
    for key, expected in place.items():
        if key in says and str(says[key]) != str(expected):
            raise ContractError(
                f"{path}: is of {key} {says[key]}, but {key} {expected} belongs here; "
                "delete it and run again"
            )


def digest_of(path: str | Path) -> str:
    """Return the sha256 of a file."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_json(path: str | Path, absent: str, remedy: str) -> dict:
    """Read a JSON object.

    Parameters
    ----------
    absent, remedy
        What to do where the file is absent, and where it is damaged, for the message.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ContractError(f"{path}: no such file; {absent}") from error
    except ValueError as error:
        raise ContractError(f"{path}: not valid JSON ({error}); {remedy}") from error
