"""Tables of results: means, what is missing and what failed, and which run is best."""

import shutil

import numpy as np
import pandas as pd
import pytest
from made_up_scores import ROSTER as SMALL
from made_up_scores import SEEDS, runs_of, scores_of
from synthetic_results import METHODS, ROSTER, cards

from mosaicbench.catalog import catalog
from mosaicbench.catalog.run_metadata import TRAITS, RunMetadata
from mosaicbench.commands import tabulate
from mosaicbench.errors import UserError
from mosaicbench.files.scores import (
    SCORE_COLUMNS,
    CellScores,
    read_scores,
    write_cells,
    write_scores,
)
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.report.tables.contract import checked_runs, checked_scores, read_tables
from mosaicbench.report.tables.rankings import overview
from mosaicbench.stats.common import HEADLINE
from mosaicbench.stats.means import best, comparison, headline
from mosaicbench.stats.sanity import CHECK_COLUMNS
from mosaicbench.workflow import layout

PAIR = ("rna->adt", "adt->rna")


def score_table(*rows):
    """Return scores of a split from (run, seed, direction, value), or (…, metric, status)."""
    rows = [(*row, "foscttm", "ok") if len(row) == 4 else row for row in rows]
    columns = ["run", "seed", "direction", "value", "metric", "status"]
    place = {"dataset": "d", "scenario": "s", "normalization": "-"}
    return pd.DataFrame(rows, columns=columns).assign(**place)[SCORE_COLUMNS]


def of_seeds(run, *values):
    return [(run, seed, "rna->adt", value) for seed, value in enumerate(values)]


def lost(run, seed, status="crashed"):
    return run, seed, "run", np.nan, "status", status


def run_table(*rows):
    """Return runs of a split from (run, seed, status)."""
    table = pd.DataFrame(rows, columns=["run", "seed", "status"])
    place = {"dataset": "d", "scenario": "s", "message": "", "device": "cpu"}
    return checked_runs(table.assign(method=table["run"], **place))


def best_runs(scores):
    summary = headline(scores)
    return summary.loc[best(summary, ROSTER), "run"].tolist()


def test_comparison_is_the_mean_and_t_interval_over_seeds_with_a_value():
    scores = score_table(
        *of_seeds("mvae", 0.1, 0.2, 0.3, np.nan),
        lost("mvae", 4, "diverged"),
        ("mvae", 0, "joint", 7.0, "active_units", "ok"),
        lost("mmvaepp", 0),
        lost("mmvaepp", 1),
    )
    table = comparison(scores).set_index(["run", "metric"])
    row = table.loc[("mvae", "foscttm")]
    half = 4.302652729911275 * 0.1 / 3**0.5  # t quantile of two degrees of freedom
    assert (row["seeds"], row["failed"]) == (3, 1)
    np.testing.assert_allclose(
        [row["mean"], row["sd"], row["low"], row["high"]], [0.2, 0.1, 0.2 - half, 0.2 + half]
    )
    once = table.loc[("mvae", "active_units")]
    assert (once["mean"], once["seeds"]) == (7.0, 1)
    assert once[["sd", "low", "high"]].isna().all()
    failed = table.loc[("mmvaepp", "status")]
    assert np.isnan(failed["mean"])
    assert (failed["seeds"], failed["failed"]) == (0, 2)
    assert len(table) == 3


@pytest.mark.parametrize("rows", [[], [lost("mvae", 0)]])
def test_tables_can_be_made_if_nothing_succeeded(rows):
    scores, runs = checked_scores(score_table(*rows)), run_table(("mvae", 0, "crashed"))
    assert comparison(scores)["failed"].tolist() == [1] * len(rows)
    assert set(overview(scores, runs, ROSTER).loc[0, list(HEADLINE)]) == {"✗ crashed"}
    assert best_runs(scores) == []


