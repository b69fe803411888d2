"""The benchmark on a real SLURM: what jobs ask for, killed and preempted fits, and the scores of a run on one machine."""

import re
import subprocess
import threading
import time
from contextlib import contextmanager

import pandas as pd
import pytest
import single_node_slurm
import yaml
from test_workflow import Benchmark

from mosaicbench.errors import UserError
from mosaicbench.files.scores import read_scores
from mosaicbench.workflow import cluster

pytestmark = pytest.mark.slurm

TINY = {
    "datasets": {"simulated": {"cells": 400, "modalities": ["rna", "adt"]}},
    "scenarios": {"paired": {"kind": "paired"}},
    "runs": {
        "killed": {"method": "mvae"},
        "preempted": {"method": "vae_poe"},
        "cca": {},
        "oracle": {},
    },
    "seeds": [0],
    "training": {
        "max_epochs": 60,
        "patience": 60,
    },  # seconds of training, so that a fit can be met in it
    "tuning": {"trials": 5, "runs": ["killed"]},
    "metrics": {"groups": ["alignment", "imputation"]},
    "limits": {"minutes": 8, "memory_mb": 6000},
}
TIMES = ["seconds", "cpu_seconds"]
SCORES = "results/tables/scores.tsv"
TRIALS = "results/tuning/runs/simulated/paired/killed-tuned/seed-0/trials.tsv"
QUICK = {"slurm-status-command": "squeue", "latency-wait": 5}
# Put before a copy's Snakefile: asks SLURM for the state of jobs every 2 seconds, not every 10 or more seldom.
ASKS_OFTEN = """import snakemake_executor_plugin_slurm as plugin
plugin.Executor.next_seconds_between_status_checks = property(lambda _: 2, lambda *_: None)
"""


def on_slurm(benchmark, *targets, **of_fits):
    """Run with the shipped profile, in which the names and sizes of this cluster are filled in as its user would."""
    shipped = benchmark.folder / "profiles/slurm/profile.yaml"
    profile = yaml.safe_load(shipped.read_text()) | QUICK | {"slurm-no-account": True}
    requests = profile["set-resources"]
    requests["fit_quick_model"] |= {"slurm_partition": "gpu"} | of_fits
    requests["tune_model"] |= {"slurm_partition": "gpu"}
    for rule in ("prepare", "split"):
        requests[rule]["mem_mb"] = 2000
    own = benchmark.folder / "profiles/here/profile.yaml"
    own.parent.mkdir(exist_ok=True)
    own.write_text(yaml.safe_dump(profile))
    snakefile = benchmark.folder / "Snakefile"
    snakefile.write_text(ASKS_OFTEN + snakefile.read_text().removeprefix(ASKS_OFTEN))
    return benchmark.snakemake("--workflow-profile", "here", *targets)


def jobs_of_slurm():
    """Return SLURM's own record of every job so far, in order of submission."""
    text = subprocess.run(
        ["scontrol", "--oneliner", "show", "job"], capture_output=True, text=True, check=True
    ).stdout
    jobs = [
        dict(re.findall(r"(\w+)=(\S+)", line)) for line in text.splitlines() if "JobId=" in line
    ]
    return sorted(jobs, key=lambda job: int(job["JobId"]))


def jobs_called(name):
    """Return the jobs with a name, a pattern, in their comment: the rule and its wildcards."""
    return [job for job in jobs_of_slurm() if re.search(name, job["Comment"])]


