"""What a job asks of a cluster: more on every attempt, and never what no machine of its partition has.

Standard library only: the workflow imports it before any job starts.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from mosaicbench.errors import UserError

ATTEMPTS = 3  # the third grants the whole of the limits; a fourth only records a run that was killed from outside each time
OVERHEAD_MB = 1000  # Snakemake and Python beside the run itself, so that the run's own limit is met before the cluster's
OVERHEAD_MINUTES = 5  # starting, reading and writing

# What SLURM says of a job that it ended -> a run's status; any other end is a crash.
STATUS_OF_STATE = {"OUT_OF_MEMORY": "out_of_memory", "TIMEOUT": "timeout", "DEADLINE": "timeout"}


@dataclass(frozen=True)
class Partition:
    """A partition of a cluster: its limits, and (CPUs, MB, GPUs by model) of its nodes."""

    name: str
    is_default: bool
    is_up: bool
    minutes: float
    mem_mb: float
    cpus: float
    nodes: tuple[tuple[int, int, tuple[tuple[str, int], ...]], ...]


@dataclass(frozen=True)
class Request:
    """What one job asks for on its last attempt; `partition` None is the default one, "a,b" is either."""

    rule: str
    partition: str | None
    cpus: int
    mem_mb: int
    minutes: int
    gpus: int
    gpu_model: str


def fraction_of_limit(attempt: int) -> float:
    """Return the fraction of a run's limits that an attempt is granted: a quarter, a half, then all."""
    return 0.5 ** max(0, ATTEMPTS - attempt)


def requested_mb(limit_mb: float, attempt: int = ATTEMPTS) -> int:
    """Return the memory in MB to ask for, so that a run may use an attempt's fraction of its limit."""
    return math.ceil(limit_mb * fraction_of_limit(attempt)) + OVERHEAD_MB


def requested_minutes(limit_minutes: float, attempt: int = ATTEMPTS) -> int:
    """Return the minutes to ask for, so that a run may use an attempt's fraction of its limit."""
    return math.ceil(limit_minutes * fraction_of_limit(attempt)) + OVERHEAD_MINUTES


def request(rule: str, resources: dict) -> Request:
    """Return what a job or group asks for, from its resources as Snakemake and its SLURM plugin name them."""
    gpus, model = resources.get("gpu", 0), resources.get("gpu_model", "")
    if "gres" in resources:
        model, gpus = next(iter(_gpus(resources["gres"]).items()), ("", 0))
    known = {
        name: value for name, value in resources.items() if isinstance(value, int)
    }  # others are settled when it starts
    return Request(
        rule=rule,
        partition=resources.get("slurm_partition"),
        cpus=known.get("cpus_per_task", known.get("_cores", 1)),
        mem_mb=known.get("mem_mb", 0),
        minutes=known.get("runtime", 0),
        gpus=gpus,
        gpu_model=model,
    )


def check(dag: object, retries: int, *, on_slurm: bool) -> None:
    """Refuse too few attempts, and jobs of a Snakemake DAG that SLURM would never start.

    Raises
    ------
    UserError
    """
    if retries < ATTEMPTS:
        raise UserError(
            f"retries is {retries}: fits ask for more memory and time in {ATTEMPTS} attempts, and one more writes the row"
            f" of a run that was killed each time; set `retries: {ATTEMPTS}` in the profile, or more"
        )
    asked = []
    submitted = {dag.get_job_group(job) or job for job in dag.needrun_jobs() if not job.is_local}
    for job in submitted if on_slurm else ():
        rules = sorted({member.rule.name for member in job}) if job.is_group() else [job.rule.name]
        first, job.attempt = job.attempt, retries + 1  # the last attempt asks for most
        asked.append(request(" with ".join(rules), dict(job.resources.items())))
        job.attempt = first
    if asked:
        check_requests(asked, partitions())


def partitions() -> dict[str, Partition]:
    """Ask SLURM what each of its partitions offers.

    Raises
    ------
    UserError
        When SLURM's commands are not there, or its controller does not answer.
    """
    described = _answer("scontrol", "--oneliner", "show", "partition")
    nodes = _answer("sinfo", "--noheader", "--Node", "--all", "--format=%R|%c|%m|%G")
    return parsed_partitions(described, nodes)


