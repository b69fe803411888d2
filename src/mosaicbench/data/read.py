"""Read 10x ``.h5``, Matrix Market, csv, R, ``.h5ad``, ``.h5mu``, and tables of labels.

A reader of counts returns cells x features with the raw values in ``X`` (CSR, float32) and the cell
names of the file. ``var`` holds the file's columns of features: ``gene_ids``, ``feature_types``,
``genome``, and ``chrom``, ``start``, ``end`` (as in BED; "" and -1 where unknown). An absent or
unreadable file is a UserError with its name. With ``values=False`` it returns the names and the
tables of cells and features alone, without ``X``.

Cell Ranger ARC's interval of a *gene* is the span of its transcription start sites, without strand.
"""

from __future__ import annotations

import codecs
import gzip
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.assemble import Measurement
from mosaicbench.data.checks import warn
from mosaicbench.errors import UserError
from mosaicbench.files._h5 import quiet_mudata, without_values

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

FEATURE_TYPES = {"Gene Expression": "rna", "Peaks": "atac", "Antibody Capture": "adt"}
KINDS = {  # names of modalities and feature types, in small letters
    **dict.fromkeys(("rna", "gex", "gene expression"), "rna"),
    **dict.fromkeys(("atac", "peaks", "chromatin accessibility"), "atac"),
    **dict.fromkeys(("adt", "prot", "protein", "antibody", "antibody capture"), "adt"),
    "continuous": "continuous",
}
TYPE_COLUMNS = ("feature_types", "modality")  # of var: as 10x and scanpy, as MultiVI's
# Types of 10x that are no modality here.
OTHER_TYPES = {"CRISPR Guide Capture", "Multiplexing Capture", "Custom", "Antigen Capture"}
OTHER_TYPES |= {"VDJ", "VDJ-T", "VDJ-B"}
PARTS = ("matrix.mtx", "barcodes.tsv", "features.tsv")  # of a Matrix Market folder
VALUES = 2**23  # of a csv table that are dense in memory at once
INTERVAL = r"^(?P<chrom>.+?)[:_-](?P<start>\d{1,15})[-_](?P<end>\d{1,15})$"
FEWEST_MATCHED = 0.5  # a table with fewer of its barcodes among the cells is another experiment's


def opened(path: str | Path, reader: Callable[[Path], Any]) -> Any:
    """Return what `reader` makes of a file; a library's error becomes a UserError with its name."""
    file = Path(path)
    if not file.exists():
        raise UserError(f"path: {file}: no such file; paths start from {Path.cwd()}")
    try:
        return reader(file)
    except (UserError, MemoryError):
        raise
    except Exception as error:  # each library has its own errors for a truncated file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"path: {file}: cannot be read, it is truncated or of another kind ({reason})"
        ) from error


