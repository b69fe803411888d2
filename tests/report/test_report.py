"""The report: it needs no network, holds every run and every reason, and escapes what it is given."""

import base64
import hashlib
import html
import io
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from PIL import Image
from synthetic_results import (
    ALL_CARDS,
    FIGURES,
    METHODS,
    as_pairs,
    cards,
    draw_figure,
    identified,
    made_record,
    made_scores,
    tabulate_results,
    write_report,
    write_run,
)

from mosaicbench.catalog import catalog
from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.commands import report
from mosaicbench.data.audit import audit_table
from mosaicbench.data.normalize import Learned
from mosaicbench.files.runs import read_record
from mosaicbench.files.scores import FEATURE_COLUMNS
from mosaicbench.files.tables import write_table
from mosaicbench.report.page import reference_sections, render
from mosaicbench.report.page.report_page import report_page
from mosaicbench.report.page.sections import CIRCULAR, LABEL_GROUPS, REMEDIES
from mosaicbench.report.page.verdict import fitted_on
from mosaicbench.report.records import read_audits
from mosaicbench.report.tables.contract import read_tables
from mosaicbench.report.theme import Theme
from mosaicbench.stats.sanity import CHECK_COLUMNS, MARKS
from mosaicbench.workflow.layout import CHEAP, Jobs, Results

HOSTILE = "<script>alert('&\"')</script>"


def sections_of(page):
    return dict(re.findall(r'<section id="([a-z0-9-]+)">(.*?)</section>', page, flags=re.DOTALL))


def page_of(results, tables=None, **changed):
    """Return the page of the results without figures and records, with changed tables or facts."""
    facts = {
        "tables": results.tables | (tables or {}),
        "figures": results.folder / "nowhere",
        "figure_cards": {},
        "theme": results.theme,
        "config": {},
        "splits": as_pairs(results.splits),
        "records": [],
        "audits": {},
        "registered": {},
        "citations": "",
    }
    return report_page(**facts | changed)


def findings(*rows):
    """Return findings of checks in the first split, from (run, check, metric, message)."""
    rows = [("pair", "paired", *row[:3], "0, 1, 2", row[3]) for row in rows]
    return {"sanity_checks": pd.DataFrame(rows, columns=CHECK_COLUMNS)}


def test_report_needs_no_network_and_runs_only_its_own_script(results):
    outside = re.sub(r"src='data:image/[^']+'", "src='data:'", results.html)
    assert not re.search(r"(src|url|@import)\s*[=(]?\s*[\"']?\s*(https?:)?//", outside)
    assert set(re.findall(r"https?://[a-z.]+/", outside)) == {"https://doi.org/"}
    assert "default-src 'none'" in outside
    assert set(re.findall(r"<img [^>]*src='(.{5})", results.html)) == {"data:"}
    assert len(results.html) < 5_000_000
    (script,) = re.findall(r"<script>(.*?)</script>", results.html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in results.html


def test_every_drawn_figure_is_shown_with_caption_rows_and_alternative(results):
    folder = results.folder
    drawn = [path.relative_to(folder) for path in (folder / "figures").rglob("*.svg")]
    assert {path.stem for path in drawn} == set(FIGURES)
    assert len(re.findall(r'<img [^>]*alt="[^"]{10,}"', results.html)) == len(drawn)
    for path in drawn:
        assert f"<code>{path.with_suffix('.tsv')}</code>" in results.html
    for name in FIGURES:
        caption = str(escape(catalog.card("figures", name)["caption"]))
        caption = re.sub("`(.*?)`", r"<code>\1</code>", caption)
        assert results.html.count(caption) == sum(path.stem == name for path in drawn)


def test_a_picture_is_an_svg_unless_it_is_heavy(tmp_path, monkeypatch):
    monkeypatch.setattr(render, "LARGEST_SVG", 1000)
    drawn = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    drawn[0, 0], drawn[0, 1] = 0, 255  # text and ground
    Image.fromarray(drawn).save(tmp_path / "heavy.png")
    (tmp_path / "heavy.svg").write_text("<svg>" + "<path/>" * 1000 + "</svg>")
    (tmp_path / "light.svg").write_text(
        "<?xml version='1.0'?><svg><!-- no --><text fill='#123'>100%\n&amp; more</text></svg>"
    )
    names = {name: {"label": name, "caption": ""} for name in ("heavy", "light", "not_drawn")}
    heavy, light = render.embedded_figures(tmp_path, names)
    head, content = heavy["uri"].split(",")
    assert head == "data:image/webp;base64"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))
    np.testing.assert_allclose(shown.astype(int), drawn, atol=14)  # each pixel, however rare
    np.testing.assert_array_equal(shown[0, :2], drawn[0, :2])
    assert len(np.unique(shown)) == 10
    text = "<svg><text fill=&#39;%23123&#39;>100%25 &amp;amp; more</text></svg>"
    assert light["uri"] == f"data:image/svg+xml;charset=utf-8,{text}"


