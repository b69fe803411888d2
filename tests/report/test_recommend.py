"""What is recommended is the best run of each question that no check names and that beats the trivial control, or none."""

import numpy as np
import pandas as pd
import pytest

from mosaicbench.catalog.run_metadata import run_metadata_of
from mosaicbench.files.scores import SCORE_COLUMNS
from mosaicbench.report.page.recommendations import recommendations
from mosaicbench.report.page.split import first_two
from mosaicbench.report.recommendation import (
    IMPUTATION,
    LABELS,
    PARTNER,
    SPEED,
    decided_by,
    recommended,
    why_none,
)
from mosaicbench.report.tables.contract import RUN_COLUMNS
from mosaicbench.report.theme import NAMED, Theme
from mosaicbench.stats.paired import paired_tests
from mosaicbench.stats.sanity import CHECK_COLUMNS, MARKS

SEEDS = range(6)
METHODS = ("mvae", "mmvae", "cca", "oracle", "constant", "label_oracle", "celltype_mean")
SIZES = {("made_up", "paired"): (400, 100)}
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


def tables_of(means: dict) -> dict:
    random = np.random.default_rng(0)
    rows = [
        (
            "made_up",
            "paired",
            run,
            seed,
            metric,
            direction,
            "-",
            mean + 0.01 * random.standard_normal(),
            "ok",
        )
        for (metric, direction), of_runs in means.items()
        for run, mean in of_runs.items()
        for seed in SEEDS
    ]
    seconds = dict(zip(METHODS, (20.0, 10.0, 1.0, 0.1, 0.1, 0.1, 0.1), strict=True))
    of_runs = [
        {
            "dataset": "made_up",
            "scenario": "paired",
            "run": run,
            "method": run,
            "seed": seed,
            "status": "ok",
        }
        | {"seconds": seconds[run], "peak_host_mb": 500.0}
        for run in METHODS
        for seed in SEEDS
    ]
    scores = pd.DataFrame(rows, columns=["dataset", "scenario", "run", "seed", *SCORE_COLUMNS[4:]])[
        SCORE_COLUMNS
    ]
    return {
        "scores": scores,
        "runs": pd.DataFrame(of_runs).reindex(columns=RUN_COLUMNS),
        "sanity_checks": named(),
    }


def named(*pairs) -> pd.DataFrame:
    """Return the findings of checks, given as (run, gate)."""
    rows = [
        {
            "dataset": "made_up",
            "scenario": "paired",
            "run": run,
            "check": check,
            "metric": "foscttm",
        }
        for run, check in pairs
    ]
    return pd.DataFrame(rows, columns=CHECK_COLUMNS)


@pytest.fixture
def tables():
    return tables_of(MEANS)


def theme_of(tables):
    return Theme({room: {} for room in NAMED} | {"colours": {}}, run_metadata_of(tables["runs"]))


def answers(tables, **changed):
    tables = tables | changed
    return recommended(tables, [], run_metadata_of(tables["runs"]), SIZES).set_index(
        "question", drop=False
    )


def test_each_question_has_its_best_run_and_what_it_is_not_separable_from(tables):
    found = answers(tables)
    partner, labels, speed = (found.loc[name] for name in (PARTNER, LABELS, SPEED))
    assert {partner["run"], partner["tied_with"]} == {"mvae", "mmvae"}
    assert (partner["beaten"], round(partner["beaten_value"], 2)) == ("label_oracle", 0.15)
    assert (labels["run"], labels["tied_with"], labels["seconds"]) == ("cca", "", 1.0)
    assert (labels["beaten"], labels["cells"]) == ("constant", 100)
    assert np.isnan(labels["seeds_needed"])
    assert speed["run"] == "cca"
    assert found.loc[[PARTNER, LABELS], ["detectable", "detectable_new"]].notna().all(axis=None)
    assert 0 < partner["detectable"] < partner["detectable_new"] < 0.1


def test_each_direction_of_imputation_is_a_question_of_its_own_and_must_beat_the_mean_of_the_type(
    tables,
):
    imputing = answers(tables).loc[IMPUTATION].set_index("direction", drop=False)
    assert imputing["run"].to_dict() == {"a->b": "mvae", "b->a": ""}
    none = imputing.loc["b->a"]
    assert (none["beaten"], none["nearest"], none["tied_with"]) == ("celltype_mean", "mmvae", "")
    assert none["detectable"] > 0  # what the design can tell is said where none is taken, too
    why = why_none(none, theme_of(tables))
    assert "none beats Cell-type mean (Imputation skill 0." in why
    assert "MMVAE comes nearest with 0." in why
    page = recommendations(imputing, theme_of(tables))
    texts = [[cell.text for cell in row.cells] for row in next(iter(page.sections.values()))]
    assert [row[3] for row in texts] == ["MVAE", "none"]
    assert "None beats Cell-type mean" in texts[1][4]


