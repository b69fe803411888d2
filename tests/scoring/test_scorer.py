"""The scorer: who is asked what, how often, and what is left out."""

import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from mosaicbench.catalog import cards, catalog
from mosaicbench.scoring import scorer
from mosaicbench.scoring.run_data import Drawn, RunData

FEATURES = {"rna": 9, "atac": 6, "adt": 5}
NORMALIZATIONS = {"rna": "lognorm", "atac": "lsi", "adt": "clr"}
CELLS, TRAIN = 60, 300
PAIRED = {
    name
    for name in catalog.names("metrics")
    if catalog.card("metrics", name)["group"] in ("alignment", "label_transfer")
}
TRANSFER = {name for name in PAIRED if name.startswith("label_transfer")}
OF_LABELS = {
    "foscttm_within_cell_type",
    "label_floor",
    "unlabelled_cells",
    "imputation_skill_over_celltype_mean",
}
OF_LABELS |= {"types_matched"}
ALIGNMENT = PAIRED - TRANSFER
PEAKS = {"imputation_auroc_per_peak"}
OF_IMPUTATION = {
    name
    for name in catalog.names("metrics")
    if catalog.card("metrics", name)["group"] == "imputation"
}
IMPUTATION = {*OF_IMPUTATION, "imputation_constant_features"} - PEAKS
PER_RUN = {"fit_seconds", "peak_host_mb", "label_floor", "unlabelled_cells"}
CHEAP = ("alignment", "label_transfer", "imputation", "sanity", "reference", "resources")
BEST = {name: catalog.card("metrics", name)["best"] for name in catalog.names("metrics")}


def oracle(modalities=("rna", "adt")):
    """Return the needs of a method that knows everything: one latent per cell, imputation without error."""
    random = np.random.default_rng(0)
    types, train_types = random.integers(0, 3, CELLS), random.integers(0, 3, TRAIN)
    z = 8 * np.eye(3)[types] + random.standard_normal((CELLS, 3))
    train = 8 * np.eye(3)[train_types] + random.standard_normal((TRAIN, 3))
    truth = {
        m: z @ random.standard_normal((3, FEATURES[m])) + 5 * random.standard_normal(FEATURES[m])
        for m in modalities
    }
    sources = ("joint", *modalities)
    labels = np.array([f"type {t}" for t in types], dtype=object)
    loadings = {
        m: random.standard_normal((8, FEATURES[m]))
        for m in modalities
        if NORMALIZATIONS[m] == "lsi"
    }
    accessible = {m: truth[m] @ loadings[m].T for m in loadings}
    return {
        "groups": CHEAP,
        "latents": dict.fromkeys(sources, z),
        "train_latents": dict.fromkeys(sources, train),
        "train_labels": dict.fromkeys(
            sources, np.array([f"type {t}" for t in train_types], dtype=object)
        ),
        "label_subset": (train, np.array([f"type {t}" for t in train_types], dtype=object)),
        "predicted": dict.fromkeys(sources, labels),
        "imputed": {f"{a}->{b}": truth[b].copy() for a, b in permutations(modalities, 2)},
        "truth": truth,
        "spaces": {m: NORMALIZATIONS[m] for m in modalities},
        "train_mean": {m: truth[m].mean(0) for m in modalities},
        "train_std": {m: truth[m].std(0) for m in modalities},
        "celltype_means": {
            m: {t: truth[m][labels == t].mean(0) for t in set(labels)} for m in modalities
        },
        "accessible": {
            m: sparse.csr_matrix((x > np.median(x, axis=0)).astype(float))
            for m, x in accessible.items()
        },
        "loadings": loadings,
        "shared_factors": None,
        "private_factors": {},
        "private_latents": {},
        "shared_driven": {},
        "feature_names": {m: [f"{m} {i}" for i in range(FEATURES[m])] for m in modalities},
        "labels": labels,
        "batches": np.array(["batch"] * CELLS, dtype=object),
        "history": {},
        "record": {"seconds": {"fit": 2.5}, "peak_host_mb": 300.0, "peak_device_mb": None},
    }


