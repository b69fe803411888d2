"""Hostile names of cell types, features, batches, cells, datasets and runs: literal in all figures, tables, pages and LaTeX.

A try is one name in one place. It survives when its figures are drawn and are well-formed, when the tables beside them hold the
name as it was, and when no page or LaTeX file takes it for markup or for a command.
"""

from __future__ import annotations

import random
import re
import shutil
import traceback
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import cycle
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

import numpy as np
import synthetic_results
import yaml

from chaos.outcomes import Outcome
from mosaicbench import catalog
from mosaicbench.commands import draw, report
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.report import latex
from mosaicbench.report.tables.contract import read_tables
from mosaicbench.report.theme import NOT_DRAWN, read_theme

TEXTS = [
    "$\\frac{1}{$ x",
    "$a$ $b$",
    "$",
    "^_{",
    "\\",
    "\\input{/etc/passwd}",
    "%d {0} {{x}}",
    "#~&",
    "{{ 7 * 7 }}",
]
TEXTS += [
    "{% raw %}",
    "</script><img src=x onerror=alert(1)>",
    "<b>&amp;</b>",
    "]]>",
    "--><!--",
    "javascript:alert(1)",
]
TEXTS += [
    "' onload='x",
    "\"quoted\" 'too'",
    "NA",
    "nan",
    "None",
    "null",
    "True",
    "1",
    "1e5",
    "007",
    "-1",
    "1,5",
    "inf",
    "-",
]
TEXTS += [
    "_hidden",
    ".",
    "..",
    "a/b",
    "$(touch x)",
    "`x`",
    "tab\there",
    "line\nbreak",
    "return\rhere",
    " around ",
    "ünïcödé",
]
IDS = [
    "NA",
    "nan",
    "null",
    "None",
    "True",
    "1",
    "1.0",
    "1e5",
    "007",
    "inf",
    "a.b",
    "a-b",
    "A",
    "index",
    "all",
    "con",
]
TEXTS += ["日本語 🧬", "عربى", "a\u0301\u0301\u0301", "x" * 300, "\x07bell", "\u2028"]
ORDINARY = ["", *(f"type {t}" for t in range(5)), *(f"f{number}" for number in range(30)), "b"]
WHAT = {  # what a name is of -> the figures that show it, and the columns of their tables in which it stands
    "cell type": {
        "umap": "cell_type",
        "umap_joint": "cell_type",
        "label_confusion": "cell_type",
        "marker_dots": "cell_type",
    }
    | {"imputation_umap": "cell_type", "virtual_cells": "cell_type"},
    "feature": {
        "marker_dots": "feature",
        "imputation_scatter": "feature",
        "virtual_cells": "feature",
    },
    "batch": {"umap": "batch", "umap_joint": "batch"},
    "cell": {"umap": None, "imputation_umap_clusters": None},
}
BEGINS = {
    "cell type": "type",
    "feature": ("f", "best", "median", "worst"),
    "batch": "b",
    "cell": "c",
}  # what is called so
LABELLED = (
    "scores_by_run",
    "overview_heat",
    "mean_ranks",
)  # figures that show labels of runs, datasets, scenarios


def attack(*, short: bool, seed: int, folder: Path, results: object = None) -> list[Outcome]:
    """Return what became of hostile names of each kind of thing; `results` has the tables of ``synthetic_results``, if made."""
    texts = random.Random(seed).sample(TEXTS, len(TEXTS))
    outcomes = []
    with patch.object(catalog, "cards", synthetic_results.cards):
        if results is None:
            results = synthetic_results.synthetic(folder / "results")
            synthetic_results.tabulate_results(results, folder / "results/tables")
        for what in ["cell type"] if short else WHAT:
            outcome = Outcome(f"hostile name of a {what}: figures, their tables, report")
            figures = dict(list(WHAT[what].items())[: 1 if short else None])
            _all_or_each(
                outcome,
                texts,
                lambda some, what=what, figures=figures: in_figures(
                    results, some, what, figures, folder
                ),
            )
            outcomes.append(outcome)
        outcome = Outcome(
            "hostile label of a run, dataset, scenario or metric: figures, report, LaTeX"
        )
        for part in (texts[:20],) if short else (texts[:20], texts[20:]):
            figures = () if short else LABELLED
            _all_or_each(
                outcome,
                part,
                lambda some, figures=figures: as_labels(
                    results, some, figures, folder / "labelled"
                ),
            )
        outcomes.append(outcome)
    if short:
        return outcomes
    outcome = Outcome(
        "id of a dataset, scenario or run that looks like something else: tables, figures, report, LaTeX"
    )
    for name in IDS:
        _all_or_each(outcome, [name], lambda some: as_id(some[0], folder / "named"))
    return [*outcomes, outcome]


