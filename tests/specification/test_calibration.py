"""Draws of imputed values: what each method draws, and what its score says of calibration, against independent references."""

from itertools import combinations

import numpy as np
import pytest
import torch
from conftest import FEATURES, linear_cells, paired_split
from mosaicbench_fits import fit_one, score_one
from mosaicbench_splits import cut_small, small_dataset
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate
from sklearn.linear_model import Ridge as SklearnRidge
from test_methods import METHODS, fitted, gives
from torch.distributions import NegativeBinomial
from torch.testing import assert_close

from mosaicbench.contract import Normalization
from mosaicbench.files.runs import draws_of, read_imputed
from mosaicbench.files.tables import read_table
from mosaicbench.metrics.calibration import (
    coverage_50,
    coverage_90,
    imputation_crps,
    imputation_crps_skill,
    pit_distance,
    pit_distance_by_bin,
)
from mosaicbench.models.likelihoods import (
    drawn_of_counts,
    expected_lsi,
    expected_values,
)
from mosaicbench.models.minibatch import Minibatch

DRAWING = [method for method in METHODS if gives(method, "draws")]
ALL = np.arange(5)


# --- references ----------------------------------------------------------------------------------------------------------


def of_draws(metric, draws, truth):
    """Return a score of draws of features in units of which the train cells' spread is 1."""
    return metric(draws, truth, np.ones(truth.shape[1]))


def test_crps_of_a_sample_is_the_integral_of_its_definition():
    random = default_rng(1)
    draws, y = random.standard_normal(7), 0.4

    def squared(x):
        return ((draws <= x).mean() - (y <= x)) ** 2

    points = np.sort([*draws, y])
    integral = sum(
        integrate.quad(squared, a, b)[0] for a, b in zip(points, points[1:], strict=False)
    )
    spread = np.abs(draws[:, None] - draws).sum()
    unfair = spread / (
        2 * 7 * 7
    )  # the integral takes half the mean over all pairs, a draw with itself among them
    fair = integral + unfair - spread / (2 * 7 * 6)
    assert of_draws(imputation_crps, draws[None, None], np.array([[y]])) == pytest.approx(
        fair, abs=1e-8
    )


def test_crps_skill_is_over_draws_from_all_cells():
    random = default_rng(3)
    truth, draws = random.standard_normal((30, 2)), random.standard_normal((30, 2, 7))
    of_all = [np.mean([abs(a - b) for a, b in combinations(y, 2)]) / 2 for y in truth.T]
    own = of_draws(imputation_crps, draws, truth)
    skill = of_draws(imputation_crps_skill, draws, truth)
    assert skill == pytest.approx(1 - own / np.mean(of_all))


def naive_places(draws, y):
    """Return the share of orders of draws and truth, ties at random, in which the truth has each place."""
    below, tied = np.sum(draws < y), np.sum(draws == y)
    shares = np.zeros(len(draws) + 1)
    shares[below : below + tied + 1] = 1 / (tied + 1)
    return shares


def test_coverage_and_pit_are_those_of_places_counted_one_by_one():
    random = default_rng(2)
    draws = random.integers(0, 6, (30, 4, 39)).astype(float)
    truth = random.integers(-1, 8, (30, 4)).astype(float)
    shares = np.empty((30, 4, 40))
    for place in np.ndindex(30, 4):
        shares[place] = naive_places(draws[place], truth[place])
    assert of_draws(coverage_50, draws, truth) == pytest.approx(shares[..., 10:30].sum(-1).mean())
    assert of_draws(coverage_90, draws, truth) == pytest.approx(shares[..., 2:38].sum(-1).mean())
    assert_allclose(
        of_draws(pit_distance_by_bin, draws, truth),
        shares.reshape(30, 4, 10, 4).sum((0, 1, 3)),
        atol=1e-9,
    )
    below = np.cumsum(shares.mean(0), -1)[:, :-1]  # (features, levels)
    assert of_draws(pit_distance, draws, truth) == pytest.approx(
        np.abs(below - np.arange(1, 40) / 40).mean()
    )


