"""Configs of published protocols: each computes the paper's definition on files of the same form."""

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import REPOSITORY

from mosaicbench.catalog import catalog
from mosaicbench.commands import fit, prepare, score, split
from mosaicbench.config import jobs, settings
from mosaicbench.errors import UserError
from mosaicbench.files.scores import read_scores
from mosaicbench.workflow.layout import Results

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import protocols  # noqa: E402

CONFIGS = REPOSITORY / "config/protocols"
CELLS, SHORT = 120, {"max_epochs": 2, "hidden": 16, "batch_size": 32, "steps": 10}
SIMULATED = {  # protocol -> dataset -> files of the same form
    "vaeomics": {"small": {"loader": "simulated", "modalities": ["rna", "atac"], "cells": CELLS}},
    "mmvaepp": {"private-20": {"loader": "synthetic_gp", "private_features": {"first": 20}}},
    "scmodal": {"small": {"from": "teaseq_small"}},
    "mmaavi": {"pbmc_asap_cite": {"loader": "simulated", "modalities": ["rna", "adt"]}},
}


def finished(name, folder, runs):
    """Make some runs of a protocol on small files and return its settings and results."""
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    (dataset, stanza), scenarios = *SIMULATED[name].items(), config["scenarios"]
    config["datasets"] = {dataset: stanza | {"cells": CELLS}}
    kept = {key: x for key, x in scenarios.items() if dataset in x.get("datasets", [dataset])}
    for one in kept.values():
        one.pop("split", None)  # the small files have no donors of these names
    made = {}
    for run in runs:
        given = config["runs"][run] or {}
        known = catalog.hyperparameters(given.get("method", run))
        made[run] = given | {key: x for key, x in SHORT.items() if key in known}
    saved = [run for run in config["save_models"] if run in made]
    config |= {"scenarios": kept, "seeds": [0], "runs": made, "save_models": saved}
    bench, results = settings.load(config), Results(folder)
    (place,) = bench.splits
    prepare.main(**jobs.prepare(bench, results, dataset=dataset))
    split.main(**jobs.split(bench, results, split=place))
    fit.main(**jobs.fit(bench, results, split=place, runs=bench.runs_of_splits[place]))
    score.main(**jobs.score(bench, results, split=place))
    return bench, results, place


def scores(results, place, run):
    """Return (metric, direction) -> value."""
    rows = read_scores(Path(results.run(*place, run), "scores.tsv"))
    return rows.set_index(["metric", "direction"])["value"]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_protocol_is_a_valid_config(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for own in ("pbmc", "mop"):  # files of a user
        Path("resources/raw/mmaavi").mkdir(parents=True, exist_ok=True)
        Path(f"resources/raw/mmaavi/{own}.h5mu").touch()
    bench = settings.read(path)
    assert bench.applicable and bench.results == f"results/protocols/{path.stem}"
    methods = {run.method for run in bench.runs.values()}
    for number in protocols.of_protocol(path.stem):
        assert number["method_id"] in methods and number["metric"] in protocols.DEFINITIONS


@pytest.mark.filterwarnings("ignore")
def test_vaeomics_computes_cosine_and_pearson_of_a_sampled_latent(tmp_path):
    bench, results, place = finished("vaeomics", tmp_path, ["vae_poe", "train_mean"])
    numbers = protocols.of_protocol("vaeomics")
    table = protocols.beside(numbers, bench, results).set_index(["metric", "direction"])
    assert len(table) == len(numbers) == 4 and set(table["run"]) == {"vae_poe"}
    assert table["ours"].between(-1, 1).all()
    # The mean profile in units of the raw values: none was divided by its deviation.
    folder = Path(results.split(*place, 0))
    parts = [(folder / f"{noun}.h5mu", noun) for noun in ("train", "solution")]
    train, solution = (protocols.read_split(*part) for part in parts)
    assert (train["atac"].uns["std"] == 1).all() and (train["rna"].uns["std"] == 1).all()
    truth = protocols.space_values(solution["atac"])
    constant = np.tile(protocols.space_values(train["atac"]).mean(axis=0), (len(truth), 1))
    mine = protocols.cosine_per_cell(truth, constant)
    theirs = scores(results, place, "train_mean")["imputation_cosine_per_cell", "rna->atac"]
    assert mine == pytest.approx(theirs, abs=1e-3)
    # A sample differs from the mean latent, whose scores the config has, too.
    mean = scores(results, place, "vae_poe")["imputation_cosine_per_cell", "rna->atac"]
    sampled = table.loc[("imputation_cosine_per_cell_vaeomics", "rna->atac"), "ours"]
    assert sampled != mean and sampled == pytest.approx(mean, abs=0.2)


def test_published_correlation_of_a_perfect_profile_is_below_one():
    x = np.random.default_rng(0).normal(size=(7, 50))
    assert protocols.pearson_per_cell(x, 3 * x + 1) == pytest.approx(49 / 50)
    assert protocols.cosine_per_cell(x, 3 * x) == pytest.approx(1)
    assert protocols.cosine_per_cell(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])) == (
        pytest.approx(0.5**0.5)
    )


@pytest.mark.filterwarnings("ignore")
def test_mmvaepp_computes_r2_of_shared_features_in_both_directions(tmp_path):
    runs = ["mmvaepp", "mmvae", "mopoe", "mvae"]
    bench, results, place = finished("mmvaepp", tmp_path, runs)
    numbers = protocols.of_protocol("mmvaepp")
    table = protocols.beside(numbers, bench, results)
    assert len(numbers) == 20
    assert set(table["run"]) == set(runs)
    assert set(table["condition"]) == {"20 private features"}  # the one dataset of the test
    for row in table.itertuples():
        both = scores(results, place, row.run)["shared_features_r2"]
        assert set(both.index) == {"first->second", "second->first"}
        assert row.ours == pytest.approx(both.mean())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "run", "metric"),
    [
        ("scmodal", "scmodal", "label_transfer_accuracy_k1"),
        ("mmaavi", "mmaavi_ss", "label_prediction_balanced_accuracy"),
    ],
)
def test_other_protocols_have_their_score(name, run, metric, tmp_path):
    _, results, place = finished(name, tmp_path, [run])
    values = scores(results, place, run)[metric]
    assert values.between(0, 1).all() and len(values)


@pytest.mark.filterwarnings("ignore")
def test_one_file_twice_is_refused_and_scores_better_than_two_files(tmp_path):
    cells = protocols.embedded.load("covid_citeseq_small")[:200].copy()
    files = {}
    for modality in ("rna", "adt"):
        files[modality] = str(tmp_path / f"{modality}.h5ad")
        proteins = cells["adt"].copy()
        proteins.X = proteins.layers["counts"]
        proteins.write_h5ad(files[modality])
    stanza = {"path": files, "kinds": {"rna": "adt"}}
    bench = settings.load({"datasets": {"twice": stanza}, "runs": {"cca": None}})
    with pytest.raises(UserError, match="the same file was given twice"):
        prepare.main(**jobs.prepare(bench, Results(tmp_path), dataset="twice"))
    found = protocols.twice(cells=250, seeds=1, steps=20).set_index("data")["foscttm_maxfuse"]
    assert found["one file twice"] < found["two files"]


def test_the_page_of_originals_has_the_scores_of_one_file_twice():
    table = protocols.read_table(protocols.TWICE)
    assert protocols.in_words(table) in protocols.ORIGINALS.read_text(encoding="utf-8")
