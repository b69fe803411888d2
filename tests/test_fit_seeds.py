"""All seeds of a run in one job: the same files as fits of their own, a row for each whatever befalls them, shared costs."""

import os
import signal
import sys
import types
from dataclasses import dataclass

import numpy as np
import pytest
from mosaicbench_views import cut_small, small_dataset

from mosaicbench import cluster
from mosaicbench.commands import fit, fit_seeds
from mosaicbench.errors import Diverged, NotStackable, UserError
from mosaicbench.files.runs import read_imputed, read_latents, read_record
from mosaicbench.files.tables import read_table
from mosaicbench.modeling.training import Budget

SEEDS = (0, 1)
MVAE = "mosaicbench.methods.mvae"
IDENTITY = {"dataset": "d", "scenario": "s", "run": "r"}
ASKED = {"max_epochs": 2, "hidden": 16}


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    dataset = small_dataset()
    return [cut_small(dataset, "paired", tmp_path_factory.mktemp(f"seed-{seed}"), seed) for seed in SEEDS]


def fit_at_once(views, folder, *, method=MVAE, hyperparameters=None, attempt=1, minutes=10.0, limit_minutes=5.0, **limits):
    outputs = [folder / f"seed-{seed}" for seed in SEEDS]
    fit_seeds.main(
        method=method,
        hyperparameters=ASKED if hyperparameters is None else hyperparameters,
        identity=IDENTITY | {"method": method.split(".")[-1]},
        seeds=SEEDS,
        train=[view / "train.h5mu" for view in views],
        query=[view / "query.h5mu" for view in views],
        output=outputs,
        attempt=attempt,
        granted_mb=8000 + cluster.OVERHEAD_MB,
        granted_minutes=minutes + cluster.OVERHEAD_MINUTES,
        max_minutes=limit_minutes,
        **{"max_memory_mb": 8000} | limits,
    )
    return outputs, [read_record(output / "run.json") for output in outputs]


def test_seeds_at_once_give_what_fits_of_their_own_give(views, tmp_path):
    outputs, records = fit_at_once(views, tmp_path / "at_once")
    for seed, view, output, record in zip(SEEDS, views, outputs, records, strict=True):
        alone = tmp_path / f"alone-{seed}"
        identity = IDENTITY | {"method": "mvae", "seed": seed}
        paths = {"train": view / "train.h5mu", "query": view / "query.h5mu", "solution": None, "output": alone}
        fit.main(method=MVAE, hyperparameters=ASKED, identity=identity, max_minutes=5, max_memory_mb=8000, **paths)
        expected = read_record(alone / "run.json")
        differ = {key for key in expected if record[key] != expected[key]}
        assert differ <= {"seconds", "cpu_seconds", "host_mb", "peak_host_mb", "seeds_at_once"}
        assert (record["seeds_at_once"], expected["seeds_at_once"]) == (2, 1)
        assert sorted(path.name for path in output.iterdir()) == sorted(path.name for path in alone.iterdir())
        latents = [read_latents(folder / "latents.h5ad") for folder in (output, alone)]
        np.testing.assert_allclose(latents[0].X, latents[1].X, rtol=1e-5, atol=1e-5)
        assert latents[0].obs.equals(latents[1].obs)
        imputed = [read_imputed(folder / "imputed.h5mu") for folder in (output, alone)]
        for direction, cells in imputed[1].mod.items():
            np.testing.assert_allclose(imputed[0][direction].X, cells.X, rtol=1e-5, atol=1e-5)
        histories = [read_table(folder / "history.tsv") for folder in (output, alone)]
        np.testing.assert_allclose(*(history.to_numpy() for history in histories), rtol=1e-5)


