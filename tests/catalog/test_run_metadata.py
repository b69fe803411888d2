"""What cards say of runs and metrics, with and without a card."""

import math

import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata, run_metadata_of

METRICS = {
    "foscttm": {"group": "alignment", "better": "lower", "best": 0.0, "chance": 0.5},
    "imputation_skill": {"group": "imputation", "better": "higher", "best": 1, "chance": None}
    | {"bounds": [None, 1.0]},
    "label_floor": {"group": "reference", "better": "lower"},
    "active_units": {"group": "sanity", "better": None},
}
METHODS = {
    "mvae": {"kind": "model", "inputs": ["pairs"]},
    "oracle": {"kind": "control"},
    "cca": {"kind": "baseline"},
}
METADATA = RunMetadata({"metrics": METRICS, "methods": METHODS}, methods={"mvae-beta4": "mvae"})


def test_a_run_has_the_traits_of_its_method():
    kinds = [METADATA.kind(run) for run in ("mvae", "mvae-beta4", "oracle", "cca", "unknown")]
    assert kinds == ["model", "model", "control", "baseline", "model"]
    assert METADATA.is_ablation("mvae-beta4") and not METADATA.is_ablation("mvae")
    assert METADATA.traits("mvae-beta4")["takes_pairs"] == "yes"
    assert set(METADATA.traits("oracle").values()) == {"no"}


def test_all_but_controls_compete():
    table = pd.DataFrame({"run": ["oracle", "mvae", "cca", "oracle"], "value": range(4)})
    assert METADATA.competing(table)["value"].tolist() == [1, 2]
    assert METADATA.competing(table.iloc[:0]).empty


def test_the_sign_makes_more_better():
    assert (METADATA.sign("foscttm"), METADATA.sign("imputation_skill")) == (-1, 1)
    assert math.isnan(METADATA.sign("active_units")) and math.isnan(METADATA.sign("unknown"))
    without_card = METADATA.better("fit_seconds"), METADATA.group("fit_seconds")
    assert without_card == ("lower", "resources")


def test_only_numbers_are_chance_and_best_and_bounds_may_be_open():
    assert (METADATA.chance("foscttm"), METADATA.best("foscttm")) == (0.5, 0.0)
    assert METADATA.best("imputation_skill") == 1.0
    for metric in ("imputation_skill", "unknown"):
        assert math.isnan(METADATA.chance(metric)), metric
    assert METADATA.bounds("imputation_skill") == (-math.inf, 1.0)
    assert METADATA.bounds("unknown") == (-math.inf, math.inf)


def test_qualities_are_metrics_whose_better_value_is_a_better_result():
    names = ["label_floor", "imputation_skill", "fit_seconds", "foscttm", "unknown", "foscttm"]
    assert METADATA.qualities(names) == ["imputation_skill", "foscttm"]


def test_a_probe_says_whether_its_encoder_has_seen_the_cells():
    runs = pd.DataFrame({"run": ["a", "b", "c"], "method": "probe", "seen": ["yes", "unknown", ""]})
    metadata = run_metadata_of(runs)
    answers = [metadata.traits(run)["transductive"] for run in runs["run"]]
    assert answers == ["yes", "unknown", "no"]
    assert metadata.kind("a") == "baseline" and metadata.metric("foscttm")["better"] == "lower"