def test_finding_partners_must_beat_knowing_the_type_and_without_labels_chance(tables):
    means = MEANS | {("foscttm", "a->b"): MEANS["foscttm", "a->b"] | {"label_oracle": 0.05}}
    found = answers(tables_of(means)).loc[PARTNER]
    assert (found["run"], found["beaten"]) == ("", "label_oracle")
    floor = {
        ("foscttm", "a->b"): {"mvae": 0.10, "cca": 0.30},
        ("label_floor", "-"): {"mvae": 0.05, "cca": 0.05},
    }
    found = answers(tables_of(floor)).loc[PARTNER]
    assert (found["run"], found["beaten"]) == ("", "label_floor")
    assert "none beats perfect labels (FOSCTTM 0.0" in why_none(found, theme_of(tables))
    unknown_labels = {("foscttm", "a->b"): {"mvae": 0.10, "cca": 0.60}}
    found = answers(tables_of(unknown_labels)).loc[PARTNER]
    assert (found["run"], found["beaten"], found["beaten_value"], found["tied_with"]) == (
        "mvae",
        "chance",
        0.5,
        "",
    )
    worse = {("foscttm", "a->b"): {"mvae": 0.55, "cca": 0.60}}
    assert answers(tables_of(worse)).loc[PARTNER, "run"] == ""


def test_a_run_that_a_check_names_is_not_recommended_nor_called_level_whatever_the_score(tables):
    first = answers(tables).loc[PARTNER, "run"]
    other = {"mvae": "mmvae", "mmvae": "mvae"}[first]
    found = answers(tables, sanity_checks=named((first, "chance"))).loc[PARTNER]
    assert (found["run"], found["tied_with"], found["barred"]) == (other, "", first)
    found = answers(
        tables, sanity_checks=named((first, "chance"), (other, "perfect"), ("cca", "no number"))
    ).loc[PARTNER]
    assert (found["run"], found["nearest"]) == ("", "")
    assert "the checks of the scores name" in why_none(found, theme_of(tables))
    elsewhere = named((first, "chance")).assign(dataset="another")
    assert answers(tables, sanity_checks=elsewhere).loc[PARTNER, "run"] == first


def test_a_mark_forbids_nothing_and_stands_beside_the_name(tables):
    (check, sign) = next(iter(MARKS.items()))
    first = answers(tables).loc[PARTNER, "run"]
    found = answers(tables, sanity_checks=named((first, check))).loc[PARTNER]
    assert (found["run"], found["signs"]) == (first, sign)
    (row,) = next(iter(recommendations(found.to_frame().T, theme_of(tables)).sections.values()))
    assert row.cells[3].text.endswith(sign)
    assert row.cells[3].why == check


def test_so_many_more_splits_would_decide_or_none_would(tables):
    row = answers(tables).loc[PARTNER]
    tests = paired_tests(
        tables["scores"][
            (tables["scores"]["metric"] == "foscttm")
            & (tables["scores"]["run"].isin(["mvae", "mmvae", "cca"]))
        ],
        [],
        run_metadata_of(tables["runs"]),
        sizes=SIZES,
    )
    pair = tests[tests["run"] == row["tied_with"]]["seeds_needed"]
    np.testing.assert_equal(row["seeds_needed"], pair.iloc[0])
    row = {"seeds": 6, "seeds_needed": np.nan}
    assert decided_by(row) == "no number of splits of these cells up to 100 would, more cells may"
    assert decided_by(row | {"seeds": 1}) == "one split says nothing about others"
    assert (
        decided_by(row | {"seeds_needed": 7.0})
        == "about 1 more split would, if differences and spread stay"
    )
    assert (
        decided_by(row | {"seeds_needed": 10.0})
        == "about 4 more splits would, if differences and spread stay"
    )


def test_a_run_that_failed_in_most_seeds_is_not_recommended(tables):
    scores = tables["scores"]
    lost = (scores["run"] == "mmvae") & (scores["seed"] > 0)
    scores = scores.assign(
        value=scores["value"].where(scores["run"] != "mmvae", scores["value"] - 0.2)
    )[~lost]
    partner = answers(tables, scores=scores).loc[PARTNER]
    assert (partner["run"], partner["seeds"]) == ("mvae", len(SEEDS))


def test_the_first_two_stand_in_the_order_of_the_splits_of_both(tables):
    values = {
        "mvae": {0: 0.1, 1: 0.2, 2: 0.31},
        "mmvae": {1: 0.19, 2: 0.3},
        "cca": {0: 0.104, 1: 0.204, 2: 0.315},
    }
    rows = [
        ("d", "s", run, seed, "foscttm", "a->b", "-", x, "ok")
        for run, of in values.items()
        for seed, x in of.items()
    ]
    tests = paired_tests(
        pd.DataFrame(rows, columns=SCORE_COLUMNS),
        [],
        run_metadata_of(tables["runs"]),
        sizes={("d", "s"): (4, 1)},
    )
    (said,) = first_two(tests, theme_of(tables))
    assert "MMVAE before MVAE by 0.010." in said
    (said,) = first_two(tests[tests["run"] == "cca"], theme_of(tables))
    assert "MVAE before CCA by 0.004." in said
    assert (
        "on these cells (p " in said
        and "on new cells of this kind (p " in said
        and "smallest detectable difference 0.0" in said
    )


def test_the_first_lines_of_the_report_are_of_the_same_table(results):
    page, table = results.html, results.tables["recommendations"]
    assert len(table)
    first = page.index('id="recommendations"')
    assert first < page.index('id="summary"')
    box = page[first : page.index('id="summary"')]
    assert box.count("<tr") == len(table) + 1
    assert all(results.theme.label("runs", run) in box for run in filter(None, table["run"]))