BUDGET = {"hyperparameters": {"max_epochs": 400, "patience": 30, "weights": "best"}}


def scored(*, groups, **known):
    """Return the scores, and those of single features."""
    found = scorer.score(RunData(**known), groups)
    return found.scores, found.features


def asked(scores, metric):
    return set(scores["direction"][scores["metric"] == metric])


@pytest.mark.parametrize("modalities", [("rna", "adt"), ("rna", "atac", "adt")])
def test_oracle_is_best_everywhere(modalities):
    scores, features = scored(**oracle(modalities))
    best = scores["metric"].map(BEST).astype(float)
    assert set(scores["metric"][best.notna()]) == {
        name
        for name in PAIRED
        | {"alignment_at_chance"}
        | IMPUTATION
        | (PEAKS if "atac" in modalities else set())
        if BEST[name] is not None
    }
    np.testing.assert_allclose(scores["value"][best.notna()], best.dropna(), atol=1e-9)
    np.testing.assert_allclose(features["value"], 1)


@pytest.mark.parametrize("modalities", [("rna", "adt"), ("rna", "atac", "adt")])
def test_each_metric_is_asked_as_often_as_its_needs_occur(modalities):
    scores, features = scored(**oracle(modalities))
    directions = {f"{a}->{b}" for a, b in permutations(modalities, 2)}
    assert list(scores.columns) == ["metric", "direction", "normalization", "value"]
    assert not scores.duplicated(["metric", "direction"]).any()
    assert scores["value"].dtype == float
    for metric in PAIRED | IMPUTATION:
        assert asked(scores, metric) == directions, metric
    assert asked(scores, *PEAKS) == {d for d in directions if d.endswith("->atac")}
    for metric in PER_RUN:
        assert asked(scores, metric) == {"run"}, metric
    assert asked(scores, "active_units") == {"joint", *modalities}
    groups = {name: catalog.card("metrics", name)["group"] for name in catalog.names("metrics")}
    assert set(scores["metric"]) | PEAKS == {
        name for name, group in groups.items() if group in CHEAP
    } - {
        "peak_device_mb",
        "kl_term",
        "kept_epoch",
        "stopped_by_budget",
    }
    assert features["metric"].value_counts().to_dict() == {
        "imputation_pearson_per_feature": sum(FEATURES[d.split("->")[1]] for d in directions),
        "label_transfer_recall": 3 * len(directions),
    }


def test_predicted_types_are_scored_by_source_and_by_batch(capsys):
    needs = oracle() | {"groups": ["label_prediction"]}
    right = needs["labels"]
    needs["batches"] = np.array(["first"] * 30 + ["second"] * 30, dtype=object)
    needs["predicted"] = {
        "rna": np.where(needs["batches"] == "first", right, "type 9"),
        "joint": right,
    }
    scores, features = scored(**needs)
    own, by_neighbours = (
        "label_prediction_balanced_accuracy",
        "label_prediction_balanced_accuracy_10nn",
    )
    values = scores.set_index(["metric", "direction"])["value"]
    assert values[own, "joint"] == 1
    assert values[own, "rna"] == pytest.approx(
        np.mean([np.mean(needs["predicted"]["rna"][right == t] == t) for t in set(right)])
    )
    assert (own, "adt") not in values
    assert {values[by_neighbours, source] for source in ("joint", "rna", "adt")} == {1.0}
    by_batch = features[features["metric"] == own].set_index(["direction", "feature"])["value"]
    assert by_batch["rna", "first"] == 1
    assert by_batch["rna", "second"] == 0
    scores, _ = scored(**needs | {"label_subset": None, "predicted": {}})
    assert scores.empty


@pytest.mark.parametrize("group", CHEAP)
def test_only_the_groups_asked_for_are_scored(group):
    scores, features = scored(**oracle() | {"groups": [group]})
    assert {catalog.card("metrics", name)["group"] for name in scores["metric"]} == {group}
    assert len(features) == {"imputation": 14, "label_transfer": 6}.get(group, 0)


