"""Paired tests, against scipy's and statsmodels'."""

import numpy as np
import pandas as pd
import statsmodels.api as sm
from made_up_scores import ROSTER, SEEDS, cells_of, scores_of
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mosaicbench.statistics.paired import OVER_CELLS, OVER_SEEDS, holm, paired_tests


def test_over_seeds_it_is_scipys_paired_t_test_with_holm():
    scores = scores_of(SEEDS)
    found = paired_tests(scores, [], ROSTER).set_index(["run", "against"])
    assert set(found["test"]) == {OVER_SEEDS}
    assert set(found.index) == {("mmvaepp", "mvae"), ("cca", "mvae"), ("mmvaepp", "cca")}
    assert found.loc[("cca", "mvae"), "role"] == "best"
    assert found.loc[("mmvaepp", "cca"), "role"] == "reference"  # the best baseline
    for run, against in found.index:
        row = found.loc[(run, against)]
        test = stats.ttest_rel(SEEDS[run, "foscttm"], SEEDS[against, "foscttm"])
        interval = test.confidence_interval()
        np.testing.assert_allclose([row["p"], row["low"], row["high"]], [test.pvalue, interval.low, interval.high])
        np.testing.assert_allclose(row["effect"], np.mean(SEEDS[run, "foscttm"]) - np.mean(SEEDS[against, "foscttm"]))
        assert (row["n"], row["seeds"], row["least_p"], row["better"]) == (4, 4, 1 / 8, against)
    np.testing.assert_allclose(found["p_holm"], multipletests(found["p"], method="holm")[1])


def test_holm_by_hand_and_around_what_is_missing():
    found = holm(pd.Series([0.01, np.nan, 0.04, 0.03]))
    np.testing.assert_allclose(found, [0.03, np.nan, 0.06, 0.06])
    assert holm(pd.Series([np.nan, np.nan])).isna().all()


def test_families_are_corrected_apart():
    other = {("mvae", "recall_at_10"): [0.8, 0.9, 0.7], ("cca", "recall_at_10"): [0.5, 0.7, 0.2]}
    scores = pd.concat([scores_of(SEEDS | other), scores_of(SEEDS, dataset="e")])
    found = paired_tests(scores, [], ROSTER)
    assert found.groupby(["dataset", "metric"]).size().to_dict() == {
        ("d", "foscttm"): 3,
        ("d", "recall_at_10"): 1,
        ("e", "foscttm"): 3,
    }
    alone = found[found["metric"] == "recall_at_10"].iloc[0]
    assert alone["p_holm"] == alone["p"]
    assert (alone["run"], alone["role"]) == ("cca", "best")  # cca is the reference too, and is not tested against itself


def test_a_named_reference_is_used_and_one_without_the_score_is_not():
    scores = scores_of(SEEDS)
    found = paired_tests(scores, [], ROSTER, reference="mmvaepp")
    assert set(zip(found["run"], found["against"], strict=True)) == {("mmvaepp", "mvae"), ("cca", "mvae"), ("cca", "mmvaepp")}
    found = paired_tests(scores, [], ROSTER, reference="ridge")
    assert set(found["against"]) == {"mvae"}
    found = paired_tests(scores, [], ROSTER, reference="mvae")
    assert set(found["role"]) == {"best, reference"}


def test_over_cells_it_is_least_squares_clustered_by_cell():
    random = np.random.default_rng(0)
    names = {0: np.array([f"c{i}" for i in range(50)]), 1: np.array([f"c{i}" for i in range(20, 60)])}  # some cells twice
    x = {seed: random.random(len(n)) for seed, n in names.items()}
    y = {seed: x[seed] + 0.1 + 0.2 * random.standard_normal(len(n)) for seed, n in names.items()}
    x[0][3] = np.nan
    scores = scores_of({(run, "foscttm"): [np.nanmean(z[0]), np.nanmean(z[1])] for run, z in (("mvae", x), ("cca", y))})
    cells = [cells_of(run, {(s, "foscttm"): z[s] for s in z}, names=names) for run, z in (("mvae", x), ("cca", y))]
    found = paired_tests(scores, cells, ROSTER).set_index("test")
    row = found.loc[OVER_CELLS]
    frame = pd.concat([pd.DataFrame({"d": y[s] - x[s], "cell": names[s], "seed": s}) for s in x]).dropna()
    weights = 1 / frame.groupby("seed")["d"].transform("size")  # so that seeds weigh the same
    fit = sm.WLS(frame["d"].to_numpy(), np.ones(len(frame)), weights=weights.to_numpy()).fit(
        cov_type="cluster", cov_kwds={"groups": pd.factorize(frame["cell"])[0]}, use_t=True
    )
    np.testing.assert_allclose(row["p"], fit.pvalues[0], rtol=1e-4)
    np.testing.assert_allclose(row["effect"], np.mean([np.nanmean(y[s] - x[s]) for s in x]), rtol=1e-5)
    assert (row["n"], row["seeds"]) == (59, 2)  # 50 + 40 less 30 met twice, less the one without a value
    assert np.isnan(row["least_p"])
    np.testing.assert_allclose(found.loc[OVER_SEEDS, "effect"], np.mean([y[s].mean() - np.nanmean(x[s]) for s in x]))


def test_one_seed_gives_no_p_over_seeds_but_one_over_cells():
    x = np.random.default_rng(0).random((2, 30))
    scores = scores_of({("mvae", "foscttm"): [x[0].mean()], ("cca", "foscttm"): [x[1].mean() + 1]})
    cells = [cells_of("mvae", {(0, "foscttm"): x[0]}), cells_of("cca", {(0, "foscttm"): x[1] + 1})]
    found = paired_tests(scores, cells, ROSTER).set_index("test")
    over_seeds = found.loc[OVER_SEEDS]
    assert over_seeds[["p", "p_holm", "low", "high", "least_p"]].isna().all()
    assert "one seed" in over_seeds["note"]
    expected = stats.ttest_rel(x[1] + 1, x[0])
    np.testing.assert_allclose(found.loc[OVER_CELLS, "p"], expected.pvalue, rtol=1e-3)


def test_ties_and_constant_differences_get_no_p_and_say_why():
    scores = scores_of(
        {("mvae", "foscttm"): [0.1, 0.2, 0.3], ("cca", "foscttm"): [0.1, 0.2, 0.3], ("ridge", "foscttm"): [0.2, 0.3, 0.4]}
    )
    found = paired_tests(scores, [], ROSTER).set_index("run")
    assert found["p"].isna().all()
    assert found["note"].str.contains("same in every seed").all()
    assert found.loc["cca", "better"] == "neither" if "cca" in found.index else found.loc["mvae", "better"] == "neither"


def test_a_failed_seed_is_left_out_of_both_sides():
    scores = scores_of({("mvae", "foscttm"): [0.1, 0.2, 0.15], ("cca", "foscttm"): [0.3, None, 0.4]})
    row = paired_tests(scores, [], ROSTER).iloc[0]
    assert (row["n"], row["least_p"]) == (2, 0.5)
    np.testing.assert_allclose(row["effect"], np.mean([0.2, 0.25]))


def test_fewer_directions_are_not_compared_and_nothing_compares_with_itself():
    scores = scores_of(
        {("mvae", "foscttm", d): [0.1, 0.2] for d in ("rna->adt", "adt->rna")} | {("cca", "foscttm"): [0.0, 0.1]}
    )
    assert paired_tests(scores, [], ROSTER).empty
