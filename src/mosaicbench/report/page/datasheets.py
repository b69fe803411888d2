"""What was read of each dataset, and what to look at before its scores."""

from __future__ import annotations

import pandas as pd

from mosaicbench.report.page.cells import Column, Grid, label_column, table
from mosaicbench.report.theme import Theme

NO_DEPTH = "these values are no counts"
TEXTS = {  # if any dataset has one
    "features_left_out": "Features left out",
    "source": "Values from",
}
DETAILS = {
    "cells_by_type": "Cells by type",
    "labels": "Labels from",
    "cells_by_batch": "Cells by batch",
    "cells_left_out": "Cells left out",
    "links": "Links",
}


def datasheets(sheets: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return the table of what was read, a row per modality; None without a datasheet."""

    def number(label: str, key: str, about: str = "") -> Column:
        return Column(label, key, ",.0f", why=NO_DEPTH, about=about, descending=True)

    columns = [
        label_column(theme, "dataset"),
        Column("Modality", lambda row: theme.label("modalities", row["modality"])),
        number("Cells", "cells", "measured in this modality"),
        number("In all", "cells_in_all", "cells measured in all modalities"),
        number("Features", "features"),
        number("Linked", "linked_features", "features linked to one of another modality"),
        number("Median counts", "depth", "of a cell"),
        number("Cell types", "cell_types"),
        number("Batches", "batches"),
    ]
    columns += [
        Column(label, key, words=key == "source")
        for key, label in TEXTS.items()
        if sheets[key].any()
    ]
    return table("Datasets as they were read", columns, sheets)


def details(sheets: pd.DataFrame, theme: Theme) -> list[tuple[str, dict[str, str]]]:
    """Return label, and name -> text of what is too long for the table, of each dataset."""
    datasets = sheets.drop_duplicates("dataset")
    texts = datasets[list(DETAILS)].rename(columns=DETAILS).to_dict("records")
    labels = [theme.label("datasets", name) for name in datasets["dataset"]]
    return list(zip(labels, texts, strict=True))


def warnings(found: pd.DataFrame, theme: Theme) -> dict[str, str]:
    """Return warning -> labels of its datasets."""
    of_warning = found.groupby("warning", sort=False)["dataset"]
    return {text: theme.labels("datasets", names) for text, names in of_warning}
