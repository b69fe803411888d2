"""Readers: what publishers ship becomes cells x features, and a bad file one sentence."""

import gzip
import lzma
import struct

import h5py
import numpy as np
import pandas as pd
import pytest
import rdata
from numpy.testing import assert_array_equal
from scipy import sparse
from scipy.io import mmwrite

from mosaicbench.data import read
from mosaicbench.data.checks import DataWarning
from mosaicbench.errors import UserError


def write_tenx(path, counts, features, *, barcodes=None):
    """Write cells x features as Cell Ranger does; `features` is column -> texts."""
    matrix = sparse.csr_matrix(counts)
    barcodes = [f"AAA{i}-1" for i in range(matrix.shape[0])] if barcodes is None else barcodes
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = np.array(barcodes, dtype="S")
        group["data"] = matrix.data.astype(np.int32)
        group["indices"], group["indptr"] = (
            matrix.indices.astype(np.int64),
            matrix.indptr.astype(np.int64),
        )
        group["shape"] = np.array(matrix.shape[::-1], dtype=np.int32)
        for column, texts in features.items():
            group[f"features/{column}"] = np.array(texts, dtype="S")
    return path


@pytest.fixture
def counts():
    return np.random.default_rng(0).poisson(1.0, size=(7, 6)).astype(np.float32)


@pytest.fixture
def arc(tmp_path, counts):
    features = {
        "id": ["ENSG1", "ENSG2", "chr1:10-20", "chr2:5-9", "ENSG3", "tag"],
        "name": ["G", "G", "chr1:10-20", "chr2:5-9", "MT-X", "tag"],
        "feature_type": ["Gene Expression"] * 2 + ["Peaks"] * 2 + ["Gene Expression", "Custom"],
        "genome": ["GRCh38"] * 6,
        "interval": ["chr1:100-200", "chr2:300-301", "chr1:10-20", "chr2:5-9", "NA", "NA"],
    }
    return write_tenx(tmp_path / "arc.h5", counts, features)


def test_arc_file_is_split_and_keeps_ids_and_intervals(arc, counts):
    found = read.tenx_h5(arc)
    assert list(found) == ["rna", "atac"]
    assert list(found["rna"].var_names) == ["G", "G-1", "MT-X"]
    assert list(found["rna"].var["gene_ids"]) == ["ENSG1", "ENSG2", "ENSG3"]
    assert found["rna"].var[["chrom", "start", "end"]].to_numpy().tolist() == [
        ["chr1", 100, 200],
        ["chr2", 300, 301],
        ["", -1, -1],
    ]
    assert found["atac"].var[["chrom", "start", "end"]].to_numpy().tolist() == [
        ["chr1", 10, 20],
        ["chr2", 5, 9],
    ]
    assert list(found["atac"].obs_names) == [f"AAA{i}-1" for i in range(7)]
    assert_array_equal(found["rna"].X.toarray(), counts[:, [0, 1, 4]])
    assert_array_equal(found["atac"].X.toarray(), counts[:, [2, 3]])
    assert all(
        cells.X.dtype == np.float32 and cells.X.indices.dtype == np.int32
        for cells in found.values()
    )


def test_genuine_cell_ranger_file(published):
    path = published("pbmc1k_citeseq") / "1K_pbmc_citeseq.h5"
    found = read.tenx_h5(path)
    assert {modality: cells.shape for modality, cells in found.items()} == {
        "rna": (892, 36601),
        "adt": (892, 10),
    }
    with h5py.File(path) as file:
        total = file["matrix/data"][:].sum()
        names = [name.decode() for name in file["matrix/features/id"][:]]
    assert sum(float(cells.X.sum(dtype=np.float64)) for cells in found.values()) == total
    assert [*found["rna"].var["gene_ids"], *found["adt"].var["gene_ids"]] == names
    assert found["rna"].var_names.is_unique
    assert "CD11c" in found["adt"].var_names


