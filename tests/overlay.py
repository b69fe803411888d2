"""A copy of the project in a folder, into which tests write files as an author would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import REPOSITORY

PARTS = ("src", "workflow", "config", "envs", "profiles", "Snakefile", "pyproject.toml", "tests", "docs")


class Overlay:
    """The copy; without bytecode, so that each test writes and reads its own, and with loops that were compiled."""

    def __init__(self, folder: Path, parts: tuple[str, ...] = PARTS) -> None:
        self.root = folder
        ignored = shutil.ignore_patterns("*.pyc", "*.egg-info", ".snakemake")
        for part in parts:
            source = REPOSITORY / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=ignored)
            elif source.is_file():
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, folder / part)

    def write(self, path: str, text: str) -> Path:
        """Write a file of the copy."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def run(self, *command: str, timeout: float = 1200) -> subprocess.CompletedProcess:
        """Run a Python module in the copy, with the copy's package and no other."""
        paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PYTHONPATH": str(self.root / "src"), "PATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
