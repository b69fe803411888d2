"""CPU seconds and peak memory of ``prepare``, ``split``, ``fit`` and ``score`` by number of cells.

    python benchmarks/scale.py covid_citeseq 100000 250000 1000000 [--folder DIR]
    python docs/site/tables.py    # the tables of docs/performance.md and docs/large_data.md

A number of cells is simulated: sparse counts of 2,000 genes and 100 proteins; a name is a dataset of
the registry that has been fetched. A twentieth of the cells is the query. An `mvae` is trained for
two epochs, since only the time of an epoch depends on the number of cells. ``fit`` embeds all cells
and imputes the query. Peak memory is the largest resident memory of a process or one of its
children. Files are in a temporary folder, or in --folder, and are removed after each size. Rows of
docs/benchmarks/scale.tsv are replaced as each size ends.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import pandas as pd
from measured_steps import REPOSITORY, record, step

from mosaicbench.files.tables import write_table
from mosaicbench.fitting.record import git_commit

TABLE, RESOURCES = REPOSITORY / "docs/benchmarks/scale.tsv", REPOSITORY / "resources"
SIMULATED = {"loader": "simulated", "modalities": ["rna", "adt"], "n_rna": 2000, "n_adt": 100}
GROUPS = ["alignment", "label_transfer", "imputation", "resources"]
PLACE, METHOD = "cells/paired", "mvae"


def main() -> None:
    """Measure every size and put its rows into the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", help="numbers of simulated cells, or names of datasets")
    parser.add_argument("--folder", type=Path, help="where temporary files are written")
    arguments = parser.parse_args()
    for data in arguments.data:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
            rows = [measured(Path(temporary), data)]
        if TABLE.exists():
            earlier = pd.read_csv(TABLE, sep="\t", dtype={"data": str})
            rows.insert(0, earlier[earlier["data"] != data])
        write_table(TABLE, pd.concat(rows))


def measured(folder: Path, data: str) -> pd.DataFrame:
    """Return a row for each step: data, step, cpu_seconds, peak_gb, written_gb, commit."""
    stanza = SIMULATED | {"cells": int(data)} if data.isdecimal() else {"from": data}
    config = {
        "datasets": {"cells": stanza},
        "scenarios": {"paired": {"kind": "paired", "query_fraction": 0.05}},
        "runs": {METHOD: {"max_epochs": 2}},
        "seeds": [0],
        "metrics": {"groups": GROUPS},
        "limits": {"minutes": 10_000, "memory_mb": 1_000_000},
        "save_models": [],
        "pathvars": {"resources": str(RESOURCES)},
    }
    record(folder, config)
    of_split, of_run = ["--split", PLACE], ["--run", METHOD, "--threads", "1"]
    rows = []
    for command, words in (
        ("prepare", ["--dataset", "cells"]),
        ("split", [*of_split, "--seed", "0"]),
        ("fit", [*of_split, *of_run, "--seed", "0"]),
        ("score", [*of_split, *of_run]),
    ):
        before = _size(folder)
        usage = step(folder, command, *words)
        seconds, peak = round(usage.cpu_seconds, 1), round(usage.peak_gb, 2)
        rows.append([data, command, seconds, peak, round(_size(folder) - before, 2), git_commit()])
        print(*rows[-1], flush=True)
    fit = json.loads((folder / f"results/runs/{PLACE}/{METHOD}/seed-0/run.json").read_text())
    if fit["status"] != "ok":
        sys.exit(f"the fit of {data} ended with {fit['status']}: {fit['message']}")
    columns = ["data", "step", "cpu_seconds", "peak_gb", "written_gb", "commit"]
    return pd.DataFrame(rows, columns=columns)


def _size(folder: Path) -> float:
    """Return the GB of the files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e9


if __name__ == "__main__":
    main()