def test_what_single_precision_tore_apart_is_equal():
    """Zeros among zeros, standardised and taken back, are a little more or less than 0; and that is no fault of a draw."""
    random = default_rng(4)
    truth = np.log1p(random.poisson(0.3, (3000, 3)))  # mostly zeros
    std, mean = truth.std(0), truth.mean(0)
    drawn = np.stack([random.permutation(truth) for _ in range(39)], -1)
    there = ((drawn - mean[:, None]) / std[:, None]).astype(np.float32)
    back = there * std[:, None].astype(np.float32) + mean[:, None].astype(np.float32)
    assert not np.array_equal(back == 0, drawn == 0)
    assert pit_distance(back, truth, std) < 0.02
    assert coverage_50(back, truth, std) == pytest.approx(0.5, abs=0.02)
    bins = pit_distance_by_bin(back, truth, std)
    assert bins.max() < 1.05 * bins.min()


@pytest.mark.parametrize(
    "metric",
    [imputation_crps, imputation_crps_skill, pit_distance, coverage_90],
)
def test_no_score_depends_on_the_unit_of_a_feature(metric):
    random, units = default_rng(5), np.array([1, 10, 0.01, 500])
    truth, std = random.standard_normal((50, 4)), np.array([1, 2, 1, 0.5])
    draws = 0.5 * truth[:, :, None] + random.standard_normal((50, 4, 39))
    assert metric(draws * units[:, None], truth * units, std * units) == pytest.approx(
        metric(draws, truth, std), rel=1e-9
    )


# --- methods -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", DRAWING)
def test_draws_have_their_shape_and_depend_on_the_seed_alone(method):
    query, features = linear_cells(20, seed=5, name="query"), np.array([4, 1, 2])
    instance = fitted(method, paired_split(), query)
    first, again, other = (
        instance.draw(query.only("rna"), "adt", features, 7, seed) for seed in (1, 1, 2)
    )
    assert first.shape == (20, 3, 7)
    assert np.isfinite(first).all()
    assert_array_equal(first, again)
    assert np.array_equal(first, other) == (method == "train_mean")
    assert (np.ptp(first, axis=2) == 0).all() == (method == "train_mean")
    more = instance.draw(query.only("rna"), "adt", np.arange(FEATURES["adt"]), 400, 1).mean(2)
    if method not in ("shuffled", "oracle", "celltype_mean"):
        imputed = instance.impute(query.only("rna"), "adt")
        assert np.abs(more - imputed).mean() < 0.35 * query.values["adt"].std()


@pytest.mark.parametrize("method", ["ridge", "oracle", "shuffled"])
def test_draws_that_are_calibrated_by_construction_are(method):
    query = linear_cells(200, seed=7, name="query")
    instance, truth = fitted(method, paired_split(400), query), query.values["adt"][:, ALL]
    draws = instance.draw(query.only("rna"), "adt", ALL, 39, 0)
    assert of_draws(coverage_50, draws, truth) == pytest.approx(0.5, abs=0.06)
    assert of_draws(coverage_90, draws, truth) == pytest.approx(0.9, abs=0.04)
    assert of_draws(pit_distance, draws, truth) < 0.06
    if method == "shuffled":
        assert of_draws(imputation_crps_skill, draws, truth) == pytest.approx(0, abs=0.06)


def test_draws_of_a_vae_spread_as_its_posterior_and_its_likelihood_do():
    query = linear_cells(2, seed=5, name="query")
    model = fitted("mvae", paired_split(), query, private=2, max_epochs=3)
    torch.nn.init.constant_(
        model.decoders["adt"].spread, -10
    )  # the smallest: else noise hides what the posterior does
    often = query.only("rna").take(np.repeat([0, 1], 200))
    draws = torch.from_numpy(model.draw(often, "adt", ALL, 100, 0)).reshape(2, 200, 5, 100)
    with torch.no_grad():
        shared = model.posterior(Minibatch({"rna": torch.from_numpy(query.values["rna"])}))
        z = torch.cat([shared.sample((20_000,)), torch.randn(20_000, 2, 2)], -1)
        p = model.decoders["adt"](z.reshape(-1, z.shape[-1]))
        means = p.mean.reshape(20_000, 2, -1)[:, :, ALL]
    of_posterior, of_likelihood = means.var(0), p.stddev[0, ALL] ** 2
    assert of_posterior.min() > of_likelihood.max()
    assert_close(draws.mean((1, 3)), means.mean(0), atol=0.01, rtol=0)
    assert_close(draws.var((1, 3)), of_posterior + of_likelihood, atol=0, rtol=0.06)


