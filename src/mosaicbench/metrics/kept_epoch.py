"""The epoch whose weights were kept."""

from __future__ import annotations

from collections.abc import Mapping

CARD = {
    "label": "Epoch kept",
    "group": "sanity",
    "best": None,
    "better": "lower",
    "chance": None,
    "bounds": [1.0, None],
    "definition": "The number of the epoch whose weights a trained method kept: that of the lowest validation cost, or the "
    "last where the run says so.",
    "doi": "",
}


def kept_epoch(trained: Mapping[str, int]) -> float:
    """Return ``trained["kept_epoch"]``."""
    return float(trained["kept_epoch"])