@pytest.mark.parametrize(
    ("lines", "names", "ids"),
    [
        (["A", "B", "B"], ["A", "B", "B-1"], ["A", "B", "B"]),
        (["E1\tA", "E2\t", "E3\tC"], ["A", "E2", "C"], ["E1", "E2", "E3"]),
        (
            ["A\tGene Expression", "B\tGene Expression", "C\tGene Expression"],
            ["A", "B", "C"],
            ["A", "B", "C"],
        ),
        (["E1\tA\tPeaks", "E2\tB\tPeaks", "E3\tC\tPeaks"], ["A", "B", "C"], ["E1", "E2", "E3"]),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_matrix_market_with_any_number_of_feature_columns(
    tmp_path, counts, lines, names, ids, zipped
):
    paths = {
        name: tmp_path / f"{name}{'.gz' if zipped else ''}" for name in ("m.mtx", "b.tsv", "f.tsv")
    }
    opening = gzip.open if zipped else open
    with opening(paths["m.mtx"], "wb") as file:
        mmwrite(file, sparse.coo_matrix(counts[:, :3].T.astype(int)))
    with opening(paths["b.tsv"], "wt") as file:
        file.writelines(f"cell{i}\n" for i in range(7))
    with opening(paths["f.tsv"], "wt") as file:
        file.writelines(f"{line}\n" for line in lines)
    cells = read.mex(paths["m.mtx"], paths["b.tsv"], paths["f.tsv"])
    assert (list(cells.var_names), list(cells.var["gene_ids"])) == (names, ids)
    assert list(cells.obs_names) == [f"cell{i}" for i in range(7)]
    assert_array_equal(cells.X.toarray(), counts[:, :3])
    assert cells.X.dtype == np.float32


def test_matrix_market_of_cell_ranger_arc_keeps_coordinates(tmp_path, counts):
    mmwrite(tmp_path / "m.mtx", sparse.coo_matrix(counts[:, :2].T.astype(int)))
    (tmp_path / "b.tsv").write_text("".join(f"cell{i}\n" for i in range(7)))
    (tmp_path / "f.tsv").write_text(
        "E1\tA\tGene Expression\tchr1\t5\t9\nE2\tB\tGene Expression\t\t\t\n"
    )
    cells = read.mex(tmp_path / "m.mtx", tmp_path / "b.tsv", tmp_path / "f.tsv")
    assert cells.var[["chrom", "start", "end"]].to_numpy().tolist() == [
        ["chr1", 5, 9],
        ["", -1, -1],
    ]
    with pytest.raises(
        UserError, match=r"m.mtx is 2 x 7, but .*f.tsv names 2 features and .*f.tsv 2 cells"
    ):
        read.mex(tmp_path / "m.mtx", tmp_path / "f.tsv", tmp_path / "f.tsv")


def test_csv_of_adt_counts(tmp_path):
    path = tmp_path / "adt.csv.gz"
    table = pd.DataFrame(
        {"cell_barcode": ["AC", "GT"], "total": [3, 0], "CD3": [3, 0], "CD4": [0, 0]}
    )
    table.to_csv(path, index=False)
    cells = read.csv_counts(path, index="cell_barcode", drop=["total"])
    assert (list(cells.obs_names), list(cells.var_names)) == (["AC", "GT"], ["CD3", "CD4"])
    assert cells.X.toarray().tolist() == [[3, 0], [0, 0]]
    with pytest.raises(
        UserError, match="no column 'barcode'; there are cell_barcode, total, CD3, CD4"
    ):
        read.csv_counts(path, index="barcode")
    table.assign(CD4=["0,5", "1"]).to_csv(path, index=False)
    with pytest.warns(DataWarning, match="adt.csv.gz: 1 columns hold texts .CD4."):
        cells = read.csv_counts(path, index="cell_barcode")
    assert list(cells.var_names) == ["total", "CD3"] and list(cells.obs["CD4"]) == ["0,5", "1"]
    table.assign(cell_barcode="AC").to_csv(path, index=False)
    with pytest.raises(UserError, match="names a cell twice, 'AC'"):
        read.csv_counts(path, index="cell_barcode")


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".txt", ".csv.gz", ".TSV.GZ"])
@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_tables_of_counts_have_any_separator_and_texts_become_obs(tmp_path, sep, ending):
    path = tmp_path / f"adt{ending}"
    text = sep.join(["", "CD4 (RPA-T4)", "type", "CD8"]) + "\n"
    text += "".join(sep.join([cell, "3", cell.lower(), "0"]) + "\n" for cell in ("AC", "NA"))
    path.write_bytes(
        gzip.compress(text.encode()) if ending.lower().endswith("gz") else text.encode()
    )
    with pytest.warns(DataWarning, match=f"adt{ending}: 1 columns hold texts .type."):
        cells = read.table_of_counts(path)
    assert (list(cells.obs_names), list(cells.var_names)) == (["AC", "NA"], ["CD4 (RPA-T4)", "CD8"])
    assert list(cells.obs["type"]) == ["ac", "na"]
    assert cells.X.toarray().tolist() == [[3, 0], [3, 0]]


