"""What a million cells cost: seconds and peak memory of ``prepare``, ``cut``, ``fit`` and ``score``, each a process of its own.

    python benchmarks/scale.py 100000 250000 500000 1000000 [--method mvae] [--folder DIR]

Cells are simulated: RNA of 2,000 genes and 100 proteins, sparse counts; one twentieth of them are the query. The model is
trained for two epochs, since an epoch is what the number of cells changes; ``fit`` embeds all cells and imputes the query. The
tables go to stdout: CPU seconds, and the largest resident memory of a process or of one that it started. The phases of the fit
are those of its ``run.json``. Files lie in a temporary folder, or in --folder, and are removed after each size.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

PARTS = ("train", "query", "solution")
SIMULATED = {"modalities": ["rna", "adt"], "n_rna": 2000, "n_adt": 100}
GROUPS = ("alignment", "label_transfer", "imputation", "resources")
OF_SCORES = {"scores": "scores.tsv", "features": "features.tsv", "cells": "cells.npz"}


def main() -> None:
    """Measure every size that the arguments name and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", type=int, nargs="+")
    parser.add_argument("--method", default="mvae")
    parser.add_argument(
        "--query", type=float, default=0.05, help="fraction of the cells that become the query"
    )
    parser.add_argument(
        "--folder", type=Path, help="where files are written meanwhile; it must have room"
    )
    arguments = parser.parse_args()
    print(
        "| cells | step | CPU seconds | peak memory, GB | written, GB |\n|---|---|---|---|---|",
        flush=True,
    )
    phases = {}
    for cells in arguments.cells:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
            phases[cells] = _measure(Path(temporary), cells, arguments.method, arguments.query)
    print("\n| cells | phase of the fit | seconds | peak memory, GB |\n|---|---|---|---|")
    for cells, record in phases.items():
        for phase, seconds in record["seconds"].items():
            print(
                f"| {cells:,} | {phase} | {seconds:.0f} | {record['host_mb'][phase] / 1024:.1f} |"
            )


def _measure(folder: Path, cells: int, method: str, query_fraction: float) -> dict:
    """Print a row for each step of one size, and return the record of the fit."""
    dataset, split, run = folder / "dataset.h5mu", folder / "split", folder / "run"
    parts = {part: str(split / f"{part}.h5mu") for part in PARTS}
    options = json.dumps(SIMULATED | {"cells": cells})
    prepared = [
        "--dataset",
        "simulated",
        "--loader",
        "simulated",
        "--options",
        options,
        "--output",
        str(dataset),
    ]
    _row(cells, "prepare", prepared, dataset)
    files = [word for part, file in parts.items() for word in (f"--{part}", file)]
    hidden = json.dumps({"query_fraction": query_fraction})
    stanza = ["--scenario", "paired", "--kind", "paired", "--options", hidden, "--seeds", "0"]
    _row(cells, "split", ["--dataset", str(dataset), *stanza, *files], split)
    dataset.unlink()
    identity = {"dataset": "simulated", "scenario": "paired", "run": method, "method": method}
    of_run = identity | {"hyperparameters": {"max_epochs": 2}, "outputs": [str(run)]}
    _row(
        cells,
        "fit",
        [json.dumps({"runs": [of_run], "seeds": [{"seed": 0} | parts]}), "--threads", "1"],
        run,
    )
    scores = [
        word
        for name, file in OF_SCORES.items()
        for word in (f"--{name}", str(folder / "scores" / file))
    ]
    scored = [
        "--runs",
        str(run),
        "--splits",
        str(split),
        "--groups",
        *GROUPS,
        *scores,
        "--threads",
        "1",
    ]
    _row(cells, "score", scored, folder / "scores")
    record = json.loads((run / "run.json").read_text())
    if record["status"] != "ok":
        sys.exit(f"the fit of {cells:,} cells ended with {record['status']}: {record['message']}")
    return record


def _row(cells: int, step: str, arguments: list[str], made: Path) -> None:
    """Run one verb in a child process and print what it took."""
    child = os.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "mosaicbench", step, *arguments])
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"mosaicbench {step} of {cells:,} cells failed with status {status}")
    files = [made] if made.is_file() else [file for file in made.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files) / 1e9
    seconds, peak = (
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024**2,
    )  # Linux counts kibibytes
    print(f"| {cells:,} | {step} | {seconds:.0f} | {peak:.1f} | {size:.2f} |", flush=True)


if __name__ == "__main__":
    main()
