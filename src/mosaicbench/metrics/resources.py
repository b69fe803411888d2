"""Time and memory of a run."""

from __future__ import annotations

CARDS = {
    "fit_seconds": {
        "label": "Fit time (s)",
        "group": "resources",
        "better": "lower",
        "bounds": [0.0, None],
        "definition": "Wall-clock seconds of training, without imports, reading, embedding and "
        "writing.",
    },
    "peak_host_mb": {
        "label": "Peak host memory (MB)",
        "group": "resources",
        "better": "lower",
        "bounds": [0.0, None],
        "definition": "Largest resident memory of the run's process, in MB (2^20 bytes), Python "
        "and libraries included.",
    },
    "peak_device_mb": {
        "like": "peak_host_mb",
        "label": "Peak device memory (MB)",
        "definition": "Largest memory that tensors held on the GPU, in MB (2^20 bytes); only for "
        "runs that used one.",
    },
}


def fit_seconds(record: dict) -> float:
    """Return the seconds of the fit."""
    return float(record["seconds"]["fit"])


def peak_host_mb(record: dict) -> float:
    """Return the memory in MB."""
    return float(record["peak_host_mb"])


def peak_device_mb(device_record: dict) -> float:
    """Return the memory in MB."""
    return float(device_record["peak_device_mb"])
