"""The registry: which datasets exist, where each file of theirs lies, and how to tell the right one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Gt, MinLen
from pydantic import AfterValidator, StringConstraints, model_validator

from mosaicbench.config.checking import Strict, faults, read_yaml, refuse
from mosaicbench.config.schema import LEFT_OUT, AtLeastOne, Names, distinct
from mosaicbench.errors import UserError, nearest
from mosaicbench.workflow import layout

REGISTRY = layout.project_file("config/datasets.yaml")


Url = Annotated[str, StringConstraints(pattern="^https?://[^ ]+$")]
FileName = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
FileInWheel = Annotated[str, StringConstraints(pattern="^[^/ ][^ ]*$")]
Version = Annotated[str, StringConstraints(pattern="^[0-9][A-Za-z0-9.+!-]*$")]
Md5 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class Package(Strict, frozen=True):
    """The wheel of a Python package that holds a file: name and version as pip knows them, the file's path, the wheel's digest and length."""

    name: FileName
    version: Version
    file: FileInWheel
    sha256: Sha256
    bytes: AtLeastOne | None = None

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


class File(Strict):
    """How to get a file, and how to tell the right one: see :class:`RawFile`."""

    url: Url = LEFT_OUT
    package: Package = LEFT_OUT
    mirrors: Annotated[list[Url], AfterValidator(distinct)] = []
    bytes: AtLeastOne | None
    about_mb: Annotated[float, Gt(0)] = LEFT_OUT
    md5: Md5 = LEFT_OUT
    sha256: Sha256 = LEFT_OUT
    optional: bool = False
    proven: str = LEFT_OUT
    sources: Annotated[Names, MinLen(1)] = LEFT_OUT

    @model_validator(mode="after")
    def _one_origin(self) -> File:
        if len({"url", "package"} & self.model_fields_set) != 1:
            raise ValueError("a file has either an address, url, or a package")
        return self


class Entry(Strict):
    """What a dataset is, and its files."""

    summary: str = LEFT_OUT
    loader: str | None
    options: dict[str, Any] = {}
    licence: str
    citation: str
    labels: str
    labels_from: Names = LEFT_OUT
    version: str = LEFT_OUT
    shape: dict[str, AtLeastOne | None] = LEFT_OUT
    verify: list[str] = LEFT_OUT
    files: dict[FileName, File] = {}


Entries = Annotated[dict[FileName, Entry], MinLen(1)]


@dataclass(frozen=True)
class RawFile:
    """One file of a publisher, and what is known about it.

    Attributes
    ----------
    dataset, name
        The dataset's id, and the name that the publisher gave the file.
    urls
        Where it lies: the publisher's address, then mirrors, in the order in which to try them; none where a package holds it.
    package
        The package that holds it, None where it has an address.
    bytes
        Its length, None where no source states it.
    about_mb
        Its rough length in MB, None where that is unknown too.
    digests
        "md5" or "sha256" -> hexadecimal digest; empty where none is public.
    optional
        Whether the dataset can be prepared without it.
    twins
        dataset -> md5 (None where unknown) of a file with the same name and another address: easily taken for this one.
    proven
        When and how the bytes were seen and found to have this length and checksum, None where nobody has.
    sources
        Who else publishes the address, the length or the checksum.
    """

    dataset: str
    name: str
    urls: tuple[str, ...]
    package: Package | None
    bytes: int | None
    about_mb: float | None
    digests: dict[str, str]
    optional: bool
    twins: dict[str, str | None]
    proven: str | None
    sources: tuple[str, ...]

    @property
    def origin(self) -> str:
        """The first place to look: an address, or a package."""
        return self.urls[0] if self.package is None else f"package {self.package}"


def load(path: str | Path = REGISTRY) -> dict[str, dict]:
    """Read and check a registry: dataset id -> stanza with ``loader``, ``options``, ``files`` and what is known of them.

    Raises
    ------
    UserError
        When the file is absent, is no YAML, or breaks its schema.
    """
    path = Path(path)
    registry = read_yaml(path)
    refuse(faults(Entries, registry), f"{path}, key")
    return {name: {"options": {}, "files": {}} | stanza for name, stanza in registry.items()}


def raw_files(registry: dict[str, dict], dataset: str) -> list[RawFile]:
    """Return the files of a dataset, in the order of the registry.

    Raises
    ------
    UserError
        When the registry does not have the dataset.
    """
    if dataset not in registry:
        hint = nearest(dataset, registry)
        raise UserError(f"there is no dataset {dataset!r} in the registry{hint}")
    found = []
    for name, known in registry[dataset]["files"].items():
        digests = {kind: known[kind] for kind in ("md5", "sha256") if kind in known}
        named_alike = {
            other: stanza["files"][name]
            for other, stanza in registry.items()
            if name in stanza["files"]
        }
        twins = {
            other: twin.get("md5")
            for other, twin in named_alike.items()
            if _place(twin) != _place(known)
        }
        urls = (known["url"], *known.get("mirrors", [])) if "url" in known else ()
        package = Package(**known["package"]) if "package" in known else None
        stated = (
            known.get("optional", False),
            twins,
            known.get("proven"),
            tuple(known.get("sources", ())),
        )
        found.append(
            RawFile(dataset, name, urls, package, known["bytes"], _mb(known), digests, *stated)
        )
    return found


def _place(known: dict) -> object:
    return known.get("url", known.get("package"))


def _mb(known: dict) -> float | None:
    return known.get("about_mb") if known["bytes"] is None else known["bytes"] / 1e6


def loader_of(name: str, stanza: dict, known: dict[str, dict]) -> str | None:
    """Return what reads a dataset of a config: what its stanza says, else what its entry does; None where neither does."""
    if "loader" in stanza or "path" in stanza:
        return stanza.get("loader", "own_files")
    return known.get(stanza.get("from", name), {}).get("loader")
