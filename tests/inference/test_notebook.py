"""The notebook of the docs runs from top to bottom."""

import ast
import json

import matplotlib
import numpy as np
import pytest
from conftest import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "docs").glob("*.ipynb"))


def cells_of(notebook):
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_of_a_machine_is_stored(notebook):
    for cell in cells_of(notebook):
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            ast.parse("".join(cell["source"]))


@pytest.mark.filterwarnings("ignore")
def test_it_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before, names = matplotlib.get_backend(), {}
    matplotlib.use("Agg")
    try:
        for cell in cells_of(REPOSITORY / "docs/own_cells.ipynb"):
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), names)  # noqa: S102 - as a reader would run it
    finally:
        matplotlib.use(before)
    assert names["winner"] == "cca"
    assert names["rna"].obsm["X_umap"].shape == (200, 2)
    assert names["imputed"].shape == (200, 46)
    measured = names["mdata"]["adt"][names["tomorrow"].obs_names].layers["counts"]
    measured = np.log1p(measured.toarray() if hasattr(measured, "toarray") else measured)
    r = [
        np.corrcoef(x, y)[0, 1]
        for x, y in zip(np.asarray(names["imputed"].X).T, measured.T, strict=True)
    ]
    assert np.nanmedian(r) > 0.2  # the proteins that were held back
    true = names["mdata"].obs.loc[names["out"].obs_names, "cell_type"].astype(str)
    assert (
        names["out"].obs["mosaicbench_cell_type"].astype(str) == true
    ).mean() > true.value_counts(normalize=True).iloc[0]
