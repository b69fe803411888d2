"""The overall score by hand, the ends of its scale, and absent scores."""

import numpy as np
import pandas as pd
import pytest
from made_up_scores import CARDS, ROSTER, runs_of, scores_of
from numpy.testing import assert_allclose, assert_equal
from scipy import stats

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.stats.intervals import with_cells
from mosaicbench.stats.means import comparison, headline
from mosaicbench.stats.overall import RANK_COLUMNS, ends, overall, ranks, with_ceilings
from mosaicbench.stats.paired import PAIRED_COLUMNS, paired_tests
from mosaicbench.stats.sanity import (
    CHECK_COLUMNS,
    MARKS,
    named_by_checks,
    sanity_checks,
    signs_of,
)

CONTROLS = {
    ("oracle", "foscttm"): [0.0, 0.0],
    ("oracle", "recall_at_10"): [1.0, 1.0],
    ("oracle", "label_transfer_accuracy"): [1.0, 1.0],
    ("oracle", "imputation_skill"): [0.8, 0.8],
    ("constant", "recall_at_10"): [0.1, 0.1],
    ("constant", "label_transfer_accuracy"): [0.4, 0.4],
    ("random_latent", "label_transfer_accuracy"): [0.2, 0.2],
}
MVAE = {
    ("mvae", "foscttm"): [0.1, 0.2],  # 0.8, 0.6
    ("mvae", "recall_at_10"): [0.55, 0.55],  # 0.5
    ("mvae", "label_transfer_accuracy"): [0.7, 0.7],  # 0.5
    ("mvae", "imputation_skill"): [0.4, 0.4],  # 0.5
}


def overall_of(values, metadata=ROSTER, **absent):
    scores = scores_of(CONTROLS | values)
    return overall(scores, runs_of(scores, **absent), metadata).set_index("run", drop=False)


def over_datasets(*parts, simulated=()):
    scores = pd.concat(parts)
    return overall(scores, runs_of(scores), ROSTER, simulated).set_index(["dataset", "run"])


def test_what_a_score_attains_of_its_ceiling_by_hand():
    values = {("mvae", "imputation_skill"): [0.1, 0.3], ("mvae", "foscttm"): [0.1, 0.2]}
    values |= {("mvae", "imputation_skill_ceiling"): [0.7, 0.9]}
    values |= {("cca", "imputation_skill"): [0.4, 0.4], ("cca", "imputation_skill_ceiling"): [0.8]}
    values |= {("mmvae", "imputation_skill"): [0.1, 0.1]}
    values |= {("mmvae", "imputation_skill_ceiling"): [-0.1, -0.1]}
    for means in (headline, comparison):
        table = with_ceilings(means(scores_of(values)), ROSTER).set_index(["run", "metric"])
        row = table.loc[("mvae", "imputation_skill")]
        assert_allclose([row["ceiling"], row["attained"]], [0.8, 0.2 / 0.8])
        assert table["attained"].count() == table["ceiling"].count() == 1


def test_overall_by_hand():
    table = overall_of(MVAE)
    row = table.loc["mvae"]
    questions = row[["alignment", "label_transfer", "imputation"]].astype(float)
    assert_allclose(questions, [0.6, 0.5, 0.5])
    by_seed = [(0.65 + 0.5 + 0.5) / 3, (0.55 + 0.5 + 0.5) / 3]
    low, high = stats.t.interval(0.95, 1, np.mean(by_seed), stats.sem(by_seed))
    found = row[["score", "low", "high"]].astype(float)
    assert_allclose(found, [np.mean(by_seed), low, high])
    assert row[["metrics", "of_metrics", "seeds", "of_seeds"]].tolist() == [4, 4, 2, 2]
    assert row["complete"] and row["rank"] == 1
    assert_allclose(table.loc["oracle", "score"], 1)
    assert table.loc[["oracle", "constant"], "rank"].isna().all()