def test_report_holds_every_run_every_reason_and_the_best_in_bold(results):
    sections = sections_of(results.html)
    for place in range(len(results.splits)):
        headline = sections[f"split-{place + 1}"].split("</table>")[0]
        assert re.findall(r'data-run="([^"]+)"', headline) == results.theme.order("runs", METHODS)
    for text in ("✗ diverged", "0123456789ab", "2.13.0", "About ridge.", "https://doi.org/10.1/x"):
        assert text in results.html
    log = "logs/fit/pair/unpaired/mmvaepp/seed-0.log"
    for text in ("not finite in epoch 3", "needs paired cells", log, REMEDIES["diverged"][:20]):
        assert text in sections["absent"]
    row = re.search(r'<tr data-run="oracle">.*?</tr>', sections["split-1"], flags=re.DOTALL).group()
    assert 'class="best"' not in row
    assert 'class="best"' in sections["split-1"]


def test_a_dash_and_a_cross_say_why_and_sort_after_every_number(results):
    sections = sections_of(results.html)

    def cells(split, run):
        row = rf'<tr data-run="{run}">(.*?)</tr>'
        row = re.search(row, sections[f"split-{split}"], flags=re.DOTALL).group(1)
        return re.findall(r"<td[^>]*>.*?</td>", row)

    assert results.splits[1] == "pair/unpaired"
    diverged, absent = cells(2, "mmvaepp")[2], cells(2, "cca")[2]
    assert 'data-sort=""' in diverged and ">✗ diverged<" in diverged
    assert 'title="diverged: loss is not finite in epoch 3 (seeds 0, 1, 2)"' in diverged
    assert 'data-sort=""' in absent
    assert 'title="not applicable: needs paired cells"' in absent
    assert "not given by this method" in cells(1, "ridge")[2]
    assert "not given by this method" in cells(1, "constant")[6]  # not because it collapsed
    headline = results.tables["headline"].set_index(["dataset", "scenario", "run", "metric"])
    mean = headline.loc[("pair", "paired", "mvae", "foscttm"), "mean"]
    assert f'data-sort="{mean}"' in cells(1, "mvae")[2]


def test_marks_of_checks_are_beside_the_run_and_the_score(results):
    check, sign = next(iter(MARKS.items()))
    tables = findings(
        ("mvae", check, "all", "why"),
        ("mvae", "chance", "foscttm", "no better than guessing"),
        ("oracle", "control", "foscttm", "0.500, but has to be best"),
    )
    page = page_of(results, tables)
    sections, head = sections_of(page), page[: page.index("<section")]
    assert f"{results.theme.label('runs', 'mvae')} {sign}" in sections["split-1"]
    assert f'"checks": "{check}, chance"' in sections["overall"]
    assert f"{sign} {check}: a sanity check gave this mark" in page
    assert sign not in results.html
    assert re.search(r'title="no better than guessing">[^<]* ≈<', page)
    assert "no better than guessing" in sections["sanity-checks"]
    assert "0.500, but has to be best" in head and "no better than guessing" not in head


def test_the_report_says_who_fits_a_part_of_the_train_cells(results):
    losses = {"mvae": (1.0, 2.0), "vae_poe": (1.0, 1.0)}
    rows = []
    for run, (fitted, held_out) in losses.items():
        rows += [(run, "loss", fitted), (run, "validation_loss", held_out)]
    history = pd.DataFrame(rows, columns=["run", "loss", "value"])
    history = history.assign(dataset="d", scenario="s", seed=0, epoch=1)
    fractions = {"mvae": 0.1, "vae_poe": 0.1, "oracle": 0.1, "cca": None}
    records = [
        {"run": run, "hyperparameters": {"validation": fraction}}
        for run, fraction in fractions.items()
    ]
    text = fitted_on(records, history, results.theme)
    assert text.startswith("MVAE fit 90 % of the train cells")
    assert text.endswith("VAE_POE, CCA fit all train cells.")
    assert fitted_on(records[1:], history, results.theme) == ""


