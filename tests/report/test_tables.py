"""Tables of results: means, what is missing and what failed, who is best, and seeds that gave the same."""

import numpy as np
import pandas as pd
import pytest
from made_up_scores import ROSTER as SMALL
from made_up_scores import SEEDS, runs_of, scores_of
from synthetic_results import DISPLAY, METHODS, PUBLISHED, ROSTER, cards

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
from mosaicbench.report.tables.overview import overview
from mosaicbench.stats.common import HEADLINE
from mosaicbench.stats.means import best, comparison, headline
from mosaicbench.stats.sanity import CHECK_COLUMNS, identical_seeds


def _score_table(rows: list[tuple]) -> pd.DataFrame:
    """Return scores of dataset d, scenario s from (run, seed, metric, direction, value, status)."""
    columns = ["run", "seed", "metric", "direction", "value", "status"]
    return pd.DataFrame(rows, columns=columns).assign(dataset="d", scenario="s", normalization="-")[
        SCORE_COLUMNS
    ]


def _run_table(rows: list[tuple]) -> pd.DataFrame:
    """Return runs of dataset d, scenario s from (run, method, seed, status)."""
    table = pd.DataFrame(rows, columns=["run", "method", "seed", "status"]).assign(
        dataset="d", scenario="s", message="", device="cpu"
    )
    return checked_runs(table.assign(seconds=np.nan, peak_host_mb=np.nan, peak_device_mb=np.nan))


def test_comparison_is_the_mean_and_t_interval_over_seeds_that_gave_a_value():
    scores = _score_table(
        [
            ("mvae", seed, "foscttm", "rna->adt", value, "ok")
            for seed, value in enumerate([0.1, 0.2, 0.3, np.nan])
        ]
        + [
            ("mvae", 4, "status", "run", np.nan, "diverged"),
            ("mvae", 0, "active_units", "joint", 7.0, "ok"),
        ]
        + [
            ("mmvaepp", 0, "status", "run", np.nan, "crashed"),
            ("mmvaepp", 1, "status", "run", np.nan, "crashed"),
        ]
    )
    found = comparison(scores).set_index(["run", "metric"])
    row = found.loc[("mvae", "foscttm")]
    half = 4.302652729911275 * 0.1 / 3**0.5  # t quantile of two degrees of freedom
    assert (row["seeds"], row["failed"]) == (3, 1)
    np.testing.assert_allclose(
        [row["mean"], row["sd"], row["low"], row["high"]], [0.2, 0.1, 0.2 - half, 0.2 + half]
    )
    once = found.loc[("mvae", "active_units")]
    assert once["mean"] == 7.0
    assert once["seeds"] == 1
    assert once[["sd", "low", "high"]].isna().all()
    lost = found.loc[("mmvaepp", "status")]
    assert np.isnan(lost["mean"])
    assert (lost["seeds"], lost["failed"]) == (0, 2)
    assert len(found) == 3


@pytest.mark.parametrize("rows", [[], [("mvae", 0, "status", "run", np.nan, "crashed")]])
def test_tables_can_be_made_where_nothing_succeeded(rows):
    scores, runs = checked_scores(_score_table(rows)), _run_table([("mvae", "mvae", 0, "crashed")])
    assert comparison(scores)["failed"].tolist() == [1] * len(rows)
    assert set(overview(scores, runs, ROSTER).loc[0, list(HEADLINE)]) == {"✗ crashed"}
    assert identical_seeds(scores, ROSTER).empty
    assert not best(headline(scores), ROSTER).any()


