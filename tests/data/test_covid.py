"""COVID-19 CITE-seq: one matrix of genes and proteins with names in common becomes two modalities, and nothing is lost."""

import anndata
import numpy as np
import pandas as pd
import pytest
from mosaicbench_splits import prepared
from scipy import sparse

from mosaicbench.data import lock
from mosaicbench.datasets import covid_citeseq
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import links_between

GENES, PROTEINS = ["CD14", "IGJ", "CD3E", "HBB"], ["CD3", "IgG1Kiso", "CD14"]
COLUMNS = ["cohort", "sample_id", "Donor", "Batch", "cond_group", "Age_interval", "mergedcelltype"]


@pytest.fixture
def file(tmp_path):
    """A small file of the same form in a folder of raw data, as the package holds it."""
    random = np.random.default_rng(0)
    counts = random.poisson(2.0, (30, len(GENES) + len(PROTEINS))).astype(np.float32) + np.arange(
        7, dtype=np.float32
    )
    donors = np.repeat(["D1", "D2", "D3"], 10)
    texts = [
        ["b1"] * 30,
        [f"B1_{donor}_T0" for donor in donors],
        donors,
        np.repeat(["B1", "B2"], 15),
    ]
    texts += [
        np.where(donors == "D1", "HC", "Severe"),
        ["<60"] * 30,
        np.tile(["NK", "B_Mem", "DC"], 10),
    ]
    table = pd.DataFrame(
        dict(zip(COLUMNS, texts, strict=True)), index=[str(cell) for cell in range(30)]
    )
    types = ["Gene Expression"] * len(GENES) + ["Antibody Capture"] * len(PROTEINS)
    var = pd.DataFrame({"feature_types": types}, index=GENES + PROTEINS)
    (tmp_path / "covid_citeseq").mkdir()
    path = tmp_path / "covid_citeseq/liu_demo.h5ad"
    with pytest.warns(UserWarning, match="not unique"):
        anndata.AnnData(sparse.csr_matrix(counts), table.astype("category"), var).write_h5ad(path)
    return path


def test_one_matrix_becomes_two_modalities_of_the_same_cells(file):
    whole = covid_citeseq.load(file.parent)
    with pytest.warns(UserWarning, match="not unique"):
        counts = anndata.read_h5ad(file).X.toarray()
    assert list(whole["rna"].var_names) == GENES
    assert list(whole["adt"].var_names) == PROTEINS
    assert np.array_equal(whole["rna"].layers["counts"].toarray(), counts[:, :4])
    assert np.array_equal(whole["adt"].layers["counts"].toarray(), counts[:, 4:])
    assert list(whole.obs) == ["cell_type", "batch", "donor", "sample", "condition"]
    assert list(whole.obs.iloc[0]) == ["NK", "B1", "D1", "B1_D1_T0", "HC"]
    assert whole["rna"].uns["chosen"] and "chosen" not in whole["adt"].uns


def test_what_is_prepared_keeps_controls_and_links_names_with_their_targets(file, tmp_path):
    record = (
        {"bytes": file.stat().st_size} | lock.digests(file) | {"from": "here", "fetched": "today"}
    )
    lock.write(tmp_path, "covid_citeseq", file.name, record)
    made = prepared(tmp_path, "covid_citeseq", {"batch": "Donor"}, raw=file.parent)
    assert set(made.obs["batch"]) == {"D1", "D2", "D3"}
    assert "IgG1Kiso" in made["adt"].var_names
    linked = links_between(
        made, "rna", "adt"
    ).toarray()  # CD14 with CD14, CD3E with CD3, the control with nothing
    assert linked.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(
        UserError,
        match="one file liu_demo.h5ad was expected, there is none; run `mosaicbench fetch",
    ):
        covid_citeseq.load(tmp_path)