def parsed_partitions(described: str, nodes: str) -> dict[str, Partition]:
    """Return name -> partition from the answers of ``scontrol`` and ``sinfo``."""
    machines: dict[str, set] = {}
    for line in filter(None, nodes.splitlines()):
        name, cpus, mem_mb, gres = line.split("|")
        machine = (int(cpus.rstrip("+")), int(mem_mb.rstrip("+")), tuple(_gpus(gres).items()))
        machines.setdefault(name, set()).add(machine)
    found = {}
    for line in filter(None, described.splitlines()):
        facts = dict(word.split("=", 1) for word in line.split() if "=" in word)
        name = facts["PartitionName"]
        found[name] = Partition(
            name=name,
            is_default=facts.get("Default") == "YES",
            is_up=facts.get("State", "UP") == "UP",
            minutes=_minutes(facts.get("MaxTime", "UNLIMITED")),
            mem_mb=_number(facts.get("MaxMemPerNode", "UNLIMITED")),
            cpus=_number(facts.get("MaxCPUsPerNode", "UNLIMITED")),
            nodes=tuple(sorted(machines.get(name, ()))),
        )
    return found


def check_requests(requests: Iterable[Request], offered: dict[str, Partition]) -> None:
    """Refuse requests that SLURM would never start.

    Raises
    ------
    UserError
        One message for all: which rule asks for what, what its partition offers, which partition could give it.
    """
    default = next((name for name, partition in offered.items() if partition.is_default), "")
    problems = []
    for request in sorted(dict.fromkeys(requests), key=lambda request: request.rule):
        names = (request.partition or default).split(",")
        if any(name in offered and _gives(offered[name], request) for name in names):
            continue
        there = "; ".join(_described(offered[name]) for name in names if name in offered)
        could = [name for name, partition in offered.items() if _gives(partition, request)]
        problems.append(
            f"rule {request.rule} asks partition {' or '.join(filter(None, names)) or '(no default)'} for"
            f" {request.cpus} CPU, {request.mem_mb} MB, {request.minutes} minutes, {request.gpus} GPU"
            f" {request.gpu_model}".rstrip()
            + f" ({there or 'there is no such partition'}); slurm_partition could be:"
            f" {', '.join(could) or 'no partition of this cluster'}"
        )
    if problems:
        raise UserError(
            "nothing was submitted: the last attempts of these rules, which ask for most, could never start here:\n  "
            + "\n  ".join(problems)
            + "\nChange default-resources, set-resources or (for rules in groups) group-components in the profile,"
            " profiles/slurm/profile.yaml, or limits in the config."
        )


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


def _gives(partition: Partition, request: Request) -> bool:
    return (
        partition.is_up
        and partition.minutes >= request.minutes
        and partition.mem_mb >= request.mem_mb
        and partition.cpus >= request.cpus
        and any(
            cpus >= request.cpus
            and mem_mb >= request.mem_mb
            and request.gpus <= sum(n for model, n in gpus if request.gpu_model in ("", model))
            for cpus, mem_mb, gpus in partition.nodes
        )
    )


def _described(partition: Partition) -> str:
    nodes = [
        " ".join([f"{cpus} CPU {mem_mb} MB", *(f"{count} GPU {model}" for model, count in gpus)])
        for cpus, mem_mb, gpus in partition.nodes
    ]
    state = "" if partition.is_up else " is not up;"
    return (
        f"{partition.name}{state} gives at most {partition.minutes:g} minutes, {partition.mem_mb:g} MB,"
        f" {partition.cpus:g} CPU; its nodes: {', '.join(nodes) or 'no node'}"
    )


def _gpus(gres: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for model, count in re.findall(r"(?:^|,)gpu(?::([A-Za-z][^:,()]*))?:(\d+)", gres):
        found[model] = found.get(model, 0) + int(count)
    return found


def _number(text: str) -> float:
    return math.inf if text in ("UNLIMITED", "INFINITE") else float(text)


def _minutes(text: str) -> float:
    if text in ("UNLIMITED", "INFINITE"):
        return math.inf
    days, _, clock = text.rpartition("-")
    hours, minutes, seconds = ([0, 0, 0] + [int(part) for part in clock.split(":")])[-3:]
    return 1440 * int(days or 0) + 60 * hours + minutes + seconds / 60


def _answer(*command: str) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=60
        ).stdout
    except FileNotFoundError:
        raise UserError(
            f"there is no {command[0]} here; the slurm profile is for a machine that can submit to SLURM (a login node)"
        ) from None
    except subprocess.SubprocessError as error:
        reason = (error.stderr or str(error)).strip()
        raise UserError(f"SLURM does not answer `{' '.join(command)}`: {reason}") from None
