"""The report of a benchmark: it needs no network, holds every run and every reason, and escapes what it is given."""

import base64
import hashlib
import html
import io
import re
from dataclasses import replace
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
    cards,
    draw_figure,
    identified,
    made_cells,
    made_history,
    made_record,
    made_scores,
    tabulate_results,
    write_report,
)

from mosaicbench.catalog import catalog
from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.commands import report
from mosaicbench.data.audit import audit_table
from mosaicbench.data.normalize import Learned
from mosaicbench.files.runs import read_record, write_record
from mosaicbench.files.scores import FEATURE_COLUMNS, write_cells, write_scores
from mosaicbench.files.tables import write_table
from mosaicbench.report import theme
from mosaicbench.report.page import embedded_figures, reference_sections, render
from mosaicbench.report.page.failures import REMEDIES
from mosaicbench.report.page.report_page import report_page
from mosaicbench.report.page.split import CIRCULAR, LABEL_GROUPS
from mosaicbench.report.page.summary import best_runs, fitted_on, leader, leaders, packages
from mosaicbench.report.records import read_audits
from mosaicbench.report.tables.contract import read_tables
from mosaicbench.stats.sanity import CHECK_COLUMNS, MARKS
from mosaicbench.workflow.layout import CHEAP, Jobs, Results

HOSTILE = "<script>alert('&\"')</script>"


def _sections(page: str) -> dict[str, str]:
    return dict(re.findall(r'<section id="([a-z0-9-]+)">(.*?)</section>', page, flags=re.DOTALL))


def _outside(page: str) -> str:
    """Return a page without its pictures."""
    return re.sub(r"src='data:image/[^']+'", "src='data:'", page)


def test_report_needs_no_network_and_is_light(results):
    outside = _outside(results.html)
    assert not re.search(r"(src|url|@import)\s*[=(]?\s*[\"']?\s*(https?:)?//", outside)
    assert set(re.findall(r"https?://[a-z.]+/", outside)) == {
        "https://doi.org/"
    }  # links, which nobody follows by itself
    assert "default-src 'none'" in outside
    assert set(re.findall(r"<img [^>]*src='(.{5})", results.html)) == {"data:"}
    assert len(results.html) < 12_000_000


