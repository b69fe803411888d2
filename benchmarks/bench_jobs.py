"""The overhead of a job's process."""

import subprocess
import sys

import pytest
from measured_steps import environment, record, step

FIT = "A fit's process, without training"
SPLIT = ("--split", "pbmc68k_split/paired", "--seed", "0")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder with a split of the embedded cells."""
    folder = tmp_path_factory.mktemp("small")
    config = {"datasets": {"pbmc68k_split": None}, "scenarios": {"paired": {"kind": "paired"}}}
    record(folder, config | {"runs": {"mvae": {"max_epochs": 1}}, "seeds": [0], "save_models": []})
    step(folder, "prepare", "--dataset", "pbmc68k_split")
    step(folder, "split", *SPLIT)
    return folder


@pytest.mark.benchmark(group=FIT)
def bench_fit(measure, small):
    options = ("--run", "mvae", "--threads", "1")
    who = {"who": "mvae, one epoch", "size": 1, "unit": "jobs"}
    measure(lambda: step(small, "fit", *SPLIT, *options), role="ours", **who)


@pytest.mark.benchmark(group=FIT)
def bench_imports(measure):
    code = "import torch, anndata, mudata"
    command = [sys.executable, "-c", code]
    who = {"who": f"python -c '{code}'", "size": 1, "unit": "jobs"}
    measure(lambda: subprocess.run(command, check=True, env=environment()), role="limit", **who)
