"""What the design of a split means for its scores, from its audit: hidden types that balance it, and donors on both sides."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from mosaicbench.report.page.render import said
from mosaicbench.report.theme import Theme

ON_BOTH_SIDES = re.compile(
    r"(\d+) of (\d+) groups of (\w+) are on both sides"
)  # as data/audit.py writes it


def notes(
    audit: pd.DataFrame | None, dataset: str, scenarios: Mapping[str, Mapping], theme: Theme
) -> list[str]:
    """Return one sentence per thing that a reader of the scores must know of the split's design.

    Parameters
    ----------
    audit
        The ``audit.tsv`` of one seed of the split; None where there is none.
    dataset
        The split's dataset.
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
            shared, several, column = found.groups()
            apart = [
                theme.label("scenarios", name)
                for name, stanza in scenarios.items()
                if (stanza.get("split") or {}).get("by") == column
                and dataset in stanza.get("datasets", [dataset])
            ]
            if int(shared):
                facts = {"shared": shared, "several": several, "column": column}
                sentences.append(said("shared_groups", **facts, apart=apart))
        elif row["role"] == "design":
            sentences.append(said("balanced" if row["modality"] == "-" else "design", row=row))
    return sentences
