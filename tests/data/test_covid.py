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


@pytest.fixture
def file(tmp_path):
    """A small file of the same form in a folder of raw data, as the package holds it."""
    random = np.random.default_rng(0)
    counts = random.poisson(2.0, (30, len(GENES) + len(PROTEINS))).astype(np.float32) + np.arange(
        7, dtype=np.float32
    )
    donors = np.repeat(["D1", "D2", "D3"], 10)
    table = {
        "cohort": ["b1"] * 30,
        "sample_id": [f"B1_{donor}_T0" for donor in donors],
        "Donor": donors,
        "Batch": np.repeat(["B1", "B2"], 15),
        "cond_group": np.where(donors == "D1", "HC", "Severe"),
        "Age_interval": ["<60"] * 30,
        "mergedcelltype": np.tile(["NK", "B_Mem", "DC"], 10),
    }
    table = pd.DataFrame(table, index=[str(cell) for cell in range(30)])
    types = ["Gene Expression"] * len(GENES) + ["Antibody Capture"] * len(PROTEINS)
    var = pd.DataFrame({"feature_types": types}, index=GENES + PROTEINS)
    (tmp_path / "covid_citeseq").mkdir()
    path = tmp_path / "covid_citeseq/liu_demo.h5ad"
    with pytest.warns(UserWarning, match="not unique"):
        anndata.AnnData(sparse.csr_matrix(counts), table.astype("category"), var).write_h5ad(path)
    return path


def test_one_matrix_becomes_two_modalities_whose_names_are_linked_with_their_targets(
    file, tmp_path
):
    record = {"bytes": file.stat().st_size} | lock.digests(file)
    lock.write(tmp_path, "covid_citeseq", file.name, record | {"from": "here", "fetched": "today"})
    made = prepared(tmp_path, "covid_citeseq", {"batch": "Donor"}, raw=file.parent)
    with pytest.warns(UserWarning, match="not unique"):
        counts = anndata.read_h5ad(file).X.toarray()
    assert list(made["rna"].var_names) == GENES
    assert list(made["adt"].var_names) == PROTEINS  # controls are kept
    assert np.array_equal(made["rna"].layers["counts"].toarray(), counts[:, :4])
    assert np.array_equal(made["adt"].layers["counts"].toarray(), counts[:, 4:])
    columns = ["cell_type", "batch", "donor", "sample", "condition"]
    assert list(made.obs[columns].iloc[0]) == ["NK", "D1", "D1", "B1_D1_T0", "HC"]
    # CD14 with CD14, CD3E with CD3, the control with nothing
    linked = links_between(made, "rna", "adt").toarray()
    assert linked.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 0, 0]]
    whole = covid_citeseq.load(file.parent)
    assert whole["rna"].uns["chosen"] and "chosen" not in whole["adt"].uns
    assert list(whole.obs["batch"].unique()) == ["B1", "B2"]


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match="liu_demo.h5ad .*; run `mosaicbench fetch"):
        covid_citeseq.load(tmp_path)
