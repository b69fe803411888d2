"""Sweeps: their table, on made-up scores, and the strokes of their figure."""

import numpy as np
import pandas as pd
import pytest
from synthetic_results import DISPLAY, SCENARIOS

from mosaicbench.figures.sweep import sweep
from mosaicbench.files.scores import SCORE_COLUMNS
from mosaicbench.report import theme
from mosaicbench.stats.common import FAILED
from mosaicbench.stats.means import comparison, seed_means
from mosaicbench.stats.sweep import SWEEP_COLUMNS, sweep_table

VALUES = {"mvae-1": 0.1, "mvae-4": 0.4, "oracle": 0.0}


def _swept(sweep, rows):
    """Return the table of a sweep over scores (dataset, scenario, run, seed, metric, direction, value, status)."""
    columns = ["dataset", "scenario", "run", "seed", "metric", "direction", "value", "status"]
    scores = pd.DataFrame(rows, columns=columns).assign(normalization="-")[SCORE_COLUMNS]
    return sweep_table({"label": "n", "log": False} | sweep, scores, comparison(scores))


def test_a_swept_dataset_stands_at_its_value_with_every_seed(results):
    table = results.tables["sweep"]
    assert list(table.columns) == SWEEP_COLUMNS
    foscttm = table[table["metric"] == "foscttm"]
    assert set(foscttm["panel"]) == {f"a series, {scenario}" for scenario in SCENARIOS}
    assert dict(zip(foscttm["dataset"], foscttm["x"], strict=True)) == {"pair": 2, "triple": 3}
    means = seed_means(results.tables["scores"]).set_index(
        ["dataset", "scenario", "run", "metric", "seed"]
    )["value"]
    own = foscttm.dropna(subset="value").set_index(
        ["dataset", "scenario", "run", "metric", "seed"]
    )["value"]
    assert len(own) > 50
    np.testing.assert_allclose(own, means.loc[own.index], equal_nan=True)
    headline = results.tables["headline"].set_index(["dataset", "scenario", "run", "metric"])[
        "mean"
    ]
    for row in foscttm.dropna(subset="mean").itertuples():
        assert row.mean == pytest.approx(headline[row.dataset, row.scenario, row.run, "foscttm"])


def test_a_failed_seed_of_a_sweep_is_a_row_without_a_value(results):
    table = results.tables["sweep"]
    failed = table[table["status"].isin(FAILED)]
    runs = results.tables["runs"]
    assert set(failed["run"]) == set(runs.loc[runs["status"].isin(FAILED), "run"])
    assert failed["value"].isna().all()


def test_directions_of_a_sweep_are_panels_of_their_own(results):
    table = results.tables["sweep"]
    skill = table[table["metric"] == "imputation_skill"]
    assert set(skill["direction"]) == {"rna->adt", "rna->atac"}
    assert set(skill.loc[skill["direction"] == "rna->atac", "dataset"]) == {"triple"}


def test_swept_runs_are_one_line_and_all_others_level_ones():
    rows = [
        ("d", "s", run, seed, "foscttm", "a->b", value, "ok")
        for seed in (0, 1)
        for run, value in VALUES.items()
    ]
    table = _swept(
        {"metrics": {"foscttm": ["a->b"]}, "series": {"weights": {"mvae-1": 1, "mvae-4": 4}}}, rows
    )
    assert set(table["panel"]) == {"d, s"}
    assert set(zip(table["line"], table["x"].fillna(-1), strict=True)) == {
        ("weights", 1),
        ("weights", 4),
        ("oracle", -1),
    }
    assert table.groupby("run")["value"].first().to_dict() == VALUES


def test_a_direction_without_partners_does_not_double_the_seeds_of_a_sweep():
    rows = [
        ("d", "s", run, seed, "foscttm", "a->b", x, "ok")
        for seed in (0, 1)
        for run, x in VALUES.items()
    ]
    rows += [
        ("d", "s", run, seed, "foscttm", "a->c", np.nan, "not_applicable")
        for seed in (0, 1)
        for run in VALUES
    ]
    table = _swept(
        {"metrics": {"foscttm": None}, "series": {"weights": {"mvae-1": 1, "mvae-4": 4}}}, rows
    )
    assert not table.duplicated(["run", "seed"]).any()
    assert set(table["status"]) == {"ok"}


def test_a_collapsed_seed_of_a_sweep_says_so():
    rows = [
        (f"d{x}", "s", "mvae", 0, "foscttm", "a->b", 0.5, "collapsed" if x > 1 else "ok")
        for x in (1, 2)
    ]
    table = _swept({"metrics": {"foscttm": None}, "series": {"series": {"d1": 1, "d2": 2}}}, rows)
    assert dict(zip(table["x"], table["status"], strict=True)) == {1: "ok", 2: "collapsed"}


def test_a_series_in_which_no_run_exists_has_no_rows():
    rows = [(f"d{x}", "s", "mvae", 0, "foscttm", "a->b", 0.5, "ok") for x in (1, 2)]
    table = _swept(
        {
            "metrics": {"foscttm": None},
            "series": {"one": {"d1": 1, "d2": 2}, "none": {"d3": 1, "d4": 2}},
        },
        rows,
    )
    assert set(table["panel"]) == {"one"}
    assert table["x"].tolist() == [1, 2]


def test_lines_of_one_colour_differ_in_their_stroke():
    methods = {"mvae": "mvae", "mvae_sup": "mvae_sup", "ridge": "ridge"}
    rows = [
        (f"d{x}", "s", run, 0, "foscttm", "a->b", 0.1 * x, "ok") for x in (1, 2) for run in methods
    ]
    table = _swept({"metrics": {"foscttm": None}, "series": {"series": {"d1": 1, "d2": 2}}}, rows)
    runs = pd.DataFrame({"run": list(methods), "method": list(methods.values())})
    figure, _ = sweep(sweep=table, runs=runs, theme=theme.read_theme(DISPLAY, runs))
    strokes = {
        handle.get_label(): (handle.get_color(), handle.get_linestyle())
        for handle in figure.legends[0].get_lines()[:3]
    }
    colours = {colour for colour, _ in strokes.values()}
    assert len(colours) == 2
    assert len(set(strokes.values())) == 3


def test_without_a_sweep_its_table_is_empty():
    assert list(sweep_table(None, pd.DataFrame(), pd.DataFrame()).columns) == SWEEP_COLUMNS
