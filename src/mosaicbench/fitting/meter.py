"""Measure seconds and memory of each phase of a run, also of a run that is killed.

The working process names its phase, the watching one reads the memory of the tree of processes;
both write into shared memory.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time

import psutil

PHASES = ("import", "read", "fit", "embed", "impute", "draw", "write")
ON_DEVICE = ("fit", "embed", "impute", "draw")  # phases that compute where torch computes
MEASURES = ("seconds", "cpu_seconds", "gpu_seconds", "host_mb", "device_mb")
BEFORE = -1  # no phase yet
LONGEST_NAME = 200  # bytes of a device's name


def cpu_seconds_of(who: int) -> float:
    """Return the CPU seconds of ``RUSAGE_SELF``, or of ``RUSAGE_CHILDREN``."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def peak_mb_of(who: int) -> float:
    """Return the peak resident memory in MB (2^20 bytes), as `cpu_seconds_of`."""
    return resource.getrusage(who).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


class Meter:
    """Costs of one child process, by phase. Make it before the child is forked.

    Wall-clock seconds; CPU seconds of the child and of its children that have ended; GPU seconds of
    phases that compute on a GPU, busy or not. Host memory is the largest resident sum over the tree
    of processes, device memory the most that torch had allocated.
    """

    def __init__(self):
        context = multiprocessing.get_context("fork")
        self._phase = context.RawValue("i", BEFORE)
        self._entered = context.RawArray(
            "d", 3
        )  # when the phase began: wall-clock, CPU seconds, most memory until then
        self._measured = {measure: context.RawArray("d", len(PHASES)) for measure in MEASURES}
        self._device = context.RawArray("c", LONGEST_NAME)
        self._children_before = cpu_seconds_of(resource.RUSAGE_CHILDREN)

    # --- for the child ---

    def enter(self, phase: str | None) -> None:
        """End the phase that the child is in, if any, and begin another; None only ends."""
        torch = _torch_on_gpu()
        cpu = cpu_seconds_of(resource.RUSAGE_SELF) + cpu_seconds_of(resource.RUSAGE_CHILDREN)
        if self._phase.value != BEFORE:
            self._close(cpu)
            grown = peak_mb_of(resource.RUSAGE_SELF) > self._entered[2]
            self._see_host(
                peak_mb_of(resource.RUSAGE_SELF)
                if grown
                else psutil.Process().memory_info().rss / 2**20
            )
            if torch is not None:
                self._measured["device_mb"][self._phase.value] = (
                    torch.cuda.max_memory_allocated() / 2**20
                )
        if torch is not None:
            torch.cuda.reset_peak_memory_stats()
            if phase in ON_DEVICE:
                self._device.value = torch.cuda.get_device_name().encode()[: LONGEST_NAME - 1]
        self._entered[:] = time.monotonic(), cpu, peak_mb_of(resource.RUSAGE_SELF)
        self._phase.value = BEFORE if phase is None else PHASES.index(phase)

    # --- for the watcher ---

    def credit(self, phase: str, seconds: float, cpu_seconds: float) -> None:
        """Count what was spent on a phase before the child was forked."""
        self._measured["seconds"][PHASES.index(phase)] += seconds
        self._measured["cpu_seconds"][PHASES.index(phase)] += cpu_seconds

    def look(self, child: psutil.Process) -> float:
        """Return the resident memory of the child and all its descendants in MB, and remember it.

        Raises
        ------
        psutil.NoSuchProcess
            When the child has ended.
        """
        used = child.memory_info().rss
        for descendant in child.children(recursive=True):
            try:
                used += descendant.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        self._see_host(used / 2**20)
        return used / 2**20

    def close(self) -> None:
        """End the phase of a child that was killed; call it when the child has been waited for."""
        if self._phase.value != BEFORE:
            self._close(cpu_seconds_of(resource.RUSAGE_CHILDREN) - self._children_before)
            self._phase.value = BEFORE

    # --- for either ---

    def account(self, earlier: dict[str, float] | None = None) -> dict:
        """Return what a run's record says of its costs.

        Parameters
        ----------
        earlier
            "seconds" and "cpu_seconds" of the training before it was resumed; they count as part of the fit.

        Returns
        -------
        dict
            `MEASURES`, each phase -> number (device_mb only on a GPU), peak_host_mb and peak_device_mb over all phases, device.
        """
        on_gpu = bool(self._device.value)
        entered = [i for i in range(len(PHASES)) if self._measured["seconds"][i] > 0]
        account = {
            measure: {PHASES[i]: round(self._measured[measure][i], 3) for i in entered}
            for measure in MEASURES
        }
        for measure, before in ({} if earlier is None else earlier).items():
            account[measure]["fit"] += before
            if on_gpu and measure == "seconds":
                account["gpu_seconds"]["fit"] += before
        if not on_gpu:
            account["device_mb"] = {}
        return account | {
            "peak_host_mb": max(account["host_mb"].values(), default=None),
            "peak_device_mb": max(account["device_mb"].values(), default=None),
            "device": self._device.value.decode(errors="replace") or "cpu",
        }

    def _close(self, cpu: float) -> None:
        phase, seconds = self._phase.value, time.monotonic() - self._entered[0]
        self._measured["seconds"][phase] += seconds
        self._measured["cpu_seconds"][phase] += max(cpu - self._entered[1], 0.0)
        if self._device.value and PHASES[phase] in ON_DEVICE:
            self._measured["gpu_seconds"][phase] = seconds

    def _see_host(self, used_mb: float) -> None:
        phase = self._phase.value
        if phase != BEFORE:
            self._measured["host_mb"][phase] = max(self._measured["host_mb"][phase], used_mb)


def _torch_on_gpu() -> object | None:
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_available() else None
