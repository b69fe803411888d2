"""Sentinels: scores at chance, perfect ones, impossible ones and missing ones are found, and no others."""

from collections import defaultdict

import numpy as np
import pytest
from made_up_scores import ROSTER, cells_of, scores_of
from scipy import stats

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.report.page.failures import alarms, sanity_checks
from mosaicbench.report.theme import Theme
from mosaicbench.stats import sanity as sanity
from mosaicbench.stats.common import half_width
from mosaicbench.stats.sanity import failed_controls
from mosaicbench.stats.sanity import (
    identical_seeds,
    in_words,
    normalizations,
    stopped_by_budget,
    suspicious_scores,
)


def found_by(values: dict, cells=()) -> set[tuple[str, str, str]]:
    scores = scores_of(values)
    found = suspicious_scores(scores, cells, ROSTER)
    return set(zip(found["run"], found["check"], found["metric"], strict=True))


def test_a_score_that_cannot_be_told_from_chance_is_flagged():
    assert found_by(
        {("mvae", "foscttm"): [0.49, 0.52, 0.47], ("cca", "foscttm"): [0.30, 0.31, 0.29]}
    ) == {("mvae", "chance", "foscttm")}
    assert (
        found_by({("mvae", "foscttm"): [0.45]}) == set()
    )  # without cells: only what is not better than chance
    assert found_by({("mvae", "foscttm"): [0.5]}) == {("mvae", "chance", "foscttm")}
    assert found_by({("mvae", "foscttm"): [0.5, 0.5, 0.5]}) == {("mvae", "chance", "foscttm")}


def accuracies(correct: dict[str, list[float]], n: int = 400) -> tuple[dict, list]:
    """Return scores and cells of runs of which so many of `n` cells are right with each seed, drawn at random."""
    random = np.random.default_rng(0)
    metric = "label_transfer_accuracy"
    right = {
        run: [random.permutation(n) < share * n for share in shares]
        for run, shares in correct.items()
    }
    values = {(run, metric): [x.mean() for x in by_seed] for run, by_seed in right.items()}
    return values, [
        cells_of(run, {(seed, metric): x for seed, x in enumerate(by_seed)})
        for run, by_seed in right.items()
    ]


def test_few_seeds_that_differ_are_not_chance_where_the_cells_of_each_say_so():
    assert found_by(*accuracies({"mvae": [0.95, 0.78], "constant": [0.14, 0.13]})) == set()
    assert (
        found_by(*accuracies({"mvae": [0.56, 0.42, 0.57], "constant": [0.34, 0.34, 0.34]})) == set()
    )


def test_the_worst_seed_speaks_where_its_cells_cannot_be_told_from_a_control():
    values, cells = accuracies({"mvae": [0.9, 0.36, 0.9], "constant": [0.34, 0.34, 0.34]})
    assert found_by(values) == set()  # better in every seed, if the cells were not asked
    found = suspicious_scores(scores_of(values), cells, ROSTER).iloc[0]
    assert (found["check"], found["seeds"]) == ("chance", "1")
    assert found["message"] == "no better than the control constant (0.340) in seed 1 (0.360)"


def test_what_cannot_work_is_told_once():
    values = {
        ("mvae", metric): [0.1, 0.1] for metric in ("recall_at_10", "label_transfer_accuracy")
    }
    values |= {("constant", metric): [0.2, 0.2] for _, metric in values} | {
        ("mvae", "foscttm"): [0.51, 0.5]
    }
    findings = suspicious_scores(scores_of(values), [], ROSTER)
    assert len(findings) == 3
    words = in_words(findings)
    assert words.startswith("in 3 scores (")
    assert words.count("no better than") == 1
    assert (
        len(
            sanity_checks(findings, Theme(display=defaultdict(dict), run_metadata=ROSTER)).sections[
                ""
            ]
        )
        == 1
    )


def test_without_a_number_for_chance_the_strongest_negative_control_is_it():
    control = {
        ("constant", "label_transfer_accuracy"): [0.5, 0.5, 0.5],
        ("random_latent", "label_transfer_accuracy"): [0.2, 0.2, 0.2],
    }
    beaten = {
        ("mvae", "label_transfer_accuracy"): [0.48, 0.55, 0.49],
        ("cca", "label_transfer_accuracy"): [0.7, 0.72, 0.71],
    }
    assert found_by(control | beaten) == {("mvae", "chance", "label_transfer_accuracy")}
    assert found_by(beaten) == set()  # nothing to compare with


def test_a_run_that_was_still_improving_when_its_epochs_were_used_up_is_named_with_the_seeds():
    found = stopped_by_budget(
        scores_of(
            {("mvae", "stopped_by_budget"): [1, 0, 1], ("mmvae", "stopped_by_budget"): [0, 0, 0]}
        )
    )
    assert found[["run", "seeds"]].to_numpy().tolist() == [["mvae", "0, 2"]]


def test_perfect_impossible_and_missing_scores_are_flagged_but_not_those_of_controls():
    assert (
        found_by({("oracle", "foscttm"): [0.0, 0.0], ("constant", "foscttm"): [0.5, 0.5]}) == set()
    )
    assert found_by({("mvae", "foscttm"): [0.0, 0.01]}) == {("mvae", "perfect", "foscttm")}
    assert found_by({("mvae", "foscttm"): [0.1, 0.12, -0.2]}) >= {("mvae", "impossible", "foscttm")}
    assert found_by({("mvae", "imputation_skill"): [0.3, 0.31, np.nan]}) == {
        ("mvae", "no number", "imputation_skill")
    }
    assert (
        found_by({("mvae", "foscttm"): [0.02, 0.03, 0.025]}) == set()
    )  # below the label floor is fine


