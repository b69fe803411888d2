"""Several fits in one job: the same files as fits of their own, one that fails leaves the others alone, shared losses."""

import os
import signal
from dataclasses import dataclass, replace

import numpy as np
import psutil
import pytest
from mosaicbench_fits import assert_same_outputs, fit_one, registered, run_of, seeds_of
from mosaicbench_splits import cut_small, small_dataset

from mosaicbench import files
from mosaicbench.commands import fit
from mosaicbench.errors import ContractError, UserError
from mosaicbench.files.runs import read_latents, read_record
from mosaicbench.fitting import attempt
from mosaicbench.fitting.method import import_for
from mosaicbench.fitting.outputs import open_split, read_shared
from mosaicbench.models.training import Budget
from mosaicbench.workflow import attempts, cluster

SEEDS = (0, 1)
METHODS = ("oracle", "ridge", "mvae")
DIVERGES = {"mvae": {"max_epochs": 2, "learning_rate": 1e30}}


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    dataset = small_dataset()
    return [
        cut_small(dataset, "paired", tmp_path_factory.mktemp(f"seed-{seed}"), seed)
        for seed in SEEDS
    ]


def fit_in_attempt(number, job, *, minutes=10.0, usable_mb=8000):
    granted = {
        "granted_mb": usable_mb + cluster.OVERHEAD_MB,
        "granted_minutes": minutes + cluster.OVERHEAD_MINUTES,
    }
    attempts.fit_within_grant(fit.main, job, attempt=number, **granted)


def fit_all(
    splits, folder, methods=METHODS, *, number=cluster.ATTEMPTS, hyperparameters=None, **usable
):
    seeds = SEEDS[: len(splits)]
    folders = {method: [folder / method / f"seed-{seed}" for seed in seeds] for method in methods}
    job = {
        "runs": [
            run_of(name, outputs, hyperparameters=hyperparameters or DIVERGES.get(name))
            for name, outputs in folders.items()
        ],
        "seeds": seeds_of(splits, seeds),
        "limits": {"minutes": 5, "memory_mb": 8000},
    }
    fit_in_attempt(number, job, **usable)
    outputs = [output for of_method in folders.values() for output in of_method]
    return {
        output.relative_to(folder).as_posix(): read_record(output / "run.json")
        for output in outputs
    }


def test_every_seed_of_every_run_ends_as_a_fit_of_its_own(splits, tmp_path):
    records = fit_all(splits, tmp_path)
    assert {place: record["status"] for place, record in records.items()} == {
        f"{method}/seed-{seed}": "diverged" if method == "mvae" else "ok"
        for method in METHODS
        for seed in SEEDS
    }
    for method in ("oracle", "ridge"):
        for seed, split in zip(SEEDS, splits, strict=True):
            alone, place = tmp_path / f"alone-{method}-{seed}", f"{method}/seed-{seed}"
            expected = fit_one(split, alone, method, seed=seed)
            differ = {key for key in expected if records[place][key] != expected[key]}
            assert differ <= {"seconds", "cpu_seconds", "host_mb", "peak_host_mb"}
            assert_same_outputs(tmp_path / place, alone)


SLOW = """
import time
time.sleep(0.6)
CARD = {"kind": "model", "scenarios": ("paired",), "inputs": (), "outputs": ("single",)}
class Slow:
    __dataclass_fields__ = {}
    def fit(self, train, seed):
        return []
    def embed(self, cells):
        return cells.values[cells.modalities[0]]
"""


