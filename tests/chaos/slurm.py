"""Kills of jobs on a SLURM of one node, and of the Snakemake that submitted them; the end has to be that of one machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import single_node_slurm
import yaml
from overlay import Overlay

from chaos.outcomes import Outcome
from chaos.stages import LIES, VIEW, config_of, environment, strays

EPOCHS = 200  # seconds of training, so that each fit is met in it
DAWDLING = 1200  # seconds after which a fit that never trains, or jobs that never end, are no try
TABLES = [LIES.table(name) for name in ("scores", "features", "comparison", "ranks")]
HERE = ["--cores", "2"]
# Names and sizes of the cluster, as its user would fill them in, and no minutes of waiting.
OF_CLUSTER = {
    "slurm-status-command": "squeue",
    "slurm-init-seconds-before-status-checks": 10,
    "latency-wait": 10,
}
OF_CLUSTER |= {"slurm-no-account": True}


def attack(*, short: bool, seed: int, folder: Path) -> list[Outcome]:
    """Kill a fit each way while it trains, and Snakemake while its jobs go on; nothing where no SLURM can be had."""
    del seed  # each is killed as soon as it trains
    if short:  # minutes; tests/test_slurm.py has two kills of its own
        return []
    try:
        with single_node_slurm.running(_made(folder / "slurm")):
            return _outcomes(folder)
    except pytest.skip.Exception as reason:
        print(f"slurm: left out, {reason}")
        return []


def _outcomes(folder: Path) -> list[Outcome]:
    undisturbed = _benchmark(folder / "undisturbed")
    done = _snakemake(undisturbed, *HERE)
    if done.returncode:
        raise RuntimeError(f"the workflow failed undisturbed: {done.stderr[-2000:]}")
    known = _contents(undisturbed)
    outcomes = []
    on_slurm = ["--workflow-profile", "here"]

    benchmark = _benchmark(folder / "jobs")
    process = _started(benchmark, *on_slurm)
    tried = _met(benchmark, process, KILLS)
    status = process.wait()
    outcomes += [_judged(fault, tried, benchmark, status, known) for fault in KILLS]

    benchmark = _benchmark(folder / "parents")
    for fault, kill in PARENTS.items():
        shutil.rmtree(benchmark.root / "results", ignore_errors=True)
        shutil.rmtree(benchmark.root / "logs", ignore_errors=True)
        process = _started(benchmark, *on_slurm)
        tried = _met(
            benchmark, process, {fault: ("cancelled", lambda _, p=process, kill=kill: kill(p))}
        )
        process.wait()
        _snakemake(benchmark, *HERE, "--unlock")
        status = _snakemake(benchmark, *on_slurm).returncode
        _until_no_job_is_left()
        outcomes.append(_judged(fault, tried, benchmark, status, known))
    return outcomes


def _scancel(job: str) -> None:
    subprocess.run(["scancel", job], check=True)


def _requeue(job: str) -> None:
    subprocess.run(["scontrol", "requeue", job], check=True)


def _kill_python(job: str) -> None:
    """Kill the command that fits, alone; its child dies with it."""
    fits = [
        process
        for process in _processes_of(job)
        if "mosaicbench" in _typed(process) and " fit " in _typed(process)
    ]
    min(fits, key=lambda process: process.create_time()).kill()


def _kill_child(job: str) -> None:
    """Kill the child that trains, as the kernel does where memory ends."""
    fits = [
        process
        for process in _processes_of(job)
        if "mosaicbench" in _typed(process) and " fit " in _typed(process)
    ]
    max(fits, key=lambda process: process.create_time()).kill()


def _kill_tree(job: str) -> None:
    """Kill all that runs in the job, the shell and the Snakemake of its step among it."""
    for process in _processes_of(job):
        with suppress(psutil.NoSuchProcess):
            process.kill()


KILLS: dict[
    str, tuple[str, Callable]
] = {  # fault -> the run whose fit it meets, and what is done to the fit's job
    "fit cancelled (scancel)": ("cancelled", _scancel),
    "fit preempted (scontrol requeue)": ("preempted", _requeue),
    "fit's command killed": ("command", _kill_python),
    "fit's child killed, as by a full memory": ("child", _kill_child),
    "fit killed with all of its job step": ("step", _kill_tree),
}
PARENTS: dict[str, Callable] = {
    "Snakemake killed, its jobs go on beside those of the next start": lambda process: (
        process.kill()
    ),
    "Snakemake killed, and all its jobs cancelled": lambda process: (
        process.kill(),
        subprocess.run(["scancel", "--user", "root"], check=True),
    ),
}
METHODS = {
    "cancelled": "mvae",
    "preempted": "vae_poe",
    "command": "mmvae",
    "child": "mopoe",
    "step": "vae_mlp",
}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _benchmark(folder: Path) -> Overlay:
    overlay = Overlay(folder, ("src", "workflow", "config", "envs", "profiles", "Snakefile"))
    config = config_of(EPOCHS) | {
        "seeds": [0],
        "runs": {run: {"method": method} for run, method in METHODS.items()},
    }
    config["datasets"]["simulated"]["cells"] = 400
    config["runs"] |= {"cca": {}, "oracle": {}}
    overlay.write("tiny.yaml", yaml.safe_dump(config))
    profile = (
        yaml.safe_load((overlay.root / "profiles/slurm/profile.yaml").read_text()) | OF_CLUSTER
    )
    profile["set-resources"]["fit_model"] |= {"slurm_partition": "gpu"}
    for rule in ("prepare", "cut"):
        profile["set-resources"][rule]["mem_mb"] = 2000
    overlay.write("profiles/here/profile.yaml", yaml.safe_dump(profile))
    return overlay


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", *TABLES, "--configfile", "tiny.yaml", *arguments]


def _environment(overlay: Overlay) -> dict[str, str]:
    return environment() | {
        "PYTHONPATH": str(overlay.root / "src"),
        "MOSAICBENCH_CHECKPOINT_SECONDS": "0",
    }


def _snakemake(overlay: Overlay, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        _command(*arguments),
        cwd=overlay.root,
        env=_environment(overlay),
        capture_output=True,
        text=True,
        check=False,
    )


def _started(overlay: Overlay, *arguments: str) -> subprocess.Popen:
    log = (overlay.root / "snakemake.log").open("w")
    return subprocess.Popen(
        _command(*arguments), cwd=overlay.root, env=_environment(overlay), stdout=log, stderr=log
    )


def _met(
    overlay: Overlay, process: subprocess.Popen, kills: dict[str, tuple[str, Callable]]
) -> list[str]:
    """Do to the SLURM job of each run what is meant for it, as soon as its log shows that it trains; return what was done."""
    waiting, met, end = dict(kills), [], time.monotonic() + DAWDLING
    while waiting and process.poll() is None and time.monotonic() < end:
        for fault, (run, kill) in list(waiting.items()):
            log = overlay.root / f"logs/fit/{'/'.join(VIEW)}/{run}/seed-0.log"
            if log.exists() and "epoch    1" in log.read_text():
                del waiting[fault]
                kill(_jobs(f"_{run}_")[-1])
                met.append(fault)
        time.sleep(0.1)
    return met


def _jobs(name: str) -> list[str]:
    """Return the ids of the jobs in whose comment, the rule and its wildcards, a name stands, in order of submission."""
    text = subprocess.run(
        ["scontrol", "--oneliner", "show", "job"], capture_output=True, text=True, check=True
    ).stdout
    found = [
        dict(re.findall(r"(\w+)=(\S+)", line)) for line in text.splitlines() if "JobId=" in line
    ]
    return sorted((job["JobId"] for job in found if name in job.get("Comment", "")), key=int)


def _until_no_job_is_left() -> None:
    end = time.monotonic() + DAWDLING
    while subprocess.run(
        ["squeue", "--noheader"], capture_output=True, text=True, check=True
    ).stdout.strip():
        if time.monotonic() > end:
            raise TimeoutError("jobs of SLURM do not end")
        time.sleep(1)


def _processes_of(job: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("SLURM_JOB_ID") == job and "slurmstepd" not in process.name():
                found.append(process)
    return found


def _typed(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _contents(overlay: Overlay) -> dict[str, bytes]:
    """Return what is compared: tables, and the latents and imputed values of every fit."""
    fits = [LIES.fit(*VIEW, run, 0) for run in METHODS]
    files = [
        *TABLES,
        *(f"{fit}/{file}" for fit in fits for file in ("latents.h5ad", "imputed.h5mu")),
    ]
    return {
        file: (overlay.root / file).read_bytes() if (overlay.root / file).is_file() else b""
        for file in files
    }


def _judged(
    fault: str, tried: list[str], overlay: Overlay, status: int, known: dict[str, bytes]
) -> Outcome:
    outcome = Outcome(fault, tried=int(fault in tried))
    if not outcome.tried:
        return outcome
    run = KILLS.get(fault, ("", None))[0]
    contents = _contents(overlay)
    differing = [
        file
        for file in known
        if contents[file] != known[file] and (not run or f"/{run}/" in file or file in TABLES)
    ]
    if status:
        outcome.repairs = 1
        outcome.notes.append((overlay.root / "snakemake.log").read_text()[-800:])
    elif differing:
        outcome.silent = 1
        outcome.notes.append(f"others than on one machine: {differing}")
    elif left := strays(overlay.root / "results"):
        outcome.repairs = 1
        outcome.notes.append(f"left behind: {left}")
    return outcome
