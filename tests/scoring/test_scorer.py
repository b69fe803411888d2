"""The scorer: which metrics are called, how often, and which are left out."""

import os
import subprocess
import sys
from functools import partial
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from scipy import sparse

from mosaicbench.catalog import cards, catalog
from mosaicbench.scoring import scorer
from mosaicbench.scoring.run_data import Drawn, RunData

FEATURES = {"rna": 9, "atac": 6, "adt": 5}
NORMALIZATIONS = {"rna": "lognorm", "atac": "lsi", "adt": "clr"}
CELLS, TRAIN = 60, 300
NOISE = {name: partial(np.full, (CELLS, columns), 0.1) for name, columns in FEATURES.items()}
GROUP = {name: card["group"] for name, card in catalog.cards("metrics").items()}


def in_group(group):
    return {name for name, its in GROUP.items() if its == group}


ALIGNMENT, TRANSFER = in_group("alignment"), in_group("label_transfer") - {"types_matched"}
OF_LABELS = {"foscttm_within_cell_type", "label_floor", "unlabelled_cells", "types_matched"}
OF_LABELS |= {"imputation_skill_over_celltype_mean"}
PAIRED = ALIGNMENT | TRANSFER | {"types_matched"}
PEAKS = {"imputation_auroc_per_peak"}
IMPUTATION = in_group("imputation") - PEAKS | {"imputation_constant_features"}
CEILINGS = {"imputation_pearson_per_feature_ceiling", "imputation_skill_ceiling"}
IMPUTATION |= CEILINGS
PER_RUN = {"fit_seconds", "peak_host_mb", "label_floor", "unlabelled_cells"}
OF_TRAINING = {"peak_device_mb", "kl_term", "kept_epoch", "stopped_by_budget"}
CHEAP = ("alignment", "label_transfer", "imputation", "sanity", "reference", "resources")
BUDGET = {"hyperparameters": {"max_epochs": 400, "patience": 30, "weights": "best"}}


def text(values):
    return np.array([f"type {value}" for value in values], dtype=object)


def oracle(modalities=("rna", "adt"), **changed):
    """Return the data of a method that knows everything: one latent per cell, no error."""
    random = default_rng(0)
    types, train_types = random.integers(0, 3, CELLS), random.integers(0, 3, TRAIN)
    z = 8 * np.eye(3)[types] + random.standard_normal((CELLS, 3))
    train = 8 * np.eye(3)[train_types] + random.standard_normal((TRAIN, 3))
    labels, sources = text(types), ("joint", *modalities)
    truth, celltype_means = {}, {}
    for name in modalities:
        weights = random.standard_normal((3, FEATURES[name]))
        x = truth[name] = z @ weights + 5 * random.standard_normal(FEATURES[name])
        celltype_means[name] = {label: x[labels == label].mean(0) for label in set(labels)}
    data = {
        "latents": dict.fromkeys(sources, z),
        "train_latents": dict.fromkeys(sources, train),
        "train_labels": dict.fromkeys(sources, text(train_types)),
        "label_subset": (train, text(train_types)),
        "predicted": dict.fromkeys(sources, labels),
        "imputed": {f"{a}->{b}": truth[b].copy() for a, b in permutations(modalities, 2)},
        "truth": truth,
        "noise": {name: NOISE[name] for name in modalities},
        "normalizations": NORMALIZATIONS,
        "train_mean": {name: x.mean(0) for name, x in truth.items()},
        "train_std": {name: x.std(0) for name, x in truth.items()},
        "celltype_means": celltype_means,
        "feature_names": {m: [f"{m} {i}" for i in range(FEATURES[m])] for m in modalities},
        "labels": labels,
        "batches": np.array(["batch"] * CELLS, dtype=object),
        "record": {"seconds": {"fit": 2.5}, "peak_host_mb": 300.0, "peak_device_mb": None},
    }
    if "atac" in modalities:
        loadings = random.standard_normal((8, FEATURES["atac"]))
        peaks = truth["atac"] @ loadings.T
        open_ = sparse.csr_matrix((peaks > np.median(peaks, axis=0)).astype(float))
        data |= {"accessible": {"atac": open_}, "loadings": {"atac": loadings}}
    return data | changed


