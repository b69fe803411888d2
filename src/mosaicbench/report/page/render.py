"""The page as one HTML file with its style, script and pictures, which needs no network."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from mosaicbench.report.page.cells import in_words, many

HERE = Path(__file__).parent
ASSETS = HERE / "assets"
ENVIRONMENT = Environment(
    loader=FileSystemLoader(HERE),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters |= {"in_words": in_words, "many": many}


def render(template: str, **context: object) -> str:
    """Return a page; all values of the context are escaped.

    The page's policy lets the browser run its own script and load only what is inside the page.
    """
    scripts = ("sortable.min.js", "page.js", "choose.js")
    script = "\n".join((ASSETS / name).read_text("utf-8").strip() for name in scripts)
    return ENVIRONMENT.get_template(template).render(
        style=(ASSETS / "page.css").read_text("utf-8"),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **context,
    )


def sentence(name: str, **facts: object) -> str:
    """Return a sentence of ``sentences.html.j2`` with escaped facts; it may be ""."""
    text = getattr(ENVIRONMENT.get_template("sentences.html.j2").module, name)(**facts)
    return type(text)(re.sub(r"[ \n]+", " ", text).strip())  # escaped already


# --- figures, as SVG, or as WebP if many points make the SVG heavy ---


LARGEST_SVG = 60_000  # bytes; a heavier one becomes a WebP if that is lighter
CODES = str.maketrans({"%": "%25", "#": "%23", "&": "&amp;", "'": "&#39;"})
STEP = 255 / 9  # between levels of a colour: none moves by more than half of it, however rare it is


def embedded_figures(folder: Path, cards: dict[str, dict], *place: str) -> list[dict]:
    """Return every figure that was drawn for a split (dataset, scenario), or, without one, for all.

    `folder` is the output of ``draw``; `cards` are in the order of the page. The `uri` is safe
    between single quotes.
    """
    figures = []
    for name, card in cards.items():
        svg, png, tsv = (folder.joinpath(*place, f"{name}.{end}") for end in ("svg", "png", "tsv"))
        if svg.is_file():
            uri = _svg_uri(svg)
            if len(uri) > LARGEST_SVG:
                uri = min(uri, _webp_uri(png), key=len)
            figures.append(
                {
                    "name": name,
                    "label": card["label"],
                    "caption": card["caption"],
                    "tsv": tsv.relative_to(folder.parent),
                    "uri": uri,
                }
            )
    return figures


def _svg_uri(path: Path) -> str:
    preamble = r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>"
    text = re.sub(preamble, "", path.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text).replace("> <", "><").strip()
    return f"data:image/svg+xml;charset=utf-8,{text.translate(CODES)}"


def _webp_uri(path: Path) -> str:
    content = io.BytesIO()
    with Image.open(path) as picture:
        few = picture.convert("RGB").point([round(round(x / STEP) * STEP) for x in range(256)] * 3)
        few.save(content, "WEBP", lossless=True)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"
