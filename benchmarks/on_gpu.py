"""Time and memory of training on a GPU, and whether scores agree with those on the CPU.

    python benchmarks/on_gpu.py                                          some minutes on a GPU, and more on the CPU
    python benchmarks/on_gpu.py --cells 3000 --steps 20 --seeds 0 --methods mvae          less, on a CPU, too

Prints tables. Seconds of epochs and steps are wall-clock, without the first; memory is the peak of tensors.

machine     what the device can do: bytes that a copy reads and writes, and products of float32 matrices, without TF32
large       RNA and protein counts of simulated cells, as many cells and proteins as in Hao et al. 2021, and 2,000 genes;
            resident on the device, and streamed to it from the host; beside totalVI of scvi-tools, if that is installed.
            `of products` is the share of the device's matrix products that training uses; `of bytes`, that of its bandwidth
            for the fewest bytes: weights, gradients and Adam's moments 10 times in all, values and their gradients 4 times
covid       30,534 real cells of covid_citeseq, as in config/reference.yaml: epochs of models with their defaults
step        a step of MVAE with its defaults, on embedded CITE-seq: its kernels, the ms that they keep the GPU busy, by torch's
            profiler, and its ms without the profiler; on a CPU, the ms alone
scmodal     `scmodal-paper` of config/studies/originals.yaml, with the sizes of the authors' training, on embedded TEA-seq
together    how many times as fast as one after another 2, 4 and 8 fits are that share the device
ends        every model of this package with its defaults, on embedded CITE-seq, or TEA-seq without pairs if it cannot train
            on paired cells. Means and standard deviations over seeds of scores of query cells, on the GPU and on the CPU:
            FOSCTTM of the single modalities, and mean r per feature of values imputed in both directions
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from itertools import permutations, product
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch
import yaml
from mudata import MuData
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from mosaicbench.catalog import catalog
from mosaicbench.contract import Cells, Split
from mosaicbench.data import embedded
from mosaicbench.data.labels_qc import curated
from mosaicbench.data.links import linked
from mosaicbench.data.split import make_split
from mosaicbench.datasets import covid_citeseq, simulated
from mosaicbench.files.splits import as_cells, as_split, unstandardised_values
from mosaicbench.methods.mvae import MVAE
from mosaicbench.models import minibatch, training
from mosaicbench.scoring.collect import values_of
from mosaicbench.scoring.scorer import ask

ORIGINALS = Path(__file__).parents[1] / "config/studies/originals.yaml"
COVID = Path("resources/raw/covid_citeseq")
RARE = ["DC", "Erythrocyte", "pDC", "Platelet", "T_gd"]  # without a label in the study of sizes
HAO = {"cells": 161_764, "genes": 2000, "proteins": 228}
LARGE = [
    ("vae_poe", {"likelihood": "counts", "batch_size": 256}),
    ("vae_poe", {"likelihood": "counts", "batch_size": 4096}),
    ("mvae", {"batch_size": 256}),  # it is never streamed
    ("mvae", {"batch_size": 4096}),
]
EPOCHS_OF_STEP = 20
PROCESSES = (2, 4, 8)
TABLES = ["machine", "large", "covid", "step", "scmodal", "together", "ends"]
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
    parser.add_argument("--epochs", type=int, default=2, help="timed epochs")
    parser.add_argument("--steps", type=int, default=1000, help="timed steps of scmodal")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--processes", type=int, default=1, help="fits at once in ends")
    parser.add_argument("--as-json", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.as_json:
        print(json.dumps(ends(arguments.methods, arguments.seeds, arguments.processes)))
        return
    on_gpu = torch.cuda.is_available()
    print(torch.cuda.get_device_name() if on_gpu else "CPU: no GPU is available")
    if "machine" in arguments.tables or "large" in arguments.tables:
        limits = measured_machine()
    if "large" in arguments.tables:
        print_large(arguments.cells, arguments.epochs, limits)
    if "covid" in arguments.tables:
        print_covid(arguments.methods, arguments.epochs)
    if "step" in arguments.tables:
        print_step(on_gpu=on_gpu)
    if "scmodal" in arguments.tables:
        print_scmodal(arguments.steps)
    if "together" in arguments.tables:
        print_together()
    if "ends" in arguments.tables:
        print_ends(arguments, on_gpu=on_gpu)


def measured_machine() -> dict[str, float]:
    """Print and return what the device can do: bytes and floating-point operations a second."""
    device = training.device()
    side = 8192 if device.type == "cuda" else 1024
    a, b = torch.rand(2, side, side, device=device)
    found = {
        "bytes": 2 * 4 * side**2 / seconds_of(lambda: b.copy_(a)),
        "products": 2 * side**3 / seconds_of(lambda: torch.matmul(a, b)),
    }
    print(
        f"copies {found['bytes'] / 1e9:,.0f} GB/s, products {found['products'] / 1e12:.3g} TFLOP/s"
    )
    return found


def seconds_of(operation, repeats: int = 10) -> float:
    """Return the mean wall-clock seconds of an operation on the device, after warming up."""
    for count in (3, repeats):
        began = time.perf_counter()
        for _ in range(count):
            operation()
        synchronise()
    return (time.perf_counter() - began) / repeats


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def print_large(cells: int, epochs: int, limits: dict[str, float]) -> None:
    """Print the seconds of an epoch and the memory for a dataset of Hao's size."""
    sizes = {"n_rna": HAO["genes"], "n_adt": HAO["proteins"]}
    dataset = simulated.load(None, cells=cells, modalities=["rna", "adt"], **sizes)
    place = {"dataset_name": "large", "scenario": "paired", "kind": "paired", "seed": 0}
    parts = make_split(dataset, **place, preprocess={"rna": {"features": HAO["genes"]}})
    split = as_split(parts["train"], labels=False)
    count = len(split.blocks[0])
    print(
        "\n| model | cells | minibatch | data | s an epoch | cells a s | GB | of products | of bytes |"
        "\n|---|---|---|---|---|---|---|---|---|"
    )
    for method, hyperparameters in LARGE:
        likelihood, size = hyperparameters.get("likelihood"), hyperparameters["batch_size"]
        for data in ["resident", "streamed"] if likelihood else ["resident"]:
            share = 0 if data == "streamed" else minibatch.DEVICE_SHARE
            with mock.patch.multiple(minibatch, DEVICE_SHARE=share, HOST_SHARE=share):
                seconds, peak = measured(method, split, hyperparameters, epochs)
            name, rate = f"{method} {likelihood or 'gaussian'}", count * epochs / seconds
            operations, bytes_moved = cost_of_a_cell(method, split, hyperparameters)
            timed = f"{seconds / epochs:.3g} | {rate:,.0f} | {peak:.2f}"
            shares = [
                f"{100 * rate * operations / limits['products']:.2g} %",
                f"{100 * rate * bytes_moved / limits['bytes']:.2g} %",
            ]
            print(f"| {name} | {count:,} | {size} | {data} | {timed} | {' | '.join(shares)} |")
    if find_spec("scvi") is None:
        return
    seconds, peak = measured("totalvi", split, {"without": 0.0}, epochs, budget="epochs")
    timed = f"{seconds / epochs:.3g} | {count * epochs / seconds:,.0f} | {peak:.2f}"
    print(f"| totalVI of scvi-tools | {count:,} | 256 | resident | {timed} | | |", flush=True)