def test_hyperparameters_are_those_of_the_records(results):
    records = [read_record(path) for path in results.records]
    for record in records:
        beta = 4.0 if record["run"] == "mvae-beta4" else 1.0
        record["hyperparameters"] = {"beta": beta, "novel": record["seed"]}
    methods = reference_sections.methods(results.tables["runs"], records, results.theme)
    (shown,) = [method["hyperparameters"] for method in methods if method["id"] == "mvae"]
    labels = [column.label for column in shown.columns]
    assert labels == ["Hyperparameter", "Default", "mvae", "mvae-beta4"]
    texts = [[cell.text for cell in cells] for _, cells in shown.rows]
    rows = {name: values for name, *values in texts}
    assert rows["beta"] == ["1.0", "1.0", "4.0"]
    assert rows["novel"] == ["–", "0, 1, 2", "0, 1, 2"]
    assert rows["learning_rate"][1:] == ["–", "–"]


def test_the_registry_describes_datasets_and_unverified_files(results):
    stanzas = {"pair": {"from": "teaseq"}, "cll": None, "mine": {"path": "teaseq"}}
    registered = report._registered({"datasets": stanzas | {"teaseq_small": None}})
    assert set(registered) == {"pair", "cll", "teaseq_small"}
    assert registered["cll"]["unverified"] == ["CLL_data.RData", "sample_metadata.txt"]
    runs = results.tables["runs"]
    runs = pd.concat([runs, runs.assign(dataset="teaseq_small")])
    described = reference_sections.datasets(runs, {}, results.theme, registered)
    facts = {about["id"]: about["facts"] for about in described}
    assert "GSM5123951" in facts["pair"]["unverified"] and "unverified" not in facts["triple"]
    assert set(facts["teaseq_small"]) == {"summary", "labels", "licence", "citation"}
    assert facts["teaseq_small"]["citation"].startswith("Swanson et al. 2021")


def test_provenance_names_every_machine_and_every_commit(results):
    records = [read_record(path) for path in results.records[:3]]
    hardware = {"cpu": "Some CPU", "cores": 8, "memory_mb": 16384}
    records[0] |= {"hardware": hardware, "git_commit": "another", "arithmetic": {"tf32": False}}
    facts = reference_sections.provenance(results.tables["runs"], records)
    assert facts["commits"] == 2
    assert facts["facts"]["Code (commit)"] == "another (1 fit), 0123456789ab (2 fits)"
    assert facts["facts"]["Training computed with"] == "tf32 False"
    machines = [[cell.text for cell in cells] for _, cells in facts["machines"].rows]
    known, unknown = ["Some CPU", "8", "16 GiB"], ["–", "–", "–"]
    assert machines == [[*known, "cpu", "1", "1"], [*unknown, "cpu", "1", "2"]]


def test_report_escapes_what_it_is_given(results):
    tables = {}
    for name, table in results.tables.items():
        columns = [column for column in ("run", "method", "dataset") if column in table]
        tables[name] = table.assign(**table[columns].replace({"mvae": HOSTILE}))
    tables["runs"] = tables["runs"].assign(message=HOSTILE, device=HOSTILE)
    tables |= findings((HOSTILE, *[HOSTILE] * 3))
    tables["published"] = tables["published"].assign(method=HOSTILE, remark=HOSTILE)
    record = read_record(results.records[0])
    record |= {"device": HOSTILE, "hyperparameters": {HOSTILE: HOSTILE}}
    run_metadata = RunMetadata(ALL_CARDS, METHODS | {HOSTILE: HOSTILE})
    theme = Theme(display=results.theme.display, run_metadata=run_metadata)
    config = {"key": HOSTILE}
    page = page_of(results, tables, theme=theme, config=config, records=[record])
    assert page.count("<script>") == 1  # the page's own
    assert page.count("&lt;script&gt;") > 10
    assert HOSTILE not in page


