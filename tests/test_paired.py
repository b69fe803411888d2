"""Paired tests, against scipy's and statsmodels'."""

from itertools import combinations

import numpy as np
import pandas as pd
import statsmodels.api as sm
from made_up_scores import ROSTER, SEEDS, cells_of, scores_of
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mosaicbench.statistics.paired import OVER_CELLS, OVER_SEEDS, holm, level, over_seeds, paired_tests, seeds_needed
from mosaicbench.statistics.summary import headline


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
    assert set(found["family"]) == {"3 pairs of runs"}
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


def test_the_correction_is_over_all_pairs_though_only_those_with_the_best_are_listed():
    values = SEEDS | {("vae_poe", "foscttm"): [0.21, 0.25, 0.22, 0.20]}
    found = paired_tests(scores_of(values), [], ROSTER).set_index(["run", "against"])
    runs = [run for run, _ in values if run != "oracle"]
    p = {pair: stats.ttest_rel(values[pair[0], "foscttm"], values[pair[1], "foscttm"]).pvalue for pair in combinations(runs, 2)}
    expected = dict(zip(p, multipletests(list(p.values()), method="holm")[1], strict=True))
    assert len(found) == 5 < len(p)
    for run, against in found.index:
        row = found.loc[(run, against)]
        assert row["family"] == "6 pairs of runs"
        np.testing.assert_allclose(row["p_holm"], expected[(run, against) if (run, against) in p else (against, run)])


def test_a_named_reference_is_used_and_one_without_the_score_is_not():
    scores = scores_of(SEEDS)
    found = paired_tests(scores, [], ROSTER, reference="mmvaepp")
    assert set(zip(found["run"], found["against"], strict=True)) == {("mmvaepp", "mvae"), ("cca", "mvae"), ("cca", "mmvaepp")}
    of_reference = found.set_index(["run", "against"]).loc[("cca", "mmvaepp")]
    assert of_reference["family"] == "2 runs with the reference"
    p = [stats.ttest_rel(SEEDS[run, "foscttm"], SEEDS["mmvaepp", "foscttm"]).pvalue for run in ("cca", "mvae")]
    np.testing.assert_allclose(of_reference["p_holm"], multipletests(p, method="holm")[1][0])
    found = paired_tests(scores, [], ROSTER, reference="ridge")
    assert set(found["against"]) == {"mvae"}
    found = paired_tests(scores, [], ROSTER, reference="mvae")
    assert set(found["role"]) == {"best, reference"}
    assert set(found["family"]) == {"2 runs with the reference"}


def test_equal_runs_are_told_from_the_best_in_one_case_of_twenty():
    """Holm over the comparisons with a best that was picked on the same scores told some of 12 equal runs apart in 12 %."""
    random = np.random.default_rng(0)
    runs = [f"run{i}" for i in range(12)]
    views = []
    for view in map(str, range(150)):
        x = random.standard_normal((5, 1)) + random.standard_normal((5, 12))
        values = {(run, "foscttm"): list(column) for run, column in zip(runs, x.T, strict=True)}
        views.append(scores_of(values, scenario=view))
    scores = pd.concat(views, ignore_index=True)
    summary = headline(scores)
    all_level = level(summary, paired_tests(scores, [], ROSTER), ROSTER).groupby(summary["scenario"]).all()
    assert len(all_level) == 150
    assert np.mean(~all_level) < 0.085


def test_over_other_data_the_variance_is_nadeau_and_bengios():
    x = np.array([0.03, 0.05, 0.04, 0.09])
    found = over_seeds(x, ratio=0.25)
    t = x.mean() / np.sqrt(x.var(ddof=1) * (1 / 4 + 0.25))
    np.testing.assert_allclose(found["p_population"], 2 * stats.t.sf(t, 3))
    assert found["p_population"] > found["p"]
    scores = scores_of(SEEDS)
    row = paired_tests(scores, [], ROSTER, sizes={("d", "paired"): (80, 20)}).iloc[0]
    d = np.subtract(SEEDS["mmvaepp", "foscttm"], SEEDS["mvae", "foscttm"])
    np.testing.assert_allclose(row["p_population"], over_seeds(d, 0.25)["p_population"])
    assert paired_tests(scores, [], ROSTER)["p_population"].isna().all()


