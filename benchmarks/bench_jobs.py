"""What surrounds the computing: processes, and the graph of jobs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}


def _called(*arguments, cwd=REPOSITORY):
    subprocess.run(
        [sys.executable, *map(str, arguments)],
        check=True,
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A split of the embedded cells, and a run of a control on it."""
    from mosaicbench.data.split import make_split
    from mosaicbench.datasets import pbmc68k_split
    from mosaicbench.files.splits import write_split

    folder = tmp_path_factory.mktemp("small")
    parts = make_split(
        pbmc68k_split.load(None), dataset_name="small", scenario="paired", kind="paired", seed=0
    )
    for part, split in parts.items():
        write_split(folder / f"{part}.h5mu", split)
    return folder


def _fit(split, method, **hyperparameters):
    import json

    known = {"dataset": "small", "scenario": "paired", "run": method, "method": method, "seed": 0}
    _called(
        *(
            "-m",
            "mosaicbench",
            "fit",
            "--method",
            method,
            "--identity",
            json.dumps(known),
            "--threads",
            "1",
        ),
        *("--hyperparameters", json.dumps(hyperparameters), "--output", split / method),
        *("--train", split / "train.h5mu", "--query", split / "query.h5mu"),
    )


@pytest.mark.benchmark(group="A fit's process, but for training")
def bench_fit(measure, small):
    measure(
        lambda: _fit(small, "mvae", max_epochs=1),
        role="ours",
        size=1,
        unit="jobs",
        who="mvae, one epoch",
    )


@pytest.mark.benchmark(group="A fit's process, but for training")
def bench_imports(measure):
    command = "import torch, anndata, mudata"
    measure(
        lambda: _called("-c", command),
        role="limit",
        size=1,
        unit="jobs",
        who=f"python -c '{command}'",
    )


@pytest.mark.benchmark(group="Scoring of one run, all groups, 140 query cells")
def bench_score(measure, small):
    from mosaicbench.catalog import catalog

    _fit(small, "mvae", max_epochs=1)
    groups = sorted({card["group"] for card in catalog.cards("metrics").values()})
    written = [
        "--scores",
        small / "scores.tsv",
        "--features",
        small / "features.tsv",
        "--cells",
        small / "cells.npz",
    ]
    command = [
        "-m",
        "mosaicbench",
        "score",
        "--runs",
        small / "mvae",
        "--splits",
        small,
        "--groups",
        *groups,
        "--threads",
        "1",
    ]
    measure(
        lambda: _called(*command, *written),
        role="ours",
        size=1,
        unit="jobs",
        who="mosaicbench score",
    )


@pytest.mark.benchmark(group="Scoring of one run, all groups, 140 query cells")
def bench_imports_of_score(measure):
    command = "import anndata, mudata, numba, sklearn.ensemble"
    measure(
        lambda: _called("-c", command),
        role="limit",
        size=1,
        unit="jobs",
        who=f"python -c '{command}'",
    )


@pytest.mark.benchmark(group="The graph of 2,000 jobs")
def bench_graph(measure, tmp_path):
    runs = {f"mvae-{number}": {"method": "mvae"} for number in range(74)}
    config = {
        "datasets": {"pbmc68k_split": None, "simulated": None},
        "runs": runs,
        "seeds": list(range(5)),
    }
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump(config | {"pathvars": {"results": str(tmp_path / "results")}})
    )
    command = [
        "-m",
        "snakemake",
        "--dry-run",
        "--quiet",
        "all",
        "--cores",
        "1",
        "--configfile",
        tmp_path / "config.yaml",
    ]
    measure(
        lambda: _called(*command),
        role="ours",
        size=2000,
        unit="jobs",
        who="this workflow",
        rounds=1,
    )


@pytest.mark.benchmark(group="The graph of 2,000 jobs")
def bench_bare_graph(measure, tmp_path):
    (tmp_path / "Snakefile").write_text(
        "rule all:\n    input: [f'{n}.score' for n in range(330)]\n"
        "rule score:\n    input: [f'{{n}}-{s}.fit' for s in range(5)]\n    output: '{n}.score'\n    shell: 'touch {output}'\n"
        "rule fit:\n    output: '{n}-{s}.fit'\n    shell: 'touch {output}'\n"
    )
    command = ["-m", "snakemake", "--dry-run", "--quiet", "all", "--cores", "1"]
    measure(
        lambda: _called(*command, cwd=tmp_path),
        role="limit",
        size=2000,
        unit="jobs",
        who="1,981 empty jobs",
        rounds=1,
    )
