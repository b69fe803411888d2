"""README's figure of scores against the number of cells, and its sentence: both of one table, and the table of a study."""

import sys

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from submitted_results import submitted

from mosaicbench.errors import UserError
from mosaicbench.files.tables import read_table
from mosaicbench.report.theme import read_theme

sys.path.insert(0, str(REPOSITORY / "docs/site"))

import size  # noqa: E402


@pytest.fixture(scope="module")
def theme():
    return read_theme(REPOSITORY / "config/display.yaml", pd.DataFrame(columns=["run", "method"]))


def made(few, many):
    """A table of two sizes: metric -> run -> mean, with the same runs in both."""
    rows = []
    for cells, scores in ((500, few), (30_534, many)):
        for (metric, direction), means in scores.items():
            for run, mean in means.items():
                rows.append(
                    [
                        cells,
                        run,
                        metric,
                        direction,
                        mean,
                        mean - 0.01,
                        mean + 0.01,
                        3,
                        "0123456789ab",
                    ]
                )
    return pd.DataFrame(rows, columns=size.COLUMNS)


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


def test_the_readmes_sentence_is_that_of_the_committed_table(theme):
    table = read_table(size.TABLE)
    assert list(table) == size.COLUMNS
    text = size.README.read_text(encoding="utf-8")
    assert text == size.refreshed(text, size.sentence(table, theme)), (
        "run: python docs/site/size.py"
    )
    assert f"]({size.FIGURE.relative_to(REPOSITORY)})" in text


def test_the_sentence_says_who_leads_at_both_ends_and_leaves_controls_out(theme):
    said = size.sentence(made(FEW, MANY), theme)
    assert "label transfer 0.730 (Joint PCA) / 0.690 (MMVAE), 0.830 (CCA) / 0.906 (MMVAE);" in said
    assert "FOSCTTM 0.080 (CCA) / 0.070 (MMVAE), 0.040 (CCA) / 0.050 (MMVAE);" in said
    assert (
        "skill of imputed proteins 0.250 (Ridge) / 0.280 (VAE (PoE)), 0.360 (Ridge) / 0.410 (VAE (PoE))."
        in said
    )
    assert "of 500 and of 30,534 cells" in said
    assert "A linear method is first in 1 and in 1 of these 3 scores." in said
    behind = {FOSCTTM: {"cca": 0.09, "mmvae": 0.05}}
    assert "first in 0 and in 1 of these 1 scores." in size.sentence(
        made(behind, {FOSCTTM: MANY[FOSCTTM]}), theme
    )


def test_the_figure_has_a_line_per_run_but_no_control_beside_the_mean_of_a_type(theme):
    figure = size.drawn(made(FEW, MANY), theme)
    transfer, _, skill = figure.axes
    assert [len(axes.lines) for axes in figure.axes] == [
        7,
        7,
        7,
    ]  # one for each run of the legend, empty where it has no score
    assert sum(len(line.get_xdata()) == 2 for line in transfer.lines) == 3
    assert sum(len(line.get_xdata()) == 2 for line in skill.lines) == 4
    assert transfer.get_xscale() == "log"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert not {theme.label("runs", run) for run in ("oracle", "random_latent")} & set(labels)
    assert {"deep", "linear", "neither"} < set(labels)


def test_a_readme_without_both_marks_is_refused():
    with pytest.raises(UserError, match="needs <!-- size --> and <!-- /size --> once each"):
        size.refreshed("no marks", "a sentence")
    text = "a\n\n*<!-- size -->old<!-- /size -->*\n\nb\n"
    once = size.refreshed(text, "new " * 60)
    assert once.startswith("a\n\n*<!-- size -->new new") and once.endswith("<!-- /size -->*\n\nb\n")
    assert size.refreshed(once, "new " * 60) == once
    assert max(map(len, once.splitlines())) <= size.WIDTH + 2


def test_the_table_is_taken_from_the_tables_of_a_study(tmp_path, monkeypatch):
    with submitted(tmp_path / "mine") as folder:
        runs = size.read_tables(size.Results(folder).tables)["runs"]
        scores = size.read_tables(size.Results(folder).tables)["scores"]
        means = scores[scores["metric"] == "foscttm"].groupby(size.RUN)["value"].mean()
        sweep = runs[[*size.RUN, "seed"]].merge(means.rename("mean").reset_index(), on=size.RUN)
        sweep = sweep.assign(
            x=np.where(sweep["dataset"] == sweep["dataset"].iloc[0], 500.0, 1000.0),
            metric="foscttm",
        )
        sweep = sweep.assign(
            direction="mean", low=sweep["mean"] - 1, high=sweep["mean"] + 1, value=sweep["mean"]
        )
        known = size.read_tables
        monkeypatch.setattr(size, "read_tables", lambda place: known(place) | {"sweep": sweep})
        found = size.taken(folder)
    assert list(found) == size.COLUMNS
    assert set(found["commit"]) == {"0123456789ab"}
    assert set(found["cells"]) <= {500, 1000} and (found["seeds"] == 3).all()
    assert (
        not found.duplicated(["cells", "run", "metric", "direction"]).any()
        or len(set(runs["scenario"])) > 1
    )
    np.testing.assert_allclose(sorted(set(found["mean"])), sorted(set(means.dropna().round(4))))
