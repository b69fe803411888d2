"""Figures become text inside a page: as SVG or as PNG, whichever is lighter."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path

LARGEST_TOTAL = 30_000_000  # bytes of pictures in one page


class Pictures:
    """Turns the files of figures into data URIs, until the page is as heavy as it may be.

    Parameters
    ----------
    folder
        What ``draw`` wrote.
    cards
        figure -> card, in the order of the page.
    """

    def __init__(self, folder: Path, cards: Mapping[str, dict]) -> None:
        self.folder = folder
        self.cards = cards
        self.left = LARGEST_TOTAL

    def of(self, *place: str) -> list[dict]:
        """Return every figure that was drawn for a view (dataset, scenario), a dataset, or, without a place, for all.

        Returns
        -------
        list of dict
            name, label, caption; `uri`, safe between single quotes, or None where the page is full; `svg`, `png` and `tsv`,
            the files beside the page.
        """
        found = []
        for name, card in self.cards.items():
            stem = "/".join((*place, name))
            if (self.folder / f"{stem}.svg").is_file():
                files = {kind: f"figures/{stem}.{kind}" for kind in ("svg", "png", "tsv")}
                texts = {"name": name, "label": card["label"], "caption": card["caption"]}
                found.append(texts | files | {"uri": self._uri(self.folder / stem)})
        return found

    def _uri(self, stem: Path) -> str | None:
        uris = [_svg_uri(stem.with_name(f"{stem.name}.svg"))]
        png = stem.with_name(f"{stem.name}.png")
        if png.is_file():
            uris.append(f"data:image/png;base64,{base64.b64encode(png.read_bytes()).decode()}")
        lightest = min(uris, key=len)
        if len(lightest) > self.left:
            return None
        self.left -= len(lightest)
        return lightest


def _svg_uri(path: Path) -> str:
    """Return an SVG as a data URI, as text: a quarter lighter than base64."""
    preamble = r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>"
    text = re.sub(preamble, "", path.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text).replace("> <", "><").strip()
    for character, code in (("%", "%25"), ("#", "%23"), ("&", "&amp;"), ("'", "&#39;")):
        text = text.replace(character, code)
    return f"data:image/svg+xml;charset=utf-8,{text}"
