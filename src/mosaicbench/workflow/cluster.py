"""What a job asks of a cluster: more on every attempt, and never what no machine of its partition has.

Standard library only.
"""

from __future__ import annotations

import math
import re
import subprocess
from contextlib import suppress

from mosaicbench.errors import UserError

ATTEMPTS = 3  # the third grants the whole of the limits; a fourth only records a run that was killed from outside each time
OVERHEAD_MB = 1000  # Snakemake and Python beside the run itself, so that the run's own limit is met before the cluster's
OVERHEAD_MINUTES = 5  # starting, reading and writing

# What SLURM says of a job that it ended -> a run's status; any other end is a crash.
STATUS_OF_STATE = {"OUT_OF_MEMORY": "out_of_memory", "TIMEOUT": "timeout", "DEADLINE": "timeout"}


DOWN = "not available (down"  # of nodes that will be back
OPTIONS = {  # resource of Snakemake and its SLURM plugin -> option of sbatch
    "slurm_partition": "partition",
    "slurm_account": "account",
    "constraint": "constraint",
    "qos": "qos",
    "gres": "gres",
    "gpus": "gpus",
    "cpus_per_task": "cpus-per-task",
    "mem_mb": "mem",
    "runtime": "time",
}


def _granted(limit: float, attempt: int) -> int:
    """Return how much of a run's limit an attempt is granted: a quarter, a half, then all."""
    return math.ceil(limit * 0.5 ** max(0, ATTEMPTS - attempt))


def requested_mb(limit_mb: float, attempt: int = ATTEMPTS) -> int:
    """Return the memory in MB to ask for, so that a run may use an attempt's fraction of its limit."""
    return _granted(limit_mb, attempt) + OVERHEAD_MB


def requested_minutes(limit_minutes: float, attempt: int = ATTEMPTS) -> int:
    """Return the minutes to ask for, so that a run may use an attempt's fraction of its limit."""
    return _granted(limit_minutes, attempt) + OVERHEAD_MINUTES


def request(resources: dict) -> tuple[str, ...]:
    """Return the options of sbatch for the resources of a job or group."""
    known = {"cpus_per_task": resources.get("_cores", 1)} | resources
    if gpus := known.get("gpu"):
        known["gpus"] = ":".join(filter(None, [known.get("gpu_model"), str(gpus)]))
    return tuple(
        f"--{option}={known[name]}"
        for name, option in OPTIONS.items()
        if known.get(name) not in (None, "", "<TBD>")  # the last is settled when the job starts
    )


def check(dag: object, retries: int, *, on_slurm: bool) -> None:
    """Refuse too few attempts, and jobs of a Snakemake DAG that SLURM would never start."""
    if retries < ATTEMPTS:
        raise UserError(
            f"retries is {retries}: fits ask for more memory and time in {ATTEMPTS} attempts, and one more writes the row"
            f" of a run that was killed each time; set `retries: {ATTEMPTS}` in the profile, or more"
        )
    asked: dict[tuple[str, ...], set[str]] = {}
    submitted = {dag.get_job_group(job) or job for job in dag.needrun_jobs() if not job.is_local}
    for job in submitted if on_slurm else ():
        first, job.attempt = job.attempt, retries + 1  # the last attempt asks for most
        rules = asked.setdefault(request(dict(job.resources.items())), set())
        rules |= {member.rule.name for member in job} if job.is_group() else {job.rule.name}
        job.attempt = first
    if asked:
        check_requests({options: ", ".join(sorted(rules)) for options, rules in asked.items()})


def check_requests(requests: dict[tuple[str, ...], str]) -> None:
    """Refuse requests, options of sbatch -> rules, that SLURM would never start, in one message."""
    partitions = _answer("sinfo", "--all", "--format=%R %l %c %m %G")
    limits = {}
    for line in partitions.splitlines()[1:]:
        name, limit, *_ = line.split()
        limits[name] = _minutes(limit)
    problems = [
        f"rule {rules} asks for {' '.join(options)}: {why}"
        for options, rules in sorted(requests.items(), key=lambda item: item[1])
        if (why := _why_never(options, limits))
    ]
    if problems:
        listed = "\n  ".join(problems)
        raise UserError(
            "nothing was submitted: the last attempts of these rules, which ask for most, could "
            f"never start here:\n  {listed}\n"
            "Change default-resources, set-resources or (for rules in groups) group-components "
            "in the profile, profiles/slurm/profile.yaml, or limits in the config. The partitions "
            f"are (memory in MB):\n{partitions}"
        )


def _why_never(options: tuple[str, ...], limits: dict[str, float]) -> str:
    done = _run("sbatch", "--test-only", *options, "--wrap=true")
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1]
        return "" if DOWN in why else why
    given = dict(option.split("=", 1) for option in options)
    chosen = re.search(r"in partition (\S+)", done.stderr)
    names = given.get("--partition") or (chosen[1] if chosen else "")
    most = max((limits.get(name, math.inf) for name in names.split(",")), default=math.inf)
    return "" if int(given.get("--time", 0)) <= most else f"{names} gives at most {most:g} minutes"


def status_of_killed(job: str | None) -> tuple[str, str]:
    """Return the status of a run whose SLURM job (its id) was killed from outside, and what SLURM says of it."""
    commands = (
        f"scontrol --oneliner show job {job}",
        f"sacct --jobs {job} --allocations --noheader --parsable2 --format=State",
    )
    for command in commands if job else ():
        with suppress(UserError):
            answer = _answer(*command.split()).strip()
            if match := re.search(r"JobState=(\w+)", answer) or re.match(r"(\w+)", answer):
                state = match[1]
                return STATUS_OF_STATE.get(state, "crashed"), f"which SLURM calls {state}"
    return "crashed", "which SLURM has no record of"


def _minutes(limit: str) -> float:
    if limit == "infinite":
        return math.inf
    days, _, clock = limit.rpartition("-")
    hours, minutes, seconds = ([0, 0, 0] + [int(part) for part in clock.split(":")])[-3:]
    return 1440 * int(days or 0) + 60 * hours + minutes + seconds / 60


def _answer(*command: str) -> str:
    done = _run(*command)
    if done.returncode:
        raise UserError(f"SLURM does not answer `{' '.join(command)}`: {done.stderr.strip()}")
    return done.stdout


def _run(*command: str) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        raise UserError(
            f"there is no {command[0]} here; the slurm profile is for a machine that can submit to SLURM (a login node)"
        ) from None
    except subprocess.TimeoutExpired as error:
        raise UserError(f"SLURM does not answer: {error}") from None
