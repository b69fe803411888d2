"""Pages: one HTML file each, with style, script and pictures inside, that needs no network."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).parent
SCRIPTS = ("sortable.min.js", "page.js")


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
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = "\n".join((HERE / "assets" / name).read_text("utf-8").strip() for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    inside = {
        "style": (HERE / "assets/page.css").read_text("utf-8"),
        "script": script,
        "script_digest": digest,
    }
    return environment.get_template(template).render(**inside, **context)
