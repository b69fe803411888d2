"""Kills of commands at random moments: of a process alone, of all that it started, of the child that trains.

After each kill no file under its final name may be other than an undisturbed benchmark's; the same command again, and nothing
else, has to end with the same files as if nothing had happened, and to leave nothing else behind.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from chaos.outcomes import Outcome
from chaos.stages import Reference, Stage, environment, run, strays

EPOCHS = 40  # seconds of training: enough to be met in it, and to go on from a checkpoint
DEATH = 5.0  # seconds in which what a killed process has started has to be gone
# fault, stage, who is killed, whether only once a training was saved, tries in full and in short
KILLS = (
    ("fit killed, with all that it started", "fit", "tree", False, 3, 0),
    ("fit killed alone: its child dies with it", "fit", "process", False, 3, 0),
    ("fit killed amid training, goes on from its checkpoint", "fit", "process", True, 4, 1),
    ("child of a fit killed, as by a full memory", "fit", "child", True, 2, 0),
    ("fit of seeds killed", "fit of seeds", "tree", False, 3, 0),
    (
        "fit of seeds killed amid training, goes on from its checkpoint",
        "fit of seeds",
        "tree",
        True,
        3,
        0,
    ),
    ("prepare killed", "prepare", "tree", False, 2, 0),
    ("cut killed", "cut", "tree", False, 2, 0),
    ("score killed", "score", "process", False, 5, 0),
    ("tabulate killed", "tabulate", "process", False, 5, 0),
    ("draw killed", "draw", "process", False, 4, 0),
    ("report killed", "report", "process", False, 4, 0),
)


def attack(*, short: bool, seed: int, folder: Path) -> list[Outcome]:
    """Return what became of a benchmark's commands that were killed."""
    draw = random.Random(seed)
    chosen = {"epochs": 12, "only": ("prepare", "cut", "fit")} if short else {"epochs": EPOCHS}
    reference = Reference(folder / "reference", **chosen)
    outcomes = []
    for fault, name, who, in_training, in_full, in_short in KILLS:
        outcome = Outcome(fault)
        for _ in range(in_short if short else in_full):
            _judge(
                outcome,
                reference,
                reference.stages[name],
                folder / "killed",
                who,
                draw,
                in_training=in_training,
            )
        outcomes.append(outcome)
    return [outcome for outcome in outcomes if outcome.tried]


def _judge(
    outcome: Outcome,
    reference: Reference,
    stage: Stage,
    folder: Path,
    who: str,
    draw: random.Random,
    *,
    in_training: bool,
) -> None:
    """Kill one command, run it again, and count what became of it."""
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        reference.copied(stage, folder)
        faults = _killed(stage, folder, who, draw, in_training=in_training)
        if faults is not None:
            break
    outcome.tried += 1
    saved = bool(list(folder.rglob(".checkpoint.pt")))
    if who != "child" and (wrong := reference.differing(folder, stage, all_of_them=False)):
        faults.append(
            ("silent", f"after the kill {wrong} are under their final names, and not right")
        )
    done = run(stage, folder)
    if done.returncode or "Traceback" in done.stderr:
        faults.append(("tracebacks", done.stderr[-500:]))
    elif wrong := reference.differing(folder, stage, all_of_them=True):
        faults.append(("silent", f"run again, {wrong} are others"))
    elif left := strays(folder):
        faults.append(("repairs", f"left behind: {left}"))
    elif saved and who != "child" and not _resumed(folder, stage):
        faults.append(("silent", "a training was saved, and did not go on from there"))
    if faults:
        kind, _ = faults[0]
        setattr(outcome, kind, getattr(outcome, kind) + 1)
        outcome.notes += [text for _, text in faults]


def _killed(
    stage: Stage, folder: Path, who: str, draw: random.Random, *, in_training: bool
) -> list[tuple[str, str]] | None:
    """Start a command and kill it; return what is wrong with its death, or None where it was over before."""
    hidden = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(
        stage.command, cwd=folder, env=environment(), start_new_session=True, **hidden
    )
    if in_training:
        _wait(lambda: process.poll() is not None or list(folder.rglob(".checkpoint.pt")), 120)
        time.sleep(draw.uniform(0, stage.seconds / 4))
    else:
        time.sleep(draw.uniform(0, stage.seconds))
    if process.poll() is not None:
        return None
    if who == "child":
        return _without_child(process, folder, stage)
    with suppress(ProcessLookupError):
        (os.killpg if who == "tree" else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    if not _wait(lambda: not _alive(process.pid), DEATH):
        os.killpg(process.pid, signal.SIGKILL)
        return [("repairs", "what it started went on without it")]
    return []


def _without_child(
    process: subprocess.Popen, folder: Path, stage: Stage
) -> list[tuple[str, str]] | None:
    """Kill the child of a fit; the run has to become a row that says so."""
    children = psutil.Process(process.pid).children()
    if not children:
        process.kill()
        process.wait()
        return None
    children[0].kill()
    process.wait(timeout=120)
    (record,) = (
        json.loads((folder / output).read_text())
        for output in stage.outputs
        if output.endswith("run.json")
    )
    if record["status"] == "ok":
        return None  # it was over before
    told = (
        record["status"] == "out_of_memory"
        and "killed by the operating system" in record["message"]
    )
    return [] if told else [("silent", f"its record says {record['status']}: {record['message']}")]


def _resumed(folder: Path, stage: Stage) -> bool:
    records = [
        json.loads((folder / output).read_text())
        for output in stage.outputs
        if output.endswith("run.json")
    ]
    return all(record["resumed_after"] for record in records)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _wait(condition: Callable[[], object], seconds: float) -> bool:
    """Wait for a condition, and return whether it came."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
