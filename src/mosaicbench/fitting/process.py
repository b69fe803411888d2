"""Run a child process under limits of time and memory, and say why it ended."""

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
KEPT_BYTES = 2**29  # of freed memory that a fit keeps
LARGEST_KEPT = 2**25  # the largest array that is taken from it, as glibc allows

Failure = dict[str, str]  # "status" and "message", as a run's record has them


def run_in_child(
    work: Callable[[], None], meter: Meter, limits: Limits
) -> tuple[int, Failure | None]:
    """Call `work` in a forked child; return its exit status, and why it failed, if it did.

    The child dies with this process. Without minutes none is started. Call this from a process in
    which no library has started threads, as the command line does.
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
    if os.getppid() != parent:  # it died before the kernel knew what to do then
        os._exit(1)
    _keep_freed_memory()
    work()


def _keep_freed_memory() -> None:
    """Have glibc keep the memory of a training step for the next one."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def _die_without(parent: int) -> None:
    """End this process soon after `parent` has ended, where no kernel does."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)


def watch(child: multiprocessing.Process, meter: Meter, limits: Limits) -> Failure | None:
    """Wait for the child; return why it has to be stopped, None if it ended by itself."""
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
    """Return the status and the message of a run whose minutes are over."""
    message = (
        f"stopped after {round(max(0.0, limits.minutes), 2):g} minutes (config key limits: minutes)"
    )
    return {"status": "timeout", "message": message}


def failure_of_exit(code: int) -> Failure | None:
    """Return the status and the message of a run whose process ended with this code; None where it ended well."""
    if code == -signal.SIGKILL:
        message = (
            "killed by the operating system, which does this when the machine's memory is full"
        )
        return {"status": "out_of_memory", "message": message}
    if code == 0:
        return None
    return {"status": "crashed", "message": f"the process ended with exit status {code}"}


def failure_of_exception(error: Exception) -> Failure:
    """Return the status and the message of a run that ended with an exception."""
    if isinstance(error, NotApplicable):
        return {"status": "not_applicable", "message": str(error)}
    status = "diverged" if isinstance(error, Diverged) else "crashed"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        status = "out_of_memory"
    return {"status": status, "message": f"{type(error).__name__}: {error}"}
