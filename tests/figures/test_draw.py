"""The figures of a benchmark: they ship their numbers, draw the same bytes twice, and say so where there is nothing to draw."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.layout_engine import ConstrainedLayoutEngine
from synthetic_results import (
    DISPLAY,
    FIGURES,
    PER_SPLIT,
    cards,
    draw_figure,
    made_projections,
    write_report,
)

from mosaicbench.catalog import catalog
from mosaicbench.commands import draw
from mosaicbench.errors import UserError
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.report.tables.contract import of_split
from mosaicbench.report.theme import save


def test_the_figures_tested_here_are_all_that_there_are():
    assert set(catalog.names("figures")) == set(FIGURES)
    assert all(
        (Path(__file__).parents[2] / f"workflow/report/{name}.rst").is_file() for name in FIGURES
    )
    for name in FIGURES:
        assert list(catalog.parameters("figures", name)) == [
            *catalog.card("figures", name)["needs"],
            "theme",
        ]


@pytest.mark.parametrize("figure", PER_SPLIT)
def test_a_figure_ships_its_numbers_and_draws_the_same_bytes_twice(
    results, tmp_path, monkeypatch, figure
):
    monkeypatch.setattr(catalog, "cards", cards)
    draw_figure(results, figure, tmp_path, ["pair/unpaired"])
    first, second = (folder / "pair/unpaired" for folder in (results.folder / "figures", tmp_path))
    for kind in ("svg", "png", "tsv"):
        assert (first / f"{figure}.{kind}").read_bytes() == (
            second / f"{figure}.{kind}"
        ).read_bytes()
    assert len(read_table(second / f"{figure}.tsv")) >= 10
    assert "<text" in (second / f"{figure}.svg").read_text()
    assert sorted(path.name for path in second.iterdir()) == sorted(
        f"{figure}.{kind}" for kind in ("svg", "png", "tsv")
    )


@pytest.mark.parametrize("figure", [*PER_SPLIT, "mean_ranks"])
def test_no_picture_cuts_long_names(results, tmp_path, monkeypatch, figure):
    monkeypatch.setattr(catalog, "cards", cards)
    display = yaml.safe_load(DISPLAY.read_text())
    for room, name in (
        ("methods", "Contrastive VAE supervised (own)"),
        ("losses", "Feedback of discriminator, output RNA"),
    ):
        display[room] = {
            key: (value or {}) | {"label": name} for key, value in display[room].items()
        }
    (tmp_path / "display.yaml").write_text(yaml.safe_dump(display, sort_keys=False))
    draw_figure(results, figure, tmp_path, ["pair/unpaired"], display=tmp_path / "display.yaml")
    ink = imread(next(tmp_path.rglob(f"{figure}.png")))[..., :3].min(axis=2) < 0.95
    edges = (ink[:3], ink[-3:], ink[:, :3], ink[:, -3:])
    assert [int(edge.sum()) for edge in edges] == [0, 0, 0, 0]


@pytest.mark.parametrize("figure", PER_SPLIT)
def test_a_figure_without_data_says_so(results, tmp_path, monkeypatch, figure):
    monkeypatch.setattr(catalog, "cards", cards)
    draw_figure(results, figure, tmp_path, ["nowhere/paired"])
    assert re.search("No (run|model)", (tmp_path / f"nowhere/paired/{figure}.svg").read_text())
    assert read_table(tmp_path / f"nowhere/paired/{figure}.tsv").empty


def test_scores_by_run_draws_every_seed_and_says_what_is_absent(results):
    drawn = read_table(results.folder / "figures/pair/unpaired/scores_by_run.tsv")
    foscttm = drawn[drawn["metric"] == "foscttm"].set_index("run")
    assert sorted(foscttm.loc["mvae", "seed"]) == [0, 1, 2]
    assert foscttm.loc["mmvaepp", "shown"] == "✗ diverged"
    assert foscttm.loc["cca", "shown"] == "–"
    assert np.isnan(foscttm.loc["mmvaepp", "value"])
    assert set(foscttm["chance"]) == {0.5}
    winner = foscttm[foscttm["best"]].index.unique()
    competing = foscttm[
        [run not in ("oracle", "random_latent", "shuffled", "constant") for run in foscttm.index]
    ]
    assert winner.tolist() == [competing["mean"].idxmin()]


def test_heat_is_scaled_from_chance_to_the_oracle(results):
    drawn = read_table(results.folder / "figures/pair/paired/overview_heat.tsv").set_index(
        ["metric", "run"]
    )
    assert drawn.loc[("foscttm", "oracle"), "scaled"] == 1.0
    cell = drawn.loc[("foscttm", "mvae")]
    assert (cell["zero"], cell["zero_is"], cell["one_is"]) == (0.5, "chance", "oracle")
    np.testing.assert_allclose(cell["scaled"], (cell["mean"] - 0.5) / (cell["one"] - 0.5))
    negative = drawn.loc["recall_at_10"].loc[["random_latent", "shuffled", "constant"], "mean"]
    assert drawn.loc[("recall_at_10", "mvae"), "zero_is"] == negative.idxmax()
    assert drawn.loc[("foscttm", "ridge"), "shown"] == "–"
    assert np.isnan(drawn.loc[("foscttm", "ridge"), "scaled"])


def test_mean_ranks_says_so_where_nobody_can_be_ranked(results):
    from mosaicbench.figures.mean_ranks import mean_ranks

    alone = results.tables["ranks"].assign(ranked=1)
    for ranks in (alone, alone.iloc[:0]):
        figure, drawn = mean_ranks(ranks=ranks, theme=results.theme)
        assert drawn.empty
        assert "No run can be ranked" in figure.axes[0].texts[0].get_text()


def test_mean_ranks_draws_what_the_table_says(results):
    drawn = read_table(results.folder / "figures/mean_ranks.tsv").set_index(
        ["scenario", "metric", "run"]
    )
    ranks = results.tables["ranks"].set_index(["scenario", "metric", "run"])
    assert drawn.index.isin(ranks.index).all()
    pd.testing.assert_series_equal(drawn["rank"], ranks.loc[drawn.index, "rank"])
    assert np.isnan(drawn.loc[("paired", "foscttm", "vae_mlp"), "rank"])  # a seed of it failed
    assert (
        drawn.loc[("paired", "foscttm", "mvae"), "rank"]
        < drawn.loc[("paired", "foscttm", "pca_joint"), "rank"]
    )


def test_imputation_quantiles_are_over_features_of_the_mean_over_seeds(results):
    drawn = read_table(results.folder / "figures/triple/paired/imputation.tsv")
    drawn = drawn[drawn["panel"] == "features"]
    assert len(drawn["direction"].unique()) == 6
    row = drawn.set_index(["direction", "run"]).loc[("rna->adt", "mvae")]
    features = of_split(results.tables["features"], "triple", "paired")
    features = features[features["metric"] == "imputation_pearson_per_feature"]
    mine = features[(features["run"] == "mvae") & (features["direction"] == "rna->adt")]
    expected = mine.pivot(index="feature", columns="seed", values="value").mean(axis=1).dropna()
    np.testing.assert_allclose(row["median"], np.median(expected))
    assert (row["features"], row["undefined"]) == (27, 3)


def test_calibration_draws_shares_over_seeds_and_says_the_coverage(results):
    drawn = read_table(results.folder / "figures/triple/paired/calibration.tsv")
    row = drawn.set_index(["direction", "run"]).loc[("rna->adt", "mvae")]
    assert row["bin"].tolist()[::9] == ["0.0 to 0.1", "0.9 to 1.0"]
    assert row["share"].sum() == pytest.approx(1)
    assert row["share"].iloc[0] == row["share"].iloc[9] > row["share"].iloc[5]  # it is too sure
    assert set(row["seeds"]) == {3}
    np.testing.assert_allclose(
        row[["coverage_50", "coverage_90"]].drop_duplicates().to_numpy(), [[0.5 * 0.8, 0.9]]
    )
    oracle = drawn.set_index(["direction", "run"]).loc[("rna->adt", "oracle"), "share"]
    np.testing.assert_allclose(oracle, 0.1)


def test_names_of_cell_types_and_features_are_literal(results, tmp_path, monkeypatch):
    """A name that looks like a formula, or that has a sign which XML lacks, is neither a fault nor changed in the table."""
    hostile, random = "$\\frac{1}{$ x\x07", np.random.default_rng(0)
    monkeypatch.setattr(catalog, "cards", cards)
    projected = made_projections(
        "pair", "unpaired", ["mvae"], random, lambda name: hostile if name == "type 1" else name
    )
    for name, table in projected.items():
        write_table(tmp_path / "projections/pair/unpaired" / f"{name}.tsv", table)
    draw.main(
        figures=["umap"],
        tables=results.folder / "tables",
        projections=tmp_path / "projections",
        display=DISPLAY,
        splits=["pair/unpaired"],
        output=tmp_path,
    )
    assert hostile in set(read_table(tmp_path / "pair/unpaired/umap.tsv")["cell_type"])
    texts = [
        text.text
        for text in ElementTree.parse(tmp_path / "pair/unpaired/umap.svg").iter()
        if text.tag.endswith("text")
    ]
    assert "$\\frac{1}{$ x\ufffd" in texts


def test_a_figure_that_cannot_be_drawn_is_a_note_in_the_report(
    results, tmp_path, monkeypatch, capsys
):
    def fails(**_):
        raise ZeroDivisionError("nothing <b>to</b> divide")

    monkeypatch.setattr(catalog, "cards", cards)
    monkeypatch.setattr(catalog, "function", lambda room, name: fails)
    folder = tmp_path / "results"
    shutil.copytree(results.folder, folder)
    for picture in (folder / "figures/pair/unpaired").glob("resources.*"):
        picture.unlink()
    draw_figure(SimpleNamespace(folder=folder), "resources", folder / "figures", ["pair/unpaired"])
    assert "ZeroDivisionError" in capsys.readouterr().err
    stem = folder / "figures/pair/unpaired/resources"
    assert all(stem.with_suffix(f".{kind}").is_file() for kind in ("svg", "png", "tsv"))
    assert list(read_table(stem.with_suffix(".tsv"))) == ["not_drawn"]
    write_report(SimpleNamespace(folder=folder, splits=["pair/unpaired"]), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    reason = "ZeroDivisionError: nothing &lt;b&gt;to&lt;/b&gt; divide"
    assert f"This figure could not be drawn: {reason}" in page
    assert re.search(
        f"<li>figure not drawn: [^<]+, pair, unpaired \\({re.escape(reason)}\\)</li>", page
    )
    assert page.count("This figure could not be drawn") == 1


def test_tables_that_are_absent_are_no_figure_that_cannot_be_drawn(results, tmp_path):
    with pytest.raises(UserError, match=r"no such file"):
        draw_figure(
            SimpleNamespace(folder=tmp_path), "resources", tmp_path / "figures", ["pair/unpaired"]
        )
    assert not (tmp_path / "figures").exists()


def test_a_figure_reads_its_own_tables_and_no_other(results, tmp_path):
    folder = tmp_path / "results"
    shutil.copytree(results.folder / "tables", folder / "tables")
    (folder / "tables/features.tsv").unlink()
    draw_figure(
        SimpleNamespace(folder=folder), "mean_ranks", tmp_path / "figures", ["pair/unpaired"]
    )
    assert (tmp_path / "figures/mean_ranks.svg").is_file()
    with pytest.raises(UserError, match=r"features\.tsv: no such file"):
        draw_figure(
            SimpleNamespace(folder=folder), "calibration", tmp_path / "figures", ["pair/unpaired"]
        )


def test_a_figure_is_laid_out_once_and_drawn_once_per_picture(tmp_path, monkeypatch):
    done = []
    for kind, name in ((Figure, "draw"), (ConstrainedLayoutEngine, "execute")):
        monkeypatch.setattr(kind, name, _noted(done, name, getattr(kind, name)))
    figure = Figure(layout="constrained")
    figure.subplots()
    save(figure, pd.DataFrame({"run": ["mvae"]}), tmp_path / "figure")
    assert sorted(done) == ["draw", "draw", "execute"]


def _noted(done: list[str], name: str, function: object) -> object:
    """Return the function, which notes its name whenever it is called."""
    return lambda *arguments: (done.append(name), function(*arguments))[1]
