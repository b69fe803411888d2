"""The scorer: who is asked what, how often, and what is left out."""

import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mosaicbench import catalog, scorer

FEATURES = {"rna": 9, "atac": 6, "adt": 5}
SPACES = {"rna": "lognorm", "atac": "lsi", "adt": "clr"}
CELLS, TRAIN = 60, 90
PAIRED = {name for name in catalog.names("metrics") if catalog.card("metrics", name)["group"] in ("alignment", "label_transfer")}
TRANSFER = {name for name in PAIRED if name.startswith("label_transfer")}
OF_LABELS = {"foscttm_within_cell_type", "label_floor", "imputation_skill_over_celltype_mean"}
ALIGNMENT = PAIRED - TRANSFER
PEAKS = {"imputation_auroc_per_peak"}
IMPUTATION = {name for name in catalog.names("metrics") if name.startswith("imputation_")} - PEAKS
PER_RUN = {"fit_seconds", "peak_host_mb", "label_floor"}
CHEAP = ("alignment", "label_transfer", "imputation", "sanity", "reference", "resources")
BEST = {name: catalog.card("metrics", name)["best"] for name in catalog.names("metrics")}


def oracle(modalities=("rna", "adt")):
    """Return the needs of a method that knows everything: one latent per cell, imputation without error."""
    random = np.random.default_rng(0)
    types, train_types = random.integers(0, 3, CELLS), random.integers(0, 3, TRAIN)
    z = 8 * np.eye(3)[types] + random.standard_normal((CELLS, 3))
    train = 8 * np.eye(3)[train_types] + random.standard_normal((TRAIN, 3))
    truth = {m: z @ random.standard_normal((3, FEATURES[m])) + 5 * random.standard_normal(FEATURES[m]) for m in modalities}
    sources = ("joint", *modalities)
    labels = np.array([f"type {t}" for t in types], dtype=object)
    return {
        "groups": CHEAP,
        "latents": dict.fromkeys(sources, z),
        "train_latents": dict.fromkeys(sources, train),
        "train_labels": dict.fromkeys(sources, np.array([f"type {t}" for t in train_types], dtype=object)),
        "imputed": {f"{a}->{b}": truth[b].copy() for a, b in permutations(modalities, 2)},
        "truth": truth,
        "spaces": {m: SPACES[m] for m in modalities},
        "train_mean": {m: truth[m].mean(0) for m in modalities},
        "train_std": {m: truth[m].std(0) for m in modalities},
        "celltype_means": {m: {t: truth[m][labels == t].mean(0) for t in set(labels)} for m in modalities},
        "opened": {m: sparse.csr_matrix((z > 2).astype(float)) for m in modalities if m == "atac"},
        "loadings": {m: np.linalg.pinv(LOADINGS[m]).T @ np.eye(3) for m in modalities if m == "atac"},
        "shared_factors": None,
        "private_factors": {},
        "feature_names": {m: [f"{m} {i}" for i in range(FEATURES[m])] for m in modalities},
        "labels": labels,
        "batches": np.array(["batch"] * CELLS, dtype=object),
        "record": {"seconds": {"fit": 2.5}, "peak_host_mb": 300.0, "peak_device_mb": None},
    }


def asked(scores, metric):
    return set(scores["direction"][scores["metric"] == metric])


@pytest.mark.parametrize("modalities", [("rna", "adt"), ("rna", "atac", "adt")])
def test_oracle_is_best_everywhere(modalities):
    scores, features = scorer.score(**oracle(modalities))
    best = scores["metric"].map(lambda name: catalog.card("metrics", name)["best"])
    assert set(scores["metric"][best.notna()]) == ALIGNMENT | TRANSFER | {m for m in IMPUTATION if "constant" not in m}
    np.testing.assert_allclose(scores["value"][best.notna()], best.dropna().astype(float), atol=1e-9)
    np.testing.assert_allclose(features["value"], 1)


@pytest.mark.parametrize("modalities", [("rna", "adt"), ("rna", "atac", "adt")])
def test_each_metric_is_asked_as_often_as_its_needs_occur(modalities):
    scores, features = scorer.score(**oracle(modalities))
    directions = {f"{a}->{b}" for a, b in permutations(modalities, 2)}
    assert list(scores.columns) == ["metric", "direction", "space", "value"]
    assert not scores.duplicated(["metric", "direction"]).any()
    assert scores["value"].dtype == float
    for metric in ALIGNMENT | TRANSFER | IMPUTATION:
        assert asked(scores, metric) == directions, metric
    for metric in PER_RUN:
        assert asked(scores, metric) == {"run"}, metric
    assert asked(scores, "active_units") == {"joint", *modalities}
    assert set(scores["metric"]) == set(catalog.names("metrics")) - {"peak_device_mb"}
    assert len(features) == sum(FEATURES[d.split("->")[1]] for d in directions)


def test_space_is_the_targets_and_only_for_imputation():
    scores, features = scorer.score(**oracle(("rna", "atac", "adt")))
    imputation = scores["metric"].isin(IMPUTATION)
    assert set(scores["space"][~imputation]) == {"-"}
    for table in (scores[imputation], features):
        assert (table["space"] == table["direction"].str.split("->").str[1].map(SPACES)).all()


