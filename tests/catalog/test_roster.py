"""The roster: what is true of a run and of a metric, with and without a card."""

import math

import pandas as pd
import pytest

from mosaicbench.catalog import catalog
from mosaicbench.catalog.run_metadata import KINDS, NO_QUALITY, RunMetadata, run_metadata_of

METRICS = {
    "foscttm": {
        "group": "alignment",
        "better": "lower",
        "best": 0.0,
        "chance": 0.5,
        "bounds": [0.0, 1.0],
    },
    "imputation_skill": {
        "group": "imputation",
        "better": "higher",
        "best": 1,
        "chance": "varies",
        "bounds": [None, 1.0],
    },
    "label_floor": {"group": "reference", "better": "lower"},
    "active_units": {"group": "sanity", "better": None, "chance": True},
}
METHODS = {
    "mvae": {"kind": "model", "inputs": ["pairs"]},
    "oracle": {"kind": "control"},
    "cca": {"kind": "baseline"},
}
ROSTER = RunMetadata(cards={"metrics": METRICS, "methods": METHODS}, methods={"mvae-beta4": "mvae"})


def test_a_run_is_what_its_method_is():
    assert [ROSTER.kind(run) for run in ("mvae", "mvae-beta4", "oracle", "cca", "unknown")] == [
        "model",
        "model",
        "control",
        "baseline",
        "model",
    ]
    assert ROSTER.is_ablation("mvae-beta4") and not ROSTER.is_ablation("mvae")
    assert ROSTER.traits("mvae-beta4")["takes_pairs"] == "yes"
    assert set(ROSTER.traits("oracle").values()) == {"no"}


def test_all_but_controls_compete():
    table = pd.DataFrame(
        {"run": ["oracle", "mvae", "cca", "mvae-beta4", "oracle"], "value": range(5)}
    )
    assert ROSTER.competing(table)["value"].tolist() == [1, 2, 3]
    assert ROSTER.competing(table.iloc[:0]).empty


def test_the_sign_makes_more_better_and_is_none_where_neither_is():
    assert (ROSTER.sign("foscttm"), ROSTER.sign("imputation_skill")) == (-1, 1)
    assert math.isnan(ROSTER.sign("active_units")) and math.isnan(ROSTER.sign("unknown"))
    assert (ROSTER.better("fit_seconds"), ROSTER.group("fit_seconds")) == (
        "lower",
        "resources",
    )  # it has no card here


def test_only_numbers_are_chance_and_best_and_bounds_may_be_open():
    assert (ROSTER.chance("foscttm"), ROSTER.best("foscttm"), ROSTER.bounds("foscttm")) == (
        0.5,
        0.0,
        (0.0, 1.0),
    )
    assert ROSTER.best("imputation_skill") == 1.0
    for metric in ("imputation_skill", "active_units", "label_floor", "unknown"):
        assert math.isnan(ROSTER.chance(metric)), metric
    assert ROSTER.bounds("imputation_skill") == (-math.inf, 1.0)
    assert ROSTER.bounds("unknown") == (-math.inf, math.inf)


def test_qualities_are_metrics_of_which_better_is_better_science():
    names = [
        "label_floor",
        "imputation_skill",
        "fit_seconds",
        "foscttm",
        "active_units",
        "unknown",
        "foscttm",
    ]
    assert ROSTER.qualities(names) == ["imputation_skill", "foscttm"]


@pytest.mark.parametrize("room", ["methods", "metrics"])
def test_the_words_of_the_roster_are_those_of_the_cards(room):
    cards = catalog.cards(room).values()
    if room == "methods":
        assert {card["kind"] for card in cards} == set(KINDS)
    else:
        assert set(NO_QUALITY) <= {card["group"] for card in cards}


def test_a_roster_of_a_table_of_runs_has_every_card():
    run_metadata = run_metadata_of(pd.DataFrame({"run": ["a", "b"], "method": ["mvae", "oracle"]}))
    assert (run_metadata.kind("a"), run_metadata.kind("b")) == ("model", "control")
    assert run_metadata.metric("foscttm")["better"] == "lower"
