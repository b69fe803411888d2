"""What to cite: BibTeX of the methods, metrics, datasets and packages that a benchmark really used, and of nothing else.

``references.bib`` holds what is known for sure of papers; of a paper that it does not have, only what the card says is printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pandas as pd

from mosaicbench import __version__
from mosaicbench.report.tables.text import distinct
from mosaicbench.roster import roster_of

REFERENCES = Path(__file__).with_name("references.bib")
PRIVATE = ("package", "cited")  # fields that are for this file alone
ITSELF = "mosaicbench"
ALWAYS = {"snakemake": ""}  # packages that every benchmark used and no record names


@dataclass(frozen=True)
class Entry:
    """One entry of BibTeX: its kind ("article"), key and fields, whose values have their outer braces left out."""

    kind: str
    key: str
    fields: Mapping[str, str]
    of: tuple[str, ...] = field(default=())

    def text(self) -> str:
        """Return the entry as BibTeX, under a comment that says what it is cited for."""
        lines = [
            f"  {name} = {{{value}}}" for name, value in self.fields.items() if name not in PRIVATE
        ]
        comment = f"% {'; '.join(self.of)}\n" if self.of else ""
        return f"{comment}@{self.kind}{{{self.key},\n" + ",\n".join(lines) + "\n}"


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
    roster = roster_of(runs)
    wanted: dict[str, list[tuple[Entry, str]]] = {
        "mosaicbench": [(_itself(records), "this benchmark")]
    }
    without: list[str] = []
    done = runs[runs["status"].isin(("ok", "collapsed"))]
    methods = {roster.method(run): roster.card(run) for run in done["run"].unique()}
    wanted["methods"] = _of_cards(methods, without)
    metrics = scores.loc[
        scores["value"].notna() & (scores["metric"] != "status"), "metric"
    ].unique()
    wanted["metrics"] = _of_cards({name: roster.metric(name) for name in metrics}, without)
    wanted["datasets"] = _of_datasets(done["dataset"].unique(), citations, without)
    wanted["packages"] = _of_packages(methods.values(), records, without)
    parts = [
        f"% {heading}\n\n" + "\n\n".join(_joined(pairs))
        for heading, pairs in _once(wanted).items()
        if pairs
    ]
    if without:
        parts.append(f"% Without a paper that is known here: {', '.join(without)}.")
    return "\n\n".join(parts) + "\n"


# --- what is cited -------------------------------------------------------------------------------------------------------


def _itself(records: Sequence[Mapping]) -> Entry:
    """Return the entry of this package, with its version and the commits of the fits."""
    entry = next(entry for entry in _references() if entry.key == ITSELF)
    commits = distinct(str(record["git_commit"]) for record in records) if records else ""
    note = f"Version {__version__}" + (f", commit {commits}" if commits else "")
    return Entry(entry.kind, entry.key, {**entry.fields, "version": __version__, "note": note})


def _of_cards(cards: Mapping[str, Mapping], without: list[str]) -> list[tuple[Entry, str]]:
    """Return the papers of cards, each with the label that it stands for; labels without a paper go to `without`."""
    found = []
    for name, card in cards.items():
        label = card.get("label", name)
        if doi := card.get("doi"):
            found.append((_of_doi(doi, card.get("paper") or f"defines {label}"), label))
        elif label not in without:
            without.append(label)
    return found


def _of_doi(doi: str, paper: str) -> Entry:
    """Return the entry of a DOI; without one in the file, what the card says of it."""
    for entry in _references():
        if entry.fields.get("doi", "").lower() == doi.lower():
            return entry
    return Entry(
        "misc",
        "doi_" + re.sub(r"\W+", "_", doi),
        {"doi": doi, "note": f"{paper}; authors and title stand behind the doi"},
    )


def _of_datasets(
    names: Iterable[str], citations: Mapping[str, str], without: list[str]
) -> list[tuple[Entry, str]]:
    found = []
    for name in names:
        citation = citations.get(name, "")
        papers = [entry for entry in _references() if entry.fields.get("cited", "\0") in citation]
        papers += [
            _of_doi(doi, citation) for doi in re.findall(r"doi:(10\.\S+?)(?=[,;]|\s|$)", citation)
        ]
        found += [(entry, f"dataset {name}: {citation}") for entry in papers]
        if not papers:
            without.append(f"dataset {name}" + (f" ({citation})" if citation else ""))
    return found


def _of_packages(
    methods: Iterable[Mapping], records: Sequence[Mapping], without: list[str]
) -> list[tuple[Entry, str]]:
    versions: dict[str, list[str]] = {name: [] for name in ALWAYS} if records else {}
    for record in records:
        for name, version in record["versions"].items():
            if name not in ("python", "mosaicbench") and version != "absent":
                versions.setdefault(name, []).append(str(version))
    for card in methods:
        if package := card.get("wraps"):
            versions.setdefault(package["package"], []).append(package["version"])
    known = {entry.fields["package"]: entry for entry in _references() if "package" in entry.fields}
    without += [
        f"package {name} {distinct(versions[name], none='')}".strip()
        for name in versions
        if name not in known
    ]
    return [
        (known[name], f"{name} {distinct(versions[name], none='')}".strip())
        for name in versions
        if name in known
    ]


# --- text ----------------------------------------------------------------------------------------------------------------


def _once(
    wanted: Mapping[str, list[tuple[Entry, str]]],
) -> dict[str, list[tuple[Entry, list[str]]]]:
    """Return heading -> entries with all that they are cited for; each stands under the first heading that asks for it."""
    reasons: dict[str, list[str]] = {}
    place: dict[str, tuple[str, Entry]] = {}
    for heading, pairs in wanted.items():
        for entry, why in pairs:
            place.setdefault(entry.key, (heading, entry))
            if why not in reasons.setdefault(entry.key, []):
                reasons[entry.key].append(why)
    return {
        heading: [
            (entry, reasons[key]) for key, (where, entry) in place.items() if where == heading
        ]
        for heading in wanted
    }


def _joined(pairs: Iterable[tuple[Entry, list[str]]]) -> list[str]:
    return [Entry(entry.kind, entry.key, entry.fields, tuple(why)).text() for entry, why in pairs]


@cache
def _references() -> tuple[Entry, ...]:
    """Return the entries of the file: one a line, ``@kind{key, name = {value}, …}``."""
    found = []
    for line in REFERENCES.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"@(\w+)\{([^,]+), (.*)\}", line):
            kind, key, rest = match.groups()
            fields = re.findall(r"(\w+) = \{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}", rest)
            found.append(Entry(kind, key, dict(fields)))
    return tuple(found)
