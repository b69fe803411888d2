"""Run a function in a forked child process with limits of time and memory; say why it ended."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

import psutil

from mosaicbench.errors import Diverged, NotApplicable
from mosaicbench.fitting.job import Limits
from mosaicbench.fitting.meter import Meter

POLL_SECONDS = 0.2
PR_SET_PDEATHSIG = 1  # prctl(2): the signal that the kernel sends this process when its parent dies
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
# Bytes of freed memory that a fit keeps, and the largest array that it takes from them, as glibc allows.
KEPT_BYTES, LARGEST_KEPT = 2**29, 2**25

Failure = dict[str, str]  # "status" and "message", as a run's record has them


def run_in_child(
    work: Callable[[], None], meter: Meter, limits: Limits
) -> tuple[int, Failure | None]:
    """Call `work` in a forked child; return its exit status, and its failure or None.

    The child dies with this process. Call this from a process in which no library has started threads.
    """
    if limits.minutes <= 0:
        return 0, out_of_time(limits)
    child = multiprocessing.get_context("fork").Process(
        target=partial(_work_while_parent_lives, work, os.getpid())
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    child.start()
    try:
        stopped = watch(child, meter, limits)
    finally:
        child.kill()
        child.join()
    return child.exitcode, stopped or failure_of_exit(child.exitcode)


def _work_while_parent_lives(work: Callable[[], None], parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_die_without, args=[parent], daemon=True).start()
    if os.getppid() != parent:  # it died before the call above
        os._exit(1)
    _keep_freed_memory()
    work()


def _keep_freed_memory() -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def _die_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)


def watch(child: multiprocessing.Process, meter: Meter, limits: Limits) -> Failure | None:
    """Wait for the child; return the failure if a limit stops it, else None."""
    process, deadline = psutil.Process(child.pid), time.monotonic() + 60 * limits.minutes
    while child.is_alive():
        child.join(POLL_SECONDS)
        if time.monotonic() > deadline:
            return out_of_time(limits)
        try:
            used = meter.look(process)
        except psutil.NoSuchProcess:
            break
        if used > limits.memory_mb:
            message = f"stopped at {used:.0f} MB of memory (config key limits: memory_mb = {limits.memory_mb:g})"
            return {"status": "out_of_memory", "message": message}
    child.join()
    return None


def out_of_time(limits: Limits) -> Failure:
    """Return the failure of a run that used up its minutes."""
    message = (
        f"stopped after {round(max(0.0, limits.minutes), 2):g} minutes (config key limits: minutes)"
    )
    return {"status": "timeout", "message": message}


def failure_of_exit(code: int) -> Failure | None:
    """Return the failure of a run from the exit status of its process; None for 0."""
    if code == -signal.SIGKILL:
        message = (
            "killed by the operating system, which does this when the machine's memory is full"
        )
        return {"status": "out_of_memory", "message": message}
    return (
        None
        if code == 0
        else {"status": "crashed", "message": f"the process ended with exit status {code}"}
    )


def failure_of_exception(error: Exception) -> Failure:
    """Return the failure of a run that ended with an exception."""
    if isinstance(error, NotApplicable):
        return {"status": "not_applicable", "message": str(error)}
    status = "diverged" if isinstance(error, Diverged) else "crashed"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        status = "out_of_memory"
    return {"status": status, "message": f"{type(error).__name__}: {error}"}
