"""Seconds of an epoch of several seeds, one by one and at once, and what of the machine they use.

    python benchmarks/seeds_at_once.py                           on the GPU where there is one, else on the CPU
    python benchmarks/seeds_at_once.py --seeds 1 5 --cells 1000  less

Seeds have cells of their own, standard normal values, and the default budget. Each row of the table is a way to train:

one by one        as without stacking: `training.minimise` of every seed
at once           a stack, its operations launched one by one
at once, graph    a stack, a training step launched as one CUDA graph; only on a GPU

Operations are those that a training step dispatches, views left out: each is a launch on a GPU, or some; one by one, those of a
stack of one for every seed. Shares are of what a
product of large float32 matrices, and a copy of a large tensor, reach on the same device: arithmetic counts products of
matrices, bandwidth what operations read and write (were nothing cached). The first epoch is not timed.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from mosaicbench import catalog
from mosaicbench.modeling import training
from mosaicbench.modeling.stacked import Member, Stack
from mosaicbench.view import Cells, View

LARGE = {"cuda": (8192, 2**30), "cpu": (2048, 2**26)}  # rows of the matrices, bytes of the copy
SHOWN = "| {method} | {seeds} | {how} | {operations} | {seconds:.4g} | {each:.3g} | {arithmetic:.2g} % | {bandwidth:.2g} % |"


@dataclass
class Work:
    """What a training step does: operations, floating point operations of its products, bytes read and written."""

    operations: int
    flop: int
    bytes: int


class Counter(TorchDispatchMode):
    """Counts operations that compute something, and the bytes of what they take and give."""

    def __init__(self):
        super().__init__()
        self.operations = self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = function(*args, **(kwargs or {}))
        if not function.is_view:
            self.operations += 1
            self.bytes += sum(
                x.nbytes for x in tree_leaves((args, kwargs, given)) if isinstance(x, torch.Tensor)
            )
        return given


def main() -> None:
    """Measure what the arguments ask for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=["vae_poe", "mmvaepp"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 5, 20], help="numbers of seeds")
    parser.add_argument("--cells", type=int, default=5000)
    parser.add_argument(
        "--features", type=int, nargs=2, default=[2000, 100], help="of the two modalities"
    )
    parser.add_argument("--epochs", type=int, default=3, help="that are timed")
    arguments = parser.parse_args()
    device = training.device()
    with training.seeded(0):
        flop_per_second, bytes_per_second = limits(device)
    print(
        f"{torch.cuda.get_device_name() if device.type == 'cuda' else f'CPU, {torch.get_num_threads()} threads'};",
        end=" ",
    )
    print(f"limits: {flop_per_second / 1e9:.4g} GFLOP/s, {bytes_per_second / 1e9:.4g} GB/s")
    if device.type == "cpu":
        print(
            "No GPU: no graphs here, and neither seconds nor shares say what they are there; operations a step are the same."
        )
    print(
        "\n| method | seeds | trained | operations a step | seconds an epoch | a seed | arithmetic | bandwidth |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for method in arguments.methods:
        for seeds in arguments.seeds:
            views = [view_of(seed, arguments.cells, arguments.features) for seed in range(seeds)]
            for how, work, steps, seconds in measured(method, views, arguments.epochs):
                row = {"method": method, "seeds": seeds, "how": how, "operations": work.operations}
                row |= {"seconds": seconds, "each": seconds / seeds}
                row["arithmetic"] = 100 * work.flop * steps / seconds / flop_per_second
                row["bandwidth"] = 100 * work.bytes * steps / seconds / bytes_per_second
                print(SHOWN.format(**row), flush=True)


def measured(method: str, views: list[View], epochs: int) -> Iterator[tuple[str, Work, int, float]]:
    """Yield each way to train these seeds: its name, work of a step, steps of an epoch, seconds of an epoch."""
    instance = catalog.method_class(method)

    def alone(epochs: int) -> None:
        for seed, view in enumerate(views):
            one = instance(max_epochs=epochs)
            with training.seeded(seed):
                one.make(view)
                training.minimise(
                    one.cost, one.nets, view, budget=one, warmup=one.warmup, stops=False
                )

    with training.seeded(0):
        stack = Stack([Member(instance(), view, seed) for seed, view in enumerate(views)])
        steps, work = stack.members[0].steps, work_of_step(stack)
        first, all_of_them = (seconds_of(alone, count) for count in (1, 1 + epochs))
        of_one = work_of_step(Stack([Member(instance(), views[0], 0)])) if len(views) > 1 else work
        in_turn = Work(
            of_one.operations * len(views), of_one.flop * len(views), of_one.bytes * len(views)
        )
        yield "one by one", in_turn, steps, (all_of_them - first) / epochs
        stack.learn.eager_left = stack.validate.eager_left = math.inf
        yield "at once", work, steps, seconds_of_epoch(stack, epochs)
        if training.device().type == "cuda":
            stack.learn.eager_left = stack.validate.eager_left = 0
            yield (
                "at once, graph" if captured(stack) else "at once (no graph)",
                work,
                steps,
                seconds_of_epoch(stack, epochs),
            )


def captured(stack: Stack) -> bool:
    """Run an epoch and return whether its steps became a graph."""
    stack.run_epoch(1.0)
    return stack.learn.graph is not None


def seconds_of_epoch(stack: Stack, epochs: int) -> float:
    """Return seconds of an epoch, drawing its random numbers included."""
    stack.run_epoch(1.0)
    return seconds_of(lambda: [stack.run_epoch(1.0) for _ in range(epochs)]) / epochs


def work_of_step(stack: Stack) -> Work:
    """Return what a step does, and leave it done."""
    function, found = stack.learn.function, []

    def counting(step: list[torch.Tensor], progress: float) -> None:
        with FlopCounterMode(display=False) as flop, Counter() as counter:
            function(step, progress)
        found.append(Work(counter.operations, flop.get_total_flops(), counter.bytes))

    stack.learn.function = counting
    stack.learn.eager_left = math.inf
    stack.run_epoch(1.0)
    stack.learn.function = function
    return found[-1]


def limits(device: torch.device) -> tuple[float, float]:
    """Return floating point operations and bytes per second that the device reaches."""
    rows, size = LARGE[device.type]
    a, b = (torch.randn(rows, rows, device=device) for _ in range(2))
    source = torch.zeros(size // 4, device=device)
    target = torch.empty_like(source)
    product = min(seconds_of(torch.mm, a, b) for _ in range(5))
    copy = min(seconds_of(target.copy_, source) for _ in range(5))
    return 2 * rows**3 / product, 2 * size / copy


def seconds_of(function: Callable, *arguments: object) -> float:
    """Return wall-clock seconds of a call, until the device has done what it launched."""
    began = time.perf_counter()
    function(*arguments)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def view_of(seed: int, cells: int, features: list[int]) -> View:
    """Return one block of two modalities."""
    random = np.random.default_rng(seed)
    widths = dict(zip(("rna", "adt"), features, strict=True))
    values = {m: random.standard_normal((cells, d), dtype=np.float32) for m, d in widths.items()}
    return View((Cells(names=np.arange(cells).astype(str).astype(object), values=values),), widths)


if __name__ == "__main__":
    main()
