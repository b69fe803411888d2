"""Curation: labels, quality control, doublets, and input that is refused or warned about by name."""

import anndata
import numpy as np
import pandas as pd
import pytest
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from own_cells import read, written

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.data.checks import DataWarning, check_prepared
from mosaicbench.data.labels_qc import curated
from mosaicbench.errors import UserError

N = 40
GENES = [*(f"G{i}" for i in range(10)), "MT-ND1", "mt-Co1"]


@pytest.fixture
def raw_counts():
    """Return counts of 40 cells: genes (the last two mitochondrial) and proteins."""
    rng = default_rng(0)
    return {"rna": rng.poisson(1.0, (N, 12)), "adt": rng.poisson(8.0, (N, 5)) + 1}


def two(rna, adt, types="", genes=None, **groups):
    """Return a dataset of genes and proteins."""
    genes = genes or [f"gene{i}" for i in range(rna.shape[1])]
    measured = {"rna": Measurement(rna, genes, "rna")}
    measured["adt"] = Measurement(adt, [f"P{i}" for i in range(adt.shape[1])], "adt")
    names = [f"AC{i}-1" for i in range(len(rna))]
    types = np.resize(types, len(names))
    batches = ["x"] * len(names)
    return assembled(measured, cells=names, cell_type=types, batch=batches, groups=groups)


@pytest.fixture
def dataset(raw_counts):
    types = ["T", "B", "Doublet", "", "unsure"]
    return two(**raw_counts, types=types, genes=GENES, donor=[f"D{i % 2}" for i in range(N)])


def positions(dataset):
    return np.array([int(name[2:-2]) for name in dataset.obs_names])


# --- quality control -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("modality", "threshold", "expected"),
    [
        ("rna", {"min_features": 8}, lambda rna, adt: (rna > 0).sum(1) >= 8),
        ("rna", {"max_mito": 0.2}, lambda rna, adt: rna[:, 10:].sum(1) <= 0.2 * rna.sum(1)),
        (
            "adt",
            {"min_counts": 45, "max_counts": 50},
            lambda rna, adt: (adt.sum(1) >= 45) & (adt.sum(1) <= 50),
        ),
    ],
)
def test_thresholds_keep_the_cells_that_meet_them(
    dataset, raw_counts, modality, threshold, expected
):
    kept = curated(dataset, qc={modality: threshold})
    mask = expected(raw_counts["rna"], raw_counts["adt"])
    assert 0 < mask.sum() < N
    assert list(positions(kept)) == list(np.flatnonzero(mask))
    counts = kept["rna"].layers["counts"].toarray()
    assert_array_equal(counts, raw_counts["rna"][mask][:, raw_counts["rna"][mask].sum(0) > 0])
    if len(threshold) == 1:
        ((key, value),) = threshold.items()
        dropped = {f"{modality} {key} {value}": N - mask.sum()}
        assert kept.uns["curation"]["dropped"] == dropped
    assert list(kept.obs["donor"]) == [f"D{i % 2}" for i in np.flatnonzero(mask)]


