"""Estimates without truth: what is observed of constructed latents, and the curves that score it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mosaicbench.scoring import trust

TYPES = np.repeat([-1.0, 1.0], 40)


def of_types(signs, seed=0):
    """Return latents of two distant types: -1 and 1 are their places."""
    noise = np.random.default_rng(seed).normal(scale=0.1, size=(len(signs), 3))
    return noise + 10 * signs[:, None]


def linked(signs=TYPES):
    """Return a gene and its protein, which differ between the types alone."""
    return signs[:, None], signs[:, None]


def test_a_match_carries_all_of_the_linked_signal_and_leads_back():
    z = of_types(TYPES)
    found = trust.features(z, z, linked())
    assert_allclose([found["across"], found["own"], found["way_back"]], [1, 1, 0], atol=1e-9)
    assert_allclose(found["index"], 1, atol=1e-9)
    assert trust.estimates(found["index"])["foscttm"][0] < 0.2


def test_exchanged_types_mix_as_well_as_a_match_but_are_called_bad():
    match = trust.features(of_types(TYPES), of_types(TYPES, seed=1), linked())
    exchanged = trust.features(of_types(TYPES), of_types(-TYPES, seed=1), linked())
    assert_allclose(exchanged["mixing"], match["mixing"], atol=0.05)
    assert_allclose([exchanged["across"], exchanged["own"]], [-1, 1], atol=1e-9)
    assert exchanged["index"] < -0.5
    assert trust.estimates(exchanged["index"])["foscttm"][0] >= trust.BAD
    assert "index" not in trust.features(of_types(TYPES), of_types(-TYPES, seed=1))


def test_random_latents_carry_nothing():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 1000, 5))
    found = trust.features(a, b, tuple(random.normal(size=(2, 1000, 20))))
    assert_allclose([found["across"], found["own"]], 0, atol=0.05)
    assert_allclose(found["mixing"], 0.5, atol=0.02)


def test_no_way_leads_back_from_a_modality_in_one_place():
    z = of_types(TYPES)
    found = trust.features(z, np.full_like(z, 10), linked())
    assert_allclose(found["way_back"], 0.5, atol=1e-9)
    assert_allclose(found["index"], 0, atol=1e-9)


def test_the_order_of_cells_says_nothing():
    random = np.random.default_rng(0)
    a, b, x, y = random.normal(size=(4, 300, 4))
    order = random.permutation(300)
    shuffled = trust.features(a, b[order], (x, y[order]))
    for name, value in trust.features(a, b, (x, y)).items():
        tolerance = 0.02 if name == "mixing" else 1e-9  # which leaves out one other cell
        assert_allclose(shuffled[name], value, atol=tolerance)


@pytest.mark.parametrize(("score", "sign"), [("foscttm", -1), ("label_transfer_skill", 1)])
def test_an_estimate_is_monotone_and_exact_at_the_knots_of_its_curve(score, sign):
    knots = trust.calibration()
    knots = knots[knots["score"] == score]
    said = [trust.estimates(value)[score] for value in np.linspace(-2, 3, 101)]
    assert (sign * np.diff([middle for middle, _, _ in said]) >= 0).all()
    assert all(low <= middle <= high <= 1 for middle, low, high in said)
    last = knots.iloc[-1]
    middle, low, high = trust.estimates(last["index"])[score]
    assert middle == last["estimate"] and trust.estimates(9)[score][0] == middle
    at_the_least = max(middle - last["half_width"], 0 if score == "foscttm" else -9)
    assert_allclose([low, high], [at_the_least, min(middle + last["half_width"], 1)])


def test_accuracy_starts_at_the_share_of_the_most_frequent_type():
    assert_allclose([trust.accuracy(skill, 0.3) for skill in (0, 0.5, 1, -1)], [0.3, 0.65, 1, 0])
