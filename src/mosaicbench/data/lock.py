"""The lock: what was fetched; later downloads and the readers of the files are compared with it.

``resources/raw/lock.json`` holds, for every fetched file, its length, digests, address and time
stamp. A file of unchanged length and time stamp counts as unchanged; any other is read again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from pathlib import Path

from mosaicbench.errors import UserError
from mosaicbench.files.atomic import write_text
from mosaicbench.files.identity import read_json

NAME = "lock.json"


def digests(path: Path) -> dict[str, str]:
    """Return the "md5" and "sha256" of a file."""
    found = {}
    for kind in ("md5", "sha256"):
        with path.open("rb") as file:
            found[kind] = hashlib.file_digest(file, kind).hexdigest()
    return found


def read(raw: Path) -> dict[str, dict[str, dict]]:
    """Return dataset -> file -> record of all that was fetched into the folder `raw`."""
    path = raw / NAME
    if not path.is_file():
        return {}
    return read_json(path, "", "restore it, or delete it to verify every file anew")


def write(raw: Path, dataset: str, name: str, record: dict) -> None:
    """Record one file with its time stamp; other processes may write at the same time."""
    stamp = {"mtime_ns": (raw / dataset / name).stat().st_mtime_ns}
    with (raw / f".{NAME}.guard").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        lock = read(raw)
        lock[dataset] = lock.get(dataset, {}) | {name: record | stamp}
        write_text(raw / NAME, json.dumps(lock, indent=1, sort_keys=True) + "\n")


def is_unchanged(path: Path, record: dict) -> bool:
    """Return whether a file has the length and the time stamp of its record."""
    status = path.stat()
    return (status.st_size, status.st_mtime_ns) == (record["bytes"], record["mtime_ns"])


def check(folder: Path) -> None:
    """Refuse a dataset's folder in which a file is not what was fetched."""
    records = read(folder.parent).get(folder.name, {})
    for path in sorted(folder.glob("[!.]*")):
        if path.name.endswith((".part", ".part.json")):
            continue
        remedy = f"run `mosaicbench fetch {folder.name}`"
        if path.name not in records:
            raise UserError(
                f"{path}: not fetched by this program and so never verified; {remedy}, which "
                "verifies and records the dataset's files, and move all others away"
            )
        record = records[path.name]
        if not is_unchanged(path, record) and digests(path)["sha256"] != record["sha256"]:
            raise UserError(f"{path}: changed since it was fetched; delete it and {remedy}")
