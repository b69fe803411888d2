"""Sanity checks: they name scores at chance, perfect, impossible and missing ones, and no others."""

from collections import defaultdict

import numpy as np
import pytest
from made_up_scores import CARDS, ROSTER, cells_of, scores_of

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.report.page.sections import alarms
from mosaicbench.report.theme import Theme
from mosaicbench.stats.sanity import failed_controls, in_words, sanity_checks

ACCURACY = "label_transfer_accuracy"
CELLS = {("d", "paired"): (1600, 400)}  # four standard errors: 0.1 for one seed, 0.071 for two


def findings_in(values, cells=()):
    """Return the findings about runs that compete."""
    findings = sanity_checks(scores_of(values), cells, ROSTER, CELLS)
    return findings[(findings["check"] != "control") & (findings["check"] != "identical seeds")]


def named_in(values, cells=()):
    findings = findings_in(values, cells)
    return set(zip(findings["run"], findings["check"], findings["metric"], strict=True))


@pytest.mark.parametrize(
    ("values", "is_at_chance"),
    [([0.49, 0.52, 0.47], True), ([0.5], True), ([0.5] * 3, True), ([0.45], False)],
)
def test_without_cells_a_score_is_at_chance_if_any_seed_is_no_better(values, is_at_chance):
    named = named_in({("mvae", "foscttm"): values, ("cca", "foscttm"): [0.3, 0.31, 0.29]})
    assert named == ({("mvae", "chance", "foscttm")} if is_at_chance else set())


def accuracies(correct, n=400):
    """Return scores and cells of runs with a fraction of `n` cells correct per seed, at random."""
    random = np.random.default_rng(0)
    values, cells = {}, []
    for run, fractions in correct.items():
        right = [random.permutation(n) < fraction * n for fraction in fractions]
        values[run, ACCURACY] = [x.mean() for x in right]
        cells.append(cells_of(run, {(seed, ACCURACY): x for seed, x in enumerate(right)}))
    return values, cells


@pytest.mark.parametrize(
    "correct",
    [
        {"mvae": [0.95, 0.78], "constant": [0.14, 0.13]},
        {"mvae": [0.56, 0.42, 0.57], "constant": [0.34] * 3},
    ],
)
def test_seeds_that_differ_are_not_at_chance_if_the_cells_of_each_are_not(correct):
    assert named_in(*accuracies(correct)) == set()


def test_one_seed_with_cells_like_a_control_is_at_chance():
    values, cells = accuracies({"mvae": [0.9, 0.36, 0.9], "constant": [0.34, 0.34, 0.34]})
    assert named_in(values) == set()  # better in every seed, without cells
    finding = findings_in(values, cells).iloc[0]
    assert (finding["check"], finding["seeds"]) == ("chance", "1")
    assert "constant (0.340) in seed 1 (0.360)" in finding["message"]


def test_findings_of_one_check_are_one_sentence():
    values = {("mvae", metric): [0.1, 0.1] for metric in ("recall_at_10", ACCURACY)}
    values |= {("constant", metric): [0.2, 0.2] for _, metric in values}
    words = in_words(findings_in(values | {("mvae", "foscttm"): [0.51, 0.5]}))
    assert words.startswith("in 3 scores (")
    assert words.count("no better than") == 1


def test_without_a_number_for_chance_it_is_the_strongest_negative_control():
    control = {("constant", ACCURACY): [0.5] * 3, ("random_latent", ACCURACY): [0.2] * 3}
    beaten = {("mvae", ACCURACY): [0.48, 0.55, 0.49], ("cca", ACCURACY): [0.7, 0.72, 0.71]}
    assert named_in(control | beaten) == {("mvae", "chance", ACCURACY)}
    assert named_in(beaten) == set()  # nothing to compare with


def test_perfect_impossible_and_missing_scores_are_named_but_not_those_of_controls():
    assert not named_in({("oracle", "foscttm"): [0, 0], ("constant", "foscttm"): [0.5, 0.5]})
    assert named_in({("mvae", "foscttm"): [0.0, 0.01]}) == {("mvae", "perfect", "foscttm")}
    missing = {("mvae", "imputation_skill"): [0.3, 0.31, np.nan]}
    assert named_in(missing) == {("mvae", "no number", "imputation_skill")}
    for value in (1.2, -0.01):
        messages = findings_in({("mvae", "foscttm"): [0.2, value]}).set_index("check")["message"]
        assert str(value) in messages["impossible"] and "0.0 to 1.0" in messages["impossible"]
    checks = {check for _, check, _ in named_in({("mvae", "foscttm"): [1.0, 1.0 + 1e-12]})}
    assert "impossible" not in checks


def test_a_score_that_these_data_cannot_have_is_no_fault_of_the_run():
    scores = scores_of({("mvae", "imputation_skill"): [np.nan, np.nan]})
    assert set(sanity_checks(scores, [], ROSTER, CELLS)["check"]) == {"no number"}
    dashes = scores.assign(status="not_applicable")
    assert sanity_checks(dashes, [], ROSTER, CELLS).empty