def unpacked(file: Path, reader: Callable[[Path], Any]) -> Any:
    """Return what `reader` makes of a gzipped file's content, a temporary file without ``.gz``."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, file.stem)
        with gzip.open(file) as packed, plain.open("wb") as whole:
            shutil.copyfileobj(packed, whole, 2**20)
        return reader(plain)


def raw_file(raw: Path, pattern: str) -> Path:
    """Return the one file in the folder `raw` whose name matches `pattern`, or raise a UserError."""
    paths = sorted(Path(raw).glob(pattern))
    if len(paths) != 1:
        there = ", ".join(path.name for path in paths) or "none"
        raise UserError(
            f"{raw}: one file {pattern} was expected, there is {there}; "
            f"run `mosaicbench fetch {Path(raw).name}`"
        )
    return paths[0]


def check_columns(where: object, table: pd.DataFrame, *columns: str) -> None:
    """Refuse a table that lacks a column; `where` is the file or key, for the message."""
    for column in columns:
        if column not in table.columns:
            there = ", ".join(map(str, table.columns[:20]))
            raise UserError(f"{where}: no column {column!r}; there are {there}")


def tenx_h5(path: str | Path) -> dict[str, AnnData]:
    """Read a feature-barcode matrix of Cell Ranger or Cell Ranger ARC.

    Returns
    -------
    dict of AnnData
        "rna", "atac", "adt", as far as the file has them; features of other types are left out. Names
        that occur twice within a modality are made unique.
    """
    parts = by_feature_type(opened(path, tenx))
    modalities = {name: cells for name, cells in parts.items() if name in FEATURE_TYPES.values()}
    if not modalities:
        raise UserError(f"path: {path}: no feature is of a type in {', '.join(FEATURE_TYPES)}")
    return modalities


def tenx(file: Path, *, values: bool = True) -> AnnData:
    """Read a feature-barcode matrix of Cell Ranger with features of all types."""
    import h5py
    import scanpy

    with h5py.File(file) as content:
        if not values and "matrix" in content:  # since Cell Ranger 3; earlier files are read whole
            features = content["matrix/features"]
            var = pd.DataFrame({"feature_types": features["feature_type"].asstr()[:]})
            names = content["matrix/barcodes"].asstr()[:], features["name"].asstr()[:]
            return named(names[0], var.set_axis(names[1], axis=0))
    with quiet_mudata():
        cells = scanpy.read_10x_h5(file, gex_only=False)
    if "interval" in cells.var:
        cells.var = with_coordinates(cells.var, cells.var["interval"])
    return cells


def named(cells: Sequence[str], var: pd.DataFrame, values: object = None) -> AnnData:
    """Return an AnnData with these names of cells and this table of features."""
    from anndata import AnnData

    with quiet_mudata():
        return AnnData(values, obs=pd.DataFrame(index=pd.Index(list(cells), dtype=object)), var=var)


def by_feature_type(cells: AnnData) -> dict[str, AnnData]:
    """Return modality -> cells, by the feature types in ``var``; without them all are rna.

    Features of a type that is no modality here follow, under the name of their type.
    """
    kinds = kinds_of_features(cells.var)
    if kinds is None:
        return {"rna": cells}
    of_raw = None if cells.raw is None else kinds_of_features(cells.raw.var)
    raw = None if of_raw is None else cells.raw.to_adata()
    modalities = {}
    with quiet_mudata():
        for modality in dict.fromkeys([*FEATURE_TYPES.values(), *kinds]):
            if not np.any(of_type := kinds == modality):
                continue
            part = cells if of_type.all() else cells[:, of_type].copy()
            if not of_type.all():
                part.raw = None if raw is None else raw[:, of_raw == modality]
            part.var_names_make_unique()
            modalities[modality] = part
    return modalities


def kinds_of_features(var: pd.DataFrame) -> np.ndarray | None:
    """Return (features,) kinds by their types, else the types themselves; None without types."""
    column = next((name for name in TYPE_COLUMNS if name in var), None)
    if column is None:
        return None
    return var[column].astype(str).map(lambda name: KINDS.get(name.lower(), name)).to_numpy()


def mex_folder(folder: Path, *, values: bool = True) -> AnnData:
    """Read a Matrix Market folder of Cell Ranger, with ``features.tsv`` or ``genes.tsv``, or .gz."""
    files = []
    for part in PARTS:
        names = [part, f"{part}.gz", *(["genes.tsv"] if part == "features.tsv" else [])]
        existing = [folder / name for name in names if (folder / name).is_file()]
        if not existing:
            raise UserError(
                f"path: {folder} has no {part} or {part}.gz; a Matrix Market folder has "
                f"{', '.join(PARTS)}"
            )
        files.append(existing[0])
    return mex(*(files if values else [None, *files[1:]]))


def mex(matrix: str | Path | None, barcodes: str | Path, features: str | Path) -> AnnData:
    """Read a Matrix Market matrix with the names of its cells and features; files may be gzipped.

    Parameters
    ----------
    matrix
        ``matrix.mtx``, features x cells as Cell Ranger writes it, or cells x features; None for names
        alone.
    barcodes
        One cell name a line (further columns are ignored).
    features
        One feature a line: a name; id and name; id, name and type; or these and chrom, start, end, as
        Cell Ranger ARC writes. An empty name is replaced by the id.

    Raises
    ------
    UserError
        When the numbers of names are not the matrix's shape.
    """
    from scipy.io import mmread

    table = _feature_table(opened(features, _rows))
    names = opened(barcodes, _rows)[0]
    if matrix is None:
        return named(names, table)
    values = sparse.csr_matrix(opened(matrix, mmread), dtype=np.float32)
    if values.shape == (len(table), len(names)):
        values = values.T.tocsr()
    elif values.shape != (len(names), len(table)):
        raise UserError(
            f"path: {matrix} is {values.shape[0]} x {values.shape[1]}, but {features} names "
            f"{len(table)} features and {barcodes} {len(names)} cells; take the three files of one "
            "matrix"
        )
    cells = named(names, table, values)
    cells.var_names_make_unique()
    return cells


def _rows(file: Path) -> pd.DataFrame:
    return _decoded(file, _texts, sep="\t", header=None, quoting=3)


def _feature_table(rows: pd.DataFrame) -> pd.DataFrame:
    ids = names = rows[0]
    known = {*FEATURE_TYPES, *OTHER_TYPES}
    types = next((column for column in rows if column and set(rows[column]) <= known), None)
    if 1 in rows and types != 1:
        names = rows[1].where(rows[1] != "", ids)
    table = pd.DataFrame(
        {"gene_ids": ids.to_numpy()}, index=pd.Index(names.to_list(), dtype=object)
    )
    if types is not None:
        table["feature_types"] = rows[types].to_numpy()
    if rows.shape[1] >= 6:
        table = with_coordinates(
            table, rows[3].where(rows[4] != "") + ":" + rows[4] + "-" + rows[5]
        )
    return table


def coordinates(names: Sequence[str]) -> pd.DataFrame:
    """Return chrom, start, end of intervals such as "chr1:9790-10675" or "chr1_9790_10675".

    There is one row per name; chrom is "" and start, end are -1 where a name is no interval.
    """
    parts = pd.Series([str(name) for name in names], dtype=object).str.extract(INTERVAL)
    ends = parts[["start", "end"]].fillna("-1").astype(np.int64)
    return ends.assign(chrom=parts["chrom"].fillna("").astype(object))[["chrom", "start", "end"]]


def with_coordinates(frame: pd.DataFrame, intervals: Sequence[str]) -> pd.DataFrame:
    """Return a table of features with the :func:`coordinates` of their intervals."""
    return frame.assign(**coordinates(intervals).set_axis(frame.index, axis=0))


def csv_counts(path: str | Path, *, index: str | None = None, drop: Sequence[str] = ()) -> AnnData:
    """Read a table of one row per cell and one column per feature, or its .gz.

    Columns may be separated by commas, semicolons or tabs; columns of texts go into ``obs``.

    Parameters
    ----------
    path
        The file.
    index
        The column of cell names; the first where None.
    drop
        Columns that are no features, such as totals.

    Raises
    ------
    UserError
        When a column is absent, no column holds numbers, or a name occurs twice.
    """
    table = table_of_counts(path, index=index, drop=drop)
    if not table.obs_names.is_unique:
        twice = table.obs_names[table.obs_names.duplicated()][0]
        raise UserError(
            f"path: {path} names a cell twice, {twice!r}; put the sample in front of every cell name, "
            "in the files of all modalities alike"
        )
    table.var_names_make_unique()
    return table


def table_of_counts(
    path: str | Path, *, index: str | None = None, drop: Sequence[str] = (), values: bool = True
) -> AnnData:
    """Read what :func:`csv_counts` does; names may occur twice, and may be those of features."""
    return opened(path, lambda file: _decoded(file, _counts, index=index, drop=drop, whole=values))


def _counts(
    file: Path, index: str | None, drop: Sequence[str], whole: bool, **form: object
) -> AnnData:
    from anndata import AnnData

    header = pd.read_csv(file, nrows=1, **form)
    if not isinstance(header.index, pd.RangeIndex):  # R leaves out the name of the first column
        form |= {"names": ["", *header.columns], "header": 0}
        header = header.reset_index(names="")
    index = header.columns[0] if index is None else index
    check_columns(f"path: {file}", header, index, *drop)
    names, values, described = [], [], []
    form["converters"] = {index: "_".__add__}  # so that a cell called NA has a name
    rows = max(1, VALUES // header.shape[1])
    with pd.read_csv(file, chunksize=rows, float_precision="round_trip", **form) as blocks:
        for block in blocks:
            others = block.drop(columns=[index, *drop])
            if not described:
                texts = others.select_dtypes(exclude=["number", "bool"]).columns
            numbers = others.drop(columns=texts)
            if numbers.empty:
                raise UserError(
                    f"path: {file}: column {[*texts, index][0]!r} holds no numbers (with decimal "
                    "points), nor do others"
                )
            if not whole:
                others = block = pd.read_csv(file, usecols=[index, *texts], **form)
            names += block[index].str.removeprefix("_").to_list()
            described.append(others[texts])
            if not whole:
                break
            values.append(sparse.csr_matrix(numbers.to_numpy(dtype=np.float32)))
    if not described:
        raise UserError(f"path: {file} has no row")
    if len(texts):
        warn(
            f"path: {file.name}: {len(texts)} columns hold texts ({', '.join(texts[:5])}) and are "
            "columns of obs, not features"
        )
    cells = pd.Index(names, dtype=object)
    return AnnData(
        sparse.vstack(values, format="csr") if whole else None,
        obs=pd.concat(described).set_axis(cells),
        var=pd.DataFrame(index=numbers.columns.astype(str)),
    )


def _decoded(file: Path, reader: Callable[..., Any], default: str = ",", **options: object) -> Any:
    """Return what `reader` makes of a text file, with its ``sep`` and ``encoding`` and `options`.

    A separator other than `default` is taken where the first line has more of it.
    """
    with (gzip.open if file.suffix.lower() == ".gz" else open)(file, "rb") as text:
        start = text.read(2**16)
    is_wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if is_wide else "utf-8"
    line = start.decode(encoding, "replace").partition("\n")[0]
    sep = max((default, "\t", ";", ","), key=line.count)
    if sep not in line and ".txt" in file.name.lower():
        sep = " "  # as R writes by default
    try:
        return reader(file, **{"sep": sep, "encoding": encoding} | options)
    except UnicodeDecodeError:
        warn(
            f"path: {file.name} is no UTF-8 and is read as Latin-1; check names with accents or "
            "Greek letters, or save it as UTF-8"
        )
        return reader(file, **{"sep": sep, "encoding": "latin-1"} | options)


def annotated(path: Path, *, values: bool = True) -> AnnData | MuData:
    """Read an ``.h5ad`` or ``.h5mu``; a UserError when the file holds the other of the two."""
    return opened(path, lambda file: _annotated(file, values))


def _annotated(file: Path, values: bool) -> AnnData | MuData:
    import anndata
    import h5py
    import mudata

    with h5py.File(file) as content:
        is_mudata = "mod" in content
    if is_mudata != (file.suffix.lower() == ".h5mu"):
        raise UserError(
            f"path: {file}: holds {'a' if is_mudata else 'no'} MuData; name a MuData .h5mu and give "
            "it as path: FILE.h5mu, an AnnData .h5ad and give it as path: {MODALITY: FILE}"
        )
    if not values:
        return without_values(file)
    with quiet_mudata():
        return mudata.read_h5mu(file) if is_mudata else anndata.read_h5ad(file)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table of cells: ``.tsv``, ``.csv``, ``.txt`` (or .gz) or ``.rds``; all are texts."""
    name = Path(path).name.lower().removesuffix(".gz")
    if name.endswith(".rds"):
        return rds_table(path)
    if not name.endswith((".tsv", ".csv", ".txt")):
        raise UserError(f"labels: {path} is neither .tsv, .csv, .txt nor .rds")
    usual = "," if name.endswith(".csv") else "\t"
    return opened(path, lambda file: _decoded(file, _texts, usual, na_values=[""]))


