"""Runs and seeds of a view in one job: the same files as fits of their own, one that fails leaves the others alone."""

import numpy as np
import pytest
from mosaicbench_views import cut_small, small_dataset

from mosaicbench import cluster
from mosaicbench.commands import fit, fit_each
from mosaicbench.errors import UserError
from mosaicbench.files.runs import read_imputed, read_latents, read_record

SEEDS = (0, 1)
METHODS = ("oracle", "ridge", "mvae")
HYPERPARAMETERS = {"mvae": {"max_epochs": 2, "learning_rate": 1e30}}
NAMES = {"dataset": "d", "scenario": "s"}


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    dataset = small_dataset()
    return [cut_small(dataset, "paired", tmp_path_factory.mktemp(f"seed-{seed}"), seed) for seed in SEEDS]


def keywords(method):
    identity = NAMES | {"run": f"my {method}", "method": method}
    hyperparameters = HYPERPARAMETERS.get(method, {})
    return {"method": f"mosaicbench.methods.{method}", "identity": identity, "hyperparameters": hyperparameters}


def fit_all(views, folder, methods=METHODS, *, minutes=10.0, attempt=cluster.ATTEMPTS):
    outputs = [folder / method / f"seed-{seed}" for method in methods for seed in SEEDS]
    fit_each.main(
        runs=[keywords(method) for method in methods],
        seeds=SEEDS,
        **{part: [view / f"{part}.h5mu" for view in views] for part in ("train", "query", "solution")},
        output=outputs,
        attempt=attempt,
        granted_mb=8000 + cluster.OVERHEAD_MB,
        granted_minutes=minutes + cluster.OVERHEAD_MINUTES,
        max_minutes=5,
        max_memory_mb=8000,
    )
    return {output.relative_to(folder).as_posix(): read_record(output / "run.json") for output in outputs}


def test_every_seed_of_every_run_ends_as_a_fit_of_its_own(views, tmp_path):
    records = fit_all(views, tmp_path)
    assert {place: record["status"] for place, record in records.items()} == {
        f"{method}/seed-{seed}": "diverged" if method == "mvae" else "ok" for method in METHODS for seed in SEEDS
    }
    for method in ("oracle", "ridge"):
        for seed, view in zip(SEEDS, views, strict=True):
            alone, place = tmp_path / f"alone-{method}-{seed}", f"{method}/seed-{seed}"
            asked = keywords(method)
            asked["identity"] |= {"seed": seed}
            paths = {part: view / f"{part}.h5mu" for part in ("train", "query", "solution")}
            fit.main(**asked, **paths, output=alone, max_minutes=5, max_memory_mb=8000)
            expected = read_record(alone / "run.json")
            differ = {key for key in expected if records[place][key] != expected[key]}
            assert differ <= {"seconds", "cpu_seconds", "host_mb", "peak_host_mb"}
            here, there = (read_imputed(folder / "imputed.h5mu") for folder in (tmp_path / place, alone))
            for direction, cells in there.mod.items():
                np.testing.assert_array_equal(here[direction].X, cells.X)
            here, there = (read_latents(folder / "latents.h5ad") for folder in (tmp_path / place, alone))
            np.testing.assert_array_equal(here.X, there.X)


SLOW = """
import time
time.sleep(0.6)
CARD = {"uses": (), "gives": ("single",)}
class Slow:
    __dataclass_fields__ = {}
    def fit(self, train, seed):
        return []
    def embed(self, cells):
        return cells.values[cells.modalities[0]]
"""


def test_each_has_its_share_of_importing(views, tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(
        globals(),
        "keywords",
        lambda name: {"method": name, "identity": NAMES | {"run": name, "method": name}, "hyperparameters": {}},
    )
    records = fit_all(views, tmp_path, ("slow_to_import",))
    assert {record["status"] for record in records.values()} == {"ok"}
    assert all(0.3 <= record["seconds"]["import"] < 0.6 for record in records.values())


def test_without_time_every_run_is_a_row_or_the_next_attempt_s(views, tmp_path):
    records = fit_all(views, tmp_path, ("oracle", "ridge"), minutes=-1)
    assert {record["status"] for record in records.values()} == {"timeout"}
    with pytest.raises(UserError, match="the next attempt gets more"):
        fit_all(views, tmp_path, ("oracle", "ridge"), minutes=-1, attempt=1)


def test_a_broken_file_is_the_users(views, tmp_path):
    (tmp_path / "train.h5mu").write_bytes(b"no view")
    with pytest.raises(UserError, match="could not start"):
        fit_all([views[0], tmp_path], tmp_path / "runs", ("ridge",))
