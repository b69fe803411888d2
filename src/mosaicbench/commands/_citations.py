"""What a config says of papers, for the commands that print what to cite."""

from __future__ import annotations

from collections.abc import Mapping

from mosaicbench.config import registry


def of_datasets(config: Mapping) -> dict[str, str]:
    """Return dataset -> what the registry says of its paper, of those datasets of a config that are not the user's own."""
    known, found = registry.load(config.get("registry") or registry.REGISTRY), {}
    for name, stanza in (config.get("datasets") or {}).items():
        entry = known.get((stanza or {}).get("from", name))
        if entry is not None and "path" not in (stanza or {}):
            found[name] = entry.get("citation", "")
    return found
