"""The page as one HTML file with its style, script and pictures, which needs no network."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

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
    scripts = [
        (ASSETS / name).read_text("utf-8") for name in ("sortable.min.js", "page.js", "choose.js")
    ]
    script = "\n".join(map(str.strip, scripts))
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
