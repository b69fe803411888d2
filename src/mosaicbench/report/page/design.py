"""What the design of a view means for its scores, from its audit: hidden types that balance it, and donors on both sides."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from mosaicbench.report.theme import Theme

ON_BOTH_SIDES = re.compile(
    r"(\d+) of (\d+) groups of (\w+) are on both sides"
)  # as data/audit.py writes it


def notes(
    audit: pd.DataFrame | None, dataset: str, scenarios: Mapping[str, Mapping], theme: Theme
) -> list[str]:
    """Return one sentence per thing that a reader of the scores must know of the view's design.

    Parameters
    ----------
    audit
        The ``audit.tsv`` of one seed of the view; None where there is none.
    dataset
        The view's dataset.
    scenarios
        The config's scenarios, among which one may hold whole groups out.
    theme
        Labels of scenarios.
    """
    if audit is None:
        return []
    sentences = []
    for row in audit[audit["role"].isin(["division", "design"])].to_dict("records"):
        if found := ON_BOTH_SIDES.fullmatch(row["what"]):
            shared, several, column = int(found[1]), int(found[2]), found[3]
            if shared:
                sentences.append(_shared(shared, several, column, dataset, scenarios, theme))
        elif row["role"] == "design" and row["modality"] == "-":
            sentences.append(
                "Which train cells are measured in what is balanced by cell types that methods do not see: every part holds "
                "the same share of each type, as methods that match distributions assume. `balanced: false` in the scenario "
                "deals cells out at random."
            )
        elif row["role"] == "design":
            sentences.append(f"{row['modality']}: {row['what']} ({row['cells']} cells).")
    return sentences


def _shared(
    shared: int,
    several: int,
    column: str,
    dataset: str,
    scenarios: Mapping[str, Mapping],
    theme: Theme,
) -> str:
    """Return that train and query share groups, and the scenario that holds them out."""
    apart = [
        theme.label("scenarios", name)
        for name, stanza in scenarios.items()
        if (stanza.get("split") or {}).get("by") == column
        and dataset in stanza.get("datasets", [dataset])
    ]
    where = (
        f"Scenarios that hold them out: {', '.join(apart)}."
        if apart
        else (f"No scenario here holds them out; `split: {{by: {column}}}` in a scenario does.")
    )
    return (
        f"Train and query cells share {shared} of {several} groups of {column}, so scores say nothing about a new {column}. "
        + where
    )
