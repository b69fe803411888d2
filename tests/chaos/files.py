"""Malformed files of data: each ends in one message with the file or the key, or becomes a dataset that holds its contract.

A try damages one file of a small dataset of one's own, in one of the formats that are read, and prepares it in a process of its
own: some damages bring HDF5 down.
"""

from __future__ import annotations

import gzip
import os
import random
import shutil
import signal
import sys
import traceback
from pathlib import Path

import anndata
import h5py
import mudata
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.io import mmwrite

from chaos.outcomes import Outcome
from mosaicbench.commands import prepare
from mosaicbench.data import readable
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import read_dataset

SECONDS = 20  # of one try
HDF5_SECONDS = 3  # after which prepare gives a part of a file up, here not a minute
CELLS, GENES, PROTEINS = 40, 12, 5
KEYS = (
    "path",
    "labels",
    "links",
    "gtf",
    "values",
    "modalit",
    "cell_type",
    "cells",
    "batch",
)  # what a message may name
FORMATS = ("csv", "h5ad", "tenx", "mex", "h5mu", "labels", "links", "gtf")
SURVIVED, SILENT, TRACEBACK = 0, 3, 4  # how a try's process ends
TEXTS = [
    "NA",
    "-1",
    "1.5",
    "nan",
    "inf",
    "1e400",
    "99999999999999999999",
    "",
    "x",
    "1,5",
    '"',
    "\ufeff1",
    "ü",
    "0x10",
    "True",
    "\x00",
]


def attack(*, short: bool, seed: int, folder: Path) -> list[Outcome]:
    """Return what became of damaged bytes, and of wrong contents, in files of every format."""
    draws = random.Random(seed)
    outcomes = []
    for name, damage in (("bytes", damaged_bytes), ("contents", damaged_contents)):
        outcome = Outcome(f"damaged {name} of a file of data ({', '.join(FORMATS)})")
        for number in range(len(FORMATS) if short else 200):
            written = FORMATS[number % len(FORMATS)]
            place = folder / f"{name}-{number}"
            options, files = dataset_in(written, place)
            file = draws.choice(files)
            what = damage(draws, file)
            _judge(outcome, f"{written}, {file.name}: {what}", options, place)
            shutil.rmtree(place, ignore_errors=True)
        outcomes.append(outcome)
    return outcomes