def test_overview_averages_directions_within_a_seed_before_seeds():
    values = {
        ("rna->adt", 0): 0.1,
        ("adt->rna", 0): 0.3,
        ("rna->adt", 1): 0.2,
        ("adt->rna", 1): 0.6,
    }
    scores = _score_table(
        [("mvae", seed, "foscttm", direction, v, "ok") for (direction, seed), v in values.items()]
    )
    runs = _run_table([("mvae", "mvae", 0, "ok"), ("mvae", "mvae", 1, "ok")])
    row = overview(scores, runs, ROSTER).iloc[0]
    assert row["foscttm"] == "0.300 ± 0.141"  # of 0.2 and 0.4
    assert (row["seeds"], row["status"], row["kind"]) == ("2/2", "ok", "model")


def test_overview_leaves_out_a_seed_that_lacks_a_direction():
    scores = _score_table(
        [
            ("mvae", 0, "foscttm", "rna->adt", 0.1, "ok"),
            ("mvae", 0, "foscttm", "adt->rna", 0.3, "ok"),
        ]
        + [
            ("mvae", 1, "foscttm", "rna->adt", 0.0, "ok"),
            ("mvae", 1, "foscttm", "adt->rna", np.nan, "ok"),
        ]
    )
    row = headline(scores).iloc[0]
    assert (row["mean"], row["seeds"]) == (0.2, 1)


def test_overview_marks_a_mean_over_fewer_directions_and_it_never_wins():
    scores = _score_table(
        [("mvae", 0, "foscttm", "rna->adt", 0.1, "ok")]
        + [("cca", 0, "foscttm", direction, 0.2, "ok") for direction in ("rna->adt", "adt->rna")]
    )
    runs = _run_table([("mvae", "mvae", 0, "ok"), ("cca", "cca", 0, "ok")])
    shown = overview(scores, runs, ROSTER).set_index("run")["foscttm"]
    assert (shown["mvae"], shown["cca"]) == ("0.100 †", "0.200")
    summary = headline(scores)
    assert summary.loc[best(summary, ROSTER), "run"].tolist() == ["cca"]


def test_best_follows_the_card_and_leaves_controls_aside():
    rows = [("oracle", 0.0, 0.9), ("mvae", 0.1, 0.8), ("cca", 0.3, 0.85)]
    scores = _score_table([(run, 0, "foscttm", "rna->adt", low, "ok") for run, low, _ in rows])
    scores = pd.concat(
        [
            scores,
            _score_table(
                [(run, 0, "recall_at_10", "rna->adt", high, "ok") for run, _, high in rows]
            ),
        ]
    )
    summary = headline(scores)
    won = summary[best(summary, ROSTER)]
    assert dict(zip(won["metric"], won["run"], strict=True)) == {
        "foscttm": "mvae",
        "recall_at_10": "cca",
    }


def test_a_mean_over_fewer_seeds_than_another_run_has_never_wins():
    rows = [
        ("mvae", seed, "foscttm", "rna->adt", value, "ok")
        for seed, value in enumerate((0.2, 0.1, 0.21))
    ]
    rows += [
        ("mmvae", seed, "foscttm", "rna->adt", value, "ok")
        for seed, value in enumerate((0.25, 0.16, 0.24))
    ]
    rows += [
        ("cca", 1, "foscttm", "rna->adt", 0.12, "ok"),
        ("cca", 0, "status", "run", np.nan, "diverged"),
    ]
    scores = _score_table(rows)
    summary = headline(scores)
    assert summary.loc[best(summary, ROSTER), "run"].tolist() == ["mvae"]
    few = headline(scores[(scores["seed"] == 1) | (scores["status"] == "diverged")])
    assert few.loc[best(few, ROSTER), "run"].tolist() == [
        "mvae"
    ]  # of one seed each, the other is worse
    none_is_whole = headline(scores[scores["seed"] != scores["run"].map({"mvae": 0, "mmvae": 1})])
    assert not best(none_is_whole, ROSTER).any()  # each lost another seed