def test_a_metric_without_a_scale_is_left_out():
    below = {  # a control without information beats the oracle
        ("oracle", "label_transfer_accuracy"): [0.93, 0.93],
        ("constant", "label_transfer_accuracy"): [0.95, 0.95],
    }
    row = overall_of(MVAE | below).loc["mvae"]
    assert np.isnan(row["label_transfer"])
    assert_allclose(row["score"], (0.6 + 0.5) / 2)
    assert row[["metrics", "of_metrics", "complete"]].tolist() == [3, 3, True]


def test_a_run_with_absent_scores_is_not_ranked():
    partial = {("cca", "foscttm"): [0.0, 0.0], ("cca", "recall_at_10"): [1.0, 1.0]}
    seed_lost = {("mmvaepp", metric): [by[0], None] for (_, metric), by in MVAE.items()}
    all_lost = {("vae_poe", "foscttm"): [None, None]}
    of_linear = MVAE | {("mvae", "imputation_skill"): [0.4, np.nan]}
    without = {("linear", metric): by for (_, metric), by in of_linear.items()}
    values = MVAE | partial | seed_lost | all_lost | without
    table = overall_of(values, not_applicable=["ridge"])
    cca, lost = table.loc["cca"], table.loc["mmvaepp"]
    assert table.loc["linear", "missing"] == "seed 1 without imputation_skill"
    assert cca[["alignment", "rank_alignment"]].tolist() == [1.0, 1.0]
    assert cca[["score", "imputation", "label_transfer"]].isna().all()
    assert cca[["metrics", "of_metrics"]].tolist() == [2, 4]
    assert cca["missing"] == "label_transfer_accuracy, imputation_skill"
    assert_allclose(lost["score"], (0.65 + 0.5 + 0.5) / 3)  # of one seed
    assert lost[["seeds", "of_seeds", "interval"]].tolist() == [1, 2, "none"]
    assert lost["missing"] == "seed 1 diverged"
    assert table.loc[["vae_poe", "ridge"], "score"].isna().all()
    assert table.loc["vae_poe", "missing"].endswith("seed 0 diverged, seed 1 diverged")
    assert table.loc["ridge", "missing"].endswith("not applicable")
    assert table.index[table["complete"]].tolist() == ["oracle", "mvae"]
    assert table["rank"].dropna().to_dict() == {"mvae": 1.0}
    assert table["rank_alignment"].dropna().to_dict() == {"cca": 1.0, "mvae": 2.0}
    assert table["rank_imputation"].dropna().to_dict() == {"mvae": 1.0}


def test_over_datasets_a_run_is_complete_only_if_it_is_everywhere():
    cca = {("cca", "foscttm"): [0.0, 0.1]}
    second = scores_of(CONTROLS | MVAE | cca, dataset="e")
    table = over_datasets(scores_of(CONTROLS | MVAE), second)
    both = table.loc[("(all)", "mvae")]
    assert_allclose(both["score"], table.loc[("d", "mvae"), "score"])
    assert both["complete"] and both["rank"] == 1
    assert both["interval"] == "t over seeds, of these datasets"
    assert ("(all)", "cca") not in table.index  # of one dataset only
    lost = {("cca", "foscttm"): [None, None]}
    both = over_datasets(scores_of(CONTROLS | MVAE | lost), second).loc[("(all)", "cca")]
    assert not both["complete"] and both["missing"].startswith("d: foscttm, ")


def test_a_question_without_one_of_its_scores_has_no_score():
    values = {key: by for key, by in MVAE.items() if key[1] != "recall_at_10"}
    row = overall_of(values | {("cca", "recall_at_10"): [0.5, 0.5]}).loc["mvae"]
    assert row[["alignment", "score", "rank", "rank_alignment"]].isna().all()
    assert (row["missing"], row["rank_imputation"]) == ("recall_at_10", 1.0)


