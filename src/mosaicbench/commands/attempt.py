"""Attempt: fit a run within what this attempt was granted; leave it to the next attempt, or to a row that says why not.

On one machine the first attempt is granted all that the config's limits allow. On a cluster the attempts ask for a quarter, a
half, and all of it: a run that needs more than it was granted fails, so that Snakemake tries again; one that needs more than
the limits becomes a row, as anywhere. A run that was killed from outside each time (by the kernel, the cluster, a person)
could not write anything: the attempt after the last one writes its row.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mosaicbench import cluster
from mosaicbench.commands import fit
from mosaicbench.errors import UserError


def main(
    *, attempt: int, granted_mb: float, granted_minutes: float, max_memory_mb: float, max_minutes: float, output: Path, **of_fit
) -> None:
    """Fit as ``commands.fit`` does, with limits that are no larger than what was granted.

    Parameters
    ----------
    attempt
        1 for the first.
    granted_mb, granted_minutes
        What the job may use in all, this process and its surroundings included.
    max_memory_mb, max_minutes
        The limits of the config.
    output
        The run's folder. ``attempt.json`` in it says that an attempt is under way, or was when it was killed.
    of_fit
        All else that ``commands.fit.main`` takes.

    Raises
    ------
    UserError
        When the run needs more than this attempt was granted but not more than a later one is; and as ``commands.fit`` does.
    """

    def fitted(memory_mb: float, minutes: float) -> None:
        fit.main(max_memory_mb=memory_mb, max_minutes=minutes, output=output, **of_fit)

    limits = {"max_memory_mb": max_memory_mb, "max_minutes": max_minutes}
    within(fitted, [output], attempt=attempt, granted_mb=granted_mb, granted_minutes=granted_minutes, **limits)


def within(
    fitted: Callable[[float, float], None],
    outputs: Sequence[Path],
    *,
    attempt: int,
    granted_mb: float,
    granted_minutes: float,
    max_memory_mb: float,
    max_minutes: float,
) -> None:
    """Call `fitted` with the memory in MB and the minutes that this attempt has, and judge the rows that it wrote.

    Parameters
    ----------
    outputs
        The folders of the runs, one per seed. The first holds ``attempt.json``.

    Raises
    ------
    UserError
        As :func:`main`.
    """
    under_way = outputs[0] / "attempt.json"
    memory_mb = min(max_memory_mb, granted_mb - cluster.OVERHEAD_MB)
    minutes = min(max_minutes, granted_minutes - cluster.OVERHEAD_MINUTES)
    killed = json.loads(under_way.read_text()) if under_way.is_file() else {}
    if attempt > cluster.ATTEMPTS and killed.get("attempt") == attempt - 1:
        _record_killed(killed, fitted, outputs)
        under_way.unlink()
        return

    outputs[0].mkdir(parents=True, exist_ok=True)
    now = {"attempt": attempt, "memory_mb": memory_mb, "minutes": minutes, "job": os.environ.get("SLURM_JOB_ID")}
    under_way.write_text(json.dumps(now))
    try:
        fitted(memory_mb, minutes)
    except UserError:
        under_way.unlink()
        raise
    records = [json.loads((output / "run.json").read_text()) for output in outputs]
    lacked = {"out_of_memory": memory_mb < max_memory_mb, "timeout": minutes < max_minutes}
    out_of_memory = [record for record in records if record["status"] == "out_of_memory"]
    if out_of_memory and now["job"]:
        # Where the kernel killed the fit, the cluster takes the whole job for failed, with this row: the next attempt has it.
        under_way.write_text(json.dumps(now | {"status": "out_of_memory", "message": out_of_memory[0]["message"]}))
    else:
        under_way.unlink()
    too_little = [record["status"] for record in records if lacked.get(record["status"], False)]
    if attempt < cluster.ATTEMPTS and too_little:
        raise UserError(f"{too_little[0]} with {memory_mb:g} MB and {minutes:g} minutes; the next attempt gets more")


def _record_killed(killed: dict, fitted: Callable[[float, float], None], outputs: Sequence[Path]) -> None:
    """Write the rows of runs that never came to write one; a fit that gets no time writes all but the reason."""
    fitted(float("inf"), 0)
    from mosaicbench.files.runs import (  # after the fit has forked, which needs a process without threads
        read_record,
        write_record,
    )

    status, message = killed.get("status"), killed.get("message")
    if status is None:
        status, said = cluster.status_of_killed(killed["job"])
        message = (
            f"killed from outside, after {cluster.ATTEMPTS - 1} failed attempts; the last had {killed['memory_mb']:g} MB"
            f" and {killed['minutes']:g} minutes in job {killed['job']}, {said}"
        )
    for output in outputs:
        record = read_record(output / "run.json")
        write_record(output / "run.json", record | {"status": status, "message": message, "peak_host_mb": None})
