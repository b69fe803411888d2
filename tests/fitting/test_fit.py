"""One run through the command: what a failed run leaves, what is recorded, how a killed one goes on."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from mosaicbench_fits import LIMITS, assert_same_outputs, fit_one, registered, run_of, seeds_of
from mosaicbench_splits import cut_small, small_dataset

from mosaicbench.commands import fit
from mosaicbench.errors import Diverged, NotApplicable, UserError
from mosaicbench.files.runs import read_imputed, read_latents, read_record
from mosaicbench.files.tables import read_table
from mosaicbench.fitting import record as recording
from mosaicbench.fitting.job import CHECKPOINT
from mosaicbench.fitting.meter import PHASES
from mosaicbench.workflow.layout import FILES_OF_FIT

BY_HAND = {"dataset": "unnamed"}  # a fit that may be of any split and seed


@pytest.fixture(scope="module")
def dataset():
    return small_dataset()


@pytest.fixture(scope="module")
def paired(dataset, tmp_path_factory):
    return cut_small(dataset, "paired", tmp_path_factory.mktemp("split"))


ERRORS = {
    "diverge": Diverged("the loss was not finite in epoch 3"),
    "lack": NotApplicable("the split has no links"),
    "crash": RuntimeError("shapes do not match"),
    "memory": MemoryError("no room"),
    "device memory": torch.cuda.OutOfMemoryError("CUDA: Tried to allocate 20.00 GiB"),
}
WRONG = {"nan": np.nan, "huge": 1e39}  # beyond single precision, in which latents are kept


@dataclass(kw_only=True)
class Misbehaving:
    """A method whose fit does what the test says."""

    what: str = ""

    def fit(self, train, seed):
        if self.what in ERRORS:
            raise ERRORS[self.what]
        if self.what == "hang":
            time.sleep(60)
        if self.what == "eat":
            self.eaten = [np.ones(2**22) for _ in range(64)]
            time.sleep(20)
        if self.what == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        return []

    def embed(self, cells):
        return np.full((len(cells), 2), WRONG[self.what])


@pytest.mark.parametrize(
    ("what", "status", "message", "limits"),
    [
        ("diverge", "diverged", "not finite in epoch 3", {}),
        ("nan", "diverged", "not finite", {}),
        ("huge", "diverged", "not finite", {}),
        ("lack", "not_applicable", "the split has no links", {}),
        ("crash", "crashed", "RuntimeError: shapes do not match", {}),
        ("memory", "out_of_memory", "no room", {}),
        ("device memory", "out_of_memory", "Tried to allocate 20.00 GiB", {}),
        ("killed", "out_of_memory", "killed by the operating system", {}),
        ("hang", "timeout", "limits: minutes", {"minutes": 0.05}),
        ("eat", "out_of_memory", "limits: memory_mb", {"memory_mb": 1500}),
    ],
)
def test_a_failed_run_is_a_valid_row_with_its_status(
    paired, tmp_path, monkeypatch, what, status, message, limits
):
    method = registered(monkeypatch, Misbehaving)
    record = fit_one(paired, tmp_path, method, hyperparameters={"what": what}, limits=limits)
    assert record["status"] == status
    assert message in record["message"]
    assert read_latents(tmp_path / "latents.h5ad").n_obs == 0
    assert not read_imputed(tmp_path / "imputed.h5mu").mod
    assert read_table(tmp_path / "history.tsv").empty
    assert not list(tmp_path.glob(".*partial*"))
    if what not in WRONG:
        assert set(record["seconds"]) == {"import", "read", "fit"}
    assert record["peak_host_mb"] >= max(record["host_mb"].values()) > 50
    if what == "hang":
        assert record["seconds"]["fit"] > 0.1
        assert record["cpu_seconds"]["fit"] < record["seconds"]["fit"]


def test_a_collapsed_run_keeps_its_latents_and_says_so(paired, tmp_path):
    record = fit_one(paired, tmp_path, "constant")
    assert record["status"] == "collapsed"
    assert read_latents(tmp_path / "latents.h5ad").n_obs > 0


def test_a_positive_control_without_the_solution_is_an_error_not_a_row(paired, tmp_path, capfd):
    run = run_of("oracle", [tmp_path / "run"])
    seeds = seeds_of([paired], [0], parts=("train", "query"))
    with pytest.raises(UserError, match="could not start"):
        fit.main(runs=[run], seeds=seeds, limits=LIMITS)
    assert "oracle reads the solution, and this job names none" in capfd.readouterr().err
    assert not (tmp_path / "run/run.json").exists()


def test_the_record_says_what_was_used(paired, tmp_path):
    record = fit_one(paired, tmp_path, "mvae", hyperparameters={"max_epochs": 2})
    assert (record["status"], record["seed"], record["device"]) == ("ok", 0, "cpu")
    assert {"max_epochs": 2, "latent": 20}.items() <= record["hyperparameters"].items()
    assert record["versions"]["torch"].startswith("2.")
    assert record["hardware"]["cpu"]
    assert record["hardware"]["memory_mb"] > record["peak_host_mb"] > 50
    for measure in ("seconds", "cpu_seconds", "gpu_seconds", "host_mb"):
        assert set(record[measure]) == set(PHASES), measure
    assert record["cells"] == {"train": 192, "query": 48}
    assert record["arithmetic"]["float32_matmul_precision"] == "highest"
    assert len(read_table(tmp_path / "history.tsv")) == 2


LONG = {"max_epochs": 40, "patience": 40}


def fit_long(split, output, **more):
    return fit_one(split, output, "mvae", **{"hyperparameters": LONG} | more)


@pytest.fixture(scope="module")
def uninterrupted(paired, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    fit_long(paired, folder)
    return folder


def stopped(split, folder, kill):
    """Fit in a process of its own and kill it, or its whole tree, once a training of some epochs is saved."""
    run = multiprocessing.get_context("fork").Process(
        target=fit_long, args=(split, folder), kwargs={"checkpoint_seconds": 0}
    )
    run.start()
    deadline = time.monotonic() + 60
    while not (folder / CHECKPOINT).exists():
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
    return CHECKPOINT in left and not left & set(FILES_OF_FIT)


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    paired, tmp_path, interrupted, uninterrupted
):
    assert is_unfinished(interrupted)
    folder = shutil.copytree(interrupted, tmp_path / "run")
    record = fit_long(paired, folder)
    assert {path.name for path in folder.iterdir()} == set(FILES_OF_FIT)
    assert_same_outputs(uninterrupted, folder)
    history = read_table(folder / "history.tsv")
    assert history.equals(read_table(uninterrupted / "history.tsv"))
    assert list(history["epoch"]) == list(range(1, 41))
    assert 0 < record["resumed_after"][0] < 40
    assert read_record(uninterrupted / "run.json")["resumed_after"] == []


def test_a_terminated_run_leaves_a_checkpoint_and_nothing_half_written(paired, tmp_path):
    assert stopped(paired, tmp_path, signal.SIGTERM) == 128 + signal.SIGTERM
    assert is_unfinished(tmp_path)


def test_a_run_stopped_at_a_limit_is_a_row_and_may_go_on_with_a_higher_one(
    paired, tmp_path, interrupted
):
    shutil.copy(interrupted / CHECKPOINT, tmp_path)
    assert fit_long(paired, tmp_path, limits={"minutes": 0})["status"] == "timeout"
    assert is_unfinished(tmp_path) is False
    record = fit_long(paired, tmp_path)
    assert record["status"] == "ok"
    assert record["resumed_after"]
    assert not (tmp_path / CHECKPOINT).exists()


@pytest.mark.parametrize("change", ["hyperparameters", "split", "seed"])
def test_a_checkpoint_of_another_run_is_not_taken(dataset, paired, interrupted, tmp_path, change):
    shutil.copy(interrupted / CHECKPOINT, tmp_path)
    changed = {
        "hyperparameters": LONG | {"beta": 2.0},
        "split": cut_small(dataset, "paired", tmp_path / "other", seed=5),
        "seed": 7,
    }
    given = {"split": paired, "output": tmp_path, "names": BY_HAND} | {change: changed[change]}
    record = fit_long(**given)
    assert record["resumed_after"] == []
    assert len(read_table(tmp_path / "history.tsv")) == 40
    assert not (tmp_path / CHECKPOINT).exists()


def test_the_commit_of_a_checkout_leaves_its_index_alone(tmp_path, monkeypatch):
    def git(*command):
        return subprocess.check_output(["git", "-C", tmp_path, *command], text=True).strip()

    file = Path(shutil.copy(recording.__file__, tmp_path))
    monkeypatch.setattr(recording, "__file__", str(file))
    commit_now = recording.git_commit.__wrapped__  # of a process, it is asked once
    git("init", "--quiet")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=b", "commit", "--quiet", "--message", "first")
    commit = git("rev-parse", "HEAD")[:12]
    file.write_text(file.read_text())  # a new time, the same content
    before = (tmp_path / ".git/index").read_bytes()
    assert commit_now() == commit
    assert (tmp_path / ".git/index").read_bytes() == before
    file.write_text("")
    assert commit_now() == f"{commit}-dirty"


# --- one job, one folder ---
