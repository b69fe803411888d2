"""Peak memory of a run on its GPU."""

from __future__ import annotations

CARD = {
    "label": "Peak GPU memory",
    "group": "resources",
    "best": None,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, None],
    "definition": "Largest memory that tensors held on the GPU, in MB (2^20 bytes); only for runs that used one.",
    "doi": "",
}


def peak_device_mb(device_record: dict) -> float:
    """Return it from the record of a run that used a GPU."""
    return float(device_record["peak_device_mb"])
