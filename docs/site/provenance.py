"""Provenance: which code made the numbers of a page, said on the page, and whether that code is the present one.

    python docs/site/provenance.py                                    # `make provenance`: the marks on all pages anew
    python docs/site/provenance.py mark mosaic.md --commit 0123abc    # the commit whose code made a page's numbers
    python docs/site/provenance.py compare OLD_RESULTS NEW_RESULTS    # one benchmark, by a commit's code and by the present
    python docs/site/provenance.py restamp                            # `make restamp`, after that

A key is a digest of a study's settings and of all code that prepares, splits, fits and scores in it. ``provenance.tsv`` in
docs/results has the keys, ``equal_scores.tsv`` the comparisons; `gallery.py` marks the pages that it writes.
"""

from __future__ import annotations

import argparse
import ast
import csv
import hashlib
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "src"))
MARKS, EQUAL = (
    REPOSITORY / "docs/results/provenance.tsv",
    REPOSITORY / "docs/results/equal_scores.tsv",
)
COLUMNS = (
    "page",
    "config",
    "date",
    "commit",
    "code_key",
    "restamped_keys",
    "note",
)  # a page as seen from docs/results
EQUAL_COLUMNS = ("date", "old_commit", "old_key", "new_key", "rows", "methods")
COMMANDS = ("prepare", "split", "fit", "score", "split_inner", "tune")
PROSE = {
    "label",
    "paper",
    "doi",
    "claims",
    "paths",
    "advice",
    "summary",
    "deviates",
    "definition",
    "labels",
    "licence",
    "citation",
}
OLDER, ALL = "older than the current code", "all"
BEGIN, END = "<!-- provenance -->", "<!-- /provenance -->"
# To ask the code of another checkout; this file's imports of the package are inside functions for it.
ASKED = (
    "import sys; sys.path[:0] = [{here!r}]; import provenance; sys.path[:0] = [{tree!r} + '/src']; "
)
ASKED += "import json, pathlib; print(json.dumps(provenance.keys(pathlib.Path({tree!r}))))"


def code_key(config: Path) -> str:
    """Return the key of the present code for a study, 12 hexadecimal digits; `config` is YAML or a ``results/config.json``."""
    from mosaicbench.catalog import catalog
    from mosaicbench.config import settings
    from mosaicbench.workflow import code_hash

    bench = settings.read(config)
    tuning = bench.config.get("tuning") or {}
    modules = [f"mosaicbench.commands.{command}" for command in COMMANDS[: None if tuning else 4]]
    modules += [
        catalog.module("datasets", dataset["loader"]) for dataset in bench.datasets.values()
    ]
    modules += [catalog.module("methods", name) for name in methods_of(config)]
    groups = set(bench.groups) - {"resources"}
    modules += [
        catalog.module("metrics", name)
        for name, card in catalog.cards("metrics").items()
        if card["group"] in groups
    ]
    datasets = {
        name: [dataset["loader"], dataset["options"]] for name, dataset in bench.datasets.items()
    }
    runs = {name: [run.method, run.hyperparameters] for name, run in bench.runs.items()}
    asked = [datasets, bench.scenarios, runs, bench.seeds, bench.preprocess, tuning]
    files = {
        Path(file).relative_to(code_hash.ROOT).as_posix(): plain(Path(file))
        for file in code_hash.of(*modules)
    }
    return _digest([asked, files])


def methods_of(config: Path) -> list[str]:
    """Return the methods of a study that are code of this package."""
    from mosaicbench.catalog import catalog
    from mosaicbench.config import settings

    return sorted(
        {run.method for run in settings.read(config).runs.values()} & set(catalog.names("methods"))
    )


@cache
def plain(file: Path) -> str:
    """Return what code does, the same in every version of Python; without comments, docstrings and the prose of a ``CARD``."""
    return _plain(ast.parse(file.read_text(encoding="utf-8")), of_card=False)


def _plain(node: object, of_card: bool) -> str:
    if isinstance(node, list):
        return f"[{' '.join(_plain(item, of_card) for item in node if not _is_text(item))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    of_card |= isinstance(node, ast.Assign) and [
        getattr(target, "id", "") for target in node.targets
    ] in (["CARD"], ["CARDS"])
    if of_card and isinstance(node, ast.Dict):
        pairs = [
            pair
            for pair in zip(node.keys, node.values, strict=True)
            if getattr(pair[0], "value", "") not in PROSE
        ]
        return f"Dict({' '.join(_plain(part, of_card) for pair in pairs for part in pair)})"
    fields = [
        f"{name}={_plain(value, of_card)}"
        for name, value in ast.iter_fields(node)
        if value not in (None, [])
    ]
    return f"{type(node).__name__}({' '.join(fields)})"


