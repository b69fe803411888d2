"""Recommend: for each question, the run to take on these data, with the evidence."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.errors import UserError
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.layout import Results
from mosaicbench.report.recommendation import recommended, sentences
from mosaicbench.report.tables.contract import RUN_COLUMNS, checked_runs
from mosaicbench.report.theme import read_theme
from mosaicbench.statistics.paired import PAIRED_COLUMNS
from mosaicbench.statistics.summary import HEADLINE_COLUMNS


def main(*, results: Path, display: Path, output: Path | None = None) -> None:
    """Print a sentence per view and question; with `output`, also write the table.

    Parameters
    ----------
    results
        The results folder of a benchmark that ran to the end.
    display
        ``display.yaml``.
    output
        A ``.tsv``, or None.

    Raises
    ------
    UserError
        When the folder has no tables, or no run answers any question.
    """
    lies = Results(results)
    columns = {"headline": HEADLINE_COLUMNS, "paired_tests": PAIRED_COLUMNS, "runs": RUN_COLUMNS}
    tables = {name: read_table(lies.table(name), expected) for name, expected in columns.items()}
    tables["runs"] = checked_runs(tables["runs"])
    theme = read_theme(display, tables["runs"])
    table = recommended(tables, theme.roster)
    if table.empty:
        raise UserError(f"{results}: no run has a score of alignment, label transfer or imputation; nothing can be recommended")
    print("\n".join(sentences(table, {run: theme.label("runs", run) for run in tables["runs"]["run"].unique()})))
    if output is not None:
        write_table(output, table)
