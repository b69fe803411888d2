"""What there is: the cards of the shelves, one line each, and the tables of them that stand in the documentation."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.catalog import catalog, rooms
from mosaicbench.catalog import search_spaces as spaces

MARKDOWN_COLUMNS = {
    "methods": ("label", "kind", "summary", "tuned over"),
    "peers": ("label", "kind", "package", "licence", "citation", "summary", "tuned over"),
    "metrics": ("label", "group", "best", "chance", "definition", "fooled by"),
}
MARKDOWN_BAR = r"\|"  # in a cell of a table, where a bar alone would end it
FOOLS = {  # property that a metric's card says it lacks -> what then scores better than it should
    "collapse_is_not_rewarded": "a collapse",
    "noise_never_improves": "noise",
    "shuffled_is_chance": "answers for other cells",
    "train_mean_is_chance": "the mean profile",
}


def main(*, room: str | None, into: Path | None) -> None:
    """Print every card of a room, or of all rooms, one line each; or write the tables of a Markdown file."""
    if into is not None:
        into.write_text(with_fresh_tables(into.read_text()))
        return
    for name in [room] if room else catalog.ROOMS:
        print(name)
        for entry, card in catalog.cards(name).items():
            print(
                f"  {entry:32} {card['label']:24} {card.get('summary') or card.get('definition') or card.get('caption')}"
            )


def with_fresh_tables(text: str) -> str:
    """Return a Markdown text in which what stands between ``<!-- TABLE -->`` markers is that table: of cards, or of imports."""
    for table in [*MARKDOWN_COLUMNS, "imports"]:
        if f"<!-- {table} -->" in text:
            before, rest = text.split(f"<!-- {table} -->", 1)
            after = rest.split(f"<!-- /{table} -->", 1)[1]
            text = "\n".join(
                [f"{before}<!-- {table} -->", *markdown(table), f"<!-- /{table} -->{after}"]
            )
    return text


def markdown(table: str) -> list[str]:
    """Return the lines of a table: of cards, or of imports."""
    if table == "imports":
        header, rows = ["level", "room", "imports"], rooms.table()
    else:
        header = ["id", *MARKDOWN_COLUMNS[table]]
        rows = [(f"`{name}`", *map(card.get, header[1:])) for name, card in listed(table).items()]
    lines = [
        f"| {' | '.join(str(cell).replace('|', MARKDOWN_BAR) for cell in row)} |" for row in rows
    ]
    return [f"| {' | '.join(header)} |", "|---" * len(header) + "|", *lines]


def listed(table: str) -> dict[str, dict]:
    """Return the cards of a table: peers are the methods that wrap a package, with what is known of it."""
    if table == "metrics":
        return {name: card | _in_words(card) for name, card in catalog.cards("metrics").items()}
    methods = {
        name: card | {"tuned over": _searched(card)}
        for name, card in catalog.cards("methods").items()
    }
    if table == "methods":
        return {name: card for name, card in methods.items() if "wraps" not in card}
    return {name: card | _of_package(card) for name, card in methods.items() if "wraps" in card}


def _in_words(card: dict) -> dict[str, str]:
    """Return what a metric's card says of its ends, and of what it rewards and should not, as cells of a table."""
    ends = {end: "" if card[end] is None else f"{card[end]:g}" for end in ("best", "chance")}
    lacks = card.get("exempt_from", {})
    return ends | {
        "fooled by": "; ".join(
            f"{what} ({lacks[name]})" for name, what in FOOLS.items() if name in lacks
        )
    }


def _searched(card: dict) -> str:
    """Return which hyperparameters are searched when a method is tuned, and over which values."""
    return "; ".join(
        f"`{name}` {spaces.in_words(values)}" for name, values in card.get("space", {}).items()
    )


def _of_package(card: dict) -> dict[str, str]:
    package = card["wraps"]
    where = " (own environment)" if "environment" in card else ""
    citation = f"[{card['paper']}](https://doi.org/{card['doi']})"
    return {
        "package": f"{package['package']} {package['version']}{where}",
        "licence": package["licence"],
        "citation": citation,
    }
