"""Write the tables of cards and of imports into the pages of docs.

Run it after a card has changed:  python docs/site/tables.py
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.catalog import search_spaces as spaces

REPOSITORY = Path(__file__).parents[2]
COLUMNS = {
    "methods": ("label", "kind", "summary", "tuned over"),
    "peers": ("label", "kind", "package", "licence", "citation", "summary", "tuned over"),
    "metrics": ("label", "group", "best", "chance", "definition", "fooled by"),
}
BAR = r"\|"  # in a cell of a table, which a bar alone would end
FOOLS = {  # property that a metric lacks -> the input that it scores better than it should
    "collapse_is_not_rewarded": "a collapse",
    "noise_never_improves": "noise",
    "shuffled_is_chance": "answers for other cells",
    "train_mean_is_chance": "the mean profile",
}


def with_fresh_tables(text: str) -> str:
    """Return a page with new content between its markers ``<!-- TABLE -->`` and ``<!-- /TABLE -->``."""
    for table in [*COLUMNS, "imports"]:
        if f"<!-- {table} -->" in text:
            before, rest = text.split(f"<!-- {table} -->", 1)
            after = rest.split(f"<!-- /{table} -->", 1)[1]
            lines = [f"{before}<!-- {table} -->", *markdown(table), f"<!-- /{table} -->{after}"]
            text = "\n".join(lines)
    return text


def markdown(table: str) -> list[str]:
    """Return the lines of a table."""
    if table == "imports":
        header, rows = ["level", "rooms"], layers()
    else:
        header = ["id", *COLUMNS[table]]
        rows = [(f"`{name}`", *map(card.get, header[1:])) for name, card in listed(table).items()]
    lines = [" | ".join(str(cell).replace("|", BAR) for cell in row) for row in [header, *rows]]
    lines = [f"| {line} |" for line in lines]
    return [lines[0], "|---" * len(header) + "|", *lines[1:]]


def layers() -> list[tuple[int, str]]:
    """Return (level, rooms), the highest first, as pyproject.toml states them for import-linter."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    (contract,) = [
        one for one in project["tool"]["importlinter"]["contracts"] if one["type"] == "layers"
    ]
    rooms = [", ".join(layer.split(" | ")) for layer in contract["layers"]]
    return list(zip(range(len(rooms) - 1, -1, -1), rooms, strict=True))


def listed(table: str) -> dict[str, dict]:
    """Return the cards of a table; peers are the methods that wrap a package."""
    if table == "metrics":
        return {name: card | _in_words(card) for name, card in catalog.cards("metrics").items()}
    methods = {}
    for name, card in catalog.cards("methods").items():
        if ("wraps" in card) == (table == "peers"):
            space = card.get("space", {})
            tuned = "; ".join(f"`{key}` {spaces.in_words(values)}" for key, values in space.items())
            methods[name] = card | {"tuned over": tuned} | _of_package(card)
    return methods


def _in_words(card: dict) -> dict[str, str]:
    """Return the ends of a metric, and what fools it, as cells of a table."""
    ends = {end: "" if card[end] is None else f"{card[end]:g}" for end in ("best", "chance")}
    why = card.get("exempt_from", {})
    fooled = "; ".join(f"{what} ({why[name]})" for name, what in FOOLS.items() if name in why)
    return ends | {"fooled by": fooled}


def _of_package(card: dict) -> dict[str, str]:
    if "wraps" not in card:
        return {}
    package = card["wraps"]
    where = " (own environment)" if "environment" in card else ""
    return {
        "package": f"{package['package']} {package['version']}{where}",
        "licence": package["licence"],
        "citation": f"[{card['paper']}](https://doi.org/{card['doi']})",
    }


if __name__ == "__main__":
    for page in sorted((REPOSITORY / "docs").glob("*.md")):
        page.write_text(with_fresh_tables(page.read_text()))