@contextmanager
def interrupted(benchmark, *interruptions):
    """Do a command to the SLURM job of a run as soon as its log, one of a kind of jobs, has a text."""
    over = threading.Event()

    def interrupt(kind, run, text, command):
        logs = benchmark.folder / f"logs/{kind}/simulated/paired/{run}"
        while not any(text in log.read_text() for log in logs.glob("seed*.log")):
            if over.wait(0.1):
                return
        name = f"{kind}_.*_{run}"
        subprocess.run([*command, jobs_called(name)[-1]["JobId"]], check=True)

    threads = [threading.Thread(target=interrupt, args=each) for each in interruptions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with single_node_slurm.running(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture(scope="module")
def local(slurm, tmp_path_factory):
    benchmark = Benchmark(tmp_path_factory.mktemp("local"), TINY)
    benchmark.said("--cores", "2", SCORES)
    return benchmark


@pytest.fixture(scope="module")
def clustered(slurm, tmp_path_factory):
    benchmark = Benchmark(tmp_path_factory.mktemp("clustered"), TINY)
    with interrupted(
        benchmark,
        ("fit", "killed", "epoch    1", ["scancel"]),
        ("fit", "preempted", "epoch    1", ["scontrol", "requeue"]),
        ("tune", "killed-tuned", "trial 2 of 5", ["scancel"]),
    ):
        done = on_slurm(benchmark, SCORES)
    assert done.returncode == 0, done.stderr[-6000:]
    return benchmark


def test_a_request_that_can_never_start_is_refused_at_once(slurm, tmp_path):
    benchmark = Benchmark(tmp_path, TINY)
    before, start = len(jobs_of_slurm()), time.monotonic()
    done = on_slurm(benchmark, SCORES, gpu=4)
    assert done.returncode != 0
    message = (
        r"rule fit_quick_model asks for --partition=gpu --gpus=4 .*--mem=7000 .* not available"
        r"[\s\S]*\ngpu 2:00:00 2 16000 gpu:fake:2"
    )
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert len(jobs_of_slurm()) == before
    assert time.monotonic() - start < 20
    assert not (tmp_path / "results/datasets").exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--partition=cpu", "--time=999"), "cpu gives at most 720"),
        (("--partition=gpus",), "[Ii]nvalid partition"),
    ],
)
def test_what_slurm_itself_says_of_a_request_is_understood(slurm, options, why):
    with pytest.raises(UserError, match=f"fit asks for {' '.join(options)}: .*{why}"):
        cluster.check_requests({options: "fit"})


def test_killed_and_preempted_fits_end_with_the_scores_of_one_machine(local, clustered):
    killed, again = jobs_called("fit_quick_model_wildcards_simulated_paired_killed$")
    assert (killed["JobState"], again["JobState"]) == ("CANCELLED", "COMPLETED")
    (preempted,) = jobs_called("fit_quick_model_wildcards_simulated_paired_preempted")
    assert (preempted["JobState"], preempted["Restarts"]) == ("COMPLETED", "1")

    here, there = (read_scores(benchmark.folder / SCORES) for benchmark in (local, clustered))
    assert set(there["run"]) == {*TINY["runs"], "killed-tuned"}
    assert set(there["status"]) == {"ok"}
    pd.testing.assert_frame_equal(here, there, check_exact=True)


def test_jobs_ask_for_what_the_profile_and_the_limits_say(clustered):
    models = jobs_called("fit_quick_model")
    assert {(job["Partition"], job["TresPerJob"]) for job in models} == {("gpu", "gres:gpu:1")}
    others = [job for job in jobs_of_slurm() if "_model_" not in job["Comment"]]
    assert {(job["Partition"], job.get("TresPerJob")) for job in others} == {("cpu", None)}
    # a quarter of the limits, then a half, and what Snakemake needs beside them
    asked = [(job["MinMemoryNode"], job["TimeLimit"]) for job in jobs_called("paired_killed$")]
    assert asked == [("2500M", "00:07:00"), ("4000M", "00:09:00")]


def test_short_jobs_go_together(clustered):
    assert len(jobs_called("fit_cheap")) == len(jobs_called("score_small")) == 1
    # two minutes, and two for each run and seed
    assert jobs_called("score_small")[0]["TimeLimit"] == "00:12:00"


def test_a_killed_search_goes_on_after_its_last_trial_and_finds_what_one_machine_finds(
    local, clustered
):
    killed, again = jobs_called("tune_model")
    assert (killed["JobState"], again["JobState"]) == ("CANCELLED", "COMPLETED")
    assert killed["Partition"] == again["Partition"] == "gpu"
    # all of the limits' memory at once; their minutes, times five trials, a quarter, then a half, and what surrounds the trials
    assert [(job["MinMemoryNode"], job["TimeLimit"]) for job in (killed, again)] == [
        ("7000M", "00:15:00"),
        ("7000M", "00:25:00"),
    ]
    here, there = (
        pd.read_csv(benchmark.folder / TRIALS, sep="\t").drop(columns=TIMES)
        for benchmark in (local, clustered)
    )
    pd.testing.assert_frame_equal(here, there, check_exact=True)


def test_slurm_tells_how_a_job_was_killed(clustered):
    killed = jobs_called("paired_killed$")[0]["JobId"]
    assert cluster.status_of_killed(killed) == ("crashed", "which SLURM calls CANCELLED")
    assert cluster.status_of_killed("999999") == ("crashed", "which SLURM has no record of")