@pytest.mark.parametrize(("name", "sep"), [("a.txt", " "), ("a.tsv", "\t"), ("a.csv", ",")])
def test_tables_as_r_writes_them_have_no_name_above_the_row_names(tmp_path, name, sep):
    rows = [["CD3", "CD4"], ["AC", "1", "2"], ["GT", "0", "5"]]
    (tmp_path / name).write_text("".join(sep.join(row) + "\n" for row in rows))
    cells = read.table_of_counts(tmp_path / name)
    assert (list(cells.obs_names), list(cells.var_names)) == (["AC", "GT"], ["CD3", "CD4"])
    assert cells.X.toarray().tolist() == [[1, 2], [0, 5]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_tables_in_any_encoding_keep_their_names(tmp_path, encoding, recwarn):
    text = "cell;TCRµδ;CD3\nsonde-é;1;2\n".replace("δ", "d")
    (tmp_path / "adt.csv").write_bytes(text.encode(encoding))
    cells = read.table_of_counts(tmp_path / "adt.csv")
    assert (list(cells.obs_names), list(cells.var_names)) == (["sonde-é"], ["TCRµd", "CD3"])
    told = [str(one.message) for one in recwarn if "UTF-8" in str(one.message)]
    assert len(told) == (encoding == "latin-1") and all("adt.csv" in text for text in told)
    labels = "barcode;type\nAC;Lymphocyte mémoire\n"
    (tmp_path / "labels.csv").write_bytes(labels.encode(encoding))
    assert list(read.read_table(tmp_path / "labels.csv")["type"]) == ["Lymphocyte mémoire"]


def test_a_table_without_numbers_is_refused_by_column(tmp_path):
    (tmp_path / "types.csv").write_text("cell,type\nAC,T\n")
    with pytest.raises(UserError, match="types.csv: column 'type' holds no numbers"):
        read.table_of_counts(tmp_path / "types.csv")


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bytes])
def test_r_table_with_row_names_and_factors(tmp_path, compress):
    table = pd.DataFrame(
        {"predicted.id": pd.Categorical(["T", "B", None]), "n": [1, 2, 3]},
        index=pd.Index(["AA-1", "CC-1", "GG-1"], dtype=object),
    )
    rdata.write_rds(tmp_path / "plain.rds", table, compression=None)
    written = (tmp_path / "plain.rds").read_bytes()
    codes = struct.pack(
        ">3i", 2, 1, 0
    )  # the writer's code of a missing entry is 0, R's is the smallest integer
    assert written.count(codes) == 1
    as_r_does = written.replace(codes, struct.pack(">3i", 2, 1, -(2**31)))
    (tmp_path / "meta.rds").write_bytes(compress(as_r_does))
    found = read.rds_table(tmp_path / "meta.rds")
    labels, matched = read.labels_joined(
        ["CC-1", "TT-1", "AA-1", "GG-1"], found, barcode=None, column="predicted.id"
    )
    assert (list(labels), matched) == (["B", "", "T", ""], 3)
    rdata.write_rds(tmp_path / "list.rds", {"a": 1})
    with pytest.raises(UserError, match=r"list.rds: holds a dict, not a data frame"):
        read.rds_table(tmp_path / "list.rds")


