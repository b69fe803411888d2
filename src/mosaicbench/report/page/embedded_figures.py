"""Figures become text inside a page: as SVG, or as PNG where many points make the SVG heavy."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from mosaicbench.errors import ContractError
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
        """Return every figure that was drawn for a view (dataset, scenario), a dataset, or, without a place, for all.

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
                files = {
                    kind: f"{self.folder.name}/{stem}.{kind}" for kind in ("svg", "png", "tsv")
                }
                texts = {"name": name, "label": card["label"], "caption": card["caption"]}
                reason = _reason(self.folder / f"{stem}.tsv")
                if reason:
                    self.not_drawn.append(
                        f"figure not drawn: {card['label']}, {', '.join(place) or 'all datasets'} ({reason})"
                    )
                figures.append(
                    texts
                    | files
                    | {"reason": reason, "uri": None if reason else self._uri(self.folder / stem)}
                )
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
    if not text.rstrip().endswith("</svg>"):
        raise ContractError(f"{path}: is no whole picture, but cut short; delete it and run again")
    text = re.sub(preamble, "", text, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text).replace("> <", "><").strip()
    for character, code in (("%", "%25"), ("#", "%23"), ("&", "&amp;"), ("'", "&#39;")):
        text = text.replace(character, code)
    return f"data:image/svg+xml;charset=utf-8,{text}"


def _png_uri(path: Path) -> str:
    """Return a PNG as a data URI, in 256 colours: a third of the bytes, and hardly a difference to the eye."""
    content = io.BytesIO()
    try:
        picture = Image.open(path)
        picture.load()
    except (OSError, SyntaxError) as error:
        raise ContractError(
            f"{path}: is no whole picture ({error}); delete it and run again"
        ) from error
    with picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