def test_seeds_share_what_they_did_together():
    def meter(account):
        return types.SimpleNamespace(account=lambda earlier=None: {name: dict(value) for name, value in account.items()})

    shared = {"seconds": {"import": 1.0, "fit": 9.0}, "cpu_seconds": {"fit": 6.0}, "gpu_seconds": {"fit": 3.0}}
    own = {"seconds": {"embed": 2.0}, "cpu_seconds": {"embed": 1.0}, "gpu_seconds": {"embed": 0.0}}
    memory = [{"host_mb": {phase: mb}, "device_mb": {}} for phase, mb in (("fit", 500.0), ("embed", 600.0))]
    accounts = shared | memory[0], own | memory[1]
    meters = fit_seeds.Meters(*(meter(each) if i == 0 else [meter(each)] * 3 for i, each in enumerate(accounts)))
    meters.shared.account = lambda earlier=None: accounts[0] | {"device": "cpu"}
    found = meters.account(2)
    assert found["seconds"] == {"import": 0.333, "fit": 3.0, "embed": 2.0}
    assert found["cpu_seconds"] == {"fit": 2.0, "embed": 1.0}
    assert found["gpu_seconds"] == {"fit": 1.0, "embed": 0.0}
    assert (found["peak_host_mb"], found["peak_device_mb"]) == (600.0, None)


@dataclass(kw_only=True)
class Misbehaving(Budget):
    """A method whose stack does what the test says, and whose fit is no trouble."""

    what: str = ""

    @staticmethod
    def fit_at_once(methods, views, seeds):
        what = methods[0].what
        if what == "crash":
            raise RuntimeError("shapes do not match")
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "exit":
            os._exit(9)
        if what == "refuse":
            raise NotStackable("for a reason")
        return [[], Diverged("the cost was not finite in epoch 3")]

    def fit(self, train, seed):
        return []

    def embed(self, cells):
        return np.arange(2.0 * len(cells)).reshape(-1, 2)


@pytest.fixture
def misbehaving(monkeypatch):
    module = types.ModuleType("misbehaving_stack")
    module.CARD = {"uses": (), "gives": ("single",)}
    Misbehaving.__module__ = module.__name__
    module.Misbehaving = Misbehaving
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(fit, "decisive", lambda *what: {})
    return module.__name__


@pytest.mark.parametrize(
    ("what", "statuses", "message"),
    [
        ("crash", ["crashed"] * 2, "RuntimeError: shapes do not match"),
        ("exit", ["crashed"] * 2, "exit status 9; 2 seeds were fitted at once"),
        ("kill", ["out_of_memory"] * 2, "killed by the operating system"),
        ("diverge", ["ok", "diverged"], "not finite in epoch 3"),
    ],
)
def test_what_befalls_a_stack_is_a_row_for_each_seed(views, tmp_path, misbehaving, what, statuses, message):
    outputs, records = fit_at_once(views, tmp_path, method=misbehaving, hyperparameters={"what": what}, attempt=3)
    assert [record["status"] for record in records] == statuses
    assert [record["seed"] for record in records] == list(SEEDS)
    assert message in records[-1]["message"]
    assert read_latents(outputs[-1] / "latents.h5ad").n_obs == 0


def test_a_stack_that_takes_too_long_is_a_row_for_each_seed_and_keeps_its_checkpoint(views, tmp_path):
    long = {"max_epochs": 100_000, "patience": 100_000}
    what = {"hyperparameters": long, "attempt": 3, "checkpoint_seconds": 0.0}
    outputs, records = fit_at_once(views, tmp_path, limit_minutes=0.2, **what)
    assert [record["status"] for record in records] == ["timeout"] * 2
    assert all("stopped after 0.4 minutes" in record["message"] for record in records)
    assert [(output / fit.CHECKPOINT).exists() for output in outputs] == [True, False]
    with pytest.raises(UserError, match="the next attempt gets more"):
        fit_at_once(views, tmp_path, minutes=0.05, **what | {"attempt": 1})


def test_what_cannot_be_stacked_is_fitted_one_seed_after_the_other(views, tmp_path, misbehaving):
    records = fit_at_once(views, tmp_path, method=misbehaving, hyperparameters={"what": "refuse"})[1]
    assert [(record["status"], record["seeds_at_once"]) for record in records] == [("ok", 1)] * 2


def test_a_broken_file_is_the_users(views, tmp_path):
    broken = [views[0], tmp_path]
    (tmp_path / "train.h5mu").write_bytes(b"no view")
    with pytest.raises(UserError, match="could not start"):
        fit_at_once(broken, tmp_path)
