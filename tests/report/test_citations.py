"""What to cite: each paper once, of what was used and of nothing else, and nothing made up."""

import re

import pandas as pd
import yaml
from conftest import REPOSITORY

from mosaicbench import __version__
from mosaicbench.catalog import catalog
from mosaicbench.config import registry
from mosaicbench.files.scores import SCORE_COLUMNS
from mosaicbench.report import citations
from mosaicbench.report.tables.contract import RUN_COLUMNS

STATUS_OF = {"mvae": "ok", "mvae-beta4": "ok", "shuffled": "collapsed", "scot": "ok"}


def test_what_was_used_is_cited_once_and_nothing_else():
    place = {"dataset": "pbmc68k_split", "scenario": "paired", "seed": 0}
    runs = [
        place
        | {"run": run, "method": run.partition("-")[0], "status": STATUS_OF.get(run, "crashed")}
        for run in (*STATUS_OF, "mopoe")
    ]
    runs.append(runs[0] | {"dataset": "mine", "status": "not_applicable"})
    scores = [
        place
        | {"run": "mvae", "metric": name, "direction": "run", "normalization": "-", "value": value}
        for name, value in (("foscttm", 0.2), ("kbet", None))
    ]
    versions = {"python": "3.11.2", "mosaicbench": __version__, "numpy": "2.4.6"}
    versions |= {"unheard-of": "1.0", "torch": "absent"}
    text = citations.bibtex(
        pd.DataFrame(runs).reindex(columns=RUN_COLUMNS),
        pd.DataFrame(scores).reindex(columns=SCORE_COLUMNS),
        [{"git_commit": "abc", "versions": versions}],
        {"pbmc68k_split": registry.load()["pbmc68k_split"]["citation"]},
    )
    assert text.count("@software{mosaicbench,") == 1
    assert text.count("Multimodal Generative Models") == 1  # mvae and mvae-beta4
    used = ("% MVAE", "SCOT", "scJoint", "Massively parallel", "% numpy 2.4.6", "% POT 0.9.7")
    assert all(words in text for words in (*used, f"Version {__version__}, commit abc"))
    unused = ("Sutter", "k-nearest", 'B{\\"u}ttner, Maren', "PyTorch", "cited =", "package =")
    assert not [words for words in (*unused, "Shuffled}") if words in text]
    last = text.splitlines()[-1]
    assert last.startswith("% Without a verified paper")
    assert "Shuffled" in last and "package unheard-of 1.0" in last
    keys = re.findall(r"^@\w+\{([^,]+), .*\}$", text, re.MULTILINE)
    assert len(keys) == len(set(keys)) == text.count("\n@")
    assert text.count("{") == text.count("}")


def test_two_cards_of_one_paper_that_is_not_known_share_an_entry_and_the_report_shows_the_file(
    results,
):
    text = (results.folder / "citations.bib").read_text()
    keys = re.findall(r"^@\w+\{[^,]+", text, re.MULTILINE)
    assert "@misc{doi_10_1_x" in keys and len(keys) == len(set(keys))
    assert "doi = {10.1/x}, note = {defines " in text  # no more than the card says
    assert "@software{mosaicbench," in text and "@software{mosaicbench," in results.html


def test_every_entry_of_the_file_is_whole_and_asked_for_by_somebody():
    dois = {card["doi"].lower() for card in catalog.cards("methods").values()}
    dois |= {card["doi"].lower() for card in catalog.cards("metrics").values()}
    said = " ".join(stanza.get("citation", "") for stanza in registry.load().values())
    entries = citations.references()
    assert len(entries) == len({entry["text"].partition(",")[0] for entry in entries})
    for entry in entries:
        assert all(f"{name} = {{" in entry["text"] for name in ("author", "title")), entry
        asked = entry.get("doi", "").lower() in dois or entry.get("cited", "\0") in said
        assert asked or "package" in entry, entry


def test_the_paper_of_a_card_is_that_of_its_doi():
    """The entry of a DOI has the year and the first author of its card."""
    known = {entry.get("doi", "").lower(): entry["text"] for entry in citations.references()}
    for name, card in catalog.cards("methods").items():
        entry = known.get(card["doi"].lower())
        paper = card["paper"].split(";")[-1]
        if entry and (match := re.search(r"(\w+)(?: et al\.| & \w+)? (\d{4})$", paper)):
            plain = re.sub(r"[{}\\\"']", "", entry)
            plain = plain.replace("Marten", "Märten").replace("Schone", "Schöne")
            assert match[1] in plain and f"year = {match[2]}" in plain, name


def test_citation_cff_says_what_is_true_of_this_version():
    stated = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert (stated["version"], stated["license"]) == (__version__, "MIT")
    own = next(e["text"] for e in citations.references() if e.get("package") == "mosaicbench")
    assert stated["title"] in own and stated["authors"][0]["name"] in own
