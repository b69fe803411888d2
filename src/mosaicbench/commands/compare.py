"""Compare: two results folders side by side, on the terminal, as TSV and as an HTML page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mosaicbench.errors import UserError
from mosaicbench.files.atomic import write_text
from mosaicbench.files.config import read_config
from mosaicbench.files.scores import SCORE_COLUMNS
from mosaicbench.files.tables import check_contents, read_table, write_table
from mosaicbench.layout import Results
from mosaicbench.report.page.comparison_page import Differences, comparison_page, comparison_text
from mosaicbench.report.records import circumstances, differing_facts, read_records
from mosaicbench.report.tables.contract import RUN_COLUMNS, checked_runs, checked_scores
from mosaicbench.report.theme import read_theme
from mosaicbench.statistics import difference
from mosaicbench.statistics.summary import HEADLINE_COLUMNS

MOST_LINES = 40


@dataclass(frozen=True)
class Finished:
    """What a results folder says of its runs."""

    folder: Path
    headline: pd.DataFrame
    scores: pd.DataFrame
    runs: pd.DataFrame
    config: dict
    records: list[dict]


def main(*, a: Path, b: Path, display: Path, output: Path | None) -> None:
    """Print what differs between two results folders; with `output`, also write the page and ``.tsv`` beside it.

    Parameters
    ----------
    a, b
        Results folders of benchmarks that ran to the end.
    display
        ``display.yaml``.
    output
        An ``.html`` file, or None.

    Raises
    ------
    UserError
        When a folder is not one of results, or `output` is not an ``.html`` file.
    """
    if output is not None and output.suffix != ".html":
        raise UserError(f"--output {output}: name an .html file; the .tsv is written beside it")
    first, second = _read(Path(a)), _read(Path(b))
    theme = read_theme(display, pd.concat([first.runs, second.runs], ignore_index=True))
    differences = Differences(
        scores=difference.scores(
            first.headline, second.headline, first.scores, second.scores, theme.roster
        ),
        statuses=difference.statuses(first.runs, second.runs),
        fits=difference.fits_of_one(first.runs, second.runs),
        config=differing_facts(first.config, second.config),
        circumstances=differing_facts(circumstances(first.records), circumstances(second.records)),
    )
    print(f"A: {first.folder}\nB: {second.folder}\n")
    print(comparison_text(differences, most=MOST_LINES))
    if output is not None:
        write_table(output.with_suffix(".tsv"), differences.scores)
        page = comparison_page(
            differences, folders=(str(first.folder), str(second.folder)), theme=theme
        )
        write_text(output, page)
        print(f"\nWritten: {output} and {output.with_suffix('.tsv')}")


def _read(folder: Path) -> Finished:
    results = Results(folder)
    for file in (
        results.table("headline"),
        results.table("scores"),
        results.table("runs"),
        results.config,
        results.runs,
    ):
        if not Path(file).exists():
            part = Path(file).relative_to(folder)
            raise UserError(
                f"{folder}: there is no {part} in it; name the results folder of a benchmark that ran to the end (the one with "
                "report.html)"
            )
    check_contents(Path(results.tables), ["runs", "headline", "scores"], "tabulate")
    runs = checked_runs(read_table(results.table("runs"), RUN_COLUMNS))
    config = read_config(results.config)
    headline = read_table(results.table("headline"), HEADLINE_COLUMNS)
    scores = checked_scores(read_table(results.table("scores"), SCORE_COLUMNS))
    return Finished(folder, headline, scores, runs, config, read_records(results, runs))
