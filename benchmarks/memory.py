"""Seconds and peak memory of ``mosaicbench prepare`` and ``split``, each in a process of its own.

    python benchmarks/memory.py generated     a set of Hao's size (161,764 cells) and an ARC file of 12,000 cells
    python benchmarks/memory.py mex           a set of Hao's size as two Matrix Market folders

Sets are generated with realistic densities and gene frequencies in the publishers' formats, in a
temporary folder (about 4 GB). The table goes to stdout; peak memory is the largest resident set of
the process.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from measured_steps import record, step

SCENARIOS = {
    "paired": {"kind": "paired"},
    "mosaic": {"kind": "mosaic", "paired_fraction": 0.3},
}
ARC = {"Gene Expression": (36_601, 0.055), "Peaks": (108_377, 0.08)}
HAO = {"Gene Expression": (33_538, 0.065), "Antibody Capture": (228, 0.75)}
HAO_CELLS = 161_764
BLOCK = 2000  # cells drawn at once


def main() -> None:
    """Measure the generated sets and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["generated", "mex"])
    parser.add_argument(
        "--scale", type=float, default=1.0, help="fraction of the cells, to try the script"
    )
    arguments = parser.parse_args()
    print("| dataset | cells | features | step | seconds | peak memory, GB |")
    print("|---|---|---|---|---|---|")
    if arguments.what == "mex":
        _measure_mex(int(HAO_CELLS * arguments.scale))
    else:
        _measure_h5("ARC, generated", int(12_000 * arguments.scale), ARC)
        _measure_h5("Hao's size, generated", int(HAO_CELLS * arguments.scale), HAO)


def _measure_h5(name: str, cells: int, features: dict[str, tuple[int, float]]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "generated.h5")
        write_cell_ranger(path, cells, features)
        _measure(Path(temporary), name, str(path), list(SCENARIOS))


def _measure_mex(cells: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        paths = {}
        for modality, (kind, (size, density)) in zip(("rna", "adt"), HAO.items(), strict=True):
            paths[modality] = str(Path(temporary, modality))
            write_matrix_market(Path(temporary, modality), cells, kind, size, density)
        _measure(Path(temporary), "Hao's size, Matrix Market", paths, ["paired"])


def _measure(folder: Path, name: str, path: str | dict[str, str], scenarios: list[str]) -> None:
    """Print a row for each step of one set."""
    config = {
        "datasets": {"measured": {"path": path}},
        "scenarios": {scenario: SCENARIOS[scenario] for scenario in scenarios},
        "runs": {"random_latent": {}},
        "seeds": [0],
    }
    record(folder, config)
    usage = step(folder, "prepare", "--dataset", "measured")
    with h5py.File(folder / "results/datasets/measured.h5mu") as file:
        cells = len(file["obs/_index"])
        sizes = {modality: len(group["var/_index"]) for modality, group in file["mod"].items()}
    features = ", ".join(f"{modality} {size:,}" for modality, size in sizes.items())
    took = f"{usage.seconds:.0f} | {usage.peak_gb:.1f} |"
    print(f"| {name} | {cells:,} | {features} | prepare | {took}", flush=True)
    for scenario in scenarios:
        usage = step(folder, "split", "--split", f"measured/{scenario}", "--seed", "0")
        took = f"{usage.seconds:.0f} | {usage.peak_gb:.1f} |"
        print(f"| | | | split, {scenario} | {took}", flush=True)


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
        Feature type -> number of features, and fraction of nonzero entries.
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
    """Write one feature type as a Matrix Market folder, features x cells, uncompressed."""
    rng = np.random.default_rng(seed)
    rates, entries = {kind: _rates(size, density, rng)}, 0
    folder.mkdir()
    body = folder / "body"
    with open(body, "w") as out:
        for first in range(0, cells, BLOCK):
            rows = min(BLOCK, cells - first)
            counts, features, lengths = _drawn(rows, rates, rng)
            barcodes = first + np.repeat(np.arange(rows), lengths)
            lines = pd.DataFrame({"feature": features + 1, "cell": barcodes + 1, "count": counts})
            lines.to_csv(out, sep=" ", header=False, index=False)
            entries += len(counts)
    with open(folder / "matrix.mtx", "wb") as out, open(body, "rb") as lines:
        header = f"%%MatrixMarket matrix coordinate integer general\n{size} {cells} {entries}\n"
        out.write(header.encode())
        shutil.copyfileobj(lines, out, 2**24)
    body.unlink()
    (folder / "barcodes.tsv").write_text("".join(f"cell{i}\n" for i in range(cells)))
    (folder / "features.tsv").write_text("".join(f"{name}\n" for name in _names(kind, size)))


def _names(kind: str, size: int) -> list[str]:
    if kind == "Peaks":
        return [
            f"chr{1 + i % 22}:{9_000 + 7_000 * (i // 22)}-{9_900 + 7_000 * (i // 22)}"
            for i in range(size)
        ]
    prefix = "ENSG" if kind == "Gene Expression" else "CD"
    return [f"{prefix}{i:06d}" for i in range(size)]


def _rates(size: int, density: float, rng: np.random.Generator) -> np.ndarray:
    """Return the fraction of cells that show each feature: a few features in nearly all, most in few."""
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
    """Return counts, columns and lengths of a block of cells."""
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