def _all_or_each(outcome: Outcome, texts: list[str], check: Callable[[list[str]], None]) -> None:
    """Try all names at once, and, where that does not end well, each alone; an AssertionError is a fault in silence."""
    outcome.tried += len(texts)
    try:
        check(texts)
    except Exception as error:
        if len(texts) > 1:
            outcome.tried -= len(texts)
            for text in texts:
                _all_or_each(outcome, [text], check)
        elif isinstance(error, AssertionError):
            outcome.silent += 1
            outcome.notes.append(f"{texts[0]!r}: {error!s:.300}")
        else:
            outcome.tracebacks += 1
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            outcome.notes.append(f"{texts[0]!r}: {type(error).__name__}: {error!s:.200} ({where})")


def in_figures(
    results: object, texts: list[str], what: str, figures: dict[str, str | None], folder: Path
) -> None:
    """Draw the figures of cells with names in them, and write the report."""
    shutil.rmtree(folder / "shown", ignore_errors=True)
    shutil.copytree(results.folder / "tables", folder / "shown/tables")
    turns = cycle(texts)
    called = lambda name: next(turns) if name.startswith(BEGINS[what]) else name  # noqa: E731
    made = synthetic_results.made_projections(
        "pair", "unpaired", ["vae_poe", "mvae"], np.random.default_rng(0), called
    )
    for name, table in made.items():
        write_table(folder / "shown/projections/pair/unpaired" / f"{name}.tsv", table)
    for figure, column in figures.items():
        _drawn(figure, folder / "shown", synthetic_results.DISPLAY)
        table = read_table(folder / f"shown/figures/pair/unpaired/{figure}.tsv")
        if column is not None:
            given = {
                name for part in made.values() if column in part for name in part[column]
            } & set(texts)
            changed = set(table[column]) - given - set(ORDINARY)
            assert set(table[column]) & given, f"{figure}.tsv has none of the names"
            assert not changed, (
                f"{figure}.tsv has names that nobody gave: {sorted(map(repr, changed))[:3]}"
            )
    _reported(results, folder / "shown", synthetic_results.DISPLAY)


