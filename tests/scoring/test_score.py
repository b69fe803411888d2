"""The command that scores: from the files of a split and a run to tables, and what it refuses."""

import shutil

import numpy as np
import pytest
from mosaicbench_fits import fit_one
from mosaicbench_splits import cut_small

from mosaicbench.commands import score
from mosaicbench.datasets import simulated
from mosaicbench.errors import UserError
from mosaicbench.files.runs import read_latents, write_latents
from mosaicbench.files.scores import FEATURE_COLUMNS, read_cells, read_scores
from mosaicbench.files.tables import read_table

CHEAP = ["alignment", "label_transfer", "imputation", "sanity", "reference", "resources"]
CONTROLS = ("oracle", "label_oracle", "celltype_mean", "shuffled", "random_latent", "train_mean")
CONTROLS += ("constant",)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    dataset = simulated.load(None, cells=300, n_rna=80, n_atac=120, n_adt=12, cell_types=3)
    return cut_small(dataset, "unpaired", tmp_path_factory.mktemp("split"))


@pytest.fixture(scope="module")
def runs(split, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for method in CONTROLS:
        fit_one(split, folder / method, method, names={"scenario": "unpaired"})
    return {method: folder / method for method in CONTROLS}


def score_runs(runs, split, folders, groups=CHEAP):
    for folder in folders:
        folder.mkdir(exist_ok=True)
    score.main(runs=runs, splits=[split], groups=groups, outputs=folders)


def scored(run, split, folder, groups=CHEAP):
    score_runs([run], split, [folder], groups)
    return read_scores(folder / "scores.tsv"), read_table(folder / "features.tsv", FEATURE_COLUMNS)


def test_runs_scored_together_have_the_scores_they_have_alone(runs, split, tmp_path):
    together = {name: tmp_path / name for name in ("oracle", "constant")}
    score_runs([runs[name] for name in together], split, list(together.values()))
    for name, folder in together.items():
        scored(runs[name], split, tmp_path)
        for file in ("scores.tsv", "features.tsv"):
            assert (folder / file).read_text() == (tmp_path / file).read_text()
        both = [read_cells(path / "cells.npz") for path in (folder, tmp_path)]
        assert both[0].run == both[1].run
        np.testing.assert_equal(both[0].values, both[1].values)


def test_controls_have_the_scores_of_theory(runs, split, tmp_path):
    means = {}
    for name, run in runs.items():
        scores, _ = scored(run, split, tmp_path)
        means[name] = scores.groupby("metric")["value"].mean()
    oracle, labels, constant = means["oracle"], means["label_oracle"], means["constant"]
    types, train_mean = means["celltype_mean"], means["train_mean"]
    floor, n = oracle["label_floor"], 60
    assert oracle["foscttm"] == 0
    assert labels["foscttm"] == pytest.approx((floor - 0.5 / n) * n / (n - 1))
    assert labels["foscttm_within_cell_type"] == constant["foscttm"] == 0.5
    assert labels["label_transfer_accuracy"] == oracle["label_transfer_accuracy"] == 1
    assert oracle["imputation_pearson_per_feature"] == pytest.approx(1, abs=1e-5)
    auroc = "imputation_auroc_per_peak"
    assert 0.5 < types[auroc] < oracle[auroc] < 1
    assert types["imputation_skill_over_celltype_mean"] == pytest.approx(0, abs=1e-3)
    assert oracle["equal_latents"] == constant["alignment_at_chance"] == 1
    assert oracle["alignment_at_chance"] == 0
    for name in ("shuffled", "random_latent"):
        assert means[name]["foscttm"] == pytest.approx(0.5, abs=0.05)
        assert means[name]["label_transfer_accuracy"] == pytest.approx(1 / 3, abs=0.1)
    shuffled = means["shuffled"]
    assert shuffled["imputation_pearson_per_feature"] == pytest.approx(0, abs=0.05)
    assert shuffled["imputation_skill"] < -0.5
    assert train_mean["imputation_skill"] == pytest.approx(0, abs=1e-6)


def test_factors_of_a_simulation_reach_their_metrics(runs, split, tmp_path):
    scores, _ = scored(runs["oracle"], split, tmp_path, ["disentanglement"])
    directions = scores.groupby("metric")["direction"].agg(set)
    of_latents = {"shared_factors_r2", "private_factors_leak", "label_separation_auc"}
    assert set(directions.index) == of_latents | {"shared_features_r2", "reconstruction_r2"}
    # Which peaks shared factors drive does not extend to components of LSI.
    targets = {direction.split("->")[1] for direction in directions["shared_features_r2"]}
    assert targets == {"rna", "adt"}
    assert directions["private_factors_leak"] == {"rna", "atac", "adt"}


@pytest.mark.parametrize("first", [0, 1])
def test_rows_of_other_cells_are_refused(runs, split, tmp_path, first):
    shutil.copytree(runs["oracle"], tmp_path / "run")
    latents = read_latents(runs["oracle"] / "latents.h5ad")[first:].copy()
    names = latents.obs["cell"].astype(object)
    names.iloc[np.flatnonzero(latents.obs["subset"] == "query")[0]] = "a stranger"
    latents.obs["cell"] = names
    write_latents(tmp_path / "run/latents.h5ad", latents)
    with pytest.raises(UserError, match="60 cells"):
        scored(tmp_path / "run", split, tmp_path)


def test_a_run_that_cannot_be_scored_costs_no_other_its_scores(
    runs, split, tmp_path, monkeypatch, capsys
):
    folders = [tmp_path / name for name in ("first", "constant", "second")]
    broken = [tmp_path / f"broken-{i}/latents.h5ad" for i in (0, 1)]
    for file in broken:
        shutil.copytree(runs["oracle"], file.parent)
        file.write_bytes(b"not HDF5")
    every = [broken[0].parent, runs["constant"], broken[1].parent]
    with pytest.raises(UserError) as refused:
        score_runs(every, split, folders)
    assert all(str(file) in str(refused.value) for file in broken)
    assert [(folder / "scores.tsv").exists() for folder in folders] == [False, True, False]
    alone, _ = scored(runs["constant"], split, tmp_path)
    assert read_scores(folders[1] / "scores.tsv").equals(alone)

    def fault(*arguments, **keywords):
        raise ZeroDivisionError

    monkeypatch.setattr(score, "run_data_of", fault)
    with pytest.raises(ZeroDivisionError):  # a fault of the program, beside the user's
        score_runs(every, split, folders)
    assert str(broken[1]) in capsys.readouterr().err