def test_overview_averages_directions_within_a_seed_before_seeds():
    values = {(0, 0.1): 0.3, (1, 0.2): 0.6}
    rows = [
        ("mvae", seed, direction, value)
        for (seed, one), other in values.items()
        for direction, value in zip(PAIR, (one, other), strict=True)
    ]
    runs = run_table(("mvae", 0, "ok"), ("mvae", 1, "ok"))
    row = overview(score_table(*rows), runs, ROSTER).iloc[0]
    assert row["foscttm"] == "0.300 ± 0.141"  # of 0.2 and 0.4
    assert (row["seeds"], row["status"], row["kind"]) == ("2/2", "ok", "model")
    rows[-1] = ("mvae", 1, PAIR[1], np.nan)  # a seed that lacks a direction does not count
    row = headline(score_table(*rows)).iloc[0]
    assert (row["mean"], row["seeds"]) == (0.2, 1)


def test_a_mean_over_fewer_directions_is_marked_and_never_best():
    rows = [("cca", 0, direction, 0.2) for direction in PAIR]
    scores = score_table(*of_seeds("mvae", 0.1), *rows)
    runs = run_table(("mvae", 0, "ok"), ("cca", 0, "ok"))
    shown = overview(scores, runs, ROSTER).set_index("run")["foscttm"]
    assert (shown["mvae"], shown["cca"]) == ("0.100 †", "0.200")
    assert best_runs(scores) == ["cca"]


def test_best_follows_the_card_and_leaves_controls_aside():
    rows = [("oracle", 0.0, 0.9), ("mvae", 0.1, 0.8), ("cca", 0.3, 0.85)]
    scores = score_table(
        *[(run, 0, "rna->adt", low) for run, low, _ in rows],
        *[(run, 0, "rna->adt", high, "recall_at_10", "ok") for run, _, high in rows],
    )
    assert best_runs(scores) == ["mvae", "cca"]
    assert best_runs(scores[scores["run"] != "cca"]) == []  # without a competitor


def test_a_mean_over_fewer_seeds_than_another_run_has_is_never_best():
    scores = score_table(
        *of_seeds("mvae", 0.2, 0.1, 0.21),
        *of_seeds("mmvae", 0.25, 0.16, 0.24),
        ("cca", 1, "rna->adt", 0.12),
        lost("cca", 0, "diverged"),
    )
    assert best_runs(scores) == ["mvae"]
    one_seed = scores[(scores["seed"] == 1) | (scores["status"] == "diverged")]
    assert best_runs(one_seed) == ["mvae"]
    each_lost_another = scores["seed"] != scores["run"].map({"mvae": 0, "mmvae": 1})
    assert best_runs(scores[each_lost_another]) == []


def test_failed_and_missing_never_become_zero(results):
    overview = results.tables["overview"].set_index(["dataset", "scenario", "run"])
    assert set(overview.loc[("pair", "unpaired", "mmvaepp"), list(HEADLINE)]) == {"✗ diverged"}
    assert set(overview.loc[("pair", "unpaired", "cca"), list(HEADLINE)]) == {"–"}
    assert overview.loc[("pair", "unpaired", "cca"), "seeds"] == "–"
    assert overview.loc[("pair", "paired", "ridge"), "foscttm"] == "–"
    partly = overview.loc[("triple", "paired", "vae_mlp")]
    assert (partly["seeds"], partly["status"]) == ("2/3", "ok ×2, diverged ×1")
    scores = results.tables["scores"].set_index(["dataset", "scenario", "run", "metric"])
    of_run = scores.sort_index().loc[("triple", "paired", "vae_mlp", "foscttm")]
    mean = of_run.groupby("seed")["value"].mean().mean()
    assert partly["foscttm"].startswith(f"{mean:.3f} ± ")
    assert overview.loc[("pair", "paired", "constant"), "status"] == "collapsed"
    assert overview.loc[("pair", "paired", "constant"), "foscttm"].startswith("0.5")


def test_every_run_of_every_split_has_one_row(results):
    splits = results.tables["overview"].groupby(["dataset", "scenario"])["run"]
    assert splits.apply(lambda runs: sorted(runs) == sorted(METHODS)).tolist() == [True] * 4
    runs = results.tables["runs"]
    absent = runs.query("status == 'not_applicable'")
    assert absent["seed"].isna().all()
    assert set(absent["message"]) == {"needs paired cells"}
    assert runs["seconds"].dropna().gt(1.5).all()  # the sum over phases; reading takes 1.5


