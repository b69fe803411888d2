"""Mean ranks by hand, and Nemenyi's critical difference against Demšar's tables."""

import numpy as np
import pandas as pd
from made_up_scores import ROSTER, scores_of

from mosaicbench.stats.ranks import critical_difference, ranks


def test_ranks_by_hand_with_ties_and_both_senses():
    by_dataset = {
        "d": {
            ("mvae", "foscttm"): [0.1, 0.2],
            ("cca", "foscttm"): [0.1, 0.1],
            ("ridge", "foscttm"): [0.3, 0.3],
        },
        "e": {
            ("mvae", "foscttm"): [0.1, 0.1],
            ("cca", "foscttm"): [0.4, 0.4],
            ("ridge", "foscttm"): [0.2, 0.5],
        },
    }
    scores = pd.concat([scores_of(values, dataset=name) for name, values in by_dataset.items()])
    found = ranks(scores, ROSTER).set_index("run")
    # d: (1.5, 1.5, 3) and (2, 1, 3); e: (1, 3, 2) and (1, 2, 3)
    np.testing.assert_allclose(
        found.loc[["mvae", "cca", "ridge"], "rank"],
        [(1.75 + 1) / 2, (1.25 + 2.5) / 2, (3 + 2.5) / 2],
    )
    assert set(found["interval"]) == {"t over seeds, of these datasets"}
    assert (found["low"] <= found["rank"]).all()
    assert (found["rank"] <= found["high"]).all()
    flipped = scores.assign(metric="recall_at_10")
    found = ranks(flipped, ROSTER).set_index("run")
    np.testing.assert_allclose(found.loc["ridge", "rank"], 4 - (3 + 2.5) / 2)


def test_critical_difference_is_demsars():
    """Table 5 of Demšar 2006: q at 5 % is 2.343 for 3 and 2.728 for 5 methods; his example: 4 methods, 14 data sets, 1.25."""
    np.testing.assert_allclose(critical_difference(4, 14), 1.25, atol=0.005)
    np.testing.assert_allclose(critical_difference(3, 6) / np.sqrt(3 * 4 / 36), 2.343, atol=0.001)
    np.testing.assert_allclose(critical_difference(5, 6) / np.sqrt(5 * 6 / 36), 2.728, atol=0.001)


def test_an_incomplete_run_is_listed_without_a_rank_and_moves_nobody():
    whole = {("mvae", "foscttm"): [0.1, 0.2], ("cca", "foscttm"): [0.2, 0.1]}
    scores = scores_of(whole | {("mmvaepp", "foscttm"): [0.0, None]})
    found = ranks(scores, ROSTER).set_index("run")
    assert np.isnan(found.loc["mmvaepp", "rank"])
    assert (found.loc["mmvaepp", "blocks"], found.loc["mmvaepp", "of_blocks"]) == (1, 2)
    assert found.loc["mmvaepp", "note"] == "no value for d seed 1"
    assert found.loc[["mvae", "cca"], "rank"].tolist() == [1.5, 1.5]
    assert set(found.loc[["mvae", "cca"], "interval"]) == {"t over seeds"}
    assert found["critical_difference"].isna().all()  # of one dataset


def test_alone_or_with_one_seed_there_is_no_rank_or_no_interval():
    scores = scores_of(
        {
            ("mvae", "foscttm"): [0.1, 0.2],
            ("oracle", "foscttm"): [0.0, 0.0],
            ("mvae", "active_units"): [3.0, 4.0],
        }
    )
    found = ranks(scores, ROSTER)
    assert found[["metric", "run"]].to_numpy().tolist() == [["foscttm", "mvae"]]
    assert found["rank"].isna().all()
    assert found["note"].tolist() == ["nothing to rank against"]
    scores = scores_of({("mvae", "foscttm"): [0.1], ("cca", "foscttm"): [0.2]})
    found = ranks(scores, ROSTER)
    assert found["rank"].tolist() == [1.0, 2.0]
    assert set(found["interval"]) == {"none"}
    assert found["low"].isna().all()
