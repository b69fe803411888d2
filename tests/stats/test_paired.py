"""Paired tests by hand, against scipy's, and by simulation: how often intervals hold and equal runs are told apart."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_scores import CARDS, ROSTER, SEEDS, cells_of, scores_of
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.stats.means import headline
from mosaicbench.stats.paired import (
    MOST_SEEDS,
    ONE_SPLIT,
    SPLITS,
    SPLITS_AND_CELLS,
    detectable,
    holm,
    level,
    moderated,
    over_splits,
    paired_tests,
    seeds_needed,
    share,
)

SIZES = {("d", "paired"): (80, 20)}


def simulation():
    spec = importlib.util.spec_from_file_location(
        "coverage", Path(__file__).parents[2] / "benchmarks/interval_coverage.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- who is compared with whom ---


def test_runs_are_compared_with_the_best_and_with_runs_that_were_named_before():
    scores = scores_of(SEEDS | {("linear", "foscttm"): [0.3, 0.31, 0.35, 0.33]})
    found = paired_tests(scores, [], ROSTER)
    roles = found.groupby("role")[["run", "against"]].agg(list)
    assert roles.loc["best"].tolist() == [["mmvaepp", "cca", "linear"], ["mvae"] * 3]
    assert roles.loc["linear"].tolist() == [
        ["mmvaepp", "cca"],
        ["linear"] * 2,
    ]  # with the best it is compared already
    assert set(roles.index) == {"best", "linear"}
    found = paired_tests(scores, [], ROSTER, reference="cca")
    assert set(found["role"]) == {"best", "linear", "reference"}
    assert set(paired_tests(scores, [], ROSTER, reference="linear")["role"]) == {
        "best",
        "reference",
    }
    assert set(paired_tests(scores, [], ROSTER, reference="mvae")["role"]) == {
        "best, reference",
        "linear",
    }
    assert set(paired_tests(scores_of(SEEDS), [], ROSTER, reference="ridge")["against"]) == {
        "mvae"
    }  # has no such score


def test_the_linear_baseline_is_found_by_its_method():
    scores = scores_of(SEEDS)
    found = paired_tests(scores, [], RunMetadata(cards=CARDS, methods={"cca": "linear"}))
    assert set(found.loc[found["role"] == "linear", "against"]) == {"cca"}


def test_two_runs_have_nothing_to_borrow_from_and_get_scipys_paired_t_test():
    values = {key: x for key, x in SEEDS.items() if key[0] in ("mvae", "cca")}
    row = paired_tests(scores_of(values), [], ROSTER, sizes=SIZES).iloc[0]
    test = stats.ttest_rel(SEEDS["cca", "foscttm"], SEEDS["mvae", "foscttm"])
    interval = test.confidence_interval()
    np.testing.assert_allclose(
        row[["p", "p_holm", "low", "high"]].astype(float),
        [test.pvalue] * 2 + [interval.low, interval.high],
    )
    d = np.subtract(SEEDS["cca", "foscttm"], SEEDS["mvae", "foscttm"])
    assert (row["seeds"], row["degrees"], row["test"], row["better"], row["role"]) == (
        4,
        3,
        SPLITS,
        "mvae",
        "best",
    )
    t = d.mean() / np.sqrt(d.var(ddof=1) * (1 / 4 + 20 / 80))  # Nadeau and Bengio's
    np.testing.assert_allclose(row["p_new"], 2 * stats.t.sf(t, 3))
    assert row["p_new"] > row["p"]
    assert row["detectable_new"] > row["detectable"] > row["high"] - row["effect"]
    alone = paired_tests(scores_of(values), [], ROSTER).iloc[
        0
    ]  # nobody knows how many cells there are
    assert alone[["p_new", "low_new", "detectable_new", "seeds_needed"]].isna().all()
    assert over_splits(d)["p"] == pytest.approx(test.pvalue)


def test_comparisons_are_on_common_splits_alone():
    scores = scores_of(
        {("mvae", "foscttm"): [0.1, 0.2, 0.15, 0.9], ("cca", "foscttm"): [0.3, None, 0.4, None]}
    )
    row = paired_tests(scores, [], ROSTER, reference="cca").iloc[0]
    assert row["seeds"] == 2
    np.testing.assert_allclose(abs(row["effect"]), np.mean([0.2, 0.25]))


# --- corrections ---


def test_holm_by_hand_and_around_what_is_missing():
    p = pd.Series([0.01, np.nan, 0.04, 0.03])
    np.testing.assert_allclose(holm(p), [0.03, np.nan, 0.06, 0.06])
    np.testing.assert_allclose(holm(p.dropna()), multipletests(p.dropna(), method="holm")[1])
    np.testing.assert_allclose(
        holm(p, picked=True), [0.06, np.nan, 0.09, 0.09]
    )  # of 4, 3 and 2 runs: 6, 3 and 1 pairs
    assert holm(pd.Series([np.nan, np.nan])).isna().all()


def test_families_are_corrected_apart_and_the_picked_best_for_its_pick():
    other = {("mvae", "recall_at_10"): [0.8, 0.9, 0.7], ("cca", "recall_at_10"): [0.5, 0.7, 0.2]}
    found = paired_tests(scores_of(SEEDS | other), [], ROSTER, reference="cca")
    alone = found[found["metric"] == "recall_at_10"].iloc[0]
    assert alone["p_holm"] == alone["p"]
    best = found[(found["metric"] == "foscttm") & (found["role"] == "best")]
    np.testing.assert_allclose(best["p_holm"], holm(best["p"], picked=True))
    assert set(best["family"]) == {"2 runs with the best, which was picked here"}
    named = found[(found["metric"] == "foscttm") & (found["role"] == "reference")].iloc[0]
    assert named["family"] == "2 runs with the run that was named before"
    assert named["p_holm"] in (pytest.approx(named["p"]), pytest.approx(2 * named["p"]))


# --- the variance ---


def test_a_comparison_borrows_more_from_others_the_more_they_are_alike():
    freedom, within = np.full(6, 2.0), np.full(6, 1.0)
    variance, degrees = moderated(np.ones(6), within, freedom)
    np.testing.assert_allclose(variance, 1)
    np.testing.assert_allclose(degrees, 2 + 2 * 2)  # at most two for each one of its own
    odd, of_odd = moderated(np.array([1e-4, 1e-2, 1.0, 1e2, 1e4, 1.0]), within, freedom)
    assert (of_odd < 3).all()
    assert odd[4] > 1e3
    small = moderated(np.full(6, 0.01), within, freedom, 0.25)[
        0
    ]  # no less than cells allow, but for its own splits
    np.testing.assert_allclose(small, (2 * 0.01 + 4 * 0.8) / 6)
    alone, of_alone = moderated(np.array([0.5]), np.array([1.0]), np.array([2.0]))
    assert (alone[0], of_alone[0]) == (0.5, 2)


def test_a_larger_variance_of_cells_means_a_larger_one_between_splits():
    random = np.random.default_rng(0)
    names = {seed: np.array([f"c{seed}-{i}" for i in range(60)]) for seed in range(3)}
    noise = {"mvae": 0.01, "cca": 0.01, "ridge": 0.3, "mmvaepp": 0.3}
    x = {
        run: {s: 0.5 + sd * random.standard_normal(60) for s in names} for run, sd in noise.items()
    }
    scores = scores_of({(run, "foscttm"): [y.mean() for y in of.values()] for run, of in x.items()})
    cells = [
        cells_of(run, {(s, "foscttm"): y for s, y in of.items()}, names=names)
        for run, of in x.items()
    ]
    found = paired_tests(scores, cells, ROSTER, reference="mvae", sizes=SIZES)
    found = found[found["against"] == "mvae"].set_index("run")
    assert set(found["test"]) == {SPLITS_AND_CELLS}
    assert (found["cells"] == 180).all()
    assert found.loc["ridge", "detectable"] > 3 * found.loc["cca", "detectable"]


def test_one_split_has_the_test_over_its_cells():
    x = np.random.default_rng(0).random((2, 30))
    scores = scores_of({("mvae", "foscttm"): [x[0].mean()], ("cca", "foscttm"): [x[1].mean() + 1]})
    cells = [cells_of("mvae", {(0, "foscttm"): x[0]}), cells_of("cca", {(0, "foscttm"): x[1] + 1})]
    row = paired_tests(scores, cells, ROSTER).iloc[0]
    np.testing.assert_allclose(row["p"], stats.ttest_rel(x[1] + 1, x[0]).pvalue, rtol=1e-3)
    assert (row["test"], row["degrees"]) == (ONE_SPLIT, 29)
    row = paired_tests(scores, [], ROSTER).iloc[0]
    assert np.isnan(row["p"])
    assert "one split in common" in row["note"]


def test_ties_and_constant_differences_get_no_p_and_say_why():
    values = {
        ("mvae", "foscttm"): [0.1, 0.2, 0.3],
        ("cca", "foscttm"): [0.1, 0.2, 0.3],
        ("ridge", "foscttm"): [0.2, 0.3, 0.4],
    }
    found = paired_tests(scores_of(values), [], ROSTER).set_index("run")
    assert found["p"].isna().all()
    assert found["note"].str.contains("same in every split").all()
    assert (found["better"] == "neither").sum() == 1


def test_fewer_directions_are_not_compared_and_nothing_compares_with_itself():
    scores = scores_of(
        {("mvae", "foscttm", d): [0.1, 0.2] for d in ("rna->adt", "adt->rna")}
        | {("cca", "foscttm"): [0.0, 0.1]}
    )
    assert paired_tests(scores, [], ROSTER).empty


# --- what is called level ---


def test_bold_are_the_best_and_all_that_cannot_be_told_from_it():
    values = {("mvae", "foscttm"): [0.10, 0.12, 0.11], ("mmvaepp", "foscttm"): [0.12, 0.11, 0.12]}
    values |= {("cca", "foscttm"): [0.302, 0.320, 0.311], ("oracle", "foscttm"): [0.0, 0.0, 0.0]}
    scores = scores_of(values)
    summary = headline(scores)
    found = level(summary, paired_tests(scores, [], ROSTER), ROSTER).set_axis(summary["run"])
    assert found.to_dict() == {"mvae": True, "mmvaepp": True, "cca": False, "oracle": False}
    scores = scores_of({names: x[:1] for names, x in values.items()})  # no test at all
    summary = headline(scores)
    assert level(summary, paired_tests(scores, [], ROSTER), ROSTER).sum() == 1


def test_new_cells_decide_where_their_number_is_known():
    values = {
        ("mvae", "foscttm"): [0.10, 0.12, 0.11, 0.10],
        ("cca", "foscttm"): [0.13, 0.13, 0.14, 0.12],
    }
    scores = scores_of(values)
    summary = headline(scores)
    tests = [
        paired_tests(scores, [], ROSTER, sizes=sizes)
        for sizes in (None, {("d", "paired"): (50, 50)})
    ]
    assert tests[1]["p_holm"].iloc[0] < 0.05 < tests[1]["p_new_holm"].iloc[0]
    assert [level(summary, test, ROSTER).sum() for test in tests] == [1, 2]


def test_a_run_that_lacks_a_seed_is_not_level_with_the_best():
    values = {
        ("mvae", "foscttm"): [0.10, 0.12, 0.11, 0.12],
        ("mmvaepp", "foscttm"): [0.12, 0.11, None, 0.11],
    }
    values |= {("cca", "foscttm"): [0.11, 0.11, 0.13, 0.12]}
    scores = scores_of(values)
    summary, tests = headline(scores), paired_tests(scores, [], ROSTER)
    found = level(summary, tests, ROSTER).set_axis(summary["run"])
    assert found.to_dict() == {"mvae": True, "mmvaepp": False, "cca": True}


def test_where_every_run_lacks_a_seed_none_is_the_best_and_a_named_reference_is_still_one():
    values = {("mvae", "foscttm"): [None, 0.12, 0.11], ("mmvaepp", "foscttm"): [0.12, 0.11, None]}
    scores = scores_of(values | {("cca", "foscttm"): [0.3, None, 0.4]})
    assert not level(headline(scores), paired_tests(scores, [], ROSTER), ROSTER).any()
    assert paired_tests(scores, [], ROSTER).empty
    assert set(paired_tests(scores, [], ROSTER, reference="cca")["role"]) == {"reference"}


# --- power, and how often it is right ---


def test_so_many_seeds_make_a_difference_detectable_on_new_cells():
    n = seeds_needed(0.3, 0.01, 2.0, 0.25, 3)
    for seeds, enough in ((n, True), (n - 1, False)):
        assert (detectable(np.sqrt(0.01 * share(seeds, 0.25)), 2 * (seeds - 1), 3) <= 0.3) == enough
    assert 2 < n < MOST_SEEDS
    assert np.isnan(
        seeds_needed(0.1, 0.01, 2.0, 0.25, 3)
    )  # cells of one dataset alone allow no less than about 0.15
    assert np.isfinite(seeds_needed(0.1, 0.01, 2.0, 0.0, 3))


def test_the_detectable_difference_is_found_in_four_of_five_benchmarks():
    random = np.random.default_rng(0)
    for degrees in (4, 9, 30):
        error = np.sqrt(random.chisquare(degrees, 40000) / degrees)  # of a true one of 1
        least = np.median(detectable(error, degrees, 5))
        p = 2 * stats.t.sf(np.abs(random.standard_normal(40000) + least) / error, degrees)
        assert abs(np.mean(p < 0.05 / 5) - 0.8) < 0.03


@pytest.mark.parametrize(
    ("regime", "splits", "cells"),
    [
        ("query cells alone", 3, True),
        ("starts as much", 3, True),
        ("starts as much, skewed", 3, True),
        ("starts as much", 10, True),
        ("starts as much", 3, False),
    ],
)
def test_intervals_hold_the_truth_and_equal_runs_are_rarely_told_apart(regime, splits, cells):
    """Docs: statistics.md has the whole table. The t test over splits has the coverage, and twice the width with 3 splits."""
    found = simulation().design(np.random.default_rng(1), regime, splits, 100, 60, cells=cells)
    for target in ("these", "new"):
        _, held, width, told, power = found[target]
        assert 0.9 < held < 0.999
        assert told < 0.1
        assert 0.6 < power < 0.95
    assert found["these"][2] < (0.8 if splits == 3 else 1.0)


def test_more_splits_of_one_dataset_do_not_tell_equal_methods_apart_on_new_cells():
    """What the cells of the dataset happen to favour is in every split: without the correction, 15 % are told apart."""
    random, told = np.random.default_rng(0), {"p": [], "p_new": []}
    for _ in range(300):
        kind = np.arange(200) % 2
        features = random.normal(size=(200, 2)) + kind[:, None]
        right = ((features > 0.5) == kind[:, None]).astype(
            float
        )  # two methods that are equal but for the cells at hand
        means = np.array([right[random.permutation(200)[:40]].mean(0) for _ in range(10)])
        scores = scores_of(
            {("mvae", "foscttm"): list(means[:, 0]), ("cca", "foscttm"): list(means[:, 1])}
        )
        row = paired_tests(scores, [], ROSTER, sizes={("d", "paired"): (160, 40)}).iloc[0]
        for name, p in told.items():
            p.append(row[name] < 0.05)
    assert np.mean(told["p"]) > 0.15
    assert np.mean(told["p_new"]) < 0.08
