"""Attempts on a cluster: what is left to the next one, what becomes a row, and what a run leaves that was killed each time."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from mosaicbench_fits import LIMITS, run_of, seeds_of
from mosaicbench_splits import cut_small, small_dataset

from mosaicbench.commands import fit
from mosaicbench.errors import UserError
from mosaicbench.files.runs import read_latents, read_record
from mosaicbench.workflow import attempts, cluster
from mosaicbench.workflow.layout import FILES_OF_FIT


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return cut_small(small_dataset(), "paired", tmp_path_factory.mktemp("split"))


def job_of(split, output, epochs, limit_mb=8000):
    run = run_of("mvae", [output], hyperparameters={"max_epochs": epochs, "patience": epochs})
    limits = LIMITS | {"memory_mb": limit_mb}
    return {"runs": [run], "seeds": seeds_of([split], [0]), "limits": limits}


def granted(usable_mb=8000, minutes=5):
    return {
        "granted_mb": usable_mb + cluster.OVERHEAD_MB,
        "granted_minutes": minutes + cluster.OVERHEAD_MINUTES,
    }


def attempt(number, split, output, *, epochs=1, limit_mb=8000, **usable):
    job = job_of(split, output, epochs, limit_mb)
    attempts.fit_within_grant(fit.main, job, attempt=number, **granted(**usable))
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
attempts.fit_within_grant(fit.main, attempt=3, **json.loads(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def killed(split, tmp_path_factory):
    """Return what a last attempt left that was killed with all that it started, as a cluster does."""
    output = tmp_path_factory.mktemp("killed")
    given = json.dumps({"job": job_of(split, output, LONG)} | granted())
    process = subprocess.Popen(
        [sys.executable, "-c", ATTEMPT, given],
        env=os.environ | {"SLURM_JOB_ID": "7"},
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while not (output / "attempt.json").exists():
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return output


@pytest.mark.parametrize(
    ("state", "status"),
    [("OUT_OF_MEMORY", "out_of_memory"), ("TIMEOUT", "timeout"), ("NODE_FAIL", "crashed")],
)
def test_a_run_killed_from_outside_each_time_becomes_a_row_that_says_how(
    split, killed, tmp_path, monkeypatch, state, status
):
    scontrol, output = tmp_path / "scontrol", shutil.copytree(killed, tmp_path / "run")
    scontrol.write_text(f"#!/bin/sh\necho JobId=$4 JobState={state} Reason=None\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    record = attempt(4, split, output)
    assert record["status"] == status
    assert f"8000 MB and 5 minutes in job 7, which SLURM calls {state}" in record["message"]
    assert read_latents(output / "latents.h5ad").n_obs == 0
    assert not (output / "attempt.json").exists()


def test_the_rows_that_a_killed_job_wrote_stay_and_the_others_say_how_it_ended(split, tmp_path):
    runs = [run_of(method, [tmp_path / method]) for method in ("constant", "train_mean")]
    job = {"runs": runs, "seeds": seeds_of([split], [0]), "limits": LIMITS}
    attempts.fit_within_grant(fit.main, job, attempt=3, **granted())
    (tmp_path / "train_mean/run.json").unlink()
    note = {"attempt": 3, "job": None, "memory_mb": 8000, "minutes": 5}
    (tmp_path / "constant/attempt.json").write_text(json.dumps(note))
    attempts.fit_within_grant(fit.main, job, attempt=4, **granted())
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
    assert again["status"] == first["status"] == "out_of_memory"
    assert again["message"] == first["message"]
