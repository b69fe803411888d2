"""The record of a fit before it starts, and a digest of what decides its result."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from mosaicbench.files.identity import digest_of
from mosaicbench.fitting.job import Fit
from mosaicbench.fitting.method import hyperparameters_of
from mosaicbench.workflow import code_hash

REPORTED_VERSIONS = (
    "mosaicbench",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "torch",
    "anndata",
    "mudata",
    "scanpy",
)


def new_record(fit: Fit) -> dict:
    """Return a record that says everything known before the run."""
    return fit.identity | {
        "status": "crashed",
        "message": "",
        "hyperparameters": fit.hyperparameters,
        "cells": {},
        "resumed_after": [],
        "arithmetic": {},
        "threads": threads(),
        "hardware": _hardware(),
        "versions": versions(),
        "git_commit": git_commit(),
    }


def decisive(fit: Fit, method: object) -> dict:
    """Return what decides the result of a training besides the data."""
    code = code_hash.of("mosaicbench.fitting.attempt", fit.module)
    return {
        "method": [fit.module, fit.identity["method"]],
        "hyperparameters": hyperparameters_of(method),
        "conditions": method.conditions(),
        "seed": fit.seed,
        "code": [digest_of(file) for file in code],
        "versions": versions(),
        "threads": threads(),
        "machine": platform.machine(),
    }


def digest(decides: dict, *data: Path) -> str:
    """Return a digest of what `decisive` returned and of the files of data."""
    sha256 = hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode())
    for path in data:
        sha256.update(bytes.fromhex(digest_of(path)))
    return sha256.hexdigest()


def threads() -> int:
    """Return the number of threads that this process computes with."""
    return int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count()


@cache
def _hardware() -> dict:
    described = Path("/proc/cpuinfo")
    text = described.read_text() if described.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+?)\s*$", text, re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_mb": round(psutil.virtual_memory().total / 2**20),
    }


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of those that decide numbers."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in REPORTED_VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


@cache
def git_commit() -> str:
    """Return the commit of a checkout; "unknown" for an installed package."""
    git = ["git", "-C", str(Path(__file__).parent)]
    of_this_file = [*git, "ls-files", "--error-unmatch", Path(__file__).name]
    commit = [*git, "rev-parse", "--short=12", "HEAD"]
    # `git describe --dirty` takes the lock of the index, which a killed run would leave.
    changed = [*git, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no"]
    options = {"capture_output": True, "text": True, "check": True, "timeout": 10}
    try:
        _, name, changes = (
            subprocess.run(command, **options).stdout.strip()
            for command in (of_this_file, commit, changed)
        )
        return f"{name}-dirty" if changes else name
    except (OSError, subprocess.SubprocessError):
        return "unknown"
