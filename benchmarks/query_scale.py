"""How much query values vary beside train values, by transform, and how much latents do: docs/results/query_scale.tsv.

    python benchmarks/query_scale.py [NAME=FOLDER ...]

Of the embedded and simulated sets, and of folders that hold one ``MODALITY.h5ad`` for each modality. Three seeds each; a row
has the mean, the least and the largest ratio of the variance of query to that of train cells, summed over dimensions.

``values`` are what methods see; ``20 components`` the same after principal components that are fitted to the train cells, as
joint PCA, CCA, ridge and many others begin; a method's name the latents that it gives each modality.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from mosaicbench.data import embedded
from mosaicbench.data.split import make_split
from mosaicbench.datasets import own_files, pbmc68k_split, simulated
from mosaicbench.files.splits import as_cells, as_split, standardised_values
from mosaicbench.methods.linear import CCA, JointPCA, Procrustes

SEEDS = 3
TABLE = Path(__file__).parents[1] / "docs/results/query_scale.tsv"
PEAKS = {
    "LSI, out of fold": {},
    "LSI, in sample": {"out_of_fold": False},
    "residuals, out of fold": {"transform": "residuals"},
    "residuals, in sample": {"transform": "residuals", "out_of_fold": False},
    "raw SVD, out of fold": {"transform": "raw_svd"},
    "raw SVD, in sample": {"transform": "raw_svd", "out_of_fold": False},
}
METHODS = {"joint PCA": JointPCA, "CCA": CCA, "Procrustes": Procrustes}


def datasets(folders: list[str]) -> Iterator[tuple[str, object]]:
    """Yield name and dataset."""
    for name in ("snareseq_small", "bmmc_cite_small", "teaseq_small"):
        yield name, embedded.load(name)
    yield "pbmc68k_split", pbmc68k_split.load(None)
    yield "simulated", simulated.load(None)
    for fragments in (12_000, 3_000, 120):
        measured = {"modalities": ("rna", "atac"), "cells": 1500, "n_atac": 5000}
        yield (
            f"simulated, {fragments} fragments",
            simulated.load(None, fragments=fragments, **measured),
        )
    for name, _, folder in (given.partition("=") for given in folders):
        path = {file.stem: str(file) for file in sorted(Path(folder).glob("*.h5ad"))}
        yield name, own_files.load(None, path=path, cell_type="cell_type", batch="batch")


def measured(name: str, dataset: object) -> Iterator[dict]:
    """Yield one row per split, transform, modality, seed and what is looked at."""
    kinds = {modality: cells.uns["kind"] for modality, cells in dataset.mod.items()}
    splits = {"random": {}} | (
        {"by batch": {"split": {"by": "batch"}}} if dataset.obs["batch"].nunique() > 1 else {}
    )
    for split, options in splits.items():
        for transform, of_peaks in (
            PEAKS.items() if "atac" in kinds.values() else [("as by default", {})]
        ):
            for seed in range(SEEDS):
                preprocess = {"atac": of_peaks}
                parts = make_split(
                    dataset,
                    dataset_name=name,
                    scenario="s",
                    kind="paired",
                    seed=seed,
                    preprocess=preprocess,
                    **options,
                )
                for modality, what, ratio in _ratios(parts, methods=split == "random"):
                    used = (
                        transform
                        if kinds[modality] == "atac"
                        else {"rna": "log-normalised", "adt": "CLR"}[kinds[modality]]
                    )
                    sizes = {part: parts[part][modality].n_obs for part in ("train", "query")}
                    row = {
                        "dataset": name,
                        "split": split,
                        "modality": modality,
                        "transform": used,
                        "peaks": transform,
                    }
                    yield (
                        row
                        | {f"{part}_cells": number for part, number in sizes.items()}
                        | {"of": what, "ratio": ratio}
                    )


def _ratios(parts: dict, *, methods: bool) -> Iterator[tuple[str, str, float]]:
    train, query = parts["train"], parts["query"]
    for modality in train.mod:
        x, new = standardised_values(train[modality]), standardised_values(query[modality])
        yield modality, "values", _ratio(x, new)
        vectors = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:20].T
        yield modality, "20 components", _ratio(x @ vectors, new @ vectors)
    for name, method in METHODS.items() if methods else ():
        fitted = method()
        fitted.fit(as_split(train, labels=False), 0)
        for modality in train.mod:
            yield (
                modality,
                name,
                _ratio(*(fitted.embed(as_cells(part, [modality])) for part in (train, query))),
            )


def _ratio(train: np.ndarray, query: np.ndarray) -> float:
    return float(
        query.var(axis=0, dtype=np.float64).sum() / train.var(axis=0, dtype=np.float64).sum()
    )


def main(folders: list[str]) -> None:
    """Write the table."""
    found = pd.concat([pd.DataFrame(measured(*each)) for each in datasets(folders)])
    keys = ["dataset", "split", "modality", "transform", "of"]
    # Of a modality that is no ATAC, only once: what is made of the peaks beside it matters to joint latents alone.
    peaks = found["transform"].isin([*PEAKS]) | found["peaks"].isin(
        ["LSI, out of fold", "as by default"]
    )
    table = (
        found[peaks]
        .groupby([*keys, "train_cells", "query_cells"], sort=False)["ratio"]
        .agg(["mean", "min", "max"])
    )
    table = (
        table.groupby(keys, sort=False)
        .agg({"mean": "mean", "min": "min", "max": "max"})
        .round(3)
        .reset_index()
    )
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
    )
    table.assign(commit=commit.stdout.strip()).to_csv(TABLE, sep="\t", index=False)


if __name__ == "__main__":
    main(sys.argv[1:])
