"""Readers: what publishers ship becomes cells x features, and a bad file one sentence."""

import gzip
import io
import lzma
import struct
from functools import partial

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
        for name in ("indices", "indptr"):
            group[name] = getattr(matrix, name).astype(np.int64)
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


def places(cells):
    return cells.var[["chrom", "start", "end"]].to_numpy().tolist()


def test_arc_file_is_split_and_keeps_ids_and_intervals(arc, counts):
    found = read.tenx_h5(arc)
    assert list(found) == ["rna", "atac"]
    assert list(found["rna"].var_names) == ["G", "G-1", "MT-X"]
    assert list(found["rna"].var["gene_ids"]) == ["ENSG1", "ENSG2", "ENSG3"]
    assert places(found["rna"]) == [["chr1", 100, 200], ["chr2", 300, 301], ["", -1, -1]]
    assert places(found["atac"]) == [["chr1", 10, 20], ["chr2", 5, 9]]
    assert list(found["atac"].obs_names) == [f"AAA{i}-1" for i in range(7)]
    assert_array_equal(found["rna"].X.toarray(), counts[:, [0, 1, 4]])
    assert_array_equal(found["atac"].X.toarray(), counts[:, [2, 3]])
    assert all(
        cells.X.dtype == np.float32 and cells.X.indices.dtype == np.int32
        for cells in found.values()
    )


def mex_files(folder, counts, lines, ending=""):
    """Write a Matrix Market folder of cells x features with these lines of features; return its files."""
    whole = io.BytesIO()
    mmwrite(whole, sparse.coo_matrix(counts.T.astype(int)))
    cells = "".join(f"cell{i}\n" for i in range(len(counts))).encode()
    contents = {"m.mtx": whole.getvalue(), "b.tsv": cells, "f.tsv": "\n".join(lines).encode()}
    for name, content in contents.items():
        packed = gzip.compress(content) if ending else content
        (folder / f"{name}{ending}").write_bytes(packed)
    return [folder / f"{name}{ending}" for name in contents]


@pytest.mark.parametrize(
    ("lines", "names", "ids"),
    [
        ("A|B|B", "A B B-1", "A B B"),
        ("E1\tA|E2\t|E3\tC", "A E2 C", "E1 E2 E3"),
        ("A\tGene Expression|B\tGene Expression|C\tGene Expression", "A B C", "A B C"),
        ("E1\tA\tPeaks|E2\tB\tPeaks|E3\tC\tPeaks", "A B C", "E1 E2 E3"),
    ],
)
def test_matrix_market_with_any_number_of_feature_columns(tmp_path, counts, lines, names, ids):
    cells = read.mex(*mex_files(tmp_path, counts[:, :3], lines.split("|"), ".gz"))
    assert list(cells.var_names) == names.split()
    assert list(cells.var["gene_ids"]) == ids.split()
    assert list(cells.obs_names) == [f"cell{i}" for i in range(7)]
    assert_array_equal(cells.X.toarray(), counts[:, :3])
    assert cells.X.dtype == np.float32


def test_matrix_market_of_cell_ranger_arc_keeps_coordinates(tmp_path, counts):
    lines = ["E1\tA\tGene Expression\tchr1\t5\t9", "E2\tB\tGene Expression\t\t\t"]
    matrix, barcodes, features = mex_files(tmp_path, counts[:, :2], lines)
    cells = read.mex(matrix, barcodes, features)
    assert places(cells) == [["chr1", 5, 9], ["", -1, -1]]
    with pytest.raises(UserError, match=r"m.mtx is 2 x 7, but .*f.tsv .* 2 features .* 2 cells"):
        read.mex(matrix, features, features)


def test_csv_of_adt_counts(tmp_path):
    path = tmp_path / "adt.csv.gz"
    table = pd.DataFrame(
        {"cell_barcode": ["AC", "GT"], "total": [3, 0], "CD3": [3, 0], "CD4": [0, 0]}
    )
    table.to_csv(path, index=False)
    cells = read.csv_counts(path, index="cell_barcode", drop=["total"])
    assert (list(cells.obs_names), list(cells.var_names)) == (["AC", "GT"], ["CD3", "CD4"])
    assert cells.X.toarray().tolist() == [[3, 0], [0, 0]]
    with pytest.raises(UserError, match="'barcode'; there are cell_barcode, total, CD3, CD4"):
        read.csv_counts(path, index="barcode")
    table.assign(cell_barcode="AC").to_csv(path, index=False)
    with pytest.raises(UserError, match="names a cell twice, 'AC'"):
        read.csv_counts(path, index="cell_barcode")