BUDGET, RATIO = "stopped_by_budget", "latent_norm_ratio"


@pytest.mark.parametrize(
    ("check", "values"),
    [
        ("stopped by the budget", {("mvae", BUDGET): [1, 0, 1], ("cca", BUDGET): [0, 0, 0]}),
        (
            "identical seeds",
            {("mvae", "foscttm"): [0.1, 0.2, 0.1], ("oracle", "foscttm"): [0, 0, 0]}
            | {("cca", "foscttm"): [0.3, 0.2, 0.1], ("cca", "recall_at_10"): [0.3, 0.3, 0.3]},
        ),
        (
            "scales",
            {("mvae", RATIO, "rna->atac"): [16.2, 2.9, 3.5], ("cca", RATIO): [1.0, 1.1, 2.99]}
            | {("random_latent", RATIO): [9.0, 9.0, 9.0]},
        ),
    ],
)
def test_a_run_is_named_with_the_seeds_of_a_check(check, values):
    table = sanity_checks(scores_of(values), [], ROSTER, CELLS)
    table = table[table["check"] == check]
    assert table[["run", "seeds"]].to_numpy().tolist() == [["mvae", "0, 2"]]
    if check == "scales":
        assert "16.2" in table["message"].iloc[0] and "rna->atac" in table["message"].iloc[0]


# --- controls that are not where theory puts them ---

IN_PLACE = {
    ("oracle", "foscttm"): [0.0, 0.01],
    ("oracle", "imputation_skill"): [1.0, 1.0],
    ("shuffled", "foscttm"): [0.46, 0.55],
    ("shuffled", "imputation_skill"): [-1.0, -1.1],  # worse than chance, as its card says
    ("random_latent", "foscttm"): [0.52, 0.45],
    ("constant", "foscttm"): [0.5, 0.5],
    ("train_mean", "imputation_skill"): [0.0, 0.001],
    ("random_latent", "recall_at_10"): [0.9, 0.9],  # states no chance
    ("mvae", "foscttm"): [0.5, 0.5],  # no control
}
SKILL = CARDS["metrics"]["imputation_skill"] | {"exempt_from": {"shuffled_is_chance": "is worse"}}
METRICS = CARDS["metrics"] | {"imputation_skill": SKILL}
METADATA = RunMetadata(cards=CARDS | {"metrics": METRICS}, methods={"mixed": "shuffled"})


def control_checks(values, sizes=CELLS):
    return [tuple(row[2:5:2]) for row in failed_controls(scores_of(values), METADATA, sizes)]


def test_controls_in_their_place_raise_no_alarm():
    assert control_checks(IN_PLACE) == []


@pytest.mark.parametrize(
    ("run", "metric", "values"),
    [
        ("shuffled", "foscttm", [0.0, 0.0]),  # it shuffled nothing, and was the oracle
        ("shuffled", "foscttm", [1.0, 1.0]),
        ("shuffled", "foscttm", [0.42, 0.42]),
        ("mixed", "foscttm", [0.0, 0.0]),  # by its method, not by its name
        ("shuffled", "imputation_skill", [1.0, 1.0]),
        ("random_latent", "foscttm", [0.3, 0.3]),
        ("constant", "foscttm", [0.0, 0.0]),  # ties that count as right
        ("train_mean", "imputation_skill", [0.2, 0.2]),
        ("oracle", "foscttm", [0.03, 0.03]),
        ("oracle", "imputation_skill", [0.9, 0.9]),
    ],
)
def test_a_control_that_is_not_where_theory_puts_it_raises_the_alarm(run, metric, values):
    assert control_checks(IN_PLACE | {(run, metric): values}) == [(run, metric)]


def test_fewer_cells_and_seeds_leave_chance_more_room():
    few = {("d", "paired"): (100, 100)}
    assert control_checks({("shuffled", "foscttm"): [0.42, 0.42]}, sizes=few) == []
    assert control_checks({("shuffled", "foscttm"): [0.42]}) == []
    assert control_checks({("shuffled", "foscttm"): [0.42] * 3})


def test_the_alarm_names_run_metric_split_and_value_and_comes_first():
    scores = scores_of({("shuffled", "foscttm"): [0.0, 0.0], ("mvae", "foscttm"): [0.5, 0.6]})
    table = sanity_checks(scores, [], METADATA, CELLS)
    assert table["check"].iloc[0] == "control" and "chance" in set(table["check"])
    labels = {"metrics": {"foscttm": {"label": "FOSCTTM"}}, "datasets": {"d": {"label": "Blood"}}}
    theme = Theme(display=defaultdict(dict, labels), run_metadata=METADATA)
    (sentence,) = alarms(table, theme)
    for words in ("shuffled", "FOSCTTM", "Blood", "paired", "0.000", "0.5 (within 0.071)"):
        assert words in sentence
    assert alarms(table[table["check"] != "control"], theme) == []
