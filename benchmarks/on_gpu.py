"""Time and memory of training on a GPU, and whether scores agree with those on the CPU.

    python benchmarks/on_gpu.py                                          some minutes on a GPU, and more on the CPU
    python benchmarks/on_gpu.py --cells 3000 --steps 20 --seeds 0 --methods mvae          less, on a CPU, too

Prints three tables. Seconds of epochs and steps are wall-clock, without the first; memory is the peak of tensors.

large       RNA and protein counts of simulated cells, as many cells and proteins as in Hao et al. 2021, and 2,000 genes;
            resident on the device, and streamed to it from the host
scmodal     `scmodal-paper` of config/studies/originals.yaml, with the sizes of the authors' training, on embedded TEA-seq
ends        every model of this package with its defaults, on embedded CITE-seq, or TEA-seq without pairs if it cannot train
            on paired cells. Means and standard deviations over seeds of scores of query cells, on the GPU and on the CPU:
            FOSCTTM of the single modalities, and mean r per feature of values imputed in both directions
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from itertools import permutations
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch
import yaml
from mudata import MuData

from mosaicbench.catalog import catalog
from mosaicbench.contract import Cells, Split
from mosaicbench.data import embedded
from mosaicbench.data.links import linked
from mosaicbench.data.split import make_split
from mosaicbench.datasets import simulated
from mosaicbench.files.splits import as_cells, as_split, unstandardised_values
from mosaicbench.models import minibatch, training
from mosaicbench.scoring.collect import values_of
from mosaicbench.scoring.scorer import ask

ORIGINALS = Path(__file__).parents[1] / "config/studies/originals.yaml"
HAO = {"cells": 161_764, "genes": 2000, "proteins": 228}
LARGE = [
    ("vae_poe", {"likelihood": "counts", "batch_size": 256}),
    ("vae_poe", {"likelihood": "counts", "batch_size": 4096}),
    ("mvae", {"batch_size": 256}),  # it is never streamed
]
TABLES = ["large", "scmodal", "ends"]
MODELS = [
    name
    for name, card in catalog.cards("methods").items()
    if card["kind"] == "model" and "wraps" not in card
]


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--cells", type=int, default=HAO["cells"])
    parser.add_argument("--epochs", type=int, default=2, help="timed epochs of large")
    parser.add_argument("--steps", type=int, default=1000, help="timed steps of scmodal")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--as-json", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.as_json:
        print(json.dumps(list(ends(arguments.methods, arguments.seeds))))
        return
    on_gpu = torch.cuda.is_available()
    print(torch.cuda.get_device_name() if on_gpu else "CPU: no GPU is available")
    if "large" in arguments.tables:
        print_large(arguments.cells, arguments.epochs)
    if "scmodal" in arguments.tables:
        print_scmodal(arguments.steps)
    if "ends" in arguments.tables:
        print_ends(arguments.methods, arguments.seeds, on_gpu=on_gpu)


def print_large(cells: int, epochs: int) -> None:
    """Print the seconds of an epoch and the memory for a dataset of Hao's size."""
    sizes = {"n_rna": HAO["genes"], "n_adt": HAO["proteins"]}
    dataset = simulated.load(None, cells=cells, modalities=["rna", "adt"], **sizes)
    place = {"dataset_name": "large", "scenario": "paired", "kind": "paired", "seed": 0}
    parts = make_split(dataset, **place, preprocess={"rna": {"features": HAO["genes"]}})
    split = as_split(parts["train"], labels=False)
    count = len(split.blocks[0])
    print(
        "\n| model | cells | minibatch | data | s an epoch | cells a s | GB |\n|---|---|---|---|---|---|---|"
    )
    for method, hyperparameters in LARGE:
        likelihood, size = hyperparameters.get("likelihood"), hyperparameters["batch_size"]
        for data in ["resident", "streamed"] if likelihood else ["resident"]:
            share = 0 if data == "streamed" else minibatch.DEVICE_SHARE
            with mock.patch.multiple(minibatch, DEVICE_SHARE=share, HOST_SHARE=share):
                seconds, peak = measured(method, split, hyperparameters, epochs)
            name, rate = f"{method} {likelihood or 'gaussian'}", count * epochs / seconds
            timed = f"{seconds / epochs:.3g} | {rate:,.0f} | {peak:.2f}"
            print(f"| {name} | {count:,} | {size} | {data} | {timed} |", flush=True)


