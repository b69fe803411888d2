"""Two results folders side by side: what is beyond the intervals, what ended differently, what was made with something else."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY

from mosaicbench import cli
from mosaicbench.commands import compare
from mosaicbench.errors import UserError
from mosaicbench.files.runs import write_record
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.report.records import differing_facts
from mosaicbench.report.roster import Roster
from mosaicbench.report.tables.contract import RUN_COLUMNS
from mosaicbench.statistics import difference
from mosaicbench.statistics.summary import HEADLINE_COLUMNS

ROSTER = Roster(
    {"metrics": {"foscttm": {"better": "lower"}, "nmi": {"better": "higher"}, "fit_seconds": {"better": "lower"}}}, {}
)
DISPLAY = REPOSITORY / "config/display.yaml"


def headline(rows):
    """Return the headline table of rows (run, metric, mean, low, high)."""
    table = pd.DataFrame(rows, columns=["run", "metric", "mean", "low", "high"])
    named = {"dataset": "d", "scenario": "s", "sd": 0.1, "interval": "t over seeds", "seeds": 3, "directions": 2}
    return table.assign(**named, of_directions=2)[HEADLINE_COLUMNS]


@pytest.mark.parametrize(
    ("metric", "a", "b", "change"),
    [
        ("foscttm", (0.2, 0.15, 0.25), (0.1, 0.05, 0.14), "better"),
        ("foscttm", (0.1, 0.05, 0.14), (0.2, 0.15, 0.25), "worse"),
        ("nmi", (0.1, 0.05, 0.14), (0.2, 0.15, 0.25), "better"),
        ("nmi", (0.2, 0.15, 0.25), (0.1, 0.05, 0.14), "worse"),
        ("nmi", (0.1, 0.05, 0.16), (0.2, 0.15, 0.25), "within"),
        ("nmi", (0.1, 0.05, 0.15), (0.2, 0.15, 0.25), "within"),  # they touch
        ("unknown", (0.1, 0.05, 0.14), (0.2, 0.15, 0.25), "beyond"),
        ("nmi", (0.1, np.nan, np.nan), (0.9, 0.8, 1.0), "no interval"),
        ("nmi", (0.1, np.nan, np.nan), (0.1, np.nan, np.nan), "same"),
    ],
)
def test_a_change_is_claimed_only_where_the_intervals_do_not_meet(metric, a, b, change):
    found = difference.scores(headline([("mvae", metric, *a)]), headline([("mvae", metric, *b)]), ROSTER)
    assert found["change"].tolist() == [change]
    assert found["difference"].tolist() == [b[0] - a[0]]
    assert list(found.columns) == difference.SCORE_COLUMNS


def test_scores_of_one_side_stand_apart_and_costs_come_last():
    a = headline([("mvae", "nmi", 0.5, 0.4, 0.6), ("mvae", "fit_seconds", 9, 8, 10), ("cca", "nmi", 0.5, 0.4, 0.6)])
    b = headline([("mvae", "nmi", 0.52, 0.4, 0.6), ("mvae", "fit_seconds", 90, 80, 99), ("ridge", "nmi", 0.5, 0.4, 0.6)])
    found = difference.scores(a, b, ROSTER).set_index(["run", "metric"])
    assert found["change"].to_dict() == {
        ("mvae", "nmi"): "within",
        ("cca", "nmi"): "only in A",
        ("ridge", "nmi"): "only in B",
        ("mvae", "fit_seconds"): "worse",
    }
    assert list(found.index)[-1] == ("mvae", "fit_seconds")
    assert np.isnan(found.loc[("cca", "nmi"), "difference"])
    assert difference.scores(a.iloc[:0], b.iloc[:0], ROSTER).empty


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
        record = {"dataset": "d", "scenario": "s", "run": "mvae", "method": "mvae", "seed": seed, "device": "cpu", "threads": 1}
        record |= {"status": status if seed == 0 else "ok", "message": "<b>not finite</b>" if status != "ok" else ""}
        record |= {"hyperparameters": {}, "seconds": {}, "peak_host_mb": None, "peak_device_mb": None, "git_commit": "abc"}
        record |= {"versions": {"torch": torch}}
        write_record(folder / f"runs/d/s/mvae/seed-{seed}/run.json", record)
        rows.append({column: record.get(column) for column in RUN_COLUMNS} | {"seconds": None})
    absent = {"dataset": "d", "scenario": "s", "run": "cca", "method": "cca", "status": "not_applicable", "message": "no pairs"}
    write_table(folder / "tables/runs.tsv", pd.DataFrame([*rows, absent], columns=RUN_COLUMNS))
    write_table(folder / "tables/headline.tsv", headline([("mvae", "foscttm", mean, mean - 0.01, mean + 0.01)]))
    (folder / "config.json").write_text(json.dumps(config or {"seeds": list(seeds)}))
    return folder


def test_compare_prints_and_writes_what_changed(tmp_path, capsys):
    a = results(tmp_path / "a", mean=0.3)
    b = results(tmp_path / "b", mean=0.1, status="diverged", seeds=(0, 1, 2), torch="2.14.0")
    cli.main(["compare", str(a), str(b), "--output", str(tmp_path / "changes.html")])
    said = capsys.readouterr().out
    assert "1 scores: 1 better." in said
    assert re.search(r"d +s +mvae +foscttm +0\.300 \(0\.290 to 0\.310\) +0\.100 \(0\.090 to 0\.110\) +-0\.2 +better", said)
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
    with pytest.raises(UserError, match=r"nowhere: there is no tables/headline\.tsv in it; name the results folder"):
        compare.main(a=a, b=tmp_path / "nowhere", display=DISPLAY, output=None)
    with pytest.raises(UserError, match=r"changes\.txt: name an \.html file"):
        compare.main(a=a, b=a, display=DISPLAY, output=tmp_path / "changes.txt")
    (a / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json: not valid JSON"):
        compare.main(a=a, b=a, display=DISPLAY, output=None)