def test_the_script_of_the_page_is_the_one_that_its_policy_names(results):
    (script,) = re.findall(r"<script>(.*?)</script>", results.html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in results.html


def test_the_vendored_script_is_the_one_whose_sum_and_version_are_stated(results):
    assets = Path(render.__file__).parent / "assets"
    said = (assets / "README.md").read_text()
    assert hashlib.sha256((assets / "sortable.min.js").read_bytes()).hexdigest() in said
    version = re.search(r"`sortable-tablesort` ([0-9.]+)", said).group(1)
    assert f"sortable-tablesort {version} by" in results.html
    assert "public domain" in (assets / "sortable.LICENSE.txt").read_text()


def test_every_figure_that_was_drawn_is_shown_with_caption_rows_and_alternative(results):
    drawn = [
        path.relative_to(results.folder) for path in (results.folder / "figures").rglob("*.svg")
    ]
    assert {path.stem for path in drawn} == set(FIGURES)
    assert results.html.count("<img ") == len(drawn)
    assert all(
        re.findall(r'<img [^>]*alt="[^"]{10,}"', figure)
        for figure in re.findall(r"<img [^>]*>", results.html)
    )
    for path in drawn:
        assert f'<a href="{path.with_suffix(".tsv")}">' in results.html
    for name in FIGURES:
        caption = re.sub(
            "`(.*?)`", r"<code>\1</code>", str(escape(catalog.card("figures", name)["caption"]))
        )
        assert results.html.count(caption) == sum(path.stem == name for path in drawn)


def test_a_picture_is_an_svg_unless_it_is_heavy_and_a_full_page_says_where_it_is(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(embedded_figures, "LARGEST_SVG", 1000)
    red = np.zeros((20, 30, 3), dtype=np.uint8) + np.array([200, 30, 40], dtype=np.uint8)
    for name in ("heavy", "light"):
        Image.fromarray(red).save(tmp_path / f"{name}.png")
    (tmp_path / "heavy.svg").write_text("<svg>" + "<path/>" * 1000 + "</svg>")
    (tmp_path / "light.svg").write_text(
        "<?xml version='1.0'?><svg><!-- no --><text fill='#123'>100%\n&amp; more</text></svg>"
    )
    cards = {name: {"label": name, "caption": ""} for name in ("heavy", "light", "not_drawn")}
    heavy, light = embedded_figures.EmbeddedFigures(tmp_path, cards).of()
    head, content = heavy["uri"].split(",")
    assert head == "data:image/png;base64"
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")), red
    )
    assert light["uri"] == (
        "data:image/svg+xml;charset=utf-8,<svg><text fill=&#39;%23123&#39;>100%25 &amp;amp; more</text></svg>"
    )
    monkeypatch.setattr(embedded_figures, "LARGEST_TOTAL", len(heavy["uri"]))
    assert [
        picture["uri"] is None for picture in embedded_figures.EmbeddedFigures(tmp_path, cards).of()
    ] == [False, True]


def test_report_holds_every_run_every_reason_and_the_best_in_bold(results):
    sections = _sections(results.html)
    for place in range(len(results.splits)):
        headline = sections[f"split-{place + 1}"].split("</table>")[0]
        assert re.findall(r'data-run="([^"]+)"', headline) == results.theme.order("runs", METHODS)
    for text in (
        "✗ diverged",
        "0123456789ab",
        "2.13.0",
        "About ridge.",
        'href="https://doi.org/10.1/x"',
    ):
        assert text in results.html
    for text in (
        "loss is not finite in epoch 3",
        "needs paired cells",
        "logs/fit/pair/unpaired/mmvaepp/seed-0.log",
    ):
        assert text in sections["absent"]
    assert REMEDIES["diverged"][:20] in sections["absent"]
    row = re.search(r'<tr data-run="oracle">.*?</tr>', sections["split-1"], flags=re.DOTALL).group()
    assert 'class="best"' not in row
    assert 'class="best"' in sections["split-1"]


def test_a_dash_and_a_cross_say_why_and_sort_after_every_number(results):
    sections = _sections(results.html)

    def cells(split: int, run: str) -> list[str]:
        row = re.search(
            rf'<tr data-run="{run}">(.*?)</tr>', sections[f"split-{split}"], flags=re.DOTALL
        ).group(1)
        return re.findall(r"<td[^>]*>.*?</td>", row)

    assert results.splits[1] == "pair/unpaired"
    diverged, absent = cells(2, "mmvaepp")[2], cells(2, "cca")[2]
    assert 'data-sort=""' in diverged
    assert 'title="diverged: loss is not finite in epoch 3 (seeds 0, 1, 2)"' in diverged
    assert ">✗ diverged<" in diverged
    assert 'data-sort=""' in absent
    assert 'title="not applicable: needs paired cells"' in absent
    assert "not given by this method" in cells(1, "ridge")[2]
    assert (
        "not given by this method" in cells(1, "constant")[6]
    )  # that it collapsed is not the reason
    mean = (
        results.tables["headline"]
        .set_index(["dataset", "scenario", "run", "metric"])
        .loc["pair", "paired", "mvae", "foscttm"]
    )
    assert f'data-sort="{mean["mean"]}"' in cells(1, "mvae")[2]


def test_summary_says_who_leads_which_controls_were_run_and_what_failed(results):
    summary = _sections(results.html)["summary"]
    overall = (
        results.tables["overall"]
        .query("dataset == '(all)' and scenario == 'paired'")
        .set_index("run")
    )
    leader = overall["rank"].idxmin()
    may_win = overall["rank"].notna() & overall["may_win"]
    said = (
        f"(model) has the highest overall score of {may_win.sum()} runs that answer every question"
    )
    assert f"{leader.upper()} {said}" in summary
    assert "ORACLE" in summary
    assert "4 fits diverged: VAE_MLP, MMVAEPP" in summary
    differ = results.tables["distances"].query("metric == 'foscttm'")["differs"]
    said = (
        f"differs in {differ.sum()} of {len(differ)} splits"
        if differ.any()
        else f"is the same in all {len(differ)} splits"
    )
    assert f"FOSCTTM: by Euclidean and cosine distance the best run {said}; " in summary
    assert "collapsed:" not in summary  # a control is meant to


def test_summary_says_plainly_where_a_wrapped_package_is_best(results):
    places = [tuple(split.split("/")) for split in results.splits]
    best = best_runs(results.tables, results.theme)
    assert packages(results.tables["runs"], best, places, results.theme) == ""  # none took part

    def said(*wrapped):
        methods = {
            name: card | ({"wraps": {}} if name in wrapped else {})
            for name, card in ALL_CARDS["methods"].items()
        }
        theme = replace(
            results.theme, run_metadata=RunMetadata(ALL_CARDS | {"methods": methods}, METHODS)
        )
        return packages(results.tables["runs"], best, places, theme)

    contests = len(best[["dataset", "scenario", "metric"]].drop_duplicates())
    winner = best["run"].mode()[0]
    won = best[best["run"] == winner]
    assert said(winner).startswith(
        f"Wrapped packages have the best mean in {len(won)} of these {contests}: {winner.upper()}"
    )
    assert said(winner).count(f"{winner.upper()} in ") == len(
        won[["dataset", "scenario"]].drop_duplicates()
    )
    loser = next(run for run in METHODS if run not in set(best["run"]))
    assert said(loser) == f"No wrapped package has the best mean in any of these {contests}."


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ((0.5, 0.4, 0.6), "of these runs reach the leader"),
        ((0.1, 0.0, 0.2), "no interval reaches the leader"),
    ],
)
def test_a_leader_is_apart_only_where_no_interval_reaches_it(results, second, words):
    rows = [("mvae", 1.0, 0.7, 0.6, 0.8), ("pca_joint", 2.0, *second)]
    ranked = pd.DataFrame(rows, columns=["run", "rank", "score", "low", "high"])
    ranked.loc[1, "high"] = max(second)
    ranked["not_above"] = ["alignment, imputation", ""]
    said = html.unescape(leader(ranked, results.theme))
    assert words in said
    assert "The best baseline is PCA_JOINT" in said
    assert (
        "It is no better than knowing each cell's type (in alignment) and than the mean of each cell's type"
        in said
    )


