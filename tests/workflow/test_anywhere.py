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
from conftest import REPOSITORY
from overlay import lend_loops
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


def snakemake(*arguments, folder, python=sys.executable, **variables):
    """Run Snakemake in a folder, without any help to find the package."""
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    } | variables
    if python == sys.executable:
        done = forked.snakemake(*arguments, folder=folder, environment=environment)
    else:
        command = [python, "-m", "snakemake", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


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
    benchmark = Benchmark(tmp_path_factory.mktemp("home") / ODD)
    benchmark.write_config(TINY)
    done = benchmark.snakemake("--cores", "2", f"results/{SCORES}")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return benchmark


@pytest.fixture
def elsewhere(tmp_path):
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(TINY))
    return tmp_path


def test_from_another_folder(home, elsewhere):
    before = {path for path in home.folder.rglob("*") if "__pycache__" not in path.parts}
    there = ["--snakefile", home.folder / "Snakefile", "--directory", elsewhere]
    there += ["--configfile", "my.yaml", "--cores", "2"]
    snakemake(*there, f"results/{SPLIT}", folder=elsewhere)
    for table in OF_RUNS:
        assert scores(elsewhere / "results", table) == scores(home.folder / "results", table)
    assert {path for path in home.folder.rglob("*") if "__pycache__" not in path.parts} == before
    assert "Nothing to be done" in snakemake(*there, f"results/{SPLIT}", folder=elsewhere)
    assert "Write the report" in snakemake(*there, "--dry-run", folder=elsewhere)


def test_without_a_config_another_folder_gets_the_default_benchmark(home, tmp_path):
    planned = snakemake(
        "--snakefile", home.folder / "Snakefile", "--dry-run", "--cores", "1", folder=tmp_path
    )
    default = yaml.safe_load((home.folder / "config/config.yaml").read_text())
    assert all(f"Prepare {dataset}" in planned for dataset in default["datasets"])


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
    source.mkdir()
    for name in ("Snakefile", "config", "envs", "profiles", "src", "workflow"):
        part, target = REPOSITORY / name, source / name
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.sif")
        shutil.copytree(part, target, ignore=ignored) if part.is_dir() else shutil.copy(
            part, target
        )
    for name in ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy(REPOSITORY / name, source)
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
    for command in (
        ["init", "--quiet"],
        ["commit", "--quiet", "--allow-empty", "--message", "of another project"],
    ):
        subprocess.run([*GIT, "-C", folder, *command], check=True)
    lend_loops(packages / "mosaicbench")
    (packages / "lent.pth").write_text(
        sysconfig.get_path("purelib")
    )  # a path alone: an editable checkout in it is not found
    return environment


def test_from_an_installed_package(home, installed, elsewhere):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    package = "import mosaicbench; print(mosaicbench.__file__)"
    assert answer(installed / "bin/python", "-c", package).startswith(str(installed))
    command = [installed / "bin/mosaicbench", "run", "--configfile", "my.yaml", "--cores", "2"]
    first, again = (
        subprocess.run(
            [*command, *more],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for more in ([], ["--", "--dry-run"])
    )
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-6000:]
    assert "Nothing to be done" in again.stdout + again.stderr
    assert "<html" in (elsewhere / "results/report.html").read_text()
    assert scores(elsewhere / "results") == scores(home.folder / "results")
    record = read_record(elsewhere / "results/runs/simulated/paired/mvae/seed-0/run.json")
    assert (
        record["git_commit"] == "unknown"
    )  # that of the repository around the environment is not this package's
    assert {path.name for path in elsewhere.iterdir()} == {
        "my.yaml",
        "results",
        "logs",
        ".snakemake",
    }


def test_jobs_of_an_installed_package_are_lent_nothing_but_the_package(installed):
    """As those are that run with a peer's own environment, or with conda's."""
    layout = "from mosaicbench.workflow import layout; print(layout.{})"
    project = answer(installed / "bin/python", "-c", layout.format("project()"))
    lent, python = {"PYTHONPATH": f"{project}/src"}, [sys.executable, "-S", "-c"]
    assert answer(*python, layout.format("PACKAGE"), **lent) == str(Path(project).parent)
    with pytest.raises(subprocess.CalledProcessError):
        answer(*python, "import numpy", **lent)


def test_as_a_module_that_is_read_from_a_repository(home, installed, tmp_path):
    """What `snakedeploy deploy-workflow` writes; git is told to find the repository on this disk."""
    repository = tmp_path / "hosted/owner/mosaicbench"
    shutil.copytree(
        home.folder,
        repository,
        ignore=shutil.ignore_patterns("results", "logs", ".snakemake", "__pycache__"),
    )
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "all"],
        ["tag", "v1"],
    ):
        subprocess.run([*GIT, "-C", repository, *command], check=True)
    deployed = tmp_path / "deployed"
    (deployed / "workflow").mkdir(parents=True)
    (deployed / "config.yaml").write_text(yaml.safe_dump(TINY))
    hosted = 'github("owner/mosaicbench", path="workflow/Snakefile", tag="v1")'
    (deployed / "workflow/Snakefile").write_text(MODULE.format(snakefile=hosted, scores=SPLIT))
    told = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.file://{tmp_path}/hosted/.insteadOf"}
    told |= {"GIT_CONFIG_VALUE_0": "https://github.com/", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    python = installed / "bin/python"
    planned = snakemake(
        "--cores", "1", "--dry-run", "mosaicbench_benchmark", folder=deployed, python=python, **told
    )
    assert "mosaicbench_report" in planned
    snakemake(
        "--cores",
        "1",
        "results/benchmark/datasets/simulated.h5mu",
        folder=deployed,
        python=python,
        **told,
    )