def scored(data, groups=CHEAP):
    """Return the scores, and those of single features."""
    result = scorer.score(RunData(**data), groups)
    return result.scores, result.features


def values_of(data, groups=CHEAP):
    """Return (metric, direction) -> value."""
    return scored(data, groups)[0].set_index(["metric", "direction"])["value"]


def metrics_of(data, groups=CHEAP):
    return set(scored(data, groups)[0]["metric"])


@pytest.mark.parametrize("modalities", [("rna", "adt"), ("rna", "atac", "adt")])
def test_the_oracle_is_best_and_each_metric_is_called_as_often_as_its_needs_occur(modalities):
    scores, features = scored(oracle(modalities))
    best = scores["metric"].map(lambda name: catalog.card("metrics", name)["best"]).astype(float)
    assert_allclose(scores["value"][best.notna()], best.dropna(), atol=1e-9)
    assert_allclose(features["value"], 1)
    assert not scores.duplicated(["metric", "direction"]).any()
    directions = {f"{a}->{b}" for a, b in permutations(modalities, 2)}
    expected = dict.fromkeys(PAIRED | IMPUTATION, directions) | dict.fromkeys(PER_RUN, {"run"})
    expected["active_units"] = {"joint", *modalities}
    if to_atac := {direction for direction in directions if direction.endswith("->atac")}:
        expected |= dict.fromkeys(PEAKS, to_atac)
    called = scores.groupby("metric")["direction"].agg(set).to_dict()
    every = {name for name, group in GROUP.items() if group in CHEAP}
    assert set(called) | PEAKS == every - OF_TRAINING
    assert {metric: called[metric] for metric in expected} == expected
    sizes = [FEATURES[direction.split("->")[1]] for direction in directions]
    assert features["metric"].value_counts().to_dict() == {
        "imputation_pearson_per_feature": sum(sizes),
        "label_transfer_recall": 3 * len(directions),
    }
    of_imputation = scores["metric"].isin(IMPUTATION | PEAKS)
    assert set(scores["normalization"][~of_imputation]) == {"-"}
    of_features = features[features["metric"] == "imputation_pearson_per_feature"]
    for table in (scores[of_imputation], of_features):
        targets = table["direction"].str.split("->").str[1]
        assert (table["normalization"] == targets.map(NORMALIZATIONS)).all()


def test_predicted_types_are_scored_by_source_and_by_batch():
    right, group = oracle()["labels"], ["label_prediction"]
    batches = np.array(["first"] * 30 + ["second"] * 30, dtype=object)
    wrong = np.where(batches == "first", right, "type 9")
    data = oracle(batches=batches, predicted={"rna": wrong, "joint": right})
    metric = "label_prediction_balanced_accuracy"
    values, (_, features) = values_of(data, group), scored(data, group)
    recalls = [np.mean(wrong[right == label] == label) for label in set(right)]
    assert values[metric].to_dict() == pytest.approx({"joint": 1, "rna": np.mean(recalls)})
    by_neighbors = values[f"{metric}_10nn"]
    assert set(by_neighbors.index) == {"joint", "rna", "adt"} and (by_neighbors == 1).all()
    by_batch = features[features["metric"] == metric].set_index(["direction", "feature"])["value"]
    assert (by_batch["rna", "first"], by_batch["rna", "second"]) == (1, 0)
    assert not metrics_of(data | {"label_subset": None, "predicted": {}}, group)


@pytest.mark.parametrize(
    ("group", "rows"), [("imputation", 14), ("label_transfer", 6), ("sanity", 0)]
)
def test_only_the_given_groups_are_scored(group, rows):
    scores, features = scored(oracle(), [group])
    assert {GROUP[name] for name in scores["metric"]} == {group}
    assert len(features) == rows


def test_metrics_of_batches_and_factors_are_called_only_where_there_are_some():
    groups, random = ["mixing", "disentanglement"], default_rng(0)
    without = metrics_of(oracle(), groups)
    mixing = {"modality_mixing", "modality_mixing_entropy"}
    assert without == mixing | {"label_separation_auc", "reconstruction_r2"}
    data = oracle(batches=text(random.integers(0, 2, CELLS)))
    data["shared_factors"] = data["latents"]["joint"]
    data["private_factors"] = {"rna": random.standard_normal((CELLS, 2))}
    called = scored(data, groups)[0].groupby("metric")["direction"].agg(set).drop(list(without))
    of_batches = {"ilisi", "kbet", "pcr", "bras", "foscttm_within_batch"}
    assert set(called.index) == of_batches | {"shared_factors_r2", "private_factors_leak"}
    assert called["private_factors_leak"] == {"rna"}
    assert called["pcr"] == {"rna", "adt"} and called["ilisi"] == {"joint", "rna", "adt"}


