"""Disks that take nothing, and files that were cut short or lie in the place of others."""

from __future__ import annotations

import math
import os
import random
import resource
import shutil
import subprocess
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from chaos.outcomes import Outcome
from chaos.stages import FIGURE, LIES, VIEW, Reference, Stage, run, strays
from mosaicbench.layout import FILES_OF_FIT, FILES_OF_SCORES

LIMITED = (
    "prepare",
    "cut",
    "fit",
    "fit of seeds",
    "baselines",
    "score",
    "tabulate",
    "draw",
    "report",
)
PAGE = 4096  # bytes that a tmpfs gives out at once
NOT_READ = {"expenses", "phases", "scaling", "contents"}  # tables that no later stage reads


def attack(*, short: bool, seed: int, folder: Path) -> list[Outcome]:
    """Return what became of commands on such disks, and of those that were given such files."""
    draw = random.Random(seed)
    reference = Reference(folder / "reference", epochs=3, only=("prepare", "cut") if short else ())
    outcomes = [_limits(reference, draw, folder / "tried", 2 if short else 18)]
    if short:
        return outcomes
    if _may_mount(folder):
        outcomes += [
            _full(reference, draw, folder / "tried", 9),
            _read_only(reference, draw, folder / "tried", 6),
        ]
    return [*outcomes, _wrong_files(reference, draw, folder / "tried", 45)]


def _limits(reference: Reference, draw: random.Random, folder: Path, tries: int) -> Outcome:
    """Let no file grow beyond some size."""
    outcome = Outcome("limit on the size of files")
    names = [name for name in LIMITED if name in reference.stages]
    for number in range(tries):
        stage = reference.stages[names[number % len(names)]]
        most = max((reference.folder / output).stat().st_size for output in stage.outputs)
        size = round(math.exp(draw.uniform(math.log(300), math.log(1.5 * most))))
        _prepared(reference, stage, folder)
        limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size))
        _judge(outcome, reference, stage, folder, f"{stage.name}, {size} bytes", limit)
    return outcome


def _full(reference: Reference, draw: random.Random, folder: Path, tries: int) -> Outcome:
    """Leave some kilobytes free on the disk."""
    outcome = Outcome("full disk")
    for number in range(tries):
        stage = reference.stages[LIMITED[number % len(LIMITED)]]
        taken = sum(
            math.ceil(path.stat().st_size / PAGE) + 1 for path in reference.folder.rglob("*")
        )
        free = draw.randint(0, 20)
        with _mounted(folder, f"size={(taken + free) * PAGE}"):
            _prepared(reference, stage, folder / "benchmark")
            filler = folder / "filler"
            usage = shutil.disk_usage(folder)
            filler.write_bytes(bytes(max(0, usage.free - free * PAGE)))
            _judge(
                outcome,
                reference,
                stage,
                folder / "benchmark",
                f"{stage.name}, {free} pages",
                None,
                filler.unlink,
            )
    return outcome


def _read_only(reference: Reference, draw: random.Random, folder: Path, tries: int) -> Outcome:
    """Let nothing be written at all."""
    outcome = Outcome("read-only disk")
    for stage in map(reference.stages.get, draw.sample(LIMITED, tries)):
        with _mounted(folder, "size=64m"):
            _prepared(reference, stage, folder / "benchmark")
            _mount("-o", "remount,ro", folder)
            mend = partial(_mount, "-o", "remount,rw", folder)
            _judge(outcome, reference, stage, folder / "benchmark", stage.name, None, mend)
    return outcome


def _judge(
    outcome: Outcome,
    reference: Reference,
    stage: Stage,
    folder: Path,
    what: str,
    fault: Callable | None,
    mend: Callable | None = None,
) -> None:
    """Run one command while the disk refuses, and again when it no longer does."""
    outcome.tried += 1
    done = run(stage, folder, fault)
    half = reference.differing(folder, stage, all_of_them=done.returncode == 0)
    if mend is not None:
        mend()
    if (
        "Traceback" in done.stderr
        or (done.returncode and "mosaicbench" not in done.stderr)
        or done.returncode < 0
    ):
        outcome.tracebacks += 1
        outcome.notes.append(f"{what}: exit {done.returncode}: {done.stderr[-1500:]}")
        return
    again = run(stage, folder)
    wrong = reference.differing(folder, stage, all_of_them=True)
    if half or (wrong and not again.returncode):
        outcome.silent += 1
        outcome.notes.append(f"{what}: {half or wrong} are not right")
    elif again.returncode or (left := strays(folder)):
        outcome.repairs += 1
        outcome.notes.append(f"{what}: {again.stderr[-500:] if again.returncode else left}")


