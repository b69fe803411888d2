"""Run the attacks: ``make chaos``, or ``PYTHONPATH=src:tests python -m chaos``.

python -m chaos                     # every part in full; writes the tables of docs/reliability.md
python -m chaos files --short   # one part, some tries of each kind; writes nothing
python -m chaos --seed 7            # other tries
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from chaos.outcomes import table, write_into

PAGE = Path(__file__).resolve().parents[2] / "docs/reliability.md"
# Files beside this one; the marks of the page have these names.
PARTS = ("kills", "workflow", "slurm", "disk", "files", "names")


def main() -> int:
    """Run the chosen parts, print their tables, and return 1 where a try did not survive."""
    parser = argparse.ArgumentParser(
        prog="chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all if left out"
    )
    parser.add_argument(
        "--short", action="store_true", help="some tries of each kind; the page is left as it is"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"there is no part {sorted(unknown)[0]!r}")
    failed = 0
    for part in chosen.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            attack = importlib.import_module(f"chaos.{part}").attack
            outcomes = attack(short=chosen.short, seed=chosen.seed, folder=Path(folder))
        if not outcomes:  # left out, with a line that says why, or by its short form
            continue
        failed += sum(outcome.tried - outcome.survived for outcome in outcomes)
        print(f"\n{part}\n\n{table(outcomes)}")
        for outcome in outcomes:
            for note in outcome.notes:
                print(f"{outcome.fault}: {note}")
        if not chosen.short:
            written = f"{table(outcomes)}\n\nSeed {chosen.seed}, {datetime.now(UTC):%Y-%m-%d}."
            write_into(PAGE, part, written)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
