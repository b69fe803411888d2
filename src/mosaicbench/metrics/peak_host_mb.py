"""Peak memory of a run."""

from __future__ import annotations

CARD = {
    "label": "Peak memory",
    "group": "resources",
    "best": None,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, None],
    "definition": "Largest resident memory of the run's process, in MB (2^20 bytes), Python and libraries included.",
    "doi": "",
}


def peak_host_mb(record: dict) -> float:
    """Return it from the run's record."""
    return float(record["peak_host_mb"])
