"""What to cite: BibTeX of the methods, metrics, datasets and packages that a benchmark really used, and of nothing else.

``references.bib`` holds what is known for sure of papers; of a paper that it does not have, only what the card says is printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from mosaicbench import __version__
from mosaicbench.catalog.run_metadata import run_metadata_of
from mosaicbench.report.tables.text import distinct

REFERENCES = Path(__file__).with_name("references.bib")
FIELDS = ("doi", "package", "cited")  # of an entry, by which it is looked up
PRIVATE = re.compile(r", (?:package|cited) = \{[^{}]*\}")  # fields that are for this file alone
ITSELF = "mosaicbench"

Cited = tuple[str, str]  # BibTeX, and what it is cited for


def bibtex(
    runs: pd.DataFrame,
    scores: pd.DataFrame,
    records: Sequence[Mapping],
    citations: Mapping[str, str],
) -> str:
    """Return the BibTeX of a benchmark.

    Parameters
    ----------
    runs, scores
        Tables of these names: methods of runs of which a fit ended well, and metrics that have a value, are cited.
    records
        ``run.json`` of its fits, for versions of packages; none leaves packages out.
    citations
        dataset -> what the registry says of its paper; a dataset without one is the user's own.

    Returns
    -------
    str
        Entries under comments, each once; the last comment names what has no paper.
    """
    run_metadata = run_metadata_of(runs)
    done = runs[runs["status"].isin(("ok", "collapsed"))]
    methods = {run_metadata.method(run): run_metadata.card(run) for run in done["run"].unique()}
    has_value = scores["value"].notna() & (scores["metric"] != "status")
    metrics = {name: run_metadata.metric(name) for name in scores.loc[has_value, "metric"].unique()}
    without: list[str] = []
    cited = {
        "mosaicbench": [_itself(records)],
        "methods": _of_cards(methods, without),
        "metrics": _of_cards(metrics, without),
        "datasets": _of_datasets(done["dataset"].unique(), citations, without),
        "packages": _of_packages(methods.values(), records, without),
    }
    entries: dict[str, str] = {}  # key -> BibTeX
    heading_of: dict[str, str] = {}  # key -> the first heading that asks for it
    reasons: dict[str, list[str]] = {}
    for heading, pairs in cited.items():
        for entry, reason in pairs:
            key = entry.partition(",")[0]
            entries.setdefault(key, entry)
            heading_of.setdefault(key, heading)
            reasons.setdefault(key, []).append(reason)
    parts = []
    for heading in dict.fromkeys(heading_of.values()):
        parts.append(f"% {heading}")
        for key in [key for key, under in heading_of.items() if under == heading]:
            parts.append(f"% {'; '.join(dict.fromkeys(reasons[key]))}\n{entries[key]}")
    if without:
        parts.append(f"% Without a paper that is known here: {', '.join(dict.fromkeys(without))}.")
    return "\n\n".join(parts) + "\n"


def _itself(records: Sequence[Mapping]) -> Cited:
    """Return the entry of this package, with its version and the commits of the fits."""
    commits = distinct(str(record["git_commit"]) for record in records) if records else ""
    note = f"Version {__version__}" + (f", commit {commits}" if commits else "")
    entry = next(entry["text"] for entry in references() if entry.get("package") == ITSELF)
    return f"{entry[:-1]}, version = {{{__version__}}}, note = {{{note}}}}}", "this benchmark"


def _of_cards(cards: Mapping[str, Mapping], without: list[str]) -> list[Cited]:
    """Return the papers of cards, each with the card's label; labels without a paper go to `without`."""
    found = []
    for name, card in cards.items():
        label = card.get("label", name)
        if doi := card.get("doi"):
            found.append((_of_doi(doi, card.get("paper") or f"defines {label}"), label))
        else:
            without.append(label)
    return found


def _of_doi(doi: str, paper: str) -> str:
    """Return the entry of a DOI; without one in the file, what the card says of it."""
    for entry in references():
        if entry.get("doi", "").lower() == doi.lower():
            return entry["text"]
    key = re.sub(r"\W+", "_", doi)
    return f"@misc{{doi_{key}, doi = {{{doi}}}, note = {{{paper}; authors and title are behind the doi}}}}"


def _of_datasets(
    names: Iterable[str], citations: Mapping[str, str], without: list[str]
) -> list[Cited]:
    found = []
    for name in names:
        citation = citations.get(name, "")
        papers = [entry["text"] for entry in references() if entry.get("cited", "\0") in citation]
        dois = re.findall(r"doi:(10\.\S+?)(?=[,;]|\s|$)", citation)
        papers += [_of_doi(doi, citation) for doi in dois]
        found += [(entry, f"dataset {name}: {citation}") for entry in papers]
        if not papers:
            without.append(f"dataset {name}" + (f" ({citation})" if citation else ""))
    return found


def _of_packages(
    methods: Iterable[Mapping], records: Sequence[Mapping], without: list[str]
) -> list[Cited]:
    # Every benchmark used Snakemake, which no record names.
    versions: dict[str, list[str]] = {"snakemake": []} if records else {}
    for record in records:
        for name, version in record["versions"].items():
            if name not in ("python", ITSELF) and version != "absent":
                versions.setdefault(name, []).append(str(version))
    for card in methods:
        if package := card.get("wraps"):
            versions.setdefault(package["package"], []).append(package["version"])
    known = {entry["package"]: entry["text"] for entry in references() if "package" in entry}
    found = []
    for name in versions:
        named = f"{name} {distinct(versions[name], none='')}".strip()
        if name in known:
            found.append((known[name], named))
        else:
            without.append(f"package {named}")
    return found


@cache
def references() -> tuple[dict[str, str], ...]:
    """Return the entries of the file, which has one a line: `text`, and the fields by which an entry is looked up."""
    lines = REFERENCES.read_text(encoding="utf-8").splitlines()
    return tuple(
        dict(re.findall(rf"\b({'|'.join(FIELDS)}) = {{([^{{}}]*)}}", line))
        | {"text": PRIVATE.sub("", line)}
        for line in lines
        if line.startswith("@")
    )