def test_each_has_its_share_of_importing(splits, tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    records = fit_all(splits, tmp_path, ("slow_to_import",))
    assert {record["status"] for record in records.values()} == {"ok"}
    assert all(0.3 <= record["seconds"]["import"] < 0.6 for record in records.values())


def test_cells_that_several_fits_read_are_read_once_unless_they_are_many(
    splits, tmp_path, monkeypatch
):
    runs = [
        run_of(method, [tmp_path / method / str(seed) for seed in SEEDS])
        for method in ("ridge", "oracle")
    ]
    fits = fit._fits(runs, seeds_of(splits, SEEDS))
    alone = fits[0]
    assert read_shared([alone, fits[1]]) == {}
    shared = read_shared(fits)
    assert list(shared) == [
        split / f"{part}.h5mu" for split in splits for part in ("train", "query")
    ]
    opened = open_split(import_for(alone.module, alone.identity["method"]), alone, shared)
    assert (opened.train, opened.query) == (shared[alone.train], shared[alone.query])
    of_another_seed = replace(alone, identity=alone.identity | {"seed": 7})
    with pytest.raises(ContractError, match="is of seed 0, but seed 7 belongs here"):
        open_split(import_for(alone.module, alone.identity["method"]), of_another_seed, shared)
    monkeypatch.setattr("mosaicbench.fitting.outputs.SMALL", alone.train.stat().st_size)
    assert read_shared(fits) == {}


def test_a_forked_fit_takes_what_was_read_before(splits, tmp_path, monkeypatch):
    parent, read_split = os.getpid(), files.splits.read_split

    def read_before_the_fork(*arguments):
        assert os.getpid() == parent
        return read_split(*arguments)

    monkeypatch.setattr(files.splits, "read_split", read_before_the_fork)
    threads = psutil.Process().num_threads()
    records = fit_all(splits, tmp_path, ("ridge", "cca"))
    assert {record["status"] for record in records.values()} == {"ok"}
    assert psutil.Process().num_threads() == threads, "a fork would wait for them"


def test_without_time_every_run_is_a_row_or_the_next_attempt_s(splits, tmp_path):
    records = fit_all(splits, tmp_path, ("oracle", "ridge"), minutes=-1)
    assert {record["status"] for record in records.values()} == {"timeout"}
    with pytest.raises(UserError, match="the next attempt gets more"):
        fit_all(splits, tmp_path, ("oracle", "ridge"), minutes=-1, number=1)


@pytest.mark.parametrize("methods", [("ridge",), ("ridge", "cca")])
def test_a_broken_file_among_several_fits_is_the_users(splits, tmp_path, capfd, methods):
    (tmp_path / "train.h5mu").write_bytes(b"no split")
    with pytest.raises(UserError, match="could not start"):
        fit_all([splits[0], tmp_path], tmp_path / "runs", methods)
    assert f"error: {tmp_path}/train.h5mu: cannot be read as HDF5" in capfd.readouterr().err
    assert not list((tmp_path / "runs").glob("*/seed-1/run.json"))


@dataclass(kw_only=True)
class Misbehaving(Budget):
    """A method whose fit does what the test says for the first seed, and is no trouble for the second."""

    what: str = ""

    def fit(self, train, seed):
        if seed == 0 and self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if seed == 0 and self.what == "exit":
            os._exit(9)
        return []

    def embed(self, cells):
        return np.arange(2.0 * len(cells)).reshape(-1, 2)


@pytest.fixture
def misbehaving(monkeypatch):
    monkeypatch.setattr(attempt, "decisive", lambda *what: {})
    return registered(monkeypatch, Misbehaving)


@pytest.mark.parametrize(
    ("what", "status", "message"),
    [
        ("exit", "crashed", "exit status 9"),
        ("kill", "out_of_memory", "killed by the operating system"),
    ],
)
def test_what_befalls_one_seed_is_its_row_and_leaves_the_other_alone(
    splits, tmp_path, misbehaving, what, status, message
):
    records = fit_all(splits, tmp_path, (misbehaving,), hyperparameters={"what": what})
    failed, other = records.values()
    assert (failed["status"], other["status"]) == (status, "ok")
    assert message in failed["message"]
    assert read_latents(tmp_path / misbehaving / "seed-0/latents.h5ad").n_obs == 0
