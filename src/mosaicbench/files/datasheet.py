"""The datasheet of a dataset: what was read, as ``prepare`` keeps it in the dataset's own file.

It is a dict of JSON: ``dataset``, ``cells``; ``measured_in``, modalities -> cells; ``cell_types`` and
``batches``, name -> cells; ``labels``, where the types come from; ``left_out``, reason -> cells;
``links``, a sentence per pair of modalities; and ``modalities``, name -> ``kind``, ``values``,
``source``, ``cells``, ``features``, ``linked``, ``depth`` (median counts per cell) and ``left_out``,
reason -> features.
"""

from __future__ import annotations

import json
from pathlib import Path

DATASHEET = "datasheet"  # its key beside "warnings" in what a dataset says about itself
COLUMNS = [
    "dataset",
    "modality",
    "kind",
    "values",
    "source",
    "cells",
    "features",
    "linked_features",
    "depth",
    "features_left_out",
    "cells_of_dataset",
    "cells_in_all",
    "cells_left_out",
    "cell_types",
    "cells_by_type",
    "labels",
    "batches",
    "cells_by_batch",
]
WARNING_COLUMNS = ["dataset", "warning"]
SHOWN = 8  # cell types and batches of a line in the terminal


def read_datasheet(path: str | Path) -> tuple[dict, list[str]]:
    """Return a dataset's datasheet and its warnings, without reading the dataset.

    Raises
    ------
    errors.ContractError
        When the file is no dataset of ``prepare``.
    """
    from mosaicbench.files._h5 import KEY, read_h5

    def texts(file: str | Path) -> list[str]:
        import h5py

        with h5py.File(file) as opened:
            about = opened["uns"][KEY]
            return [about[key].asstr()[()] for key in (DATASHEET, "warnings")]

    sheet, warnings = map(json.loads, read_h5(path, texts))
    return sheet, warnings


def rows_of(sheet: dict) -> list[list]:
    """Return a row per modality, columns `COLUMNS`."""
    every = " and ".join(sheet["modalities"])
    of_dataset = [
        sheet["cells"],
        sheet["measured_in"].get(every, 0),
        counted(sheet["left_out"]),
        len(set(sheet["cell_types"]) - {""}),
        counted(sheet["cell_types"]),
        sheet["labels"],
        len(sheet["batches"]),
        counted(sheet["batches"]),
    ]
    return [
        [
            sheet["dataset"],
            modality,
            *(of[key] for key in ("kind", "values", "source", "cells", "features", "linked", "depth")),
            counted(of["left_out"]),
            *of_dataset,
        ]
        for modality, of in sheet["modalities"].items()
    ]


def lines(sheet: dict, warnings: list[str]) -> list[str]:
    """Return a datasheet and its warnings for the terminal, each line with the dataset's name."""
    found = []
    for modalities, cells in sheet["measured_in"].items():
        of_all = "" if cells == sheet["cells"] else f" of {sheet['cells']:,}"
        alone = "" if " and " in modalities else " alone"
        found.append(f"{cells:,}{of_all} cells measured in {modalities}{alone}")
    for modality, of in sheet["modalities"].items():
        facts = [f"{of['cells']:,} cells", f"{of['features']:,} features"]
        depth = of["depth"]
        facts.append(of["values"] if depth is None else f"median {depth:,.0f} counts per cell")
        facts += [f"from {of['source']}"] if of["source"] else []
        found.append(f"{modality}: {', '.join(facts)}")
        if of["left_out"]:
            found.append(f"{modality}: features left out: {counted(of['left_out'])}")
    for what, key in (("cell types", "cell_types"), ("batches", "batches")):
        number = len(set(sheet[key]) - {""})
        found.append(f"{what} ({number}): {counted(sheet[key], most=SHOWN)}")
    found += [f"labels: {sheet['labels']}"] if sheet["labels"] else []
    found += [f"dropped {cells:,} cells: {reason}" for reason, cells in sheet["left_out"].items()]
    found += [f"links {text}" for text in sheet["links"]]
    found += [f"warning: {text}" for text in warnings]
    return [f"{sheet['dataset']}: {line}" for line in found]


def counted(numbers: dict[str, int], most: int | None = None) -> str:
    """Return "B cell: 120; T cell: 80; no label: 3", of at most so many names."""
    shown = [f"{name or 'no label'}: {number}" for name, number in numbers.items()][:most]
    more = len(numbers) - len(shown)
    return "; ".join([*shown, f"{more} more"] if more else shown)