def test_labels_are_joined_by_barcode():
    table = pd.DataFrame(
        {"barcode": ["AA-3", "CC-3", "AA-4", "GG-3"], "type": ["T", "B", "other well", np.nan]}
    )
    labels, matched = read.labels_joined(
        ["GG-1", "AA-1", "TT-1"], table, barcode="barcode", column="type", remove="-3", suffix="-1"
    )
    assert (list(labels), matched) == (["", "T", ""], 2)
    plain = pd.DataFrame({"barcode": ["AA", "AA"], "type": ["T", "T"]})
    assert (
        read.labels_joined(["AA-1"], plain, barcode="barcode", column="type", suffix="-1")[1] == 1
    )
    with pytest.raises(
        UserError, match="barcode 'AA' occurs twice with different entries in column 'type'"
    ):
        read.labels_joined(["AA"], plain.assign(type=["T", "B"]), barcode="barcode", column="type")
    with pytest.raises(UserError, match="labels: no column 'label'; there are barcode, type"):
        read.labels_joined(["AA"], plain, barcode="barcode", column="label")


def test_intervals_are_read_from_names():
    names = ["chr1:10-20", "chr1-10-20", "chrX_10_20", "GL000194.1:3-4", "CD3", "HLA-A-1"]
    names += ["chr1:1-99999999999999999999"]  # no number of a base
    expected = [
        ["chr1", 10, 20],
        ["chr1", 10, 20],
        ["chrX", 10, 20],
        ["GL000194.1", 3, 4],
        ["", -1, -1],
        ["", -1, -1],
        ["", -1, -1],
    ]
    assert read.coordinates(names).to_numpy().tolist() == expected


@pytest.mark.parametrize("split", [0, 100, 3000])
def test_a_truncated_file_is_one_sentence(arc, tmp_path, split):
    whole = arc.read_bytes()
    (tmp_path / "broken.h5").write_bytes(whole[:split])
    with pytest.raises(
        UserError, match="broken.h5: cannot be read, it is truncated or of another kind"
    ):
        read.tenx_h5(tmp_path / "broken.h5")
    (tmp_path / "broken.mtx.gz").write_bytes(
        gzip.compress(b"%%MatrixMarket matrix coordinate integer general\n2 2 2\n")[:30]
    )
    with pytest.raises(UserError, match="broken.mtx.gz: cannot be read"):
        read.mex(tmp_path / "broken.mtx.gz", _named(tmp_path, "b.tsv"), _named(tmp_path, "f.tsv"))
    (tmp_path / "broken.rds").write_bytes(b"X\n")
    with pytest.raises(UserError, match="broken.rds: cannot be read"):
        read.rds_table(tmp_path / "broken.rds")
    with pytest.raises(UserError, match="nowhere.h5: no such file"):
        read.tenx_h5(tmp_path / "nowhere.h5")


def test_other_hdf5_files_are_refused(tmp_path, counts):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["GRCh38/data"] = [1]
    with pytest.raises(UserError, match=r"other\.h5: cannot be read"):
        read.tenx_h5(tmp_path / "other.h5")
    features = {"id": ["a"] * 6, "name": ["a"] * 6, "feature_type": ["Custom"] * 6}
    with pytest.raises(
        UserError, match="no feature is of a type in Gene Expression, Peaks, Antibody Capture"
    ):
        read.tenx_h5(write_tenx(tmp_path / "custom.h5", counts, features))


def _named(folder, name):
    path = folder / name
    path.write_text("one\ntwo\n")
    return path