def test_simulated_datasets_are_left_out_over_datasets():
    better = CONTROLS | MVAE | {("cca", metric): [0.9, 0.9] for _, metric in MVAE}
    bad = better | {("mvae", metric): [0.0, 0.0] for _, metric in MVAE}
    parts = [scores_of(better, dataset="d"), scores_of(better, dataset="e")]
    alone = over_datasets(*parts).loc["(all)"]
    parts.append(scores_of(bad, dataset="made_up"))
    without = over_datasets(*parts, simulated=["made_up"]).loc["(all)"]
    assert set(without["datasets"]) == {"d, e"}
    assert without.loc["mvae", "score"] == alone.loc["mvae", "score"]
    for simulated in ((), ("d", "e", "made_up")):
        every = over_datasets(*parts, simulated=simulated).loc["(all)"]
        assert set(every["datasets"]) == {"d, e, made_up"}
        assert every.loc["mvae", "score"] < alone.loc["mvae", "score"]
    places = ranks(pd.concat(parts), ROSTER, ["made_up"])
    assert set(places["datasets"]) == {2} and set(places["of_blocks"]) == {4}


def test_runs_that_a_check_names_or_that_beat_no_trivial_control_are_said():
    trivial = {"types": "label_oracle", "type_mean": "celltype_mean"}
    values = {
        ("types", "foscttm"): [0.05, 0.05],
        ("types", "recall_at_10"): [0.6, 0.6],
        ("type_mean", "imputation_skill"): [0.5, 0.5],
    }
    for _, metric in MVAE:
        values["cca", metric] = [0.45 if metric == "foscttm" else 0.15] * 2
    table = overall_of(MVAE | values, RunMetadata(cards=CARDS, methods=trivial))
    assert table.loc["mvae", "not_above"] == "alignment, imputation"
    assert table.loc["cca", "not_above"] == "alignment, label_transfer, imputation"
    row = {"dataset": "d", "scenario": "paired", "run": "mvae", "metric": "foscttm"}
    named = pd.DataFrame([row | {"check": "chance"}]).reindex(columns=CHECK_COLUMNS)
    assert named_by_checks(named) == {("d", "paired"): {"mvae": "chance"}}
    check, sign = next(iter(MARKS.items()))
    marked = named.assign(check=check)
    assert signs_of(marked) == {(name, "paired", "mvae"): sign for name in ("d", "(all)")}
    assert not named_by_checks(marked)


def test_failed_runs_alone_give_empty_tables():
    scores = scores_of({("mvae", "foscttm"): [None, None]})
    assert paired_tests(scores, [], ROSTER).columns.tolist() == PAIRED_COLUMNS
    assert ranks(scores, ROSTER).columns.tolist() == RANK_COLUMNS
    table = overall(scores, runs_of(scores), ROSTER)
    assert table["score"].isna().all() and not table["complete"].any()
    assert sanity_checks(scores, [], ROSTER, {}).empty
    assert with_cells(comparison(scores), {})["mean"].isna().all()


@pytest.mark.parametrize(
    ("metric", "means", "zero", "one"),
    [
        ("foscttm", {"oracle": 0.0, "random_latent": 0.49}, (0.5, "chance"), 0.0),
        (
            "recall_at_10",
            {"constant": 0.05, "random_latent": 0.1, "mvae": 0.01},
            (0.1, "random_latent"),
            1.0,
        ),
        (
            "label_transfer_accuracy",
            {"label_oracle": 1.0, "oracle": 0.9, "mvae": 0.95},
            (np.nan, ""),
            0.9,
        ),
        (
            "fit_seconds",
            {"constant": 0.2, "random_latent": 0.1},
            (0.1, "random_latent"),
            0.0,
        ),
    ],
)
def test_the_ends_of_a_scale(metric, means, zero, one):
    scale = ends(pd.Series(means), metric, ROSTER)
    assert_equal((scale["zero"], scale["zero_is"]), zero)
    assert_equal(scale["one"], one)
