"""The noise of counting, against counts that are drawn again and again from known rates."""

import sys

import numpy as np
import pytest
from anndata import AnnData
from conftest import REPOSITORY
from numpy.random import default_rng
from scipy import sparse

from mosaicbench.data.normalize import Preprocessing
from mosaicbench.scoring.noise import counting_noise, has_molecules

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import alignment_bound  # noqa: E402
import noise_ceiling  # noqa: E402

CELLS, DRAWS = 300, 100


def counted(counts, kind):
    cells = AnnData(shape=np.shape(counts), uns={"kind": kind, "values": "counts"})
    cells.layers["counts"] = sparse.csr_matrix(counts, dtype=np.float32)
    return cells


def rates_of(kind, depth):
    random = default_rng(1)
    features = {"rna": 200, "atac": 400, "adt": 30}[kind]
    share = random.gamma(0.5, 1, features) * random.gamma(0.5, 2, (CELLS, features))
    if kind == "adt":
        share += 0.2
    return depth * share / share.mean() * random.gamma(5, 0.2, (CELLS, 1))


@pytest.mark.parametrize(
    ("kind", "depth"),
    [("rna", 0.2), ("rna", 20), ("atac", 0.05), ("atac", 0.5), ("adt", 3)],
)
def test_noise_is_the_variance_of_values_that_are_drawn_again(kind, depth):
    random, rates = default_rng(2), rates_of(kind, depth)
    fitted = Preprocessing.fit(counted(random.poisson(rates), kind))

    def transformed():
        return fitted.transform(counted(random.poisson(rates), kind))

    def values(cells):
        return cells.obsm["X_lsi"] if kind == "atac" else cells.to_df().to_numpy()

    true = np.var([values(transformed()) for _ in range(DRAWS)], axis=0, ddof=1).mean(axis=0)
    tables = [transformed() for _ in range(10)]
    noise = [np.asarray(counting_noise(cells).mean(axis=0)).ravel() for cells in tables]
    found = np.mean(noise, axis=0)
    assert found.sum() == pytest.approx(true.sum(), rel=0.03)
    assert np.abs(found - true).mean() < 0.08 * true.mean()


def test_values_without_molecules_have_no_noise():
    binary = counted(default_rng(0).random((30, 40)) < 0.5, "atac")
    assert not has_molecules(Preprocessing.fit(binary).transform(binary))
    counts = counted(default_rng(0).poisson(2, (30, 40)), "atac")
    assert has_molecules(Preprocessing.fit(counts).transform(counts))
    raw = Preprocessing.fit(counts, transform="raw_svd")
    assert not has_molecules(raw.transform(counts))
    values = AnnData(shape=(30, 4), uns={"kind": "continuous", "values": "continuous"})
    values.layers["continuous"] = default_rng(0).random((30, 4))
    assert not has_molecules(Preprocessing.fit(values).transform(values))


@pytest.mark.parametrize(("modality", "depth"), [("rna", 1), ("atac", 0.2), ("adt", 0.2)])
def test_a_predictor_that_knows_the_rates_reaches_the_ceilings_and_no_more(
    modality, depth, monkeypatch
):
    monkeypatch.setattr(noise_ceiling, "BOOTSTRAPS", 10)
    pearson, skill = noise_ceiling.repeat(modality, depth, 0)
    assert skill["ceiling"] == pytest.approx(skill["compared"], abs=3 * skill["se"])
    assert -3 * pearson["se"] < pearson["ceiling"] - pearson["compared"] < 0.04


@pytest.mark.parametrize("modality", ["rna", "atac"])
def test_no_matcher_that_knows_the_true_states_is_below_the_bound_of_alignment(modality):
    found = alignment_bound.repeat(modality, 0.2, 0)
    for way in ("state finds cell", "cell finds state"):
        assert found[way] <= found[f"{way}, true"] < 0.02


def test_the_bound_of_alignment_is_near_chance_where_all_variance_is_noise():
    random = default_rng(0)
    found = alignment_bound.bounds(random.normal(size=(400, 5)), np.ones((400, 5)), random)
    assert all(0.3 < value < 0.6 for value in found.values())