def test_a_run_that_may_not_win_leads_nothing_and_is_named(results):
    overall = results.tables["overall"]
    of_all = overall[(overall["dataset"] == "(all)") & (overall["scenario"] == "paired")]
    first = of_all.loc[of_all["rank"] == 1, "run"].iloc[0]
    barred = overall.assign(may_win=overall["may_win"] & (overall["run"] != first))
    said = {entry["scenario"].lower(): entry["words"] for entry in leaders(barred, results.theme)}[
        "paired"
    ]
    assert not said.startswith(results.theme.label("runs", first))
    assert (
        f"Not called the best, whatever their score: {results.theme.label('runs', first)}" in said
    )
    nobody = leaders(overall.assign(may_win=False), results.theme)
    assert all(entry["words"].startswith("None leads") for entry in nobody)


def test_a_mark_of_a_check_stands_beside_the_name_wherever_a_run_is_ranked(results, tmp_path):
    check, sign = next(iter(MARKS.items()))
    rows = [(*split.split("/"), "mvae", check, "all", "0", "why") for split in results.splits]
    tables = results.tables | {"sanity_checks": pd.DataFrame(rows, columns=CHECK_COLUMNS)}
    given = {
        "figures": tmp_path,
        "figure_cards": {},
        "theme": results.theme,
        "config": {},
        "splits": results.splits,
        "records": [],
    }
    page = report_page(tables=tables, **given)
    named = f"{results.theme.label('runs', 'mvae')} {sign}"
    assert f"{sign} {check}: a check gave this mark" in page
    for name in ("overall", "ranks", "split-1"):
        assert named in _sections(page)[name], name
    assert sign not in results.html


def test_the_report_says_who_fits_a_part_of_the_train_cells(results):
    rows = [
        ("pair", "paired", run, 0, epoch, loss, epoch + gap * (loss != "loss"))
        for run, gap in (("mvae", 1), ("vae_poe", 0))
        for epoch in (1, 2)
        for loss in ("loss", "validation_loss")
    ]
    history = pd.DataFrame(
        rows, columns=["dataset", "scenario", "run", "seed", "epoch", "loss", "value"]
    )
    records = [
        {"run": run, "hyperparameters": {"validation": 0.1}}
        for run in ("mvae", "vae_poe", "oracle")
    ]
    records.append({"run": "cca", "hyperparameters": {}})
    said = fitted_on(records, history, results.theme)
    assert (
        said
        == "MVAE fit 90 % of the train cells, the others tell when to stop; VAE_POE, CCA fit all."
    )
    assert fitted_on(records[1:], history, results.theme) == ""


