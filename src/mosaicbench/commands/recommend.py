"""Recommend: for each question, the run to take on these data, with the evidence."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.errors import UserError
from mosaicbench.files.tables import check_contents, read_table, write_table
from mosaicbench.layout import Results
from mosaicbench.report.recommendation import COLUMNS, checked_recommendations, sentences
from mosaicbench.report.tables.contract import RUN_COLUMNS, checked_runs
from mosaicbench.report.theme import read_theme


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
    check_contents(Path(lies.tables), ["recommendations", "runs"], "tabulate")
    table = checked_recommendations(read_table(lies.table("recommendations"), COLUMNS))
    runs = checked_runs(read_table(lies.table("runs"), RUN_COLUMNS))
    if table.empty:
        raise UserError(
            f"{results}: no run has a score of alignment, label transfer or imputation with every seed, so none is recommended"
        )
    print("\n".join(sentences(table, read_theme(display, runs))))
    if output is not None:
        write_table(output, table)
