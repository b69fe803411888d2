"""Peak memory of a run."""

from __future__ import annotations

CARD = {
    "group": "resources",
    "best": None,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, None],
    "doi": "",
    "variants": {
        "peak_device_mb": {
            "takes": {"record": "device_record"},
            "keywords": {"of": "peak_device_mb"},
            "label": "Peak device memory (MB)",
            "definition": "Largest memory that tensors held on the GPU, in MB (2^20 bytes); only for runs that used one.",
        },
        "peak_host_mb": {
            "keywords": {"of": "peak_host_mb"},
            "label": "Peak host memory (MB)",
            "definition": "Largest resident memory of the run's process, in MB (2^20 bytes), Python and libraries included.",
        },
    },
}


def peak_memory(record: dict, *, of: str) -> float:
    """Return an entry of the run's record."""
    return float(record[of])
