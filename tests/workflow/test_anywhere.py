"""Runs from anywhere: another folder, another workflow, a repository, an installed package; results are the same."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import forked
import pytest
import yaml
from overlay import OF_WORKFLOW, copied, lend_loops
from test_workflow import ODD, Benchmark

from mosaicbench.files.runs import read_record

pytestmark = pytest.mark.workflow

TINY = {
    "datasets": {"simulated": {"cells": 300, "modalities": ["rna", "adt"]}},
    "scenarios": {"paired": {"kind": "paired"}},
    "runs": {"mvae": {"latent": 5}, "constant": {}},
    "seeds": [0],
    "training": {"max_epochs": 2},
    "metrics": {
        "groups": ["alignment", "imputation"]
    },  # no seconds, no memory: what is left is the same everywhere
    "report": {"umap_runs": []},
    "save_models": [],  # test_workflow.py has cells laid out, and a model kept
}
SCORES = "tables/scores.tsv"  # of all runs; the others are of one run, to save time
SPLIT = "runs/simulated/paired/_scores.txt"  # the list of scores of all runs of a split
OF_RUNS = [f"runs/simulated/paired/{run}/scores.tsv" for run in TINY["runs"]]
GIT = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]
MODULE = """
configfile: "config.yaml"

shell.prefix("export OUTER=kept; ")

module mosaicbench:
    snakefile: {snakefile}
    config: config
    pathvars:
        results="results/benchmark",

use rule * from mosaicbench as mosaicbench_*

rule own:
    input: "results/benchmark/{scores}"
    output: "own.txt"
    default_target: True
    shell: 'echo "$OUTER" > {{output}}'
"""


def snakemake(*arguments, folder, **variables):
    """Run Snakemake in a folder, without any help to find the package; return what it says."""
    done = forked.snakemake(*arguments, folder=folder, environment=alone() | variables)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def alone():
    """Return an environment in which Python finds only what is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def answer(*command, **environment):
    """Return what a command prints, without any help to find the package."""
    environment = {"PATH": os.environ["PATH"]} | environment
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def scores(results, table=SCORES):
    text = Path(results, table).read_bytes()
    assert text.count(b"\n") > 5
    return text


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a checkout in which the benchmark ran as in README.md."""
    benchmark = Benchmark(tmp_path_factory.mktemp("home") / ODD, TINY)
    benchmark.said("--cores", "2", f"results/{SCORES}")
    return benchmark


@pytest.fixture
def elsewhere(tmp_path):
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(TINY))
    return tmp_path


def files_of(folder):
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


def test_from_another_folder(home, elsewhere):
    before = files_of(home.folder)
    there = ["--snakefile", home.folder / "Snakefile", "--directory", elsewhere]
    there += ["--configfile", "my.yaml", "--cores", "2"]
    snakemake(*there, f"results/{SPLIT}", folder=elsewhere)
    for table in OF_RUNS:
        assert scores(elsewhere / "results", table) == scores(home.folder / "results", table)
    assert files_of(home.folder) == before
    planned = snakemake(*there, "--dry-run", folder=elsewhere)
    assert "Write the report" in planned
    assert not any(done in planned for done in ("Prepare ", "Split ", "Fit ", "Score "))


def test_an_environment_of_its_own_stays_in_the_checkout_that_others_run(home, tmp_path):
    runs = {"runs": {"multivae_mvae": {}}}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(TINY | runs))
    there = ["--snakefile", home.folder / "Snakefile", "--configfile", "my.yaml"]
    dry_run = ["--cores", "1", "--dry-run", "--printshellcmds"]
    planned = snakemake(*there, *dry_run, folder=tmp_path)
    checkout = os.path.relpath(home.folder, tmp_path)
    pins, folder = (
        shlex.quote(f"{checkout}/{path}") for path in ("envs/peers/multivae.txt", ".venvs/multivae")
    )
    assert "/envs/build.py" in planned and f"{pins} {folder} > " in planned


def test_as_a_module_of_another_workflow(home, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(TINY))
    (tmp_path / "Snakefile").write_text(
        MODULE.format(snakefile=repr(str(home.folder / "Snakefile")), scores=SPLIT)
    )
    snakemake("--cores", "2", folder=tmp_path)
    for table in OF_RUNS:
        there = scores(tmp_path / "results/benchmark", table)
        assert there == scores(home.folder / "results", table)
    assert (tmp_path / "own.txt").read_text() == "kept\n"
    assert not (tmp_path / "results/runs").exists()
    planned = snakemake("--cores", "1", "--dry-run", "mosaicbench_all", folder=tmp_path)
    assert "mosaicbench_report" in planned


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a new environment: the built wheel, and beside it what the package needs, lent by the one that tests run in."""
    folder = tmp_path_factory.mktemp("installed")
    source, wheels, environment = folder / "source", folder / "wheels", folder / "environment"
    built = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")
    copied((*OF_WORKFLOW, *built), source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    offline = ["--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", wheels, source], check=True
    )
    shutil.rmtree(source)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin/python"
    subprocess.run(
        [*pip, "--python", python, "install", *offline, *wheels.glob("*.whl")], check=True
    )
    purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(answer(python, "-c", purelib))
    (packages / "sitecustomize.py").write_text(forked.OF_A_COPY)
    subprocess.run([*GIT, "-C", folder, "init", "--quiet"], check=True)
    other = ["commit", "--quiet", "--allow-empty", "--message", "of another project"]
    subprocess.run([*GIT, "-C", folder, *other], check=True)
    lend_loops(packages / "mosaicbench")
    (packages / "lent.pth").write_text(
        sysconfig.get_path("purelib")
    )  # a path alone: an editable checkout in it is not found
    return environment