def test_metrics_of_batches_and_factors_are_asked_only_where_there_are_some():
    needs = oracle() | {"groups": ["mixing", "disentanglement"]}
    without = set(scored(**needs)[0]["metric"])
    assert without == {
        "modality_mixing",
        "modality_mixing_entropy",
        "label_separation_auc",
        "reconstruction_r2",
    }
    random = np.random.default_rng(0)
    needs["batches"] = np.array(["one", "two"], dtype=object)[random.integers(0, 2, CELLS)]
    needs |= {
        "shared_factors": needs["latents"]["joint"],
        "private_factors": {"rna": random.standard_normal((CELLS, 2))},
    }
    scores, _ = scored(**needs)
    of_batches = {"ilisi", "kbet", "pcr", "bras", "foscttm_within_batch"}
    assert set(scores["metric"]) - without == of_batches | {
        "shared_factors_r2",
        "private_factors_leak",
    }
    assert asked(scores, "private_factors_leak") == {"rna"}
    assert asked(scores, "pcr") == {"rna", "adt"}
    assert asked(scores, "ilisi") == {"joint", "rna", "adt"}


def test_every_need_that_a_card_may_name_can_be_met():
    known, random = oracle(("rna", "atac", "adt")), np.random.default_rng(0)
    del known["groups"]
    known["batches"] = np.array(["one", "two"], dtype=object)[random.integers(0, 2, CELLS)]
    known |= {"private_latents": known["latents"], "shared_factors": known["latents"]["joint"]}
    known |= {
        "private_factors": {"rna": known["latents"]["rna"]},
        "shared_driven": {"rna": np.ones(FEATURES["rna"], bool)},
    }
    genes = ["MCM5", "PCNA", "TYMS", "TOP2A", "MKI67", "CDK1", "CD3E", "CD8A", "MS4A1"]
    known["feature_names"] = known["feature_names"] | {"rna": genes}
    known |= {
        "history": {"kl": np.ones(1), "kept": np.ones(1)},
        "record": known["record"] | {"peak_device_mb": 1.0} | BUDGET,
    }
    drawn = Drawn(np.array([3, 1]), np.array([0, 2]), random.standard_normal((2, 2, 5)))
    known["drawn"] = {"rna->adt": drawn}
    assert set().union(*({*q.own, *q.common} for q in RunData(**known).questions)) == set(
        cards.NEEDS
    )


def test_draws_are_scored_beside_the_truth_of_their_own_cells_and_features():
    needs = oracle() | {"groups": ["calibration"]}
    truth, rows, columns = needs["truth"]["adt"], np.array([7, 50, 2]), np.array([1, 4])
    draws = np.repeat(truth[np.ix_(rows, columns)][:, :, None], 9, axis=2)
    draws[1] += 3 * truth.std(0)[columns, None]
    found = scorer.score(
        RunData(
            **{k: v for k, v in needs.items() if k != "groups"},
            drawn={"rna->adt": Drawn(rows, columns, draws)},
        ),
        ["calibration"],
    )
    values = found.scores.set_index("metric")["value"]
    assert set(found.scores["direction"]) == {"rna->adt"}
    assert values["imputation_crps"] == pytest.approx(
        1
    )  # 3 standard deviations in one of three cells
    assert values["coverage_50"] == pytest.approx(0.5 * 2 / 3)
    cells = found.cells["imputation_crps", "rna->adt", "clr"]
    assert len(cells) == CELLS
    np.testing.assert_allclose(cells[rows], [0, 3, 0], atol=1e-6)
    assert np.isnan(np.delete(cells, rows)).all()
    per_feature = found.features[found.features["metric"] == "imputation_crps"]
    assert per_feature["feature"].tolist() == ["adt 1", "adt 4"]
    bins = found.features[found.features["metric"] == "pit_histogram"].set_index("feature")["value"]
    assert list(bins.index)[::9] == ["0.0 to 0.1", "0.9 to 1.0"]
    assert bins.sum() == pytest.approx(6)  # three cells, two features
    assert bins["0.0 to 0.1"] == pytest.approx(2 + 4 / 10)
    assert scored(**needs)[0].empty  # a method without draws


