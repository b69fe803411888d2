"""A small benchmark, stage by stage as its rules run it, and what each stage should leave: attacks hold theirs against it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import forked
import yaml

from mosaicbench.config import settings
from mosaicbench.layout import (
    FILES_OF_FIT,
    FILES_OF_SCORES,
    PARTS_OF_VIEW,
    TABLES,
    Results,
    project_file,
)

SOURCE = Path(__file__).resolve().parents[2] / "src"
LIES = Results("results")
VIEW = ("simulated", "paired")
SEEDS = (0, 1)
# Of a record, what depends on the clock, the machine's load, or on whether the training was killed.
OF_THE_CLOCK = {
    "seconds",
    "cpu_seconds",
    "gpu_seconds",
    "host_mb",
    "device_mb",
    "peak_host_mb",
    "peak_device_mb",
}
OF_THE_CLOCK |= {"resumed_after", "git_commit"}
FIGURE = "scores_by_run"


def config_of(epochs: int) -> dict:
    """Return the config of the benchmark, whose trainings last so many epochs."""
    return {
        "datasets": {"simulated": {"cells": 150, "modalities": ["rna", "adt"]}},
        "scenarios": {"paired": {"kind": "paired"}},
        "runs": {"mvae": {}, "stacked": {"method": "vae_poe"}, "cca": {}, "constant": {}},
        "seeds": list(SEEDS),
        "training": {"max_epochs": epochs, "patience": epochs},
        "metrics": {"groups": ["alignment", "imputation"]},
        "limits": {"minutes": 10, "memory_mb": 8000},
    }


@dataclass
class Stage:
    """One command, the files that it leaves, and, once it has run undisturbed, how long it took."""

    name: str
    arguments: list[str]
    outputs: list[str]
    seconds: float = 0.0

    @property
    def command(self) -> list[str]:
        """What is typed."""
        return [sys.executable, "-m", "mosaicbench", *self.arguments]


class Reference:
    """The benchmark, run undisturbed.

    Attributes
    ----------
    folder
        Where its results lie.
    stages
        By name, in the order in which they run.
    """

    def __init__(self, folder: Path, *, epochs: int, only: tuple[str, ...] = ()) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(config_of(epochs)))
        self.bench = settings.load(config_of(epochs))
        self.stages = {
            stage.name: stage for stage in self._stages() if not only or stage.name in only
        }
        (folder / "results").mkdir()
        (folder / LIES.config).write_text(json.dumps(self.bench.config))
        for stage in self.stages.values():
            start = time.monotonic()
            done = run(stage, folder)
            stage.seconds = time.monotonic() - start
            if done.returncode:
                raise RuntimeError(f"{stage.name} failed undisturbed: {done.stderr[-2000:]}")
        self.known = {name: self.prints(folder, stage) for name, stage in self.stages.items()}

    def copied(self, stage: Stage, folder: Path) -> Path:
        """Return a copy of the folder as it was before a stage."""
        shutil.copytree(self.folder, folder)
        for output in stage.outputs:
            (folder / output).unlink()
        return folder

    def prints(self, folder: Path, stage: Stage) -> dict[str, str]:
        """Return file -> what tells its contents from others, of those of a stage's files that are there."""
        return {
            output: _print(folder / output)
            for output in stage.outputs
            if (folder / output).is_file()
        }

    def differing(self, folder: Path, stage: Stage, *, all_of_them: bool) -> list[str]:
        """Return the stage's files that are not as they should be; a file that is absent counts with `all_of_them`."""
        there, known = self.prints(folder, stage), self.known[stage.name]
        return [
            name
            for name in known
            if (name in there or all_of_them) and there.get(name) != known[name]
        ]

    def _stages(self) -> list[Stage]:
        views = [LIES.view(*VIEW, seed) for seed in SEEDS]
        prepare = [
            "prepare",
            "--dataset",
            "simulated",
            "--loader",
            "simulated",
            "--output",
            LIES.dataset("simulated"),
        ]
        options = json.dumps(self.bench.datasets["simulated"]["options"])
        found = [Stage("prepare", [*prepare, "--options", options], [LIES.dataset("simulated")])]
        found += [self._cut(seed, view) for seed, view in zip(SEEDS, views, strict=True)]
        found += [self._fit("fit", ["mvae"], [0]), self._fit("second fit", ["mvae"], [1])]
        found += [
            self._fit("stacked fit", ["stacked"], SEEDS, stacked=True),
            self._fit("baselines", ["cca", "constant"], SEEDS),
        ]
        found += [
            self._score(name, run, views)
            for name, run in (("score", "mvae"), ("score stacked", "stacked"))
        ]
        found += [
            self._score("score cca", "cca", views),
            self._score("score constant", "constant", views),
        ]
        tabulate = [
            "tabulate",
            "--config",
            LIES.config,
            "--results",
            "results",
            "--output",
            LIES.tables,
        ]
        tabulate += ["--published", str(project_file("config/published.yaml"))]
        found += [Stage("tabulate", tabulate, [LIES.table(name) for name in TABLES])]
        shown = [
            "--tables",
            LIES.tables,
            "--display",
            str(project_file("config/display.yaml")),
            "--views",
            "/".join(VIEW),
        ]
        draw = [
            "draw",
            "--figures",
            FIGURE,
            *shown,
            "--projections",
            LIES.projections,
            "--output",
            LIES.figures,
        ]
        drawn = [
            f"{LIES.figures}/{'/'.join(VIEW)}/{FIGURE}.{kind}" for kind in ("svg", "png", "tsv")
        ]
        report = [
            "report",
            *shown,
            "--figures",
            LIES.figures,
            "--config",
            LIES.config,
            "--results",
            "results",
        ]
        return [
            *found,
            Stage("draw", draw, drawn),
            Stage("report", [*report, "--output", LIES.report], [LIES.report]),
        ]

    def _cut(self, seed: int, view: str) -> Stage:
        files = {part.split(".")[0]: f"{view}/{part}" for part in PARTS_OF_VIEW}
        arguments = [
            "cut",
            "--dataset",
            LIES.dataset("simulated"),
            "--scenario",
            "paired",
            "--kind",
            "paired",
        ]
        arguments += [
            "--seed",
            str(seed),
            "--options",
            json.dumps({"preprocess": self.bench.preprocess}),
        ]
        arguments += [word for part, path in files.items() for word in (f"--{part}", path)]
        return Stage(
            "cut" if seed == SEEDS[0] else "second cut",
            arguments,
            [*files.values(), f"{view}/audit.tsv"],
        )

    def _fit(self, name: str, runs: list[str], seeds: list[int], *, stacked: bool = False) -> Stage:
        parts = ("train", "query")
        jobs = [
            {
                "dataset": VIEW[0],
                "scenario": VIEW[1],
                "run": run,
                "method": self.bench.runs[run].method,
            }
            | {"hyperparameters": self.bench.runs[run].hyperparameters}
            | {"outputs": [LIES.fit(*VIEW, run, seed) for seed in seeds]}
            for run in runs
        ]
        of_seeds = [
            {"seed": s} | {part: f"{LIES.view(*VIEW, s)}/{part}.h5mu" for part in parts}
            for s in seeds
        ]
        job = {"runs": jobs, "seeds": of_seeds, "limits": self.bench.limits, "stacked": stacked}
        granted = [
            "--attempt",
            "3",
            "--granted-mb",
            "9000",
            "--granted-minutes",
            "60",
            "--checkpoint-seconds",
            "0",
        ]
        outputs = [
            f"{folder}/{file}" for run in jobs for folder in run["outputs"] for file in FILES_OF_FIT
        ]
        return Stage(name, ["fit", json.dumps(job), *granted, "--threads", "1"], outputs)

    def _score(self, name: str, run: str, views: list[str]) -> Stage:
        files = [f"{LIES.run(*VIEW, run)}/{file}" for file in FILES_OF_SCORES]
        arguments = [
            "score",
            "--runs",
            *(LIES.fit(*VIEW, run, seed) for seed in SEEDS),
            "--views",
            *views,
        ]
        arguments += ["--groups", *self.bench.groups, "--threads", "1"]
        options = ("--scores", "--features", "--cells")
        return Stage(
            name,
            [*arguments, *(word for pair in zip(options, files, strict=True) for word in pair)],
            files,
        )


def run(
    stage: Stage, folder: Path, before: Callable[[], object] | None = None
) -> subprocess.CompletedProcess:
    """Run a stage to its end in a folder; `before` is called in the new process. Without it, tests fork and start none."""
    if before is None and "FORKED_IN" in os.environ:
        return forked.run("mosaicbench", *stage.arguments, folder=folder, environment=environment())
    return subprocess.run(
        stage.command,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=before,
    )


def environment() -> dict[str, str]:
    """Return the environment of every command: this checkout's package, one thread."""
    return os.environ | {
        "PYTHONPATH": str(SOURCE),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def strays(folder: Path) -> list[str]:
    """Return files that a process left while writing, and notes of fits that are not under way."""
    hidden = [path for path in folder.rglob(".*") if path.is_file()]
    return [str(path.relative_to(folder)) for path in [*hidden, *folder.rglob("attempt.json")]]


def _print(path: Path) -> str:
    """Return a digest of a file without what depends on the clock; its bytes, where nothing does."""
    if path.name == "run.json":
        try:
            record = json.loads(path.read_text())
        except ValueError:
            return "not readable"
        kept = {key: value for key, value in record.items() if key not in OF_THE_CLOCK}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()
