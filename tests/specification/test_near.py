"""Votes and counts of cells are those of all distances in float64, though float32 excludes most."""

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal

from mosaicbench.metrics import _nearest
from mosaicbench.metrics._nearest import (
    LEAST,
    count_closer,
    limits_of,
    rough_of,
    votes_of_nearest,
)

CELLS, REFERENCE, KS = 40, 1500, [1, 5, 15, 50]


def on_a_sphere(random, dims, spread):
    """Return cells around far centres, and reference cells at nearly equal distances from them."""
    centres = 3 * random.standard_normal((5, dims))
    directions = random.standard_normal((REFERENCE, dims))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radii = 0.01 * (1 + spread * random.standard_normal((REFERENCE, 1)))
    of_cells, of_reference = random.integers(0, 5, CELLS), random.integers(0, 5, REFERENCE)
    return centres[of_cells], centres[of_reference] + radii * directions


def cases():
    """Return case -> a function: latents of cells and of a reference, (cells, dims) each."""
    random = default_rng(0)
    a, b = random.standard_normal((CELLS, 7)), random.standard_normal((REFERENCE, 7))
    wide = random.standard_normal((CELLS, 101)), random.standard_normal((REFERENCE, 101))
    ends = np.r_[np.zeros(REFERENCE - 2), 1e9, -1e9][:, None]
    one, two = np.ones((1, 7)), np.ones((REFERENCE, 1))
    constant = np.full_like(b, 0.3)
    return {
        "normal": lambda: (a, b),
        "one dimension": lambda: (a[:, :1], b[:, :1]),
        "many dimensions": lambda: wide,
        "duplicates": lambda: (b[:CELLS], b[random.integers(0, 40, REFERENCE)]),
        "ties": lambda: (np.round(a), np.round(b)),
        "collapse": lambda: (constant[:CELLS], constant),
        "collapse but one": lambda: (a, np.vstack([constant[1:], b[:1]])),
        "offset": lambda: (a + 1e4, b + 1e4),
        "distant cells": lambda: (a + 1e6, b),
        "outliers": lambda: (a, b + ends),
        "small differences": lambda: (1 + 1e-9 * a, 1 + 1e-9 * b),
        "large": lambda: (a * 1e100, b * 1e100),
        "small": lambda: (a * 1e-100, b * 1e-100),
        "too small for float64": lambda: (np.c_[two[:CELLS], a * 1e-190], np.c_[two, b * 1e-190]),
        "too small for float32": lambda: (a * 1e-22, np.vstack([b[2:] * 1e-22, one, -one])),
        "approaching": lambda: (1e-3 * a, np.linspace(1, 0, REFERENCE)[:, None] * b),
        "nearly tied, 1e-6": lambda: on_a_sphere(random, 7, 1e-6),
        "nearly tied, 1e-9": lambda: on_a_sphere(random, 20, 1e-9),
    }


CASES = list(cases())


def latents(case):
    return cases()[case]()


def squared_distances(a, b):
    """Return all squared distances, summed as the compiled loops sum them, (cells, reference cells)."""
    squared = np.zeros((len(a), len(b)))
    for k in range(a.shape[1]):
        squared = squared + (a[:, k, None] - b[None, :, k]) ** 2
    return squared


def votes_of_all(a, b, codes, n_codes, ks, left_out):
    """Return votes, shared by ties at the last place, and the nearest of each code, from all distances."""
    squared = squared_distances(a, b)
    rows, at = np.nonzero(left_out >= 0)
    squared[rows, left_out[rows, at]] = np.inf
    votes, nearest = np.zeros((len(a), len(ks), n_codes)), np.full((len(a), n_codes), np.inf)
    for i, row in enumerate(squared):
        for place, k in enumerate(ks):
            last = np.sort(row)[k - 1]
            sure, tied = row < last, row == last
            votes[i, place] = np.bincount(
                codes, weights=sure + tied * (k - sure.sum()) / tied.sum(), minlength=n_codes
            )
        for code in range(n_codes):
            nearest[i, code] = row[(codes == code) & (row <= last)].min(initial=np.inf)
    return votes, nearest


@pytest.mark.parametrize("without", [0, 2])
@pytest.mark.parametrize("case", CASES)
def test_votes_are_those_of_all_distances_in_float64(case, without):
    random = default_rng(1)
    a, b = latents(case)
    codes = random.integers(0, 4, REFERENCE)
    nearest_cells = np.argsort(squared_distances(a, b), axis=1)[:, :without]
    left_out = np.hstack([nearest_cells, np.full((CELLS, 1), -1)])
    votes, nearest = votes_of_all(a, b, codes, 4, KS, left_out)
    ((part, found_votes, found_nearest),) = votes_of_nearest(a, b, codes, 4, KS, left_out)
    assert part == slice(0, 8192)
    assert_array_equal(found_nearest, nearest)
    assert_allclose(found_votes, votes, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_the_bound_in_float32_is_below_half_the_distance(case):
    a, b = latents(case)
    x, y, half = rough_of(a, b)
    limits = (squared_distances(a, b) * half + LEAST).astype(np.float32)
    assert np.abs(x[:, :-2]).max() <= 1 and np.abs(y[:, :-2]).max() <= 1
    assert (x @ y.T <= limits).all()


def pairs(case):
    """Return latents of the same cells; their number fills no block and no four rows."""
    a, b = latents(case)
    return np.resize(a, b.shape)[1:], b[1:]


@pytest.fixture(scope="module", params=CASES)
def measured(request):
    """Return the pairs of a case and all their squared distances."""
    a, b = pairs(request.param)
    return a, b, squared_distances(a, b)


@pytest.mark.parametrize("threads", [1, 3])
def test_counts_are_those_of_all_distances_in_float64(measured, threads, monkeypatch):
    a, b, squared = measured
    monkeypatch.setattr(_nearest.numba, "get_num_threads", lambda: threads)
    match = np.diag(squared)[:, None]
    expected = [
        np.column_stack([(table < match).sum(axis=1), (table == match).sum(axis=1) - 1])
        for table in (squared, squared.T)
    ]
    assert_array_equal(count_closer(a, b), expected)
    rows = default_rng(2).permutation(len(a))[:601]
    assert_array_equal(count_closer(a, b, rows)[0], expected[0][rows])


def test_limits_hold_of_all_distances(measured):
    a, b, squared = measured
    x, y, half = rough_of(a, b)
    bounds = x @ y.T
    for table, bound, h in ((squared, bounds, x[:, -2]), (squared.T, bounds.T, y[:, -1])):
        own = np.diag(table)
        low, high = limits_of(own, h, half, a.shape[1])
        assert (bound >= low[:, None])[table >= own[:, None]].all()
        assert (bound <= high[:, None])[table <= own[:, None]].all()


def test_bounds_decide_about_nearly_all_distances():
    a, b = pairs("normal")
    x, y, half = rough_of(a, b)
    low, high = limits_of(np.square(a - b).sum(axis=1), x[:, -2], half, a.shape[1])
    bounds = x @ y.T
    is_open = (bounds >= low[:, None]) & (bounds <= high[:, None])
    assert is_open.mean() < 0.002  # 1 / 1499 of them are matches
