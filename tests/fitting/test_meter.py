"""What a run costs: seconds and memory by phase, of the whole tree of processes, also of a run that was killed."""

import multiprocessing
import subprocess
import sys
import time
import types

import numpy as np
import psutil
import pytest

from mosaicbench.fitting import meter as metering
from mosaicbench.fitting.meter import Meter

CONTEXT = multiprocessing.get_context("fork")
GRANDCHILD = (
    "import time; held = bytearray(200 * 2**20); print('ready', flush=True); time.sleep(60)"
)


def looked_at(work, *, kill_after=None):
    """Run `work(meter)` in a child; look at its memory until it ends, or is killed."""
    meter = Meter()
    child = CONTEXT.Process(target=work, args=(meter,))
    child.start()
    process, began, seen = psutil.Process(child.pid), time.monotonic(), []
    while child.is_alive():
        child.join(0.02)
        try:
            seen.append(meter.look(process))
        except psutil.NoSuchProcess:
            break
        if kill_after is not None and time.monotonic() - began > kill_after:
            break
    child.kill()
    child.join()
    meter.close()
    return meter.account(), max(seen)


def two_phases(meter):
    meter.enter("read")
    held = np.ones(40 * 2**17)  # 40 MB
    meter.enter("fit")
    end = time.process_time() + 0.3
    while time.process_time() < end:
        held += 1
    meter.enter("embed")
    time.sleep(0.3)
    meter.enter(None)


def test_seconds_and_memory_go_to_the_phase_that_took_them():
    account, _ = looked_at(two_phases)
    for measure in ("seconds", "cpu_seconds", "host_mb"):
        assert list(account[measure]) == ["read", "fit", "embed"]
    assert 0.3 <= account["cpu_seconds"]["fit"] < 0.5
    assert account["cpu_seconds"]["embed"] < 0.1 < 0.3 <= account["seconds"]["embed"]
    assert account["peak_host_mb"] == max(account["host_mb"].values())
    assert (account["device"], account["peak_device_mb"], account["device_mb"]) == ("cpu", None, {})
    assert not any(account["gpu_seconds"].values())


def spike(meter):
    """Hold memory for less time than lies between two looks."""
    meter.enter("read")
    meter.enter("fit")
    np.ones(150 * 2**17)
    meter.enter("embed")
    meter.enter(None)


def test_a_short_spike_counts_in_its_phase():
    account, _ = looked_at(spike)
    assert account["host_mb"]["fit"] > account["host_mb"]["read"] + 100
    assert account["host_mb"]["embed"] < account["host_mb"]["fit"] - 50


def with_grandchild(meter):
    meter.enter("read")
    meter.enter("fit")
    helper = subprocess.Popen([sys.executable, "-c", GRANDCHILD], stdout=subprocess.PIPE)
    helper.stdout.readline()
    time.sleep(0.5)
    helper.kill()
    helper.wait()
    meter.enter(None)


def test_memory_of_a_child_of_the_run_counts():
    account, seen = looked_at(with_grandchild)
    assert account["host_mb"]["fit"] == pytest.approx(seen, abs=0.01)
    assert account["host_mb"]["fit"] > account["host_mb"]["read"] + 150


def endless(meter):
    meter.enter("read")
    meter.enter("fit")
    while True:
        sum(range(1000))


def test_a_killed_run_has_its_costs_until_then():
    account, _ = looked_at(endless, kill_after=0.6)
    assert list(account["seconds"]) == ["read", "fit"]
    assert account["seconds"]["fit"] > 0.5
    assert account["cpu_seconds"]["fit"] > 0.05
    assert account["host_mb"]["fit"] > 10


def test_on_a_gpu_its_seconds_and_memory_count_where_it_computes(monkeypatch):
    """A stand-in of torch on a GPU: this says that the numbers reach their place, not that CUDA gives them."""
    allocated = iter([10 * 2**20, 3000 * 2**20])
    cuda = types.SimpleNamespace(
        max_memory_allocated=lambda: next(allocated),
        reset_peak_memory_stats=lambda: None,
        get_device_name=lambda: "Some GPU",
    )
    monkeypatch.setattr(metering, "_torch_on_gpu", lambda: types.SimpleNamespace(cuda=cuda))
    meter = Meter()
    for phase in ("read", "fit", None):
        meter.enter(phase)
        time.sleep(0.05)
    account = meter.account({"seconds": 100.0, "cpu_seconds": 90.0})
    assert account["device"] == "Some GPU"
    assert account["gpu_seconds"]["read"] == 0
    assert account["gpu_seconds"]["fit"] == account["seconds"]["fit"] > 100
    assert 90 <= account["cpu_seconds"]["fit"] < 100
    assert account["device_mb"] == {"read": 10, "fit": 3000}
    assert account["peak_device_mb"] == 3000
