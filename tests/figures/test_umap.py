"""Layouts and clusters of a table's rows."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY
from numpy.random import default_rng
from numpy.testing import assert_array_equal

from mosaicbench.commands._umap import NEIGHBORS, laid_out, leiden_clusters, neighbourhood


@pytest.fixture(scope="module")
def clouds():
    """Three clouds of different sizes, (rows, dims), and the cloud of each row."""
    rng = default_rng(0)
    cloud_of = np.repeat([0, 1, 2], [80, 60, 40])
    return rng.normal(size=(180, 6)) + 12 * np.eye(6)[cloud_of], cloud_of


def test_clouds_stay_apart_and_are_the_clusters(clouds):
    z, cloud_of = clouds
    found = neighbourhood(z)
    xy = laid_out(found, 0)
    centres = np.array([xy[cloud_of == cloud].mean(axis=0) for cloud in range(3)])
    assert (((xy[:, None] - centres) ** 2).sum(-1).argmin(1) == cloud_of).all()
    clusters = leiden_clusters(found, 0)
    assert all(len(set(cloud_of[clusters == cluster])) == 1 for cluster in set(clusters))
    assert (np.diff(np.bincount(clusters)) <= 0).all()  # the largest is called 0


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_neighbours_are_the_nearest_rows_whatever_the_unit(clouds, unit):
    z, _ = clouds
    graph = neighbourhood(z * unit).obsp["distances"]
    nearest = np.argsort(((z[:, None] - z) ** 2).sum(-1), axis=1)[:, 1:NEIGHBORS]
    for row, expected in enumerate(nearest):
        assert set(graph[row].indices) - {row} == set(expected)


def test_a_seed_decides_and_nothing_else_is_drawn_from(clouds):
    found = neighbourhood(clouds[0])
    draws = {random: random.random, np.random: np.random.random}
    for generator in draws:
        generator.seed(5)
    expected = [draw() for draw in draws.values()]
    for generator in draws:
        generator.seed(5)
    layouts = [laid_out(found, seed) for seed in (1, 1, 2)]
    leiden_clusters(found, 1)
    assert [draw() for draw in draws.values()] == expected
    assert_array_equal(layouts[0], layouts[1])
    assert not np.array_equal(layouts[0], layouts[2])
    again = laid_out(neighbourhood(clouds[0]), 1)
    assert_array_equal(layouts[0], again)  # whatever was laid out before


@pytest.mark.parametrize(
    "z", [np.zeros((30, 4)), np.ones((2, 3)), np.eye(4), np.arange(5.0)[:, None]]
)
def test_rows_that_are_hardly_a_table_have_a_place(z):
    found = neighbourhood(z)
    assert np.isfinite(laid_out(found, 0)).all()
    assert leiden_clusters(found, 0).shape == (len(z),)


LISTENING = """
from numba.core import event
import numpy as np

class Compiled(event.Listener):
    functions = []

    def on_start(self, compiling):
        self.functions.append(str(compiling.data["dispatcher"]))

    def on_end(self, compiling):
        pass

event.register("numba:compile", Compiled())

from mosaicbench.commands._umap import laid_out, neighbourhood
from mosaicbench.metrics._nearest import scib

z = np.random.default_rng(0).random((40, 3))
laid_out(neighbourhood(z), 0)
scib("silhouette_label", z, np.repeat([0, 1], 20))
print(Compiled.functions)
"""


def test_a_second_process_that_lays_out_or_asks_scib_metrics_compiles_nothing():
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    for _ in range(2):  # the first may be the first on this machine
        command = [sys.executable, "-c", LISTENING]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        if ended.stdout.splitlines()[-1] == "[]":
            return
    pytest.fail(ended.stdout)
