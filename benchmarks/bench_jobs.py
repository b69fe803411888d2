"""The overhead of processes, and of the graph of jobs."""

import subprocess
import sys

import pytest
import yaml
from measured_steps import REPOSITORY, environment, record, step

from mosaicbench.catalog import catalog

FIT = "A fit's process, without training"
SCORE = "Scoring of one run, all groups, 140 query cells"
GRAPH = "The graph of 2,000 jobs"
DRY_RUN = ("-m", "snakemake", "--dry-run", "--quiet", "all", "--cores", "1")
SPLIT = ("--split", "pbmc68k_split/paired", "--run", "mvae", "--threads", "1")


def _python(*arguments, cwd=REPOSITORY):
    command = [sys.executable, *map(str, arguments)]
    subprocess.run(command, check=True, cwd=cwd, env=environment(), capture_output=True)


def _importing(measure, modules):
    command = f"import {modules}"
    measure(
        lambda: _python("-c", command),
        role="limit",
        size=1,
        unit="jobs",
        who=f"python -c '{command}'",
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder with a split of the embedded cells, and a run of one epoch on it."""
    folder = tmp_path_factory.mktemp("small")
    groups = sorted({card["group"] for card in catalog.cards("metrics").values()})
    config = {
        "datasets": {"pbmc68k_split": None},
        "scenarios": {"paired": {"kind": "paired"}},
        "runs": {"mvae": {"max_epochs": 1}},
        "seeds": [0],
        "metrics": {"groups": groups},
        "save_models": [],
    }
    record(folder, config)
    step(folder, "prepare", "--dataset", "pbmc68k_split")
    step(folder, "split", *SPLIT[:2], "--seed", "0")
    step(folder, "fit", *SPLIT, "--seed", "0")
    return folder


@pytest.mark.benchmark(group=FIT)
def bench_fit(measure, small):
    measure(
        lambda: step(small, "fit", *SPLIT, "--seed", "0"),
        role="ours",
        size=1,
        unit="jobs",
        who="mvae, one epoch",
    )


@pytest.mark.benchmark(group=FIT)
def bench_imports(measure):
    _importing(measure, "torch, anndata, mudata")


@pytest.mark.benchmark(group=SCORE)
def bench_score(measure, small):
    measure(
        lambda: step(small, "score", *SPLIT),
        role="ours",
        size=1,
        unit="jobs",
        who="mosaicbench score",
    )


@pytest.mark.benchmark(group=SCORE)
def bench_imports_of_score(measure):
    _importing(measure, "anndata, mudata, numba, sklearn.ensemble")


@pytest.mark.benchmark(group=GRAPH)
def bench_graph(measure, tmp_path):
    config = {
        "datasets": {"pbmc68k_split": None, "simulated": None},
        "runs": {f"mvae-{number}": {"method": "mvae"} for number in range(74)},
        "seeds": list(range(5)),
        "pathvars": {"results": str(tmp_path / "results")},
    }
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    measure(
        lambda: _python(*DRY_RUN, "--configfile", file),
        role="ours",
        size=2000,
        unit="jobs",
        who="this workflow",
        rounds=1,
    )


@pytest.mark.benchmark(group=GRAPH)
def bench_bare_graph(measure, tmp_path):
    (tmp_path / "Snakefile").write_text(
        "rule all:\n    input: [f'{n}.score' for n in range(330)]\n"
        "rule score:\n    input: [f'{{n}}-{s}.fit' for s in range(5)]\n    output: '{n}.score'\n"
        "    shell: 'touch {output}'\n"
        "rule fit:\n    output: '{n}-{s}.fit'\n    shell: 'touch {output}'\n"
    )
    measure(
        lambda: _python(*DRY_RUN, cwd=tmp_path),
        role="limit",
        size=2000,
        unit="jobs",
        who="1,981 empty jobs",
        rounds=1,
    )