def print_scmodal(steps: int) -> None:
    """Print the seconds of steps of scMODAL at its authors' size."""
    run = yaml.safe_load(ORIGINALS.read_text())["runs"]["scmodal-paper"]
    ours = {"method", "max_epochs"}
    hyperparameters = {name: value for name, value in run.items() if name not in ours}
    split = split_of("teaseq_small", "unpaired", 0)[0]
    seconds, peak = measured("scmodal", split, hyperparameters | {"epoch_steps": steps}, 1)
    size = f"{steps:,} steps of {run['batch_size']} cells"
    print(f"\nscmodal-paper: {size} in {seconds:.3g} s, {peak:.2f} GB")


def measured(method: str, split: Split, hyperparameters: dict, epochs: int) -> tuple[float, float]:
    """Return wall-clock seconds of some epochs after the first, and the peak GB of tensors on the device."""
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for count in (1, 1 + epochs):
        instance, began = made(method, hyperparameters | {"max_epochs": count}), time.perf_counter()
        instance.fit(split, 0)
        if on_gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    peak = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else 0.0
    return seconds[1] - seconds[0], peak


def print_ends(methods: list[str], seeds: list[int], *, on_gpu: bool) -> None:
    """Print the scores of fits on the device and, in a process without a GPU, on the CPU."""
    command = [sys.executable, __file__, "--as-json", "--methods", *methods]
    command += ["--seeds", *map(str, seeds)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    found = {"CPU": pd.DataFrame(json.loads(answer.stdout.splitlines()[-1]))}
    if on_gpu:
        found = {"GPU": pd.DataFrame(ends(methods, seeds))} | found
    print("\n| model | device | FOSCTTM | r | seconds of a fit |\n|---|---|---|---|---|")
    for method in methods:
        for device, rows in found.items():
            rows = rows[rows["method"] == method]
            foscttm, r = (f"{rows[x].mean():.4f} ± {rows[x].std():.4f}" for x in ("foscttm", "r"))
            seconds = f"{rows['seconds'].median():.3g}"
            print(f"| {method} | {device} | {foscttm} | {r} | {seconds} |", flush=True)


def ends(methods: list[str], seeds: list[int]) -> list[dict[str, float]]:
    """Return a row for each model and seed: its scores of query cells, and the seconds of its fit."""
    rows = []
    for method in methods:
        is_paired = "paired" in catalog.card("methods", method)["scenarios"]
        place = ("bmmc_cite_small", "paired") if is_paired else ("teaseq_small", "unpaired")
        for seed in seeds:
            train, query, solution = split_of(*place, seed)
            instance, began = made(method, {}), time.perf_counter()
            instance.fit(train, seed)
            row = {"method": method, "seed": seed, "seconds": time.perf_counter() - began}
            latents = {m: instance.embed(cells) for m, cells in query.items()}
            foscttm, r = [], []
            for source, target in permutations(query, 2):
                a, b = latents[source], latents[target]
                foscttm.append(ask("foscttm", latent_a=a, latent_b=b))
                values = instance.impute(query[source], target)
                imputed = unstandardised_values(solution[target], values)
                truth = values_of(solution[target])
                r.append(ask("imputation_pearson_per_feature", truth=truth, imputed=imputed))
            rows.append(row | {"foscttm": float(np.mean(foscttm)), "r": float(np.mean(r))})
    return rows


def split_of(dataset: str, kind: str, seed: int) -> tuple[Split, dict[str, Cells], MuData]:
    """Return train cells as a method gets them, each modality of query cells in the order of the solution, and the solution."""
    parts = make_split(
        linked(embedded.load(dataset)), dataset_name=dataset, scenario=kind, kind=kind, seed=seed
    )
    query, solution = parts["query"], parts["solution"]
    names = {m: pd.Index(solution[m].obs["query_name"].astype(str)) for m in query.mod}
    cells = {m: as_cells(query, [m], names[m], links=True) for m in query.mod}
    return as_split(parts["train"], labels=True, links=True), cells, solution


def made(method: str, hyperparameters: dict) -> training.Budget:
    """Return a method object."""
    return catalog.method_class(method)(**hyperparameters)


if __name__ == "__main__":
    main()
