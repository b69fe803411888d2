"""What became of the attacks of a part, and the table of them in docs/reliability.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

HEAD = ("fault", "tried", "survived", "wrong in silence", "tracebacks", "manual repairs")


@dataclass
class Outcome:
    """How often one kind of fault was tried, and how the tries ended.

    Attributes
    ----------
    fault
        What was done, in a few words: the first column of the table.
    tried
        All tries.
    silent
        Tries after which something was wrong and no message said so.
    tracebacks
        Tries that ended in a traceback, or in a message without the key or file to mend.
    repairs
        Tries after which a person would have had to delete or mend a file before the next start.
    notes
        A line for each try that did not survive: enough to repeat it.
    """

    fault: str
    tried: int = 0
    silent: int = 0
    tracebacks: int = 0
    repairs: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def survived(self) -> int:
        """Tries that ended as they should: with the right result, or with one message that says what to mend."""
        return self.tried - self.silent - self.tracebacks - self.repairs


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a table in Markdown, with their sums in the last row."""
    rows = [(o.fault, o.tried, o.survived, o.silent, o.tracebacks, o.repairs) for o in outcomes]
    sums = ("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:]))
    lines = [HEAD, ["---"] + ["--:"] * (len(HEAD) - 1), *rows, sums]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def write_into(page: Path, part: str, text: str) -> None:
    """Put a text between a part's marks, ``<!-- chaos: PART -->`` and ``<!-- end -->``, of a page.

    Raises
    ------
    ValueError
        When the page does not have the marks.
    """
    whole = page.read_text(encoding="utf-8")
    marks = re.compile(rf"(<!-- chaos: {part} -->\n).*?(<!-- end -->)", flags=re.DOTALL)
    if not marks.search(whole):
        raise ValueError(
            f"{page}: no marks <!-- chaos: {part} --> and <!-- end --> to write between"
        )
    page.write_text(
        marks.sub(lambda found: f"{found[1]}{text}\n{found[2]}", whole), encoding="utf-8"
    )
