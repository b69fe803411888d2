"""Pages: one HTML file each, with style, script and pictures inside, that needs no network."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mosaicbench.report.page.cells import interval, many, three_decimals

HERE = Path(__file__).parent
SCRIPTS = ("sortable.min.js", "page.js")
ENVIRONMENT = Environment(
    loader=FileSystemLoader(HERE),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.tests |= {"nan": pd.isna, "empty": lambda found: len(found) == 0}
ENVIRONMENT.filters |= {
    "many": many,
    "score": three_decimals,
    "interval": lambda row: interval(row["low"], row["high"]),
}


def render(template: str, **context: object) -> str:
    """Return a page; everything that comes from a file or a name is escaped.

    The page's policy lets the browser run these scripts and no other, and load nothing but what is inside.

    Parameters
    ----------
    template
        A file of this folder that extends ``page.html.j2``.
    context
        What the template asks for.
    """
    script = "\n".join((HERE / "assets" / name).read_text("utf-8").strip() for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    inside = {
        "style": (HERE / "assets/page.css").read_text("utf-8"),
        "script": script,
        "script_digest": digest,
    }
    return ENVIRONMENT.get_template(template).render(**inside, **context)


def said(sentence: str, **facts: object) -> str:
    """Return a sentence of ``sentences.html.j2`` about these facts, which are escaped; "" where it has nothing to say."""
    text = getattr(ENVIRONMENT.get_template("sentences.html.j2").module, sentence)(**facts)
    return type(text)(re.sub(r"[ \n]+", " ", text).strip())  # escaped already
