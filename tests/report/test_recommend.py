"""Recommended is the best run of a question that no check names and that beats the control."""

import numpy as np
import pandas as pd
import pytest
from made_up_scores import plain_theme, runs_of, scores_around

from mosaicbench.catalog.run_metadata import run_metadata_of
from mosaicbench.report.page.render import sentence
from mosaicbench.report.page.verdict import recommendations, splits_to_decide
from mosaicbench.report.recommendation import IMPUTATION, LABELS, PARTNER, SPEED, recommended
from mosaicbench.stats.sanity import CHECK_COLUMNS, MARKS

SIZES = {("d", "paired"): (400, 100)}
SECONDS = {"mvae": 20.0, "mmvae": 10.0, "cca": 1.0}
# (metric, direction) -> run -> mean; mmvae is as good as mvae but for noise, cca is far behind, controls do not compete
MEANS = {
    ("foscttm", "a->b"): {
        "mvae": 0.10,
        "mmvae": 0.106,
        "cca": 0.30,
        "oracle": 0.0,
        "label_oracle": 0.15,
    },
    ("label_transfer_accuracy", "a->b"): {
        "mvae": 0.5,
        "mmvae": 0.5,
        "cca": 0.9,
        "oracle": 1.0,
        "constant": 0.4,
    },
    ("imputation_pearson_per_feature", "a->b"): {"mvae": 0.8, "mmvae": 0.2, "oracle": 1.0},
    ("imputation_pearson_per_feature", "b->a"): {"mvae": 0.2, "mmvae": 0.6, "oracle": 1.0},
    ("imputation_skill", "a->b"): {"mvae": 0.6, "mmvae": 0.1, "oracle": 1.0, "celltype_mean": 0.3},
    ("imputation_skill", "b->a"): {"mvae": 0.1, "mmvae": 0.2, "oracle": 1.0, "celltype_mean": 0.3},
}


def tables_of(means):
    scores = scores_around(means, seeds=6, sd=0.01)
    runs = runs_of(scores)
    runs = runs.assign(seconds=runs["run"].map(SECONDS), peak_host_mb=500.0)
    return {"scores": scores, "runs": runs, "sanity_checks": named()}


def named(*pairs):
    """Return the findings of checks, given as (run, check)."""
    table = pd.DataFrame(pairs, columns=["run", "check"])
    table = table.assign(dataset="d", scenario="paired", metric="foscttm")
    return table.reindex(columns=CHECK_COLUMNS)


@pytest.fixture
def tables():
    return tables_of(MEANS)


def answers(tables, **changed):
    tables = tables | changed
    table = recommended(tables, [], run_metadata_of(tables["runs"]), SIZES)
    return table.set_index("question", drop=False)


def why_none(row, tables):
    return sentence("why_none", row=row, theme=plain_theme(tables["runs"]))


def first_cells(rows, tables):
    rows = recommendations(rows, plain_theme(tables["runs"])).rows
    return [cells for _, cells in rows]


def test_each_question_has_its_best_run_and_what_it_is_not_separable_from(tables):
    table = answers(tables)
    partner, labels, speed = (table.loc[name] for name in (PARTNER, LABELS, SPEED))
    assert {partner["run"], partner["tied_with"]} == {"mvae", "mmvae"}
    assert (partner["beaten"], round(partner["beaten_value"], 2)) == ("label_oracle", 0.15)
    assert (labels["run"], labels["tied_with"], labels["seconds"]) == ("cca", "", 1.0)
    assert (labels["beaten"], labels["cells"]) == ("constant", 100)
    assert np.isnan(labels["seeds_needed"])
    assert speed["run"] == "cca"
    assert table.loc[[PARTNER, LABELS], ["detectable", "detectable_new"]].notna().all(axis=None)
    assert 0 < partner["detectable"] < partner["detectable_new"] < 0.1