def test_every_need_that_a_card_may_name_can_be_met():
    data, random = oracle(("rna", "atac", "adt")), default_rng(0)
    z = data["latents"]["joint"]
    genes = ["MCM5", "PCNA", "TYMS", "TOP2A", "MKI67", "CDK1", "CD3E", "CD8A", "MS4A1"]
    drawn = Drawn(np.array([3, 1]), np.array([0, 2]), random.standard_normal((2, 2, 5)))
    data |= {
        "batches": text(random.integers(0, 2, CELLS)),
        "private_latents": data["latents"],
        "shared_factors": z,
        "private_factors": {"rna": z},
        "shared_driven": {"rna": np.ones(FEATURES["rna"], bool)},
        "feature_names": data["feature_names"] | {"rna": genes},
        "history": {"kl": np.ones(1), "kept": np.ones(1)},
        "record": data["record"] | {"peak_device_mb": 1.0} | BUDGET,
        "drawn": {"rna->adt": drawn},
    }
    needs = set()
    for inputs in RunData(**data).metric_inputs:
        needs |= {*inputs.needs, *inputs.of_run}
    assert needs == set(cards.NEEDS)


def test_draws_are_scored_beside_the_truth_of_their_own_cells_and_features():
    data, rows, columns = oracle(), np.array([7, 50, 2]), np.array([1, 4])
    truth = data["truth"]["adt"]
    draws = np.repeat(truth[np.ix_(rows, columns)][:, :, None], 9, axis=2)
    draws[1] += 3 * truth.std(0)[columns, None]
    assert not metrics_of(data, ["calibration"])
    data["drawn"] = {"rna->adt": Drawn(rows, columns, draws)}
    result = scorer.score(RunData(**data), ["calibration"])
    assert set(result.scores["direction"]) == {"rna->adt"}
    values = result.scores.set_index("metric")["value"]
    assert values["imputation_crps"] == pytest.approx(1)  # 3 sd in one of three cells
    assert values["coverage_50"] == pytest.approx(0.5 * 2 / 3)
    expected = np.full(CELLS, np.nan)
    expected[rows] = [0, 3, 0]
    assert_allclose(result.cells["imputation_crps", "rna->adt", "clr"], expected, atol=1e-6)
    features = result.features.set_index("metric")
    assert features.loc["imputation_crps", "feature"].tolist() == ["adt 1", "adt 4"]
    bins = features.loc["pit_histogram"].set_index("feature")["value"]
    assert list(bins.index)[::9] == ["0.0 to 0.1", "0.9 to 1.0"]
    assert bins.sum() == pytest.approx(6)  # three cells, two features
    assert bins.iloc[0] == pytest.approx(2 + 4 / 10)


def test_a_metric_that_is_not_defined_has_a_row_without_a_value(capsys):
    scores, _ = scored(oracle(labels=text(range(CELLS))))
    assert np.isnan(scores["value"][scores["metric"] == "foscttm_within_cell_type"]).all()
    assert scores["value"][~scores["metric"].isin(OF_LABELS)].notna().all()
    assert "foscttm_within_cell_type of rna->adt is not defined" in capsys.readouterr().err


@pytest.mark.parametrize("cells", [1, 2, 3, 5])
@pytest.mark.parametrize("labelled", ["all", "one query cell", "one train cell"])
def test_a_query_of_few_cells_is_scored_without_an_error(cells, labelled):
    data = oracle(("rna", "atac", "adt"))
    for need in ("latents", "predicted", "imputed", "truth", "accessible"):
        data[need] = {name: values[:cells] for name, values in data[need].items()}
    data["labels"], data["batches"] = data["labels"][:cells].copy(), text([0, 1, 0, 1, 0])[:cells]
    if labelled == "one query cell":
        data["labels"][1:] = ""
    if labelled == "one train cell":
        one = data["train_labels"]["rna"].copy()
        one[1:] = ""
        data["train_labels"] = dict.fromkeys(data["train_labels"], one)
        data["label_subset"] = tuple(values[:1] for values in data["label_subset"])
    draws = data["truth"]["adt"][:, :2, None] + np.arange(3)
    data["drawn"] = {"rna->adt": Drawn(np.arange(cells), np.arange(2), draws)}
    scores, _ = scored(data, list(cards.GROUPS))
    assert scores["value"].notna().any()
    assert not scores.duplicated(["metric", "direction"]).any()


