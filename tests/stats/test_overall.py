"""The overall score by hand, the ends of its scale, and what is missing."""

import numpy as np
import pandas as pd
import pytest
from made_up_scores import CARDS, ROSTER, runs_of, scores_of
from scipy import stats

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.stats.intervals import with_cells
from mosaicbench.stats.means import comparison
from mosaicbench.stats.overall import ends, overall
from mosaicbench.stats.paired import PAIRED_COLUMNS, paired_tests
from mosaicbench.stats.ranks import RANK_COLUMNS, ranks
from mosaicbench.stats.sanity import (
    CHECK_COLUMNS,
    MARKS,
    may_win,
    named_by_checks,
    signs_of,
    suspicious_scores,
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


def test_overall_by_hand():
    scores = scores_of(CONTROLS | MVAE)
    found = overall(scores, runs_of(scores), ROSTER).set_index("run")
    row = found.loc["mvae"]
    np.testing.assert_allclose(
        row[["alignment", "label_transfer", "imputation"]].astype(float), [0.6, 0.5, 0.5]
    )
    by_seed = [(0.65 + 0.5 + 0.5) / 3, (0.55 + 0.5 + 0.5) / 3]
    np.testing.assert_allclose(row["score"], np.mean(by_seed))
    interval = stats.t.interval(0.95, 1, np.mean(by_seed), stats.sem(by_seed))
    np.testing.assert_allclose([row["low"], row["high"]], interval)
    assert (row["metrics"], row["of_metrics"], row["seeds"], row["of_seeds"]) == (4, 4, 2, 2)
    assert row["complete"]
    assert row["rank"] == 1
    np.testing.assert_allclose(found.loc["oracle", "score"], 1)
    assert found.loc[["oracle", "constant"], "rank"].isna().all()


def test_competitors_never_set_the_scale():
    scores = scores_of(CONTROLS | MVAE)
    more = pd.concat(
        [
            scores,
            scores_of({("cca", metric): [v - 0.3 for v in by] for (_, metric), by in MVAE.items()}),
        ]
    )
    before, after = (
        overall(t, runs_of(t), ROSTER).set_index("run").loc["mvae", "score"] for t in (scores, more)
    )
    assert before == after


def test_a_metric_in_which_the_oracle_is_below_a_control_that_knows_nothing_has_no_scale():
    below = {
        ("oracle", "label_transfer_accuracy"): [0.93, 0.93],
        ("constant", "label_transfer_accuracy"): [0.95, 0.95],
    }
    scores = scores_of(CONTROLS | MVAE | below)
    row = overall(scores, runs_of(scores), ROSTER).set_index("run").loc["mvae"]
    assert np.isnan(row["label_transfer"])
    np.testing.assert_allclose(
        row["score"], (0.6 + 0.5) / 2
    )  # the split does not ask that question
    assert (row["metrics"], row["of_metrics"], row["complete"]) == (3, 3, True)


def test_what_is_missing_is_left_out_and_the_run_is_not_ranked():
    partial = {("cca", "foscttm"): [0.0, 0.0], ("cca", "recall_at_10"): [1.0, 1.0]}
    seed_lost = {("mmvaepp", metric): [by[0], None] for (_, metric), by in MVAE.items()}
    all_lost = {("vae_poe", "foscttm"): [None, None]}
    scores = scores_of(CONTROLS | MVAE | partial | seed_lost | all_lost)
    found = overall(scores, runs_of(scores, not_applicable=["ridge"]), ROSTER).set_index("run")
    cca = found.loc["cca"]
    assert (cca["alignment"], cca["rank_alignment"]) == (1.0, 1.0)
    assert np.isnan(cca["score"])  # a mean of other questions than those of the others is none
    assert np.isnan(cca["imputation"])
    assert np.isnan(cca["label_transfer"])
    assert (cca["metrics"], cca["of_metrics"], cca["missing"]) == (
        2,
        4,
        "label_transfer_accuracy, imputation_skill",
    )
    lost = found.loc["mmvaepp"]
    np.testing.assert_allclose(lost["score"], (0.65 + 0.5 + 0.5) / 3)  # of the seed that there is
    assert (lost["seeds"], lost["of_seeds"], lost["missing"], lost["interval"]) == (
        1,
        2,
        "seed 1 diverged",
        "none",
    )
    assert np.isnan(found.loc["vae_poe", "score"])
    assert found.loc["vae_poe", "missing"].endswith("seed 0 diverged, seed 1 diverged")
    assert np.isnan(found.loc["ridge", "score"])
    assert found.loc["ridge", "missing"].endswith("not applicable")
    assert not found.loc[["cca", "mmvaepp", "vae_poe", "ridge"], "complete"].any()
    assert found["rank"].dropna().to_dict() == {"mvae": 1.0}
    assert found["rank_alignment"].dropna().to_dict() == {"cca": 1.0, "mvae": 2.0}
    assert found["rank_imputation"].dropna().to_dict() == {"mvae": 1.0}


def test_a_seed_that_ended_well_without_a_metric_names_the_metric():
    scores = scores_of(CONTROLS | MVAE)
    undefined = (
        (scores["run"] == "mvae") & (scores["metric"] == "imputation_skill") & (scores["seed"] == 1)
    )
    scores = scores.assign(value=scores["value"].mask(undefined))
    row = overall(scores, runs_of(scores), ROSTER).set_index("run").loc["mvae"]
    assert (row["missing"], row["complete"]) == ("seed 1 without imputation_skill", False)


def test_over_datasets_a_run_is_complete_only_if_it_is_everywhere():
    first, second = (
        scores_of(CONTROLS | MVAE),
        scores_of(CONTROLS | MVAE | {("cca", "foscttm"): [0.0, 0.1]}, dataset="e"),
    )
    scores = pd.concat([first, second])
    found = overall(scores, runs_of(scores), ROSTER).set_index(["dataset", "run"])
    both = found.loc[("(all)", "mvae")]
    np.testing.assert_allclose(both["score"], found.loc[("d", "mvae"), "score"])
    assert both["complete"]
    assert both["rank"] == 1
    assert both["interval"] == "t over seeds, of these datasets"
    assert ("(all)", "cca") not in found.index  # of one dataset only
    scores = pd.concat([scores_of(CONTROLS | MVAE | {("cca", "foscttm"): [None, None]}), second])
    found = overall(scores, runs_of(scores), ROSTER).set_index(["dataset", "run"])
    assert not found.loc[("(all)", "cca"), "complete"]
    assert found.loc[("(all)", "cca"), "missing"].startswith("d: foscttm, ")


def test_a_question_without_one_of_its_scores_has_no_score():
    values = {key: by for key, by in MVAE.items() if key[1] != "recall_at_10"}
    scores = scores_of(CONTROLS | values | {("cca", "recall_at_10"): [0.5, 0.5]})
    row = overall(scores, runs_of(scores), ROSTER).set_index("run").loc["mvae"]
    assert row[["alignment", "score", "rank", "rank_alignment"]].isna().all()
    assert (row["missing"], row["rank_imputation"]) == ("recall_at_10", 1.0)


def test_simulated_datasets_are_no_part_of_what_is_over_datasets():
    better = MVAE | {("cca", metric): [0.9, 0.9] for _, metric in MVAE}
    parts = [scores_of(CONTROLS | better, dataset=name) for name in ("d", "e")]
    other = {("mvae", metric): [0.0, 0.0] for _, metric in MVAE}
    parts.append(scores_of(CONTROLS | better | other, dataset="made_up"))
    scores = pd.concat(parts)
    runs = runs_of(scores)
    of_all = overall(scores, runs, ROSTER, ["made_up"]).set_index(["dataset", "run"]).loc["(all)"]
    assert set(of_all["datasets"]) == {"d, e"}
    np.testing.assert_allclose(
        of_all.loc["mvae", "score"],
        overall(parts[0], runs_of(parts[0]), ROSTER).set_index("run").loc["mvae", "score"],
    )
    assert (
        overall(scores, runs, ROSTER).set_index(["dataset", "run"]).loc[("(all)", "mvae"), "score"]
        < of_all.loc["mvae", "score"]
    )
    names = ["d", "e", "made_up"]
    assert set(
        overall(scores, runs, ROSTER, names).set_index("dataset").loc["(all)", "datasets"]
    ) == {"d, e, made_up"}
    places = ranks(scores, ROSTER, ["made_up"])
    assert set(places["datasets"]) == {2}
    assert set(places["of_blocks"]) == {4}


def test_a_run_that_a_check_names_or_that_beats_no_trivial_control_may_not_win():
    run_metadata = RunMetadata(
        cards=CARDS, methods={"types": "label_oracle", "type_mean": "celltype_mean"}
    )
    types = {
        ("types", "foscttm"): [0.05, 0.05],
        ("types", "recall_at_10"): [0.6, 0.6],
        ("type_mean", "imputation_skill"): [0.5, 0.5],
    }
    worse = {("cca", metric): [0.45 if metric == "foscttm" else 0.15] * 2 for _, metric in MVAE}
    scores = scores_of(CONTROLS | MVAE | types | worse)
    found = overall(scores, runs_of(scores).assign(kind="model"), run_metadata).set_index(
        "run", drop=False
    )
    assert found.loc["mvae", "not_above"] == "alignment, imputation"
    assert found.loc["cca", "not_above"] == "alignment, label_transfer, imputation"
    none, row = (
        pd.DataFrame(columns=CHECK_COLUMNS),
        {"dataset": "d", "scenario": "paired", "run": "mvae", "metric": "foscttm"},
    )
    assert may_win(found, none)[["mvae", "cca"]].tolist() == [True, False]
    named = pd.DataFrame([row | {"check": "chance"}]).reindex(columns=CHECK_COLUMNS)
    assert not may_win(found, named)["mvae"]
    marked = named.assign(check=next(iter(MARKS)))
    assert may_win(found, marked)["mvae"]
    assert (
        signs_of(marked)[("d", "paired", "mvae")]
        == signs_of(marked)[("(all)", "paired", "mvae")]
        != ""
    )
    assert not named_by_checks(marked)


def test_nothing_at_all_gives_empty_tables():
    scores = scores_of({("mvae", "foscttm"): [None, None]})
    runs = runs_of(scores)
    assert paired_tests(scores, [], ROSTER).columns.tolist() == PAIRED_COLUMNS
    assert ranks(scores, ROSTER).columns.tolist() == RANK_COLUMNS
    found = overall(scores, runs, ROSTER)
    assert found["score"].isna().all()
    assert not found["complete"].any()
    assert suspicious_scores(scores, [], ROSTER).empty
    assert with_cells(comparison(scores), {})["mean"].isna().all()


@pytest.mark.parametrize(
    ("metric", "means", "expected"),
    [
        ("foscttm", {"oracle": 0.0, "random_latent": 0.49}, (0.5, "chance", 0.0, "oracle")),
        (
            "recall_at_10",
            {"constant": 0.05, "random_latent": 0.1, "mvae": 0.01},
            (0.1, "random_latent", 1.0, "best possible"),
        ),
        (
            "label_transfer_accuracy",
            {"label_oracle": 1.0, "oracle": 0.9},
            (np.nan, "", 0.9, "oracle"),
        ),
        (
            "fit_seconds",
            {"constant": 0.2, "random_latent": 0.1},
            (0.1, "random_latent", 0.0, "best possible"),
        ),
    ],
)
def test_the_ends_of_a_scale(metric, means, expected):
    found = ends(pd.Series(means), metric, ROSTER)
    np.testing.assert_equal(
        (found["zero"], found["zero_is"], found["one"], found["one_is"]), expected
    )
