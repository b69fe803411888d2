"""Attempts of a job of fits: what each may use, what the next one tries again, what becomes a row.

On one machine the first attempt may use all that the config's limits allow. On a cluster attempts
ask for a quarter, a half, and all of it. A run that needs more than its attempt has fails, so that
Snakemake tries again; one that needs more than the limits becomes a row. The attempt after the last
one writes the rows of a job that was killed each time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from mosaicbench.errors import UserError
from mosaicbench.files.atomic import write_text
from mosaicbench.workflow import cluster


def fit_within_grant(
    fit: Callable[..., None], job: dict, *, attempt: int, granted_mb: float, granted_minutes: float
) -> None:
    """Call `fit` with what this attempt may use, and check the rows that it wrote.

    `fit` and `job` are ``commands.fit.main`` and its keywords. The seeds of one run have as many times
    the minutes; several runs have them once, together. `granted_mb` and `granted_minutes` are for all,
    this process and its surroundings included. A run that needs more than this attempt has, while a
    later one has more, raises a `UserError`.
    """
    outputs = [Path(output) for run in job["runs"] for output in run["outputs"]]
    under_way = outputs[0] / "attempt.json"
    killed = json.loads(under_way.read_text()) if under_way.is_file() else {}
    if attempt > cluster.ATTEMPTS and killed.get("attempt") == attempt - 1:
        fit(**job, failure=_failure_of(killed))
        under_way.unlink(missing_ok=True)
        return

    fits = len(job["seeds"]) if len(job["runs"]) == 1 else 1
    allowed = job["limits"] | {"minutes": job["limits"]["minutes"] * fits}
    usable = {
        "memory_mb": min(allowed["memory_mb"], granted_mb - cluster.OVERHEAD_MB),
        "minutes": min(allowed["minutes"], granted_minutes - cluster.OVERHEAD_MINUTES),
    }
    now = {"attempt": attempt, "job": os.environ.get("SLURM_JOB_ID")} | usable
    for output in outputs:  # a record that is there afterwards was written now
        (output / "run.json").unlink(missing_ok=True)
    write_text(under_way, json.dumps(now))
    try:
        fit(**job, usable=usable)
    except UserError:
        under_way.unlink(missing_ok=True)
        raise
    records = [json.loads((output / "run.json").read_text()) for output in outputs]
    out_of_memory = [record for record in records if record["status"] == "out_of_memory"]
    if out_of_memory and now["job"]:
        # Where the kernel killed the fit, the cluster takes the whole job for failed, with this row: the next attempt has it.
        ended = {key: out_of_memory[0][key] for key in ("status", "message")}
        write_text(under_way, json.dumps(now | ended))
    else:
        under_way.unlink(missing_ok=True)
    limit_of = {"out_of_memory": "memory_mb", "timeout": "minutes"}
    for status in (record["status"] for record in records):
        limit = limit_of.get(status)
        if attempt < cluster.ATTEMPTS and limit and usable[limit] < allowed[limit]:
            raise UserError(
                f"{status} with {usable['memory_mb']:g} MB and {usable['minutes']:g} minutes; the next attempt gets more"
            )


def _failure_of(killed: dict) -> dict[str, str]:
    if "status" in killed:
        return {"status": killed["status"], "message": killed["message"]}
    status, in_words_of_slurm = cluster.status_of_killed(killed["job"])
    message = (
        f"killed from outside, after {cluster.ATTEMPTS - 1} failed attempts; the last had {killed['memory_mb']:g} MB"
        f" and {killed['minutes']:g} minutes in job {killed['job']}, {in_words_of_slurm}"
    )
    return {"status": status, "message": message}
