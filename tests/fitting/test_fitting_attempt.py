"""Several fits in one job: the same files as fits of their own, one that fails leaves the others alone, shared losses."""

import os
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import psutil
import pytest
from mosaicbench_fits import LIMITS, assert_same_outputs, fit_one, registered, run_of, seeds_of
from mosaicbench_splits import cut_small, small_dataset

from mosaicbench import files
from mosaicbench.commands import fit
from mosaicbench.errors import ContractError, UserError
from mosaicbench.files.runs import read_latents, read_record
from mosaicbench.fitting.method import import_for
from mosaicbench.fitting.outputs import open_split, read_shared
from mosaicbench.workflow import attempts, cluster

SEEDS = (0, 1)
METHODS = ("oracle", "mvae")
DIVERGES = {"mvae": {"max_epochs": 2, "learning_rate": 1e30}}


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    dataset = small_dataset()
    return [
        cut_small(dataset, "paired", tmp_path_factory.mktemp(f"seed-{seed}"), seed)
        for seed in SEEDS
    ]


def fit_all(splits, folder, methods=METHODS, *, attempt=cluster.ATTEMPTS, minutes=10.0):
    """Return method/seed -> the record of each of the runs that one job has fitted."""
    runs, records = [], {}
    for method in methods:
        outputs = [folder / method / f"seed-{seed}" for seed in SEEDS]
        runs.append(run_of(method, outputs, hyperparameters=DIVERGES.get(method)))
    job = {"runs": runs, "seeds": seeds_of(splits, SEEDS), "limits": LIMITS}
    granted = {"granted_mb": 9000, "granted_minutes": minutes + cluster.OVERHEAD_MINUTES}
    attempts.fit_within_grant(fit.main, job, attempt=attempt, **granted)
    for output in chain(*(run["outputs"] for run in runs)):
        records["/".join(Path(output).parts[-2:])] = read_record(f"{output}/run.json")
    return records


def test_every_seed_of_every_run_ends_as_a_fit_of_its_own(splits, tmp_path):
    records = fit_all(splits, tmp_path)
    statuses = [record["status"] for record in records.values()]
    assert statuses == ["ok", "ok", "diverged", "diverged"]
    for seed, split in zip(SEEDS, splits, strict=True):
        alone, place = tmp_path / f"alone-{seed}", f"oracle/seed-{seed}"
        expected = fit_one(split, alone, "oracle", seed=seed)
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
    runs = [run_of(method, [tmp_path / method] * 2) for method in ("ridge", "oracle")]
    fits = fit._fits(runs, seeds_of(splits, SEEDS))
    alone = fits[0]
    assert read_shared([alone, fits[1]]) == {}
    shared = read_shared(fits)
    assert {path.parent for path in shared} == set(splits)
    assert len(shared) == 4  # train and query cells of either seed
    of_another_seed = replace(alone, identity=alone.identity | {"seed": 7})
    with pytest.raises(ContractError, match="is of seed 0, but seed 7 belongs here"):
        open_split(import_for(alone.module, "ridge"), of_another_seed, shared)
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
        fit_all(splits, tmp_path, ("oracle", "ridge"), minutes=-1, attempt=1)


def test_a_broken_file_among_several_fits_is_the_users(splits, tmp_path, capfd):
    (tmp_path / "train.h5mu").write_bytes(b"no split")
    with pytest.raises(UserError, match="could not start"):
        fit_all([splits[0], tmp_path], tmp_path / "runs", ("ridge", "cca"))
    assert f"error: {tmp_path}/train.h5mu: cannot be read as HDF5" in capfd.readouterr().err
    assert not list((tmp_path / "runs").glob("*/seed-1/run.json"))


@dataclass(kw_only=True)
class Misbehaving:
    """A method whose fit ends its process for the first seed, and is no trouble for the second."""

    def fit(self, train, seed):
        if seed == 0:
            os._exit(9)
        return []

    def embed(self, cells):
        return np.arange(2.0 * len(cells)).reshape(-1, 2)


def test_what_befalls_one_seed_is_its_row_and_leaves_the_other_alone(splits, tmp_path, monkeypatch):
    method = registered(monkeypatch, Misbehaving)
    failed, other = fit_all(splits, tmp_path, (method,)).values()
    assert (failed["status"], other["status"]) == ("crashed", "ok")
    assert "exit status 9" in failed["message"]
    assert read_latents(tmp_path / method / "seed-0/latents.h5ad").n_obs == 0