def test_a_score_just_beyond_either_bound_is_impossible_and_one_at_it_is_not():
    for value, message in (
        (1.2, "1.2 is outside the bounds 0.0 to 1.0"),
        (-0.01, "-0.01 is outside the bounds 0.0 to 1.0"),
    ):
        found = suspicious_scores(scores_of({("mvae", "foscttm"): [0.2, value]}), [], ROSTER)
        assert message in found.set_index("check")["message"]["impossible"]
    assert not [
        check
        for _, check, _ in found_by({("mvae", "foscttm"): [1.0, 1.0 + 1e-12]})
        if check == "impossible"
    ]


def test_two_seeds_with_the_same_scores_are_enough_to_ask_whether_the_seed_is_read():
    values = {
        ("mvae", "foscttm"): [0.1, 0.2, 0.1],
        ("cca", "foscttm"): [0.3, 0.2, 0.1],
        ("oracle", "foscttm"): [0, 0, 0],
    }
    found = identical_seeds(scores_of(values | {("cca", "recall_at_10"): [0.3, 0.3, 0.3]}), ROSTER)
    assert found[["run", "seeds"]].values.tolist() == [["mvae", "0, 2"]]


def test_the_interval_over_cells_that_the_gates_ask_is_that_of_student():
    x = np.array([0.1, 0.4, 0.35, 0.9])
    low, high = stats.t.interval(0.95, 3, x.mean(), stats.sem(x))
    np.testing.assert_allclose(half_width(x), (high - low) / 2)


# --- controls that are not where theory puts them -------------------------------------------------------------------------

CELLS = {
    ("d", "paired"): (1600, 400)
}  # four standard errors of a seed's mean are at most 0.1, of four seeds 0.05
IN_PLACE = {
    ("oracle", "foscttm"): [0.0, 0.01],
    ("oracle", "imputation_skill"): [1.0, 1.0],
    ("shuffled", "foscttm"): [0.46, 0.55],
    ("shuffled", "imputation_skill"): [
        -1.0,
        -1.1,
    ],  # its card says that another cell's values are worse than chance
    ("random_latent", "foscttm"): [0.52, 0.45],
    ("constant", "foscttm"): [0.5, 0.5],
    ("train_mean", "imputation_skill"): [0.0, 0.001],
    ("random_latent", "recall_at_10"): [0.9, 0.9],  # states no chance
    ("mvae", "foscttm"): [0.5, 0.5],  # no control
}
OF_CARDS = ROSTER.cards["metrics"]
LACKING = {
    **OF_CARDS,
    "imputation_skill": OF_CARDS["imputation_skill"]
    | {"exempt_from": {"shuffled_is_chance": "is worse"}},
}
WITH_LACKING = RunMetadata(
    cards={**ROSTER.cards, "metrics": LACKING}, methods={"mixed": "shuffled"}
)


def control_checks(values, run_metadata=WITH_LACKING, sizes=CELLS):
    return [
        (row["run"], row["metric"])
        for row in failed_controls(scores_of(values), run_metadata, sizes)
    ]


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
        ("oracle", "foscttm", [0.5, 0.5]),
        ("oracle", "foscttm", [0.03, 0.03]),
        ("oracle", "imputation_skill", [0.9, 0.9]),
    ],
)
def test_a_control_that_is_not_where_theory_puts_it_raises_the_alarm(run, metric, values):
    assert control_checks(IN_PLACE | {(run, metric): values}) == [(run, metric)]


def test_fewer_cells_and_seeds_leave_chance_more_room():
    values = {("shuffled", "foscttm"): [0.42, 0.42]}
    assert control_checks(values, sizes={("d", "paired"): (100, 100)}) == []
    assert control_checks({("shuffled", "foscttm"): [0.42]}, sizes=CELLS) == []
    assert control_checks({("shuffled", "foscttm"): [0.42] * 3}, sizes=CELLS) == [
        ("shuffled", "foscttm")
    ]


def test_the_alarm_names_run_metric_split_and_value_and_comes_first():
    scores = scores_of({("shuffled", "foscttm"): [0.0, 0.0], ("mvae", "foscttm"): [0.5, 0.6]})
    found = sanity.sanity_checks(scores, [], WITH_LACKING, CELLS)
    assert list(found["check"])[0] == "control"
    assert "chance" in set(found["check"])
    display = defaultdict(
        dict, metrics={"foscttm": {"label": "FOSCTTM"}}, datasets={"d": {"label": "Blood"}}
    )
    (sentence,) = alarms(found, Theme(display=display, run_metadata=WITH_LACKING))
    assert sentence.startswith(
        "shuffled, FOSCTTM, Blood, paired: 0.000, but this control knows nothing of a cell and has to be at "
    )
    assert (
        alarms(
            found[found["check"] != "control"], Theme(display=display, run_metadata=WITH_LACKING)
        )
        == []
    )
    assert "chance, 0.5 (within 0.071); the control, the metric or the scoring is wrong" in sentence


def test_a_run_whose_modalities_differ_in_scale_is_named_and_a_control_is_not():
    ratios = {"mvae": [16.2, 2.9, 3.5], "cca": [1.0, 1.1, 2.99], "random_latent": [9.0, 9.0, 9.0]}
    found = normalizations(
        scores_of({(run, "latent_norm_ratio", "rna->atac"): x for run, x in ratios.items()}), ROSTER
    )
    assert found[["run", "check", "seeds"]].to_numpy().tolist() == [
        ["mvae", "normalizations", "0, 2"]
    ]
    assert "16.2 times as long" in found["message"].iloc[0]
    assert "rna->atac" in found["message"].iloc[0]
