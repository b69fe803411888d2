"""Readers of what publishers ship: Cell Ranger HDF5, Matrix Market folders, csv matrices, R tables; sparse throughout.

Every reader gives cells x features, raw values in ``X`` (CSR, float32), cell names as the file has them, and in ``var`` what
it says of them: ``gene_ids``, ``feature_types``, ``genome``, ``chrom``, ``start``, ``end`` (as in BED; "" and -1 if unknown).

Cell Ranger ARC's interval of a *gene* is not the gene's body but the span of its transcription start sites, without strand:
MIR1302-2HG has chr1:29553-30267, from its first start site to its last, though the gene ends at 31,109.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.annotated import check_compressed
from mosaicbench.data.readable import check_readable
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData

FEATURE_TYPES = {"Gene Expression": "rna", "Peaks": "atac", "Antibody Capture": "adt"}
OTHER_TYPES = {
    "CRISPR Guide Capture",
    "Multiplexing Capture",
    "Custom",
    "Antigen Capture",
    "VDJ",
    "VDJ-T",
    "VDJ-B",
}
TENX_PARTS = {"data": np.float32, "indices": np.int32, "indptr": np.int64}
VALUES = 2**23  # of a csv table that are dense in memory at once
INTERVAL = r"^(?P<chrom>.+?)[:_-](?P<start>\d+)[-_](?P<end>\d+)$"


def tenx_h5(path: str | Path) -> dict[str, AnnData]:
    """Read a feature-barcode matrix of Cell Ranger (3 or later) or Cell Ranger ARC.

    Parameters
    ----------
    path
        The ``.h5`` file.

    Returns
    -------
    dict of AnnData
        "rna", "atac", "adt", as far as the file has them; features of other types are left out. Names that occur twice within a
        modality are made unique.

    Raises
    ------
    UserError
        When the file is absent, truncated, or not of this format, or has none of the three modalities.
    """
    return opened(path, _tenx_modalities)


def mex(matrix: str | Path, barcodes: str | Path, features: str | Path) -> AnnData:
    """Read a Matrix Market matrix of features x cells with the names of both; each file may be gzipped.

    Parameters
    ----------
    matrix
        ``matrix.mtx``, features x cells as Cell Ranger writes it; a matrix of cells x features is recognised by the names.
    barcodes
        One cell name a line (further columns are ignored).
    features
        One feature a line: a name; id and name; id, name and type; or these and chrom, start, end, as Cell Ranger ARC writes.
        Where the name is empty, the id stands for it.

    Raises
    ------
    UserError
        When a file is absent or unreadable, or the numbers of names are not the matrix's shape.
    """
    from anndata import AnnData

    table = opened(features, _feature_table)
    names = opened(barcodes, _rows).iloc[:, 0]
    values = opened(matrix, _matrix_market)
    if values.shape == (len(table), len(names)):
        values = sparse.csr_matrix(values.T)
    elif values.shape == (len(names), len(table)):
        values = sparse.csr_matrix(values)
    else:
        raise UserError(
            f"path: {matrix} is {values.shape[0]} x {values.shape[1]}, but {features} names {len(table)} features and "
            f"{barcodes} {len(names)} cells; take the three files of one matrix"
        )
    return AnnData(
        values, obs=pd.DataFrame(index=pd.Index(names.to_numpy(dtype=object))), var=table
    )


def csv_counts(path: str | Path, *, index: str, drop: Sequence[str] = ()) -> AnnData:
    """Read a comma-separated table of one row per cell and one column per feature; it may be gzipped.

    Parameters
    ----------
    path
        The file.
    index
        The column of cell names.
    drop
        Columns that are no features, such as totals.

    Raises
    ------
    UserError
        When the file is absent or unreadable, a column is not there or holds no numbers, or a name occurs twice.
    """
    return opened(path, lambda file: _csv(file, index, drop))


def rds_table(path: str | Path) -> pd.DataFrame:
    """Read a data frame that R's ``saveRDS`` wrote; its row names become the index.

    Raises
    ------
    UserError
        When the file is absent or unreadable, or holds something else than a data frame.
    """
    import rdata

    found = opened(path, rdata.read_rds)
    if not isinstance(found, pd.DataFrame):
        raise UserError(
            f"path: {path}: holds a {type(found).__name__}, not a data frame; save the table alone with saveRDS"
        )
    return found.set_axis([str(name) for name in found.index], axis=0)


def labels_joined(
    names: Sequence[str],
    table: pd.DataFrame,
    *,
    barcode: str | None,
    column: str,
    suffix: str = "",
    remove: str = "",
) -> tuple[np.ndarray, int]:
    """Look up each cell's entry in a table of labels.

    Parameters
    ----------
    names
        (cells,) cell names.
    table
        One row per barcode.
    barcode
        The column of barcodes; None for the table's index.
    column
        The column to look up.
    suffix
        What the barcodes of the table lack at their end, e.g. "-1".
    remove
        What they end with that the cell names do not; other rows (other wells) are passed over. Taken off before `suffix` is
        put on.

    Returns
    -------
    labels, n_matched
        (cells,) texts, "" where a cell is not in the table or has no entry; and how many cells are in the table.

    Raises
    ------
    UserError
        When a column is not there, or two rows of one barcode disagree.
    """
    for name in [column] if barcode is None else [barcode, column]:
        if name not in table.columns:
            raise UserError(
                f"labels: no column {name!r}; there are {', '.join(map(str, table.columns))}"
            )
    keys = (
        pd.Series(table.index if barcode is None else table[barcode])
        .astype(str)
        .to_numpy(dtype=object)
    )
    of_these = np.array([key.endswith(remove) for key in keys], dtype=bool)
    keys = pd.Index([key.removesuffix(remove) + suffix for key in keys[of_these]], dtype=object)
    entries = table[column][of_these]
    texts = pd.Series(np.where(entries.isna(), "", entries.astype(str)), index=keys, dtype=object)
    texts = texts[~pd.DataFrame({"key": keys, "text": texts.to_numpy()}).duplicated().to_numpy()]
    if not texts.index.is_unique:
        twice = texts.index[texts.index.duplicated()][0]
        raise UserError(
            f"labels: barcode {twice!r} stands twice with different entries in column {column!r}; keep one of them"
        )
    found = texts.reindex(pd.Index([str(name) for name in names], dtype=object))
    return found.fillna("").to_numpy(dtype=object), int(found.notna().sum())


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table of cells: ``.tsv``, ``.csv`` (both may end in ``.gz``) or ``.rds``; all entries are texts, "" is missing.

    Raises
    ------
    UserError
        When the file is absent or unreadable, or its name has another ending.
    """
    name = Path(path).name.lower().removesuffix(".gz")
    if name.endswith(".rds"):
        return rds_table(path)
    if not name.endswith((".tsv", ".csv", ".txt")):
        raise UserError(f"labels: {path} is neither .tsv, .csv nor .rds")
    separator = "," if name.endswith(".csv") else "\t"
    return opened(
        path,
        lambda file: pd.read_csv(
            file, sep=separator, dtype=str, keep_default_na=False, na_values=[""]
        ),
    )


