"""The one training loop: permuted minibatches of one block each, early stopping on validation cells, best weights restored."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from torch import nn
from tqdm import tqdm

from mosaicbench.errors import Diverged
from mosaicbench.modeling.checkpoint import Checkpoint, Stateful
from mosaicbench.modeling.costs import Cost
from mosaicbench.modeling.critics import Opponents
from mosaicbench.modeling.minibatch import Block, Minibatch, Part, block_of
from mosaicbench.modeling.optimiser import Adam
from mosaicbench.modeling.schedule import NEVER_FINITE, Schedule
from mosaicbench.view import View

CostFunction = Callable[[Minibatch, float], Cost]
Steps = Callable[[list[Block], int], Iterator[Sequence[Minibatch]]]
Divided = tuple[
    list[Block], list[Minibatch]
]  # the cells of each block to fit, and those to validate on

# What training computes with, here and nowhere else. Single precision means single precision: no TF32 in matrix products.
# On a GPU, operations that have a deterministic form take it.
ARITHMETIC = {"float32_matmul_precision": "highest", "deterministic": True}
if ARITHMETIC["deterministic"]:
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # what cuBLAS needs for it, before it starts


@dataclass(kw_only=True)
class Budget:
    """How long and how finely to train; the same for every method of a benchmark.

    Attributes
    ----------
    max_epochs, patience
        Stop when the validation cost, a mean over 5 epochs, has not improved for `patience` epochs after the warm-up.
        `max_epochs` is a cap that most trainings do not reach; a run that reaches it is named in the sanity checks.
    batch_size
        Cells per step.
    learning_rate
        Of Adam.
    validation
        Fraction of the train cells of each block that is held out to decide when to stop.
    gradient_clip
        Largest norm of the gradient.
    matmul_precision
        Of the products of matrices: "float32", or "bfloat16": factors are rounded to it where the processor has instructions
        for that (on a GPU, to TF32), and sums, weights, likelihoods and everything after training stay in float32.
    weights
        "best": those of the epoch with the lowest validation cost. "last": every epoch is trained, no cell is held out, and the
        weights of the last epoch are kept, as many authors do.
    """

    max_epochs: Annotated[int, "at least 1"] = 1000
    patience: Annotated[int, "at least 1"] = 30
    batch_size: Annotated[int, "at least 1"] = 128
    learning_rate: Annotated[float, "above 0"] = 1e-3
    validation: Annotated[float, "at least 0 and below 1"] = 0.1
    gradient_clip: Annotated[float, "above 0"] = 10.0
    matmul_precision: Literal["float32", "bfloat16"] = "float32"
    weights: Literal["best", "last"] = "best"

    checkpoint = None  # a Checkpoint, once there is a place for one; no hyperparameter, hence without annotation

    def save_at(self, path: Path, *, key: Callable[[], str], seconds: float) -> None:
        """Let training save itself to `path`, and go on from what it finds there; see :class:`.checkpoint.Checkpoint`."""
        self.checkpoint = Checkpoint(path, key, seconds)

    def conditions(self) -> dict[str, object]:
        """Return what training computes with, for the record."""
        return {
            "device": torch.cuda.get_device_name() if device().type == "cuda" else "cpu",
            **ARITHMETIC,
        }


def device() -> torch.device:
    """Return the GPU when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make everything random inside the block depend on `seed` alone, and leave the global generators as they were."""
    with torch.random.fork_rng(), _arithmetic():
        torch.manual_seed(seed)
        yield


@contextmanager
def _arithmetic() -> Iterator[None]:
    """Compute as `ARITHMETIC` says inside the block, and as before after it."""
    precision, deterministic = (
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
    )
    fills, warns = (
        torch.utils.deterministic.fill_uninitialized_memory,
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.set_float32_matmul_precision(ARITHMETIC["float32_matmul_precision"])
    torch.utils.deterministic.fill_uninitialized_memory = False
    _be_deterministic(ARITHMETIC["deterministic"] and device().type == "cuda", warn_only=True)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.utils.deterministic.fill_uninitialized_memory = fills
        _be_deterministic(deterministic, warn_only=warns)


def _be_deterministic(wanted: bool, *, warn_only: bool) -> None:
    """As ``torch.use_deterministic_algorithms``, which imports torch's compiler for two seconds, but where nothing changes."""
    if wanted or torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(wanted, warn_only=warn_only)


@contextmanager
def _matmul_precision(budget: Budget) -> Iterator[None]:
    """Multiply matrices inside the block with the precision of the budget."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(
        "medium" if budget.matmul_precision == "bfloat16" else before
    )
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def each_alone(blocks: list[Block], size: int) -> Iterator[Sequence[Minibatch]]:
    """Yield every cell once: the blocks' minibatches, one a step, in one random order."""
    pieces = []
    for number, block in enumerate(blocks):
        order = torch.randperm(block.cells, device=device())
        pieces += [(number, rows) for rows in order.split(size)]
    for piece in torch.randperm(len(pieces)).tolist():
        number, rows = pieces[piece]
        yield [blocks[number].take(rows)]


