"""Sentinels: scores at chance, perfect ones, impossible ones and missing ones are found, and no others."""

import numpy as np
from made_up_scores import ROSTER, scores_of

from mosaicbench.statistics.sentinels import suspicious_scores


def found_by(values: dict) -> set[tuple[str, str, str]]:
    scores = scores_of(values)
    found = suspicious_scores(scores, ROSTER)
    return set(zip(found["run"], found["gate"], found["metric"], strict=True))


def test_a_score_that_cannot_be_told_from_chance_is_flagged():
    assert found_by({("mvae", "foscttm"): [0.49, 0.52, 0.47], ("cca", "foscttm"): [0.30, 0.31, 0.29]}) == {
        ("mvae", "chance", "foscttm")
    }
    assert found_by({("mvae", "foscttm"): [0.45]}) == set()  # one seed: only what is not better than chance
    assert found_by({("mvae", "foscttm"): [0.5]}) == {("mvae", "chance", "foscttm")}
    assert found_by({("mvae", "foscttm"): [0.5, 0.5, 0.5]}) == {("mvae", "chance", "foscttm")}


def test_without_a_number_for_chance_the_strongest_negative_control_is_it():
    control = {
        ("constant", "label_transfer_accuracy"): [0.5, 0.5, 0.5],
        ("random_latent", "label_transfer_accuracy"): [0.2, 0.2, 0.2],
    }
    beaten = {("mvae", "label_transfer_accuracy"): [0.48, 0.55, 0.49], ("cca", "label_transfer_accuracy"): [0.7, 0.72, 0.71]}
    assert found_by(control | beaten) == {("mvae", "chance", "label_transfer_accuracy")}
    assert found_by(beaten) == set()  # nothing to compare with


def test_perfect_impossible_and_missing_scores_are_flagged_but_not_those_of_controls():
    assert found_by({("oracle", "foscttm"): [0.0, 0.0], ("constant", "foscttm"): [0.5, 0.5]}) == set()
    assert found_by({("mvae", "foscttm"): [0.0, 0.01]}) == {("mvae", "perfect", "foscttm")}
    assert found_by({("mvae", "foscttm"): [0.1, 0.12, -0.2]}) >= {("mvae", "impossible", "foscttm")}
    assert found_by({("mvae", "imputation_skill"): [0.3, 0.31, np.nan]}) == {("mvae", "no number", "imputation_skill")}
    assert found_by({("mvae", "foscttm"): [0.02, 0.03, 0.025]}) == set()  # below the label floor is fine
