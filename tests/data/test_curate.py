"""Curation: labels, quality control, doublets, and input that is refused or warned about by name."""

import anndata
import numpy as np
import pandas as pd
import pytest
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.data.checks import DataWarning, check_prepared
from mosaicbench.data.labels_qc import curated
from mosaicbench.datasets import own_files
from mosaicbench.errors import UserError

N = 40


@pytest.fixture
def raw_counts():
    """Return counts of 40 cells: genes (the last two mitochondrial) and proteins."""
    rng = default_rng(0)
    return {"rna": rng.poisson(1.0, (N, 12)), "adt": rng.poisson(8.0, (N, 5)) + 1}


@pytest.fixture
def dataset(raw_counts):
    names = {
        "rna": [*(f"G{i}" for i in range(10)), "MT-ND1", "mt-Co1"],
        "adt": [f"P{i}" for i in range(5)],
    }
    measured = {
        modality: Measurement(counts, names[modality], modality)
        for modality, counts in raw_counts.items()
    }
    types = ["T", "B", "Doublet", "", "unsure"] * (N // 5)
    groups = {"donor": [f"D{i % 2}" for i in range(N)]}
    return assembled(
        measured,
        cells=[f"AC{i}-1" for i in range(N)],
        cell_type=types,
        batch=["x"] * N,
        groups=groups,
    )


def positions(dataset):
    return np.array([int(name[2:-2]) for name in dataset.obs_names])


# --- quality control -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("modality", "threshold", "expected"),
    [
        ("rna", {"min_features": 8}, lambda rna, adt: (rna > 0).sum(1) >= 8),
        ("rna", {"max_features": 7}, lambda rna, adt: (rna > 0).sum(1) <= 7),
        ("rna", {"min_counts": 12}, lambda rna, adt: rna.sum(1) >= 12),
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
    dropped = kept.uns["curation"]["dropped"]
    if len(threshold) == 1:
        ((key, value),) = threshold.items()
        assert dropped == {f"{modality} {key} {value}": N - mask.sum()}
    assert list(kept.obs["donor"]) == [f"D{i % 2}" for i in np.flatnonzero(mask)]


def test_curation_leaves_its_argument_alone(dataset):
    before = dataset.copy()
    curated(
        dataset,
        unknown_labels=["unsure"],
        dropped_types=["Doublet"],
        qc={"rna": {"min_features": 7}},
    )
    assert curated(dataset, links=False).uns["curation"] == {"dropped": {}}
    assert list(dataset.obs["cell_type"]) == list(before.obs["cell_type"])
    assert (dataset["rna"].layers["counts"] != before["rna"].layers["counts"]).nnz == 0
    assert "curation" not in dataset.uns


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"qc": {"atac": {"min_features": 1}}}, "qc: no modality 'atac'; there are rna, adt"),
        (
            {"qc": {"rna": {"min_features": 99}}},
            r"qc: no cell is left \(rna min_features 99: 40\); loosen the thresholds",
        ),
        ({"qc": {"adt": {"max_mito": 0.1}}}, "qc.adt.max_mito: no gene's name begins with MT-"),
        (
            {"unknown_labels": ["unsur"]},
            "unknown_labels: no cell is called 'unsur'; there are B, Doublet, T, unsure",
        ),
        ({"dropped_types": ["Doublets"]}, "dropped_types: no cell is called 'Doublets'"),
        (
            {"labels": {"path": "t.xlsx", "column": "type"}},
            "labels: .*t.xlsx is neither .tsv, .csv, .txt nor .rds",
        ),
        ({"labels": {"path": "t.csv", "column": "type"}}, "t.csv: no such file"),
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

        named = table[["type"]].set_axis(
            pd.Index(table["barcode"], dtype=object, name=None), axis=0
        )
        rdata.write_rds(tmp_path / "t.rds", named)
    else:
        table.to_csv(tmp_path / f"t.{ending}", index=False, sep="," if ending == "csv" else "\t")
    kept = curated(
        dataset, tmp_path, labels={"path": f"t.{ending}", "column": "type", "suffix": "-1"}
    )
    assert list(kept.obs["cell_type"]) == ["x", "y"] * 15 + [""] * 10
    assert kept.uns["curation"]["labels_matched"] == 30


