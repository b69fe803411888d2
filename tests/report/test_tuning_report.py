"""What the report says of tuning: gains with intervals, the settings, and defaults that lose everywhere."""

import pandas as pd
import pytest
from made_up_scores import scores_of

from mosaicbench.catalog.run_metadata import run_metadata_of
from mosaicbench.figures.tuning_trials import tuning_trials
from mosaicbench.files.tables import read_table
from mosaicbench.files.trials import COLUMNS
from mosaicbench.report.page.sections import tuning
from mosaicbench.report.theme import read_theme, style
from mosaicbench.stats.common import ALL
from mosaicbench.stats.tuning import gains, settings, trials_table

TUNED = {"mvae-tuned": "mvae"}
RUNS = pd.DataFrame({"run": ["mvae", "mvae-tuned", "cca"], "method": ["mvae", "mvae", "cca"]})


def search(dataset, objectives, best, **searched):
    """Return what best.json and trials.tsv say of a search; None is a trial that failed."""
    trials = pd.DataFrame({"trial": range(len(objectives)), "objective": objectives} | searched)
    trials = trials.assign(status="ok", seconds=2.0, cpu_seconds=1800.0, message="")
    chosen = {name: values[best] for name, values in searched.items()} if best else {}
    place = {"dataset": dataset, "scenario": "paired", "run": "mvae-tuned", "seed": 0}
    best_json = place | {"of": "mvae", "hyperparameters": chosen}
    return best_json, trials[[*COLUMNS, *searched]]


@pytest.fixture
def searches():
    latent, beta = [20, 8, 50, 33], [None, 0.5, 2.0, 4.0]
    others = {"latent": [20, 8, 50, 12], "beta": [None, 0.5, 2.0, 1.0]}
    return [
        search("a", [0.50, 0.55, None, 0.60], 3, latent=latent, beta=beta),
        search("b", [0.40, 0.44, 0.45, 0.39], 2, **others),
    ]


@pytest.fixture
def made_up():
    of_a = {("mvae", "foscttm"): [0.30, 0.32, 0.31], ("mvae-tuned", "foscttm"): [0.20, 0.21, 0.22]}
    of_b = {("mvae", "foscttm"): [0.2, 0.3, 0.4], ("mvae-tuned", "foscttm"): [0.25, 0.25, 0.42]}
    return pd.concat([scores_of(of_a, dataset="a"), scores_of(of_b, dataset="b")])


def test_trials_tell_the_best_so_far_and_what_they_cost(searches):
    table = trials_table(searches)
    first = table[table["dataset"] == "a"]
    assert first["best_so_far"].tolist() == [0.50, 0.55, 0.55, 0.60]
    assert first["cpu_hours"].tolist() == [0.5, 1.0, 1.5, 2.0]
    assert first["settings"].tolist()[:2] == ["latent 20", "latent 8; beta 0.5"]
    assert list(trials_table([]).columns) == list(table.columns)


def test_a_gain_is_a_paired_difference_with_its_interval(made_up):
    table = gains(made_up, TUNED, run_metadata_of(RUNS)).set_index("dataset")
    a, b = table.loc["a"], table.loc["b"]
    assert (a["default"], a["tuned"], a["effect"]) == pytest.approx((0.31, 0.21, -0.1))
    assert a["low"] < -0.1 < a["high"] < 0
    assert (a["better"], b["better"]) == ("tuned", "neither")  # FOSCTTM: lower is better
    assert a["seeds"] == 3
    assert table.loc[ALL, "effect"] == pytest.approx((-0.1 + 0.02 / 3) / 2)
    worse = gains(made_up, {"mvae": "mvae-tuned"}, run_metadata_of(RUNS)).set_index("dataset")
    assert worse.loc["a", "better"] == "default"


def test_a_seed_without_its_partner_and_one_seed_alone_are_no_interval(made_up):
    lost = made_up[~((made_up["run"] == "mvae-tuned") & (made_up["seed"] > 0))]
    row = gains(lost, TUNED, run_metadata_of(RUNS)).set_index("dataset").loc["a"]
    assert (row["seeds"], row["better"]) == (1, "neither")
    assert row["default"] == pytest.approx(0.30)
    assert pd.isna(row["low"])
    assert "one split" in row["note"]


def test_datasets_agree_where_all_lie_on_one_side_of_the_default(searches):
    table = settings(searches).set_index(["hyperparameter", "dataset"])
    assert table.loc[("latent", "a"), ["default", "found", "agree"]].tolist() == [20, 33, "higher"]
    assert table.loc[("latent", "b"), "found"] == 50
    assert table.loc[("beta", "a"), "agree"] == ""  # left to the method, so on no side of it
    stayed = settings([searches[0], search("b", [0.4, 0.3], 0, latent=[20, 8], beta=[None, 0.5])])
    assert set(stayed["agree"]) == {""}
    assert settings([]).empty


@pytest.fixture
def theme():
    return read_theme(RUNS)


def test_the_section_has_all_parts_and_is_absent_without_tuning(searches, made_up, theme):
    stanza = {"fraction": 0.25, "objective": "foscttm", "per_seed": False}
    tables = {
        "runs": pd.DataFrame({"seed": [0, 1]}),
        "trials": trials_table(searches),
        "tuning_gains": gains(made_up, TUNED, theme.run_metadata),
        "tuning_settings": settings(searches),
    }
    section = tuning(tables, {"tuning": stanza}, theme)
    assert "2 searches of at most 4 trials each, 4 CPU hours" in section["searches"]
    assert "FOSCTTM on 25% of the train cells; 1 trials failed" in section["searches"]
    assert "other seeds" in section["searches"]
    per_seed = tuning(tables, {"tuning": stanza | {"per_seed": True}}, theme)
    assert "other seeds" not in per_seed["searches"]
    assert section["verdict"].endswith("tuned 1, defaults 0, not separable 1.")
    assert [len(section[name].rows) for name in ("gains", "settings")] == [3, 4]
    assert tuning(tables | {"trials": trials_table([])}, {}, theme) is None


def test_a_tuned_run_is_named_after_the_one_that_it_tunes(theme):
    assert theme.label("runs", "mvae-tuned") == f"{theme.label('runs', 'mvae')} (tuned)"
    assert theme.run_metadata.tuned_from("mvae") is None
    assert theme.run_metadata.kind("mvae-tuned") == theme.run_metadata.kind("mvae")
    alone = read_theme(RUNS[RUNS["run"] != "mvae"])
    assert alone.label("runs", "mvae-tuned") == "mvae-tuned"


def test_the_curve_is_drawn_of_every_split(searches, theme):
    with style():
        figure, drawn = tuning_trials(trials=trials_table(searches), theme=theme)
        assert len(figure.axes) == 4
        assert len(drawn) == 8
        lines = figure.axes[0].get_lines()
        assert lines[0].get_ydata().tolist() == [0.50, 0.55, 0.55, 0.60]
        failed = [search("a", [None, None], 0, latent=[20, 8])]
        tuning_trials(trials=trials_table(failed), theme=theme)  # says so instead


def test_the_report_of_a_finished_benchmark_has_the_section(results):
    page = (results.folder / "report.html").read_text()
    assert '<section id="tuning">' in page
    assert "2 searches of at most 3 trials each" in page
    assert ">beta</td>" in page[page.index("<h3>Best settings</h3>") :]
    table = read_table(results.folder / "tables/tuning_gains.tsv")
    assert set(table["dataset"]) == {"pair", "triple", ALL}
    assert (results.folder / "figures/tuning_trials.svg").is_file()
