"""Two results folders side by side: what is beyond the intervals, what ended differently, what was made with something else."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from made_up_scores import scores_of
from scipy import stats

from mosaicbench import cli
from mosaicbench.commands import compare
from mosaicbench.errors import UserError
from mosaicbench.files.runs import write_record
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.report.records import differing_facts
from mosaicbench.report.tables.contract import RUN_COLUMNS
from mosaicbench.roster import Roster
from mosaicbench.statistics import difference, summary

ROSTER = Roster(
    {
        "metrics": {
            "foscttm": {"better": "lower"},
            "nmi": {"better": "higher"},
            "fit_seconds": {"better": "lower"},
        }
    },
    {},
)
DISPLAY = REPOSITORY / "config/display.yaml"


def sides(values):
    """Return headline and scores of one benchmark from (run, metric) -> values by seed."""
    scores = scores_of(values, scenario="s")
    return summary.headline(scores), scores


def changes(a, b):
    """Return the differences between two benchmarks, given as (run, metric) -> values by seed."""
    (of_a, scores_a), (of_b, scores_b) = sides(a), sides(b)
    return difference.scores(of_a, of_b, scores_a, scores_b, ROSTER)


@pytest.mark.parametrize(
    ("metric", "a", "b", "change"),
    [
        (
            "foscttm",
            [0.2, 0.3, 0.4],
            [0.1, 0.21, 0.3],
            "better",
        ),  # the two intervals meet: the splits differ more
        ("foscttm", [0.1, 0.21, 0.3], [0.2, 0.3, 0.4], "worse"),
        ("nmi", [0.1, 0.21, 0.3], [0.2, 0.3, 0.4], "better"),
        ("nmi", [0.2, 0.3, 0.4], [0.1, 0.21, 0.3], "worse"),
        ("nmi", [0.1, 0.2, 0.3], [0.2, 0.19, 0.4], "within"),
        ("unknown", [0.1, 0.21, 0.3], [0.2, 0.3, 0.4], "beyond"),
        ("nmi", [0.1], [0.9], "no test"),
        ("nmi", [0.1, 0.2], [0.1, 0.2], "same"),
        ("nmi", [0.1], [0.1, 0.5], "same"),  # with the seed that both have
    ],
)
def test_a_change_is_claimed_only_where_the_difference_by_seed_leaves_out_zero(
    metric, a, b, change
):
    found = changes({("mvae", metric): a}, {("mvae", metric): b})
    assert found["change"].tolist() == [change]
    seeds = min(len(a), len(b))
    assert found["paired_seeds"].tolist() == [seeds]
    np.testing.assert_allclose(found["difference"], np.mean(b[:seeds]) - np.mean(a[:seeds]))
    if seeds > 1 and change != "same":
        interval = stats.ttest_rel(b, a).confidence_interval()
        np.testing.assert_allclose(
            found[["low", "high"]].to_numpy()[0], [interval.low, interval.high]
        )
    assert list(found.columns) == difference.SCORE_COLUMNS


def test_equal_benchmarks_differ_in_one_case_of_twenty():
    """Intervals of each alone that had to stay apart called 11 % of equal scores different."""
    random = np.random.default_rng(0)
    a, b = (
        {("mvae", f"m{i}"): 0.5 + 0.1 * random.standard_normal(3) for i in range(600)} for _ in "ab"
    )
    called = changes(a, b)["change"].isin(["better", "worse", "beyond"]).mean()
    assert 0.03 < called < 0.07


def test_scores_of_one_side_stand_apart_and_costs_come_last():
    nmi, seconds = [0.5, 0.4, 0.6], [9, 8, 10]
    a = {("mvae", "nmi"): nmi, ("mvae", "fit_seconds"): seconds, ("cca", "nmi"): nmi}
    b = {
        ("mvae", "nmi"): [0.52, 0.38, 0.61],
        ("mvae", "fit_seconds"): [90, 89, 92],
        ("ridge", "nmi"): nmi,
    }
    found = changes(a, b).set_index(["run", "metric"])
    assert found["change"].to_dict() == {
        ("mvae", "nmi"): "within",
        ("cca", "nmi"): "only in A",
        ("ridge", "nmi"): "only in B",
        ("mvae", "fit_seconds"): "worse",
    }
    assert list(found.index)[-1] == ("mvae", "fit_seconds")
    assert np.isnan(found.loc[("cca", "nmi"), "difference"])
    assert changes({("mvae", "nmi"): [None]}, {("mvae", "nmi"): [None]}).empty


def test_differences_are_over_the_directions_that_both_have():
    a = {("mvae", "nmi", "a->b"): [0.5, 0.4, 0.6]}
    b = {("mvae", "nmi", "a->b"): [0.51, 0.38, 0.61], ("mvae", "nmi", "b->a"): [0.1, 0.1, 0.1]}
    row = changes(a, b).iloc[0]
    assert (row["change"], row["paired_seeds"]) == ("within", 3)
    np.testing.assert_allclose(row["difference"], 0, atol=1e-12)


def test_values_that_two_configs_do_not_share_are_named_by_their_place():
    a = {"runs": {"mvae": {"beta": 4}, "cca": None}, "seeds": [0, 1], "same": {"x": 1}}
    b = {"runs": {"mvae": {"beta": 1}, "ridge": None}, "seeds": [0], "same": {"x": 1}}
    assert differing_facts(a, b).to_numpy().tolist() == [
        ["runs.mvae.beta", "4", "1"],
        ["runs.cca", "null", "–"],
        ["seeds", "[0, 1]", "[0]"],
        ["runs.ridge", "–", "null"],
    ]
    assert differing_facts(a, a).empty


def results(folder, *, mean, status="ok", seeds=(0, 1), torch="2.13.0", config=None):
    """Write the least that `compare` reads: one run, and one that does not apply."""
    rows = []
    for seed in seeds:
        record = {
            "dataset": "d",
            "scenario": "s",
            "run": "mvae",
            "method": "mvae",
            "seed": seed,
            "device": "cpu",
            "threads": 1,
        }
        record |= {
            "status": status if seed == 0 else "ok",
            "message": "<b>not finite</b>" if status != "ok" else "",
        }
        record |= {
            "hyperparameters": {},
            "seconds": {},
            "peak_host_mb": None,
            "peak_device_mb": None,
            "git_commit": "abc",
        }
        record |= {"versions": {"torch": torch}}
        write_record(folder / f"runs/d/s/mvae/seed-{seed}/run.json", record)
        rows.append({column: record.get(column) for column in RUN_COLUMNS} | {"seconds": None})
    absent = {
        "dataset": "d",
        "scenario": "s",
        "run": "cca",
        "method": "cca",
        "status": "not_applicable",
        "message": "no pairs",
    }
    write_table(folder / "tables/runs.tsv", pd.DataFrame([*rows, absent], columns=RUN_COLUMNS))
    of_all, scores = sides({("mvae", "foscttm"): [mean + 0.001 * seed for seed in seeds]})
    write_table(folder / "tables/scores.tsv", scores)
    write_table(
        folder / "tables/headline.tsv", of_all.assign(low=mean - 0.01, high=mean + 0.01, mean=mean)
    )
    (folder / "config.json").write_text(json.dumps(config or {"seeds": list(seeds)}))
    return folder


def test_compare_prints_and_writes_what_changed(tmp_path, capsys):
    a = results(tmp_path / "a", mean=0.3)
    b = results(tmp_path / "b", mean=0.1, status="diverged", seeds=(0, 1, 2), torch="2.14.0")
    cli.main(["compare", str(a), str(b), "--output", str(tmp_path / "changes.html")])
    said = capsys.readouterr().out
    assert "1 scores: 1 better." in said
    assert re.search(
        r"mvae +foscttm +0\.300 \(0\.290 to 0\.310\) +0\.100 \(0\.090 to 0\.110\) +-0\.2 \(-0\.2 to -0\.2\) +better",
        said,
    )
    assert re.search(r"mvae +0 +ok +diverged", said)
    assert re.search(r"seeds +\[0, 1\] +\[0, 1, 2\]", said)
    assert re.search(r"torch +2\.13\.0 +2\.14\.0", said)
    written = read_table(tmp_path / "changes.tsv", difference.SCORE_COLUMNS)
    assert written["change"].tolist() == ["better"]
    page = (tmp_path / "changes.html").read_text()
    for text in ("FOSCTTM", "0.300 (0.290 to 0.310)", "&lt;b&gt;not finite", "2.14.0", "[0, 1, 2]"):
        assert text in page
    assert "<b>not" not in page


def test_a_benchmark_does_not_differ_from_itself(tmp_path, capsys):
    a = results(tmp_path / "a", mean=0.3)
    compare.main(a=a, b=a, display=DISPLAY, output=None)
    said = capsys.readouterr().out.strip().splitlines()
    assert said[-1] == "1 scores: 1 same."


def test_compare_refuses_what_is_no_results_folder(tmp_path):
    a = results(tmp_path / "a", mean=0.3)
    with pytest.raises(
        UserError, match=r"nowhere: there is no tables/headline\.tsv in it; name the results folder"
    ):
        compare.main(a=a, b=tmp_path / "nowhere", display=DISPLAY, output=None)
    with pytest.raises(UserError, match=r"changes\.txt: name an \.html file"):
        compare.main(a=a, b=a, display=DISPLAY, output=tmp_path / "changes.txt")
    (a / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json: not valid JSON"):
        compare.main(a=a, b=a, display=DISPLAY, output=None)
