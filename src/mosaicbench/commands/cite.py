"""Cite: BibTeX of what a benchmark used."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.commands import _citations
from mosaicbench.files.atomic import write_text
from mosaicbench.files.config import read_config
from mosaicbench.files.scores import SCORE_COLUMNS
from mosaicbench.files.tables import check_contents, read_table
from mosaicbench.layout import Results
from mosaicbench.report.citations import bibtex
from mosaicbench.report.records import read_records
from mosaicbench.report.tables.contract import RUN_COLUMNS, checked_runs, checked_scores


def main(*, results: Path, output: Path | None = None) -> None:
    """Print the BibTeX of a benchmark's methods, metrics, datasets and packages; with `output`, write it there instead.

    Parameters
    ----------
    results
        The results folder of a benchmark that ran to the end.
    output
        A ``.bib``, or None.

    Raises
    ------
    UserError
        When the folder is not one of results.
    """
    lies = Results(results)
    check_contents(Path(lies.tables), ["runs", "scores"], "tabulate")
    runs = checked_runs(read_table(lies.table("runs"), RUN_COLUMNS))
    scores = checked_scores(read_table(lies.table("scores"), SCORE_COLUMNS))
    config = read_config(lies.config)
    records = read_records(lies, runs)
    text = bibtex(runs, scores, records, _citations.of_datasets(config))
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)
        print(f"Written: {output}")
