"""Provenance: each results page states which code made its numbers, and whether it is the present code.

    python docs/site/provenance.py                                    # `make provenance`: renew the marks of all pages
    python docs/site/provenance.py mark mosaic.md --commit 0123abc    # after typing numbers, made by the present code
    python docs/site/provenance.py restamp OLD_RESULTS NEW_RESULTS    # `make restamp`: after a change with equal scores

A key is a digest of a study's settings and of all code that prepares, splits, fits and scores in it.
``docs/results/provenance.tsv`` has the keys; `gallery.py` marks the pages that it writes.
"""

from __future__ import annotations

import argparse
import ast
import csv
import hashlib
import json
import re
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.config import settings
from mosaicbench.errors import UserError
from mosaicbench.workflow import code_hash

REPOSITORY = Path(__file__).parents[2]
MARKS = REPOSITORY / "docs/results/provenance.tsv"  # its pages are relative to docs/results
COLUMNS = ("page", "config", "date", "commit", "code_key", "restamped_keys", "note")
COMMANDS = ("prepare", "split", "fit", "score", "split_inner", "tune")
PROSE = {"label", "paper", "doi", "claims", "paths", "advice", "summary", "deviates", "definition"}
PROSE |= {"labels", "licence", "citation"}
OLDER, ALL = "older than the current code", "all"
BEGIN, END = "<!-- provenance -->", "<!-- /provenance -->"


def code_key(config: Path) -> str:
    """Return the key of the present code for a study, 12 hexadecimal digits; `config` is YAML or a ``results/config.json``."""
    bench = settings.read(config)
    tuning = bench.config.get("tuning") or {}
    modules = [f"mosaicbench.commands.{command}" for command in COMMANDS[: None if tuning else 4]]
    modules += [catalog.module("datasets", one["loader"]) for one in bench.datasets.values()]
    modules += [catalog.module("methods", name) for name in methods_of(config)]
    groups = set(bench.groups) - {"resources"}
    metrics = catalog.cards("metrics").items()
    modules += [
        catalog.module("metrics", name) for name, card in metrics if card["group"] in groups
    ]
    datasets = {name: [one["loader"], one["options"]] for name, one in bench.datasets.items()}
    runs = {name: [run.method, run.hyperparameters] for name, run in bench.runs.items()}
    given = [datasets, bench.scenarios, runs, bench.seeds, bench.preprocess, tuning]
    files = [Path(file) for file in code_hash.of(*modules)]
    code = {file.relative_to(code_hash.ROOT).as_posix(): plain(file) for file in files}
    return _digest([given, code])


def methods_of(config: Path) -> list[str]:
    """Return the methods of a study that are code of this package."""
    used = {run.method for run in settings.read(config).runs.values()}
    return sorted(used & set(catalog.names("methods")))


@cache
def plain(file: Path) -> str:
    """Return what code does, the same in every version of Python; without comments, docstrings and the prose of cards."""
    return _plain(ast.parse(file.read_text(encoding="utf-8")), of_card=False)


def _plain(node: object, of_card: bool) -> str:
    if isinstance(node, list):
        return f"[{' '.join(_plain(item, of_card) for item in node if not _is_text(item))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Assign):
        of_card |= getattr(node.targets[0], "id", "") in ("CARD", "CARDS")
    if of_card and isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        kept = [pair for pair in pairs if getattr(pair[0], "value", "") not in PROSE]
        texts = [f"{_plain(key, of_card)} {_plain(value, of_card)}" for key, value in kept]
        return f"Dict({' '.join(texts)})"
    fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
    texts = [f"{name}={_plain(value, of_card)}" for name, value in fields]
    return f"{type(node).__name__}({' '.join(texts)})"


def _is_text(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


def keys() -> dict[str, str]:
    """Return config -> key of the present code, of the default benchmark and each study; "all" is the key of these keys."""
    configs = ["config/config.yaml", *_studies()]
    found = {config: code_key(REPOSITORY / config) for config in configs}
    return found | {ALL: _digest(found)}


def _studies() -> list[str]:
    files = sorted(REPOSITORY.glob("config/studies/*.yaml"))
    return [file.relative_to(REPOSITORY).as_posix() for file in files]


def key_of_results(results: Path) -> str:
    """Return the key of the code that made results, "" if a file of that code has changed since."""
    lines = []
    for command in COMMANDS:
        for stamp in (results / "code").glob(f"{command}[-.]*txt"):
            lines += stamp.read_text(encoding="utf-8").splitlines()
    same = all(_is_present(*line.split("  ")) for line in set(lines))
    return code_key(results / "config.json") if lines and same else ""


def _is_present(digest: str, name: str) -> bool:
    file = Path(code_hash.ROOT, name)
    return file.is_file() and code_hash.digest(file) == digest


def commit_of(results: Path) -> str:
    """Return the commit of the code that fitted, several separated by commas, "" if unknown."""
    records = [json.loads(path.read_text()) for path in (results / "runs").rglob("run.json")]
    return ", ".join(sorted({record["git_commit"] for record in records} - {"unknown"}))


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(lines, delimiter="\t"))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """Write the table of marks."""
    lines = [COLUMNS, *([row[name].strip() for name in COLUMNS] for row in rows)]
    path.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")


