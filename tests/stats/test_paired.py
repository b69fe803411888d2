"""Paired tests by hand, against scipy's, and by simulation."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from made_up_scores import CARDS, ROSTER, SEEDS, cells_of, scores_of
from numpy.random import default_rng
from numpy.testing import assert_allclose
from scipy import stats

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.stats.means import headline
from mosaicbench.stats.paired import (
    MOST_SEEDS,
    ONE_SPLIT,
    SPLITS,
    SPLITS_AND_CELLS,
    detectable,
    holm,
    moderated,
    over_splits,
    paired_tests,
    seeds_needed,
    tied_with_best,
    variance_factor,
)

SIZES = {("d", "paired"): (80, 20)}


def foscttm(**runs):
    return {(run, "foscttm"): by_seed for run, by_seed in runs.items()}


def compared(values, cells=(), **options):
    return paired_tests(scores_of(values), cells, ROSTER, **options)


def tied_runs(values, **options):
    """Return the runs that are the best, or tied with it."""
    scores = scores_of(values)
    summary, tests = headline(scores), paired_tests(scores, [], ROSTER, **options)
    return set(summary["run"][tied_with_best(summary, tests, ROSTER)])


# --- who is compared with whom ---


@pytest.mark.parametrize(
    ("reference", "roles"),
    [
        (None, {"best", "linear"}),
        ("cca", {"best", "linear", "reference"}),
        ("linear", {"best", "reference"}),
        ("mvae", {"best, reference", "linear"}),
        ("ridge", {"best", "linear"}),  # has no such score
    ],
)
def test_runs_are_compared_with_the_best_and_with_named_runs(reference, roles):
    values = SEEDS | foscttm(linear=[0.3, 0.31, 0.35, 0.33])
    table = compared(values, reference=reference).groupby("role")[["run", "against"]].agg(list)
    assert set(table.index) == roles
    if reference is None:
        assert table.loc["best"].tolist() == [["mmvaepp", "cca", "linear"], ["mvae"] * 3]
        assert table.loc["linear"].tolist() == [["mmvaepp", "cca"], ["linear"] * 2]


def test_the_linear_baseline_is_recognized_by_its_method():
    metadata = RunMetadata(cards=CARDS, methods={"cca": "linear"})
    table = paired_tests(scores_of(SEEDS), [], metadata)
    assert set(table.loc[table["role"] == "linear", "against"]) == {"cca"}


def test_two_runs_have_nothing_to_borrow_from_and_get_scipys_paired_t_test():
    values = {key: x for key, x in SEEDS.items() if key[0] in ("mvae", "cca")}
    row = compared(values, sizes=SIZES).iloc[0]
    test = stats.ttest_rel(SEEDS["cca", "foscttm"], SEEDS["mvae", "foscttm"])
    expected = [test.pvalue, test.pvalue, *test.confidence_interval()]
    assert_allclose(row[["p", "p_holm", "low", "high"]].astype(float), expected)
    names = ["seeds", "degrees", "test", "better", "role"]
    assert row[names].tolist() == [4, 3, SPLITS, "mvae", "best"]
    d = np.subtract(SEEDS["cca", "foscttm"], SEEDS["mvae", "foscttm"])
    t = d.mean() / np.sqrt(d.var(ddof=1) * (1 / 4 + 20 / 80))  # Nadeau and Bengio's
    assert_allclose(row["p_new"], 2 * stats.t.sf(t, 3))
    assert row["p_new"] > row["p"]
    assert row["detectable_new"] > row["detectable"] > row["high"] - row["effect"]
    without_sizes = compared(values).iloc[0]
    assert without_sizes[["p_new", "low_new", "detectable_new", "seeds_needed"]].isna().all()
    assert over_splits(d)["p"] == pytest.approx(test.pvalue)


def test_comparisons_are_on_common_splits_alone():
    values = foscttm(mvae=[0.1, 0.2, 0.15, 0.9], cca=[0.3, None, 0.4, None])
    row = compared(values, reference="cca").iloc[0]
    assert row["seeds"] == 2
    assert_allclose(abs(row["effect"]), np.mean([0.2, 0.25]))


# --- corrections ---


def test_holm_by_hand_and_around_absent_values():
    p = pd.Series([0.01, np.nan, 0.04, 0.03])
    assert_allclose(holm(p), [0.03, np.nan, 0.06, 0.06])
    # Of the best of 4, 3 and 2 runs: 6, 3 and 1 pairs.
    assert_allclose(holm(p, picked=True), [0.06, np.nan, 0.09, 0.09])
    assert holm(pd.Series([np.nan, np.nan])).isna().all()


def test_families_are_corrected_apart_and_the_picked_best_for_its_pick():
    other = {("mvae", "recall_at_10"): [0.8, 0.9, 0.7], ("cca", "recall_at_10"): [0.5, 0.7, 0.2]}
    table = compared(SEEDS | other, reference="cca").set_index(["metric", "role"]).sort_index()
    alone = table.loc["recall_at_10"].iloc[0]
    assert alone["p_holm"] == alone["p"]
    best = table.loc[("foscttm", "best")]
    assert_allclose(best["p_holm"], holm(best["p"], picked=True))
    named = table.loc[("foscttm", "reference")].iloc[0]
    assert named["p_holm"] in (pytest.approx(named["p"]), pytest.approx(2 * named["p"]))
    assert best["family"].iloc[0] != named["family"]


# --- the variance ---


def test_a_comparison_borrows_more_from_others_the_more_they_are_alike():
    freedom, within = np.full(6, 2.0), np.full(6, 1.0)
    variance, degrees = moderated(np.ones(6), within, freedom)
    assert_allclose(variance, 1)
    assert_allclose(degrees, 2 + 2 * 2)  # at most two for each one of its own
    odd, of_odd = moderated(np.array([1e-4, 1e-2, 1.0, 1e2, 1e4, 1.0]), within, freedom)
    assert (of_odd < 3).all() and odd[4] > 1e3
    small, _ = moderated(np.full(6, 0.01), within, freedom, 0.25)  # borrowed: what cells allow
    assert_allclose(small, (2 * 0.01 + 4 * 0.8) / 6)
    assert moderated(np.array([0.5]), np.array([1.0]), np.array([2.0])) == (0.5, 2)


def test_a_larger_variance_of_cells_means_a_larger_one_between_splits():
    random = default_rng(0)
    names = {seed: np.array([f"c{seed}-{i}" for i in range(60)]) for seed in range(3)}
    values, cells = {}, []
    for run, sd in {"mvae": 0.01, "cca": 0.01, "ridge": 0.3, "mmvaepp": 0.3}.items():
        x = 0.5 + sd * random.standard_normal((3, 60))
        values[run, "foscttm"] = list(x.mean(axis=1))
        cells.append(cells_of(run, {(s, "foscttm"): x[s] for s in names}, names=names))
    table = compared(values, cells, reference="mvae", sizes=SIZES)
    table = table[table["against"] == "mvae"].set_index("run")
    assert set(table["test"]) == {SPLITS_AND_CELLS} and (table["cells"] == 180).all()
    assert table.loc["ridge", "detectable"] > 3 * table.loc["cca", "detectable"]


def test_one_split_has_the_test_over_its_cells():
    x, y = default_rng(0).random((2, 30)) + [[0], [1]]
    values = foscttm(mvae=[x.mean()], cca=[y.mean()])
    cells = [cells_of(run, {(0, "foscttm"): z}) for run, z in (("mvae", x), ("cca", y))]
    row = compared(values, cells).iloc[0]
    assert_allclose(row["p"], stats.ttest_rel(y, x).pvalue, rtol=1e-3)
    assert (row["test"], row["degrees"]) == (ONE_SPLIT, 29)
    row = compared(values).iloc[0]
    assert np.isnan(row["p"]) and "one split" in row["note"]


def test_ties_and_constant_differences_get_no_p_but_a_note():
    values = foscttm(mvae=[0.1, 0.2, 0.3], cca=[0.1, 0.2, 0.3], ridge=[0.2, 0.3, 0.4])
    table = compared(values)
    assert table["p"].isna().all() and table["note"].str.contains("same in every split").all()
    assert (table["better"] == "neither").sum() == 1


def test_fewer_directions_are_not_compared_and_nothing_compares_with_itself():
    values = {("mvae", "foscttm", d): [0.1, 0.2] for d in ("rna->adt", "adt->rna")}
    assert compared(values | foscttm(cca=[0.0, 0.1])).empty


# --- ties with the best ---


def test_the_best_and_all_that_do_not_differ_from_it_are_tied():
    values = foscttm(mvae=[0.10, 0.12, 0.11], mmvaepp=[0.12, 0.11, 0.12])
    values |= foscttm(cca=[0.302, 0.320, 0.311], oracle=[0.0, 0.0, 0.0])
    assert tied_runs(values) == {"mvae", "mmvaepp"}
    assert tied_runs({names: x[:1] for names, x in values.items()}) == {"mvae"}  # no test at all


def test_new_cells_decide_where_their_number_is_known():
    values = foscttm(mvae=[0.10, 0.12, 0.11, 0.10], cca=[0.13, 0.13, 0.14, 0.12])
    assert tied_runs(values) == {"mvae"}
    assert tied_runs(values, sizes={("d", "paired"): (50, 50)}) == {"mvae", "cca"}


def test_a_run_that_lacks_a_seed_is_not_tied_with_the_best():
    values = foscttm(mvae=[0.10, 0.12, 0.11, 0.12], mmvaepp=[0.12, 0.11, None, 0.11])
    assert tied_runs(values | foscttm(cca=[0.11, 0.11, 0.13, 0.12])) == {"mvae", "cca"}


def test_if_every_run_lacks_a_seed_no_run_is_the_best_but_a_reference_is_compared():
    values = foscttm(mvae=[None, 0.12, 0.11], mmvaepp=[0.12, 0.11, None], cca=[0.3, None, 0.4])
    assert tied_runs(values) == set()
    assert compared(values).empty
    assert set(compared(values, reference="cca")["role"]) == {"reference"}


# --- power, and how often it is right ---


def test_so_many_seeds_make_a_difference_detectable_on_new_cells():
    n = seeds_needed(0.3, 0.01, 2.0, 0.25, 3)
    assert 2 < n < MOST_SEEDS
    for seeds in (n, n - 1):
        least = detectable(np.sqrt(0.01 * variance_factor(seeds, 0.25)), 2 * (seeds - 1), 3)
        assert (least <= 0.3) == (seeds == n)
    # Cells of one dataset allow no less than about 0.15.
    assert np.isnan(seeds_needed(0.1, 0.01, 2.0, 0.25, 3))
    assert np.isfinite(seeds_needed(0.1, 0.01, 2.0, 0.0, 3))


def test_the_detectable_difference_is_detected_in_four_of_five_benchmarks():
    random = default_rng(0)
    for degrees in (4, 9, 30):
        error = np.sqrt(random.chisquare(degrees, 40000) / degrees)  # of a true one of 1
        least = np.median(detectable(error, degrees, 5))
        p = 2 * stats.t.sf(np.abs(random.standard_normal(40000) + least) / error, degrees)
        assert abs(np.mean(p < 0.05 / 5) - 0.8) < 0.03


@pytest.fixture(scope="module")
def simulation():
    file = REPOSITORY / "benchmarks/interval_coverage.py"
    spec = importlib.util.spec_from_file_location("coverage", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("regime", "splits", "cells"),
    [
        ("query cells alone", 3, True),
        ("starts as much, skewed", 3, True),
        ("starts as much", 10, True),
        ("starts as much", 3, False),
    ],
)
def test_intervals_hold_the_truth_and_equal_runs_rarely_differ(simulation, regime, splits, cells):
    """docs/statistics.md has the whole table."""
    result = simulation.design(default_rng(1), regime, splits, 100, 60, cells=cells)
    for target in ("these", "new"):
        _, coverage, _, false_positives, power = result[target]
        assert 0.9 < coverage < 0.999
        assert false_positives < 0.1
        assert 0.6 < power < 0.95
    assert result["these"][2] < (0.8 if splits == 3 else 1.0)


def test_no_run_is_tied_below_one_that_is_apart():
    summary = headline(scores_of(foscttm(mvae=[0.1], mmvaepp=[0.2], cca=[0.3])))
    names = {"dataset": "d", "scenario": "paired", "metric": "foscttm", "role": "best"}
    tests = pd.DataFrame({"run": ["mmvaepp", "cca"], "p_new_holm": [0.01, 0.5]})
    tests = tests.assign(**names, p_holm=np.nan, effect=0.1)
    assert tied_with_best(summary, tests, ROSTER).tolist() == [True, False, False]
    assert tied_with_best(summary, tests.assign(p_new_holm=0.5), ROSTER).all()
