"""Tables of results: means, what is missing and what failed, and which run is best."""

import shutil

import numpy as np
import pandas as pd
import pytest
from made_up_scores import ROSTER, SEEDS, runs_of, scores_of
from synthetic_results import METHODS, cards

from mosaicbench.catalog import catalog
from mosaicbench.catalog.run_metadata import TRAITS, RunMetadata
from mosaicbench.commands import tabulate
from mosaicbench.errors import UserError
from mosaicbench.files.scores import CellScores, read_scores, write_cells, write_scores
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.report.tables.contract import checked_scores, read_tables
from mosaicbench.report.tables.rankings import overview
from mosaicbench.stats.common import HEADLINE
from mosaicbench.stats.means import best, comparison, headline
from mosaicbench.workflow import layout

BACK = "adt->rna"


def best_runs(values):
    summary = headline(scores_of(values))
    return summary.loc[best(summary, ROSTER), "run"].tolist()


def test_comparison_is_the_mean_and_t_interval_over_seeds_with_a_value():
    values = {("mvae", "foscttm"): [0.1, 0.2, 0.3, np.nan, None]}
    values |= {("mvae", "active_units", "joint"): [7.0], ("mmvaepp", "foscttm"): [None, None]}
    table = comparison(scores_of(values)).set_index(["run", "metric"])
    row = table.loc[("mvae", "foscttm")]
    half = 4.302652729911275 * 0.1 / 3**0.5  # t quantile of two degrees of freedom
    assert (row["seeds"], row["failed"]) == (3, 1)
    found = row[["mean", "sd", "low", "high"]].astype(float)
    np.testing.assert_allclose(found, [0.2, 0.1, 0.2 - half, 0.2 + half])
    once = table.loc[("mvae", "active_units")]
    assert (once["mean"], once["seeds"]) == (7.0, 1)
    assert once[["sd", "low", "high"]].isna().all()
    failed = table.loc[("mmvaepp", "status")]
    assert np.isnan(failed["mean"])
    assert (failed["seeds"], failed["failed"]) == (0, 2)
    assert len(table) == 3


def test_tables_can_be_made_if_nothing_succeeded():
    failed = scores_of({("mvae", "foscttm"): [None]})
    for scores in (failed, checked_scores(failed[:0])):
        assert comparison(scores)["failed"].tolist() == [1] * len(scores)
        shown = overview(scores, runs_of(failed), ROSTER).loc[0, list(HEADLINE)]
        assert set(shown) == {"✗ diverged"}
        assert headline(scores).empty


def test_overview_averages_directions_within_a_seed_before_seeds():
    values = {("mvae", "foscttm"): [0.1, 0.2], ("mvae", "foscttm", BACK): [0.3, 0.6]}
    scores = scores_of(values)
    row = overview(scores, runs_of(scores), ROSTER).iloc[0]
    assert row["foscttm"] == "0.300 ± 0.141"  # of 0.2 and 0.4
    assert (row["seeds"], row["status"], row["kind"]) == ("2/2", "ok", "model")
    values["mvae", "foscttm", BACK] = [0.3, np.nan]  # a seed that lacks a direction does not count
    row = headline(scores_of(values)).iloc[0]
    assert (row["mean"], row["seeds"]) == (0.2, 1)


def test_a_mean_over_fewer_directions_is_marked_and_never_best():
    values = {
        ("mvae", "foscttm"): [0.1],
        ("cca", "foscttm"): [0.2],
        ("cca", "foscttm", BACK): [0.2],
    }
    scores = scores_of(values)
    shown = overview(scores, runs_of(scores), ROSTER).set_index("run")["foscttm"]
    assert (shown["mvae"], shown["cca"]) == ("0.100 †", "0.200")
    assert best_runs(values) == ["cca"]


def test_best_follows_the_card_and_leaves_controls_aside():
    values = {("oracle", "foscttm"): [0.0], ("oracle", "recall_at_10"): [0.9]}
    values |= {("mvae", "foscttm"): [0.1], ("mvae", "recall_at_10"): [0.8]}
    assert best_runs(values) == []  # without a competitor
    values |= {("cca", "foscttm"): [0.3], ("cca", "recall_at_10"): [0.85]}
    assert best_runs(values) == ["mvae", "cca"]


def test_a_mean_over_fewer_seeds_than_another_run_has_is_never_best():
    values = {("mvae", "foscttm"): [0.2, 0.1, 0.21], ("mmvaepp", "foscttm"): [0.25, 0.16, 0.24]}
    values["cca", "foscttm"] = [None, 0.12]
    assert best_runs(values) == ["mvae"]
    assert best_runs({key: by[:2] for key, by in values.items()}) == ["mvae"]
    values["mvae", "foscttm"][0] = values["mmvaepp", "foscttm"][1] = None  # each lost another
    assert best_runs(values) == []


def test_failed_and_missing_never_become_zero(results):
    overview = results.tables["overview"].set_index(["dataset", "scenario", "run"])
    assert set(overview.loc[("pair", "unpaired", "mmvaepp"), list(HEADLINE)]) == {"✗ diverged"}
    assert set(overview.loc[("pair", "unpaired", "cca"), ["seeds", *HEADLINE]]) == {"–"}
    assert overview.loc[("pair", "paired", "ridge"), "foscttm"] == "–"
    assert overview.loc[("pair", "paired", "constant"), "status"] == "collapsed"
    assert overview.loc[("pair", "paired", "constant"), "foscttm"].startswith("0.5")
    partly = overview.loc[("triple", "paired", "vae_mlp")]
    assert (partly["seeds"], partly["status"]) == ("2/3", "ok ×2, diverged ×1")
    scores = results.tables["scores"].query("run == 'vae_mlp' and metric == 'foscttm'")
    of_run = scores.query("dataset == 'triple' and scenario == 'paired'")
    mean = of_run.groupby("seed")["value"].mean().mean()
    assert partly["foscttm"].startswith(f"{mean:.3f} ± ")


def test_every_run_of_every_split_has_one_row(results):
    splits = results.tables["overview"].groupby(["dataset", "scenario"])["run"]
    assert splits.agg(sorted).tolist() == [sorted(METHODS)] * 4
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


def test_every_table_is_there_and_a_seed_that_failed_costs_a_run_its_rank(results):
    unread = {"resources", "phases", "scaling", "contents"}  # by figures and the report
    written = {path.stem for path in (results.folder / "tables").glob("*.tsv")}
    assert set(results.tables) | unread == written == set(layout.FILES_OF_TABLES)
    assert "identical seeds" not in set(results.tables["sanity_checks"]["check"])
    overall = results.tables["overall"].set_index(["dataset", "scenario", "run"])
    assert not overall.loc[("triple", "paired", "vae_mlp"), "complete"]
    assert "seed 2 diverged" in overall.loc[("(all)", "paired", "vae_mlp"), "missing"]
    ranked = overall.loc["pair"].loc["paired"]["rank"].dropna()
    assert sorted(ranked) == list(range(1, len(ranked) + 1))
    assert not {"oracle", "ridge"} & set(ranked.index)  # ridge has no latents, so lacks two groups


def test_the_overview_says_what_a_run_used():
    scores = scores_of(SEEDS)
    table = overview(scores, runs_of(scores), ROSTER).set_index("run")
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
