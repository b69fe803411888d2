"""Loops that are compiled ahead, in a process of its own."""

import subprocess
import sys

COMPILED_AHEAD = """
from mosaicbench.metrics import _nearest

_nearest.compile_loops()
called = {name: loop for name, loop in vars(_nearest).items() if getattr(loop, "targetoptions", {}).get("parallel")}
print(sorted(called), [name for name, loop in called.items() if not loop.signatures])
"""


def test_what_compiles_loops_ahead_calls_each():
    done = subprocess.run(
        [sys.executable, "-c", COMPILED_AHEAD], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['count_both_ways', 'count_votes', 'nearest_cells'] []"