def cost_of_a_cell(
    method: str, split: Split, hyperparameters: dict[str, object]
) -> tuple[float, float]:
    """Return the floating-point operations of matrix products, and the fewest bytes, of training on a cell.

    They are measured on the cells of two minibatches.
    """
    cells = split.blocks[0]
    size = min(int(hyperparameters["batch_size"]), len(cells) // 2)
    few = replace(split, blocks=(cells.take(np.arange(2 * size)),))
    instance = made(method, hyperparameters | {"max_epochs": 1, "validation": 0.0})
    with FlopCounterMode(display=False) as counter:
        instance.fit(few, 0)
    weights = sum(x.numel() for x in instance.nets.parameters())
    values = sum(x.shape[1] for x in cells.values.values())
    return counter.get_total_flops() / (2 * size), 4 * (10 * weights / size + 4 * values)


def print_covid(methods: list[str], epochs: int) -> None:
    """Print the seconds of an epoch on 30,534 real cells, for models that train on paired cells."""
    split, _, _ = covid_split(0)
    count = len(split.blocks[0])
    print(f"\n| model, {count:,} cells | s an epoch | GB |\n|---|---|---|")
    for method in methods:
        if "paired" in catalog.card("methods", method)["scenarios"]:
            seconds, peak = measured(method, split, {}, epochs)
            print(f"| {method} | {seconds / epochs:.3g} | {peak:.2f} |", flush=True)


def print_step(*, on_gpu: bool) -> None:
    """Print what a training step of MVAE launches on the GPU, and its wall-clock time."""
    split = split_of("bmmc_cite_small", "paired", 0)[0]
    cells, size = len(split.blocks[0]), MVAE().batch_size
    steps = EPOCHS_OF_STEP * -(-cells // size)
    seconds, _ = measured("mvae", split, {"validation": 0.0}, EPOCHS_OF_STEP)
    print(f"\nstep of mvae, {size} of {cells} cells: {1000 * seconds / steps:.3g} ms", flush=True)
    if on_gpu:
        few, many = (kernels_of(split, epochs) for epochs in (1, 1 + EPOCHS_OF_STEP))
        kernels, busy = (many - few) / steps
        print(f"step of mvae: {kernels:.0f} kernels, the GPU is busy for {busy:.2g} ms", flush=True)


def kernels_of(split: Split, epochs: int) -> np.ndarray:
    """Return the number of kernels of a fit of MVAE, and the milliseconds that they take in all."""
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        MVAE(max_epochs=epochs, validation=0.0).fit(split, 0)
        synchronise()
    times = [
        event.time_range.elapsed_us() / 1000
        for event in found.events()
        if event.device_type == DeviceType.CUDA and not event.name.startswith("Mem")
    ]
    return np.array([len(times), sum(times)])


def print_scmodal(steps: int) -> None:
    """Print the seconds of steps of scMODAL at its authors' size."""
    run = yaml.safe_load(ORIGINALS.read_text())["runs"]["scmodal-paper"]
    ours = {"method", "max_epochs"}
    hyperparameters = {name: value for name, value in run.items() if name not in ours}
    split = split_of("teaseq_small", "unpaired", 0)[0]
    seconds, peak = measured("scmodal", split, hyperparameters | {"epoch_steps": steps}, 1)
    size = f"{steps:,} steps of {run['batch_size']} cells"
    print(f"\nscmodal-paper: {size} in {seconds:.3g} s, {peak:.2f} GB", flush=True)


def measured(
    method: str,
    split: Split,
    hyperparameters: dict,
    epochs: int,
    *,
    budget: str = "max_epochs",
) -> tuple[float, float]:
    """Return wall-clock seconds of some epochs after the first, and the peak GB of tensors on the device."""
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for count in (1, 1, 1 + epochs):  # the first warms up
        instance, began = made(method, hyperparameters | {budget: count}), time.perf_counter()
        instance.fit(split, 0)
        synchronise()
        seconds.append(time.perf_counter() - began)
    peak = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else 0.0
    return seconds[-1] - seconds[-2], peak


def print_together() -> None:
    """Print how much faster fits are that share the device, than as many one after another."""
    alone = max(in_processes(1))
    for count in PROCESSES:
        ratio = count * alone / max(in_processes(count))
        print(f"together: {count} fits at once are {ratio:.2f} times as fast as one by one")


def in_processes(count: int) -> list[float]:
    """Return the seconds of fits of MVAE for 50 epochs, in processes that have all started."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    with context.Pool(count, initializer=keep, initargs=(barrier,)) as pool:
        return pool.map(one_of_them, range(count), chunksize=1)


def keep(barrier) -> None:
    """Keep the barrier of the processes, which a task cannot carry."""
    global BARRIER  # noqa: PLW0603
    BARRIER = barrier


def one_of_them(seed: int) -> float:
    """Return the seconds of a fit that begins when all processes are ready."""
    split = split_of("bmmc_cite_small", "paired", 0)[0]
    MVAE(max_epochs=1).fit(split, seed)
    BARRIER.wait()
    began = time.perf_counter()
    MVAE(max_epochs=50, patience=50).fit(split, seed)
    synchronise()
    return time.perf_counter() - began


def print_ends(arguments: argparse.Namespace, *, on_gpu: bool) -> None:
    """Print the scores of fits on the device and, in a process without a GPU, on the CPU."""
    methods, seeds = arguments.methods, arguments.seeds
    command = [sys.executable, __file__, "--as-json", "--methods", *methods]
    command += ["--seeds", *map(str, seeds), "--processes", str(arguments.processes)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    found = {"CPU": pd.DataFrame(json.loads(answer.stdout.splitlines()[-1]))}
    if on_gpu:
        found = {"GPU": pd.DataFrame(ends(methods, seeds, arguments.processes))} | found
    print("\n| model | device | FOSCTTM | r | seconds of a fit |\n|---|---|---|---|---|")
    for method in methods:
        for device, rows in found.items():
            rows = rows[rows["method"] == method]
            foscttm, r = (f"{rows[x].mean():.4f} ± {rows[x].std():.4f}" for x in ("foscttm", "r"))
            seconds = f"{rows['seconds'].median():.3g}"
            print(f"| {method} | {device} | {foscttm} | {r} | {seconds} |", flush=True)


def ends(methods: list[str], seeds: list[int], processes: int) -> list[dict[str, float]]:
    """Return a row for each model and seed: its scores of query cells, and the seconds of its fit."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        return list(pool.map(end_of, *zip(*product(methods, seeds), strict=True)))


def end_of(method: str, seed: int) -> dict[str, float]:
    """Return the row of a model and a seed."""
    is_paired = "paired" in catalog.card("methods", method)["scenarios"]
    place = ("bmmc_cite_small", "paired") if is_paired else ("teaseq_small", "unpaired")
    return scored(method, {}, split_of(*place, seed), seed)


def scored(
    method: str,
    hyperparameters: dict,
    parts: tuple[Split, dict[str, Cells], MuData],
    seed: int,
) -> dict[str, float]:
    """Return the scores of a fit and its seconds."""
    train, query, solution = parts
    instance, began = made(method, hyperparameters), time.perf_counter()
    history = instance.fit(train, seed)
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
    scores = {"foscttm": float(np.mean(foscttm)), "r": float(np.mean(r))}
    return row | scores | {"epochs": len(history)}


def covid_split(seed: int) -> tuple[Split, dict[str, Cells], MuData]:
    """Return a split of covid_citeseq, which `mosaicbench fetch covid_citeseq` fetches."""
    dataset = curated(covid_citeseq.load(COVID), unknown_labels=RARE)
    dataset.uns.pop("curation")
    return parts_of(dataset, "covid_citeseq", "paired", seed, {"rna": {"features": 1000}})


def split_of(dataset: str, kind: str, seed: int) -> tuple[Split, dict[str, Cells], MuData]:
    """Return a split of an embedded dataset."""
    return parts_of(linked(embedded.load(dataset)), dataset, kind, seed, {})


def parts_of(
    dataset: MuData, name: str, kind: str, seed: int, preprocess: dict
) -> tuple[Split, dict[str, Cells], MuData]:
    """Return train cells as a method gets them, each modality of query cells in the order of the solution, and the solution."""
    place = {"dataset_name": name, "scenario": kind, "kind": kind, "seed": seed}
    parts = make_split(dataset, **place, preprocess=preprocess)
    query, solution = parts["query"], parts["solution"]
    names = {m: pd.Index(solution[m].obs["query_name"].astype(str)) for m in query.mod}
    cells = {m: as_cells(query, [m], names[m], links=True, counts=True) for m in query.mod}
    return as_split(parts["train"], labels=True, links=True), cells, solution


def made(method: str, hyperparameters: dict) -> training.Budget:
    """Return a method object."""
    return catalog.method_class(method)(**hyperparameters)


if __name__ == "__main__":
    main()
