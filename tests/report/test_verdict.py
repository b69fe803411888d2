"""The first screen: one answer per question over all datasets, and what limits trust in it."""

import html

import pandas as pd
import pytest
from conftest import REPOSITORY
from made_up_scores import plain_theme, runs_of, scores_around

from mosaicbench.catalog.run_metadata import run_metadata_of
from mosaicbench.files.tables import read_table
from mosaicbench.report.page import verdict
from mosaicbench.report.page.verdict import (
    FEW_CELLS,
    cards,
    limits,
    sensitive_defaults,
    study_of_size,
)
from mosaicbench.report.recommendation import recommended, verdicts
from mosaicbench.stats.means import comparison
from mosaicbench.stats.overall import overall, with_ceilings
from mosaicbench.stats.sanity import CHECK_COLUMNS

STUDY = read_table(REPOSITORY / "docs/results/size.tsv")
PARTNER = "foscttm", "a->b"
SKILLS = ("imputation_pearson_per_feature", "imputation_skill")


def tables_of(means, checks=()):
    """Return the tables of a benchmark: dataset -> (metric, direction) -> run -> mean."""
    scores = pd.concat(
        scores_around(of_dataset, dataset=name) for name, of_dataset in means.items()
    )
    runs = runs_of(scores)
    found = pd.DataFrame(checks, columns=["dataset", "run", "check"])
    found = found.assign(scenario="paired", metric="foscttm", message="odd")
    tables = {"scores": scores, "runs": runs, "sanity_checks": found.reindex(columns=CHECK_COLUMNS)}
    metadata = run_metadata_of(runs)
    sizes = {(dataset, "paired"): (400, 100) for dataset in means}
    return tables | {
        "comparison": with_ceilings(comparison(scores), metadata),
        "recommendations": recommended(tables, [], metadata, sizes),
        "overall": overall(scores, runs, metadata),
        "warnings": pd.DataFrame({"dataset": ["x", "y"], "warning": ["same", "same"]}),
        "datasets": pd.DataFrame({"dataset": list(means), "cells_of_dataset": 500}),
    }


def answers(tables):
    """Return the cards of the only scenario."""
    (found,) = cards(tables, plain_theme(tables["runs"])).values()
    return found


def words(tables):
    return [html.unescape(f"{card['title']}: {card['words']}") for card in answers(tables)]


def partner(*values, oracle=0.2):
    runs = dict(zip(("mvae", "mmvae", "cca"), values, strict=True))
    return {PARTNER: runs | {"oracle": 0.0, "label_oracle": oracle}}


def test_a_run_that_is_best_everywhere_is_named_with_its_evidence():
    tables = tables_of({"x": partner(0.1, 0.15, 0.01), "y": partner(0.15, 0.1, 0.01)})
    assert words(tables) == ["Match cells: CCA, best on 2 of 2 datasets (mean rank 1.0 of 3)."]
    (card,) = answers(tables)
    assert card["evidence"].startswith("FOSCTTM: 0.01") and "on y" in card["evidence"]


def test_the_best_mean_rank_wins_and_the_best_elsewhere_are_named():
    means = {
        "x": partner(0.01, 0.05, 0.1),
        "y": partner(0.05, 0.1, 0.01),
        "z": partner(0.1, 0.05, 0.01),
    }
    (one,) = verdicts(tables := tables_of(means), run_metadata_of(tables["runs"]))
    assert (one.run, one.rank, one.ranked) == ("cca", pytest.approx(5 / 3), 3)
    assert words(tables) == [
        "Match cells: CCA, best on 2 of 3 datasets (mean rank 1.7 of 3); MVAE is best on x."
    ]


def test_runs_that_tie_with_the_best_are_named_with_the_dataset():
    tables = tables_of({"x": partner(0.0106, 0.1, 0.01), "y": partner(0.1, 0.15, 0.01)})
    assert words(tables) == [
        "Match cells: CCA, best on 2 of 2 datasets (mean rank 1.0 of 3); not separable from MVAE on x."
    ]


def test_a_run_that_a_check_names_or_that_is_worse_than_the_control_is_no_answer():
    means = {"x": partner(0.1, 0.15, 0.01), "y": partner(0.1, 0.15, 0.01)}
    named = tables_of(means, [("x", "cca", "chance")])
    assert words(named)[0].startswith("Match cells: MVAE")
    assert verdicts(named, run_metadata_of(named["runs"]))[0].run == "mvae"
    worse = {name: partner(0.1, 0.15, 0.3, oracle=0.05) for name in "xy"}
    assert words(tables_of(worse)) == [
        "Match cells: None beats knowing each cell's type on any of 2 datasets."
    ]
    partly = {"x": partner(0.1, 0.15, 0.3, oracle=0.05), "y": partner(0.1, 0.15, 0.3)}
    assert words(tables_of(partly)) == [
        "Match cells: No run beats knowing each cell's type on all 2 datasets: none on x, MVAE on y."
    ]


