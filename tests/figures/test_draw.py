"""All figures: they ship their numbers, draw the same bytes twice, and say if nothing can be drawn."""

import re
import shutil
from functools import partial
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from matplotlib.image import imread
from synthetic_results import (
    COARSE,
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
from mosaicbench.files.tables import read_table, write_tables
from mosaicbench.report import theme
from mosaicbench.report.tables.contract import of_split
from mosaicbench.report.theme import DISPLAY


@pytest.fixture
def coarse(monkeypatch):
    """Draw as the results were drawn."""
    monkeypatch.setattr(theme, "DPI", COARSE)


@pytest.fixture
def draw_one(results, tmp_path, monkeypatch):
    """Return a function that draws one figure of the results into a folder of its own."""
    monkeypatch.setattr(catalog, "cards", cards)

    def drawn(figure, splits=("pair/unpaired",)):
        draw_figure(results, figure, tmp_path, splits)
        return tmp_path

    return drawn


def test_every_figure_is_tested_here_and_takes_what_its_card_says():
    assert set(catalog.names("figures")) == set(FIGURES)
    for name in FIGURES:
        needs = catalog.card("figures", name)["needs"]
        assert list(catalog.parameters("figures", name)) == [*needs, "theme"]


@pytest.mark.usefixtures("coarse")
def test_figures_of_several_processes_are_those_of_one(results, tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "cards", cards)
    options = {"figures": ["distances", "sweep"], "output": tmp_path}
    splits = [("pair", "unpaired")]
    draw.main(results=results.folder, splits=splits, processes=2, **options)
    made = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(made) == 6
    for file in made:
        one = results.folder / "figures" / file.relative_to(tmp_path)
        assert file.read_bytes() == one.read_bytes(), file.name


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("figure", PER_SPLIT)
def test_a_figure_ships_its_numbers_draws_the_same_bytes_twice_and_says_if_it_is_empty(
    results, draw_one, figure
):
    folder = draw_one(figure, ["pair/unpaired", "nowhere/paired"])
    first, second = results.folder / "figures/pair/unpaired", folder / "pair/unpaired"
    files = [f"{figure}.{kind}" for kind in ("png", "svg", "tsv")]
    assert sorted(path.name for path in second.iterdir()) == files
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    least = 8 if figure == "distances" else 10  # two scores of four runs
    assert len(read_table(second / f"{figure}.tsv")) >= least
    svg = (second / f"{figure}.svg").read_text()
    assert "<text" in svg
    assert set(re.findall(r"font(?:-size)?: [^;\"]*?([\d.]+)px", svg)) == {"8"}  # points
    empty = folder / "nowhere/paired"
    assert re.search("No (run|model)", (empty / f"{figure}.svg").read_text())
    assert read_table(empty / f"{figure}.tsv").empty


@pytest.mark.parametrize("figure", PER_SPLIT)
def test_no_picture_cuts_long_names(draw_one, tmp_path, figure, monkeypatch):
    display = yaml.safe_load(DISPLAY.read_text())
    long = {"methods": "Contrastive VAE supervised (own)"}
    long["losses"] = "Feedback of discriminator, output RNA"
    for room, label in long.items():
        entries = display[room].items()
        display[room] = {key: (value or {}) | {"label": label} for key, value in entries}
    (tmp_path / "display.yaml").write_text(yaml.safe_dump(display, sort_keys=False))
    read_theme = partial(draw.read_theme, display=tmp_path / "display.yaml")
    monkeypatch.setattr(draw, "read_theme", read_theme)
    folder = draw_one(figure)
    ink = imread(next(folder.rglob(f"{figure}.png")))[..., :3].min(axis=2) < 0.95
    edges = (ink[:3], ink[-3:], ink[:, :3], ink[:, -3:])
    assert [int(edge.sum()) for edge in edges] == [0, 0, 0, 0]


def test_scores_by_run_draws_every_seed_the_ceiling_and_says_what_is_absent(results):
    drawn = read_table(results.folder / "figures/pair/unpaired/scores_by_run.tsv")
    foscttm = drawn[drawn["metric"] == "foscttm"].set_index("run")
    assert sorted(foscttm.loc["mvae", "seed"]) == [0, 1, 2]
    assert foscttm.loc[["mmvaepp", "ridge"], "shown"].tolist() == ["✗ diverged", "–"]
    assert "cca" not in foscttm.index  # it is not applicable
    assert np.isnan(foscttm.loc["mmvaepp", "value"])
    assert set(foscttm["chance"]) == {0.5}
    competing = results.theme.run_metadata.competing(foscttm.reset_index())
    best = competing.loc[competing["mean"].idxmin(), "run"]
    assert foscttm[foscttm["best"]].index.unique().tolist() == [best]
    assert foscttm["attained"].isna().all()  # no ceiling is known
    skill = drawn[drawn["metric"] == "imputation_skill"].dropna(subset="mean")
    np.testing.assert_allclose(skill["attained"], skill["mean"] / skill["ceiling"])
    assert set(skill["ceiling"]) == {0.5}


def test_imputation_quantiles_are_over_features_of_the_mean_over_seeds(results):
    drawn = read_table(results.folder / "figures/triple/paired/imputation.tsv")
    rows = drawn[drawn["panel"] == "features"].set_index(["direction", "run"])
    assert len(rows.index.unique("direction")) == 6
    row = rows.loc[("rna->adt", "mvae")]
    features = of_split(results.tables["features"], "triple", "paired")
    names = ["metric", "run", "direction", "feature"]
    means = features.dropna(subset="value").groupby(names)["value"].mean()
    mine = means.loc["imputation_pearson_per_feature", "mvae", "rna->adt"]
    np.testing.assert_allclose(row["median"], np.median(mine))
    assert (row["features"], row["undefined"]) == (27, 3)


def test_calibration_draws_shares_over_seeds_and_says_the_coverage(results):
    drawn = read_table(results.folder / "figures/triple/paired/calibration.tsv")
    drawn = drawn.set_index(["direction", "run"]).sort_index().loc["rna->adt"]
    row, oracle = drawn.loc["mvae"], drawn.loc["oracle"]
    assert row["bin"].tolist()[::9] == ["0.0 to 0.1", "0.9 to 1.0"]
    assert row["share"].sum() == pytest.approx(1)
    assert row["share"].iloc[0] == row["share"].iloc[9] > row["share"].iloc[5]  # it is too sure
    facts = row[["seeds", "coverage_50", "coverage_90"]].drop_duplicates()
    np.testing.assert_allclose(facts.to_numpy(), [[3, 0.5 * 0.8, 0.9]])
    np.testing.assert_allclose(oracle["share"], 0.1)


def test_names_of_cell_types_and_features_are_literal(results, tmp_path):
    """A name may look like a formula or have a sign that XML lacks; its table keeps it."""
    hostile = "$\\frac{1}{$ x\x07"
    tables = made_projections("pair", "unpaired", ["mvae"], np.random.default_rng(0))
    tables = {name: table.replace("type 1", hostile) for name, table in tables.items()}
    write_tables(tmp_path / "projections/pair/unpaired", tables)
    (tmp_path / "tables").symlink_to(results.folder / "tables")
    draw_figure(SimpleNamespace(folder=tmp_path), "umap", tmp_path, ["pair/unpaired"])
    stem = tmp_path / "pair/unpaired/umap"
    assert hostile in set(read_table(stem.with_suffix(".tsv"))["cell_type"])
    elements = ElementTree.parse(stem.with_suffix(".svg")).iter()
    assert "$\\frac{1}{$ x\ufffd" in [element.text for element in elements]


def test_a_figure_that_fails_is_a_note_in_the_report(results, tmp_path, monkeypatch, capsys):
    def fails(**_):
        raise ZeroDivisionError("nothing <b>to</b> divide")

    monkeypatch.setattr(catalog, "cards", cards)
    monkeypatch.setattr(catalog, "function", lambda room, name: fails)
    found = SimpleNamespace(folder=tmp_path, splits=["pair/unpaired"])
    for folder in ("tables", "runs"):
        (tmp_path / folder).symlink_to(results.folder / folder)
    draw_figure(found, "resources", tmp_path / "figures")
    assert "ZeroDivisionError" in capsys.readouterr().err
    stem = tmp_path / "figures/pair/unpaired/resources"
    assert stem.with_suffix(".png").is_file()
    (reason,) = read_table(stem.with_suffix(".tsv"))["not_drawn"]
    assert reason == "ZeroDivisionError: nothing <b>to</b> divide"
    write_report(found, tmp_path / "report.html")
    assert "This figure could not be drawn" in (tmp_path / "report.html").read_text()


def test_a_figure_reads_its_own_tables_which_must_be_there(results, tmp_path):
    shutil.copytree(results.folder / "tables", tmp_path / "tables")
    (tmp_path / "tables/features.tsv").unlink()
    found = SimpleNamespace(folder=tmp_path, splits=["pair/unpaired"])
    draw_figure(found, "resources", tmp_path / "figures")
    assert (tmp_path / "figures/pair/unpaired/resources.svg").is_file()
    with pytest.raises(UserError, match=r"features\.tsv: no such file"):
        draw_figure(found, "calibration", tmp_path / "figures")
