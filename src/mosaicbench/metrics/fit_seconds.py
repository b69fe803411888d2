"""Fit time of a run."""

from __future__ import annotations

CARD = {
    "label": "Fit time (s)",
    "group": "resources",
    "best": None,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, None],
    "definition": "Wall-clock seconds of training alone, without imports, reading, embedding and writing.",
    "doi": "",
}


def fit_seconds(record: dict) -> float:
    """Return it from the run's record."""
    return float(record["seconds"]["fit"])