def test_hyperparameters_are_those_of_the_records(results):
    records = [read_record(path) for path in results.records]
    for record in records:
        record["hyperparameters"] = {
            "beta": 4.0 if record["run"] == "mvae-beta4" else 1.0,
            "novel": record["seed"],
        }
    described = {
        about["id"]: about
        for about in reference_sections.methods(results.tables["runs"], records, results.theme)
    }
    shown = described["mvae"]["hyperparameters"]
    assert [column.label for column in shown.columns] == [
        "Hyperparameter",
        "Default",
        "mvae",
        "mvae-beta4",
    ]
    rows = {row.cells[0].text: [cell.text for cell in row.cells[1:]] for row in shown.sections[""]}
    assert rows["beta"] == ["1.0", "1.0", "4.0"]
    assert rows["novel"] == ["–", "0, 1, 2", "0, 1, 2"]
    assert rows["learning_rate"][1:] == ["–", "–"]


def test_datasets_whose_files_nothing_can_verify_say_so(results):
    config = {
        "datasets": {
            "pair": {"from": "teaseq"},
            "cll": None,
            "hao_citeseq": {},
            "mine": {"path": "teaseq"},
        }
    }
    registered = report._registered(config)
    assert set(registered) == {"pair", "cll", "hao_citeseq"}
    assert registered["cll"]["unverified"] == ["CLL_data.RData", "sample_metadata.txt"]
    assert not registered["hao_citeseq"]["unverified"]  # the lengths are known
    described = reference_sections.datasets(results.tables["runs"], {}, results.theme, registered)
    facts = {about["id"]: about["facts"].get("unverified", "") for about in described}
    assert facts["pair"].startswith("no checksum and no length is public of GSM5123951")
    assert not any(fact for name, fact in facts.items() if name != "pair")


def test_a_dataset_without_a_card_is_described_by_the_registry(results):
    registered = report._registered({"datasets": {"teaseq_small": None}})
    runs = results.tables["runs"].assign(dataset="teaseq_small")
    (described,) = reference_sections.datasets(runs, {}, results.theme, registered)
    assert set(described["facts"]) == {"summary", "labels", "licence", "citation"}
    assert described["facts"]["citation"].startswith("Swanson et al. 2021")


def test_provenance_names_every_machine_and_every_commit(results):
    records = [read_record(path) for path in results.records[:3]]
    records[0] |= {
        "hardware": {"cpu": "Some CPU", "cores": 8, "memory_mb": 16384},
        "git_commit": "another",
    }
    records[0]["arithmetic"] = {"tf32": False}
    found = reference_sections.provenance(results.tables["runs"], records)
    assert found["commits"] == 2
    assert found["facts"]["Code (commit)"] == "another (1 fit), 0123456789ab (2 fits)"
    assert found["facts"]["Training computed with"] == "tf32 False"
    machines = [[cell.text for cell in row.cells] for row in found["machines"].sections[""]]
    assert machines == [
        ["Some CPU", "8", "16 GiB", "cpu", "1", "1"],
        ["–", "–", "–", "cpu", "1", "2"],
    ]


