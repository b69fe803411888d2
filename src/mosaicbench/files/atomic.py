"""A file gets its final name only when it is whole.

Standard library only.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mosaicbench.errors import NotWritten

# How HDF5 and libraries in Rust quote the operating system's error.
OF_LIBRARIES = re.compile(r"(?:errno = |os error |Os \{ code: )(\d+)")


def make_folder(path: Path) -> None:
    """Make a folder and those above it; NotWritten when the place cannot be written to."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritten(
            f"{path}: no folder can be made here ({error.strerror}); choose a place that can be "
            "written to, and run again"
        ) from error


@contextmanager
def atomic(path: str | Path, *, size: int = 0) -> Iterator[Path]:
    """Give a temporary path beside `path`, and rename it to `path` if the block ends without error.

    The next attempt overwrites what a killed process left. `size` is approximately what will be
    written, in bytes: without room for it nothing is begun.

    Raises
    ------
    NotWritten
        When the disk is full, or the folder is not writable.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_room(path.parent, size)
        yield temporary
        os.replace(temporary, path)
    except Exception as error:
        reason = _refusal(error)
        if reason is None:
            raise
        raise NotWritten(
            f"{path}: cannot be written ({reason}); an earlier file of this name is unchanged. "
            "Make room, or choose a folder that can be written to, and run again"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a small text file whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _check_room(folder: Path, size: int) -> None:
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if most != resource.RLIM_INFINITY and size > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(folder))
    if size > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _refusal(error: Exception) -> str | None:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    answer = OF_LIBRARIES.search(str(error))
    return None if answer is None else os.strerror(int(answer[1]))
