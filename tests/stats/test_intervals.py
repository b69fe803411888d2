"""Intervals of means over seeds and cells, against statsmodels, theory and simulation."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from made_up_scores import cells_of, scores_of
from scipy import stats

from mosaicbench.files.scores import CellScores
from mosaicbench.stats.intervals import (
    half_width_over_cells,
    over_cells,
    over_datasets,
    over_directions,
    with_cells,
)
from mosaicbench.stats.means import comparison, headline


def named(values: dict) -> dict:
    return {seed: np.array([f"c{seed}-{i}" for i in range(len(x))]) for seed, x in values.items()}


def test_of_one_seed_it_is_the_t_interval_over_cells():
    x = np.append(np.random.default_rng(3).exponential(1.0, 80), np.nan)
    found = half_width_over_cells({0: x}, named({0: x}))
    low, high = stats.t.interval(0.95, 79, np.nanmean(x), stats.sem(x, nan_policy="omit"))
    np.testing.assert_allclose(found, (high - low) / 2)
    assert np.isnan(half_width_over_cells({0: x[:1]}, named({0: x[:1]})))


def test_of_seeds_with_other_cells_it_is_the_mean_variance_within_seeds():
    random = np.random.default_rng(0)
    values = {seed: seed + random.standard_normal(50) for seed in range(4)}
    expected = 1.96 * np.sqrt(np.mean([x.var(ddof=1) for x in values.values()]) / (50 * 4))
    np.testing.assert_allclose(half_width_over_cells(values, named(values)), expected, rtol=0.02)


def test_a_cell_met_with_several_seeds_counts_once():
    random = np.random.default_rng(0)
    x, cells = random.standard_normal(200), np.arange(200).astype(str)
    once = half_width_over_cells({0: x}, {0: cells})
    np.testing.assert_allclose(
        half_width_over_cells({0: x, 1: x, 2: x}, dict.fromkeys(range(3), cells)), once
    )
    y = {0: x[:150], 1: x[50:] + 1}
    names = {0: cells[:150], 1: cells[50:]}
    stacked = np.concatenate([y[0] - y[0].mean(), y[1] - y[1].mean()])
    groups = np.concatenate([names[0], names[1]]).astype(int)
    fit = sm.OLS(stacked, np.ones(300)).fit(
        cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
    )
    np.testing.assert_allclose(
        half_width_over_cells(y, names), np.diff(fit.conf_int()[0])[0] / 2, rtol=0.01
    )


@pytest.mark.parametrize(("of_seeds", "of_cells"), [(1, 1e-4), (0, 1), (1, 40**0.5)])
@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_hold_the_truth_as_often_as_they_say(of_seeds, of_cells, seeds):
    """The percentile bootstrap that they replace held it in 75 % of cases where 3 seeds differ, and 83 % where 5 do."""
    random = np.random.default_rng(1)
    scores, cells = [], []
    for split in map(str, range(300)):
        x = of_seeds * random.standard_normal((seeds, 1)) + of_cells * random.standard_normal(
            (seeds, 40)
        )
        values = {(seed, "foscttm"): x[seed] for seed in range(seeds)}
        scores.append(scores_of({("mvae", "foscttm"): list(x.mean(axis=1))}, scenario=split))
        cells.append(cells_of("mvae", values, scenario=split))
    found = with_cells(headline(pd.concat(scores, ignore_index=True)), over_cells(cells))
    assert len(found) == 300
    assert 0.91 < np.mean((found["low"] <= 0) & (found["high"] >= 0)) <= 1


def test_intervals_say_what_they_are_made_of():
    random = np.random.default_rng(0)
    x = {seed: random.random(40) for seed in range(3)}
    near = {seed: y - y.mean() + 0.5 + seed * 1e-6 for seed, y in x.items()}
    scores = scores_of(
        {
            ("mvae", "foscttm"): [x[seed].mean() for seed in range(3)],
            ("mvae", "recall_at_10"): [0.1, 0.2, 0.3],
        }
        | {("cca", "foscttm"): [x[0].mean()], ("ridge", "imputation_skill"): [0.5]}
        | {("mmvaepp", "foscttm"): [near[seed].mean() for seed in range(3)]}
    )
    cells = [
        cells_of("mvae", {(seed, "foscttm"): x[seed] for seed in range(3)}),
        cells_of("mmvaepp", {(seed, "foscttm"): near[seed] for seed in range(3)}),
        cells_of("cca", {(0, "foscttm"): x[0]}),
    ]
    for summary in (comparison(scores), headline(scores)):
        plain = summary.set_index(["run", "metric"])
        found = with_cells(summary, over_cells(cells)).set_index(["run", "metric"])
        assert found["interval"].to_dict() == {
            ("mvae", "foscttm"): "t over seeds, at least as wide as over cells",
            ("mvae", "recall_at_10"): "t over seeds",
            ("mmvaepp", "foscttm"): "t over seeds, at least as wide as over cells",
            ("cca", "foscttm"): "t over cells, one seed",
            ("ridge", "imputation_skill"): "none",
        }
        low, high = found.loc[("cca", "foscttm"), ["low", "high"]]
        np.testing.assert_allclose(
            [low, high], stats.t.interval(0.95, 39, x[0].mean(), stats.sem(x[0])), rtol=1e-5
        )
        same, near_seeds = ["low", "high"], ("mmvaepp", "foscttm")
        wide = (
            found.loc[near_seeds, "high"] - found.loc[near_seeds, "low"]
        )  # seeds that are near by chance do not narrow it
        np.testing.assert_allclose(
            wide, 2 * 1.98 * np.sqrt(np.mean([y.var(ddof=1) for y in x.values()]) / 120), rtol=0.01
        )
        for unchanged in (("mvae", "recall_at_10"), ("mvae", "foscttm")):
            pd.testing.assert_series_equal(
                found.loc[unchanged, same].astype(float), plain.loc[unchanged, same].astype(float)
            )
        assert found.loc[("ridge", "imputation_skill"), same].isna().all()
        pd.testing.assert_series_equal(found["mean"], plain["mean"])


def test_the_headline_interval_is_of_the_mean_over_directions():
    x, y = np.random.default_rng(0).random((2, 200)).astype(np.float32)
    scores = scores_of(
        {("mvae", "foscttm", "rna->adt"): [x.mean()], ("mvae", "foscttm", "adt->rna"): [y.mean()]}
    )
    own = CellScores(
        dataset="d",
        scenario="paired",
        run="mvae",
        cells={0: np.arange(200).astype(str)},
        values={(0, "foscttm", "rna->adt", "-"): x, (0, "foscttm", "adt->rna", "-"): y},
    )
    row = with_cells(headline(scores), over_cells([own])).iloc[0]
    mean = (x + y) / 2  # the same cells in both directions
    half = 1.972 * mean.std(ddof=1) / 200**0.5
    np.testing.assert_allclose(
        [row["low"], row["high"]], [mean.mean() - half, mean.mean() + half], atol=1e-4
    )


def test_directions_with_other_cells_each_count_with_all_of_theirs():
    x, y = np.random.default_rng(0).random((2, 200))
    np.testing.assert_array_equal(over_directions([x, y]), (x + y) / 2)
    x[150:], y[:100] = np.nan, np.nan
    found = over_directions([x, y])
    np.testing.assert_allclose(found.mean(), (np.nanmean(x) + np.nanmean(y)) / 2)
    apart = over_directions(
        [np.where(np.arange(200) < 100, x, np.nan), y]
    )  # no cell in both: two means of 100 each
    half = 1.972 * np.sqrt((x[:100].var() + y[100:].var()) / 100) / 2
    np.testing.assert_allclose(
        half_width_over_cells({0: apart}, named({0: apart})), half, rtol=0.01
    )


def test_over_datasets_the_interval_is_welchs_and_needs_seeds_in_each():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(4, 2)), random.normal(1, 3, size=(6, 2))
    low, high, kind = over_datasets({"d": a, "e": b})
    welch = stats.ttest_ind(
        a, -b, equal_var=False
    ).confidence_interval()  # a - (-b) is twice their mean
    np.testing.assert_allclose([low, high], [welch.low / 2, welch.high / 2])
    assert kind == "t over seeds, of these datasets"
    low, high, kind = over_datasets({"d": a})
    np.testing.assert_allclose([low, high], stats.t.interval(0.95, 3, a.mean(0), stats.sem(a)))
    assert kind == "t over seeds"
    low, high, kind = over_datasets({"d": a, "e": b[:1]})
    assert np.isnan(low).all()
    assert kind == "none"
    low, high, _ = over_datasets({"d": np.ones((3, 1))})  # ranked first with every seed
    assert (low, high) == (1, 1)
