"""Sweeps: their table, on made-up scores, and the strokes of their figure."""

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose
from synthetic_results import SCENARIOS

from mosaicbench.figures.sweep import sweep
from mosaicbench.files.scores import SCORE_COLUMNS
from mosaicbench.report import theme
from mosaicbench.stats.common import FAILED, RUN
from mosaicbench.stats.means import comparison, seed_means
from mosaicbench.stats.sweep import SWEEP_COLUMNS, sweep_table

VALUES = {"mvae-1": 0.1, "mvae-4": 0.4, "oracle": 0.0}
WEIGHTS = {"weights": {"mvae-1": 1, "mvae-4": 4}}
DATASETS = {"series": {"d1": 1, "d2": 2}}


def table_of(rows, series, directions=None):
    """Return the table of a sweep over FOSCTTM.

    Rows are dataset, run, seed, direction, value, status.
    """
    scores = pd.DataFrame(rows, columns=["dataset", "run", "seed", "direction", "value", "status"])
    scores = scores.assign(scenario="s", metric="foscttm", normalization="-")[SCORE_COLUMNS]
    config = {"label": "n", "log": False, "metrics": {"foscttm": directions}, "series": series}
    return sweep_table(config, scores, comparison(scores))


def of_runs(direction, status="ok", values=VALUES):
    rows = [["d", run, 0, direction, x, status] for run, x in values.items()]
    return rows + [[dataset, run, 1, *more] for dataset, run, _, *more in rows]


def of_datasets(*runs, statuses=("ok", "ok")):
    rows = []
    for x, status in enumerate(statuses, 1):
        rows += [[f"d{x}", run, 0, "a->b", 0.1 * x, status] for run in runs]
    return rows


def test_a_swept_dataset_has_its_value_in_every_seed(results):
    table = results.tables["sweep"]
    assert list(table.columns) == SWEEP_COLUMNS
    foscttm = table[table["metric"] == "foscttm"]
    assert set(foscttm["panel"]) == {f"a series, {scenario}" for scenario in SCENARIOS}
    assert dict(zip(foscttm["dataset"], foscttm["x"], strict=True)) == {"pair": 2, "triple": 3}
    keys = [*RUN, "metric", "seed"]
    values = foscttm.dropna(subset="value").set_index(keys)["value"]
    assert len(values) > 50
    means = seed_means(results.tables["scores"]).set_index(keys)["value"]
    assert_allclose(values, means.loc[values.index])
    means = foscttm.dropna(subset="mean").set_index(keys[:-1])["mean"]
    headline = results.tables["headline"].set_index(keys[:-1])["mean"]
    assert_allclose(means, headline.loc[means.index])


def test_a_failed_seed_of_a_sweep_is_a_row_without_a_value(results):
    table, runs = results.tables["sweep"], results.tables["runs"]
    failed = table[table["status"].isin(FAILED)]
    assert set(failed["run"]) == set(runs.loc[runs["status"].isin(FAILED), "run"])
    assert failed["value"].isna().all()


def test_directions_of_a_sweep_are_panels_of_their_own(results):
    table = results.tables["sweep"]
    skill = table[table["metric"] == "imputation_skill"]
    assert set(skill["direction"]) == {"rna->adt", "rna->atac"}
    assert set(skill.loc[skill["direction"] == "rna->atac", "dataset"]) == {"triple"}


def test_a_sweep_has_the_ceilings_of_its_scores(results):
    table = results.tables["sweep"]
    skill = table["metric"] == "imputation_skill"
    assert set(table.loc[skill & table["value"].notna(), "ceiling"]) == {0.5}
    assert table.loc[~skill, "ceiling"].isna().all()


def test_swept_runs_are_one_line_and_all_others_level_ones():
    table = table_of(of_runs("a->b"), WEIGHTS, ["a->b"])
    assert set(table["panel"]) == {"d, s"}
    lines = set(zip(table["line"], table["x"].fillna(-1), strict=True))
    assert lines == {("weights", 1), ("weights", 4), ("oracle", -1)}
    assert table.groupby("run")["value"].first().to_dict() == VALUES


def test_a_direction_without_partners_does_not_double_the_seeds_of_a_sweep():
    without = of_runs("a->c", "not_applicable", dict.fromkeys(VALUES, np.nan))
    table = table_of(of_runs("a->b") + without, WEIGHTS)
    assert not table.duplicated(["run", "seed"]).any()
    assert set(table["status"]) == {"ok"}


def test_a_collapsed_seed_of_a_sweep_keeps_its_status():
    table = table_of(of_datasets("mvae", statuses=("ok", "collapsed")), DATASETS)
    assert dict(zip(table["x"], table["status"], strict=True)) == {1: "ok", 2: "collapsed"}


def test_a_series_in_which_no_run_exists_has_no_rows():
    table = table_of(of_datasets("mvae"), DATASETS | {"none": {"d3": 1, "d4": 2}})
    assert set(table["panel"]) == {"series"}
    assert table["x"].tolist() == [1, 2]


def test_lines_of_one_colour_differ_in_their_stroke():
    methods = ["mvae", "mvae_sup", "ridge"]
    runs = pd.DataFrame({"run": methods, "method": methods})
    table = table_of(of_datasets(*methods), DATASETS)
    figure, _ = sweep(sweep=table, runs=runs, theme=theme.read_theme(runs))
    lines = figure.legends[0].get_lines()[:3]
    assert len({line.get_color() for line in lines}) == 2
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 3


def test_a_run_in_which_the_quantity_does_not_occur_is_a_level_line():
    table = table_of(of_runs("mean"), WEIGHTS)
    runs = pd.DataFrame({"run": list(VALUES), "method": ["mvae", "mvae", "oracle"]})
    figure, _ = sweep(sweep=table, runs=runs, theme=theme.read_theme(runs))
    axes = figure.axes[0]
    (level,) = (
        line
        for line in axes.get_lines()
        if list(line.get_xdata()) == [0, 1] and line.get_linestyle() == "-"
    )
    assert set(level.get_ydata()) == {VALUES["oracle"]}


def test_without_a_sweep_its_table_is_empty():
    assert list(sweep_table(None, pd.DataFrame(), pd.DataFrame()).columns) == SWEEP_COLUMNS
