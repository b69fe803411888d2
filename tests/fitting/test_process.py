"""The child process of a fit ends with its parent, even where the parent is killed."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from mosaicbench.fitting.job import Limits
from mosaicbench.fitting.meter import Meter
from mosaicbench.fitting.process import run_in_child

PARENT = """
import os, sys, time
from mosaicbench.fitting import process
from mosaicbench.fitting.job import Limits
from mosaicbench.fitting.meter import Meter

sys.platform = sys.argv[1]

def work():
    print(os.getpid(), flush=True)
    time.sleep(60)

process.run_in_child(work, Meter(), Limits(minutes=5, memory_mb=8000))
"""


@pytest.mark.parametrize("platform", ["linux", "external"])
def test_a_child_dies_with_a_parent_that_is_killed(platform):
    if platform == "linux" != sys.platform:
        pytest.skip("prctl is of Linux")
    command = [sys.executable, "-c", PARENT, platform]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with parent.stdout as said:
        child = psutil.Process(int(said.readline()))
    try:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        end = time.monotonic() + 10
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end, "the child outlives its parent"
            time.sleep(0.05)
    except psutil.NoSuchProcess:
        pass
    finally:
        if child.is_running():
            child.kill()


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc alone can be told to keep freed memory"
)
def test_a_fit_takes_its_large_arrays_from_memory_that_it_freed(tmp_path):
    """Filling five arrays of 24 MB for the tenth time asks the system for no page."""

    def work():
        pages = []
        for _ in range(10):
            [np.ones(3_000_000) for _ in range(5)]
            pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
        (tmp_path / "pages").write_text(str(pages[-1] - pages[0]))

    assert run_in_child(work, Meter(), Limits(minutes=1, memory_mb=8000)) == (0, None)
    pages_of_an_array = 24e6 / resource.getpagesize()
    assert int((tmp_path / "pages").read_text()) < pages_of_an_array
