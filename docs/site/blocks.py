"""Parts of pages that scripts write: the text between ``<!-- NAME -->`` and ``<!-- /NAME -->``."""

from __future__ import annotations

from mosaicbench.errors import UserError


def replaced(text: str, name: str, block: str) -> str:
    """Return the text of a page with a new block between the marks.

    Raises
    ------
    UserError
        If one of the marks is not there exactly once.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise UserError(f"the page needs {begin} and {end} once each; add them, and run again")
    before, rest = text.split(begin)
    return f"{before}{begin}{block}{end}{rest.split(end)[1]}"


def table(header: list[str], rows: list[list[object]]) -> str:
    """Return a table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
