"""CPU seconds and peak memory of ``prepare``, ``split``, ``fit`` and ``score`` by number of cells.

    python benchmarks/scale.py 100000 250000 500000 1000000 [--method mvae] [--folder DIR]

Cells are simulated: sparse counts of 2,000 genes and 100 proteins; a twentieth of the cells is the
query. The model is trained for two epochs, since only the time of an epoch depends on the number of
cells. ``fit`` embeds all cells and imputes the query. Peak memory is the largest resident memory of
a process or one of its children. The phases of the fit are from its ``run.json``. Files are in a
temporary folder, or in --folder, and are removed after each size.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from measured_steps import record, step

SIMULATED = {"modalities": ["rna", "adt"], "n_rna": 2000, "n_adt": 100}
GROUPS = ["alignment", "label_transfer", "imputation", "resources"]
SPLIT = "simulated/paired"


def main() -> None:
    """Measure every size and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", type=int, nargs="+")
    parser.add_argument("--method", default="mvae")
    parser.add_argument(
        "--query", type=float, default=0.05, help="fraction of the cells that become the query"
    )
    parser.add_argument("--folder", type=Path, help="where temporary files are written")
    arguments = parser.parse_args()
    print("| cells | step | CPU seconds | peak memory, GB | written, GB |\n|---|---|---|---|---|")
    fits = {}
    for cells in arguments.cells:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
            fits[cells] = _measure(Path(temporary), cells, arguments.method, arguments.query)
    print("\n| cells | phase of the fit | seconds | peak memory, GB |\n|---|---|---|---|")
    for cells, fit in fits.items():
        for phase, seconds in fit["seconds"].items():
            memory = fit["host_mb"][phase] / 1024
            print(f"| {cells:,} | {phase} | {seconds:.0f} | {memory:.1f} |")


def _measure(folder: Path, cells: int, method: str, query_fraction: float) -> dict:
    """Print a row for each step of one size, and return the record of the fit."""
    config = {
        "datasets": {"simulated": SIMULATED | {"cells": cells}},
        "scenarios": {"paired": {"kind": "paired", "query_fraction": query_fraction}},
        "runs": {method: {"max_epochs": 2}},
        "seeds": [0],
        "metrics": {"groups": GROUPS},
        "limits": {"minutes": 10_000, "memory_mb": 1_000_000},
        "save_models": [],
    }
    record(folder, config)
    of_split, of_run = ["--split", SPLIT], ["--run", method, "--threads", "1"]
    _row(folder, cells, "prepare", "--dataset", "simulated")
    _row(folder, cells, "split", *of_split, "--seed", "0")
    _row(folder, cells, "fit", *of_split, *of_run, "--seed", "0")
    _row(folder, cells, "score", *of_split, *of_run)
    fit = json.loads((folder / f"results/runs/{SPLIT}/{method}/seed-0/run.json").read_text())
    if fit["status"] != "ok":
        sys.exit(f"the fit of {cells:,} cells ended with {fit['status']}: {fit['message']}")
    return fit


def _row(folder: Path, cells: int, command: str, *arguments: str) -> None:
    """Run a step and print its usage and the size of the files that it wrote."""
    before = _size(folder)
    usage = step(folder, command, *arguments)
    written = _size(folder) - before
    print(
        f"| {cells:,} | {command} | {usage.cpu_seconds:.0f} | {usage.peak_gb:.1f} | {written:.2f} |",
        flush=True,
    )


def _size(folder: Path) -> float:
    """Return the GB of the files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e9


if __name__ == "__main__":
    main()