def test_residuals_of_ridge_are_those_of_fits_without_the_cell():
    train = paired_split(60)
    ridge = fitted("ridge", train, train.blocks[0], components=6)
    (block,), (components, linear) = train.blocks, ridge.regression["rna", "adt"]
    z, y = components.transform(block.values["rna"]), block.values["adt"]
    refitted = []
    for i in range(60):
        others = SklearnRidge(linear.alpha_).fit(np.delete(z, i, 0), np.delete(y, i, 0))
        refitted.append(y[i] - others.predict(z[[i]])[0])
    kept = ridge.residuals["rna", "adt"]
    assert kept.shape == y.shape
    assert_allclose(np.sort(kept, axis=0), np.sort(refitted, axis=0), atol=1e-4)
    seen = y - linear.predict(z)
    assert kept.var() > seen.var()  # a fit is too near to the cells that it has seen


def test_draws_of_knn_are_values_of_its_neighbours():
    query = linear_cells(9, seed=5, name="query")
    knn = fitted("knn_impute", paired_split(), query)
    draws = knn.draw(query.only("rna"), "adt", ALL, 300, 0)
    neighbors = knn._neighbors(query.only("rna"))
    for cell in range(9):
        values = knn.values["adt"][neighbors[cell]][:, ALL]  # (neighbours, features)
        assert_array_equal(np.unique(draws[cell], axis=1), np.unique(values.T, axis=1))


def scale(kind, features, peaks=0):
    random = default_rng(0)
    lsi = {}
    if peaks:
        loadings = random.standard_normal((peaks, features))
        lsi = {"mean_if_accessible": random.random(peaks), "loadings": loadings}
    return Normalization(
        kind=kind,
        mean=random.random(features),
        std=0.5 + random.random(features),
        library_size=300.0,
        fraction=np.full(peaks or features, 1 / (peaks or features)),
        accessible=np.full(peaks or features, 0.3),
        **lsi,
    )


@pytest.mark.parametrize(("normalization", "peaks"), [("lognorm", 0), ("clr", 0), ("lsi", 30)])
def test_the_mean_of_drawn_counts_is_what_is_expected(normalization, peaks):
    known = scale(normalization, 60 if normalization == "clr" else 6, peaks)
    torch.manual_seed(0)
    mean = torch.linspace(0.2, 12, peaks or len(known.mean)).expand(20_000, -1)
    counts = NegativeBinomial(torch.tensor(2.0), logits=torch.log(mean / 2), validate_args=False)
    columns = torch.tensor([5, 0, 3])
    found = drawn_of_counts(counts, known, columns).mean(0)
    expected = expected_values(counts, known)[0, columns]
    assert_allclose(found, expected, atol=0.05)


def test_drawn_peaks_have_the_mean_that_is_expected():
    known, chance = scale("lsi", 6, 30), torch.rand(30, generator=torch.manual_seed(0))
    drawn, columns = torch.bernoulli(chance.expand(20_000, -1)), torch.tensor([4, 1])
    found = expected_lsi(drawn, known, columns).mean(0)
    assert_allclose(found, expected_lsi(chance[None], known)[0, [4, 1]], atol=0.05)


# --- files ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return cut_small(small_dataset(), "paired", tmp_path_factory.mktemp("split"))


@pytest.mark.parametrize("method", ["oracle", "train_mean"])
def test_a_run_has_draws_that_its_scores_speak_of(split, tmp_path, method):
    record = fit_one(split, tmp_path, method)
    assert "draw" in record["seconds"]
    imputed = read_imputed(tmp_path / "imputed.h5mu")
    draws = draws_of(imputed, "left->right")
    assert set(draws.cells) <= set(imputed["left->right"].obs_names)
    if method == "train_mean":
        values = np.asarray(imputed["left->right"][list(draws.cells)].X)[:, draws.features]
        assert_allclose(draws.values, np.repeat(values[:, :, None], 39, axis=2), rtol=1e-5)
    values = score_one(split, tmp_path, ["calibration"])
    values = values.set_index(["metric", "direction"])["value"]
    bins = read_table(tmp_path / "features.tsv").query(
        "metric == 'pit_histogram' and direction == 'left->right'"
    )["value"]
    assert bins.sum() == pytest.approx(draws.values.shape[0] * draws.values.shape[1])
    if method == "oracle":
        assert values["coverage_90", "left->right"] == pytest.approx(0.9, abs=0.05)
        assert values["imputation_crps", "left->right"] < 0.15
    if method == "train_mean":
        assert values["coverage_90", "left->right"] < 0.01
    assert values["imputation_crps_skill", "left->right"] <= 1
