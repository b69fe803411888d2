"""Kills of the whole workflow at random moments; Snakemake, started again, has to end with the files of an undisturbed one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import yaml
from overlay import Overlay

from chaos.outcomes import Outcome
from chaos.stages import LIES, SEEDS, VIEW, config_of, environment, strays

EPOCHS = 15  # seconds of training, so that fits are met in it
TARGETS = [LIES.table(name) for name in ("scores", "features", "comparison", "ranks")]
OF_RUNS = [
    f"{LIES.run(*VIEW, run)}/{file}"
    for run in ("mvae", "poe", "cca")
    for file in ("scores.tsv", "features.tsv")
]
OF_FITS = [
    f"{LIES.fit(*VIEW, 'mvae', seed)}/{file}"
    for seed in SEEDS
    for file in ("latents.h5ad", "imputed.h5mu")
]
COMPARED = [*TARGETS, *OF_RUNS, *OF_FITS]


def attack(*, short: bool, seed: int, folder: Path) -> list[Outcome]:
    """Kill Snakemake and all its jobs, and Snakemake alone, whose jobs go on beside those of the next start."""
    if short:  # minutes, whatever is left out; tests/test_workflow.py kills one
        return []
    draw = random.Random(seed)
    undisturbed = _workflow(folder / "undisturbed")
    start = time.monotonic()
    done = _snakemake(undisturbed, *TARGETS)
    seconds = time.monotonic() - start
    if done.returncode:
        raise RuntimeError(f"the workflow failed undisturbed: {done.stderr[-2000:]}")
    known = {name: (undisturbed.root / name).read_bytes() for name in COMPARED}
    outcomes = []
    for fault, alone in (
        ("Snakemake killed, with all its jobs", False),
        ("Snakemake killed alone", True),
    ):
        outcome = Outcome(fault)
        while outcome.tried < 1:
            shutil.rmtree(folder / "workflow", ignore_errors=True)
            overlay = _workflow(folder / "workflow")
            command = [sys.executable, "-m", "snakemake", *TARGETS, *ARGUMENTS]
            hidden = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            process = subprocess.Popen(
                command,
                cwd=overlay.root,
                env=_environment(overlay),
                start_new_session=True,
                **hidden,
            )
            time.sleep(draw.uniform(0.1, 0.95) * seconds)
            if process.poll() is not None:
                continue
            outcome.tried += 1
            (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
            process.wait()
            _snakemake(overlay, "--unlock")
            done = _snakemake(overlay, *TARGETS)
            differing = (
                [name for name in COMPARED if (overlay.root / name).read_bytes() != known[name]]
                if not done.returncode
                else []
            )
            if done.returncode:
                outcome.repairs += 1
                outcome.notes.append(done.stderr[-800:])
            elif differing:
                outcome.silent += 1
                outcome.notes.append(f"others than undisturbed: {differing}")
            elif left := strays(overlay.root / "results"):
                outcome.repairs += 1
                outcome.notes.append(f"left behind: {left}")
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a job of Snakemake's that is still at it
        outcomes.append(outcome)
    return outcomes


ARGUMENTS = ["--cores", "1", "--configfile", "tiny.yaml"]


def _workflow(folder: Path) -> Overlay:
    overlay = Overlay(folder, ("src", "workflow", "config", "envs", "profiles", "Snakefile"))
    overlay.write("tiny.yaml", yaml.safe_dump(config_of(EPOCHS)))
    return overlay


def _environment(overlay: Overlay) -> dict[str, str]:
    return environment() | {
        "PYTHONPATH": str(overlay.root / "src"),
        "MOSAICBENCH_CHECKPOINT_SECONDS": "0",
    }


def _snakemake(overlay: Overlay, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", *arguments, *ARGUMENTS]
    return subprocess.run(
        command,
        cwd=overlay.root,
        env=_environment(overlay),
        capture_output=True,
        text=True,
        check=False,
    )
