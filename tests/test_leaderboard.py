"""The leaderboard: which results folders are taken in, why others are not, and what the page says."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from submitted_results import CONFIG, submitted

from mosaicbench import __version__, cli
from mosaicbench.errors import UserError
from mosaicbench.files.place import digest_of
from mosaicbench.files.runs import read_record, write_record
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.report import submissions
from mosaicbench.report.page import leaderboard_page
from mosaicbench.roster import Roster

FIT = "runs/pair/paired/mvae/seed-0/run.json"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    with submitted(tmp_path_factory.mktemp("board") / "mine") as folder:
        yield folder


@pytest.fixture
def copy(good, tmp_path):
    return Path(shutil.copytree(good, tmp_path / "theirs"))


def reasons_against(*folders):
    _, refused = submissions.examined(folders)
    return [why for reasons in refused.values() for why in reasons]


def changed_record(folder, **changes):
    write_record(folder / FIT, read_record(folder / FIT) | changes)


def test_a_board_of_two_folders(good, copy, tmp_path, capsys):
    config = CONFIG | {
        "scenarios": CONFIG["scenarios"] | {"unpaired": {"kind": "unpaired", "balanced": False}}
    }
    (copy / "config.json").write_text(json.dumps(config))
    cli.main(["leaderboard", str(good), str(copy), "--output", str(tmp_path / "site")])
    assert "from 2 of 2 folders" in capsys.readouterr().out
    page = (tmp_path / "site/index.html").read_text()
    for text in (
        "2 results folders, 3 views",
        "7 epochs, 3 seeds",
        "40 epochs, 3 seeds",
        "RNA + ADT",
        "No folder was refused",
    ):
        assert text in page
    assert (
        "of mine: not comparable" in page and "of theirs: not comparable" in page
    )  # of the view whose settings differ
    assert "seeds 0, 1, 2; commit 0123456789ab; device cpu; mosaicbench" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and 'src="http' not in page
    table = read_table(tmp_path / "site/leaderboard.tsv", leaderboard_page.COLUMNS)
    assert set(table["kind"]) == {"model", "baseline"}
    assert not (
        (table["scenario"] == "unpaired") & (table["run"] == "cca")
    ).any()  # which needs pairs
    standings = read_table(good / "tables/standings.tsv").set_index(
        ["dataset", "scenario", "run", "metric"]
    )
    for line in table[table["submission"] == "mine"].dropna(subset="mean").itertuples():
        expected = standings.loc[(line.dataset, line.scenario, line.run, line.metric)]
        assert (line.mean, line.shown) == (pytest.approx(expected["mean"]), expected["shown"])
    best = table[
        (table["dataset"] == "pair")
        & (table["scenario"] == "paired")
        & (table["metric"] == "foscttm")
    ].dropna(subset="mean")
    reaching = best[best["low"] <= best.loc[best["mean"].idxmin(), "high"]]
    assert set(best.loc[best["level"].astype(str) == "True", "run"]) == set(reaching["run"])


def board_of(*lines):
    """Return the runs that are level with the best; a line is run, mean, seeds and rank in its own benchmark."""
    table = pd.DataFrame(lines, columns=["run", "mean", "seeds", "rank"])
    table = table.assign(
        dataset="d", scenario="s", settings="0", metric="foscttm", submission="a", shown=""
    )
    table = table.assign(low=table["mean"] - 0.2, high=table["mean"] + 0.2)
    roster = Roster({"metrics": {"foscttm": {"better": "lower", "group": "alignment"}}}, {})
    return table.loc[leaderboard_page._level(table, {"a": roster}), "run"].tolist()


def test_a_mean_that_lacks_a_seed_is_not_compared():
    assert board_of(("mvae", 0.2, 3, 1), ("cca", 0.3, 3, 2), ("mmvae", 0.1, 2, None)) == [
        "mvae",
        "cca",
    ]
    assert board_of(("mvae", 0.2, 5, 1), ("cca", 0.3, 5, 2), ("lucky", 0.1, 1, 1)) == [
        "mvae",
        "cca",
    ]
    assert board_of(("mvae", 0.2, 5, 1), ("cca", 0.3, 5, 2), ("many", 0.3, 9, 1)) == ["mvae", "cca"]
    assert board_of(
        ("mvae", 0.2, 5, 1), ("many", 0.9, 9, 2), ("cca", 0.3, 5, 2), ("more", 0.3, 9, 1)
    ) == [
        "mvae",
        "cca",
        "more",
    ]
    assert board_of(("mvae", 0.2, 2, None), ("cca", 0.3, 2, None)) == []  # each lost another seed


def test_runs_of_fewer_scores_stand_below_the_others():
    whole, fewer, none = (
        pd.DataFrame([{"metric": "score", "mean": mean, "shown": shown}])
        for mean, shown in ((0.3, "0.300"), (0.9, "0.900 †"), (float("nan"), "–"))
    )
    order = sorted([none, fewer, whole], key=leaderboard_page._overall, reverse=True)
    assert [of_run["shown"].iloc[0] for of_run in order] == ["0.300", "0.900 †", "–"]


def test_a_refused_folder_stands_on_the_page_with_every_reason(good, copy, tmp_path, capsys):
    changed_record(copy, git_commit="0123456789ab-dirty", status="collapsed")
    with pytest.raises(SystemExit, match="1 of 2 folders were refused"):
        cli.main(["leaderboard", str(good), str(copy), "--output", str(tmp_path / "site")])
    said = capsys.readouterr().err
    assert "no commit holds (0123456789ab-dirty)" in said
    assert "pair/paired/mvae/0: tables/runs.tsv says status 'ok', its run.json 'collapsed'" in said
    page = (tmp_path / "site/index.html").read_text()
    assert "no commit holds" in page and "its run.json &#39;collapsed&#39;" in page


def test_a_good_folder_has_no_reason_against_it(good, copy):
    assert reasons_against(good, copy) == []


def without_contents(folder):
    (folder / "tables/contents.tsv").unlink()


def of_another_version(folder):
    changed_record(folder, versions={"mosaicbench": "0.0.9"})


def without_a_record(folder):
    (folder / FIT).unlink()


def with_another_number(folder):
    path = folder / "runs/pair/paired/mvae/scores.tsv"
    scores = read_table(path)
    write_table(path, scores.assign(value=scores["value"].where(scores.index != 3, 0.9)))


def with_a_better_table(folder):
    path = folder / "tables/headline.tsv"
    table = read_table(path)
    chosen = (table["run"] == "mvae") & (table["metric"] == "foscttm")
    rewritten(path, table.assign(mean=table["mean"].where(~chosen, 0.001)))


def with_a_control_off(folder):
    path = folder / "tables/scores.tsv"
    table = read_table(path)
    chosen = (table["run"] == "random_latent") & (table["metric"] == "foscttm")
    rewritten(path, table.assign(value=table["value"].where(~chosen, 0.2)))


def without_controls(folder):
    path = folder / "tables/runs.tsv"
    runs = read_table(path)
    rewritten(path, runs[~runs["run"].isin(["oracle"])])


def rewritten(path, table):
    """Write a table, and its digest, as someone would who wants to deceive."""
    write_table(path, table)
    contents = read_table(path.parent / "contents.tsv").set_index("table")
    contents.loc[path.name, "sha256"] = digest_of(path)
    write_table(path.parent / "contents.tsv", contents.reset_index())


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (without_contents, "there is no tables/contents.tsv in it"),
        (
            of_another_version,
            f"fitted with mosaicbench 0.0.9, {__version__}, and this board is made by {__version__}",
        ),
        (without_a_record, "run.json: no such file"),
        (
            with_another_number,
            "scores.tsv: is not as `mosaicbench score` wrote it|does not hold the numbers of the runs' own",
        ),
        (with_a_better_table, "tables/headline.tsv: its means are not those of the scores"),
        (
            with_a_control_off,
            "pair/paired/random_latent: foscttm: 0.200, but this control knows nothing of a cell",
        ),
        (without_controls, "no run of the control 'oracle'"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_folder_is_refused_by_name(spoil, why, copy):
    spoil(copy)
    found = reasons_against(copy)
    assert any(part in reason for part in why.split("|") for reason in found), found


def test_folders_whose_controls_differ_hold_other_data(good, copy):
    taken, _ = submissions.examined([good])
    other, _ = submissions.examined([copy])
    scores = other[0].tables["scores"]
    moved = (scores["run"] == "train_mean") & (scores["dataset"] == "pair")
    other[0].tables["scores"] = scores.assign(
        value=scores["value"].where(~moved, scores["value"] + 0.1)
    )
    found = submissions._against(other[0], taken)
    assert len(found) == 2 and all(
        "pair" in why and "the data are not the same" in why for why in found
    )


def test_a_folder_that_is_named_twice_or_is_none(good, tmp_path):
    with pytest.raises(UserError, match="named twice"):
        submissions.examined([good, good])
    with pytest.raises(
        SystemExit, match="none of 1 folders can stand on a leaderboard; nothing was written"
    ):
        cli.main(["leaderboard", str(tmp_path), "--output", str(tmp_path / "site")])
    assert not (tmp_path / "site").exists()


def test_suspicious_scores_refuse_a_folder(good, copy):
    path = copy / "tables/gates.tsv"
    row = {
        "dataset": "pair",
        "scenario": "paired",
        "run": "mvae",
        "gate": "perfect",
        "metric": "foscttm",
        "seeds": "0",
    }
    gates = pd.concat(
        [read_table(path), pd.DataFrame([row | {"message": "exactly 0, the best possible"}])],
        ignore_index=True,
    )
    rewritten(path, gates)
    assert reasons_against(copy) == ["pair/paired/mvae: foscttm: exactly 0, the best possible"]