def one_of_each(blocks: list[Block], size: int) -> Iterator[Sequence[Minibatch]]:
    """Yield steps of one minibatch of every block, all of one size: balanced, whatever the blocks' sizes.

    The largest block is seen once; the others begin again, in another order, when they are through.
    """
    size = min(size, *(block.cells for block in blocks))
    steps = -(-max(block.cells for block in blocks) // size)
    rows_of = []
    for block in blocks:
        rounds = [
            torch.randperm(block.cells, device=device())
            for _ in range(-(-steps * size // block.cells))
        ]
        rows_of.append(torch.cat(rounds)[: steps * size].split(size))
    for rows in zip(*rows_of, strict=True):
        yield [block.take(chosen) for block, chosen in zip(blocks, rows, strict=True)]


def some_of_each(blocks: list[Block], size: int) -> Iterator[Sequence[Minibatch]]:
    """Yield every cell once, in steps of `size` cells in sum: of every block its share, so that a step holds every pattern."""
    steps = -(-sum(block.cells for block in blocks) // size)
    pieces = [torch.randperm(block.cells, device=device()).tensor_split(steps) for block in blocks]
    turns = [
        torch.randperm(steps).tolist() for _ in blocks
    ]  # else the first steps would get all of what is left over
    for step in range(steps):
        rows = [own[turn[step]] for own, turn in zip(pieces, turns, strict=True)]
        if any(len(chosen) for chosen in rows):
            yield [
                block.take(chosen)
                for block, chosen in zip(blocks, rows, strict=True)
                if len(chosen)
            ]


def side_by_side(
    blocks: list[Block], size: int, *, steps: int | None = None
) -> Iterator[Sequence[Minibatch]]:
    """Yield steps of one minibatch that holds as many cells of every block: a cost sees them all, and a row is no one cell.

    Parameters
    ----------
    steps
        Draw each step's cells anew, with replacement, so many times; None shows every block as :func:`one_of_each` does.
    """
    drawn = one_of_each(blocks, size) if steps is None else _redrawn(blocks, size, steps)
    for minibatches in drawn:
        yield [Minibatch({name: values for x in minibatches for name, values in x.items()})]


def _redrawn(blocks: list[Block], size: int, steps: int) -> Iterator[Sequence[Minibatch]]:
    for _ in range(steps):
        yield [block.take(torch.randint(block.cells, (size,), device=device())) for block in blocks]


def minimise(
    cost: CostFunction,
    nets: nn.Module,
    train: View,
    *,
    budget: Budget,
    warmup: float,
    counts: Collection[str] = (),
    steps: Steps = each_alone,
    held_out_cost: CostFunction | None = None,
    opponents: Opponents | None = None,
    most_steps: int | None = None,
    weight_decay: float = 0.0,
    divided: Divided | None = None,
) -> list[dict[str, float]]:
    """Train `nets` in place and return the history.

    Parameters
    ----------
    cost
        (minibatch, progress) -> named costs per cell. Progress runs from 0 to 1 over the warm-up and stays there; validation
        costs are always taken at progress 1, so epochs compare.
    nets
        The networks whose parameters are trained. They end with the weights of the epoch whose validation cost is lowest, of
        those in which progress is 1.
    train
        The train cells. A minibatch never mixes blocks, so it holds only what was observed.
    warmup
        The part of the epochs, of no more than 100 of them, that is the warm-up; it has an epoch at least.
    counts
        The modalities whose counts the cost reads.
    steps
        (blocks, cells per minibatch) -> the minibatches of each step of an epoch; a step minimises the mean over its cells.
    held_out_cost
        What decides when to stop, where that is not `cost`.
    opponents
        Critics, who learn before every step.
    most_steps
        End with the epoch in which so many steps are reached, of a training that no validation cost can end.
    weight_decay
        Of Adam: the gradient of half this times the squared weights is added to that of the cost.
    divided
        What :func:`divide` gave, for a method that needs to know which cells decided when to stop.

    Returns
    -------
    history
        One dict per epoch: epoch, progress, cost and each term in nats per cell (train), validation_cost, how each critic
        did, and whether its weights were kept.

    Raises
    ------
    Diverged
        When a cost or a gradient is not finite, or no validation cost after the warm-up is.
    """
    nets.to(device())
    fitted, held_out = divide(train, budget, counts=counts) if divided is None else divided
    optimiser = Adam(
        nets.parameters(), lr=budget.learning_rate, weight_decay=weight_decay, fused=True
    )
    schedule = Schedule.of(budget.max_epochs, budget.patience, warmup)
    stateful = {
        "nets": nets,
        "optimiser": optimiser,
        **({} if opponents is None else opponents.stateful),
    }
    history, best, best_weights, best_epoch = _resumed(budget.checkpoint, stateful) or (
        [],
        float("inf"),
        None,
        0,
    )

    bar = tqdm(
        range(len(history) + 1, budget.max_epochs + 1),
        desc="training",
        unit="epoch",
        disable=not sys.stderr.isatty(),
    )
    for epoch in bar:
        progress = schedule.progress(epoch)
        nets.train()
        terms, seen, steps_taken, standings = Cost(), 0, 0, []
        for minibatches in steps(fitted, budget.batch_size):
            steps_taken += 1
            if opponents is not None:
                standings.append(opponents.learn(minibatches, progress))
            optimiser.zero_grad(set_to_none=True)
            with _matmul_precision(budget):
                costs = [cost(x, progress) for x in minibatches]
                total = sum(
                    each.total() * x.cells for x, each in zip(minibatches, costs, strict=True)
                )
                (total / sum(x.cells for x in minibatches)).backward()
            norm = nn.utils.clip_grad_norm_(nets.parameters(), budget.gradient_clip)
            if not torch.isfinite(norm):
                raise Diverged(f"the cost or its gradient was not finite in epoch {epoch}")
            optimiser.step()
            for x, each in zip(minibatches, costs, strict=True):
                terms += Cost({name: value.detach().sum() for name, value in each.items()})
                seen += x.cells
        row = {name: float(value) / seen for name, value in terms.items()}
        row = {"epoch": epoch, "progress": progress, "cost": sum(row.values())} | row
        with _matmul_precision(budget):
            row["validation_cost"] = (
                _validation_cost(held_out_cost or cost, nets, held_out) if held_out else row["cost"]
            )
        row |= {
            name: float(sum(each[name] for each in standings)) / len(standings)
            for name in next(iter(standings), ())
        }
        history.append(row)
        bar.set_postfix(cost=f"{row['cost']:.2f}", validation=f"{row['validation_cost']:.2f}")
        if bar.disable and (epoch % 10 == 0 or epoch == 1):
            print(
                f"epoch {epoch:4d}  cost {row['cost']:.3f}  validation {row['validation_cost']:.3f}",
                file=sys.stderr,
            )

        smoothed = schedule.smoothed([each["validation_cost"] for each in history])
        if budget.weights == "last" or smoothed < best:
            best, best_epoch, best_weights = smoothed, epoch, copy.deepcopy(nets.state_dict())
        if not schedule.goes_on(epoch, best_epoch) or (
            most_steps is not None and epoch * steps_taken >= most_steps
        ):
            break
        _save(budget.checkpoint, stateful, history, best, best_weights, best_epoch)
    if best_weights is None:
        raise Diverged(NEVER_FINITE)
    nets.load_state_dict(best_weights)
    nets.eval()
    return with_kept(history, best_epoch)


def with_kept(history: list[dict[str, float]], kept_epoch: int) -> list[dict[str, float]]:
    """Return the history with a column "kept": 1 in the epoch whose weights were kept, else 0."""
    return [row | {"kept": float(row["epoch"] == kept_epoch)} for row in history]


def divide(train: View, budget: Budget, *, counts: Collection[str] = ()) -> Divided:
    """Return the train cells to fit, and those to validate on, as the seed draws them: none with `weights: last`."""
    fraction = budget.validation if budget.weights == "best" else 0.0
    known = {"counts": counts, "cell_types": train.cell_types, "batches": train.batches}
    return _hold_out([block_of(block, device(), **known) for block in train.blocks], fraction)


def _hold_out(blocks: list[Block], fraction: float) -> tuple[list[Block], list[Minibatch]]:
    """Cut every block into the cells to fit and the cells to validate on; a block too small to cut is only fitted."""
    fitted, held_out = [], []
    for block in blocks:
        order = torch.randperm(block.cells, device=device())
        n = int(fraction * block.cells)
        fitted.append(Part(block, order[n:]))
        if n:
            held_out.append(block.take(order[:n]))
    return fitted, held_out


@torch.no_grad()
def _validation_cost(cost: CostFunction, nets: nn.Module, held_out: list[Minibatch]) -> float:
    nets.eval()
    pieces = [piece for block in held_out for piece in block.pieces()]
    sums = [(float(cost(piece, 1.0).total()) * piece.cells, piece.cells) for piece in pieces]
    return sum(total for total, _ in sums) / sum(n for _, n in sums)


def _resumed(
    checkpoint: Checkpoint | None, stateful: Mapping[str, Stateful]
) -> tuple[list, float, dict, int] | None:
    """Return history, best validation cost, its weights and epoch of a training that was saved; None where it begins."""
    saved = None if checkpoint is None else checkpoint.resume(stateful)
    return (
        None
        if saved is None
        else (saved["history"], saved["best"], saved["best_weights"], saved["best_epoch"])
    )


def _save(
    checkpoint: Checkpoint | None,
    stateful: Mapping[str, Stateful],
    history: list[dict[str, float]],
    best: float,
    best_weights: dict | None,
    best_epoch: int,
) -> None:
    if checkpoint is not None:
        progress = {
            "history": history,
            "best": best,
            "best_weights": best_weights,
            "best_epoch": best_epoch,
        }
        checkpoint.save_if_due(stateful, len(history), progress)