def dataset_in(form: str, folder: Path) -> tuple[dict, list[Path]]:
    """Write a small dataset in one format; return the options of its stanza, and the files that a try may damage."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    names = [f"cell{i}-1" for i in range(CELLS)]
    genes, proteins = [f"GENE{i}" for i in range(GENES)], [f"CD{i}" for i in range(PROTEINS)]
    counts = {"rna": draw.poisson(3, (CELLS, GENES)), "adt": draw.poisson(9, (CELLS, PROTEINS))}
    features = {"rna": genes, "adt": proteins}
    obs = pd.DataFrame(
        {"type": np.where(np.arange(CELLS) % 2, "T cell", "B cell"), "donor": "d"}, index=names
    )
    tables = {
        m: pd.DataFrame(counts[m], index=pd.Index(names, name="cell"), columns=features[m])
        for m in counts
    }
    cells = {
        m: anndata.AnnData(
            sparse.csr_matrix(counts[m].astype(np.float32)),
            obs=obs,
            var=pd.DataFrame(index=features[m]),
        )
        for m in counts
    }
    if form == "h5ad":
        for modality, one in cells.items():
            one.write_h5ad(folder / f"{modality}.h5ad")
        files = [folder / "rna.h5ad", folder / "adt.h5ad"]
        return {"path": {"rna": str(files[0]), "adt": str(files[1])}, "cell_type": "type"}, files
    if form == "h5mu":
        mudata.MuData(cells).write(folder / "both.h5mu")
        return {"path": str(folder / "both.h5mu")}, [folder / "both.h5mu"]
    if form == "tenx":
        _write_tenx(folder / "both.h5", counts, names, features)
        return {"path": str(folder / "both.h5")}, [folder / "both.h5"]
    if form == "mex":
        _write_mex(folder / "mex", counts, names, features)
        return {"path": str(folder / "mex")}, sorted((folder / "mex").iterdir())
    for modality, table in tables.items():
        table.to_csv(folder / f"{modality}.csv")
    files = [folder / "rna.csv", folder / "adt.csv"]
    options = {"path": {"rna": str(files[0]), "adt": str(files[1])}}
    if form == "labels":
        obs.rename_axis("barcode").reset_index().to_csv(
            folder / "labels.tsv", sep="\t", index=False
        )
        return options | {"labels": {"path": str(folder / "labels.tsv"), "column": "type"}}, [
            folder / "labels.tsv"
        ]
    if form == "links":
        pd.DataFrame({"rna": genes[:5], "adt": proteins, "sign": 1}).to_csv(
            folder / "links.tsv", sep="\t", index=False
        )
        return options | {"links": str(folder / "links.tsv")}, [folder / "links.tsv"]
    if form == "gtf":
        lines = [
            f'chr1\tx\tgene\t{100 * i + 1}\t{100 * i + 50}\t.\t+\t.\tgene_id "E{i}"; gene_name "GENE{i}";'
            for i in range(GENES)
        ]
        (folder / "genes.gtf").write_text("\n".join(lines) + "\n")
        peaks = tables["adt"].set_axis(
            [f"chr1:{100 * i}-{100 * i + 60}" for i in range(PROTEINS)], axis=1
        )
        peaks.to_csv(folder / "atac.csv")
        path = {"rna": str(files[0]), "atac": str(folder / "atac.csv")}
        return {"path": path, "gtf": str(folder / "genes.gtf")}, [folder / "genes.gtf"]
    return options, files


def damaged_bytes(draws: random.Random, file: Path) -> str:
    """Damage the bytes of a file, and say how."""
    content = bytearray(file.read_bytes())
    kind = draws.choice(["cut", "flipped", "zeroed", "empty", "appended", "another", "inside out"])
    if kind == "cut":
        content = content[: draws.randrange(len(content))]
    elif kind == "flipped":
        for place in draws.sample(range(len(content)), min(len(content), draws.choice([1, 5, 50]))):
            content[place] ^= 1 << draws.randrange(8)
    elif kind == "zeroed":
        start = draws.randrange(len(content))
        content[start : start + 64] = bytes(len(content[start : start + 64]))
    elif kind == "empty":
        content = bytearray()
    elif kind == "appended":
        content += draws.randbytes(50)
    elif kind == "another":
        content = bytearray(
            draws.choice(
                [
                    b"PK\x03\x04zip",
                    b"<html></html>",
                    gzip.compress(b"x"),
                    b"\x89HDF\r\n\x1a\n",
                    b"\xff\xfea",
                ]
            )
        )
    else:
        content.reverse()
    file.write_bytes(bytes(content))
    return kind


def damaged_contents(draws: random.Random, file: Path) -> str:
    """Put something wrong into a well-formed file, and say what."""
    return (
        _damaged_hdf5(draws, file)
        if file.suffix in (".h5", ".h5ad", ".h5mu")
        else _damaged_text(draws, file)
    )


def _damaged_text(draws: random.Random, file: Path) -> str:
    lines = file.read_text().splitlines()
    row = draws.randrange(len(lines))
    separator = "," if file.suffix == ".csv" else " " if file.name == "matrix.mtx" else "\t"
    kind = draws.choice(
        [
            "cell",
            "doubled line",
            "lost line",
            "no header",
            "short line",
            "long line",
            "other separator",
            "latin-1",
        ]
    )
    parts = lines[row].split(separator)
    if kind == "cell":
        text = draws.choice(TEXTS)
        parts[draws.randrange(len(parts))] = text
        lines[row], kind = separator.join(parts), f"{text!r} in line {row}"
    elif kind == "doubled line":
        lines.insert(row, lines[row])
    elif kind == "lost line":
        del lines[row]
    elif kind == "no header":
        del lines[0]
    elif kind == "short line":
        lines[row] = separator.join(parts[:-1])
    elif kind == "long line":
        lines[row] += f"{separator}1"
    elif kind == "other separator":
        lines = [line.replace(separator, ";") for line in lines]
    else:
        lines[row] += "ü"
    file.write_text(
        "\n".join(lines) + "\n",
        encoding="latin-1" if kind == "latin-1" else "utf-8",
        errors="replace",
    )
    return kind


def _damaged_hdf5(draws: random.Random, file: Path) -> str:
    with h5py.File(file, "r+") as content:
        found: list[str] = []
        content.visit(found.append)
        name = draws.choice(found)
        kind = draws.choice(
            [
                "lost",
                "another kind",
                "longer",
                "shorter",
                "filled",
                "attribute lost",
                "attribute changed",
                "group",
            ]
        )
        node = content[name]
        if kind.startswith("attribute"):
            if not len(node.attrs):
                return f"{name}: nothing"
            key = draws.choice(list(node.attrs))
            del node.attrs[key]
            if kind == "attribute changed":
                node.attrs[key] = draws.choice(["x", 7, [1, 2, 3], "99.0"])
            return f"{name}: {kind}, {key}"
        attributes = dict(node.attrs)
        old = node[()] if isinstance(node, h5py.Dataset) else None
        del content[name]
        if kind == "lost" or (old is None and kind != "group"):
            return f"{name}: lost"
        if kind == "group":
            content.create_group(name)
            return f"{name}: a group in its place"
        content[name] = new = _replaced(draws, old, kind)
        content[name].attrs.update(attributes)
        return f"{name}: {kind}, {np.asarray(new).ravel()[:2]}"


def _replaced(draws: random.Random, old: object, kind: str) -> object:
    """Return other contents of a dataset of HDF5."""
    values = np.atleast_1d(np.asarray(old))
    if kind == "longer":
        return np.concatenate([values, values[-1:]])
    if kind == "shorter":
        return values[:-1]
    if kind == "another kind" or values.dtype.kind not in "iuf":
        return draws.choice(
            [np.arange(len(values)), np.array([b"x"] * len(values)), np.zeros((2, 2)), 3.5]
        )
    fill = draws.choice([-1, np.nan, np.inf, 1e9, 1e38, 0.5, 0, 9999])
    if values.dtype.kind in "iu":
        fill = draws.choice([0, 1, np.iinfo(values.dtype).min, np.iinfo(values.dtype).max])
    changed = values.copy()
    changed[: draws.choice([1, len(values)])] = fill
    return changed


def _judge(outcome: Outcome, what: str, options: dict, folder: Path) -> None:
    """Prepare a dataset in a process of its own, and count how that ended."""
    outcome.tried += 1
    report = folder / "report.txt"
    child = os.fork()
    if child == 0:
        _prepare_and_exit(options, folder, report)
    ended = _waited_for(child)
    if ended == SURVIVED:
        return
    said = report.read_text() if report.is_file() else f"process ended with {ended}"
    outcome.notes.append(f"{what}: {said[:400]}")
    if ended == SILENT:
        outcome.silent += 1
    else:
        outcome.tracebacks += 1


def _prepare_and_exit(options: dict, folder: Path, report: Path) -> None:
    """Be the process of one try."""
    ending, said = SURVIVED, ""
    signal.alarm(SECONDS)
    readable.SECONDS = HDF5_SECONDS
    try:
        hidden = os.open(os.devnull, os.O_WRONLY)
        os.dup2(hidden, 1)
        os.dup2(hidden, 2)
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        prepare.main(dataset="own", loader="own_files", options=options, output=folder / "out.h5mu")
        said = _fault_of(folder / "out.h5mu")
        ending = SILENT if said else SURVIVED
    except UserError as error:
        if not any(key in str(error) for key in KEYS) or len(str(error)) > 2000:
            ending, said = TRACEBACK, f"a message without file or key: {error}"
    except BaseException as error:  # noqa: BLE001
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "mosaicbench" in frame.filename] or frames
        ending, said = (
            TRACEBACK,
            f"{type(error).__name__}: {error!s:.200} ({Path(ours[-1].filename).name}:{ours[-1].lineno})",
        )
    if said:
        report.write_text(said)
    os._exit(ending)


def _waited_for(child: int) -> int:
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status)


def _fault_of(file: Path) -> str:
    """Return what is wrong with a dataset that was accepted, "" where it holds its contract."""
    dataset = read_dataset(file)
    for modality, cells in dataset.mod.items():
        values = cells.layers["counts"]
        data = np.asarray(values.data if sparse.issparse(values) else values)
        if not np.all(np.isfinite(data)) or np.any(data < 0) or np.any(data != np.round(data)):
            return f"{modality} has counts that are none"
        if not cells.n_obs or not cells.n_vars or cells.n_obs > 2 * CELLS:
            return f"{modality} is {cells.shape}"
        if not cells.obs_names.is_unique or not cells.var_names.is_unique:
            return f"{modality} names a cell or feature twice"
    return ""


def _write_tenx(file: Path, counts: dict, names: list[str], features: dict) -> None:
    matrix = sparse.csr_matrix(np.concatenate(list(counts.values()), axis=1).astype(np.int32))
    kinds = ["Gene Expression"] * GENES + ["Antibody Capture"] * PROTEINS
    listed = [name for of_modality in features.values() for name in of_modality]
    with h5py.File(file, "w") as content:
        group = content.create_group("matrix")
        group["barcodes"] = np.array(names, dtype="S")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix, name)
        group["shape"] = np.array(matrix.shape[::-1])
        group["features/id"] = group["features/name"] = np.array(listed, dtype="S")
        group["features/feature_type"] = np.array(kinds, dtype="S")
        group["features/genome"] = np.array(["x"] * len(listed), dtype="S")


def _write_mex(folder: Path, counts: dict, names: list[str], features: dict) -> None:
    folder.mkdir()
    mmwrite(
        folder / "matrix.mtx", sparse.coo_matrix(np.concatenate(list(counts.values()), axis=1).T)
    )
    (folder / "barcodes.tsv").write_text("\n".join(names) + "\n")
    kinds = {"rna": "Gene Expression", "adt": "Antibody Capture"}
    lines = [
        f"{name}\t{name}\t{kinds[modality]}"
        for modality, listed in features.items()
        for name in listed
    ]
    (folder / "features.tsv").write_text("\n".join(lines) + "\n")
