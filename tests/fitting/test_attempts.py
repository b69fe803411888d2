"""Attempts on a cluster: what is left to the next one, what becomes a row, and what a run leaves that was killed each time."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import REPOSITORY
from mosaicbench_fits import run_of, seeds_of
from mosaicbench_splits import cut_small, small_dataset

from mosaicbench.commands import fit
from mosaicbench.errors import UserError
from mosaicbench.files.runs import read_latents, read_record
from mosaicbench.workflow import attempts, cluster
from mosaicbench.workflow.layout import FILES_OF_FIT


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return cut_small(small_dataset(), "paired", tmp_path_factory.mktemp("split"))


def job_of(split, output, epochs, **limits):
    run = run_of("mvae", [output], hyperparameters={"max_epochs": epochs, "patience": epochs})
    return {"runs": [run], "seeds": seeds_of([split], [0]), "limits": limits}


def attempt(
    number,
    split,
    output,
    *,
    epochs=1,
    usable_mb=8000.0,
    minutes=5.0,
    limit_mb=8000.0,
    limit_minutes=5.0,
):
    job = job_of(split, output, epochs, minutes=limit_minutes, memory_mb=limit_mb)
    granted = {
        "granted_mb": usable_mb + cluster.OVERHEAD_MB,
        "granted_minutes": minutes + cluster.OVERHEAD_MINUTES,
    }
    attempts.fit_within_grant(fit.main, job, attempt=number, **granted)
    return read_record(output / "run.json")


@pytest.mark.parametrize("number", [1, 4])
def test_an_attempt_that_has_enough_is_a_fit(split, tmp_path, number):
    assert attempt(number, split, tmp_path)["status"] == "ok"
    assert {path.name for path in tmp_path.iterdir()} == set(FILES_OF_FIT)


LONG = 100_000  # epochs: not over before a limit is looked at, in a process that has imported all


@pytest.mark.parametrize(
    ("little", "status"), [({"usable_mb": 50.0}, "out_of_memory"), ({"minutes": 0.001}, "timeout")]
)
def test_too_little_for_an_early_attempt_is_left_to_the_next_one_and_at_last_a_row(
    split, tmp_path, little, status
):
    for number in (1, 2):
        with pytest.raises(UserError, match=f"{status}.*the next attempt gets more"):
            attempt(number, split, tmp_path, epochs=LONG, **little)
    assert attempt(3, split, tmp_path, epochs=LONG, **little)["status"] == status
    assert not (tmp_path / "attempt.json").exists()


def test_the_limits_of_the_config_end_a_run_on_any_attempt(split, tmp_path):
    assert attempt(1, split, tmp_path, epochs=LONG, limit_mb=50.0)["status"] == "out_of_memory"


ATTEMPT = """
import json, sys
from mosaicbench.commands import fit
from mosaicbench.workflow import attempts
job, number = json.loads(sys.argv[1]), int(sys.argv[2])
attempts.fit_within_grant(fit.main, job, attempt=number, granted_mb=9000, granted_minutes=10)
"""


def killed_attempt(number, split, output):
    """Kill an attempt, and all that it started, as a cluster does, as soon as it is under way."""
    job = job_of(split, output, LONG, minutes=5, memory_mb=8000)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "SLURM_JOB_ID": "7"}
    command = [sys.executable, "-c", ATTEMPT, json.dumps(job), str(number)]
    process = subprocess.Popen(
        command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL
    )
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
    ("state", "status"),
    [("OUT_OF_MEMORY", "out_of_memory"), ("TIMEOUT", "timeout"), ("NODE_FAIL", "crashed")],
)
def test_a_run_killed_from_outside_each_time_becomes_a_row_that_says_how(
    split, tmp_path, monkeypatch, state, status
):
    killed_attempt(3, split, tmp_path)
    (tmp_path / "bin").mkdir()
    scontrol = tmp_path / "bin/scontrol"
    scontrol.write_text(f"#!/bin/sh\necho JobId=$4 JobState={state} Reason=None\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scontrol.parent}:{os.environ['PATH']}")
    record = attempt(4, split, tmp_path)
    assert record["status"] == status
    assert record["message"].endswith(
        f"the last had 8000 MB and 5 minutes in job 7, which SLURM calls {state}"
    )
    assert read_latents(tmp_path / "latents.h5ad").n_obs == 0
    assert not (tmp_path / "attempt.json").exists()


def test_the_rows_that_a_killed_job_wrote_stay_and_the_others_say_how_it_ended(split, tmp_path):
    runs = [run_of(method, [tmp_path / method]) for method in ("constant", "train_mean")]
    limits = {"minutes": 5, "memory_mb": 8000}
    job = {"runs": runs, "seeds": seeds_of([split], [0]), "limits": limits}
    granted = {"granted_mb": 9000, "granted_minutes": 10}
    attempts.fit_within_grant(fit.main, job, attempt=3, **granted)
    (tmp_path / "train_mean/run.json").unlink()
    note = {"attempt": 3, "job": None, "memory_mb": 8000, "minutes": 5}
    (tmp_path / "constant/attempt.json").write_text(json.dumps(note))
    attempts.fit_within_grant(fit.main, job, attempt=4, **granted)
    rows = [read_record(tmp_path / run["run"] / "run.json") for run in runs]
    assert [row["status"] for row in rows] == ["collapsed", "crashed"]
    assert "killed from outside" in rows[1]["message"]


def test_a_row_of_a_job_that_the_cluster_takes_for_failed_is_written_again(
    split, tmp_path, monkeypatch
):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    first = attempt(3, split, tmp_path, epochs=LONG, usable_mb=50.0, limit_mb=50.0)
    (tmp_path / "run.json").unlink()
    again = attempt(4, split, tmp_path)
    assert (again["status"], again["message"]) == (first["status"], first["message"])
    assert again["status"] == "out_of_memory"