def test_tabulate_warns_and_refuses_a_record_of_another_method(
    results, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(catalog, "cards", cards)
    place = {"dataset": "pair", "scenario": "paired", "run": "mvae"}
    here = tmp_path / "runs/pair/paired/mvae"
    shutil.copytree(results.folder / "runs/pair/paired/mvae", here)
    scores = read_scores(here / "scores.tsv")
    first = scores[scores["seed"] == 0]
    write_scores(here / "scores.tsv", pd.concat([first, first.assign(seed=1)]))
    write_cells(here / "cells.npz", CellScores(**place, cells={}, values={}))
    arguments = {
        "not_applicable": [],
        "kinds": {"paired": "paired"},
        "reference": None,
        "sweep": None,
        "results": tmp_path,
        "output": tmp_path / "tables",
        "places": [place],
        "fits": [place | {"seed": seed} for seed in (0, 1)],
    }
    tabulate.main(methods={"mvae": "mvae"}, **arguments)
    assert "pair/paired/mvae: identical seeds" in capsys.readouterr().err
    checks = read_tables(tmp_path / "tables")["sanity_checks"]["check"].tolist()
    assert checks == ["identical seeds"]
    with pytest.raises(UserError, match="'mvae'.*'mmvaepp'"):
        tabulate.main(methods={"mvae": "mmvaepp"}, **arguments)


def test_every_table_is_there_and_names_its_intervals(results):
    unread = {"resources", "phases", "scaling", "contents"}  # by figures and the report
    written = {path.stem for path in (results.folder / "tables").glob("*.tsv")}
    assert set(results.tables) | unread == written == set(layout.FILES_OF_TABLES)
    headline = results.tables["headline"].set_index(["dataset", "scenario", "run", "metric"])
    intervals = headline.loc[("pair", "paired", "mvae"), "interval"]
    assert intervals["foscttm"] == "t over seeds, at least as wide as over cells"
    assert intervals["recall_at_10"] == "t over seeds"
    assert list(results.tables["sanity_checks"].columns) == CHECK_COLUMNS
    assert "identical seeds" not in set(results.tables["sanity_checks"]["check"])
    overall = results.tables["overall"].set_index(["dataset", "scenario", "run"])
    partly = overall.loc[("triple", "paired", "vae_mlp")]
    assert not partly["complete"] and np.isnan(partly["rank"])
    assert "seed 2 diverged" in overall.loc[("(all)", "paired", "vae_mlp"), "missing"]
    ranked = overall.loc["pair"].loc["paired"]["rank"].dropna()
    assert sorted(ranked) == list(range(1, len(ranked) + 1))
    assert not {"oracle", "ridge"} & set(ranked.index)  # ridge has no latents, so lacks two groups


def test_the_overview_says_what_a_run_used():
    scores = scores_of(SEEDS)
    table = overview(scores, runs_of(scores), SMALL).set_index("run")
    assert table.loc["cca", list(TRAITS)].tolist() == ["no", "yes", "no", "yes"]
    assert table.loc["oracle", list(TRAITS)].tolist() == ["no"] * 4
    card = {"transductive": True, "inputs": ("links",)}
    traits = RunMetadata({"methods": {"a": card}}, {}).traits("a")
    assert traits == dict(zip(TRAITS, ("yes", "no", "yes", "no"), strict=True))


def test_names_are_read_as_text_and_numbers_as_numbers(tmp_path):
    names = ["NA", "007", "1e5", "True", "nan", "", 'a "b"', "a\tb", "a\nb", "a\rb", " x "]
    table = pd.DataFrame({"cell_type": names, "feature": names[::-1], "run": ["1"] * 11})
    write_table(tmp_path / "t.tsv", table.assign(value=[np.nan, *range(10)]))
    read = read_table(tmp_path / "t.tsv")
    pd.testing.assert_frame_equal(read[list(table)], table.astype(object))
    assert np.isnan(read["value"][0]) and read["value"][10] == 9
    write_table(tmp_path / "t.tsv", pd.DataFrame({"run": [None, "NA"], "value": [1, 2]}))
    assert read_table(tmp_path / "t.tsv")["run"].tolist() == ["", "NA"]