def test_report_escapes_what_it_is_given(results, tmp_path):
    def hostile(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(
            **{
                c: table[c].replace({"mvae": HOSTILE})
                for c in ("run", "method", "dataset")
                if c in table
            }
        )

    read = {name: hostile(table) for name, table in results.tables.items()}
    read["runs"] = read["runs"].assign(message=HOSTILE, device=HOSTILE)
    read["sanity_checks"] = pd.DataFrame(
        [["pair", "paired", *[HOSTILE] * 5]], columns=CHECK_COLUMNS
    )
    read["published"] = read["published"].assign(method=HOSTILE, remark=HOSTILE)
    record = read_record(results.records[0]) | {
        "device": HOSTILE,
        "hyperparameters": {HOSTILE: HOSTILE},
    }
    page = report_page(
        tables=read,
        figures=tmp_path,
        figure_cards={},
        theme=theme.Theme(
            display=results.theme.display,
            run_metadata=RunMetadata(ALL_CARDS, METHODS | {HOSTILE: HOSTILE}),
        ),
        config={"title": HOSTILE, "key": HOSTILE},
        splits=results.splits,
        records=[record],
    )
    assert page.count("<script") == 1  # the page's own
    assert page.count("&lt;script&gt;") > 10
    assert HOSTILE not in page


def test_report_shows_overall_scores_ranks_tests_gates_and_published_numbers(results):
    sections = _sections(results.html)
    assert {"overall", "ranks", "sanity-checks", "published", "split-1"} <= set(sections)
    bodies = re.findall(
        r"<tbody>(.*?)</tbody>", sections["overall"].split("</table>")[0], flags=re.DOTALL
    )
    complete, incomplete, controls = bodies
    assert "MVAE" in complete
    assert "VAE_MLP" not in complete
    assert "RIDGE" not in complete
    assert "VAE_MLP" in incomplete
    missing = re.search(r"Missing: (.*?)</p>", sections["overall"], flags=re.DOTALL).group(1)
    assert "VAE_MLP (triple: seed 2 diverged)" in missing
    assert "RIDGE (alignment, Label transfer accuracy)" in missing
    assert "†" in incomplete
    assert "ORACLE" in controls
    assert "Not applicable: CCA, PROCRUSTES" in sections["overall"]
    assert (
        "t over seeds, of these datasets; it says nothing about other datasets"
        in sections["overall"]
    )
    assert "<img" in sections["ranks"]
    assert "no value for triple seed 2" in sections["ranks"]
    assert "Paired tests" in sections["split-1"]
    assert "p (Holm)" in sections["split-1"]
    assert "***" not in results.html
    assert "None agrees with a result here" in sections["published"]
    assert "the protein file was loaded as both modalities" in sections["published"]
    assert sections["published"].count("UniVI") >= 10


def test_report_marks_what_cannot_be_told_from_chance(results, tmp_path):
    row = {
        "dataset": "pair",
        "scenario": "paired",
        "run": "mvae",
        "check": "chance",
        "metric": "foscttm",
        "seeds": "0, 1, 2",
    }
    control = row | {
        "run": "oracle",
        "check": "control",
        "metric": "foscttm",
        "message": "0.500, but has to be best",
    }
    sanity_checks = pd.DataFrame(
        [row | {"message": "no better than guessing"}, control], columns=CHECK_COLUMNS
    )
    page = report_page(
        tables=results.tables | {"sanity_checks": sanity_checks},
        figures=tmp_path,
        figure_cards={},
        theme=results.theme,
        config={},
        splits=results.splits,
        records=[],
    )
    assert len(re.findall(r'title="no better than guessing">[^<]* ≈<', page)) == 1
    assert "no better than guessing" in _sections(page)["sanity-checks"]
    head = page[: page.index("<section")]
    assert "Do not trust these results yet: a control is not where theory puts it." in head
    assert "0.500, but has to be best" in head
    assert "no better than guessing" not in head
    assert "in 2 places:" in page


@pytest.mark.parametrize("origin", [["rna", "adt"], [], None])
def test_report_marks_label_scores_that_are_circular(results, tmp_path, origin):
    page = report_page(
        tables=results.tables,
        figures=tmp_path,
        figure_cards={},
        theme=results.theme,
        config={"datasets": {"pair": {} if origin is None else {"labels_from": origin}}},
        splits=results.splits,
        records=[],
    )
    sections = _sections(page)
    of_pair = [
        text
        for text in (sections[f"split-{i + 1}"] for i in range(len(results.splits)))
        if CIRCULAR in text
    ]
    assert len(of_pair) == (
        sum(split.startswith("pair/") for split in results.splits) if origin else 0
    )
    marked = {label for text in of_pair for label in re.findall(rf">([^<>]*)\xa0{CIRCULAR}<", text)}
    groups = {
        name: results.theme.run_metadata.group(name)
        for name in results.tables["headline"]["metric"].unique()
    }
    label_subset = {name for name, group in groups.items() if group in LABEL_GROUPS}
    assert len(marked) == (len(label_subset) if origin else 0) > (0 if origin else -1)
    expected = {None: "", (): "none of the modalities", ("rna", "adt"): "RNA, ADT"}[
        None if origin is None else tuple(origin)
    ]
    found = re.findall(r"<dt>labels from</dt><dd>([^<]*)</dd>", sections["datasets"])
    assert found == ([] if origin is None else [expected])


def _page_with_audit(results, tmp_path, scenarios):
    obs = pd.DataFrame(
        {"batch": list("xy" * 10), "donor": list("abcd" * 5)}, index=[f"c{i}" for i in range(20)]
    )
    in_query = np.arange(20) < 6
    others = [
        (
            "-",
            Learned(
                "hidden cell types balance which cells are measured in what",
                obs.index[6:],
                "design",
            ),
        )
    ]
    audit = audit_table(obs.iloc[:20], in_query, others, stratified=True)
    lies = Results(tmp_path / "results")
    write_table(f"{lies.split('pair', 'paired', 0)}/audit.tsv", audit)
    return report_page(
        tables=results.tables,
        figures=tmp_path,
        figure_cards={},
        theme=results.theme,
        config={"scenarios": scenarios},
        splits=results.splits,
        records=[],
        audits=read_audits(lies, results.tables["runs"]),
    )


def test_report_says_which_groups_both_sides_share_and_which_scenario_holds_them_out(
    results, tmp_path
):
    page = _page_with_audit(
        results, tmp_path, {"paired": {}, "unpaired": {"split": {"by": "donor"}}}
    )
    section = html.unescape(_sections(page)["split-1"])
    assert (
        "share 2 of 2 groups of batch, so scores say nothing about a new batch. No scenario here holds them out"
        in section
    )
    label = results.theme.label("scenarios", "unpaired")
    words = "share 4 of 4 groups of donor, so scores say nothing about a new donor. Scenarios that hold them out:"
    assert f"{words} {label}." in section
    assert (
        page.count("so scores say nothing about a new donor") == 1
    )  # only of the split with an audit


def test_report_says_that_hidden_types_balance_the_design(results, tmp_path):
    section = _sections(_page_with_audit(results, tmp_path, {}))["split-1"]
    assert "is balanced by cell types that methods do not see" in section


@pytest.mark.parametrize("status", ["ok", "crashed"])
def test_report_of_one_seed_of_one_run(tmp_path, monkeypatch, status):
    """The least that can be reported: no interval, no rank, no test, or nothing but a failure."""
    monkeypatch.setattr(catalog, "cards", cards)
    record = made_record("pair", "paired", "mvae", 0, np.random.default_rng(0)) | {"status": status}
    scores = made_scores(record, np.random.default_rng(0))
    if status == "crashed":
        scores = identified(
            pd.DataFrame(
                [("status", "run", "-", np.nan)],
                columns=["metric", "direction", "normalization", "value"],
            ),
            record,
        )
    where = tmp_path / "runs/pair/paired/mvae/seed-0/run.json"
    write_record(where, record)
    write_scores(tmp_path / "scores.tsv", scores)
    write_cells(tmp_path / "cells.npz", made_cells([record], scores, np.random.default_rng(0)))
    write_table(tmp_path / "features.tsv", pd.DataFrame(columns=FEATURE_COLUMNS))
    found = SimpleNamespace(
        folder=tmp_path, splits=["pair/paired"], not_applicable=[], records=[where]
    )
    found.places, found.seeds = [{"dataset": "pair", "scenario": "paired", "run": "mvae"}], [0]
    found.histories = [where.with_name("history.tsv")]
    write_table(found.histories[0], made_history(record | {"status": "diverged"}))
    found.scores, found.cells, found.features = (
        [tmp_path / name] for name in ("scores.tsv", "cells.npz", "features.tsv")
    )
    tabulate_results(found, tmp_path / "tables")
    for figure in ("mean_ranks", "scores_by_run", "overview_heat"):
        draw_figure(found, figure, tmp_path / "figures")
    write_report(found, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert ("✗ crashed" in page) == (status == "crashed")
    read = read_tables(tmp_path / "tables")
    assert read["paired_tests"].empty
    assert read["ranks"]["rank"].isna().all()
    assert len(read["overall"]) == 1


def test_a_failed_fit_names_the_log_of_the_job_that_made_it(tmp_path):
    logs = Jobs(tmp_path, "log")
    names = ("pair", "paired", "ridge")
    assert logs.of_fit(*names, 0) == logs.fit(*names, 0)  # none is there
    for log in (logs.fit(*names[:2], CHEAP), logs.fit(*names)):  # of all cheap runs, of all seeds
        Path(log).parent.mkdir(parents=True)
        Path(log).write_text("")
        assert logs.of_fit(*names, 0) == log
