"""Coverage: how often the truth falls into the middle of its draws."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._draws import checked, mass_between, transforms

CARD = {
    "label": "Coverage of {percent} % intervals",
    "group": "calibration",
    "better": "nearer",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Share of measured values that fall into the central {percent} % of their draws, over a sample of query "
    "cells and features: {percent} % of a calibrated prediction, less where it is too sure, more where it is not sure enough,"
    " 0 where all draws are one wrong value. A value that equals some draws has equal parts in all their places.",
    "doi": "10.1111/j.1467-9868.2007.00587.x",
    "variants": {
        "coverage_50": {"keywords": {"percent": 50}, "best": 0.5},
        "coverage_90": {"keywords": {"percent": 90}, "best": 0.9},
    },
    "lacks": {
        "best_is_a_bound": "neither more nor less is better",
    },
}


def interval_coverage(
    draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray, *, percent: int
) -> float:
    """Return the share of (cells, features) of the truth inside the middle of (cells, features, draws).

    Raises
    ------
    ValueError
        When shapes do not fit or a value is not finite.
    Undefined
        When there are no cells, no features, or fewer than two draws.
    """
    draws, truth = checked(draws, drawn_truth)
    outside = (1 - percent / 100) / 2
    return float(mass_between(outside, 1 - outside, transforms(draws, truth, drawn_std)).mean())