def test_skill_over_the_cell_type_mean_takes_each_cells_own_type():
    data = oracle()
    means = data["celltype_means"]["adt"]
    guess = np.array([means[label] for label in data["labels"]])
    data["imputed"] = {"rna->adt": guess}
    skill = "imputation_skill_over_celltype_mean", "rna->adt"
    assert values_of(data)[skill] == pytest.approx(0, abs=1e-12)
    data["labels"][0], guess[0] = "", data["train_mean"]["adt"]
    assert values_of(data)[skill] == pytest.approx(0, abs=1e-12)


def test_each_type_has_a_recall_beside_the_accuracy():
    data = oracle()
    labels = data["train_labels"]["rna"]
    changed = np.where(labels == "type 0", "type 1", labels)
    data["train_labels"] = data["train_labels"] | {"rna": changed}
    _, features = scored(data)
    recalls = features.set_index(["metric", "direction", "feature"])["value"]
    recalls = recalls["label_transfer_recall", "rna->adt"]
    assert recalls.to_dict() == {"type 0": 0.0, "type 1": 1.0, "type 2": 1.0}
    balanced = values_of(data)["label_transfer_balanced_accuracy", "rna->adt"]
    assert balanced == pytest.approx(recalls.mean())


def test_a_cells_own_partner_does_not_vote_where_it_is_left_out():
    """The two cells of a pair differ in type, and are far from all others."""
    from mosaicbench.metrics._nearest import transfer_each  # compiles, which the others are spared

    places = np.repeat(100.0 * np.eye(CELLS // 2), 2, axis=0)
    labels = text(np.arange(CELLS) % 2)
    data = oracle(latents=dict.fromkeys(("rna", "adt"), places), labels=labels)
    pair = next(inputs for inputs in RunData(**data).metric_inputs if "latent_a" in inputs.needs)
    need = "transferred_without_partner"
    without = transfer_each(places, labels, places, ks=[15], own=np.arange(CELLS))[15]
    assert_array_equal(pair.values([need])[need], without)
    assert (without != transfer_each(places, labels, places, ks=[15])[15]).any()


def test_alignment_and_transfer_go_from_the_first_modality_to_the_second():
    """rna->adt depends on rna's train cells and on adt's query cells, adt->rna on the others."""
    data = oracle()
    latents = data["latents"]["adt"].copy()
    latents[0] = 1000
    data["latents"] = data["latents"] | {"adt": latents}
    data["train_latents"] = data["train_latents"] | {"rna": np.zeros((TRAIN, 3))}
    values = values_of(data)
    most = max(np.mean(data["labels"] == label) for label in set(data["labels"]))
    assert values["label_transfer_accuracy", "rna->adt"] <= most
    assert values["label_transfer_accuracy", "adt->rna"] == 1
    assert values["foscttm", "rna->adt"] == pytest.approx(1 / CELLS)
    assert values["foscttm", "adt->rna"] < 1 / CELLS


def test_label_transfer_of_one_type_is_not_applicable():
    """Every cell of one type would be right in any embedding: a dash, no 1.0."""
    one = oracle()
    sources, of_train = one["latents"], text(np.zeros(TRAIN, int))
    one["labels"] = np.where(np.arange(CELLS) < 5, "", "type 0").astype(object)
    one["train_labels"] = dict.fromkeys(sources, of_train)
    one["label_subset"] = one["train_latents"]["rna"], of_train
    one["predicted"] = dict.fromkeys(sources, one["labels"])
    groups = ("label_transfer", "label_prediction", "biology", "alignment")
    found = scorer.score(RunData(**one), groups)
    values = found.scores.set_index(["metric", "direction"])["value"]
    dashes = {index for index in values.index if GROUP[index[0]].startswith("label_")}
    assert len(dashes) > 10
    assert dashes | {("nmi", "rna")} <= found.not_applicable
    assert values[list(dashes)].isna().all()
    assert np.isfinite(values["foscttm", "rna->adt"])
    assert not any(GROUP.get(metric) == "label_transfer" for metric, *_ in found.cells)
    # Where the train cells know a second type, a cell may be called wrongly.
    two = one | {"train_labels": dict.fromkeys(sources, text(np.arange(TRAIN) % 2))}
    assert values_of(two, groups)["label_transfer_accuracy", "rna->adt"] < 1


def test_without_labels_no_metric_of_labels():
    metrics = metrics_of(oracle(labels=np.array([""] * CELLS, dtype=object)))
    assert not metrics & (TRANSFER | OF_LABELS)
    assert metrics >= (ALIGNMENT | IMPUTATION) - OF_LABELS
    unknown = np.array([""] * TRAIN, dtype=object)
    metrics = metrics_of(oracle(train_labels=dict.fromkeys(("joint", "rna", "adt"), unknown)))
    assert metrics & TRANSFER == {"label_transfer_accuracy_without_partner"}
    assert "label_floor" in metrics


def test_outputs_of_one_kind_alone_are_scored_alone():
    data = oracle(imputed={})
    for need in ("latents", "train_latents", "train_labels"):
        data[need] = {"joint": data[need]["joint"]}
    scores, features = scored(data)
    assert set(scores["metric"]) == PER_RUN | {"active_units"}
    assert features.empty and list(features) == scorer.FEATURE_COLUMNS
    assert metrics_of(oracle(latents={}, train_latents={}, train_labels={})) == PER_RUN | IMPUTATION


def test_metrics_of_training_are_called_where_their_numbers_exist():
    record = oracle()["record"]
    measured = oracle(record=record | {"peak_device_mb": 70.0})
    assert values_of(measured)["peak_device_mb", "run"] == 70.0
    history = {"kl": np.array([9.0, 4.0, 2.0]), "validation_loss": np.array([3.0, 1.0, 2.0])}
    assert values_of(oracle(history=history))["kl_term", "run"] == 4.0
    history = {"epoch": np.arange(3), "kept": np.array([0, 0, 1])}
    values = values_of(oracle(history=history, record=record | BUDGET))
    assert (values["kept_epoch", "run"], values["stopped_by_budget", "run"]) == (3, 0)
    last = {"hyperparameters": BUDGET["hyperparameters"] | {"weights": "last"}}
    metrics = metrics_of(oracle(history=history, record=record | last))
    assert not metrics & {"stopped_by_budget", "kl_term", "peak_device_mb"}


def test_features_have_one_correlation_each():
    data = oracle()
    truth, imputed = data["truth"]["adt"], data["imputed"]["rna->adt"]
    truth[:, 1], imputed[:, 2], imputed[:, 3] = 4.0, 0.5, -imputed[:, 3]
    scores, features = scored(data)
    metric = "imputation_pearson_per_feature", "rna->adt"
    adt = features.set_index(["metric", "direction"]).loc[[metric]]
    assert adt["feature"].tolist() == data["feature_names"]["adt"]
    assert_allclose(adt["value"].astype(float), [1, np.nan, 0, -1, 1], atol=1e-12)
    values = scores.set_index(["metric", "direction"])["value"]
    assert values[metric] == pytest.approx(adt["value"].mean())
    assert values["imputation_constant_features", "rna->adt"] == 1


def test_scoring_is_repeatable_and_changes_nothing():
    data, untouched = oracle(), oracle()
    for table, again in zip(scored(data), scored(data), strict=True):
        pd.testing.assert_frame_equal(table, again)
    assert_equal(data, untouched)


def test_only_the_libraries_of_the_called_metrics_are_imported():
    code = (
        "import sys; from test_scorer import oracle, scored;"
        "scored(oracle(latents={}, train_latents={}, train_labels={}));"
        "assert not {'sklearn', 'torch', 'anndata'} & set(sys.modules), 'imported for nothing'"
    )
    paths = [str(Path(__file__).parent), *map(os.path.abspath, sys.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
