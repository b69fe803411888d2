"""A real SLURM on this machine alone: one node, two partitions, two simulated GPUs, from Debian's own packages.

The packages are installed only where the environment variable MOSAICBENCH_INSTALL_SLURM is 1, as in `make test-all`.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
ETC = Path("/etc/slurm")  # what srun reads inside a job, where no SLURM_CONF is passed on
FILES = ("slurm.conf", "gres.conf", "cgroup.conf")
OURS = "# started by the tests of process "

SLURM_CONF = """{ours}{pid}
ClusterName=single
SlurmctldHost={node}(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,batch_sched_delay=0,sched_min_interval=0
MinJobAge=600
KillWait=2
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 Gres=gpu:fake:2 State=UNKNOWN
PartitionName=cpu Nodes={node} Default=YES MaxTime=12:00:00 State=UP
PartitionName=gpu Nodes={node} Default=NO MaxTime=02:00:00 State=UP
"""
# A GPU is a device file that SLURM can stat; it gives jobs a real CUDA_VISIBLE_DEVICES.
GRES_CONF = """NodeName={node} Name=gpu Type=fake File=/dev/zero
NodeName={node} Name=gpu Type=fake File=/dev/full
"""
CGROUP_CONF = "CgroupAutomount=no\nConstrainCores=no\nConstrainRAMSpace=no\nConstrainDevices=no\n"


@contextmanager
def running(folder):
    """Start the cluster in an empty folder, or skip with the reason; stop it whatever happens."""
    _need_packages()
    _need_free_place()
    node = socket.gethostname().split(".")[0]
    folder.chmod(0o755)
    texts = dict(zip(FILES, (SLURM_CONF, GRES_CONF, CGROUP_CONF), strict=True))
    for name, text in texts.items():
        (folder / name).write_text(
            text.format(ours=OURS, pid=os.getpid(), node=node, folder=folder)
        )
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    conf = folder / "slurm.conf"
    munge = [
        "munged",
        "--foreground",
        "--force",
        f"--key-file={key}",
        f"--socket={folder}/munge.socket",
    ]
    munge += [f"--{what}-file={folder}/munge.{what}" for what in ("pid", "log", "seed")]
    daemons, before = [], signal.signal(signal.SIGTERM, _interrupt)
    made = not ETC.exists()
    try:
        ETC.mkdir(exist_ok=True)
        for name in FILES:
            (ETC / name).unlink(missing_ok=True)
            (ETC / name).symlink_to(folder / name)
        _start(daemons, munge, folder)
        _wait_for("test", "-S", f"{folder}/munge.socket")
        _start(daemons, ["slurmctld", "-D", "-c", "-f", str(conf)], folder)
        _wait_for("scontrol", "ping")
        _start(daemons, ["slurmd", "-D", "-f", str(conf), "-N", node], folder)
        _wait_for("sh", "-c", "sinfo --noheader --format=%T | grep -q idle")
        yield
    finally:
        for name in (
            FILES
        ):  # a configuration without its cluster would slow down every later start of snakemake
            (ETC / name).unlink(missing_ok=True)
        if made:
            ETC.rmdir()
        signal.signal(signal.SIGTERM, before)
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _interrupt(*_):
    """Let a test run that is told to end go the way of Ctrl-C, on which pytest cleans up."""
    raise KeyboardInterrupt


def _need_packages():
    if os.geteuid() != 0:
        pytest.skip("starting a SLURM needs root")
    os.environ["PATH"] += ":/usr/sbin"
    if all(map(shutil.which, ("slurmctld", "slurmd", "sbatch", "munged"))):
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]
    if os.environ.get("MOSAICBENCH_INSTALL_SLURM") != "1":
        pytest.skip(
            f"there is no SLURM; `{' '.join(install)}` installs it on Debian, as does `make test-all`"
        )
    if shutil.which("apt-get") is None:
        pytest.skip("there is no SLURM, and no apt-get to install it with")
    for command in (["apt-get", "update"], install):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"apt-get could not install SLURM: {done.stderr.strip()[-300:]}")


def _need_free_place():
    conf = ETC / "slurm.conf"
    if not conf.exists():  # also a link whose folder is gone
        return
    first = conf.read_text().split("\n", 1)[0]
    if not first.startswith(OURS):
        pytest.skip(
            f"{conf} is there: this machine belongs to a cluster, which the tests leave alone"
        )
    if Path("/proc", first.removeprefix(OURS)).exists():
        pytest.skip("other tests run their SLURM on this machine just now")


def _start(daemons, command, folder):
    with (folder / f"{command[0]}.out").open("w") as log:
        daemons.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=folder))


def _wait_for(*command, seconds=30):
    end = time.monotonic() + seconds
    while subprocess.run(command, capture_output=True, check=False).returncode != 0:
        if time.monotonic() > end:
            raise TimeoutError(f"the single-node SLURM did not come up: {' '.join(command)}")
        time.sleep(0.2)
