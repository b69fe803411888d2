"""The attacks of ``make chaos`` in their short form, and the table that they write."""

import importlib

import pytest
from chaos import malformed
from chaos.__main__ import PAGE, PARTS
from chaos.outcomes import Outcome, table, write_into

from mosaicbench import settings


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


def test_a_wrong_acceptance_is_wrong_in_silence_and_a_wrong_refusal_no_survival():
    outcome = Outcome("a fault")
    malformed.judge(outcome, "accepted", lambda: None, "key", allowed=False)
    malformed.judge(
        outcome, "refused", lambda: settings.load({"datasets": {}}), "datasets", allowed=True
    )
    malformed.judge(
        outcome, "without key", lambda: settings.load({"datasets": {}}), "elsewhere", allowed=False
    )
    malformed.judge(
        outcome, "right", lambda: settings.load({"datasets": {}}), "datasets", allowed=False
    )
    assert (outcome.tried, outcome.silent, outcome.tracebacks, outcome.survived) == (4, 1, 2, 1)