@pytest.mark.parametrize(
    ("origin", "fact"), [(["rna", "adt"], "RNA, ADT"), ([], "none of the modalities")]
)
def test_report_marks_label_scores_that_are_circular(results, origin, fact):
    page = page_of(results, config={"datasets": {"pair": {"labels_from": origin}}})
    sections, group = sections_of(page), results.theme.run_metadata.group
    metrics = results.tables["headline"]["metric"].unique()
    of_labels = sum(group(name) in LABEL_GROUPS for name in metrics)
    for place, split in enumerate(results.splits, 1):
        marked = set(re.findall(rf">([^<>]*)\xa0{CIRCULAR}<", sections[f"split-{place}"]))
        assert len(marked) == (of_labels if split.startswith("pair/") and origin else 0)
    assert f"<dt>labels from</dt><dd>{fact}</dd>" in sections["datasets"]


def test_report_says_what_both_sides_share_and_what_balances_the_design(results, tmp_path):
    names = [f"c{i}" for i in range(20)]
    obs = pd.DataFrame({"batch": list("xy" * 10), "donor": list("abcd" * 5)}, index=names)
    others = [("-", Learned("hidden cell types balance the design", obs.index[6:], "design"))]
    audit = audit_table(obs, np.arange(20) < 6, others, stratified=True)
    folder = Results(tmp_path)
    write_table(f"{folder.split('pair', 'paired', 0)}/audit.tsv", audit)
    audits = read_audits(folder, results.tables["runs"])
    page = html.unescape(page_of(results, audits=audits))
    section = sections_of(page)["split-1"]
    assert "2 of 2 groups of batch" in section and "4 of 4 groups of donor" in section
    assert "<code>split: {by: donor}</code>" in section
    assert page.count("so scores say nothing about a new donor") == 1  # only of the audited split
    assert "Hidden cell types balance" in section


@pytest.mark.parametrize("status", ["ok", "crashed"])
def test_report_of_one_seed_of_one_run(tmp_path, monkeypatch, status):
    """The least that can be reported: no interval, no rank, no test, or nothing but a failure."""
    monkeypatch.setattr(catalog, "cards", cards)
    random = np.random.default_rng(0)
    place = {"dataset": "pair", "scenario": "paired", "run": "mvae"}
    record = made_record(**place, seed=0, random=random) | {"status": status}
    scores = made_scores(record, random)
    if status == "crashed":
        scores = identified([("status", "run", "-", np.nan)], record)
    lists = {name: [] for name in ("scores", "records", "not_applicable")}
    found = SimpleNamespace(folder=tmp_path, splits=["pair/paired"], **lists)
    found.places, found.seeds = [place], [0]
    features = pd.DataFrame(columns=FEATURE_COLUMNS)
    write_run(found, tmp_path / "runs/pair/paired/mvae", [record], scores, features)
    tabulate_results(found, tmp_path / "tables")
    draw_figure(found, "scores_by_run", tmp_path / "figures")
    write_report(found, tmp_path / "report.html")
    assert ("✗ crashed" in (tmp_path / "report.html").read_text()) == (status == "crashed")
    tables = read_tables(tmp_path / "tables")
    assert tables["paired_tests"].empty
    assert tables["ranks"]["rank"].isna().all()
    assert len(tables["overall"]) == 1


def test_a_failed_fit_names_the_log_of_the_job_that_made_it(tmp_path):
    logs = Jobs(tmp_path, "log")
    names = ("pair", "paired", "ridge")
    assert logs.of_fit(*names, 0) == logs.fit(*names, 0)  # no log exists
    for log in (logs.fit(*names[:2], CHEAP), logs.fit(*names)):  # of all cheap runs, of all seeds
        Path(log).parent.mkdir(parents=True)
        Path(log).write_text("")
        assert logs.of_fit(*names, 0) == log


def test_an_estimate_without_truth_has_a_column_where_a_run_has_one(results):
    overview, texts = results.tables["overview"], ["–", "0.250 (0.150 to 0.450)"]
    (dataset, scenario), run = overview.iloc[0][["dataset", "scenario"]], overview.iloc[0]["run"]
    chosen = (overview[["dataset", "scenario", "run"]] == [dataset, scenario, run]).all(axis=1)
    estimated = overview.assign(foscttm_estimated=np.where(chosen, texts[1], texts[0]))
    page = page_of(results, {"overview": estimated})
    assert page.count("FOSCTTM, estimated") == page.count(texts[1]) == 1
    assert "estimated, not measured" in page
    assert "FOSCTTM, estimated" not in results.html