def test_curation_leaves_its_argument_alone(dataset):
    before, types = dataset.copy(), {"unknown_labels": ["unsure"], "dropped_types": ["Doublet"]}
    curated(dataset, qc={"rna": {"min_features": 7}}, **types)
    assert list(dataset.obs["cell_type"]) == list(before.obs["cell_type"])
    assert (dataset["rna"].layers["counts"] != before["rna"].layers["counts"]).nnz == 0
    assert "curation" not in dataset.uns


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"qc": {"atac": {"min_features": 1}}}, "qc: .*'atac'; there are rna, adt"),
        ({"qc": {"rna": {"min_features": 99}}}, r"qc: .*\(rna min_features 99: 40\); loosen"),
        ({"qc": {"adt": {"max_mito": 0.1}}}, "qc.adt.max_mito: .* MT-"),
        ({"unknown_labels": ["unsur"]}, "unknown_labels: .*'unsur'; there are B, Doublet, T"),
        ({"dropped_types": ["Doublets"]}, "dropped_types: .*'Doublets'"),
        ({"labels": {"path": "t.xlsx", "column": "type"}}, "labels: .*t.xlsx .* .csv"),
    ],
)
def test_curation_refuses(dataset, options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        curated(dataset, tmp_path, **options)


# --- labels --------------------------------------------------------------------------------------------------------------


def test_unknown_types_lose_their_label_and_doublets_their_cell(dataset):
    kept = curated(dataset, unknown_labels=["unsure"], dropped_types=["Doublet"])
    assert list(kept.obs["cell_type"]) == ["T", "B", "", ""] * (N // 5)
    assert list(kept.obs["cell_type"].cat.categories) == ["", "B", "T"]
    assert kept.uns["curation"]["dropped"] == {"cell type Doublet": N // 5}


@pytest.mark.parametrize("ending", ["csv", "tsv.gz", "rds"])
def test_labels_come_from_a_table(dataset, tmp_path, ending):
    table = pd.DataFrame({"barcode": [f"AC{i}" for i in range(30)], "type": ["x", "y"] * 15})
    if ending == "rds":
        import rdata

        barcodes = pd.Index(table["barcode"], dtype=object, name=None)
        rdata.write_rds(tmp_path / "t.rds", table[["type"]].set_axis(barcodes, axis=0))
    else:
        table.to_csv(tmp_path / f"t.{ending}", index=False, sep="," if ending == "csv" else "\t")
    labels = {"path": f"t.{ending}", "column": "type", "suffix": "-1"}
    kept = curated(dataset, tmp_path, labels=labels)
    assert list(kept.obs["cell_type"]) == ["x", "y"] * 15 + [""] * 10
    assert kept.uns["curation"]["labels_matched"] == 30


def test_labels_of_other_cells_are_refused_and_few_warned_about(dataset, tmp_path):
    table = pd.DataFrame({"barcode": [f"AC{i}" for i in range(9)], "type": "x"})
    table.to_csv(tmp_path / "t.csv", index=False)
    labels = {"path": "t.csv", "column": "type"}
    with pytest.raises(UserError, match="t.csv: .*'AC0-1', .*'AC0', …; give suffix"):
        curated(dataset, tmp_path, labels=labels)
    with pytest.warns(DataWarning, match="labels: 31 of 40 cells"):
        curated(dataset, tmp_path, labels=labels | {"suffix": "-1"})


# --- bad input -----------------------------------------------------------------------------------------------------------


def test_one_measurement_given_twice_is_found_in_any_disguise():
    rng = default_rng(0)
    counts = rng.poisson(
        rng.gamma(1.0, 5.0, (300, 1)) * rng.gamma(1.0, 1.0, (1, 15))
    ) + rng.poisson(1.0, (300, 15))
    for disguised in (counts, 2 * counts, np.log1p(counts), counts[:, ::-1], counts[:, :9]):
        with pytest.raises(UserError, match="'rna' and 'adt' .*given twice|'rna' and 'adt' .*twin"):
            two(counts, disguised)
    noisy = counts + 0.15 * counts.std(axis=0) * rng.standard_normal(counts.shape)
    with pytest.warns(DataWarning, match="'rna' and 'adt' are suspiciously alike"):
        two(counts, np.abs(noisy))


def test_related_modalities_are_no_twins(recwarn):
    rng = default_rng(0)
    types = rng.integers(0, 4, 400)
    rate = rng.gamma(0.5, 6.0, (4, 20))[types]
    two(rng.poisson(rate), rng.poisson(3 * rate))
    assert not [warning for warning in recwarn if issubclass(warning.category, DataWarning)]


def test_empty_modalities_are_refused_and_empty_cells_warned_about(raw_counts):
    with pytest.raises(UserError, match="modality 'adt' is empty: .* 40 cells"):
        two(raw_counts["rna"] + 1, np.zeros((N, 3)))
    silent = raw_counts["adt"].copy()
    silent[:3] = 0
    with pytest.warns(DataWarning, match=r"'adt': 3 of 40 .* qc: \{adt: \{min_counts: 1\}\}"):
        check_prepared(two(raw_counts["rna"] + 1, silent))


@pytest.fixture
def own(raw_counts):
    """Return files of genes, and of proteins of which three have one name, in cells of which a few are common."""
    files = {}
    for modality, first in (("rna", 0), ("adt", 30)):
        obs = pd.DataFrame(index=[f"c{first + i}" for i in range(N)])
        files[modality] = anndata.AnnData(raw_counts[modality].astype(np.float32), obs=obs)
    files["adt"].var_names = ["CD3", "CD4", "CD4", "CD4", "CD8"]
    return files


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_features_of_one_name_are_told_apart_and_few_common_cells_warned_about(tmp_path, own):
    loaded, told = read(tmp_path, written(tmp_path, own))
    assert list(loaded["adt"].var_names) == ["CD3", "CD4", "CD4-1", "CD4-2", "CD8"]
    assert [text for text in told if "modality 'adt': 2 feature names" in text]
    assert (loaded.n_obs, loaded["rna"].n_obs, loaded["adt"].n_obs) == (70, N, N)
    assert [text for text in told if "path: only 10 of 70 cells" in text]


# --- other files of one's own --------------------------------------------------------------------------------------------


def test_coordinates_and_groups_of_ones_own_are_kept(tmp_path, own):
    rna, atac = own["rna"], own["adt"]
    atac.obs_names = rna.obs_names
    rna.obs["donor"] = ["P1", "P2"] * (N // 2)
    place = {"seqnames": "chr1", "chromStart": 5.0, "chromEnd": 9.0, "strand": "+", "other": 1}
    rna.var = rna.var.assign(**place)
    atac.var["interval"] = atac.var_names = [f"chr1:{i}-{i + 3}" for i in range(5)]
    loaded, _ = read(tmp_path, written(tmp_path, {"rna": rna, "atac": atac}), groups=["donor"])
    assert list(loaded["rna"].var.columns) == ["chrom", "start", "end", "strand"]
    assert loaded["rna"].var.iloc[0].tolist() == ["chr1", 5, 9, "+"]
    assert loaded["atac"].var["end"].tolist() == [3, 4, 5, 6, 7]
    assert list(loaded.obs["donor"]) == ["P1", "P2"] * (N // 2)


# --- association ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def told_apart():
    """Return RNA and protein of three types, in which genes 3 and 7 tell the first type and gene 5 never varies."""
    random = default_rng(0)
    types = np.array(["a", "b", "c", ""])[random.integers(0, 4, 200)]
    rates = np.full((200, 30), 20.0)
    rates[:, 3] *= np.where(types == "a", 4, 1)
    rates[:, 7] /= np.where(types == "a", 4, 1)
    rna = random.poisson(rates * random.gamma(5, 0.2, (200, 1)))
    dataset = two(rna, random.poisson(9, (200, 4)), types)
    return dataset, np.log1p(1e4 * rna / rna.sum(axis=1, keepdims=True))


def test_features_that_tell_a_type_are_kept_with_as_many_others_as_asked_for(told_apart):
    dataset, lognorm = told_apart
    options = {"cell_type": "a", "relevant": {"rna": 2}, "irrelevant": {"rna": 9}}
    found = curated(dataset, association=options, links=False)
    assert list(found["rna"].var_names[found["rna"].var["relevant"]]) == ["gene3", "gene7"]
    assert (found["rna"].n_vars, found["adt"].n_vars) == (11, 4)
    assert list(found.obs["cell_type"]) == [
        {"a": "a", "": ""}.get(t, "other") for t in dataset.obs["cell_type"]
    ]
    columns = [int(name[4:]) for name in found["rna"].var_names]
    assert_allclose(found["rna"].layers["lognorm"].toarray(), lognorm[:, columns], rtol=1e-5)
    assert (found["rna"].uns["values"], found["adt"].uns["values"]) == ("lognorm", "counts")
    assert dataset["rna"].n_vars == 30


def test_irrelevant_features_are_those_least_associated(told_apart):
    dataset, lognorm = told_apart
    options = {"cell_type": "a", "irrelevant": {"rna": 3}}
    found = curated(dataset, association=options, links=False)
    types = np.asarray(dataset.obs["cell_type"])
    r = np.corrcoef(lognorm[types != ""].T, types[types != ""] == "a")[-1, :-1]
    assert set(found["rna"].var_names) == {f"gene{j}" for j in np.argsort(np.abs(r))[:3]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell_type": "z", "relevant": {"rna": 2}}, "'z'; there are a, b, c"),
        ({"cell_type": "a", "relevant": {"dna": 2}}, "'dna'"),
        ({"cell_type": "a", "relevant": {"rna": 20}, "irrelevant": {"rna": 11}}, "30 features"),
    ],
)
def test_association_refuses(told_apart, options, message):
    with pytest.raises(UserError, match=message):
        curated(told_apart[0], association=options)
