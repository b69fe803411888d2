"""Mean ranks by hand, and Nemenyi's critical difference against Demšar's tables."""

import numpy as np
import pandas as pd
from made_up_scores import ROSTER, scores_of
from numpy.testing import assert_allclose

from mosaicbench.stats.overall import critical_difference, ranks


def foscttm(**runs):
    return {(run, "foscttm"): by_seed for run, by_seed in runs.items()}


def test_ranks_by_hand_with_ties_and_in_both_directions():
    d = foscttm(mvae=[0.1, 0.2], cca=[0.1, 0.1], ridge=[0.3, 0.3])
    e = foscttm(mvae=[0.1, 0.1], cca=[0.4, 0.4], ridge=[0.2, 0.5])
    scores = pd.concat([scores_of(d, dataset="d"), scores_of(e, dataset="e")])
    table = ranks(scores, ROSTER).set_index("run")
    # d: (1.5, 1.5, 3) and (2, 1, 3); e: (1, 3, 2) and (1, 2, 3)
    expected = [(1.75 + 1) / 2, (1.25 + 2.5) / 2, (3 + 2.5) / 2]
    assert_allclose(table.loc[["mvae", "cca", "ridge"], "rank"], expected)
    assert set(table["interval"]) == {"t over seeds, of these datasets"}
    assert table["rank"].between(table["low"], table["high"]).all()
    flipped = ranks(scores.assign(metric="recall_at_10"), ROSTER).set_index("run")
    assert_allclose(flipped.loc["ridge", "rank"], 4 - (3 + 2.5) / 2)


def test_critical_difference_is_demsars():
    """Demšar 2006, Table 5: q is 2.343 for 3 and 2.728 for 5 methods; his example: 1.25."""
    assert_allclose(critical_difference(4, 14), 1.25, atol=0.005)
    assert_allclose(critical_difference(3, 6) / np.sqrt(3 * 4 / 36), 2.343, atol=0.001)
    assert_allclose(critical_difference(5, 6) / np.sqrt(5 * 6 / 36), 2.728, atol=0.001)


def test_an_incomplete_run_is_listed_without_a_rank_and_moves_nobody():
    scores = scores_of(foscttm(mvae=[0.1, 0.2], cca=[0.2, 0.1], mmvaepp=[0.0, None]))
    table = ranks(scores, ROSTER).set_index("run")
    lost = table.loc["mmvaepp"]
    assert np.isnan(lost["rank"]) and "d seed 1" in lost["note"]
    assert (lost["blocks"], lost["of_blocks"]) == (1, 2)
    assert table.loc[["mvae", "cca"], "rank"].tolist() == [1.5, 1.5]
    assert set(table.loc[["mvae", "cca"], "interval"]) == {"t over seeds"}
    assert table["critical_difference"].isna().all()  # of one dataset


def test_alone_or_with_one_seed_there_is_no_rank_or_no_interval():
    values = foscttm(mvae=[0.1, 0.2], oracle=[0.0, 0.0]) | {("mvae", "active_units"): [3.0, 4.0]}
    table = ranks(scores_of(values), ROSTER)
    assert table[["metric", "run"]].to_numpy().tolist() == [["foscttm", "mvae"]]
    assert table["rank"].isna().all() and table["note"].iloc[0]
    table = ranks(scores_of(foscttm(mvae=[0.1], cca=[0.2])), ROSTER)
    assert table["rank"].tolist() == [1.0, 2.0]
    assert set(table["interval"]) == {"none"} and table["low"].isna().all()