def test_each_direction_of_imputation_is_a_question_and_must_beat_the_mean_of_the_type(tables):
    imputing = answers(tables).loc[IMPUTATION].set_index("direction", drop=False)
    assert imputing["run"].to_dict() == {"a->b": "mvae", "b->a": ""}
    none = imputing.loc["b->a"]
    assert (none["beaten"], none["nearest"], none["tied_with"]) == ("celltype_mean", "mmvae", "")
    assert none["detectable"] > 0  # also if no run is recommended
    why = why_none(none, tables)
    assert "None beats Cell-type mean (Imputation skill 0." in why
    assert "MMVAE is nearest at 0." in why
    one, other = first_cells(imputing, tables)
    assert (one[3].text, other[3].text, other[4].text) == ("MVAE", "none", why)


@pytest.mark.parametrize(
    ("means", "answer"),
    [
        (MEANS["foscttm", "a->b"] | {"label_oracle": 0.05}, ("", "label_oracle")),
        ({"mvae": 0.10, "cca": 0.60}, ("mvae", "chance")),
        ({"mvae": 0.55, "cca": 0.60}, ("", "chance")),
    ],
)
def test_finding_partners_must_beat_knowing_the_type_and_without_labels_chance(means, answer):
    row = answers(tables_of({("foscttm", "a->b"): means})).loc[PARTNER]
    assert (row["run"], row["beaten"], row["tied_with"]) == (*answer, "")


def test_without_the_label_oracle_its_score_is_the_bar(tables):
    means = {("foscttm", "a->b"): {"mvae": 0.10, "cca": 0.30}}
    means["label_floor", "-"] = {"mvae": 0.05, "cca": 0.05}
    row = answers(tables_of(means)).loc[PARTNER]
    assert (row["run"], row["beaten"]) == ("", "label_floor")
    assert "None beats perfect labels (FOSCTTM 0.0" in why_none(row, tables)


def test_a_run_that_a_check_names_is_not_recommended_whatever_its_score(tables):
    first = answers(tables).loc[PARTNER, "run"]
    other = {"mvae": "mmvae", "mmvae": "mvae"}[first]
    row = answers(tables, sanity_checks=named((first, "chance"))).loc[PARTNER]
    assert (row["run"], row["tied_with"], row["barred"]) == (other, "", first)
    checks = named((first, "chance"), (other, "perfect"), ("cca", "no number"))
    row = answers(tables, sanity_checks=checks).loc[PARTNER]
    assert (row["run"], row["nearest"]) == ("", "")
    assert "anity checks name" in why_none(row, tables)
    elsewhere = named((first, "chance")).assign(dataset="another")
    assert answers(tables, sanity_checks=elsewhere).loc[PARTNER, "run"] == first


def test_a_mark_forbids_nothing_and_is_beside_the_name(tables):
    check, sign = next(iter(MARKS.items()))
    first = answers(tables).loc[PARTNER, "run"]
    row = answers(tables, sanity_checks=named((first, check))).loc[PARTNER]
    assert (row["run"], row["signs"]) == (first, sign)
    (cells,) = first_cells(row.to_frame().T, tables)
    assert (cells[3].text.endswith(sign), cells[3].about) == (True, check)


@pytest.mark.parametrize(
    ("needed", "seeds", "tied", "text"),
    [
        (np.nan, 6, "cca", "> 100"),
        (np.nan, 1, "cca", "–"),
        (7.0, 6, "cca", "7"),
        (7.0, 6, "", "–"),
    ],
)
def test_the_splits_to_decide_are_one_number_in_all(needed, seeds, tied, text):
    cell = splits_to_decide({"seeds": seeds, "seeds_needed": needed, "tied_with": tied})
    assert getattr(cell, "text", cell) == text


def test_a_run_that_failed_in_most_seeds_is_not_recommended(tables):
    scores = tables["scores"]
    is_better = scores["run"] == "mmvae"
    scores = scores.assign(value=scores["value"] - 0.2 * is_better)
    partner = answers(tables, scores=scores[~is_better | (scores["seed"] == 0)]).loc[PARTNER]
    assert (partner["run"], partner["seeds"]) == ("mvae", 6)