def test_failed_and_missing_never_become_zero(results):
    overview = results.tables["overview"].set_index(["dataset", "scenario", "run"])
    assert set(overview.loc[("pair", "unpaired", "mmvaepp"), list(HEADLINE)]) == {"✗ diverged"}
    assert set(overview.loc[("pair", "unpaired", "cca"), list(HEADLINE)]) == {"–"}
    assert overview.loc[("pair", "unpaired", "cca"), "seeds"] == "–"
    assert overview.loc[("pair", "paired", "ridge"), "foscttm"] == "–"
    partly = overview.loc[("triple", "paired", "vae_mlp")]
    assert (partly["seeds"], partly["status"]) == ("2/3", "ok ×2, diverged ×1")
    scores = results.tables["scores"]
    mine = scores[
        (scores["run"] == "vae_mlp")
        & (scores["dataset"] == "triple")
        & (scores["scenario"] == "paired")
    ]
    mean = mine[mine["metric"] == "foscttm"].groupby("seed")["value"].mean().mean()
    assert partly["foscttm"].startswith(f"{mean:.3f} ± ")
    assert overview.loc[("pair", "paired", "constant"), "status"] == "collapsed"
    assert overview.loc[("pair", "paired", "constant"), "foscttm"].startswith("0.5")


def test_every_run_of_every_split_has_one_row(results):
    assert (
        results.tables["overview"]
        .groupby(["dataset", "scenario"])["run"]
        .apply(set)
        .map(lambda runs: runs == set(METHODS))
        .all()
    )
    assert len(results.tables["overview"]) == len(results.splits) * len(METHODS)
    absent = results.tables["runs"].query("status == 'not_applicable'")
    assert absent["seed"].isna().all()
    assert set(absent["message"]) == {"needs paired cells"}
    assert (
        results.tables["runs"]["seconds"].dropna().gt(1.5).all()
    )  # the sum over phases, of which reading takes 1.5


def test_gate_catches_identical_seeds_of_methods_but_not_of_controls():
    def scores(values: dict[int, float], run: str) -> list[tuple]:
        measured = [
            (run, seed, "foscttm", "rna->adt", value, "ok") for seed, value in values.items()
        ]
        return measured + [(run, seed, "fit_seconds", "run", 1.0 + seed, "ok") for seed in values]

    table = _score_table(
        scores({0: 0.2, 1: 0.3, 2: 0.2}, "mvae")
        + scores({0: 0.5, 1: 0.5}, "constant")
        + scores({0: 0.1, 1: 0.4}, "cca")
    )
    found = identical_seeds(table, ROSTER)
    assert found["run"].tolist() == ["mvae"]
    assert found["seeds"].tolist() == ["0, 2"]


def test_gate_passes_distinct_seeds(results):
    assert list(results.tables["sanity_checks"].columns) == CHECK_COLUMNS
    assert "identical seeds" not in set(results.tables["sanity_checks"]["check"])