def _is_text(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


def keys(tree: Path = REPOSITORY) -> dict[str, str]:
    """Return config -> key of the present code, of the default benchmark and each study; "all" is the key of these keys."""
    configs = [tree / "config/config.yaml", *sorted(tree.glob("config/studies/*.yaml"))]
    found = {config.relative_to(tree).as_posix(): code_key(config) for config in configs}
    return found | {ALL: _digest(found)}


def keys_at(commit: str) -> dict[str, str]:
    """Return what :func:`keys` is of the code of a commit, {} where the repository has no such commit or its code no keys."""
    archive = subprocess.run(
        ["git", "archive", commit, "src", "config", "workflow"], cwd=REPOSITORY, capture_output=True
    )
    if archive.returncode:
        return {}
    with TemporaryDirectory() as tree:
        subprocess.run(["tar", "-x", "-C", tree], input=archive.stdout, check=True)
        code = ASKED.format(here=str(Path(__file__).parent), tree=tree)
        answer = subprocess.run(
            [sys.executable, "-c", code], cwd=tree, capture_output=True, text=True
        )
    return json.loads(answer.stdout) if answer.returncode == 0 else {}


def key_of_results(results: Path) -> str:
    """Return the key of the code that made results, "" where the files of code that they name are not the present ones."""
    from mosaicbench.workflow import code_hash

    stamps = [
        path for command in COMMANDS for path in (results / "code").glob(f"{command}[-.]*txt")
    ]
    files = [
        line.split("  ")
        for stamp in stamps
        for line in stamp.read_text(encoding="utf-8").splitlines()
    ]
    present = {name: Path(code_hash.ROOT, name) for _, name in files}
    same = all(
        present[name].is_file() and _sha256(present[name]) == digest for digest, name in files
    )
    return code_key(results / "config.json") if files and same else ""


@cache
def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def commit_of(results: Path) -> str:
    """Return the commit of the code that fitted, several separated by commas, "" where it is not known."""
    commits = {
        json.loads(path.read_text())["git_commit"] for path in (results / "runs").rglob("run.json")
    }
    return ", ".join(sorted(commits - {"unknown"}))


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of one of the two tables, none where there is no such file."""
    return (
        list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
        if path.is_file()
        else []
    )


def write(path: Path, rows: list[dict[str, str]], columns: tuple[str, ...]) -> None:
    """Write one of the two tables."""
    lines = [columns, *([row[name].strip() for name in columns] for row in rows)]
    path.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")


def last_key(row: dict[str, str]) -> str:
    """Return the newest key under which a page's scores are known."""
    return (row["restamped_keys"].split() or [row["code_key"]])[-1]


def sentence(row: dict[str, str], present: dict[str, str]) -> str:
    """Return what a page says of its numbers; `present` is what :func:`keys` returns."""
    if not row["date"]:
        return row["note"]
    made = [
        f"Numbers of {row['date']}",
        f"commit `{row['commit']}`" if row["commit"] else "commit not recorded",
    ]
    made += [
        f"key of the code `{row['code_key']}`"
        if row["code_key"]
        else "key of the code not recorded"
    ]
    made += [f"equal scores under `{last_key(row)}`"] if row["restamped_keys"] else []
    age = (
        "of the current code"
        if last_key(row) == present.get(row["config"] or ALL)
        else f"**{OLDER}**"
    )
    up = "" if row["page"].startswith("../") else "../"
    return (
        f"{'; '.join(made)}: [{age}]({up}studies.md#how-old-the-numbers-are). {row['note']}".strip()
    )


def refresh(table: Path, present: dict[str, str] | None = None) -> None:
    """Write the mark below the heading of each page of a table anew."""
    present = present or keys()
    for row in read(table):
        page = table.parent / row["page"]
        page.write_text(
            marked(page.read_text(encoding="utf-8"), sentence(row, present)), encoding="utf-8"
        )


def marked(text: str, said: str) -> str:
    """Return the text of a page with a mark, in the place of the one that it has."""
    heading, rest = re.sub(rf"{BEGIN}.*?{END}\n\n", "", text, flags=re.DOTALL).split("\n", 1)
    return f"{heading}\n\n{BEGIN}\n{said}\n{END}\n\n{rest.lstrip()}"


def mark(page: str, commit: str, key: str | dict, date: str, table: Path) -> None:
    """Set what made a page's numbers; a new page is of the study of its name. `key` may be a key of each config."""
    rows = {row["page"]: row for row in read(table)}
    new = {"page": page, "config": f"config/studies/{Path(page).stem}.yaml"}
    row = rows.setdefault(page, dict.fromkeys(COLUMNS, "") | new)
    key = key if isinstance(key, str) else key.get(row["config"] or ALL, "")
    row |= {"date": date, "commit": commit, "code_key": key, "restamped_keys": ""}
    write(table, [rows[name] for name in sorted(rows)], COLUMNS)


def mark_results(page: str, results: Path, table: Path) -> None:
    """Mark a page as one of the numbers in a folder of results."""
    day = datetime.fromtimestamp((results / "tables/contents.tsv").stat().st_mtime, UTC).strftime(
        "%Y-%m-%d"
    )
    mark(page, commit_of(results), key_of_results(results), day, table)


def compare(old: Path, new: Path) -> None:
    """Write down that two results of one benchmark have the same scores, bit for bit, the group `resources` left out.

    Raises
    ------
    UserError
        When they have not, or `old` is not of the code of one commit, or `new` not of the present code.
    """
    from mosaicbench.errors import UserError

    before, after = scores(old), scores(new)
    if differing := sorted(set(before) ^ set(after)):
        raise UserError(
            f"{old} and {new}: not the same scores, first {' '.join(differing[0])}; so pages get older, no restamp"
        )
    if not before or not key_of_results(new):
        raise UserError(
            f"{new}: has no scores, or other code than the present made some; run it again into an empty folder"
        )
    old_key, methods = keys_at(commit_of(old)).get(ALL), methods_of(old / "config.json")
    if not old_key or methods != methods_of(new / "config.json"):
        raise UserError(
            f"{old}: fitted by '{commit_of(old)}', which is not one commit, or with other methods; run it again"
        )
    row = (_today(), commit_of(old), old_key, keys()[ALL], str(len(before)), " ".join(methods))
    write(EQUAL, [*read(EQUAL), dict(zip(EQUAL_COLUMNS, row, strict=True))], EQUAL_COLUMNS)
    print(
        f"{len(before)} scores are equal by the code {old_key} and {row[3]}; now run: make restamp"
    )


def scores(results: Path) -> list[tuple[str, ...]]:
    """Return the rows of a benchmark's scores but of resources, sorted; numbers as text, with all their digits."""
    from mosaicbench.catalog import catalog

    resources = {
        name for name, card in catalog.cards("metrics").items() if card["group"] == "resources"
    }
    return sorted(
        tuple(row.values())
        for row in read(results / "tables/scores.tsv")
        if row["metric"] not in resources
    )


def restamp() -> None:
    """Write the present key beside the old one for pages that were of the old code, where all their methods were compared.

    Raises
    ------
    UserError
        When no comparison has the present key and the old one of its commit.
    """
    from mosaicbench.errors import UserError

    present, rows = keys(), read(MARKS)
    record = next((row for row in reversed(read(EQUAL)) if row["new_key"] == present[ALL]), None)
    old = keys_at(record["old_commit"]) if record else {}
    if not record or old.get(ALL) != record["old_key"]:
        command = "python docs/site/provenance.py compare OLD_RESULTS NEW_RESULTS"
        raise UserError(
            f"{EQUAL.name}: no comparison of scores ends at the present code, {present[ALL]}; make one: {command}"
        )
    for row in rows:
        config = row["config"] or ALL
        if last_key(row) == old.get(config) != present[config]:
            missing = set(methods_of(REPOSITORY / config) if row["config"] else []) - set(
                record["methods"].split()
            )
            print(
                f"{row['page']}: {'not compared: ' + ', '.join(sorted(missing)) if missing else 'restamped'}"
            )
            row["restamped_keys"] += "" if missing else f" {present[config]}"
    write(MARKS, rows, COLUMNS)
    refresh(MARKS, present)


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def main() -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ways = parser.add_subparsers(dest="way")
    way = ways.add_parser("mark")
    way.add_argument("pages", nargs="+", metavar="PAGE", help="of docs/results, such as mosaic.md")
    way.add_argument("--commit", required=True)
    way.add_argument("--date", default=_today(), help="default: today")
    way = ways.add_parser("compare")
    way.add_argument("old", type=Path, metavar="OLD_RESULTS")
    way.add_argument("new", type=Path, metavar="NEW_RESULTS")
    ways.add_parser("restamp")
    given = parser.parse_args()
    if given.way == "compare":
        compare(given.old, given.new)
    elif given.way == "restamp":
        restamp()
    else:
        of_commit = keys_at(given.commit) if given.way else {}
        for page in given.pages if given.way else []:
            mark(page, given.commit, of_commit, given.date, MARKS)
        refresh(MARKS)


if __name__ == "__main__":
    from mosaicbench.errors import UserError

    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"provenance: {error}")
