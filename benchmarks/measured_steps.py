"""Steps of a benchmark, each measured in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from mosaicbench.config import jobs, settings
from mosaicbench.workflow.layout import Results

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Usage:
    """CPU and wall-clock seconds of a step, and its peak resident memory in GB."""

    cpu_seconds: float
    seconds: float
    peak_gb: float


def record(folder: Path, config: dict) -> None:
    """Write a config to a folder, and record it there as the workflow does when it starts."""
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    jobs.record(settings.read(file), Results(folder / "results"))


def step(folder: Path, *arguments: str) -> Usage:
    """Run a command of mosaicbench on the recorded config of a folder."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "mosaicbench", *arguments]
    child = subprocess.Popen(command, cwd=folder, env=environment())
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"mosaicbench {' '.join(arguments)} failed with status {status}")
    return Usage(
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        seconds=time.perf_counter() - began,
        peak_gb=usage.ru_maxrss / 1024**2,  # Linux counts kibibytes
    )


def environment() -> dict[str, str]:
    """Return the environment in which this checkout's package is imported."""
    return os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
