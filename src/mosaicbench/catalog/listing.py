"""`mosaicbench list`: the cards of methods, metrics, datasets and figures, one line each."""

from __future__ import annotations

from mosaicbench.catalog import catalog


def main(*, room: str | None) -> None:
    """Print every card of a room, or of all rooms."""
    for name in [room] if room else catalog.ROOMS:
        print(name)
        for entry, card in catalog.cards(name).items():
            text = card.get("summary") or card.get("definition") or card.get("caption")
            print(f"  {entry:32} {card['label']:24} {text}")
