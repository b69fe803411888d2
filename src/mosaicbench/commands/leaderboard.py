"""Leaderboard: one static page from any number of results folders, of which each is taken in whole or refused."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mosaicbench.errors import UserError
from mosaicbench.files.atomic import make_folder, write_text
from mosaicbench.files.tables import write_table
from mosaicbench.report.page.leaderboard_page import leaderboard_page, rows
from mosaicbench.report.submissions import examined
from mosaicbench.report.theme import read_theme


def main(*, folders: Sequence[Path], display: Path, output: Path) -> None:
    """Write ``index.html`` and ``leaderboard.tsv`` of the folders that were taken in, and say why others were not.

    Parameters
    ----------
    folders
        Results folders of benchmarks that ran to the end.
    display
        ``display.yaml``.
    output
        A folder, made where it is not there.

    Raises
    ------
    UserError
        When a folder was refused; the page has been written from the others, unless all were refused.
    """
    if output.exists() and not output.is_dir():
        raise UserError(
            f"--output {output}: is a file; name a folder, into which index.html is written"
        )
    taken, refused = examined(folders)
    for folder, reasons in refused.items():
        for why in reasons:
            print(f"refused: {folder}: {why}", file=sys.stderr)
    if not taken:
        raise UserError(
            f"none of {len(refused)} folders can stand on a leaderboard; nothing was written"
        )
    themes = {
        submission.name: read_theme(display, submission.tables["runs"]) for submission in taken
    }
    table = rows(taken, themes)
    make_folder(output)
    write_table(output / "leaderboard.tsv", table)
    write_text(output / "index.html", leaderboard_page(table, taken, refused, themes))
    print(
        f"Written: {output / 'index.html'} and {output / 'leaderboard.tsv'}, from {len(taken)} of {len(folders)} folders"
    )
    if refused:
        raise UserError(
            f"{len(refused)} of {len(folders)} folders were refused, and stand on the page with the reasons"
        )
