"""HDF5 files of users, first read in a process of their own: a damaged one can keep HDF5 reading for ever, or bring it down."""

from __future__ import annotations

import mmap
import os
import resource
import signal
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mosaicbench.errors import UserError

if TYPE_CHECKING:
    import h5py

SECONDS = 60  # that one part may take to read; the clock starts again with each
PART = 2**24  # bytes of values that are read at once
MEMORY = (
    2**33
)  # bytes that the reading may take beside what this process has: a damaged size can be anything
TEXT = 1000  # bytes of the name of what is being read


def check_readable(file: Path) -> None:
    """Read all of an HDF5 file in a process of its own, so that it can be read here without end or crash.

    What HDF5 refuses with an error is no business of this function: a reader meets it again and says so.

    Parameters
    ----------
    file
        An existing file; one that is no HDF5 is left to its reader, too.

    Raises
    ------
    UserError
        When HDF5 comes to no end or is brought down, or a part claims more values than this machine could hold.
    """
    import h5py  # noqa: F401  so that the process that reads need not

    name = mmap.mmap(-1, TEXT)  # shared with the process that reads
    with warnings.catch_warnings():
        for category in (
            DeprecationWarning,
            RuntimeWarning,
        ):  # of threads of Python and JAX: the child starts none
            warnings.simplefilter("ignore", category)
        reader = os.fork()
    if reader == 0:
        _read_and_exit(file, name)
    try:
        ended = os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1])
    except BaseException:
        os.kill(reader, signal.SIGKILL)
        os.waitpid(reader, 0)
        raise
    if ended == 0:
        return
    place = name[:].rstrip(b"\0").decode(errors="replace")
    faults = {
        -signal.SIGALRM: f"HDF5 came to no end within {SECONDS} seconds",
        1: "it claims more values than fit into memory",
    }
    fault = faults.get(ended, f"HDF5 was brought down ({_signal(-ended)})")
    raise UserError(
        f"path: {file}: cannot be read: {fault} at {place}; the file is damaged, write it or download it again"
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit status {-number}"


def _read_and_exit(file: Path, name: mmap.mmap) -> None:
    """Be the process that reads; end with 0 unless the file brings it down, stops it, or claims too much."""
    ended = 0
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(
            OSError, ValueError
        ):  # a lower limit is set already, or this system knows none
            resource.setrlimit(
                resource.RLIMIT_AS, (_used() + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1])
            )
        _read(file, name)
    except _Claims:
        ended = 1
    except BaseException:  # noqa: BLE001, S110  its reader will meet it, and says so
        pass
    finally:
        os._exit(ended)


class _Claims(Exception):
    """A part claims more values than this machine has memory for."""


def _used() -> int:
    """Return the bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _read(file: Path, name: mmap.mmap) -> None:
    import h5py

    signal.alarm(SECONDS)
    with h5py.File(file) as content:
        met, waiting = set(), [content]
        while waiting:
            node = waiting.pop()
            address = h5py.h5o.get_info(node.id).addr
            if address in met:  # a group may hold itself
                continue
            met.add(address)
            name[:] = (node.name or "/").encode(errors="replace")[:TEXT].ljust(TEXT, b"\0")
            for key in _tried(lambda node=node: list(node.attrs)) or ():
                _tried(lambda node=node, key=key: node.attrs[key])
            if isinstance(node, h5py.Dataset):
                _tried(lambda node=node: _read_values(node))
            elif isinstance(node, h5py.Group):
                for key in _tried(lambda node=node: list(node)) or ():
                    if _tried(
                        lambda node=node, key=key: isinstance(
                            node.get(key, getlink=True), h5py.HardLink
                        )
                    ):
                        waiting += (
                            [found]
                            if (found := _tried(lambda node=node, key=key: node[key])) is not None
                            else []
                        )


def _tried(read: object) -> object:
    """Return what `read` returns, None where HDF5 refuses it."""
    signal.alarm(SECONDS)
    try:
        return read()
    except _Claims:
        raise
    except Exception:  # noqa: BLE001  its reader will meet it, and says so
        return None


def _read_values(values: h5py.Dataset) -> None:
    """Read values a part at a time."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if not values.shape:
        values[()]
        return
    size = int(np.prod([float(length) for length in values.shape])) * values.dtype.itemsize
    if size > memory:
        raise _Claims
    rows = max(1, PART * len(values) // max(1, size))
    if values.chunks:
        rows = -(-rows // values.chunks[0]) * values.chunks[0]  # a chunk is read once
    for first in range(0, len(values), rows):
        signal.alarm(SECONDS)
        values[first : first + rows]
