"""The gallery writes the numbers of a study's tables into its page, and keeps the text written by hand."""

import json
import re
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from synthetic_results import cards

from mosaicbench.catalog import catalog
from mosaicbench.errors import UserError
from mosaicbench.files.tables import read_table
from mosaicbench.stats.common import half_width
from mosaicbench.stats.means import seed_means

sys.path.insert(0, str(REPOSITORY / "docs/site"))

import gallery  # noqa: E402
import provenance  # noqa: E402

PAGE = "# Mine\n\nFound: yes.\n\n<!-- measured --><!-- /measured -->\n"


@pytest.fixture
def studies(results, tmp_path, monkeypatch):
    """Return a folder of studies with one that ran, next to folders of configs and pages."""
    ignored = shutil.ignore_patterns("runs", "projections", "figures")
    shutil.copytree(results.folder, tmp_path / "studies/mine", ignore=ignored)
    (tmp_path / "studies/mine/runs").symlink_to(results.folder / "runs")
    scenarios = {kind: {"kind": kind} for kind in ("paired", "unpaired")}
    config = {"datasets": {"pair": None, "triple": None}, "scenarios": scenarios}
    config |= {"seeds": [0, 1, 2], "runs": {"mvae-beta4": {"method": "mvae"}}}
    (tmp_path / "studies/mine/config.json").write_text(json.dumps(config))
    pictures = tmp_path / "studies/mine/figures/pair/paired"
    pictures.mkdir(parents=True)
    shutil.copy(REPOSITORY / "docs/scores_by_cells.png", pictures / "scores_by_run.png")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/mine.yaml").write_text("datasets: {}\n")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/mine.md").write_text(PAGE)
    provenance.write(tmp_path / "pages/provenance.tsv", [])
    monkeypatch.setattr(provenance, "keys", lambda: {"all": "0"})
    monkeypatch.setattr(catalog, "cards", cards)
    tables = results.tables | {"sweep": results.tables["sweep"][:0]}  # of a study without one
    monkeypatch.setattr(gallery, "read_tables", lambda folder: tables)
    places = {"REPOSITORY": "", "PAGES": "pages", "CONFIGS": "configs"}
    for name, place in places.items():
        monkeypatch.setattr(gallery, name, tmp_path / place)
    (tmp_path / "config").mkdir()
    shutil.copy(REPOSITORY / "config/display.yaml", tmp_path / "config")
    return tmp_path / "studies"


def test_a_page_has_the_numbers_of_its_tables_and_keeps_its_text(studies):
    page = studies.parent / "pages/mine.md"
    gallery.main([], studies)
    text = page.read_text()
    heading, mark, rest = re.split(f"{provenance.BEGIN}\n|\n{provenance.END}\n", text)
    assert heading == "# Mine\n\n" and rest.startswith("\nFound: yes.\n\n<!-- measured -->\n## ")
    assert mark.startswith("Numbers of 20") and provenance.OLDER in mark
    for part in ("Seeds 0, 1, 2.", "commit 0123456789ab", "](pictures/mine.png)"):
        assert part in text, part
    rankings = read_table(studies / "mine/tables/rankings.tsv")
    chosen = "metric == 'foscttm' and run == 'mvae-beta4' and dataset != '(all)'"
    shown = rankings.query(chosen)["shown"]
    assert len(shown) == 4 and all(value in text for value in shown)
    assert (studies.parent / "pages/pictures/mine.png").stat().st_size < 150_000
    page.write_text(text.replace("Found: yes.", "Found by hand.").replace(shown.iloc[0], "0.999"))
    gallery.main(["mine"], studies)
    assert page.read_text() == text.replace("Found: yes.", "Found by hand.")


def test_the_origin_names_no_version_of_what_was_absent(studies, monkeypatch):
    records = gallery.read_records

    def with_absent(*given):
        first, *others = records(*given)
        versions = first["versions"] | {"mosaicbench": "absent", "torch": "9.9"}
        return [first | {"versions": versions}, *others]

    monkeypatch.setattr(gallery, "read_records", with_absent)
    gallery.main(["mine"], studies)
    text = (studies.parent / "pages/mine.md").read_text()
    assert "absent" not in text and "9.9" in text


