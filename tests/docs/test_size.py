"""Scores against the number of cells: README's figure and sentence, and the page, from the reference results."""

import sys

import pandas as pd
import pytest
from conftest import REPOSITORY

from mosaicbench.files import reference
from mosaicbench.files.tables import read_table
from mosaicbench.report.theme import read_theme

sys.path.insert(0, str(REPOSITORY / "docs/site"))

import size  # noqa: E402

TRANSFER, FOSCTTM, SKILL = size.PANELS
FEW = {
    TRANSFER: {"cca": 0.72, "pca_joint": 0.73, "mmvae": 0.69, "random_latent": 0.9},
    FOSCTTM: {"cca": 0.08, "mmvae": 0.07, "oracle": 0.0},
    SKILL: {"ridge": 0.25, "vae_poe": 0.28, "celltype_mean": 0.9, "knn_impute": 0.8},
}
MANY = {
    TRANSFER: {"cca": 0.83, "pca_joint": 0.82, "mmvae": 0.906, "random_latent": 0.9},
    FOSCTTM: {"cca": 0.04, "mmvae": 0.05, "oracle": 0.0},
    SKILL: {"ridge": 0.36, "vae_poe": 0.41, "celltype_mean": 0.9, "knn_impute": 0.8},
}


@pytest.fixture(scope="module")
def theme():
    return read_theme(pd.DataFrame(columns=["run", "method"]))


def made():
    """Return a table of two sizes, with the same runs in both."""
    rows = []
    for cells, scores in ((500, FEW), (30_534, MANY)):
        for place, means in scores.items():
            for run, mean in means.items():
                rows.append([cells, run, *place, mean, mean - 0.01, mean + 0.01, 3, "012"])
    return pd.DataFrame(rows, columns=size.COLUMNS)


def test_table_sentence_and_page_follow_from_the_stored_results(theme):
    stored, table = reference.read(), read_table(size.TABLE)
    fresh = size.taken(stored, theme).reset_index(drop=True)
    pd.testing.assert_frame_equal(table, fresh.astype({"cells": int}))
    for file, new in (
        (size.README, lambda text: size.refreshed(text, size.sentence(table, theme))),
        (size.PAGE, lambda text: size.with_findings(text, stored)),
    ):
        text = file.read_text(encoding="utf-8")
        assert text == new(text), "run: python docs/site/size.py"
    assert f"]({size.FIGURE.relative_to(REPOSITORY)})" in size.README.read_text(encoding="utf-8")


def test_the_sentence_names_the_best_of_both_kinds_without_controls(theme):
    sentence = size.sentence(made(), theme)
    assert "of 500 and of 30,534 cells: " in sentence
    assert (
        "label transfer 0.730 (Joint PCA) / 0.690 (MMVAE), 0.830 (CCA) / 0.906 (MMVAE);" in sentence
    )
    assert "FOSCTTM 0.080 (CCA) / 0.070 (MMVAE), 0.040 (CCA) / 0.050 (MMVAE);" in sentence
    assert "A linear method is first in 1 and in 1 of these 3 scores." in sentence
    of_one_seed = made().assign(run="mopoe", mean=0.99, seeds=1)
    assert size.sentence(pd.concat([made(), of_one_seed]), theme) == sentence


def test_the_figure_has_a_line_per_run_without_controls(theme):
    figure = size.drawn(made(), theme)
    lengths = [sum(len(line.get_xdata()) == 2 for line in axes.lines) for axes in figure.axes]
    assert lengths == [3, 2, 4]  # with the mean of a cell's type, and nearest neighbours
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"deep", "linear", "neither"} < labels
    assert not {theme.label("runs", run) for run in ("oracle", "random_latent")} & labels


def test_the_table_has_means_over_seeds_of_drawn_runs_by_cells(theme):
    stored = reference.read()
    found = size.taken(stored, theme)
    row = found.query("cells == 3000 and run == 'mmvae' and metric == 'foscttm'").iloc[0]
    scores = stored.scores.query("dataset == 'covid_citeseq-03000' and scenario == 'paired'")
    values = scores.query("run == 'mmvae' and metric == 'foscttm' and seed < 3")["value"]
    assert row["mean"] == pytest.approx(values.mean(), abs=1e-4) and row["seeds"] == 3
    assert row["low"] < row["mean"] < row["high"]
    assert not {"oracle", "mmvae_sup", "linear"} & set(found["run"])
