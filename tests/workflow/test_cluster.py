"""What jobs ask of a cluster, and what it can give: SLURM's answers are text here; tests/workflow/test_slurm.py asks a real one."""

import os

import pytest

from mosaicbench.errors import UserError
from mosaicbench.workflow import cluster

SINFO = """PARTITION TIMELIMIT CPUS MEMORY GRES
cpu 1-12:00:00 64 256000 (null)
gpu 2:30:00 32 128000 gpu:a100:4
short 30:30 8 32000 (null)
old infinite 8 32000 gpu:k80:8
"""
SBATCH = """#!/bin/sh
case "$*" in
  *--mem=9*|*--gpus=h100*) echo "allocation failure: Requested node configuration is not available" >&2; exit 1;;
esac
echo "sbatch: Job 1 to start at 2026-11-26T17:17:54 using 1 processors on nodes vm in partition cpu" >&2
"""


@pytest.fixture
def slurm(monkeypatch, tmp_path):
    """Put an sbatch and a sinfo on the path that answer as SLURM does."""
    for name, text in {"sbatch": SBATCH, "sinfo": f"#!/bin/sh\ncat <<'END'\n{SINFO}END\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--mem=256000", "--time=2160"),
        ("--partition=gpu", "--gpus=a100:4", "--time=150"),
        ("--partition=gpu,cpu", "--time=200"),
        ("--partition=old", "--time=99999"),
    ],
)
def test_what_slurm_would_start_is_not_refused(slurm, options):
    cluster.check_requests({options: "split"})


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--mem=999999",), "Requested node configuration is not available"),
        (("--partition=gpu", "--gpus=h100:1"), "Requested node configuration is not available"),
        (("--time=2161",), "cpu gives at most 2160 minutes"),
        (("--partition=gpu", "--time=151"), "gpu gives at most 150 minutes"),
        (("--partition=short", "--time=31"), "short gives at most 30.5 minutes"),
    ],
)
def test_what_would_wait_for_ever_is_refused_with_what_to_change(slurm, options, why):
    with pytest.raises(UserError) as refused:
        cluster.check_requests({("--mem=10",): "prepare", options: "fit, split"})
    _, problem, change, *table = str(refused.value).splitlines()
    assert problem.startswith(f"  rule fit, split asks for {' '.join(options)}: ")
    assert problem.endswith(why)
    assert "profiles/slurm/profile.yaml" in change
    assert table == SINFO.splitlines()


@pytest.mark.parametrize(
    ("resources", "asked"),
    [
        ({"gpu": 1, "gpu_model": "a100"}, ("--gpus=a100:1",)),
        ({"gres": "gpu:a100:2"}, ("--gres=gpu:a100:2",)),
        ({"gres": "gpu:3", "gpu": 0}, ("--gres=gpu:3",)),
        ({}, ()),
        ({"slurm_account": "mine"}, ("--account=mine",)),
    ],
)
def test_a_request_is_in_the_words_of_sbatch(resources, asked):
    options = cluster.request({"_cores": 2, "mem_mb": 100, "runtime": 7, "disk_mb": 1} | resources)
    assert options == (*asked, "--cpus-per-task=2", "--mem=100", "--time=7")
    unknown = {"mem_mb": "<TBD>", "cpus_per_task": 3, "slurm_partition": "cpu"}
    assert cluster.request(unknown) == ("--partition=cpu", "--cpus-per-task=3")


def test_attempts_ask_for_more_until_all_that_the_limits_allow():
    attempts = (1, 2, 3, 4)
    assert [cluster.requested_mb(16000, each) for each in attempts] == [5000, 9000, 17000, 17000]
    assert [cluster.requested_minutes(120, each) for each in attempts] == [35, 65, 125, 125]


def test_without_slurm_one_message_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="sinfo.*slurm profile"):
        cluster.check_requests({("--mem=1",): "split"})
