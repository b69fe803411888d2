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
from mosaicbench.files.splits import read_split
from mosaicbench.files.tables import read_table
from mosaicbench.scoring.collect import refuse_one_matrix_twice, values_of

CHEAP = ["alignment", "label_transfer", "imputation", "sanity", "reference", "resources"]


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    dataset = simulated.load(None, cells=300, n_rna=80, n_atac=120, n_adt=12, cell_types=3)
    return cut_small(dataset, "unpaired", tmp_path_factory.mktemp("split"))


def run_of(split, folder, method):
    fit_one(split, folder / method, method, names={"scenario": "unpaired"})
    return folder / method


@pytest.fixture(scope="module")
def runs(split, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    positive, negative = (
        ("oracle", "label_oracle", "celltype_mean"),
        ("shuffled", "random_latent", "train_mean", "constant"),
    )
    return {method: run_of(split, folder, method) for method in (*positive, *negative)}


def scored(run, split, folder, groups=CHEAP):
    files_of_run = {
        "scores": [folder / "scores.tsv"],
        "features": [folder / "features.tsv"],
        "cells": [folder / "cells.npz"],
    }
    score.main(runs=[run], splits=[split], groups=groups, **files_of_run)
    return read_scores(folder / "scores.tsv"), read_table(folder / "features.tsv", FEATURE_COLUMNS)


def test_runs_scored_together_have_the_scores_they_have_alone(runs, split, tmp_path):
    names = ("oracle", "constant")
    paths = {
        kind: [tmp_path / f"{name}-{kind}" for name in names]
        for kind in ("scores.tsv", "features.tsv", "cells.npz")
    }
    written = {kind.split(".")[0]: made for kind, made in paths.items()}
    score.main(runs=[runs[name] for name in names], splits=[split], groups=CHEAP, **written)
    for name, made in zip(names, zip(*paths.values(), strict=True), strict=True):
        scored(runs[name], split, tmp_path)
        for path in made[:2]:
            assert path.read_text() == (tmp_path / path.name.removeprefix(f"{name}-")).read_text()
        together, alone = read_cells(made[2]), read_cells(tmp_path / "cells.npz")
        assert (together.run, together.values.keys()) == (alone.run, alone.values.keys())
        assert all(
            np.array_equal(x, alone.values[key], equal_nan=True)
            for key, x in together.values.items()
        )


def test_controls_land_where_theory_says(runs, split, tmp_path):
    means = {
        name: scored(run, split, tmp_path)[0].groupby("metric")["value"].mean()
        for name, run in runs.items()
    }
    floor, n = means["oracle"]["label_floor"], 60
    assert means["oracle"]["foscttm"] == 0
    assert means["label_oracle"]["foscttm"] == pytest.approx((floor - 0.5 / n) * n / (n - 1))
    assert means["label_oracle"]["foscttm_within_cell_type"] == means["constant"]["foscttm"] == 0.5
    assert (
        means["label_oracle"]["label_transfer_accuracy"]
        == means["oracle"]["label_transfer_accuracy"]
        == 1
    )
    assert means["oracle"]["imputation_pearson_per_feature"] == pytest.approx(1, abs=1e-5)
    assert (
        0.5
        < means["celltype_mean"]["imputation_auroc_per_peak"]
        < means["oracle"]["imputation_auroc_per_peak"]
        < 1
    )
    assert means["celltype_mean"]["imputation_skill_over_celltype_mean"] == pytest.approx(
        0, abs=1e-3
    )
    assert means["oracle"]["equal_latents"] == means["constant"]["alignment_at_chance"] == 1
    assert means["oracle"]["alignment_at_chance"] == 0
    for name in ("shuffled", "random_latent"):
        assert means[name]["foscttm"] == pytest.approx(0.5, abs=0.05)
        assert means[name]["label_transfer_accuracy"] == pytest.approx(1 / 3, abs=0.1)
    assert means["shuffled"]["imputation_pearson_per_feature"] == pytest.approx(0, abs=0.05)
    assert means["shuffled"]["imputation_skill"] < -0.5
    assert means["train_mean"]["imputation_skill"] == pytest.approx(0, abs=1e-6)


def test_factors_of_a_simulation_reach_their_metrics(runs, split, tmp_path):
    scores, _ = scored(runs["oracle"], split, tmp_path, ["disentanglement"])
    of_latents = {"shared_factors_r2", "private_factors_leak", "label_separation_auc"}
    assert set(scores["metric"]) == of_latents | {"shared_features_r2", "reconstruction_r2"}
    # Which peaks shared factors drive says nothing about components of LSI.
    targets = {
        direction.split("->")[1]
        for direction in scores["direction"][scores["metric"] == "shared_features_r2"]
    }
    assert targets == {"rna", "adt"}
    assert set(scores["direction"][scores["metric"] == "private_factors_leak"]) == {
        "rna",
        "atac",
        "adt",
    }


def test_features_hold_a_recall_per_type_and_a_correlation_per_feature(runs, split, tmp_path):
    _, features = scored(runs["oracle"], split, tmp_path)
    recalls = features[features["metric"] == "label_transfer_recall"]
    assert set(recalls["feature"]) == {"type-00", "type-01", "type-02"}
    assert (recalls["value"] == 1).all()
    assert set(features["normalization"]) == {"-", "lognorm", "lsi", "clr"}


def test_rows_of_other_cells_are_refused(runs, split, tmp_path):
    for damage in (lambda z: z[1:].copy(), lambda z: z.copy()):
        broken = tmp_path / "run"
        shutil.copytree(runs["oracle"], broken, dirs_exist_ok=True)
        latents = damage(read_latents(broken / "latents.h5ad"))
        query = np.flatnonzero(latents.obs["subset"] == "query")
        latents.obs["cell"] = latents.obs["cell"].astype(object)
        latents.obs.iloc[query[0], latents.obs.columns.get_loc("cell")] = "a stranger"
        write_latents(broken / "latents.h5ad", latents)
        with pytest.raises(UserError, match="are not the solution's 60 cells"):
            scored(broken, split, tmp_path)


def test_a_run_that_cannot_be_scored_costs_no_other_its_scores(
    runs, split, tmp_path, monkeypatch, capsys
):
    broken = {name: tmp_path / name for name in ("first", "second")}
    for folder in broken.values():
        shutil.copytree(runs["oracle"], folder)
        (folder / "latents.h5ad").write_bytes(b"not HDF5")
    names, folders = (
        ("first", "constant", "second"),
        [broken["first"], runs["constant"], broken["second"]],
    )
    paths = {
        kind: [tmp_path / f"{name}-{kind}" for name in names]
        for kind in ("scores.tsv", "features.tsv", "cells.npz")
    }
    written = {kind.split(".")[0]: made for kind, made in paths.items()}
    with pytest.raises(UserError) as refused:
        score.main(runs=folders, splits=[split], groups=CHEAP, **written)
    assert [str(folder / "latents.h5ad") in str(refused.value) for folder in broken.values()] == [
        True,
        True,
    ]
    assert [path.exists() for path in paths["scores.tsv"]] == [False, True, False]
    alone, _ = scored(runs["constant"], split, tmp_path)
    assert read_scores(paths["scores.tsv"][1]).equals(alone)

    def fault(*arguments, **keywords):
        raise ZeroDivisionError

    monkeypatch.setattr(score, "run_data_of", fault)
    with pytest.raises(
        ZeroDivisionError
    ):  # a fault of the program is told as one, beside what the user has to mend
        score.main(runs=folders, splits=[split], groups=CHEAP, **written)
    assert str(broken["second"] / "latents.h5ad") in capsys.readouterr().err


def test_one_matrix_given_as_two_modalities_is_refused(runs, split, tmp_path):
    twice = tmp_path / "split"
    shutil.copytree(split, twice)
    solution = read_split(twice / "solution.h5mu", "solution")
    width = min(
        cells.obsm["X_lsi"].shape[1] if cells.uns["normalization"] == "lsi" else cells.n_vars
        for cells in solution.mod.values()
    )
    values = {m: values_of(cells) for m, cells in solution.mod.items()}
    refuse_one_matrix_twice(twice, {m: x[:, :width] for m, x in values.items()})
    copied = values["rna"].copy()
    copied.data *= 1.001
    for other in (values["rna"], copied):
        with pytest.raises(UserError, match="'rna' and 'adt' hold the same matrix"):
            refuse_one_matrix_twice(twice, {"rna": values["rna"], "adt": other})
