"""Bootstrap intervals, against scipy's and against theory."""

import numpy as np
import pandas as pd
import pytest
from made_up_scores import cells_of, scores_of
from scipy import stats

from mosaicbench.files.scores import CellScores
from mosaicbench.statistics.bootstrap import intervals_over_cells, percentiles, resampled, with_intervals
from mosaicbench.statistics.summary import comparison, headline


def test_with_one_unit_the_bootstrap_is_scipys():
    x = np.random.default_rng(3).exponential(1.0, 80)
    low, high = percentiles(resampled({0: x[:, None]}, replicates=20_000))
    expected = stats.bootstrap((x,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1))
    np.testing.assert_allclose([low[0], high[0]], expected.confidence_interval, atol=0.01)


def test_the_spread_over_units_and_rows_is_what_theory_says():
    """Var of the replicate mean: (mean square between units)/S + the mean of var within / (n S), both with divisor n."""
    random = np.random.default_rng(0)
    values = {seed: seed + random.standard_normal((50, 1)) for seed in range(4)}
    found = resampled(values, replicates=40_000).var()
    means = np.array([x.mean() for x in values.values()])
    within = np.mean([x.var() / 50 for x in values.values()])
    np.testing.assert_allclose(found, means.var() / 4 + within / 4, rtol=0.05)


@pytest.mark.parametrize(("seeds_differ", "least", "most"), [(True, 0.65, 0.80), (False, 0.95, 1.0)])
def test_coverage_with_three_seeds_is_what_the_documentation_says(seeds_differ, least, most):
    random = np.random.default_rng(1)
    covered = []
    for repeat in range(300):
        sd_of_seeds, sd_of_cells = (1, 1e-4) if seeds_differ else (0, 1)
        values = {s: sd_of_seeds * random.standard_normal() + sd_of_cells * random.standard_normal((40, 1)) for s in range(3)}
        low, high = percentiles(resampled(values, replicates=300, seed=repeat))
        covered.append(low[0] <= 0 <= high[0])
    assert least < np.mean(covered) <= most


def test_columns_share_their_draws_and_rows_without_a_value_are_left_out():
    x = np.random.default_rng(0).standard_normal((30, 1))
    replicates = resampled({0: np.hstack([x, x + 1]), 1: np.hstack([2 * x, 2 * x + 1])})
    np.testing.assert_allclose(replicates[:, 1] - replicates[:, 0], 1)
    holes = np.vstack([x, np.full((5, 1), np.nan)])
    whole, holed = (resampled({0: y}, replicates=20_000) for y in (x, holes))
    np.testing.assert_allclose(whole.mean(), np.nanmean(holed), atol=0.01)
    np.testing.assert_allclose(whole.std(), np.nanstd(holed), rtol=0.05)


def test_intervals_say_what_they_are_made_of():
    random = np.random.default_rng(0)
    x = {seed: random.random(40) for seed in range(3)}
    scores = scores_of(
        {("mvae", "foscttm"): [x[seed].mean() for seed in range(3)], ("mvae", "recall_at_10"): [0.1, 0.2, 0.3]}
        | {("cca", "foscttm"): [x[0].mean()], ("ridge", "imputation_skill"): [0.5]}
    )
    cells = [
        cells_of("mvae", {(seed, "foscttm"): x[seed] for seed in range(3)}),
        cells_of("cca", {(0, "foscttm"): x[0]}),
    ]
    for summary in (comparison(scores), headline(scores)):
        plain = summary.set_index(["run", "metric"])
        found = with_intervals(summary, intervals_over_cells(cells)).set_index(["run", "metric"])
        assert found["interval"].to_dict() == {
            ("mvae", "foscttm"): "bootstrap cells x seeds",
            ("mvae", "recall_at_10"): "t over seeds",
            ("cca", "foscttm"): "bootstrap cells, one seed",
            ("ridge", "imputation_skill"): "none",
        }
        low, high = found.loc[("cca", "foscttm"), ["low", "high"]]
        expected = stats.bootstrap((x[0].astype(np.float32),), np.mean, method="percentile", rng=np.random.default_rng(1))
        np.testing.assert_allclose([low, high], expected.confidence_interval, atol=0.02)
        assert found.loc[("mvae", "foscttm"), "low"] < plain.loc[("mvae", "foscttm"), "mean"]
        same = ["low", "high"]
        pd.testing.assert_series_equal(found.loc[("mvae", "recall_at_10"), same], plain.loc[("mvae", "recall_at_10"), same])
        assert found.loc[("ridge", "imputation_skill"), same].isna().all()
        pd.testing.assert_series_equal(found["mean"], plain["mean"])


def test_the_headline_interval_is_of_the_mean_over_directions():
    x, y = np.random.default_rng(0).random((2, 200)).astype(np.float32)
    scores = scores_of({("mvae", "foscttm", "rna->adt"): [x.mean()], ("mvae", "foscttm", "adt->rna"): [y.mean()]})
    own = CellScores(
        dataset="d",
        scenario="paired",
        run="mvae",
        cells={0: np.arange(200).astype(str)},
        values={(0, "foscttm", "rna->adt", "-"): x, (0, "foscttm", "adt->rna", "-"): y},
    )
    row = with_intervals(headline(scores), intervals_over_cells([own])).iloc[0]
    mean = (x + y) / 2  # the same cells in both directions, so they are drawn together
    half = 1.96 * mean.std() / 200**0.5
    np.testing.assert_allclose([row["low"], row["high"]], [mean.mean() - half, mean.mean() + half], atol=0.005)
