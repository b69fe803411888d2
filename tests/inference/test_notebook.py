"""The notebook of the docs runs from top to bottom, and has outputs."""

import json
import re
import sys

import numpy as np
import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "docs/site"))

import tutorial  # noqa: E402


def kinds_of(cell):
    """Return the kinds of a cell's outputs, and the first line of each text: columns, not numbers."""
    outputs = [output["data"] for output in cell.get("outputs", [])]
    return [(*data, data.get("text/plain", "").partition("\n")[0]) for data in outputs]


@pytest.fixture
def notebook():
    return json.loads(tutorial.NOTEBOOK.read_text(encoding="utf-8"))


def test_its_outputs_are_stored_without_anything_of_a_machine(notebook):
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    stored = [output["data"] for cell in code for output in cell["outputs"]]
    assert any("image/png" in data for data in stored)
    assert "'cca'" in [data.get("text/plain") for data in stored]
    texts = "".join(data.get("text/plain", "") for data in stored)
    assert not re.search(r"/(home|tmp|root|work)/|Warning|0x[0-9a-f]{6}", texts)


def test_it_runs_from_top_to_bottom_and_its_outputs_are_fresh(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = [kinds_of(cell) for cell in notebook["cells"]]
    names = tutorial.run(notebook["cells"])
    assert [kinds_of(cell) for cell in notebook["cells"]] == before, "run: make tutorial"
    assert names["winner"] == "cca"
    assert names["rna"].obsm["X_umap"].shape == (200, 2)
    assert names["imputed"].shape == (200, 46)
    held_back = names["mdata"]["adt"][names["tomorrow"].obs_names].to_df("counts")
    r = names["imputed"].to_df().corrwith(np.log1p(held_back))
    assert len(r) == 46 and r.median() > 0.2
    true = names["mdata"].obs.loc[names["out"].obs_names, "cell_type"].astype(str)
    given = names["out"].obs["mosaicbench_cell_type"].astype(str)
    assert (given == true).mean() > true.value_counts(normalize=True).iloc[0]
