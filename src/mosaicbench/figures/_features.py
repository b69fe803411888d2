"""The features whose imputed values are drawn: best, median and worst of every direction."""

from __future__ import annotations

import pandas as pd

from mosaicbench.report.theme import Theme

PLACES = {"best": "best", "median": "median", "worst": "worst"}


def features_of(imputed_values: pd.DataFrame, theme: Theme) -> list[tuple[str, str, str]]:
    """Return (direction, place, feature), directions in display order, features from best to worst."""
    named = imputed_values.drop_duplicates(["direction", "place"]).set_index(
        ["direction", "place"]
    )["feature"]
    return [
        (direction, place, named[(direction, place)])
        for direction in theme.directions(imputed_values["direction"])
        for place in PLACES
        if (direction, place) in named.index
    ]
