"""Tables of features x cells, as GEO has them: transposed by their names, with a warning, and never pairs of 'cells' called like genes."""

import anndata
import numpy as np
import pandas as pd
import pytest
from own_cells import equal, own_cells, read, written

from mosaicbench.data.orientation import is_turned, turned


@pytest.fixture(scope="module")
def parts():
    return own_cells(genes=9855)


def table(cells):
    return pd.DataFrame(
        cells.X.toarray().astype(int), index=cells.obs_names, columns=cells.var_names
    )


@pytest.mark.parametrize(
    ("which", "barcodes"), [(("rna", "adt"), True), (("rna",), False), (("adt",), False)]
)
def test_tables_of_features_by_cells_are_read_as_cells_by_features(tmp_path, which, barcodes):
    parts = own_cells(genes=9855, barcodes=barcodes)
    assert set(parts["rna"].var_names) & set(parts["adt"].var_names)
    path = {}
    for modality, cells in parts.items():
        values = table(cells)
        path[modality] = f"{modality}.csv"
        (values.T if modality in which else values).to_csv(tmp_path / path[modality])
    dataset, told = read(tmp_path, path)
    for modality, cells in parts.items():
        assert equal(dataset, modality, cells)
        warned = [text for text in told if f"{modality}.csv has features as rows" in text]
        assert len(warned) == (modality in which)
        assert all("120 cells x" in text for text in warned)


def test_proteins_of_unknown_names_are_told_by_columns_that_both_files_have(tmp_path):
    parts = own_cells(genes=9855, barcodes=False)
    parts["adt"].var_names = [f"Ab {i}" for i in range(parts["adt"].n_vars)]
    path = {modality: f"{modality}.csv" for modality in parts}
    for modality, file in path.items():
        table(parts[modality]).T.to_csv(tmp_path / file)
    dataset, _ = read(tmp_path, path)
    assert all(equal(dataset, modality, cells) for modality, cells in parts.items())


def test_files_of_two_batches_are_turned_before_they_are_joined(parts, tmp_path):
    path = {}
    for modality, cells in parts.items():
        path[modality] = [f"{modality}_1.csv", f"{modality}_2.csv.gz"]
        for file, part in zip(path[modality], (cells[:70], cells[70:]), strict=True):
            table(part).T.to_csv(tmp_path / file)
    dataset, _ = read(tmp_path, path)
    assert all(equal(dataset, modality, cells) for modality, cells in parts.items())
    assert list(dataset.obs["batch"]) == ["1"] * 70 + ["2"] * 50


def test_an_h5ad_of_features_by_cells_is_turned_too(parts, tmp_path):
    path = written(tmp_path, parts | {"rna": parts["rna"].T.copy()})
    dataset, _ = read(tmp_path, path)
    assert equal(dataset, "rna", parts["rna"])


@pytest.mark.parametrize(
    ("cells", "features"),
    [
        ([f"cell{i}" for i in range(60)], ["CD3-CTCATTGTAACTCCT", "CD4-TGTTCCCGCTCAACT"]),
        ([f"AAAC{i}-1-0" for i in range(60)], ["CD3", "CD4", "CD19"]),
        ([f"plate_{i}_12" for i in range(60)], ["ENSG00000010610", "ENSG00000153563"]),
        ([str(i) for i in range(60)], ["0", "1", "2"]),
        (["".join(np.roll(list("ACGTACGTACGG"), i)) for i in range(12)], ["Ab1", "Ab2"]),
    ],
)
def test_cells_by_features_are_left_as_they_are(cells, features):
    counts = pd.DataFrame(1.0, index=cells, columns=features)
    assert not is_turned(anndata.AnnData(counts))


def test_numbers_as_names_of_features_are_not_taken_for_cells(parts, recwarn):
    rna, adt = parts["rna"][:, :100].copy(), parts["adt"].copy()
    rna.var_names = [str(i) for i in range(100)]
    adt.obs_names = [str(i) for i in range(120)]
    files = {"rna": {"rna.h5ad": rna}, "adt": {"adt.h5ad": adt}}
    turned(files, {"rna": "rna", "adt": "adt"})
    assert files["rna"]["rna.h5ad"] is rna and files["adt"]["adt.h5ad"] is adt
    assert not recwarn


def test_other_cells_with_the_same_genes_stay_other_cells(parts, tmp_path):
    """RNA and a gene activity of other cells have their columns in common, and no row."""
    first, second = parts["rna"][:60, :300].copy(), parts["rna"][60:, :300].copy()
    path = written(tmp_path, {"rna": first, "activity": second})
    dataset, told = read(tmp_path, path, kinds={"activity": "atac"})
    assert equal(dataset, "rna", first[:, dataset["rna"].var_names])
    assert dataset["activity"].n_obs == 60
    assert not [text for text in told if "features as rows" in text]