def coordinates(names: Sequence[str]) -> pd.DataFrame:
    """Return chrom, start, end of intervals such as "chr1:9790-10675", "chr1-9790-10675" or "chr1_9790_10675".

    Returns
    -------
    DataFrame
        One row per name; chrom "" and start, end -1 where a name is no interval.
    """
    parts = pd.Series([str(name) for name in names], dtype=object).str.extract(INTERVAL)
    ends = parts[["start", "end"]].fillna("-1").astype(np.int64)
    return pd.DataFrame(
        {
            "chrom": parts["chrom"].fillna("").astype(object),
            "start": ends["start"],
            "end": ends["end"],
        }
    )


def opened(path: str | Path, reader: Callable[[Path], Any]) -> Any:
    """Return what `reader` makes of a file; what a library says of a bad file becomes one sentence with its name.

    Raises
    ------
    UserError
        When the file is absent, truncated or of another kind.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"path: {file}: no such file; paths start from {Path.cwd()}")
    try:
        return reader(file)
    except (UserError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes a library raise whatever its bytes spell
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        raise UserError(
            f"path: {file}: cannot be read, it is truncated or of another kind ({reason})"
        ) from error


def _tenx_modalities(file: Path) -> dict[str, AnnData]:
    import h5py
    from anndata import AnnData

    check_readable(file)
    with h5py.File(file) as content:
        if "matrix" not in content:
            raise UserError(
                f"path: {file}: no group 'matrix'; this is not a feature-barcode matrix of Cell Ranger 3 or later"
            )
        group = content["matrix"]
        table = _tenx_features(group["features"])
        barcodes = pd.Index(_texts(group["barcodes"]))
        shape = (len(barcodes), len(table))
        data, indices, indptr = (_filled(group[part], kind) for part, kind in TENX_PARTS.items())
        check_compressed(indices, indptr, shape, of=f"path: {file}: matrix", stored=len(data))
        values = sparse.csr_matrix((data, indices, indptr), shape=shape)
    modalities = {}
    types = table["feature_types"].to_numpy()
    for name, modality in FEATURE_TYPES.items():
        columns = np.flatnonzero(types == name)
        if len(columns):
            own = table.iloc[columns]
            part = values if len(columns) == shape[1] else values[:, columns]
            modalities[modality] = AnnData(
                part, obs=pd.DataFrame(index=barcodes), var=own.set_axis(_unique(own.index), axis=0)
            )
    if not modalities:
        raise UserError(f"path: {file}: no feature is of a type in {', '.join(FEATURE_TYPES)}")
    return modalities


def _tenx_features(group: h5py.Group) -> pd.DataFrame:
    table = {"gene_ids": _texts(group["id"]), "feature_types": _texts(group["feature_type"])}
    if "genome" in group:
        table["genome"] = _texts(group["genome"])
    frame = pd.DataFrame(table, index=pd.Index(_texts(group["name"])))
    if "interval" in group:
        frame = _with_coordinates(frame, coordinates(_texts(group["interval"])))
    return frame


def _with_coordinates(frame: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        **{column: places[column].to_numpy() for column in ("chrom", "start", "end")}
    )


def _texts(dataset: h5py.Dataset) -> np.ndarray:
    return np.array(
        [text.decode() if isinstance(text, bytes) else str(text) for text in dataset[:]],
        dtype=object,
    )


def _filled(dataset: h5py.Dataset, dtype: type) -> np.ndarray:
    """Return the dataset as `dtype`, converted while it is read: no second copy of another width exists."""
    array = np.empty(dataset.shape, dtype=dtype)
    if dataset.size:
        dataset.read_direct(array)
    return array


def _rows(file: Path) -> pd.DataFrame:
    opening = gzip.open if file.suffix == ".gz" else open
    with opening(file, "rt", encoding="utf-8") as lines:
        rows = [line.rstrip("\r\n").split("\t") for line in lines]
    if not rows:
        raise UserError(f"path: {file}: empty; one name a line was expected")
    return pd.DataFrame(rows, dtype=object).fillna("")


def _feature_table(file: Path) -> pd.DataFrame:
    rows = _rows(file)
    columns = {column: rows[column].to_numpy(dtype=object) for column in rows}
    ids, names = columns[0], columns[0]
    kinds = next(
        (c for c, texts in columns.items() if c and set(texts) <= {*FEATURE_TYPES, *OTHER_TYPES}),
        None,
    )
    if 1 in columns and kinds != 1:
        names = np.where(columns[1] == "", ids, columns[1])
    table = pd.DataFrame({"gene_ids": ids}, index=_unique(pd.Index(names)))
    if kinds is not None:
        table["feature_types"] = columns[kinds]
    if len(columns) >= 6:
        starts, ends = (
            pd.to_numeric(pd.Series(columns[column]), errors="coerce").to_numpy()
            for column in (4, 5)
        )
        known = np.isfinite(starts) & np.isfinite(ends)
        places = {"chrom": np.where(known, columns[3], "")}
        places |= {
            name: np.where(known, x, -1).astype(np.int64)
            for name, x in (("start", starts), ("end", ends))
        }
        table = _with_coordinates(table, pd.DataFrame(places))
    return table


def _matrix_market(file: Path) -> sparse.coo_matrix:
    from scipy.io import mmread

    return sparse.coo_matrix(mmread(file)).astype(np.float32)


def _csv(file: Path, index: str, drop: Sequence[str]) -> AnnData:
    """Read block by block: a table of empty droplets is mostly zeros, and never stands in memory as a dense one."""
    from anndata import AnnData

    header = pd.read_csv(file, nrows=0)
    for name in (index, *drop):
        if name not in header.columns:
            raise UserError(
                f"path: {file}: no column {name!r}; there are {', '.join(map(str, header.columns[:20]))}"
            )
    names, values = [], []
    rows = max(1, VALUES // len(header.columns))
    kinds = {
        "converters": {index: "_".__add__},
        "float_precision": "round_trip",
    }  # a cell called NA; 1e9999999999 among values
    for block in pd.read_csv(file, chunksize=rows, **kinds):
        numbers = block.drop(columns=[index, *drop])
        if texts := [
            column for column in numbers if not pd.api.types.is_numeric_dtype(numbers[column])
        ]:
            raise UserError(
                f"path: {file}: column {texts[0]!r} holds no numbers; name it under `drop`"
            )
        names.append(block[index].str.removeprefix("_").to_numpy(dtype=object))
        values.append(sparse.csr_matrix(numbers.to_numpy(dtype=np.float32)))
    cells = pd.Index(np.concatenate(names) if names else [], dtype=object)
    if not cells.is_unique:
        raise UserError(
            f"path: {file} names a cell twice, {cells[cells.duplicated()][0]!r}; make the cell names unique"
        )
    if not values:
        raise UserError(f"path: {file} has no row")
    features = _unique(numbers.columns)
    return AnnData(
        sparse.vstack(values, format="csr"),
        obs=pd.DataFrame(index=cells),
        var=pd.DataFrame(index=features),
    )


def _unique(names: pd.Index) -> pd.Index:
    from anndata.utils import make_index_unique

    return make_index_unique(pd.Index([str(name) for name in names]))