def test_labels_of_other_cells_are_refused_and_few_warned_about(dataset, tmp_path):
    pd.DataFrame({"barcode": [f"AC{i}" for i in range(9)], "type": "x"}).to_csv(
        tmp_path / "t.csv", index=False
    )
    with pytest.raises(
        UserError,
        match="no cell is in t.csv: cells are called 'AC0-1', …, its barcodes 'AC0', …; give suffix",
    ):
        curated(dataset, tmp_path, labels={"path": "t.csv", "column": "type"})
    with pytest.warns(DataWarning, match="labels: 31 of 40 cells have no label"):
        curated(dataset, tmp_path, labels={"path": "t.csv", "column": "type", "suffix": "-1"})


# --- what stands in the file and the log ---------------------------------------------------------------------------------


# --- bad input -----------------------------------------------------------------------------------------------------------


def two(left, right):
    measured = {"rna": Measurement(left, [f"G{i}" for i in range(left.shape[1])], "rna")}
    measured["adt"] = Measurement(right, [f"P{i}" for i in range(right.shape[1])], "adt")
    n = len(left)
    return assembled(
        measured, cells=[f"c{i}" for i in range(n)], cell_type=[""] * n, batch=[""] * n
    )


def test_one_measurement_given_twice_is_found_in_any_disguise():
    rng = default_rng(0)
    counts = rng.poisson(
        rng.gamma(1.0, 5.0, (300, 1)) * rng.gamma(1.0, 1.0, (1, 15))
    ) + rng.poisson(1.0, (300, 15))
    with pytest.raises(
        UserError, match="'rna' and 'adt' hold identical numbers, so the same file was given twice"
    ):
        two(counts, counts)
    for disguised in (2 * counts, np.log1p(counts), counts[:, ::-1], counts[:, :9]):
        with pytest.raises(
            UserError,
            match="'rna' and 'adt' are too alike: half of the features of one have a twin",
        ):
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
    with pytest.raises(
        UserError, match="modality 'adt' is empty: no feature was seen in any of its 40 cells"
    ):
        two(raw_counts["rna"] + 1, np.zeros((N, 3)))
    silent = raw_counts["adt"].copy()
    silent[:3] = 0
    with pytest.warns(
        DataWarning,
        match=r"modality 'adt': 3 of 40 cells show no feature at all; say qc: \{adt: \{min_counts: 1\}\}",
    ):
        check_prepared(two(raw_counts["rna"] + 1, silent))


def write(folder, modality, counts, names):
    cells = anndata.AnnData(
        sparse.csr_matrix(counts, dtype=np.float32), obs=pd.DataFrame(index=names)
    )
    cells.write_h5ad(folder / f"{modality}.h5ad")
    return f"{modality}.h5ad"


def test_features_of_one_name_are_told_apart_and_warned_about(tmp_path, raw_counts):
    names = [f"c{i}" for i in range(N)]
    path = {
        modality: write(tmp_path, modality, counts, names)
        for modality, counts in raw_counts.items()
    }
    twice = anndata.read_h5ad(tmp_path / "adt.h5ad")
    twice.var_names = ["CD3", "CD4", "CD4", "CD4", "CD8"]
    twice.write_h5ad(tmp_path / "adt.h5ad")
    with pytest.warns(
        DataWarning, match="modality 'adt': 2 feature names occur again; they get an ending"
    ):
        loaded = own_files.load(tmp_path, path=path)
    assert list(loaded["adt"].var_names) == ["CD3", "CD4", "CD4-1", "CD4-2", "CD8"]


def test_few_common_cells_are_warned_about(tmp_path, raw_counts):
    path = {"rna": write(tmp_path, "rna", raw_counts["rna"], [f"c{i}" for i in range(N)])}
    path["adt"] = write(tmp_path, "adt", raw_counts["adt"], [f"c{i + 30}" for i in range(N)])
    with pytest.warns(
        DataWarning,
        match="path: only 10 of 70 cells are in every modality, 10 are in at least two; the",
    ):
        loaded = own_files.load(tmp_path, path=path)
    assert (loaded.n_obs, loaded["rna"].n_obs, loaded["adt"].n_obs) == (70, N, N)