@pytest.mark.parametrize(
    ("ending", "sep"),
    [
        (".csv", ","),
        (".csv", ";"),
        (".tsv", ","),
        (".txt", "\t"),
        (".csv.gz", ";"),
        (".TSV.GZ", "\t"),
    ],
)
def test_tables_of_counts_have_any_separator_and_texts_become_obs(tmp_path, sep, ending):
    path = tmp_path / f"adt{ending}"
    rows = [["", "CD4 (RPA-T4)", "type", "CD8"]]
    rows += [[cell, "3", cell.lower(), "0"] for cell in ("AC", "NA")]
    text = "".join(sep.join(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if ending.lower().endswith("gz") else text)
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
    names = ["CC-1", "TT-1", "AA-1", "GG-1"]
    labels, matched = read.labels_joined(names, found, barcode=None, column="predicted.id")
    assert (list(labels), matched) == (["B", "", "T", ""], 3)
    rdata.write_rds(tmp_path / "list.rds", {"a": 1})
    with pytest.raises(UserError, match=r"list.rds: holds a dict, not a data frame"):
        read.rds_table(tmp_path / "list.rds")


def test_labels_are_joined_by_barcode():
    table = pd.DataFrame(
        {"barcode": ["AA-3", "CC-3", "AA-4", "GG-3"], "type": ["T", "B", "other well", np.nan]}
    )
    joined = partial(read.labels_joined, barcode="barcode", column="type")
    labels, matched = joined(["GG-1", "AA-1", "TT-1"], table, remove="-3", suffix="-1")
    assert (list(labels), matched) == (["", "T", ""], 2)
    plain = pd.DataFrame({"barcode": ["AA", "AA"], "type": ["T", "T"]})
    assert joined(["AA-1"], plain, suffix="-1")[1] == 1
    with pytest.raises(UserError, match="labels: .*'AA' .* column 'type'"):
        joined(["AA"], plain.assign(type=["T", "B"]))
    with pytest.raises(UserError, match="labels: no column 'label'; there are barcode, type"):
        joined(["AA"], plain, column="label")


def test_intervals_are_read_from_names():
    names = ["chr1:10-20", "chr1-10-20", "chrX_10_20", "GL000194.1:3-4", "CD3", "HLA-A-1"]
    names += ["chr1:1-99999999999999999999"]  # no number of a base
    expected = [[name, 10, 20] for name in ("chr1", "chr1", "chrX")]
    expected += [["GL000194.1", 3, 4], *[["", -1, -1]] * 3]
    assert read.coordinates(names).to_numpy().tolist() == expected


def test_what_is_truncated_or_of_another_kind_is_one_sentence(arc, tmp_path, counts):
    whole = arc.read_bytes()
    with h5py.File(arc, "w") as file:
        file["GRCh38/data"] = [1]
    for content in (b"", whole[:100], whole[:3000], arc.read_bytes()):
        (tmp_path / "broken.h5").write_bytes(content)
        with pytest.raises(UserError, match="broken.h5: cannot be read"):
            read.tenx_h5(tmp_path / "broken.h5")
    matrix, barcodes, features = mex_files(tmp_path, counts, "ABCDEF", ".gz")
    matrix.write_bytes(matrix.read_bytes()[:30])
    with pytest.raises(UserError, match="m.mtx.gz: cannot be read"):
        read.mex(matrix, barcodes, features)
    (tmp_path / "broken.rds").write_bytes(b"X\n")
    with pytest.raises(UserError, match="broken.rds: cannot be read"):
        read.rds_table(tmp_path / "broken.rds")
    with pytest.raises(UserError, match="nowhere.h5: no such file"):
        read.tenx_h5(tmp_path / "nowhere.h5")
    other = {"id": ["a"] * 6, "name": ["a"] * 6, "feature_type": ["Custom"] * 6}
    with pytest.raises(UserError, match="custom.h5: .*Gene Expression, Peaks, Antibody Capture"):
        read.tenx_h5(write_tenx(tmp_path / "custom.h5", counts, other))