def _prepared(reference: Reference, stage: Stage, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    reference.copied(stage, folder)


def _may_mount(folder: Path) -> bool:
    try:
        with _mounted(folder / "probe", "size=64k"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def _mounted(folder: Path, options: str):
    """Make a disk of its own of a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", options, "tmpfs", folder)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


# --- files of finished stages ----------------------------------------------------------------------------------------------


def _files_read(stage: str) -> list[tuple[str, str]]:
    """Return the files that a stage reads, each with another of its kind that could be taken for it."""
    runs, views = (
        [LIES.fit(*VIEW, "mvae", seed) for seed in (0, 1)],
        [LIES.view(*VIEW, seed) for seed in (0, 1)],
    )
    of_fits = [tuple(f"{run}/{name}" for run in runs) for name in FILES_OF_FIT]
    if stage == "baselines":
        return [tuple(f"{view}/{name}" for view in views) for name in ("train.h5mu", "query.h5mu")]
    if stage == "score":
        return [
            *of_fits,
            *(
                tuple(f"{view}/{name}" for view in views)
                for name in ("train.h5mu", "solution.h5mu")
            ),
        ]
    if stage == "tabulate":
        others = [LIES.run(*VIEW, run) for run in ("mvae", "cca")]
        return [
            *of_fits[2:],
            *(tuple(f"{run}/{name}" for run in others) for name in FILES_OF_SCORES),
        ]
    tables = [
        (LIES.table(name), LIES.table("sweep"))
        for name in ("scores", "runs", "ranks", "overall", "standings", "history")
    ]
    figure = f"{LIES.figures}/{'/'.join(VIEW)}/{FIGURE}.svg"
    return (
        tables
        if stage == "draw"
        else [*tables, of_fits[3], (LIES.config, LIES.table("sweep")), (figure, LIES.config)]
    )


def _wrong_files(reference: Reference, draw: random.Random, folder: Path, tries: int) -> Outcome:
    """Damage a file of a finished stage, and run the one that reads it."""
    outcome = Outcome("file of a finished stage cut, emptied or exchanged")
    for _ in range(tries):
        stage = reference.stages[
            draw.choice(["baselines", "score", "score", "tabulate", "tabulate", "draw", "report"])
        ]
        name, other = draw.choice(_files_read(stage.name))
        how = draw.choice(["cut", "cut at a line's end", "header only", "emptied", "exchanged"])
        _prepared(reference, stage, folder)
        if not _damage(folder / name, folder / other, how, draw):
            continue
        outcome.tried += 1
        done = run(stage, folder)
        told = f"{stage.name}, {name} {how}"
        if done.returncode == 0:
            if wrong := reference.differing(folder, stage, all_of_them=True):
                outcome.silent += 1
                outcome.notes.append(f"{told}: accepted, and {wrong} are others")
        elif "Traceback" in done.stderr or not (
            Path(name).name in done.stderr or Path(other).name in done.stderr
        ):
            outcome.tracebacks += 1
            outcome.notes.append(f"{told}: {done.stderr[-1500:]}")
        elif half := reference.differing(folder, stage, all_of_them=False):
            outcome.silent += 1
            outcome.notes.append(f"{told}: refused, and yet {half} were written")
    return outcome


def _damage(path: Path, other: Path, how: str, draw: random.Random) -> bool:
    """Damage a file; return whether it is another one now."""
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    if how == "exchanged":
        shutil.copy(other, path)
    elif how == "cut":
        os.truncate(path, draw.randrange(len(whole)))
    elif how == "cut at a line's end":
        path.write_bytes(b"".join(lines[: draw.randrange(1, max(2, len(lines)))]))
    else:
        path.write_bytes(b"" if how == "emptied" else lines[0])
    return path.read_bytes() != whole
