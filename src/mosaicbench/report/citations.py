"""BibTeX of the methods, metrics, datasets and packages that a benchmark used.

``references.bib`` holds verified entries; of other papers, only the card's words are printed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pandas as pd

from mosaicbench import __version__
from mosaicbench.catalog.run_metadata import run_metadata_of
from mosaicbench.report.tables.text import distinct

REFERENCES = Path(__file__).with_name("references.bib")
FIELDS = ("doi", "package", "cited")  # of an entry, to look it up
PRIVATE = re.compile(r", (?:package|cited) = \{[^{}]*\}")  # fields for look-ups alone
ITSELF = "mosaicbench"

Citation = tuple[str, str, str]  # heading, BibTeX or "", reason for citing


def bibtex(
    runs: pd.DataFrame,
    scores: pd.DataFrame,
    records: list[dict],
    citations: dict[str, str],
) -> str:
    """Return the BibTeX of a benchmark: each entry once, under comments.

    Cited are methods with a fit that ended well, metrics with a value, the papers of datasets in
    the registry (`citations`), and the packages of `records`, the ``run.json`` of its fits. The
    last comment names what has no paper.
    """
    run_metadata = run_metadata_of(runs)
    done = runs[runs["status"].isin(("ok", "collapsed"))]
    methods = {run_metadata.method(run): run_metadata.card(run) for run in done["run"].unique()}
    has_value = scores["value"].notna() & (scores["metric"] != "status")
    metrics = {name: run_metadata.metric(name) for name in scores.loc[has_value, "metric"].unique()}
    cited = [
        ("mosaicbench", _itself(records), "this benchmark"),
        *_of_cards("methods", methods),
        *_of_cards("metrics", metrics),
        *_of_datasets(done["dataset"].unique(), citations),
        *_of_packages(methods.values(), records),
    ]
    table = pd.DataFrame(cited, columns=["heading", "entry", "reason"])
    has_entry, keys = table["entry"] != "", table["entry"].str.partition(",")[0]
    parts = []
    for _, of_entry in table[has_entry].groupby(keys, sort=False):
        heading, entry, _ = of_entry.iloc[0]
        if f"% {heading}" not in parts:
            parts.append(f"% {heading}")
        parts.append(f"% {'; '.join(of_entry['reason'].unique())}\n{entry}")
    without = table.loc[~has_entry, "reason"].unique()
    if len(without):
        parts.append(f"% Without a verified paper: {', '.join(without)}.")
    return "\n\n".join(parts) + "\n"


def _itself(records: list[dict]) -> str:
    commits = distinct((str(record["git_commit"]) for record in records), none="")
    note = f"Version {__version__}" + (f", commit {commits}" if commits else "")
    entry = next(entry["text"] for entry in references() if entry.get("package") == ITSELF)
    return f"{entry[:-1]}, version = {{{__version__}}}, note = {{{note}}}}}"


def _of_cards(heading: str, cards: dict[str, dict]) -> Iterator[Citation]:
    for name, card in cards.items():
        label = card.get("label", name)
        yield heading, _of_doi(card.get("doi"), card.get("paper") or f"defines {label}"), label


def _of_doi(doi: str | None, paper: str) -> str:
    if not doi:
        return ""
    for entry in references():
        if entry.get("doi", "").lower() == doi.lower():
            return entry["text"]
    key = re.sub(r"\W+", "_", doi)
    note = f"{paper}; see the doi for authors and title"
    return f"@misc{{doi_{key}, doi = {{{doi}}}, note = {{{note}}}}}"


def _of_datasets(names: Iterable[str], citations: dict[str, str]) -> Iterator[Citation]:
    for name in names:
        citation = citations.get(name, "")
        papers = [entry["text"] for entry in references() if entry.get("cited", "\0") in citation]
        dois = re.findall(r"doi:(10\.\S+?)(?=[,;]|\s|$)", citation)
        papers += [_of_doi(doi, citation) for doi in dois]
        for entry in papers:
            yield "datasets", entry, f"dataset {name}: {citation}"
        if not papers:
            yield "datasets", "", f"dataset {name}" + (f" ({citation})" if citation else "")


def _of_packages(methods: Iterable[dict], records: list[dict]) -> Iterator[Citation]:
    # Every benchmark used Snakemake, which no record names.
    versions = defaultdict(list, {"snakemake": []} if records else {})
    for record in records:
        for name, version in record["versions"].items():
            if name not in ("python", ITSELF) and version != "absent":
                versions[name].append(str(version))
    for card in methods:
        if package := card.get("wraps"):
            versions[package["package"]].append(package["version"])
    entries = {entry["package"]: entry["text"] for entry in references() if "package" in entry}
    for name, of_package in versions.items():
        words = f"{name} {distinct(of_package, none='')}".strip()
        yield "packages", entries.get(name, ""), words if name in entries else f"package {words}"


@cache
def references() -> tuple[dict[str, str], ...]:
    """Return the entries of the file, one a line: `text`, and its :data:`FIELDS` to look it up."""
    lines = REFERENCES.read_text(encoding="utf-8").splitlines()
    fields = re.compile(rf"\b({'|'.join(FIELDS)}) = {{([^{{}}]*)}}")
    return tuple(
        dict(fields.findall(line)) | {"text": PRIVATE.sub("", line)}
        for line in lines
        if line.startswith("@")
    )