def text_table(path: str | Path, **options: object) -> pd.DataFrame:
    """Read a csv table whose entries are all texts; `options` are those of ``pandas.read_csv``."""
    return opened(path, lambda file: _texts(file, **options))


def _texts(file: Path, **options: object) -> pd.DataFrame:
    return pd.read_csv(file, dtype=str, keep_default_na=False, **options)


def rds_table(path: str | Path) -> pd.DataFrame:
    """Read a data frame that R's ``saveRDS`` wrote; its row names become the index."""
    import rdata

    table = opened(path, rdata.read_rds)
    if not isinstance(table, pd.DataFrame):
        raise UserError(
            f"path: {path}: holds a {type(table).__name__}, not a data frame; save the table alone "
            "with saveRDS"
        )
    return table.set_axis(table.index.astype(str), axis=0)


def rda_list(path: Path, name: str) -> dict:
    """Read the list `name` of an ``.rda`` or ``.RData`` file."""
    import rdata

    return opened(path, rdata.read_rda)[name]


def r_matrix(matrix: Any) -> pd.DataFrame:
    """Return a matrix of an R file as a table with texts as names of rows and columns."""
    table = matrix.to_pandas()
    return pd.DataFrame(table.to_numpy(), table.index.astype(str), table.columns.astype(str))


