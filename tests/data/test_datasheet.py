"""The datasheet: what was read of a dataset, counted by hand, in its file, in the terminal and in the tables."""

import json

import numpy as np
import pytest
from mosaicbench_splits import prepared

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.data.datasheet import datasheet
from mosaicbench.errors import ContractError
from mosaicbench.files._h5 import KEY
from mosaicbench.files.datasheet import COLUMNS, lines, read_datasheet

CELLS = ["a", "b", "c", "d"]


@pytest.fixture
def rows():
    """Return the rows of four cells: RNA in all, proteins in three."""
    rna = np.array([[1, 2, 0], [4, 0, 0], [5, 1, 1], [0, 9, 0]])
    adt = np.array([[2, 1], [1, 1], [7, 3]])
    dataset = assembled(
        {
            "rna": Measurement(rna, ["CD4", "CD8A", "MS4A1"], "rna"),
            "adt": Measurement(adt, ["CD4", "IgG1"], "adt", cells=CELLS[1:]),
        },
        cells=CELLS,
        cell_type=["B", "T", "T", ""],
        batch=["x", "x", "y", "x"],
    )
    left_out = {"doublets": 3, "no reason": 0}
    dataset["adt"].uns |= {"source": "adt.h5ad, X", "features_left_out": '{"hashtags": 2}'}
    return datasheet(dataset, name="mine", labels="obs column 'type'", left_out=left_out)


def test_every_number_of_a_datasheet_is_that_of_the_cells(rows):
    rna, adt = rows
    assert list(rna) == list(adt) == COLUMNS
    whole = {
        "cells_of_dataset": 4,
        "cells_in_all": 3,
        "measured_in": "rna and adt: 3; rna: 1",
        "cells_left_out": "doublets: 3",
        "cell_types": 2,
        "cells_by_type": "T: 2; B: 1; no label: 1",
        "labels": "obs column 'type'",
        "batches": 2,
        "cells_by_batch": "x: 3; y: 1",
    }
    assert whole.items() <= rna.items() & adt.items()
    assert (rna["cells"], rna["features"], rna["depth"], rna["source"]) == (4, 3, 5.5, "")
    assert (adt["cells"], adt["features"], adt["depth"]) == (3, 2, 3.0)
    assert adt["source"] == "adt.h5ad, X"
    assert (rna["features_left_out"], adt["features_left_out"]) == ("", "hashtags: 2")


def test_the_terminal_shows_all_of_it_and_each_warning_with_the_dataset(rows):
    shown = lines(rows, ["one odd thing", "another"])
    assert all(line.startswith("mine: ") for line in shown)
    text = "\n".join(shown)
    for part in (
        "4 cells, measured in rna and adt: 3; rna: 1",
        "adt: 3 cells, 2 features, median 3 counts per cell, from adt.h5ad, X",
        "adt: features left out: hashtags: 2",
        "2 cell types (obs column 'type'): T: 2; B: 1; no label: 1",
        "cells left out: doublets: 3",
    ):
        assert part in text
    assert shown[-2:] == ["mine: warning: one odd thing", "mine: warning: another"]


def test_many_types_are_cut_in_the_terminal(rows):
    many = "; ".join(f"type {number}: 3" for number in range(60))
    shown = lines([row | {"cells_by_type": many, "cell_types": 60} for row in rows], [])
    (line,) = [line for line in shown if "60 cell types" in line]
    assert "type 2: 3" in line and "type 59" not in line and len(line) < 250


def test_a_prepared_dataset_has_its_datasheet_in_its_file(tmp_path):
    dataset = prepared(tmp_path, "embedded", {"name": "teaseq_small", "cells": 300})
    rows, warnings = read_datasheet(tmp_path / "d.h5mu")
    assert warnings == json.loads(dataset.uns[KEY]["warnings"])
    rna, adt = rows
    assert (rna["modality"], adt["modality"]) == ("rna", "adt")
    assert rna["features"] == dataset["rna"].n_vars
    assert adt["linked_features"] == 33 and "33 of 46 adt" in adt["links"]
    depths = np.asarray(dataset["adt"].layers["counts"].sum(axis=1))
    assert adt["depth"] == np.median(depths)
    assert rna["cells_left_out"] == "beyond the number of cells asked for: 962"
    types = dataset.obs["cell_type"].astype(str)
    assert f"T.CD4.Memory: {(types == 'T.CD4.Memory').sum()};" in rna["cells_by_type"]
    assert "as published" in rna["labels"]


def test_a_modality_without_counts_has_no_depth(tmp_path):
    prepared(tmp_path, "pbmc68k_split", {})
    rows, _ = read_datasheet(tmp_path / "d.h5mu")
    assert [row["depth"] for row in rows] == [None, None]
    assert "lognorm" in "\n".join(lines(rows, []))


def test_a_file_without_a_datasheet_is_refused_by_name(tmp_path):
    (tmp_path / "d.h5mu").write_text("no HDF5")
    with pytest.raises(ContractError, match=r"d\.h5mu"):
        read_datasheet(tmp_path / "d.h5mu")
