"""A run through the verb: what a failed run leaves, what is hidden stays hidden, what is recorded."""

import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
import types
from dataclasses import dataclass

import numpy as np
import psutil
import pytest
import torch
from mosaicbench_views import cut_small, small_dataset

from mosaicbench import catalog
from mosaicbench.commands import fit, score
from mosaicbench.errors import Diverged, NotApplicable, UserError
from mosaicbench.files.runs import latents_of, private_of, read_imputed, read_latents, read_record
from mosaicbench.files.scores import read_scores
from mosaicbench.files.tables import read_table
from mosaicbench.files.views import as_cells, read_view, standardised_values, write_view
from mosaicbench.metrics.label_separation_auc import label_separation_auc


@pytest.fixture(scope="module")
def dataset():
    return small_dataset()


@pytest.fixture(scope="module", params=["paired", "unpaired"])
def view(request, dataset, tmp_path_factory):
    return cut_small(dataset, request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def paired(dataset, tmp_path_factory):
    return cut_small(dataset, "paired", tmp_path_factory.mktemp("view"))


def fit_run(view, output, *, method="mosaicbench.methods.mvae", hyperparameters=None, seed=0, **limits):
    identity = {"dataset": "d", "scenario": "s", "run": "r", "method": method.split(".")[-1], "seed": seed}
    fit.main(
        method=method,
        hyperparameters={"max_epochs": 2} if hyperparameters is None else hyperparameters,
        identity=identity,
        train=view / "train.h5mu",
        query=view / "query.h5mu",
        solution=view / "solution.h5mu",
        output=output,
        **({"max_minutes": 5, "max_memory_mb": 8000} | limits),
    )
    return read_record(output / "run.json")


def outputs(folder):
    latents, imputed = read_latents(folder / "latents.h5ad"), read_imputed(folder / "imputed.h5mu")
    return latents.X, {direction: cells.X for direction, cells in imputed.mod.items()}


@dataclass(kw_only=True)
class Misbehaving:
    """A method whose fit does what the test says."""

    what: str = ""

    def fit(self, train, seed):
        if self.what == "diverge":
            raise Diverged("the cost was not finite in epoch 3")
        if self.what == "lack":
            raise NotApplicable("the view has no links")
        if self.what == "crash":
            raise RuntimeError("shapes do not match")
        if self.what == "memory":
            raise MemoryError("no room")
        if self.what == "device memory":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        if self.what == "hang":
            time.sleep(60)
        if self.what == "eat":
            self.eaten = [np.ones(2**22) for _ in range(64)]
            time.sleep(20)
        if self.what == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        return []

    def embed(self, cells):
        return np.full((len(cells), 2), np.nan) if self.what == "nan" else np.arange(2.0 * len(cells)).reshape(-1, 2)


@pytest.fixture
def misbehaving(monkeypatch):
    module = types.ModuleType("misbehaving_method")
    module.CARD = {"uses": (), "gives": ("single",)}
    Misbehaving.__module__ = module.__name__
    module.Misbehaving = Misbehaving
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


@pytest.mark.parametrize(
    ("what", "status", "message", "limits"),
    [
        ("diverge", "diverged", "not finite in epoch 3", {}),
        ("nan", "diverged", "not finite", {}),
        ("lack", "not_applicable", "the view has no links", {}),
        ("crash", "crashed", "RuntimeError: shapes do not match", {}),
        ("memory", "out_of_memory", "no room", {}),
        ("device memory", "out_of_memory", "Tried to allocate 20.00 GiB", {}),
        ("killed", "out_of_memory", "killed by the operating system", {}),
        ("hang", "timeout", "limits: minutes", {"max_minutes": 0.08}),
        ("eat", "out_of_memory", "limits: memory_mb", {"max_memory_mb": 1500}),
    ],
)
def test_a_failed_run_is_a_valid_row_with_its_status(paired, tmp_path, misbehaving, what, status, message, limits):
    record = fit_run(paired, tmp_path, method=misbehaving, hyperparameters={"what": what}, **limits)
    assert record["status"] == status
    assert message in record["message"]
    assert read_latents(tmp_path / "latents.h5ad").n_obs == 0
    assert not read_imputed(tmp_path / "imputed.h5mu").mod
    assert read_table(tmp_path / "history.tsv").empty
    assert not list(tmp_path.glob(".*partial*"))
    if what != "nan":
        assert set(record["seconds"]) == {"import", "read", "fit"}
    assert record["peak_host_mb"] >= max(record["host_mb"].values()) > 50
    if what == "hang":
        assert record["seconds"]["fit"] > 0.1
        assert record["cpu_seconds"]["fit"] < record["seconds"]["fit"]


def test_a_collapsed_run_keeps_its_latents_and_says_so(paired, tmp_path):
    record = fit_run(paired, tmp_path, method="mosaicbench.methods.constant", hyperparameters={})
    assert record["status"] == "collapsed"
    assert read_latents(tmp_path / "latents.h5ad").n_obs > 0


@dataclass(kw_only=True)
class OneWay:
    """A method that reads the first modality only, and so decodes in one direction."""

    reads: str = "left"

    def fit(self, train, seed):
        return []

    def embed(self, cells):
        if cells.modalities != (self.reads,):
            raise NotApplicable("nothing reads it")
        return cells.values[self.reads][:, :2]

    def impute(self, cells, target):
        z = self.embed(cells)
        return np.repeat(z[:, :1], self.width[target], axis=1)


@pytest.mark.parametrize("reads", ["left", "neither"])
def test_what_a_method_cannot_do_is_left_out_and_said(paired, tmp_path, monkeypatch, reads):
    module = types.ModuleType("one_way_method")
    module.CARD = {"uses": (), "gives": ("joint", "single", "impute")}
    OneWay.__module__ = module.__name__
    query = read_view(paired / "query.h5mu", "query")
    module.OneWay, OneWay.width = OneWay, {m: cells.n_vars for m, cells in query.mod.items()}
    monkeypatch.setitem(sys.modules, module.__name__, module)
    record = fit_run(paired, tmp_path, method=module.__name__, hyperparameters={"reads": reads})
    latents = read_latents(tmp_path / "latents.h5ad")
    imputed = read_imputed(tmp_path / "imputed.h5mu")
    assert "no latents of right: nothing reads it" in record["message"]
    assert "no latents of joint: nothing reads it" in record["message"]
    assert "no right->left: nothing reads it" in record["message"]
    assert record["status"] == ("ok" if reads == "left" else "not_applicable")
    assert set(latents.obs["source"]) == ({"left"} if reads == "left" else set())
    assert list(imputed.mod) == (["left->right"] if reads == "left" else [])
    score.main(
        runs=[tmp_path],
        views=[paired],
        groups=["alignment", "imputation", "resources"],
        scores=[tmp_path / "scores.tsv"],
        features=[tmp_path / "features.tsv"],
        cells=[tmp_path / "cells.npz"],
    )
    scores = read_scores(tmp_path / "scores.tsv")
    assert set(scores["direction"]) == ({"run", "left->right"} if reads == "left" else {"run"})


@dataclass(kw_only=True)
class WithPrivate:
    """A method whose shared and private latents are columns of what it is shown."""

    private: int = 3

    def fit(self, train, seed):
        return []

    def embed(self, cells):
        return sum(x[:, :2] for x in cells.values.values())

    def embed_private(self, cells):
        (x,) = cells.values.values()
        assert cells.labels is None
        return x[:, 2 : 2 + self.private]


@pytest.mark.parametrize("private", [3, 0])
def test_private_latents_lie_beside_the_shared_ones_of_their_cells(paired, tmp_path, monkeypatch, private):
    module = types.ModuleType("method_with_private")
    module.CARD = {"uses": (), "gives": ("joint", "single", "private")}
    monkeypatch.setattr(WithPrivate, "__module__", module.__name__)
    module.WithPrivate = WithPrivate
    monkeypatch.setitem(sys.modules, module.__name__, module)
    record = fit_run(paired, tmp_path, method=module.__name__, hyperparameters={"private": private})
    assert record["status"] == "ok", record["message"]
    latents = read_latents(tmp_path / "latents.h5ad")
    assert private_of(latents, "joint", "query") is None
    for part in ("train", "query"):
        view = read_view(paired / f"{part}.h5mu", part)
        for modality in view.mod:
            names, _ = latents_of(latents, modality, part)
            found = private_of(latents, modality, part)
            if private == 0:
                assert found is None
                continue
            np.testing.assert_array_equal(found, as_cells(view, [modality], names).values[modality][:, 2:5])

    # The scorer is supplied with each modality's block in the solution's order, and with all side by side for the joint source.
    outputs = {name: tmp_path / name for name in ("scores.tsv", "features.tsv", "cells.npz")}
    score.main(
        runs=[tmp_path],
        views=[paired],
        groups=["disentanglement"],
        **{name: [path] for name, path in zip(("scores", "features", "cells"), outputs.values(), strict=True)},
    )
    scores = read_scores(outputs["scores.tsv"]).set_index(["metric", "direction"])["value"]
    asked = {direction for metric, direction in scores.index if metric == "label_separation_auc_private"}
    assert asked == ({"left", "right", "joint"} if private else set())
    if private:
        solution = read_view(paired / "solution.h5mu", "solution")
        blocks = {m: standardised_values(cells)[:, 2:5] for m, cells in solution.mod.items()}
        blocks["joint"] = np.concatenate(list(blocks.values()), axis=1)
        labels = np.asarray(solution["left"].obs["cell_type"], dtype=object)
        for source, block in blocks.items():
            expected = label_separation_auc(block, labels)
            assert scores["label_separation_auc_private", source] == pytest.approx(expected, abs=1e-5)


def test_a_broken_view_is_an_error_not_a_row(paired, tmp_path):
    broken = tmp_path / "view"
    broken.mkdir()
    for part in ("train", "query", "solution"):
        content = (paired / f"{part}.h5mu").read_bytes()
        (broken / f"{part}.h5mu").write_bytes(content[: len(content) // 2] if part == "query" else content)
    with pytest.raises(UserError):
        fit_run(broken, tmp_path / "run")
    assert not (tmp_path / "run/run.json").exists()


def test_the_record_says_what_was_used(paired, tmp_path):
    record = fit_run(paired, tmp_path)
    assert record["status"] == "ok"
    assert record["hyperparameters"]["max_epochs"] == 2
    assert record["hyperparameters"]["latent"] == 20
    assert record["versions"]["torch"].startswith("2.")
    assert record["hardware"]["cores"] == os.cpu_count()
    assert record["hardware"]["cpu"]
    assert record["hardware"]["memory_mb"] > record["peak_host_mb"]
    for measure in ("seconds", "cpu_seconds", "gpu_seconds", "host_mb"):
        assert set(record[measure]) == {"import", "read", "fit", "embed", "impute", "write"}, measure
    assert record["cells"] == {"train": 192, "query": 48}
    assert record["arithmetic"]["float32_matmul_precision"] == "highest"
    if record["device"] == "cpu":
        assert not any(record["gpu_seconds"].values())
        assert record["device_mb"] == {}
    assert record["peak_host_mb"] > 50
    assert json.loads((tmp_path / "run.json").read_text())["seed"] == 0
    assert len(read_table(tmp_path / "history.tsv")) == 2


def test_same_seed_same_outputs_other_seed_others(view, tmp_path):
    for name, seed in (("first", 0), ("second", 0), ("third", 1)):
        fit_run(view, tmp_path / name, seed=seed)
    first, second, third = (outputs(tmp_path / name) for name in ("first", "second", "third"))
    np.testing.assert_array_equal(first[0], second[0])
    for direction in first[1]:
        np.testing.assert_array_equal(first[1][direction], second[1][direction])
    assert not np.array_equal(first[0], third[0])


@pytest.mark.parametrize("method", [name for name, card in catalog.cards("methods").items() if card["kind"] != "control"])
def test_poisoned_solution_changes_nothing(dataset, paired, tmp_path, method):
    """Overwrite all that a scenario hides; only the positive controls may notice."""
    solution = read_view(paired / "solution.h5mu", "solution")
    poisoned = tmp_path / "poisoned"
    poisoned.mkdir()
    for part in ("train", "query"):
        (poisoned / f"{part}.h5mu").write_bytes((paired / f"{part}.h5mu").read_bytes())
    for cells in solution.mod.values():
        cells.X = np.random.default_rng(0).random(cells.shape).astype(np.float32)
        cells.obs["cell_type"] = "garbage"
    write_view(poisoned / "solution.h5mu", solution)
    module = catalog.module("methods", method)
    small = {name: 2 for name in ("max_epochs", "epochs", "iterations") if name in catalog.hyperparameters(method)}
    fit_run(paired, tmp_path / "clean", method=module, hyperparameters=small)
    fit_run(poisoned, tmp_path / "dirty", method=module, hyperparameters=small)
    clean, dirty = outputs(tmp_path / "clean"), outputs(tmp_path / "dirty")
    np.testing.assert_array_equal(clean[0], dirty[0])
    for direction in clean[1]:
        np.testing.assert_array_equal(clean[1][direction], dirty[1][direction])


def test_sources_of_a_paired_and_an_unpaired_query(dataset, tmp_path):
    for kind, expected in (("paired", {"left", "right", "joint"}), ("unpaired", {"left", "right"})):
        view = cut_small(dataset, kind, tmp_path / kind)
        fit_run(view, tmp_path / f"run-{kind}", method="mosaicbench.methods.random_latent", hyperparameters={})
        latents = read_latents(tmp_path / f"run-{kind}/latents.h5ad")
        assert set(latents.obs["source"]) == expected


LONG = {"max_epochs": 40, "patience": 40}


@pytest.fixture(scope="module")
def uninterrupted(paired, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    fit_run(paired, folder, hyperparameters=LONG, checkpoint_seconds=0)
    return folder


def stopped(view, folder, kill, **more):
    """Fit in a process of its own and kill it, or its whole tree, once a training of some epochs is saved."""
    run = multiprocessing.get_context("fork").Process(
        target=fit_run, args=(view, folder), kwargs={"hyperparameters": LONG, "checkpoint_seconds": 0} | more
    )
    run.start()
    deadline = time.monotonic() + 60
    while not (folder / fit.CHECKPOINT).exists():
        assert time.monotonic() < deadline, "no checkpoint in a minute"
        time.sleep(0.01)
    if kill == signal.SIGKILL:
        for process in psutil.Process(run.pid).children(recursive=True):
            process.kill()
    os.kill(run.pid, kill)
    run.join()
    return run.exitcode


@pytest.fixture(scope="module")
def interrupted(paired, tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted")
    assert stopped(paired, folder, signal.SIGKILL) == -signal.SIGKILL
    return folder


def is_unfinished(folder):
    left = {path.name for path in folder.iterdir()}
    return fit.CHECKPOINT in left and not left & {"latents.h5ad", "imputed.h5mu", "history.tsv", "run.json"}


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(paired, tmp_path, interrupted, uninterrupted):
    assert is_unfinished(interrupted)
    folder = shutil.copytree(interrupted, tmp_path / "run")
    record = fit_run(paired, folder, hyperparameters=LONG)
    assert {path.name for path in folder.iterdir()} == {"latents.h5ad", "imputed.h5mu", "history.tsv", "run.json"}
    first, second = outputs(uninterrupted), outputs(folder)
    np.testing.assert_array_equal(first[0], second[0])
    for direction in first[1]:
        np.testing.assert_array_equal(first[1][direction], second[1][direction])
    history = read_table(folder / "history.tsv")
    assert history.equals(read_table(uninterrupted / "history.tsv"))
    assert list(history["epoch"]) == list(range(1, 41))
    assert 0 < record["resumed_after"][0] < 40
    assert read_record(uninterrupted / "run.json")["resumed_after"] == []


def test_a_terminated_run_leaves_a_checkpoint_and_nothing_half_written(paired, tmp_path):
    assert stopped(paired, tmp_path, signal.SIGTERM) == 128 + signal.SIGTERM
    assert is_unfinished(tmp_path)


def test_a_run_stopped_at_a_limit_is_a_row_and_may_go_on_with_a_higher_one(paired, tmp_path, interrupted):
    shutil.copy(interrupted / fit.CHECKPOINT, tmp_path)
    assert fit_run(paired, tmp_path, hyperparameters=LONG, max_minutes=0)["status"] == "timeout"
    assert is_unfinished(tmp_path) is False
    record = fit_run(paired, tmp_path, hyperparameters=LONG)
    assert record["status"] == "ok"
    assert record["resumed_after"]
    assert not (tmp_path / fit.CHECKPOINT).exists()


@pytest.mark.parametrize("change", ["hyperparameters", "data", "seed"])
def test_a_checkpoint_of_another_run_is_not_taken(dataset, paired, interrupted, tmp_path, change):
    shutil.copy(interrupted / fit.CHECKPOINT, tmp_path)
    view = paired
    if change == "data":
        view = cut_small(dataset, "paired", tmp_path / "view", seed=5)
    hyperparameters = LONG | ({"beta": 2.0} if change == "hyperparameters" else {})
    record = fit_run(view, tmp_path, hyperparameters=hyperparameters, seed=7 if change == "seed" else 0)
    assert record["resumed_after"] == []
    assert len(read_table(tmp_path / "history.tsv")) == 40
    assert not (tmp_path / fit.CHECKPOINT).exists()
