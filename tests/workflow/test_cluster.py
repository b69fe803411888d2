"""What jobs ask of a cluster, and what it can give: SLURM's answers are text here; tests/workflow/test_slurm.py asks a real one."""

import math

import pytest

from mosaicbench.errors import UserError
from mosaicbench.workflow import cluster
from mosaicbench.workflow.cluster import Request

DESCRIBED = """PartitionName=cpu Default=YES MaxTime=1-12:00:00 MaxCPUsPerNode=UNLIMITED State=UP MaxMemPerNode=UNLIMITED
PartitionName=gpu Default=NO MaxTime=02:30:00 MaxCPUsPerNode=16 State=UP MaxMemPerNode=64000
PartitionName=old Default=NO MaxTime=UNLIMITED MaxCPUsPerNode=UNLIMITED State=DOWN MaxMemPerNode=UNLIMITED
"""
NODES = """cpu|64|256000|(null)
cpu|32|128000|(null)
gpu|32|128000|gpu:a100:4(S:0-1),shard:8
gpu|32|128000|gpu:2
old|8|32000|gpu:k80:8
"""
OFFERED = cluster.parsed_partitions(DESCRIBED, NODES)
SMALL = {
    "rule": "split",
    "partition": None,
    "cpus": 1,
    "mem_mb": 4000,
    "minutes": 30,
    "gpus": 0,
    "gpu_model": "",
}


def test_partitions_are_read_as_slurm_writes_them():
    assert [p.name for p in OFFERED.values() if p.is_default] == ["cpu"]
    assert [OFFERED[name].minutes for name in ("cpu", "gpu", "old")] == [36 * 60, 150, math.inf]
    assert OFFERED["gpu"].nodes == ((32, 128000, (("", 2),)), (32, 128000, (("a100", 4),)))
    assert (OFFERED["gpu"].mem_mb, OFFERED["gpu"].cpus, OFFERED["cpu"].mem_mb) == (
        64000,
        16,
        math.inf,
    )


@pytest.mark.parametrize(
    "fits",
    [
        {},
        {"mem_mb": 256000, "cpus": 64},
        {"partition": "gpu", "gpus": 4, "gpu_model": "a100"},
        {"partition": "old,gpu", "gpus": 1},
    ],
)
def test_what_a_partition_has_is_not_refused(fits):
    cluster.check_requests([Request(**SMALL | fits)], OFFERED)


@pytest.mark.parametrize(
    ("asked", "could"),
    [
        ({"mem_mb": 256001}, "no partition"),
        ({"minutes": 2161}, "no partition"),
        ({"gpus": 1}, "gpu"),
        ({"partition": "gpu", "gpus": 8}, "no partition"),
        ({"partition": "gpu", "gpus": 1, "gpu_model": "h100"}, "no partition"),
        ({"partition": "gpu", "mem_mb": 64001}, "cpu"),
        ({"partition": "old"}, "cpu, gpu"),
        ({"partition": "gpu,old", "minutes": 200}, "cpu"),
    ],
)
def test_what_would_wait_for_ever_is_refused_with_what_to_change(asked, could):
    with pytest.raises(UserError, match=f"rule split .*slurm_partition could be: {could}"):
        cluster.check_requests([Request(**SMALL), Request(**SMALL | asked)], OFFERED)


def test_every_rule_is_named_once():
    many = [Request(**SMALL | {"rule": rule, "gpus": 1}) for rule in ("fit", "split", "fit", "fit")]
    with pytest.raises(UserError) as refused:
        cluster.check_requests(many, OFFERED)
    assert [
        line.split()[1] for line in str(refused.value).splitlines() if line.startswith("  rule ")
    ] == ["fit", "split"]


@pytest.mark.parametrize(
    ("resources", "asked"),
    [
        ({"gpu": 1, "gpu_model": "a100"}, (1, "a100")),
        ({"gres": "gpu:a100:2"}, (2, "a100")),
        ({"gres": "gpu:3", "gpu": 0}, (3, "")),
        ({}, (0, "")),
    ],
)
def test_gpus_may_be_asked_for_in_each_of_the_plugins_ways(resources, asked):
    request = cluster.request("fit_model", {"_cores": 2, "mem_mb": 100, "runtime": 7} | resources)
    assert (request.gpus, request.gpu_model) == asked
    assert (request.cpus, request.mem_mb, request.minutes, request.partition) == (2, 100, 7, None)


def test_attempts_ask_for_more_until_all_that_the_limits_allow():
    attempts = (1, 2, 3, 4)
    assert [cluster.requested_mb(16000, each) for each in attempts] == [5000, 9000, 17000, 17000]
    assert [cluster.requested_minutes(120, each) for each in attempts] == [35, 65, 125, 125]


def test_without_slurm_one_message_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="scontrol.*slurm profile"):
        cluster.partitions()
