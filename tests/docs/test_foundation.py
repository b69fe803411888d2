"""The lines of docs/foundation.md write a file that a probe reads."""

import re

import numpy as np
import pytest
from conftest import REPOSITORY
from mosaicbench_fits import fit_one
from mosaicbench_splits import cut_small

from mosaicbench.datasets import simulated
from mosaicbench.files.runs import read_latents


@pytest.mark.filterwarnings("ignore")
def test_the_lines_of_scanpy_write_an_embedding_that_a_probe_reads(tmp_path, monkeypatch):
    page = (REPOSITORY / "docs/foundation.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    dataset = simulated.load(None, cells=200, n_rna=120, n_adt=30, modalities=("rna", "adt"))
    rna = dataset["rna"].copy()
    rna.X = rna.layers["counts"].astype(np.float32) if rna.X is None else rna.X
    rna.write_h5ad(tmp_path / "rna.h5ad")
    split = cut_small(dataset, "paired", tmp_path / "split")
    monkeypatch.chdir(tmp_path)
    exec(lines)  # noqa: S102 - as a reader would run it
    given = {"embedding": "embedding.h5ad", "seen": False}
    record = fit_one(split, tmp_path / "run", "probe", hyperparameters=given)
    assert record["status"] == "ok"
    assert record["hyperparameters"]["seen"] is False
    assert np.ptp(read_latents(tmp_path / "run/latents.h5ad").X, axis=0).min() > 0
