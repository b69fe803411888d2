"""A copy of the project in a folder, into which tests write files like an author."""

import fcntl
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import forked
from conftest import REPOSITORY

OF_WORKFLOW = ("Snakefile", "config", "envs", "profiles", "src", "workflow")
PARTS = (*OF_WORKFLOW, "pyproject.toml", "tests", "docs", "README.md")
COMPILE = "from mosaicbench.metrics._nearest import compile_loops; compile_loops()"
LOOPS = REPOSITORY / "src/mosaicbench/metrics"


@cache
def compile_loops():
    """Compile the loops of the scores once in this checkout; a copy would need 12 s each time."""
    with (LOOPS / "_nearest.py").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process of the tests compiles, the others wait
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
        subprocess.run([sys.executable, "-c", COMPILE], env=environment, check=True)


def lend_loops(package):
    """Copy compiled loops to a package installed from this checkout; they are valid for sources of the same age."""
    compile_loops()
    shutil.copystat(LOOPS / "_nearest.py", package / "metrics/_nearest.py")
    for loop in LOOPS.glob("__pycache__/*.nb[ci]"):
        shutil.copy2(loop, package / "metrics/__pycache__")


def copied(parts, folder):
    """Copy these files and folders of the repository into a folder, with what was compiled of the package."""
    folder.mkdir(parents=True, exist_ok=True)
    being_written = "*.pyc.*"
    ignored = shutil.ignore_patterns(
        being_written, "*-pytest-*.pyc", "*.egg-info", "*.sif", ".snakemake"
    )
    for part in parts:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignored)
        elif source.is_file():
            shutil.copy2(source, folder / part)


class Overlay:
    """The copy."""

    def __init__(self, folder):
        self.root = folder
        compile_loops()
        copied(PARTS, folder)

    def write(self, path, text):
        """Write a file of the copy."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def run(self, *command):
        """Run a Python module in the copy, with the copy's package."""
        paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PYTHONPATH": str(self.root / "src"), "PATH": paths}
        return forked.run(*command, folder=self.root, environment=environment)
