"""The files of docs/extending.md pass the common tests and appear in the report."""

import os
import re
import subprocess
import sys

import forked
import pytest
import yaml
from conftest import REPOSITORY
from overlay import Overlay

from mosaicbench.catalog import cards
from mosaicbench.files.runs import read_record
from mosaicbench.files.tables import read_table

PAGE = (REPOSITORY / "docs/extending.md").read_text()
FILES = dict(re.findall(r"^`(\S+)`\n\n```\w+\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL))
COMMANDS = re.search(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)[1]
METHODS = ("shared_components", "cross_vae")
METRIC = "partner_distance"


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """Return a copy of the project with every file of the page."""
    copy = Overlay(tmp_path_factory.mktemp("extended"))
    for path, text in FILES.items():
        assert not (REPOSITORY / path).exists(), "a newcomer's file, not one that is there"
        copy.write(path, text)
    return copy


def test_every_block_of_the_page_is_a_file_or_a_command():
    assert PAGE.count("```") == 2 * (len(FILES) + 1)
    rooms = {path.split("/")[-2] for path in FILES if path.endswith(".py")}
    assert rooms == {"methods", "metrics", "datasets"}
    assert {path.split("/")[-1].removesuffix(".py") for path in FILES} >= {*METHODS, METRIC}


def test_its_words_are_those_of_cards():
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", PAGE, flags=re.MULTILINE))
    keys = ("kind", "scenarios", "inputs", "outputs", "tested_for")
    assert list(rows) == list(keys)
    for key, words in rows.items():
        assert re.findall(r"`(\w+)`", words) == list(getattr(cards, key.upper())), key


@pytest.mark.workflow
@pytest.mark.parametrize("tests", re.findall(r"-m pytest (.+)$", COMMANDS, flags=re.MULTILINE))
def test_the_common_tests_hold_for_its_files(extended, tests):
    words = re.fullmatch(r'(.*?)(?: -k "?(.+?)"?)?', tests)
    chosen = ["-k", words[2]] if words[2] else []
    options = ["-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = extended.run("pytest", *options, *words[1].split(), *chosen)
    assert done.returncode == 0, done.stdout[-5000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 5
    assert "skipped" not in done.stdout or not chosen


@pytest.mark.workflow
def test_its_files_appear_in_the_report(extended):
    extended.write("src/sitecustomize.py", forked.OF_A_COPY)
    # no UMAP and no saved model: test_workflow.py has them
    fewer = ["--config", "report={umap_runs: []}", "save_models=[]"]
    environment = os.environ | {"PYTHONPATH": str(extended.root / "src")}
    options = ["--cores", "1", "--configfile", "toy.yaml", *fewer]
    done = forked.snakemake(*options, folder=extended.root, environment=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    results = extended.root / "results"
    runs = [run for run in yaml.safe_load(FILES["toy.yaml"])["runs"] if run.startswith(METHODS)]
    assert len(runs) == 3
    for run in runs:
        for seed in (0, 1):
            record = read_record(results / f"runs/two_modalities/paired/{run}/seed-{seed}/run.json")
            assert record["status"] == "ok", record["message"]
    scores = read_table(results / "tables/scores.tsv")
    of_metric = scores[scores["metric"] == METRIC]
    assert set(of_metric["run"]) >= {*runs, "cca", "oracle", "random_latent"}
    means = of_metric.groupby("run")["value"].mean()
    assert means["oracle"] < means["shared_components"] < means["random_latent"]
    report = (results / "report.html").read_text()
    for label in ("Shared components", "Cross VAE", "Partner distance", "Two modalities"):
        assert label in report, label
    tables = [sys.executable, "docs/site/tables.py"]
    subprocess.run(tables, cwd=extended.root, env=environment, check=True)
    assert "Shared components" in (extended.root / "docs/methods.md").read_text()