# --- other files of one's own --------------------------------------------------------------------------------------------


def test_coordinates_and_groups_of_ones_own_are_kept(tmp_path, raw_counts):
    names = [f"c{i}" for i in range(N)]
    rna = anndata.AnnData(
        sparse.csr_matrix(raw_counts["rna"] + 1, dtype=np.float32), obs=pd.DataFrame(index=names)
    )
    rna.obs["donor"] = ["P1", "P2"] * (N // 2)
    rna.var["seqnames"], rna.var["chromStart"], rna.var["chromEnd"], rna.var["strand"] = (
        "chr1",
        5.0,
        9.0,
        "+",
    )
    rna.var["other"] = 1
    rna.write_h5ad(tmp_path / "rna.h5ad")
    atac = anndata.AnnData(
        sparse.csr_matrix(raw_counts["adt"], dtype=np.float32), obs=pd.DataFrame(index=names)
    )
    atac.var["interval"] = [f"chr1:{i}-{i + 3}" for i in range(5)]
    atac.write_h5ad(tmp_path / "atac.h5ad")
    path = {modality: str(tmp_path / f"{modality}.h5ad") for modality in ("rna", "atac")}
    loaded = own_files.load(tmp_path, path=path, groups=["donor"])
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
    measured = {
        "rna": Measurement(rna, [f"gene{j}" for j in range(30)], "rna"),
        "adt": Measurement(random.poisson(9, (200, 4)), [f"protein{j}" for j in range(4)], "adt"),
    }
    return assembled(
        measured, cells=[f"cell{i}" for i in range(200)], cell_type=types, batch=["all"] * 200
    ), rna


def test_features_that_tell_a_type_are_kept_with_as_many_others_as_asked_for(told_apart):
    dataset, rna = told_apart
    options = {"cell_type": "a", "relevant": {"rna": 2}, "irrelevant": {"rna": 9}}
    found = curated(dataset, association=options, links=False)
    assert list(found["rna"].var_names[found["rna"].var["relevant"]]) == ["gene3", "gene7"]
    assert (found["rna"].n_vars, found["adt"].n_vars) == (11, 4)
    assert list(found.obs["cell_type"]) == [
        {"a": "a", "": ""}.get(t, "other") for t in dataset.obs["cell_type"]
    ]
    columns = [int(name[4:]) for name in found["rna"].var_names]
    expected = np.log1p(1e4 * rna / rna.sum(axis=1, keepdims=True))[:, columns]
    assert_allclose(found["rna"].layers["lognorm"].toarray(), expected, rtol=1e-5)
    assert (found["rna"].uns["values"], found["adt"].uns["values"]) == ("lognorm", "counts")
    assert dataset["rna"].n_vars == 30


def test_irrelevant_features_are_those_least_associated(told_apart):
    dataset, rna = told_apart
    options = {"cell_type": "a", "irrelevant": {"rna": 3}}
    found = curated(dataset, association=options, links=False)
    known = np.asarray(dataset.obs["cell_type"]) != ""
    lognorm = np.log1p(1e4 * rna / rna.sum(axis=1, keepdims=True))[known]
    r = [
        abs(np.corrcoef(x, np.asarray(dataset.obs["cell_type"])[known] == "a")[0, 1])
        for x in lognorm.T
    ]
    assert set(found["rna"].var_names) == {f"gene{j}" for j in np.argsort(r)[:3]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell_type": "z", "relevant": {"rna": 2}}, "no cell is called 'z'; there are a, b, c"),
        ({"cell_type": "a", "relevant": {"dna": 2}}, "no modality 'dna'"),
        (
            {"cell_type": "a", "relevant": {"rna": 20}, "irrelevant": {"rna": 11}},
            "modality 'rna' has 30 features",
        ),
    ],
)
def test_association_refuses(told_apart, options, message):
    with pytest.raises(UserError, match=message):
        curated(told_apart[0], association=options)
