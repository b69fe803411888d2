"""What to cite: each paper once, of what was used and of nothing else, and nothing made up."""

import json
import re

import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY

from mosaicbench import __version__, catalog, cli
from mosaicbench.config import registry
from mosaicbench.files.runs import write_record
from mosaicbench.files.scores import SCORE_COLUMNS
from mosaicbench.files.tables import write_tables
from mosaicbench.report import citations
from mosaicbench.report.tables.contract import RUN_COLUMNS

CITED = {("mvae", "ok"), ("mvae-beta4", "ok"), ("shuffled", "collapsed"), ("scot", "ok")}
METHODS = {
    "mvae": "mvae",
    "mvae-beta4": "mvae",
    "shuffled": "shuffled",
    "scot": "scot",
    "mopoe": "mopoe",
}


@pytest.fixture
def results(tmp_path):
    """Results of two datasets, in which one run failed and one score has no value."""
    runs, place = [], {"dataset": "pbmc68k_split", "scenario": "paired", "seed": 0}
    for run, method in METHODS.items():
        status = dict(CITED).get(run, "crashed")
        record = place | {
            "run": run,
            "method": method,
            "status": status,
            "message": "",
            "hyperparameters": {},
            "seconds": {},
        }
        record |= {
            "peak_host_mb": None,
            "peak_device_mb": None,
            "device": "cpu",
            "threads": 1,
            "git_commit": "abc",
        }
        versions = {
            "python": "3.11.2",
            "mosaicbench": __version__,
            "numpy": "2.4.6",
            "unheard-of": "1.0",
            "torch": "absent",
        }
        write_record(
            tmp_path / f"runs/pbmc68k_split/paired/{run}/seed-0/run.json",
            record | {"versions": versions},
        )
        runs.append({column: record.get(column) for column in RUN_COLUMNS} | {"seconds": None})
    absent = {
        "dataset": "mine",
        "scenario": "paired",
        "run": "mvae",
        "method": "mvae",
        "status": "not_applicable",
    }
    scores = [place | {"run": "mvae", "metric": name, "direction": "run", "space": "-", "value": value, "status": "ok"}
              for name, value in (("foscttm", 0.2), ("kbet", None))]  # fmt: skip
    write_tables(
        tmp_path / "tables",
        {
            "runs": pd.DataFrame([*runs, absent], columns=RUN_COLUMNS),
            "scores": pd.DataFrame(scores, columns=SCORE_COLUMNS),
        },
    )
    config = {"datasets": {"pbmc68k_split": None, "mine": {"path": "my.h5mu"}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_what_was_used_is_cited_once_and_nothing_else(results, capsys):
    cli.main(["cite", str(results)])
    text = capsys.readouterr().out
    assert (
        text.count("@software{mosaicbench,") == text.count("Multimodal Generative Models") == 1
    )  # mvae and mvae-beta4
    for used in (
        "% MVAE",
        "SCOT",
        "scJoint",
        "Massively parallel",
        "% numpy 2.4.6",
        "% POT 0.9.7",
        "Version 0.1.0, commit abc",
    ):
        assert used in text
    for unused in (
        "Sutter",
        "k-nearest",
        'B{\\"u}ttner, Maren',
        "PyTorch",
        "cited =",
        "package =",
        "Shuffled}",
    ):
        assert unused not in text
    last = text.splitlines()[-1]
    assert (
        last.startswith("% Without a paper")
        and "Shuffled" in last
        and "package unheard-of 1.0" in last
    )
    assert len(re.findall(r"^@\w+\{([^,]+),$", text, re.MULTILINE)) == text.count(
        "\n@"
    ) and text.count("{") == text.count("}")
    cli.main(["cite", str(results), "--output", str(results / "cite.bib")])
    assert (results / "cite.bib").read_text() == text


def test_a_doi_that_is_not_known_says_no_more_than_its_card():
    entry = citations._of_doi("10.1234/unknown.5", "Somebody 2030")
    assert dict(entry.fields) == {
        "doi": "10.1234/unknown.5",
        "note": "Somebody 2030; authors and title stand behind the doi",
    }


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="runs.tsv: no such file"):
        cli.main(["cite", str(tmp_path)])


def test_every_entry_of_the_file_is_read_and_asked_for_by_somebody():
    text = citations.REFERENCES.read_text()
    entries = citations._references()
    assert (
        len(entries)
        == len(re.findall("^@", text, re.MULTILINE))
        == len({entry.key for entry in entries})
    )
    dois = {
        card["doi"].lower()
        for room in ("methods", "metrics")
        for card in catalog.cards(room).values()
    }
    said = " ".join(stanza.get("citation", "") for stanza in registry.load().values())
    for entry in entries:
        assert {"author", "title"} | ({"year"} if entry.kind != "software" else set()) <= set(
            entry.fields
        ), entry.key
        asked = (
            entry.fields.get("doi", "").lower() in dois or entry.fields.get("cited", "\0") in said
        )
        assert asked or "package" in entry.fields, entry.key


def test_the_paper_of_a_card_is_that_of_its_doi():
    """The year and the first author that a card says stand in the entry of its DOI."""
    known = {entry.fields.get("doi", "").lower(): entry.fields for entry in citations._references()}
    for name, card in catalog.cards("methods").items():
        fields = known.get(card["doi"].lower())
        paper = card["paper"].split(";")[-1]
        if fields and (match := re.search(r"(\w+)(?: et al\.| & \w+)? (\d{4})$", paper)):
            plain = (
                re.sub(r"[{}\\\"']", "", fields["author"])
                .replace("Marten", "Märten")
                .replace("Schone", "Schöne")
            )
            assert (match[1] in plain, match[2]) == (True, fields["year"]), name


def test_citation_cff_says_what_is_true_of_this_version():
    stated = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert stated["version"] == __version__ and stated["license"] == "MIT"
    assert {"cff-version", "title", "message", "type", "authors", "abstract", "keywords"} <= set(
        stated
    )
    own = next(entry for entry in citations._references() if entry.key == "mosaicbench").fields
    assert (own["title"], own["author"]) == (stated["title"], f"{{{stated['authors'][0]['name']}}}")
