"""Data with odd names or that lie: refused or warned about by name and with what to do, or carried intact to tables."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from mosaicbench_splits import prepared
from own_cells import read, refused, written
from scipy import sparse

from mosaicbench.data.checks import _check_name
from mosaicbench.data.labels_qc import curated
from mosaicbench.errors import UserError
from mosaicbench.files.tables import read_table, write_table

CELLS = 60


def counts(features, *, seed=0, scale=1.0):
    return np.random.default_rng(seed).poisson(scale, (CELLS, features)).astype(np.float32)


def annotated(values, *, names=None, types=None):
    obs = pd.DataFrame(
        {"type": types if types is not None else ["a", "b"] * (CELLS // 2)},
        index=[f"c{i}" for i in range(CELLS)],
    )
    var = pd.DataFrame(index=[f"f{i}" for i in range(values.shape[1])] if names is None else names)
    return AnnData(sparse.csr_matrix(values), obs=obs, var=var)


def loaded(folder, rna, adt=None):
    """Return the dataset and the warnings of two files."""
    adt = annotated(counts(8, seed=1, scale=5)) if adt is None else adt
    return read(folder, written(folder, {"rna": rna, "adt": adt}), cell_type="type")


@pytest.mark.parametrize("name", ["joint", "a/b", "", "a->b", " x", "x\n", ".."])
def test_a_modality_that_cannot_be_carried_is_refused(name):
    with pytest.raises(UserError, match="modality .*(choose another|use letters)"):
        _check_name(name)


def test_names_that_look_missing_are_carried_from_the_file_to_a_table(tmp_path):
    odd = ["NA", "nan", "None", "null", "1", "N/A"]
    rna = annotated(counts(6), names=odd, types=np.resize(odd, CELLS))
    loaded(tmp_path, rna)
    path = {modality: str(tmp_path / f"{modality}.h5ad") for modality in ("rna", "adt")}
    dataset = prepared(tmp_path, "own_files", {"path": path, "cell_type": "type"})
    assert list(dataset["rna"].var_names) == odd
    assert list(dataset.obs["cell_type"][:6]) == odd
    table = pd.DataFrame({"feature": odd, "cell_type": odd, "value": [1.0, np.nan, 3, 4, 5, 6]})
    write_table(tmp_path / "table.tsv", table)
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "table.tsv"), table.astype({"feature": object, "cell_type": object})
    )


# --- files of another kind ----------------------------------------------------------------------


def test_an_h5mu_named_h5ad_and_the_reverse_say_so(tmp_path):
    import mudata

    parts = {"rna": annotated(counts(6)), "adt": annotated(counts(8, seed=1, scale=5))}
    mudata.MuData(parts).write_h5mu(tmp_path / "both.h5mu")
    (tmp_path / "both.h5mu").rename(tmp_path / "both.h5ad")
    refused(r"both.h5ad: .*MuData.* .h5mu", tmp_path, {"rna": "both.h5ad", "adt": "both.h5ad"})
    parts["rna"].write_h5ad(tmp_path / "one.h5mu")
    refused(r"one.h5mu: .*AnnData .h5ad", tmp_path, "one.h5mu")


# --- numbers that lie -----------------------------------------------------------------------------------------------------


def test_rounded_logarithms_are_told_and_small_counts_are_not_taken_for_them(tmp_path):
    raw = counts(200, scale=0.3)
    logs = np.round(np.log1p(raw / np.maximum(raw.sum(axis=1, keepdims=True), 1) * 1e4))
    for values, number in ((logs, 1), (raw, 0)):
        _, told = loaded(tmp_path, annotated(values))
        assert len([text for text in told if "'rna'" in text and "logarithms" in text]) == number


# --- messages that name what is to blame ----------------------------------------------------------------------------------


def test_a_modality_of_one_feature_is_refused_where_it_is_read(tmp_path):
    with pytest.raises(UserError, match="modality 'adt': only one feature, 'f0'"):
        loaded(tmp_path, annotated(counts(6)), annotated(counts(1, seed=1, scale=5)))
    one_often = np.concatenate([counts(1, scale=9), counts(5, scale=0.02)], axis=1)
    dataset, _ = loaded(tmp_path, annotated(one_often))
    with pytest.raises(UserError, match=r"qc.rna: 1 features"):
        curated(dataset, qc={"rna": {"min_cells": 40}})
