"""Intervals of means over seeds and cells, against statsmodels, theory and simulation."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from made_up_scores import cells_of, scores_of
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from mosaicbench.files.scores import CellScores
from mosaicbench.stats.intervals import (
    half_width_over_cells,
    over_cells,
    over_datasets,
    over_directions,
    prediction_interval,
    with_cells,
)
from mosaicbench.stats.means import comparison, headline


def half_width(values):
    """Return the half width of seeds with other cells in each."""
    names = {seed: np.array([f"c{seed}-{i}" for i in range(len(x))]) for seed, x in values.items()}
    return half_width_over_cells(values, names)


def t_half_width(x):
    return stats.t.ppf(0.975, len(x) - 1) * stats.sem(x)


def test_of_one_seed_it_is_the_t_interval_over_cells():
    x = default_rng(3).exponential(1.0, 80)
    assert_allclose(half_width({0: np.append(x, np.nan)}), t_half_width(x))
    assert np.isnan(half_width({0: x[:1]}))
    summary = headline(scores_of({("cca", "foscttm"): [x.mean()]}))
    row = with_cells(summary, over_cells([cells_of("cca", {(0, "foscttm"): x})])).iloc[0]
    assert row["interval"] == "t over cells, one seed"
    assert (row["high"] - row["low"]) / 2 == pytest.approx(t_half_width(x), rel=1e-5)


def test_a_cell_met_with_several_seeds_counts_once():
    x, cells = default_rng(0).standard_normal(200), np.arange(200).astype(str)
    thrice = half_width_over_cells({0: x, 1: x, 2: x}, dict.fromkeys(range(3), cells))
    assert_allclose(thrice, t_half_width(x))
    y, names = {0: x[:150], 1: x[50:] + 1}, {0: cells[:150], 1: cells[50:]}
    stacked = np.concatenate([y[0] - y[0].mean(), y[1] - y[1].mean()])
    by_cell = {"groups": np.concatenate([names[0], names[1]]).astype(int)}
    fit = sm.OLS(stacked, np.ones(300)).fit(cov_type="cluster", cov_kwds=by_cell, use_t=True)
    expected = np.diff(fit.conf_int()[0])[0] / 2
    assert_allclose(half_width_over_cells(y, names), expected, rtol=0.01)


@pytest.mark.parametrize(
    ("of_seeds", "of_cells", "seeds"), [(1, 1e-4, 5), (0, 1, 3), (1, 40**0.5, 3)]
)
def test_intervals_hold_the_truth_as_often_as_they_say(of_seeds, of_cells, seeds):
    random = default_rng(1)
    scores, cells = [], []
    for split in map(str, range(300)):
        x = of_seeds * random.standard_normal((seeds, 1))
        x = x + of_cells * random.standard_normal((seeds, 40))
        scores.append(scores_of({("mvae", "foscttm"): list(x.mean(axis=1))}, scenario=split))
        values = {(seed, "foscttm"): x[seed] for seed in range(seeds)}
        cells.append(cells_of("mvae", values, scenario=split))
    table = with_cells(headline(pd.concat(scores, ignore_index=True)), over_cells(cells))
    assert len(table) == 300
    assert 0.91 < np.mean((table["low"] <= 0) & (table["high"] >= 0)) <= 1


def test_intervals_name_their_kind_and_close_seeds_do_not_narrow_them():
    x = dict(enumerate(default_rng(0).random((3, 40))))
    close = {seed: y - y.mean() + 0.5 + seed * 1e-6 for seed, y in x.items()}
    runs = {"mvae": x, "mmvaepp": close, "cca": {0: x[0]}}
    values = {("mvae", "recall_at_10"): [0.1, 0.2, 0.3], ("ridge", "imputation_skill"): [0.5]}
    cells = []
    for run, by_seed in runs.items():
        values[run, "foscttm"] = [y.mean() for y in by_seed.values()]
        cells.append(cells_of(run, {(seed, "foscttm"): y for seed, y in by_seed.items()}))
    for summary in (comparison(scores_of(values)), headline(scores_of(values))):
        plain = summary.set_index(["run", "metric"])
        table = with_cells(summary, over_cells(cells)).set_index(["run", "metric"])
        assert table["interval"].to_dict() == {
            ("mvae", "foscttm"): "t over seeds, at least as wide as over cells",
            ("mvae", "recall_at_10"): "t over seeds",
            ("mmvaepp", "foscttm"): "t over seeds, at least as wide as over cells",
            ("cca", "foscttm"): "none",  # one seed beside three says nothing about other starts
            ("ridge", "imputation_skill"): "none",
        }
        half = (table["high"] - table["low"]).astype(float) / 2
        assert np.isnan(half["cca", "foscttm"])
        expected = 1.98 * np.sqrt(np.mean([y.var(ddof=1) for y in x.values()]) / 120)
        assert half["mmvaepp", "foscttm"] == pytest.approx(expected, rel=0.01)
        same = ["low", "high", "mean"]
        for row in (("mvae", "recall_at_10"), ("mvae", "foscttm"), ("ridge", "imputation_skill")):
            unchanged = plain.loc[row, same].astype(float)
            assert_allclose(table.loc[row, same].astype(float), unchanged)


def test_the_headline_interval_is_of_the_mean_over_directions():
    x, y = default_rng(0).random((2, 200)).astype(np.float32)
    by_direction = {"rna->adt": x, "adt->rna": y}
    scores = scores_of({("mvae", "foscttm", d): [z.mean()] for d, z in by_direction.items()})
    values = {(0, "foscttm", d, "-"): z for d, z in by_direction.items()}
    cells = CellScores("d", "paired", "mvae", {0: np.arange(200).astype(str)}, values)
    row = with_cells(headline(scores), over_cells([cells])).iloc[0]
    mean = (x + y) / 2  # the same cells in both directions
    assert row["high"] - mean.mean() == pytest.approx(t_half_width(mean), abs=1e-4)
    assert mean.mean() - row["low"] == pytest.approx(t_half_width(mean), abs=1e-4)


def test_directions_with_other_cells_each_count_with_all_of_theirs():
    x, y = default_rng(0).random((2, 200))
    assert_array_equal(over_directions([x, y]), (x + y) / 2)
    x[150:], y[:100] = np.nan, np.nan
    mean = over_directions([x, y]).mean()
    assert_allclose(mean, (np.nanmean(x) + np.nanmean(y)) / 2)
    x[100:] = np.nan  # no cell in both: two means of 100 each
    half = 1.972 * np.sqrt((x[:100].var() + y[100:].var()) / 100) / 2
    assert_allclose(half_width({0: over_directions([x, y])}), half, rtol=0.01)


def test_over_datasets_the_interval_is_welchs_and_needs_seeds_in_each():
    random = default_rng(0)
    a, b = random.normal(size=(4, 2)), random.normal(1, 3, size=(6, 2))
    low, high, kind = over_datasets({"d": a, "e": b})
    welch = stats.ttest_ind(a, -b, equal_var=False).confidence_interval()  # of twice their mean
    assert_allclose([low, high], [welch.low / 2, welch.high / 2])
    assert kind == "t over seeds, of these datasets"
    low, high, kind = over_datasets({"d": a})
    assert_allclose([low, high], stats.t.interval(0.95, 3, a.mean(0), stats.sem(a)))
    assert kind == "t over seeds"
    low, _, kind = over_datasets({"d": a, "e": b[:1]})
    assert np.isnan(low).all() and kind == "none"
    low, high, _ = over_datasets({"d": np.ones((3, 1))})  # ranked first with every seed
    assert (low, high) == (1, 1)


def test_the_prediction_interval_holds_a_new_seed_in_95_of_100_cases():
    draws = default_rng(0).standard_normal((4000, 5))
    ends = np.array([prediction_interval(x) for x in draws[:, :4]])
    inside = (ends[:, 0] <= draws[:, 4]) & (draws[:, 4] <= ends[:, 1])
    assert inside.mean() == pytest.approx(0.95, abs=0.012)
    low, high = prediction_interval(np.array([1.0, 2.0, 3.0]))
    assert (low, high) == pytest.approx(
        (2 - 4.302653 * np.sqrt(4 / 3), 2 + 4.302653 * np.sqrt(4 / 3))
    )