def as_labels(results: object, texts: list[str], figures: tuple[str, ...], folder: Path) -> None:
    """Call runs, datasets, scenarios and metrics by hostile labels; draw, write the report and LaTeX."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(results.folder / "tables", folder / "tables")
    display = yaml.safe_load(synthetic_results.DISPLAY.read_text())
    slots = [("runs", run) for run in synthetic_results.METHODS] + [
        ("datasets", "pair"),
        ("scenarios", "unpaired"),
    ]
    slots += [("metrics", "foscttm"), ("metrics", "imputation_skill"), ("modalities", "rna")]
    given = dict(zip(slots, texts, strict=False))
    for (room, name), text in given.items():
        display[room].setdefault(name, {})["label"] = text
    (folder / "display.yaml").write_text(yaml.safe_dump(display))
    for figure in figures:
        _drawn(figure, folder, folder / "display.yaml")
    tables = read_tables(folder / "tables")
    names = read_theme(folder / "display.yaml", tables["runs"])
    set_texts = {
        scenario: latex.latex_tables(rows, names)
        for (_, scenario), rows in tables["standings"].groupby(["dataset", "scenario"])
    }
    for text in set_texts.values():
        check_latex(text)
    page = _reported(results, folder, folder / "display.yaml")
    shown = " ".join(page.words.split())
    for (room, _), text in given.items():
        assert room != "runs" or latex.escaped(text) in set_texts["paired"], (
            f"not in LaTeX: {text!r}"
        )
        assert room not in ("runs", "datasets") or " ".join(text.split()) in shown, (
            f"not on the page: {text!r}"
        )


def as_id(name: str, folder: Path) -> None:
    """Call a dataset, a scenario and a run of a whole benchmark so, from the records of runs to the report."""
    shutil.rmtree(folder, ignore_errors=True)
    methods = {
        "mvae": "mvae",
        "cca": "cca",
        "oracle": "oracle",
        "random_latent": "random_latent",
        name: "mvae",
    }
    changed = {
        "MODALITIES": {name: ("rna", "adt")},
        "SCENARIOS": (name,),
        "METHODS": methods,
        "SEEDS": (0, 1),
        "SWEEP": None,
    }
    changed["applies"] = lambda scenario, run: True
    with (
        patch.multiple(synthetic_results, **changed),
        patch.object(catalog, "cards", synthetic_results.cards),
    ):
        results = synthetic_results.synthetic(folder)
        synthetic_results.tabulate_results(results, folder / "tables")
        for table in ("scores", "headline", "standings", "runs"):
            found = read_table(folder / f"tables/{table}.tsv").astype(str)
            assert {"dataset", "scenario", "run"} <= set(found), table
        tables = read_tables(folder / "tables")
        for table in ("scores", "headline", "runs", "overview"):
            for column in ("dataset", "scenario", "run"):
                assert name in set(tables[table][column]), (
                    f"{table}: no such {column}, but {set(tables[table][column])}"
                )
        for figure in ("scores_by_run", "overview_heat", "mean_ranks"):
            _drawn(figure, folder, synthetic_results.DISPLAY, views=results.views)
        page = _reported(results, folder, synthetic_results.DISPLAY)
        assert name in page.words, "the page does not show the id"


def _drawn(figure: str, folder: Path, display: Path, views: list[str] | None = None) -> None:
    draw.main(
        figures=[figure],
        tables=folder / "tables",
        projections=folder / "projections",
        display=display,
        views=["pair/unpaired"] if views is None else views,
        output=folder / "figures",
    )
    for file in (folder / "figures").rglob(f"{figure}.tsv"):
        assert file.read_text(encoding="utf-8").partition("\n")[0] != NOT_DRAWN, (
            f"not drawn: {file.read_text()[:300]}"
        )
        ElementTree.fromstring(file.with_suffix(".svg").read_text(encoding="utf-8"))


class Page(HTMLParser):
    """What a browser would make of a page: its words, and a fault where a name became markup."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        handlers = [name for name, _ in attributes if name.startswith("on")]
        addresses = [value for name, value in attributes if name in ("src", "href") and value]
        assert not handlers, f"<{tag}> has {handlers}"
        assert not [a for a in addresses if a.startswith("javascript:") or a == "x"], (
            f"<{tag}> leads to {addresses}"
        )

    def handle_data(self, data: str) -> None:
        self.words += data


def _reported(results: object, folder: Path, display: Path) -> Page:
    report.main(
        tables=folder / "tables",
        figures=folder / "figures",
        display=display,
        config={"seeds": [0, 1, 2]},
        views=results.views,
        output=folder / "report.html",
    )
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def check_latex(text: str) -> None:
    """Refuse a LaTeX file in which a brace has no partner or a special sign stands as a name brought it."""
    bare = re.sub(r"\\[\\{}$&%#_]", "", text)
    assert bare.count("{") == bare.count("}"), "a brace has no partner"
    assert len(re.findall(r"(?<!\\)\$", text.replace(r"\\", ""))) % 2 == 0, (
        "a dollar has no partner"
    )
    commands = set(re.findall(r"\\([A-Za-z]+)", bare))
    assert not commands & {"input", "frac", "write", "immediate"} or "documentclass" in text, (
        f"a name became a command: {commands}"
    )
    assert "\n\n" not in text.split(r"\begin{tabular}", 1)[-1].split(r"\end{tabular}", 1)[0], (
        "a name broke the paragraph"
    )