def test_no_imputation_below_the_mean_of_the_cell_type_is_recommended():
    runs = {"mvae": 0.2, "mmvae": 0.25, "oracle": 1.0, "celltype_mean": 0.3}
    tables = tables_of({"x": dict.fromkeys(((name, "rna->adt") for name in SKILLS), runs)})
    assert words(tables) == ["Impute adt from rna: None beats the cell-type mean."]
    (card,) = answers(tables)
    assert "MMVAE 0.2" in card["evidence"] and "to beat 0.3" in card["evidence"]


def test_an_answer_says_how_much_of_the_ceiling_it_attains():
    runs = {"mvae": 0.3, "mmvae": 0.4, "oracle": 1.0, "celltype_mean": 0.2}
    ceiling = {(f"{SKILLS[0]}_ceiling", "rna->adt"): dict.fromkeys(runs, 0.8)}
    means = dict.fromkeys(((name, "rna->adt") for name in SKILLS), runs)
    tables = tables_of({"x": means | ceiling, "y": means})
    (card,) = answers(tables)
    on_x, on_y = card["evidence"].split("; ")
    assert "(50 % of the ceiling) on x" in on_x and "ceiling" not in on_y


def test_what_limits_trust_is_counted():
    found = [
        ("x", "cca", "stopped by the budget"),
        ("x", "mvae", "chance"),
        ("y", "mvae", "chance"),
    ]
    tables = tables_of({name: partner(0.1, 0.15, 0.01) for name in "xy"}, found)
    known = limits(tables, plain_theme(tables["runs"]))
    assert (known["cells"], known["query"], known["seeds"]) == ({"x": 500, "y": 500}, [100], 3)
    assert (known["stopped"], known["warnings"]) == ("CCA", 1)
    assert (known["findings"], known["named"]) == (3, "MVAE")


def test_the_curves_of_the_study_cross_where_its_table_says():
    study = study_of_size(STUDY, {"x": 500, "y": 30534})
    assert (study["few"], study["linear_to"], study["deep_from"]) == ([500, 30534], 1000, 3000)
    assert study["places"] == [verdict.MARGIN, verdict.WIDTH - verdict.MARGIN]
    transfer = study["panels"][0]
    rows = STUDY[(STUDY["metric"] == "label_transfer_accuracy") & (STUDY["cells"] == 30534)]
    assert transfer["high"] == rows.loc[rows["run"] != "contrastive_vae", "mean"].max()
    heights = {kind: float(line.split(",")[-1]) for kind, line in transfer["lines"].items()}
    assert heights["model"] < heights["baseline"]  # the deep one is above, y counts down
    assert study_of_size(STUDY, {"x": FEW_CELLS}) is None


def test_the_page_begins_with_the_verdict(results):
    head = results.html.split("<h2>All datasets together</h2>")[0]
    competing = sum(map(results.theme.run_metadata.competes, results.theme.run_metadata.methods))
    title = f"<h1>mosaicbench: {competing} runs on 2 datasets</h1>"
    for text in (title, "Match cells", "Transfer labels", "3 seeds"):
        assert text in head, text
    assert f"do not hold at {STUDY['cells'].max():,}" in head and head.count("<polyline") == 4


def test_a_default_is_named_that_often_puts_another_run_first_once_beyond_its_interval():
    rows = [
        ("k (15)", "1", "a", "mvae", 0.01),  # in half of the sets, once beyond
        ("k (15)", "1", "b", "cca", 0.0),
        ("k (15)", "5", "a", "mvae", -0.01),  # never beyond
        ("k (15)", "5", "b", "mvae", -0.1),
        ("k (15)", "9", "a", "mvae", 0.01),  # in a third
        ("k (15)", "9", "b", "cca", 0.0),
        ("k (15)", "9", "c", "cca", 0.0),
        (verdict.CHANCE, "others", "a", "mvae", 0.01),  # chance is no default
    ]
    study = pd.DataFrame(rows, columns=["default", "level", "dataset", "first_after", "low"])
    study = study.assign(question="foscttm", first="cca")
    found = {"sets": 3, "changes": {"foscttm": ["k (15) = 1"]}}
    assert sensitive_defaults(study, few_cells=True) == found
    assert sensitive_defaults(study, few_cells=False) is None
    assert sensitive_defaults(None, few_cells=True) is None