def test_a_tuned_run_is_compared_with_its_untuned_one():
    stanzas = {"mvae": None, "wide": {"method": "mvae", "latent": 20}, "cca": None}
    found = gallery.with_tuned(stanzas, ["mvae", "wide", "cca", "mvae-tuned", "wide-tuned"])
    assert list(found) == [*stanzas, "mvae-tuned", "wide-tuned"]
    assert found["mvae-tuned"] == {"method": "mvae"} and found["wide-tuned"] == stanzas["wide"]
    scores = [
        {"dataset": "x", "scenario": "paired", "run": run, "seed": seed, "value": value + seed}
        for run, value in (("mvae", 0.1), ("cca", 0.2), ("mvae-tuned", 0.4))
        for seed in (0, 1)
    ]
    same = {"metric": "foscttm", "direction": "mean", "status": "ok", "normalization": ""}
    table = pd.DataFrame(scores).assign(**same)
    history = table[:0].assign(loss="", epoch=0)
    tables = {"scores": table, "sweep": table[:0], "history": history}
    compared = gallery.numbers(
        tables, gallery.with_tuned({"mvae": None, "cca": None}, table["run"])
    )
    (row,) = compared[compared["against"] != ""].itertuples()
    assert (row.run, row.against) == ("mvae-tuned", "mvae") and row.mean == pytest.approx(0.3)


def test_a_figure_that_is_drawn_from_a_table_is_kept(studies, monkeypatch):
    monkeypatch.setattr(gallery, "FORESTS", {"mine": ()})
    gallery.main(["mine"], studies)
    assert not (studies.parent / "pages/pictures").exists()
    assert "pictures/mine.png" not in (studies.parent / "pages/mine.md").read_text()


@pytest.mark.parametrize(("x", "heads"), [((1, 1), "| toy |"), ((1, 3), "| toy, 1 | toy, 3 |")])
def test_a_sweep_names_the_value_only_where_a_run_has_several_and_compares_no_run_without_one(
    x, heads
):
    rows = [("mvae", x[0], "", 40), ("mvae", x[1], "", 60), ("oracle", np.nan, "random", np.nan)]
    compared = pd.DataFrame(rows, columns=["run", "x", "against", "epoch_kept"])
    compared = compared.assign(data="toy", direction="mean", metric="foscttm", mean=0.1)
    theme = gallery.read_theme(pd.DataFrame({"run": ["mvae"], "method": ["mvae"]}))
    (table,) = gallery.epochs(compared, "size", theme)
    assert heads in table
    assert gallery.of_runs(compared, "size", theme) == []


def test_differences_between_scenarios_are_paired_by_seed(studies):
    gallery.main(["mine"], studies)
    text = (studies.parent / "pages/mine.md").read_text()
    means = seed_means(read_table(studies / "mine/tables/scores.tsv"))
    chosen = means.query("dataset == 'pair' and run == 'mvae' and metric == 'foscttm'")
    chosen = chosen.set_index(["scenario", "seed"])["value"]
    gaps = (chosen["unpaired"] - chosen["paired"]).to_numpy()
    half = half_width(gaps)
    expected = f"{np.mean(gaps):+z.3f} [{np.mean(gaps) - half:+z.3f}, {np.mean(gaps) + half:+z.3f}]"
    assert re.search(rf"\| MVAE \| FOSCTTM \| {re.escape(expected)} \|", text)


def test_mistakes_are_named(studies):
    with pytest.raises(UserError, match="other.yaml: no such file"):
        gallery.main(["other"], studies)
    page = studies.parent / "pages/mine.md"
    page.write_text("# Mine\n<!-- measured -->\n")
    with pytest.raises(UserError, match="needs <!-- measured --> and <!-- /measured --> once each"):
        gallery.main([], studies)