def test_tabulate_warns_and_refuses_a_record_of_another_method(
    results, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(catalog, "cards", cards)
    scores = read_scores(
        next(path for path in results.scores if path.parts[-4:-1] == ("pair", "paired", "mvae"))
    )
    same = pd.concat([scores[scores["seed"] == 0], scores[scores["seed"] == 0].assign(seed=1)])
    write_scores(tmp_path / "scores.tsv", same)
    mine = [path for path in results.records if path.parts[-5:-2] == ("pair", "paired", "mvae")][:2]
    here = mine[0].parents[1]
    place = {"dataset": "pair", "scenario": "paired", "run": "mvae"}
    write_cells(tmp_path / "cells.npz", CellScores(**place, cells={}, values={}))
    common = {
        "records": mine,
        "features": [here / "features.tsv"],
        "not_applicable": [],
        "output": tmp_path / "tables",
    }
    common |= {"places": [place], "seeds": [0, 1]}
    common |= {"cells": [tmp_path / "cells.npz"]}
    common |= {"histories": [path.with_name("history.tsv") for path in mine]}
    common |= {
        "kinds": {"paired": "paired"},
        "reference": None,
        "sweep": None,
        "published": PUBLISHED,
        "display": DISPLAY,
        "results": results.folder,
    }
    tabulate.main(scores=[tmp_path / "scores.tsv"], methods={"mvae": "mvae"}, **common)
    assert (
        "pair/paired/mvae: identical seeds: seeds 0, 1 gave identical values"
        in capsys.readouterr().err
    )
    assert read_tables(tmp_path / "tables")["sanity_checks"]["check"].tolist() == [
        "identical seeds"
    ]
    with pytest.raises(UserError, match="'mvae'.*'mmvaepp'"):
        tabulate.main(scores=[tmp_path / "scores.tsv"], methods={"mvae": "mmvaepp"}, **common)


def test_every_table_is_there_and_says_what_its_intervals_are(results):
    unread = {"resources", "phases", "scaling", "contents"}  # by figures and the report
    assert set(results.tables) | unread == {
        path.stem for path in (results.folder / "tables").glob("*.tsv")
    }
    headline = results.tables["headline"].set_index(["dataset", "scenario", "run", "metric"])
    assert (
        headline.loc[("pair", "paired", "mvae", "foscttm"), "interval"]
        == "t over seeds, at least as wide as over cells"
    )
    assert headline.loc[("pair", "paired", "mvae", "recall_at_10"), "interval"] == "t over seeds"
    overall = results.tables["overall"].set_index(["dataset", "scenario", "run"])
    assert not overall.loc[("triple", "paired", "vae_mlp"), "complete"]
    assert np.isnan(overall.loc[("triple", "paired", "vae_mlp"), "rank"])
    assert "seed 2 diverged" in overall.loc[("(all)", "paired", "vae_mlp"), "missing"]
    ranked = overall.loc["pair"].loc["paired"]["rank"].dropna()
    assert sorted(ranked) == list(range(1, len(ranked) + 1))
    assert "oracle" not in ranked.index
    assert "ridge" not in ranked.index  # it has no latents, so it lacks two groups of three


def test_a_run_without_a_competitor_is_the_best_of_nothing(results):
    summary = headline(results.tables["scores"])
    alone = summary[summary["run"].isin(["mvae", "oracle", "random_latent"])]
    pair = summary[summary["run"].isin(["mvae", "pca_joint", "oracle"])]
    assert not best(alone, ROSTER).any()
    assert best(pair, ROSTER).any()


def test_the_overview_says_what_a_run_used():
    scores = scores_of(SEEDS)
    found = overview(scores, runs_of(scores), SMALL).set_index("run")
    assert found.loc["cca", list(TRAITS)].tolist() == ["no", "yes", "no", "yes"]
    assert found.loc["oracle", list(TRAITS)].tolist() == ["no"] * 4
    assert RunMetadata({"methods": {"a": {"transductive": True, "inputs": ("links",)}}}, {}).traits(
        "a"
    ) == dict(zip(TRAITS, ("yes", "no", "yes", "no"), strict=True))


def test_names_are_read_as_the_text_that_they_are_and_numbers_as_numbers(tmp_path):
    names = ["NA", "007", "1e5", "True", "nan", "", 'a "b"', "a\tb", "a\nb", "a\rb", " x "]
    table = pd.DataFrame(
        {
            "cell_type": names,
            "feature": names[::-1],
            "run": ["1"] * 11,
            "value": [np.nan, *range(10)],
        }
    )
    write_table(tmp_path / "t.tsv", table)
    found = read_table(tmp_path / "t.tsv")
    for column in ("cell_type", "feature", "run"):
        assert found[column].tolist() == table[column].tolist()
    assert np.isnan(found["value"][0]) and found["value"][10] == 9


def test_a_missing_name_is_empty_and_not_the_name_na(tmp_path):
    write_table(tmp_path / "t.tsv", pd.DataFrame({"run": [None, "NA"], "value": [1, 2]}))
    assert read_table(tmp_path / "t.tsv")["run"].tolist() == ["", "NA"]
