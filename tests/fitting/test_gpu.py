"""On a GPU: what trains there ends where it does on the CPU, the same each time, within its memory: `pytest -m gpu`."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import REPOSITORY, linear_cells
from mosaicbench_fits import LIMITS, run_of, seeds_of
from mosaicbench_splits import cut_small, small_dataset
from pretend_device import training_on
from test_device import SMALL, assert_goes_on, made, widest
from test_methods import MODELS, SPLITS, gives
from test_training import counted_split

from mosaicbench.files.runs import read_imputed, read_latents, read_record
from mosaicbench.files.splits import as_split, read_split
from mosaicbench.methods.mvae import MVAE
from mosaicbench.models import minibatch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(),
        reason="no GPU, or one that is hidden without `pytest -m gpu`",
    ),
]
CPU = torch.device("cpu")
SEEDS = range(5)
BRIEF = SMALL | {"max_epochs": 6}


def told(method, train, seed, **hyperparameters):
    """Return what a fit comes to: its last loss, how far partners are apart, and the error of imputed values."""
    query = linear_cells(60, seed=5, name="query")
    instance = made(method, **BRIEF | hyperparameters)
    found = [instance.fit(train, seed)[-1]["loss"]]
    if gives(method, "single"):
        a, b = (instance.embed(query.only(m)) for m in ("rna", "adt"))
        found.append(
            np.linalg.norm(a - b, axis=1).mean() / np.linalg.norm(a - a.mean(0), axis=1).mean()
        )
    if gives(method, "impute"):
        found.append(
            np.square(instance.impute(query.only("rna"), "adt") - query.values["adt"]).mean()
        )
    return found


@pytest.mark.parametrize("method", MODELS)
def test_a_model_ends_where_it_does_on_the_cpu_within_the_spread_of_seeds(monkeypatch, method):
    train = SPLITS[widest(method)]()
    there = np.array([told(method, train, seed) for seed in SEEDS])  # (seeds, what is told)
    with training_on(monkeypatch, CPU):
        here = np.array([told(method, train, seed) for seed in SEEDS])
    spread = np.sqrt((there.var(0, ddof=1) + here.var(0, ddof=1)) / len(SEEDS))
    assert (np.abs(there.mean(0) - here.mean(0)) <= 4 * spread + 1e-3 * np.abs(here.mean(0))).all()


@pytest.mark.parametrize("method", MODELS)
def test_the_same_seed_gives_the_same_bits(method):
    train, query = SPLITS[widest(method)](), linear_cells(20, seed=5, name="query")
    first, second = (made(method, **SMALL) for _ in range(2))
    assert first.fit(train, 0) == second.fit(train, 0)
    np.testing.assert_array_equal(first.embed(query.only("rna")), second.embed(query.only("rna")))


def test_streamed_and_resident_data_train_the_same(monkeypatch, capsys):
    train, counts = counted_split(), {"likelihood": "counts"}
    resident = made("vae_poe", **SMALL | counts).fit(train, 0)
    assert "streamed" not in capsys.readouterr().err
    monkeypatch.setattr(minibatch, "DEVICE_SHARE", 0)
    assert made("vae_poe", **SMALL | counts).fit(train, 0) == resident
    assert re.search("streamed: the cuda has too little memory", capsys.readouterr().err)


@pytest.mark.parametrize("method", ["mvae", "scmodal"])
def test_a_killed_training_goes_on(tmp_path, method):
    assert_goes_on(method, tmp_path / "saved.pt")


FIT = "import json, sys; from mosaicbench.commands import fit; fit.main(**json.loads(sys.argv[1]))"


def fit_in_a_new_process(folder, method, seeds):
    """Fit a method as a job does, since a child that is forked from a process with a GPU has none; return the run's folders."""
    splits = [
        cut_small(small_dataset(), "paired", folder / f"split-{seed}", seed=seed) for seed in seeds
    ]
    outputs = [folder / f"run/seed-{seed}" for seed in seeds]
    hyperparameters = {"max_epochs": 2} if method == "mvae" else {}
    run = run_of(method, outputs, hyperparameters=hyperparameters)
    job = json.dumps({"runs": [run], "seeds": seeds_of(splits, seeds), "limits": LIMITS})
    path = os.pathsep.join([f"{REPOSITORY}/src", f"{folder}", *sys.path])
    subprocess.run(
        [sys.executable, "-c", FIT, job], env=os.environ | {"PYTHONPATH": path}, check=True
    )
    return outputs


def test_a_job_of_fits_counts_what_it_takes_of_the_gpu(tmp_path):
    for output in fit_in_a_new_process(tmp_path, "mvae", range(2)):
        record = read_record(output / "run.json")
        assert (record["status"], record["device"]) == ("ok", torch.cuda.get_device_name())
        assert 4 * weights_for(tmp_path / "split-0") / 2**20 < record["peak_device_mb"] < 1000
        assert record["gpu_seconds"]["fit"] == record["seconds"]["fit"] > 0
        assert len(read_latents(output / "latents.h5ad"))
        assert read_imputed(output / "imputed.h5mu").mod


def weights_for(split):
    instance = MVAE()
    instance.make(as_split(read_split(split / "train.h5mu", "train"), labels=False))
    return sum(parameter.numel() for parameter in instance.nets.parameters())


GREEDY = """
from dataclasses import dataclass
import torch

CARD = {"kind": "model", "scenarios": ("paired",), "inputs": (), "outputs": ("single",)}

@dataclass(kw_only=True)
class Greedy:
    def fit(self, train, seed):
        torch.empty(2**50, dtype=torch.uint8, device="cuda")

    def embed(self, cells):
        raise NotImplementedError
"""


def test_a_gpu_whose_memory_is_full_is_a_row(tmp_path):
    (tmp_path / "greedy.py").write_text(GREEDY)
    (output,) = fit_in_a_new_process(tmp_path, "greedy", [0])
    record = read_record(output / "run.json")
    assert record["status"] == "out_of_memory"
    assert "Tried to allocate" in record["message"]