def last_key(row: dict[str, str]) -> str:
    """Return the newest key for which a page's scores are known."""
    return (row["restamped_keys"].split() or [row["code_key"]])[-1]


def sentence(row: dict[str, str], present: dict[str, str]) -> str:
    """Return the mark of a page; `present` is the result of :func:`keys`."""
    if not row["date"]:
        return row["note"]
    commit = f"commit `{row['commit']}`" if row["commit"] else "commit not recorded"
    key = f"`{row['code_key']}`" if row["code_key"] else "not recorded"
    parts = [f"Numbers of {row['date']}", commit, f"key of the code {key}"]
    parts += [f"equal scores under `{last_key(row)}`"] if row["restamped_keys"] else []
    is_current = last_key(row) == present.get(row["config"] or ALL)
    age = "of the current code" if is_current else f"**{OLDER}**"
    up = "" if row["page"].startswith("../") else "../"
    link = f"[{age}]({up}studies.md#how-old-the-numbers-are)"
    return f"{'; '.join(parts)}: {link}. {row['note']}".strip()


def refresh(table: Path, present: dict[str, str] | None = None) -> None:
    """Renew the mark below the heading of each page of a table."""
    present = present or keys()
    for row in read(table):
        page = table.parent / row["page"]
        text = marked(page.read_text(encoding="utf-8"), sentence(row, present))
        page.write_text(text, encoding="utf-8")


def marked(text: str, mark: str) -> str:
    """Return the text of a page with a new mark."""
    heading, rest = re.sub(rf"{BEGIN}.*?{END}\n\n", "", text, flags=re.DOTALL).split("\n", 1)
    return f"{heading}\n\n{BEGIN}\n{mark}\n{END}\n\n{rest.lstrip()}"


def mark(page: str, commit: str, key: str | dict, date: str, table: Path) -> None:
    """Record what made a page's numbers; a new page is of the study of its name. `key` may be a key of each config."""
    rows = {row["page"]: row for row in read(table)}
    new = {"page": page, "config": f"config/studies/{Path(page).stem}.yaml"}
    row = rows.setdefault(page, dict.fromkeys(COLUMNS, "") | new)
    key = key if isinstance(key, str) else key.get(row["config"] or ALL, "")
    row |= {"date": date, "commit": commit, "code_key": key, "restamped_keys": ""}
    write(table, [rows[name] for name in sorted(rows)])


def mark_results(page: str, results: Path, table: Path) -> None:
    """Mark a page with numbers from a folder of results."""
    written = (results / "tables/contents.tsv").stat().st_mtime
    day = f"{datetime.fromtimestamp(written, UTC):%Y-%m-%d}"
    mark(page, commit_of(results), key_of_results(results), day, table)


def restamp(old: Path, new: Path) -> None:
    """Keep pages current after a change of code that left all scores of a benchmark equal, bit for bit.

    Parameters
    ----------
    old, new
        Results of one benchmark, by the code for which the pages are marked and by the present code. A page stays current
        if all its methods took part.

    Raises
    ------
    UserError
        If a score differs, except for the group `resources`.
    """
    before, after = scores(old), scores(new)
    if differing := sorted(before ^ after):
        raise UserError(f"{old} and {new}: other scores, first {' '.join(differing[0])}")
    print(f"{len(after):,} scores are equal")
    compared, present, rows = methods_of(new / "config.json"), keys(), read(MARKS)
    for row in rows:
        config = row["config"] or ALL
        page = (MARKS.parent / row["page"]).read_text(encoding="utf-8")
        if row["date"] and OLDER not in page and last_key(row) != present[config]:
            used = methods_of(REPOSITORY / config) if row["config"] else []
            missing = sorted(set(used) - set(compared))
            print(
                f"{row['page']}: {'not compared: ' * bool(missing)}{', '.join(missing) or 'restamped'}"
            )
            row["restamped_keys"] += "" if missing else f" {present[config]}"
    write(MARKS, rows)
    refresh(MARKS, present)


def scores(results: Path) -> set[tuple[str, ...]]:
    """Return the rows of a benchmark's scores without resources; numbers as text, with all their digits."""
    cards, rows = catalog.cards("metrics"), read(results / "tables/scores.tsv")
    return {tuple(row.values()) for row in rows if cards[row["metric"]]["group"] != "resources"}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command")
    command = commands.add_parser("mark")
    command.add_argument("pages", nargs="+", metavar="PAGE", help="of docs/results: mosaic.md")
    command.add_argument("--commit", required=True)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    command.add_argument("--date", default=today, help="default: today")
    command = commands.add_parser("restamp")
    command.add_argument("old", type=Path, metavar="OLD_RESULTS")
    command.add_argument("new", type=Path, metavar="NEW_RESULTS")
    given = parser.parse_args()
    if given.command == "restamp":
        return restamp(given.old, given.new)
    present = keys()
    for page in getattr(given, "pages", []):
        mark(page, given.commit, present, given.date, MARKS)
    return refresh(MARKS, present)


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"provenance: {error}")