def test_a_metric_that_is_not_defined_has_a_row_without_a_value(capsys):
    needs = oracle() | {"labels": np.array([f"type {i}" for i in range(CELLS)], dtype=object)}
    scores, _ = scored(**needs)
    assert np.isnan(scores["value"][scores["metric"] == "foscttm_within_cell_type"]).all()
    assert scores["value"][~scores["metric"].isin(OF_LABELS)].notna().all()
    assert (
        "foscttm_within_cell_type of rna->adt is not defined: no cell type"
        in capsys.readouterr().err
    )


TARGET_SUM = {
    "latents",
    "predicted",
    "imputed",
    "truth",
    "accessible",
    "private_factors",
    "private_latents",
}


@pytest.mark.parametrize("cells", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("label_subset", ["all", "one query cell", "one train cell"])
def test_a_query_of_few_cells_is_scored_without_an_error(cells, label_subset):
    needs = oracle(("rna", "atac", "adt"))
    for need in TARGET_SUM:
        needs[need] = {name: values[:cells] for name, values in needs[need].items()}
    needs["labels"], needs["batches"] = (
        needs["labels"][:cells].copy(),
        np.array(["one", "two"] * 3, dtype=object)[:cells],
    )
    if label_subset == "one query cell":
        needs["labels"][1:] = ""
    if label_subset == "one train cell":
        needs["train_labels"] = {
            s: np.where(np.arange(TRAIN) == 0, t, "") for s, t in needs["train_labels"].items()
        }
        needs["label_subset"] = tuple(values[:1] for values in needs["label_subset"])
    rows = np.arange(cells)
    needs["drawn"] = {
        "rna->adt": Drawn(rows, np.arange(2), needs["truth"]["adt"][:, :2, None] + np.arange(3))
    }
    scores, _ = scored(**needs | {"groups": list(cards.GROUPS)})
    assert scores["value"].notna().any()
    assert not scores.duplicated(["metric", "direction"]).any()


def test_skill_over_the_cell_type_mean_takes_each_cells_own_type():
    needs = oracle()
    means = needs["celltype_means"]["adt"]
    guess = np.array([means[label] for label in needs["labels"]])
    needs["imputed"] = needs["imputed"] | {"rna->adt": guess}
    values = scored(**needs)[0].set_index(["metric", "direction"])["value"]
    assert values["imputation_skill_over_celltype_mean", "rna->adt"] == pytest.approx(0, abs=1e-12)
    unknown = needs["labels"].copy()
    unknown[:] = ["", *unknown[1:]]
    guess[0] = needs["train_mean"]["adt"]
    values = scored(**needs | {"labels": unknown})[0].set_index(["metric", "direction"])["value"]
    assert values["imputation_skill_over_celltype_mean", "rna->adt"] == pytest.approx(0, abs=1e-12)


def test_recall_of_each_type_stands_beside_the_accuracy():
    needs = oracle()
    needs["train_labels"] = needs["train_labels"] | {"rna": needs["train_labels"]["rna"].copy()}
    rare = needs["train_labels"]["rna"] == "type 0"
    needs["train_labels"]["rna"][rare] = "type 1"
    scores, features = scored(**needs)
    recalls = features[
        (features["metric"] == "label_transfer_recall") & (features["direction"] == "rna->adt")
    ]
    assert dict(zip(recalls["feature"], recalls["value"], strict=True)) == {
        "type 0": 0.0,
        "type 1": 1.0,
        "type 2": 1.0,
    }
    values = scores.set_index(["metric", "direction"])["value"]
    assert values["label_transfer_balanced_accuracy", "rna->adt"] == pytest.approx(
        recalls["value"].mean()
    )


def test_a_cells_own_partner_does_not_vote_where_it_is_left_out():
    """Pairs of cells lie together, far from all others; the two cells of a pair differ in type."""
    from mosaicbench.metrics._nearest import (
        transfer_each,
    )  # compiles, which the others are spared

    needs = oracle() | {"groups": ["label_transfer"]}
    places = np.repeat(100.0 * np.eye(CELLS // 2), 2, axis=0)
    labels = np.array([f"type {i % 2}" for i in range(CELLS)], dtype=object)
    needs |= {"latents": dict.fromkeys(("rna", "adt"), places), "labels": labels}
    with_partner = {k: v for k, v in needs.items() if k != "groups"}
    (pair, *_) = [
        q
        for q in RunData(**with_partner).questions
        if q.about == "rna->adt" and "latent_a" in q.own
    ]
    found = pair.values(["transferred_without_partner"])["transferred_without_partner"]
    expected = transfer_each(places, labels, places, ks=[15], own=np.arange(CELLS))[15]
    voting = transfer_each(places, labels, places, ks=[15])[15]
    np.testing.assert_array_equal(found, expected)
    assert (expected != voting).any()


def test_sparse_truth_scores_as_dense_truth():
    needs = oracle() | {"groups": ["imputation", "reference"]}
    noise = {
        d: x + np.random.default_rng(1).standard_normal(x.shape)
        for d, x in needs["imputed"].items()
    }
    split = {m: np.maximum(x - 3, 0) for m, x in needs["truth"].items()}
    needs |= {"imputed": noise, "truth": split}
    tables = scored(**needs)
    sparse_tables = scored(**needs | {"truth": {m: sparse.csr_matrix(x) for m, x in split.items()}})
    for table, other in zip(tables, sparse_tables, strict=True):
        pd.testing.assert_frame_equal(table, other)


def test_space_is_the_targets_and_only_for_imputation():
    scores, features = scored(**oracle(("rna", "atac", "adt")))
    imputation = scores["metric"].isin(IMPUTATION | PEAKS)
    assert set(scores["normalization"][~imputation]) == {"-"}
    for table in (
        scores[imputation],
        features[features["metric"] == "imputation_pearson_per_feature"],
    ):
        assert (
            table["normalization"] == table["direction"].str.split("->").str[1].map(NORMALIZATIONS)
        ).all()


def test_alignment_and_transfer_go_from_the_first_modality_to_the_second():
    """What rna->adt says depends on rna's train cells and on adt's query cells, and adt->rna on the others."""
    needs = oracle()
    needs["train_latents"] = needs["train_latents"] | {"rna": np.zeros((TRAIN, 3))}
    latents = needs["latents"]["adt"].copy()
    latents[0] = 1000
    needs["latents"] = needs["latents"] | {"adt": latents}
    values = scored(**needs)[0].set_index(["metric", "direction"])["value"]
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
    scores, _ = scored(**needs)
    assert not set(scores["metric"]) & (TRANSFER | OF_LABELS)
    assert set(scores["metric"]) >= (ALIGNMENT | IMPUTATION) - OF_LABELS


def test_train_cells_without_labels_leave_out_transfer_alone():
    needs = oracle()
    needs["train_labels"] = {
        source: np.array([""] * TRAIN, dtype=object) for source in needs["train_labels"]
    }
    scores, _ = scored(**needs)
    assert set(scores["metric"]) & TRANSFER == {"label_transfer_accuracy_without_partner"}
    assert "label_floor" in set(scores["metric"])


def test_a_joint_latent_alone_has_no_pairs():
    needs = oracle() | {"imputed": {}}
    for key in ("latents", "train_latents", "train_labels"):
        needs[key] = {"joint": needs[key]["joint"]}
    scores, features = scored(**needs)
    assert set(scores["metric"]) == PER_RUN | {"active_units"}
    assert features.empty
    assert list(features.columns) == ["metric", "direction", "normalization", "feature", "value"]


def test_imputation_alone():
    scores, _ = scored(**oracle() | {"latents": {}, "train_latents": {}, "train_labels": {}})
    assert set(scores["metric"]) == PER_RUN | IMPUTATION


def test_device_memory_only_where_a_device_was_used():
    needs = oracle()
    needs["record"] = needs["record"] | {"peak_device_mb": 70.0}
    scores, _ = scored(**needs)
    assert scores.set_index("metric")["value"]["peak_device_mb"] == 70.0


def test_the_kl_term_only_where_one_was_trained():
    history = {"kl": np.array([9.0, 4.0, 2.0]), "validation_loss": np.array([3.0, 1.0, 2.0])}
    assert (
        scored(**oracle() | {"history": history})[0].set_index("metric")["value"]["kl_term"] == 4.0
    )
    needs = oracle() | {"history": {"epoch": np.array([])}}
    assert "kl_term" not in set(scored(**needs)[0]["metric"])


def test_how_training_ended_is_asked_where_it_may_stop_by_itself():
    needs = oracle() | {"history": {"epoch": np.arange(3), "kept": np.array([0, 0, 1])}}
    needs["record"] = needs["record"] | BUDGET
    values = scored(**needs)[0].set_index("metric")["value"]
    assert (values["kept_epoch"], values["stopped_by_budget"]) == (3, 0)
    needs["record"] = needs["record"] | {
        "hyperparameters": BUDGET["hyperparameters"] | {"weights": "last"}
    }
    assert "stopped_by_budget" not in set(scored(**needs)[0]["metric"])


def test_features_hold_one_correlation_each():
    needs = oracle()
    truth, imputed = needs["truth"]["adt"].copy(), needs["imputed"]["rna->adt"].copy()
    truth[:, 1], imputed[:, 2], imputed[:, 3] = 4.0, 0.5, -imputed[:, 3]
    needs["truth"], needs["imputed"] = (
        needs["truth"] | {"adt": truth},
        needs["imputed"] | {"rna->adt": imputed},
    )
    scores, features = scored(**needs)
    adt = features[
        (features["direction"] == "rna->adt")
        & (features["metric"] == "imputation_pearson_per_feature")
    ]
    assert adt["feature"].tolist() == needs["feature_names"]["adt"]
    np.testing.assert_allclose(adt["value"].astype(float), [1, np.nan, 0, -1, 1], atol=1e-12)
    values = scores.set_index(["metric", "direction"])["value"]
    assert values["imputation_pearson_per_feature", "rna->adt"] == pytest.approx(
        adt["value"].mean()
    )
    assert values["imputation_constant_features", "rna->adt"] == 1


@pytest.mark.parametrize(
    ("key", "name"),
    [("latents", "rna"), ("latents", "joint"), ("imputed", "rna->adt"), ("truth", "adt")],
)
def test_arrays_of_other_cells_are_refused_by_name(key, name):
    needs = oracle()
    needs[key] = needs[key] | {name: needs[key][name][:-1]}
    with pytest.raises(ValueError, match=f"{key} of '{name}' has 59 rows, there are 60"):
        scored(**needs)


def test_labels_of_other_cells_are_refused():
    needs = oracle()
    with pytest.raises(ValueError, match="59 rows, there are 60"):
        scored(**needs | {"labels": needs["labels"][:-1]})


def test_feature_names_that_do_not_fit_are_refused():
    needs = oracle()
    needs["feature_names"] = needs["feature_names"] | {"adt": ["one"]}
    with pytest.raises(
        ValueError, match="truth of 'adt' has 5 features, there are 1 feature names"
    ):
        scored(**needs)


def test_scoring_is_repeatable_and_changes_nothing():
    needs, untouched = oracle(), oracle()
    first, second = scored(**needs), scored(**needs)
    for table, again in zip(first, second, strict=True):
        pd.testing.assert_frame_equal(table, again)
    for key in ("latents", "train_latents", "imputed", "truth"):
        for name, array in untouched[key].items():
            np.testing.assert_array_equal(needs[key][name], array)


def test_only_what_runs_is_imported():
    code = (
        "import sys; from test_scorer import oracle, scored;"
        "scored(**oracle() | {'latents': {}, 'train_latents': {}, 'train_labels': {}});"
        "assert not {'sklearn', 'torch', 'anndata'} & set(sys.modules), 'imported for nothing'"
    )
    path = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(Path(__file__).parents[1]), *map(os.path.abspath, sys.path)]
        ),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