def test_more_resplits_of_one_dataset_do_not_tell_equal_methods_apart():
    """What the cells of the dataset happen to favour stays in every split; without the correction it is told apart in 24 %."""
    random = np.random.default_rng(0)
    plain, corrected = [], []
    for _ in range(400):
        kind = np.arange(200) % 2
        features = random.normal(size=(200, 2)) + kind[:, None]
        right = ((features > 0.5) == kind[:, None]).astype(float)  # two methods that are equal but for the cells at hand
        d = np.array([np.subtract(*right[random.permutation(200)[:40]].mean(0)) for _ in range(10)])
        found = over_seeds(d, 40 / 160)
        plain.append(found["p"] < 0.05)
        corrected.append(found["p_population"] < 0.05)
    assert np.mean(plain) > 0.15
    assert np.mean(corrected) < 0.08


def test_how_many_seeds_would_tell_two_apart():
    n = seeds_needed(0.1, 0.1, 0.25)
    for seeds, enough in ((n, True), (n - 1, False)):
        assert (stats.t.ppf(0.975, seeds - 1) * 0.1 * np.sqrt(1 / seeds + 0.25) < 0.1) == enough
    assert np.isnan(seeds_needed(0.1, 0.11, 0.25))  # at best 0.1 against 1.96 x 0.11 x 0.5
    assert np.isnan(seeds_needed(0.1, 0.1, np.nan))


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
    random = np.random.default_rng(0).normal(size=(2, 400)) * 0.01
    cells = [
        cells_of(run, {(0, "foscttm"): values[run, "foscttm"][0] + x}) for run, x in zip(("mvae", "cca"), random, strict=True)
    ]
    cells.append(cells_of("mmvaepp", {(0, "foscttm"): 0.1005 + random[1]}))
    found = level(summary, paired_tests(scores, cells, ROSTER), ROSTER).set_axis(summary["run"])
    assert found.to_dict() == {"mvae": True, "mmvaepp": True, "cca": False, "oracle": False}


def test_a_run_that_lacks_a_seed_is_not_level_with_the_best():
    values = {("mvae", "foscttm"): [0.10, 0.12, 0.11, 0.12], ("mmvaepp", "foscttm"): [0.12, 0.11, None, 0.11]}
    values |= {("cca", "foscttm"): [0.11, 0.11, 0.13, 0.12]}
    scores = scores_of(values)
    summary, tests = headline(scores), paired_tests(scores, [], ROSTER)
    assert tests.set_index(["run", "against"])["p_holm"].loc[[("mmvaepp", "mvae"), ("cca", "mvae")]].gt(0.5).all()
    found = level(summary, tests, ROSTER).set_axis(summary["run"])
    assert found.to_dict() == {"mvae": True, "mmvaepp": False, "cca": True}


def test_where_every_run_lacks_a_seed_none_is_the_best_and_a_named_reference_is_still_one():
    values = {("mvae", "foscttm"): [None, 0.12, 0.11], ("mmvaepp", "foscttm"): [0.12, 0.11, None]}
    scores = scores_of(values | {("cca", "foscttm"): [0.3, None, 0.4]})
    assert not level(headline(scores), paired_tests(scores, [], ROSTER), ROSTER).any()
    assert paired_tests(scores, [], ROSTER).empty
    assert set(paired_tests(scores, [], ROSTER, reference="cca")["role"]) == {"reference"}


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


def test_a_failed_seed_of_the_first_run_leaves_the_tests_over_cells_of_all_others():
    random = np.random.default_rng(0)
    x = {run: {seed: random.random(30) + gap for seed in range(3)} for run, gap in (("mvae", 0), ("cca", 1), ("ridge", 2))}
    del x["mvae"][2]
    scores = scores_of(
        {(run, "foscttm"): [of[seed].mean() if seed in of else None for seed in range(3)] for run, of in x.items()}
    )
    cells = [cells_of(run, {(seed, "foscttm"): y for seed, y in of.items()}) for run, of in x.items()]
    found = paired_tests(scores, cells, ROSTER, reference="cca").set_index(["test", "run", "against"])
    assert found.loc[(OVER_CELLS, "ridge", "cca"), ["n", "seeds"]].tolist() == [90, 3]
    assert 60 in found.loc[OVER_CELLS, "n"].tolist()  # of mvae, over two seeds


def test_fewer_directions_are_not_compared_and_nothing_compares_with_itself():
    scores = scores_of(
        {("mvae", "foscttm", d): [0.1, 0.2] for d in ("rna->adt", "adt->rna")} | {("cca", "foscttm"): [0.0, 0.1]}
    )
    assert paired_tests(scores, [], ROSTER).empty