def labels_joined(
    names: Sequence[str],
    table: pd.DataFrame,
    *,
    barcode: str | None,
    column: str,
    suffix: str = "",
    remove: str = "",
    where: Path | None = None,
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
        An ending to add to the barcodes of the table, e.g. "-1".
    remove
        An ending to take off the barcodes first; rows without it (other wells) are skipped.
    where
        The table's file, if most of its rows must be among the cells.

    Returns
    -------
    labels, n_matched
        (cells,) texts, "" where a cell has no entry; and the number of cells in the table.

    Raises
    ------
    UserError
        When a column is absent, two rows of one barcode disagree, or the table is of other cells.
    """
    check_columns("labels", table, *([] if barcode is None else [barcode]), column)
    keys = pd.Series(table.index if barcode is None else table[barcode]).astype(str)
    entries = table[column].astype(object)
    rows = pd.DataFrame(
        {"key": keys.to_numpy(), "text": entries.where(entries.notna(), "").astype(str).to_numpy()}
    )
    rows = rows[rows["key"].str.endswith(remove)].drop_duplicates()
    texts = rows["text"].set_axis([key.removesuffix(remove) + suffix for key in rows["key"]])
    if not texts.index.is_unique:
        twice = texts.index[texts.index.duplicated()][0]
        raise UserError(
            f"labels: barcode {twice!r} occurs twice with different entries in column {column!r}; "
            "keep one of them"
        )
    labels = texts.reindex([str(name) for name in names])
    matched = int(labels.notna().sum())
    if where is not None and matched < FEWEST_MATCHED * min(len(table), len(names)):
        raise UserError(
            f"{where}: only {matched} of its {len(table)} barcodes are among the {len(names)} "
            "cells; it belongs to other cells, or names them in another way"
        )
    return labels.fillna("").to_numpy(dtype=object), matched


def obs_columns(cells: AnnData, names: Sequence[str], path: Path | str) -> list[pd.Series]:
    """Return columns of ``obs``, or raise a UserError if one is absent."""
    check_columns(f"{path}: obs", cells.obs, *names)
    return [cells.obs[name] for name in names]


def measurement(cells: AnnData, kind: str, names: pd.Index) -> Measurement:
    """Return the counts of the cells `names` in their order, without a copy if that is the file's."""
    values = (
        cells.X if cells.obs_names.equals(names) else cells.X[cells.obs_names.get_indexer(names)]
    )
    return Measurement(values, cells.var_names, kind, annotation=cells.var)


def measured_by_type(
    whole: AnnData, values: sparse.spmatrix, kinds: dict[str, str]
) -> dict[str, Measurement]:
    """Split the `values` of a table of several modalities by ``var["feature_types"]``.

    Parameters
    ----------
    kinds
        Feature type -> kind of modality, which is also its name.
    """
    types, measured = whole.var["feature_types"].astype(str).to_numpy(), {}
    for name, kind in kinds.items():
        columns = np.flatnonzero(types == name)
        if len(columns):
            names = whole.var_names[columns]
            places = coordinates(names) if kind == "atac" else pd.DataFrame()
            measured[kind] = Measurement(values[:, columns], names, kind, annotation=places)
    return measured


def on_chromosomes(peaks: AnnData) -> AnnData:
    """Return the peaks on chromosomes, without those on unplaced contigs (GL…)."""
    keep = peaks.var["chrom"].astype(str).str.startswith("chr").to_numpy()
    return peaks if keep.all() else peaks[:, keep].copy()
