"""Figures become text inside a page: as SVG, or as PNG where many points make the SVG heavy."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from mosaicbench.files.tables import read_table
from mosaicbench.report.theme import NOT_DRAWN

LARGEST_SVG = 150_000  # bytes of one picture; a heavier one becomes a PNG if that is lighter
LARGEST_TOTAL = 40_000_000  # bytes of the pictures of one page
COLOURS = 256


class EmbeddedFigures:
    """Turns the files of figures into data URIs, until the page has reached its size limit.

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
        self.not_drawn: list[
            str
        ] = []  # a sentence for each figure that has a reason in its place, as far as asked for

    def of(self, *place: str) -> list[dict]:
        """Return every figure that was drawn for a split (dataset, scenario), or, without a place, for all.

        Returns
        -------
        list of dict
            name, label, caption; `uri`, safe between single quotes, or None where the page is full; `svg`, `png` and `tsv`,
            the files beside the page; `reason`, why it could not be drawn, "" where it was.
        """
        figures = []
        for name, card in self.cards.items():
            stem = "/".join((*place, name))
            if (self.folder / f"{stem}.svg").is_file():
                reason = _reason(self.folder / f"{stem}.tsv")
                if reason:
                    where = ", ".join(place) or "all datasets"
                    self.not_drawn.append(f"figure not drawn: {card['label']}, {where} ({reason})")
                files = {end: f"{self.folder.name}/{stem}.{end}" for end in ("svg", "png", "tsv")}
                uri = None if reason else self._uri(self.folder / stem)
                facts = {"name": name, "label": card["label"], "caption": card["caption"]}
                figures.append(facts | files | {"reason": reason, "uri": uri})
        return figures

    def _uri(self, stem: Path) -> str | None:
        uri, png = _svg_uri(stem.with_name(f"{stem.name}.svg")), stem.with_name(f"{stem.name}.png")
        if len(uri) > LARGEST_SVG and png.is_file():
            uri = min(uri, _png_uri(png), key=len)
        if len(uri) > self.left:
            return None
        self.left -= len(uri)
        return uri


def _reason(numbers: Path) -> str:
    """Return why a figure could not be drawn, which then stands in the place of its numbers."""
    if not numbers.is_file():
        return ""
    with numbers.open(encoding="utf-8") as lines:
        was_drawn = lines.readline().strip() != NOT_DRAWN
    return "" if was_drawn else str(read_table(numbers)[NOT_DRAWN].iloc[0])


def _svg_uri(path: Path) -> str:
    """Return an SVG as a data URI, as text: a quarter lighter than base64."""
    preamble = r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>"
    text = path.read_text("utf-8")
    text = re.sub(preamble, "", text, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text).replace("> <", "><").strip()
    for character, code in (("%", "%25"), ("#", "%23"), ("&", "&amp;"), ("'", "&#39;")):
        text = text.replace(character, code)
    return f"data:image/svg+xml;charset=utf-8,{text}"


def _png_uri(path: Path) -> str:
    """Return a PNG as a data URI, in 256 colours: a third of the bytes, and hardly a difference to the eye."""
    content = io.BytesIO()
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
