"""Attempts on a cluster: what is left to the next one, what becomes a row, and what a run leaves that was killed each time."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import REPOSITORY
from mosaicbench_views import cut_small, small_dataset

from mosaicbench import cluster
from mosaicbench.commands import attempt as attempt_verb
from mosaicbench.errors import UserError
from mosaicbench.files.runs import read_latents, read_record

IDENTITY = {"dataset": "d", "scenario": "s", "run": "r", "method": "mvae", "seed": 0}


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    return cut_small(small_dataset(), "paired", tmp_path_factory.mktemp("view"))


def attempt(number, view, output, *, usable_mb=8000.0, minutes=5.0, limit_mb=8000.0, limit_minutes=5.0):
    attempt_verb.main(
        attempt=number,
        granted_mb=usable_mb + cluster.OVERHEAD_MB,
        granted_minutes=minutes + cluster.OVERHEAD_MINUTES,
        max_memory_mb=limit_mb,
        max_minutes=limit_minutes,
        method="mosaicbench.methods.mvae",
        hyperparameters={"max_epochs": 1},
        identity=IDENTITY,
        train=view / "train.h5mu",
        query=view / "query.h5mu",
        solution=None,
        output=output,
    )
    return read_record(output / "run.json")


def test_an_attempt_that_has_enough_is_a_fit(view, tmp_path):
    assert attempt(1, view, tmp_path)["status"] == "ok"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.tsv", "imputed.h5mu", "latents.h5ad", "run.json"]


@pytest.mark.parametrize(("little", "status"), [({"usable_mb": 50.0}, "out_of_memory"), ({"minutes": 0.001}, "timeout")])
def test_too_little_for_an_early_attempt_is_left_to_the_next_one_and_at_last_a_row(view, tmp_path, little, status):
    for number in (1, 2):
        with pytest.raises(UserError, match=f"{status}.*the next attempt gets more"):
            attempt(number, view, tmp_path, **little)
    assert attempt(3, view, tmp_path, **little)["status"] == status
    assert not (tmp_path / "attempt.json").exists()


def test_the_limits_of_the_config_end_a_run_on_any_attempt(view, tmp_path):
    assert attempt(1, view, tmp_path, limit_mb=50.0)["status"] == "out_of_memory"


def killed_attempt(number, view, output):
    """Kill an attempt, and all that it started, as a cluster does, as soon as it is under way."""
    options = ["--method", "mvae", "--hyperparameters", '{"max_epochs": 100000, "patience": 100000}']
    options += ["--identity", json.dumps(IDENTITY), "--train", view / "train.h5mu", "--query", view / "query.h5mu"]
    options += ["--output", output, "--max-minutes", "5", "--max-memory-mb", "8000", "--attempt", str(number)]
    options += ["--granted-mb", "9000", "--granted-minutes", "10"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "SLURM_JOB_ID": "7"}
    command = [sys.executable, "-m", "mosaicbench", "attempt", *map(str, options)]
    process = subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while json.loads(_read(output / "attempt.json") or "{}").get("attempt") != number:
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(path):
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize(
    ("state", "status"), [("OUT_OF_MEMORY", "out_of_memory"), ("TIMEOUT", "timeout"), ("NODE_FAIL", "crashed")]
)
def test_a_run_killed_from_outside_each_time_becomes_a_row_that_says_how(view, tmp_path, monkeypatch, state, status):
    killed_attempt(3, view, tmp_path)
    (tmp_path / "bin").mkdir()
    scontrol = tmp_path / "bin/scontrol"
    scontrol.write_text(f"#!/bin/sh\necho JobId=$4 JobState={state} Reason=None\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scontrol.parent}:{os.environ['PATH']}")
    record = attempt(4, view, tmp_path)
    assert record["status"] == status
    assert record["message"].endswith(f"the last had 8000 MB and 5 minutes in job 7, which SLURM calls {state}")
    assert read_latents(tmp_path / "latents.h5ad").n_obs == 0
    assert not (tmp_path / "attempt.json").exists()


def test_an_attempt_after_another_fault_fits_again(view, tmp_path):
    assert attempt(4, view, tmp_path)["status"] == "ok"


def test_a_row_of_a_job_that_the_cluster_takes_for_failed_is_written_again(view, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    first = attempt(3, view, tmp_path, usable_mb=50.0, limit_mb=50.0)
    (tmp_path / "run.json").unlink()
    again = attempt(4, view, tmp_path)
    assert (again["status"], again["message"]) == (first["status"], first["message"])
    assert again["status"] == "out_of_memory"
