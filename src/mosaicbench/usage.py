"""What the operating system says that processes took; `who` is ``resource.RUSAGE_SELF`` or ``RUSAGE_CHILDREN``.

Standard library only, since the command line imports this for every job.
"""

from __future__ import annotations

import resource
import sys


def cpu_seconds_of(who: int) -> float:
    """Return the CPU seconds of this process, or of its children that have ended."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def peak_mb_of(who: int) -> float:
    """Return the most resident memory that this process had, or one of its children that have ended, in MB of 2^20 bytes."""
    return resource.getrusage(who).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
