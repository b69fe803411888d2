"""Seconds and peak memory of ``mosaicbench prepare`` and ``cut``, each in a process of its own.

    python benchmarks/memory.py generated            a set of Hao's size (161,764 cells) and an ARC file of 12,000 cells
    python benchmarks/memory.py mex                  a set of Hao's size as two Matrix Market folders, as GEO has it
    python benchmarks/memory.py pinned [FOLDER]      the small sets of the registry, in every scenario; FOLDER has them already

Generated sets are drawn with realistic densities and gene frequencies, written in the publishers' formats to a temporary folder
(about 4 GB), and removed at the end. The table goes to stdout; peak memory is the largest resident set of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from mosaicbench.commands import fetch
from mosaicbench.config import registry

SCENARIOS = {
    "paired": {"kind": "paired"},
    "unpaired": {"kind": "unpaired"},
    "mosaic": {"kind": "mosaic", "paired_fraction": 0.3},
    "by batch": {"kind": "paired", "split": {"by": "batch"}},
}
PINNED = {  # dataset -> whether it has batches
    "pbmc10k_citeseq": False,
    "snareseq_cortex": True,
    "bmmc_cite_starter": True,
    "bmmc_multiome_starter": True,
    "teaseq_matilda": False,
    "multiome_pbmc100": False,
    "pbmc1k_citeseq": False,
}
BLOCK = 2000  # cells drawn at once


def main() -> None:
    """Measure what the arguments ask for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["generated", "mex", "pinned"])
    parser.add_argument(
        "folder", type=Path, nargs="?", help="a mirror of published files, DATASET/FILE"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the generated cells, to try the script"
    )
    arguments = parser.parse_args()
    print("| dataset | cells | features | step | seconds | peak memory, GB |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.what == "generated":
            _generated(Path(temporary), arguments.scale)
        elif arguments.what == "mex":
            _generated_mex(Path(temporary), arguments.scale)
        else:
            _pinned(Path(temporary), arguments.folder)


def _generated(folder: Path, scale: float) -> None:
    for name, cells, features, scenarios in (
        (
            "ARC, generated",
            int(12_000 * scale),
            {"Gene Expression": (36_601, 0.055), "Peaks": (108_377, 0.08)},
            ["paired", "mosaic"],
        ),
        (
            "Hao's size, generated",
            int(161_764 * scale),
            {"Gene Expression": (33_538, 0.065), "Antibody Capture": (228, 0.75)},
            ["paired", "mosaic"],
        ),
    ):
        path = folder / "generated.h5"
        write_cell_ranger(path, cells, features)
        _measure(folder, name, {"path": str(path)}, scenarios)
        path.unlink()


def _generated_mex(folder: Path, scale: float) -> None:
    cells, path = int(161_764 * scale), {}
    for modality, (kind, size, density) in {
        "rna": ("Gene Expression", 33_538, 0.065),
        "adt": ("Antibody Capture", 228, 0.75),
    }.items():
        path[modality] = str(folder / modality)
        write_matrix_market(folder / modality, cells, kind, size, density)
    _measure(folder, "Hao's size, Matrix Market", {"path": path}, ["paired"])


def _pinned(folder: Path, mirror: Path | None) -> None:
    known = registry.load()
    for name, batches in PINNED.items():
        fetch.main(
            datasets=[name],
            raw=folder / "raw",
            known=registry.REGISTRY,
            files=[],
            optional=False,
            offline=False,
            mirror=mirror,
            show=False,
        )
        raw, usable = folder / "raw" / name, [s for s in SCENARIOS if s != "by batch" or batches]
        _measure(
            folder, name, known[name]["options"], usable, loader=known[name]["loader"], raw=raw
        )


def _measure(
    folder: Path,
    name: str,
    options: dict,
    scenarios: list[str],
    *,
    loader: str = "own_files",
    raw: Path | None = None,
) -> None:
    dataset = folder / "dataset.h5mu"
    arguments = [
        "prepare",
        "--dataset",
        "measured",
        "--loader",
        loader,
        "--options",
        json.dumps(options),
    ]
    arguments += ["--raw", str(raw)] if raw else []
    seconds, peak = _run([*arguments, "--output", str(dataset)])
    with h5py.File(dataset) as file:
        cells = file["obs/cell_type/codes"].shape[0]
        sizes = {
            modality: len(file[f"mod/{modality}/var/_index"])
            for modality in file["mod"].attrs["mod-order"]
        }
    features = ", ".join(f"{modality} {size:,}" for modality, size in sizes.items())
    print(f"| {name} | {cells:,} | {features} | prepare | {seconds:.0f} | {peak:.1f} |", flush=True)
    for scenario in scenarios:
        stanza = dict(SCENARIOS[scenario])
        arguments = [
            "split",
            "--dataset",
            str(dataset),
            "--scenario",
            "s",
            "--kind",
            stanza.pop("kind"),
        ]
        arguments += ["--options", json.dumps(stanza), "--seeds", "0"]
        for part in ("train", "query", "solution"):
            arguments += [f"--{part}", str(folder / f"{part}.h5mu")]
        seconds, peak = _run(arguments)
        print(f"| | | | cut, {scenario} | {seconds:.0f} | {peak:.1f} |", flush=True)
    dataset.unlink()


def _run(arguments: list[str]) -> tuple[float, float]:
    """Return seconds and peak resident GB of one verb in a child process."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "mosaicbench", *arguments])
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"mosaicbench {arguments[0]} failed with status {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024**2  # Linux counts kibibytes


def write_cell_ranger(
    path: Path, cells: int, features: dict[str, tuple[int, float]], seed: int = 0
) -> None:
    """Write a feature-barcode matrix as Cell Ranger does, block by block.

    Parameters
    ----------
    path
        The file to write.
    cells
        Number of barcodes.
    features
        Feature type -> number of features, and share of the entries that are not zero.
    seed
        Draws everything.
    """
    rng = np.random.default_rng(seed)
    rates = {kind: _rates(size, density, rng) for kind, (size, density) in features.items()}
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        chunked = {
            "maxshape": (None,),
            "chunks": (80_000,),
            "compression": "gzip",
            "compression_opts": 1,
        }
        data = group.create_dataset("data", (0,), np.int32, **chunked)
        indices = group.create_dataset("indices", (0,), np.int64, **chunked)
        ends = [np.zeros(1, dtype=np.int64)]
        for first in range(0, cells, BLOCK):
            rows = min(BLOCK, cells - first)
            block, columns, lengths = _drawn(rows, rates, rng)
            for dataset, values in ((data, block), (indices, columns)):
                dataset.resize(len(dataset) + len(values), axis=0)
                dataset[-len(values) :] = values
            ends.append(ends[-1][-1] + np.cumsum(lengths))
        group["indptr"] = np.concatenate(ends)
        total = sum(size for size, _ in features.values())
        group["shape"] = np.array([total, cells], dtype=np.int32)
        letters = np.array(list("ACGT"))
        group["barcodes"] = np.array(
            ["".join(letters[(i >> np.arange(0, 32, 2)) & 3]) + "-1" for i in range(cells)],
            dtype="S",
        )
        names = {kind: _names(kind, size) for kind, (size, _) in features.items()}
        for column in ("id", "name"):
            group[f"features/{column}"] = np.array(sum(names.values(), []), dtype="S")
        group["features/feature_type"] = np.array(
            [kind for kind in names for _ in names[kind]], dtype="S"
        )
        group["features/genome"] = np.array(["GRCh38"] * total, dtype="S")
        if "Peaks" in features:
            places = [
                f"chr{1 + i % 22}:{10_000 + 20_000 * (i // 22)}-{10_001 + 20_000 * (i // 22)}"
                for i in range(total)
            ]
            places = [
                name if ":" in name else place
                for name, place in zip(sum(names.values(), []), places, strict=True)
            ]
            group["features/interval"] = np.array(places, dtype="S")


def write_matrix_market(
    folder: Path, cells: int, kind: str, size: int, density: float, seed: int = 0
) -> None:
    """Write one feature type as a Matrix Market folder, features x cells, not compressed; see `write_cell_ranger`."""
    from scipy import sparse
    from scipy.io import mmwrite

    rng = np.random.default_rng(seed)
    rates, entries = {kind: _rates(size, density, rng)}, 0
    folder.mkdir()
    body, block_file = folder / "body", folder / "block.mtx"
    with open(body, "wb") as out:
        for first in range(0, cells, BLOCK):
            rows = min(BLOCK, cells - first)
            counts, features, lengths = _drawn(rows, rates, rng)
            barcodes = first + np.repeat(np.arange(rows), lengths)
            mmwrite(
                block_file,
                sparse.coo_matrix((counts, (features, barcodes)), shape=(size, cells)),
                symmetry="general",
            )
            lines = block_file.read_bytes()
            start = next(i for i in _line_starts(lines) if not lines.startswith(b"%", i))
            out.write(lines[lines.index(b"\n", start) + 1 :])
            entries += len(counts)
    with open(folder / "matrix.mtx", "wb") as out, open(body, "rb") as lines:
        out.write(
            f"%%MatrixMarket matrix coordinate integer general\n{size} {cells} {entries}\n".encode()
        )
        shutil.copyfileobj(lines, out, 2**24)
    body.unlink()
    block_file.unlink()
    (folder / "barcodes.tsv").write_text("".join(f"cell{i}\n" for i in range(cells)))
    (folder / "features.tsv").write_text("".join(f"{name}\n" for name in _names(kind, size)))


def _line_starts(text: bytes) -> Iterator[int]:
    start = 0
    while True:
        yield start
        start = text.index(b"\n", start) + 1


def _names(kind: str, size: int) -> list[str]:
    if kind == "Peaks":
        return [
            f"chr{1 + i % 22}:{9_000 + 7_000 * (i // 22)}-{9_900 + 7_000 * (i // 22)}"
            for i in range(size)
        ]
    prefix = "ENSG" if kind == "Gene Expression" else "CD"
    return [f"{prefix}{i:06d}" for i in range(size)]


def _rates(size: int, density: float, rng: np.random.Generator) -> np.ndarray:
    """Return, for each feature, the share of cells that show it: a few features in nearly all, most in few."""
    log_odds = 2.0 * rng.standard_normal(size)
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high)
            if np.mean(1 / (1 + np.exp(-log_odds - middle))) < density
            else (low, middle)
        )
    return 1 / (1 + np.exp(-log_odds - middle))


def _drawn(
    rows: int, rates: dict[str, np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return counts, columns and lengths of a block of cells; each feature takes its number of cells at random."""
    every = np.concatenate(list(rates.values()))
    seen = rng.binomial(rows, every)
    cell = np.concatenate(
        [rng.choice(rows, number, replace=False, shuffle=False) for number in seen]
    )
    feature = np.repeat(np.arange(len(every)), seen)
    order = np.argsort(cell, kind="stable")
    counts = rng.geometric(1 / (1 + 4 * every[feature[order]] ** 2)).astype(np.int32)
    return counts, feature[order], np.bincount(cell, minlength=rows)


if __name__ == "__main__":
    main()
