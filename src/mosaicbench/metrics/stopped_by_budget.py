"""Stopped by the budget: a training that ran into its cap before its validation cost had levelled off."""

from __future__ import annotations

from collections.abc import Mapping

CARD = {
    "label": "Stopped by the budget",
    "group": "sanity",
    "best": 0.0,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "1 where a training reached `max_epochs` less than `patience` epochs after the epoch whose weights it kept, "
    "so that more epochs might have lowered its validation cost; else 0. Not defined where the last weights are kept.",
    "doi": "",
}


def stopped_by_budget(stopping: Mapping[str, int]) -> float:
    """Return 1.0 or 0.0, from the numbers "epochs" trained, "kept_epoch", "max_epochs" and "patience"."""
    capped = stopping["epochs"] == stopping["max_epochs"]
    return float(capped and stopping["epochs"] - stopping["kept_epoch"] < stopping["patience"])
