"""A file has its final name only when it is whole; what a process that died was writing is removed by the next one.

Standard library only, since the command line imports this before any fit forks.
"""

from __future__ import annotations

import errno
import glob
import os
import platform
import re
import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mosaicbench.errors import NotWritten

DAY = 24 * 3600  # seconds after which nobody on another machine is still writing
# How HDF5, safetensors and its older versions say what the operating system answered.
OF_LIBRARIES = re.compile(r"(?:errno = |os error |Os \{ code: )(\d+)")


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises
    ------
    NotWritten
        When something else has its name, or the place cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritten(
            f"{path}: no folder can be made here ({error.strerror}); choose a place that can be written to, and run again"
        ) from error


@contextmanager
def atomic(path: str | Path, *, size: int = 0) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place only when the block ends without an error.

    Parameters
    ----------
    size
        Bytes that are to come, about. Where there is no room for them nothing is begun: HDF5, whose file the disk stops taking,
        can end the whole process.

    Raises
    ------
    NotWritten
        When the path names no file, the disk is full, or the folder or the size of files is not free to write.
    """
    path = Path(path)
    if not path.name:  # of "" and "."
        raise NotWritten(f"{path}: is a folder; name a file, and run again")
    temporary = path.with_name(f".{path.stem}.{_machine()}-{os.getpid()}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_strays(path)
        check_room(path.parent, size)
        yield temporary
        os.replace(temporary, path)
    except Exception as error:
        reason = _refusal(error)
        if reason is None:
            raise
        raise NotWritten(
            f"{path}: cannot be written ({reason}); what was there before is left as it was. "
            "Make room, or choose a folder that can be written to, and run again"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a small text file whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_room(folder: Path, size: int) -> None:
    """Raise the OSError that the writing of a file of `size` bytes would end in, as far as that is known before."""
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if most != resource.RLIM_INFINITY and size > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(folder))
    if size > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def remove_strays(path: Path) -> None:
    """Remove what processes that have died left beside `path` of their attempts to write it."""
    for stray in path.parent.glob(f".{glob.escape(path.stem)}.*.partial{glob.escape(path.suffix)}"):
        writer = stray.name.removeprefix(f".{path.stem}.").removesuffix(f".partial{path.suffix}")
        with suppress(OSError):  # another process may have removed it meanwhile
            if _is_dead(writer, stray):
                stray.unlink(missing_ok=True)


def _is_dead(writer: str, stray: Path) -> bool:
    """Return whether the process ``machine-pid`` has ended, as far as can be told from this machine."""
    machine, _, pid = writer.rpartition("-")
    if machine != _machine() or not pid.isdigit():
        return time.time() - stray.stat().st_mtime > DAY
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:  # of another user
        return False
    return False


def _machine() -> str:
    return re.sub(r"[^A-Za-z0-9]", "-", platform.node())[:50]


def _refusal(error: Exception) -> str | None:
    """Return the operating system's reason for not writing; None for an error of another kind."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    answer = OF_LIBRARIES.search(str(error))
    return None if answer is None else os.strerror(int(answer[1]))
