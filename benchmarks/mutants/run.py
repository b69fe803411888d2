"""Mutants: small faults put into the source one at a time; the tests should notice each of them.

``make mutants`` runs them all, each in a copy of the checkout and against the tests that name its module. A mutant that no test
notices survives: either a test is missing, or the fault changes nothing that matters. CONTRIBUTING.md says which survive, and
why. Not part of ``make test``: it takes about a quarter of an hour on one core.

    python benchmarks/mutants/run.py                # all
    python benchmarks/mutants/run.py --part 1/4     # every fourth, from the first
    python benchmarks/mutants/run.py --only recall  # those whose module or text has the word
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("mutants.tsv")
COPIED = (
    "src",
    "tests",
    "config",
    "workflow",
    "docs",
    "profiles",
    "envs",
    "Snakefile",
    "pyproject.toml",
    "README.md",
)
SECONDS = 240  # for the tests of one mutant; one that makes them hang is noticed


class Mutant(NamedTuple):
    """A fault: where `before` stands once in a module, `after` is written; `tests` are those that should notice."""

    module: str
    before: str
    after: str
    tests: str


def mutants() -> list[Mutant]:
    """Return the faults of the list, one a line; a backslash and an n in a text are a new line."""
    lines = LIST.read_text().splitlines()[1:]
    return [
        Mutant(*(part.replace("\\n", "\n") for part in line.split("\t"))) for line in lines if line
    ]


def outcome(mutant: Mutant, copy: Path) -> str:
    """Return "killed", "survived", or "stale" where the text does not stand once in the module; the copy is as it was."""
    module = copy / "src/mosaicbench" / mutant.module
    source = module.read_text()
    if source.count(mutant.before) != 1:
        return "stale"
    module.write_text(source.replace(mutant.before, mutant.after))
    files, _, words = mutant.tests.partition(" -k ")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "--no-header",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
    ]
    command += [f"tests/{name}" for name in files.split()] + (["-k", words] if words else [])
    environment = os.environ | {"PYTHONPATH": str(copy / "src"), "OMP_NUM_THREADS": "1"}
    try:
        tests = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            timeout=SECONDS,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "killed"
    finally:
        module.write_text(source)
    if tests.returncode not in (0, 1, 2):  # 2: the module cannot be imported any more
        raise SystemExit(
            f"{mutant.module}: pytest ended with {tests.returncode}\n{tests.stdout[-2000:]}{tests.stderr[-2000:]}"
        )
    return "survived" if tests.returncode == 0 else "killed"


def main() -> int:
    """Run the chosen mutants, print how each ended, and return 1 where one is stale."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", default="1/1", help="which of how many parts to run, as 1/4")
    parser.add_argument("--only", default="", help="a word of the module or the text")
    chosen = parser.parse_args()
    part, parts = map(int, chosen.part.split("/"))
    selected = [m for m in mutants() if chosen.only in " ".join(m)][part - 1 :: parts]
    counts = dict.fromkeys(("killed", "survived", "stale"), 0)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, copy / name)
        for mutant in selected:
            began = time.monotonic()
            found = outcome(mutant, copy)
            counts[found] += 1
            text = " ".join(f"{mutant.before}  ->  {mutant.after}".split())
            print(
                f"{found:8s} {time.monotonic() - began:5.0f} s  {mutant.module}: {text}", flush=True
            )
    print(", ".join(f"{number} {name}" for name, number in counts.items()))
    return int(counts["stale"] > 0)


if __name__ == "__main__":
    sys.exit(main())