def test_alignment_and_transfer_go_from_the_first_modality_to_the_second():
    """What rna->adt says depends on rna's train cells and on adt's query cells, and adt->rna on the others."""
    needs = oracle()
    needs["train_latents"] = needs["train_latents"] | {"rna": np.zeros((TRAIN, 3))}
    latents = needs["latents"]["adt"].copy()
    latents[0] = 1000
    needs["latents"] = needs["latents"] | {"adt": latents}
    values = scorer.score(**needs)[0].set_index(["metric", "direction"])["value"]
    most = max(np.mean(needs["labels"] == label) for label in set(needs["labels"]))
    assert values["label_transfer_accuracy", "rna->adt"] <= most
    assert values["label_transfer_accuracy", "adt->rna"] == 1
    assert values["foscttm", "rna->adt"] == pytest.approx(1 / CELLS)
    assert values["foscttm", "adt->rna"] < 1 / CELLS


@pytest.mark.parametrize("labels", [None, np.array([""] * CELLS, dtype=object)])
def test_without_labels_no_metric_of_labels(labels):
    needs = oracle() | {"labels": labels}
    if labels is None:
        needs["train_labels"] = {}
    scores, _ = scorer.score(**needs)
    assert not set(scores["metric"]) & (TRANSFER | {"label_floor"})
    assert set(scores["metric"]) >= ALIGNMENT | IMPUTATION


def test_train_cells_without_labels_leave_out_transfer_alone():
    needs = oracle()
    needs["train_labels"] = {source: np.array([""] * TRAIN, dtype=object) for source in needs["train_labels"]}
    scores, _ = scorer.score(**needs)
    assert not set(scores["metric"]) & TRANSFER
    assert "label_floor" in set(scores["metric"])


def test_a_joint_latent_alone_has_no_pairs():
    needs = oracle() | {"imputed": {}}
    for key in ("latents", "train_latents", "train_labels"):
        needs[key] = {"joint": needs[key]["joint"]}
    scores, features = scorer.score(**needs)
    assert set(scores["metric"]) == PER_RUN | {"active_units"}
    assert features.empty
    assert list(features.columns) == ["metric", "direction", "space", "feature", "value"]


def test_imputation_alone():
    scores, _ = scorer.score(**oracle() | {"latents": {}, "train_latents": {}, "train_labels": {}})
    assert set(scores["metric"]) == PER_RUN | IMPUTATION


def test_device_memory_only_where_a_device_was_used():
    needs = oracle()
    needs["record"] = needs["record"] | {"peak_device_mb": 70.0}
    scores, _ = scorer.score(**needs)
    assert scores.set_index("metric")["value"]["peak_device_mb"] == 70.0


def test_features_hold_one_correlation_each():
    needs = oracle()
    truth, imputed = needs["truth"]["adt"].copy(), needs["imputed"]["rna->adt"].copy()
    truth[:, 1], imputed[:, 2], imputed[:, 3] = 4.0, 0.5, -imputed[:, 3]
    needs["truth"], needs["imputed"] = needs["truth"] | {"adt": truth}, needs["imputed"] | {"rna->adt": imputed}
    scores, features = scorer.score(**needs)
    adt = features[features["direction"] == "rna->adt"]
    assert adt["feature"].tolist() == needs["feature_names"]["adt"]
    assert set(adt["metric"]) == {"imputation_pearson_per_feature"}
    np.testing.assert_allclose(adt["value"].astype(float), [1, np.nan, 0, -1, 1], atol=1e-12)
    values = scores.set_index(["metric", "direction"])["value"]
    assert values["imputation_pearson_per_feature", "rna->adt"] == pytest.approx(adt["value"].mean())
    assert values["imputation_constant_features", "rna->adt"] == 1


@pytest.mark.parametrize(("key", "name"), [("latents", "rna"), ("latents", "joint"), ("imputed", "rna->adt"), ("truth", "adt")])
def test_arrays_of_other_cells_are_refused_by_name(key, name):
    needs = oracle()
    needs[key] = needs[key] | {name: needs[key][name][:-1]}
    with pytest.raises(ValueError, match=f"{key} of '{name}' has 59 rows, there are 60"):
        scorer.score(**needs)


def test_labels_of_other_cells_are_refused():
    needs = oracle()
    with pytest.raises(ValueError, match="59 rows, there are 60"):
        scorer.score(**needs | {"labels": needs["labels"][:-1]})


def test_feature_names_that_do_not_fit_are_refused():
    needs = oracle()
    needs["feature_names"] = needs["feature_names"] | {"adt": ["one"]}
    with pytest.raises(ValueError, match="truth of 'adt' has 5 features, there are 1 feature names"):
        scorer.score(**needs)


def test_scoring_is_repeatable_and_changes_nothing():
    needs, untouched = oracle(), oracle()
    first, second = scorer.score(**needs), scorer.score(**needs)
    for table, again in zip(first, second, strict=True):
        pd.testing.assert_frame_equal(table, again)
    for key in ("latents", "train_latents", "imputed", "truth"):
        for name, array in untouched[key].items():
            np.testing.assert_array_equal(needs[key][name], array)


def test_only_what_runs_is_imported():
    code = (
        "import sys; from test_scorer import oracle; from mosaicbench import scorer;"
        "scorer.score(**oracle() | {'latents': {}, 'train_latents': {}, 'train_labels': {}});"
        "assert not {'numba', 'sklearn', 'torch', 'anndata'} & set(sys.modules), 'imported for nothing'"
    )
    path = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *map(os.path.abspath, sys.path)])}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