def project_of(environment):
    """Return the folder of the workflow in an environment's package."""
    where = "from mosaicbench.workflow import layout; print(layout.project())"
    return Path(answer(environment / "bin/python", "-c", where))


def test_from_an_installed_package(home, installed, elsewhere):
    command = [installed / "bin/mosaicbench", "run", "--configfile", "my.yaml", "--cores", "2"]
    environment = alone() | {"FORKED_FROM": forked.address("mosaicbench")}
    options = {"capture_output": True, "text": True, "check": False}
    done = subprocess.run(command, cwd=elsewhere, env=environment, **options)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    assert "<html" in (elsewhere / "results/report.html").read_text()
    assert scores(elsewhere / "results") == scores(home.folder / "results")
    record = read_record(elsewhere / "results/runs/simulated/paired/mvae/seed-0/run.json")
    # that of the repository around the environment is not this package's
    assert record["git_commit"] == "unknown"
    made = {path.name for path in elsewhere.iterdir()}
    assert made == {"my.yaml", "results", "logs", ".snakemake"}
    again = ["--snakefile", project_of(installed) / "Snakefile", "--configfile", "my.yaml"]
    assert "Nothing to be done" in snakemake(*again, "--dry-run", folder=elsewhere)


def test_jobs_of_an_installed_package_are_lent_nothing_but_the_package(installed):
    """As those are that run with a peer's own environment, or with conda's."""
    project, python = project_of(installed), [sys.executable, "-S", "-c"]
    lent = {"PYTHONPATH": f"{project}/src"}
    package = "from mosaicbench.workflow import layout; print(layout.PACKAGE)"
    assert answer(*python, package, **lent) == str(project.parent)
    with pytest.raises(subprocess.CalledProcessError):
        answer(*python, "import numpy", **lent)


def test_as_a_module_that_is_read_from_a_repository(home, installed, tmp_path):
    """What `snakedeploy deploy-workflow` writes; git is told to find the repository on this disk."""
    repository = tmp_path / "hosted/owner/mosaicbench"
    ignored = shutil.ignore_patterns("results", "logs", ".snakemake", "__pycache__")
    shutil.copytree(home.folder, repository, ignore=ignored)
    for command in ("init --quiet", "add --all", "commit --quiet --message all", "tag v1"):
        subprocess.run([*GIT, "-C", repository, *command.split()], check=True)
    deployed = tmp_path / "deployed"
    (deployed / "workflow").mkdir(parents=True)
    (deployed / "config.yaml").write_text(yaml.safe_dump(TINY))
    hosted = 'github("owner/mosaicbench", path="workflow/Snakefile", tag="v1")'
    (deployed / "workflow/Snakefile").write_text(MODULE.format(snakefile=hosted, scores=SPLIT))
    told = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.file://{tmp_path}/hosted/.insteadOf"}
    told |= {"GIT_CONFIG_VALUE_0": "https://github.com/", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    told |= {"PYTHONPATH": str(project_of(installed).parents[1])}  # where the package is installed
    planned = snakemake(
        "--cores", "1", "--dry-run", "mosaicbench_benchmark", folder=deployed, **told
    )
    assert "mosaicbench_report" in planned
    target = "results/benchmark/datasets/simulated.h5mu"
    snakemake("--cores", "1", target, folder=deployed, **told)
