"""Layouts and clusters of a table's rows."""

import random

import numpy as np
import pytest

from mosaicbench.commands._umap import NEIGHBORS, Neighbourhood


@pytest.fixture(scope="module")
def clouds():
    """Three clouds of different sizes, (rows, dims), and whose each row is."""
    rng = np.random.default_rng(0)
    whose = np.repeat([0, 1, 2], [80, 60, 40])
    return rng.normal(size=(180, 6)) + 12 * np.eye(6)[whose], whose


def test_clouds_stay_apart_and_are_the_clusters(clouds):
    z, whose = clouds
    found = Neighbourhood.of(z)
    xy = found.layout(0)
    centres = np.array([xy[whose == cloud].mean(axis=0) for cloud in range(3)])
    assert (((xy[:, None] - centres) ** 2).sum(-1).argmin(1) == whose).all()
    clusters = found.clusters(0)
    assert all(len(set(whose[clusters == cluster])) == 1 for cluster in set(clusters))
    assert (np.diff(np.bincount(clusters)) <= 0).all()  # the largest is called 0


@pytest.mark.parametrize("unit", [1e-6, 1, 1e6])
def test_weights_are_umaps_whatever_the_unit(clouds, unit):
    """A row's weights fall exponentially beyond its nearest neighbour, at a rate that makes their sum log2 of their number."""
    z = np.vstack([clouds[0], [[500.0] * 6]]) * unit  # a row far from all is nobody's neighbour: its weights are its own
    found = Neighbourhood.of(z)
    own, weights = found.distances[-NEIGHBORS:], found.weights()[-NEIGHBORS:]
    rate = -np.log(weights[-1]) / own[-1]
    np.testing.assert_allclose(weights, np.exp(-rate * own), rtol=5e-3)
    assert weights.sum() == pytest.approx(np.log2(NEIGHBORS), abs=0.05)


def test_a_seed_decides_and_nothing_else_is_drawn_from(clouds):
    found = Neighbourhood.of(clouds[0])
    random.seed(5)
    expected = random.random()
    random.seed(5)
    layouts = [found.layout(seed) for seed in (1, 1, 2)]
    found.clusters(1)
    assert random.random() == expected
    np.testing.assert_array_equal(layouts[0], layouts[1])
    assert not np.array_equal(layouts[0], layouts[2])


@pytest.mark.parametrize("z", [np.zeros((30, 4)), np.ones((2, 3)), np.arange(5.0)[:, None]], ids=["equal", "two", "line"])
def test_rows_that_are_hardly_a_table_have_a_place(z):
    found = Neighbourhood.of(z)
    assert np.isfinite(found.layout(0)).all()
    assert found.clusters(0).shape == (len(z),)
