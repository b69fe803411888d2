"""The attacks of ``make chaos`` in their short form, and the table that they write."""

import importlib
import os
import signal

import pytest
from chaos import files
from chaos.__main__ import PAGE, PARTS
from chaos.outcomes import Outcome, table, write_into


def test_a_table_counts_what_did_not_survive():
    text = table([Outcome("a", tried=10, silent=1, tracebacks=2, repairs=3), Outcome("b", tried=5)])
    assert text.splitlines()[2:] == [
        "| a | 10 | 4 | 1 | 2 | 3 |",
        "| b | 5 | 5 | 0 | 0 | 0 |",
        "| all | 15 | 9 | 1 | 2 | 3 |",
    ]


def test_a_table_is_written_between_its_marks_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "x\n<!-- chaos: a -->\nold\n<!-- end -->\ny\n<!-- chaos: b -->\nkept\n<!-- end -->\n"
    )
    write_into(page, "a", r"new \1")
    assert (
        page.read_text()
        == "x\n<!-- chaos: a -->\nnew \\1\n<!-- end -->\ny\n<!-- chaos: b -->\nkept\n<!-- end -->\n"
    )
    with pytest.raises(ValueError, match="no marks <!-- chaos: c -->"):
        write_into(page, "c", "")


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_wrong_in_silence_and_nothing_ends_in_a_traceback(request, tmp_path, part):
    made = {"results": request.getfixturevalue("results")} if part == "names" else {}
    outcomes = importlib.import_module(f"chaos.{part}").attack(
        short=True, seed=1, folder=tmp_path, **made
    )
    for outcome in outcomes:
        assert outcome.tried > 0
        assert outcome.survived == outcome.tried, "\n".join([outcome.fault, *outcome.notes])


def test_the_page_has_a_place_for_every_part(tmp_path):
    copy = tmp_path / "page.md"
    copy.write_text(PAGE.read_text())
    headings = [line for line in PAGE.read_text().splitlines() if line.startswith("#")]
    for part in PARTS:
        write_into(copy, part, "")
    assert [line for line in copy.read_text().splitlines() if line.startswith("#")] == headings


@pytest.mark.parametrize(
    "fault", [lambda **_: {}["x"], lambda **_: os.kill(os.getpid(), signal.SIGSEGV)]
)
def test_a_traceback_and_a_process_that_is_brought_down_do_not_survive(
    tmp_path, monkeypatch, fault
):
    options, _ = files.dataset_in("csv", tmp_path / "own")
    monkeypatch.setattr(files.prepare, "main", fault)
    outcome = Outcome("a fault")
    files._judge(outcome, "a try", options, tmp_path / "own")
    assert (outcome.tried, outcome.tracebacks, outcome.survived) == (1, 1, 0)
    assert outcome.notes[0].startswith("a try: ")
