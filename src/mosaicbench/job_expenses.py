"""What a job took, as its own process counts it at its end: one row, which `expenses` reads.

Standard library only, since the command line imports this for every job.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path

from mosaicbench.files.atomic import write_text
from mosaicbench.usage import cpu_seconds_of, peak_mb_of

COLUMNS = ("seconds", "cpu_seconds", "peak_mb")
STATUS = Path("/proc/self/status")  # on Linux


def write_job_expenses(path: Path, begun: float) -> None:
    """Write what this process and its children, those that have ended, took until now.

    CPU seconds are of all of them, and the peak is that of the one that had most resident memory, in MB of 2^20 bytes.

    Parameters
    ----------
    begun
        `time.monotonic` when the job began; `seconds` of wall-clock time count from there.
    """
    own, children = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    most = max(_own_peak_mb(), peak_mb_of(children))
    values = (time.monotonic() - begun, cpu_seconds_of(own) + cpu_seconds_of(children), most)
    write_text(
        path, "\t".join(COLUMNS) + "\n" + "\t".join(f"{value:.3f}" for value in values) + "\n"
    )


def _own_peak_mb() -> float:
    """Return the most memory that this process had. On Linux `ru_maxrss` is also that of the process which started it."""
    if not STATUS.is_file():
        return peak_mb_of(resource.RUSAGE_SELF)
    sizes = dict(line.split(":", 1) for line in STATUS.read_text(encoding="utf-8").splitlines())
    return int(sizes["VmHWM"].split()[0]) / 2**10


def read_job_expenses(path: Path) -> dict[str, float]:
    """Return column -> value of a job, nothing where there is no such file."""
    if not path.is_file():
        return {}
    names, values = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return dict(zip(names, map(float, values), strict=True))
