"""What a config and CITATION.cff say of papers, for the commands that print what to cite."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from mosaicbench import layout, registry


def of_datasets(config: Mapping) -> dict[str, str]:
    """Return dataset -> what the registry says of its paper, of those datasets of a config that are not the user's own."""
    known, found = registry.load(config.get("registry") or registry.REGISTRY), {}
    for name, stanza in (config.get("datasets") or {}).items():
        entry = known.get((stanza or {}).get("from", name))
        if entry is not None and "path" not in (stanza or {}):
            found[name] = entry.get("citation", "")
    return found


def of_this_package() -> dict[str, str]:
    """Return the title, authors and year of CITATION.cff."""
    stated = yaml.safe_load(layout.project_file("CITATION.cff").read_text(encoding="utf-8"))
    authors = [author.get("name") or f"{author['family-names']}, {author['given-names']}" for author in stated["authors"]]
    about = {"title": stated["title"], "author": " and ".join(f"{{{name}}}" for name in authors)}
    year = str(stated.get("date-released", ""))[:4]
    return about | ({"year": year} if year else {})
