"""The one training loop: permuted minibatches, early stopping on validation cells, best weights."""

from __future__ import annotations

import copy
import math
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from torch import nn

from mosaicbench.contract import History, Split
from mosaicbench.errors import Diverged
from mosaicbench.models.checkpoint import Checkpoint
from mosaicbench.models.discriminators import Opponents
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Block, Minibatch, Part, block_of
from mosaicbench.models.networks import Adam

LossFunction = Callable[[Minibatch, float], Loss]
Steps = Iterator[Sequence[Minibatch]]
Divided = tuple[list[Part], list[Minibatch]]  # the cells of each block to fit, and to validate on

# Single precision without TF32 in matrix products. On a GPU, operations take their deterministic
# form where they have one, for which cuBLAS needs the variable before it starts.
ARITHMETIC = {"float32_matmul_precision": "highest", "deterministic": True}
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

LONGEST = 100  # a warm-up is a fraction of at most this many epochs
WINDOW = 5  # epochs whose mean is the validation loss: that of one depends on few draws


@dataclass(kw_only=True)
class Budget:
    """How long and how finely to train; the same for every method of a benchmark.

    Attributes
    ----------
    max_epochs, patience
        Training ends, after a cooldown, when the validation loss, a mean over 5 epochs, has not
        improved for `patience` epochs after the warm-up. `max_epochs` is a cap that most trainings
        do not reach.
    batch_size
        Cells per step.
    learning_rate
        Of Adam, until the cooldown.
    cooldown
        Epochs in which the learning rate falls linearly to 0, as a fraction of those before; then
        training ends (Zhai et al. 2022, doi 10.1109/CVPR52688.2022.01179). 0, and with the last
        weights: it does not fall.
    validation
        Fraction of the train cells of each block that is held out to decide when to stop.
    gradient_clip
        Largest norm of the gradient.
    weights
        "best": those of the epoch with the lowest validation loss. "last", as many authors do: no
        cell is held out, every epoch is trained, and the weights of the last one are kept.
    """

    max_epochs: Annotated[int, "at least 1"] = 1000
    patience: Annotated[int, "at least 1"] = 5
    batch_size: Annotated[int, "at least 1"] = 128
    learning_rate: Annotated[float, "above 0", {"float": [0.001, 0.01], "log": True}] = 3e-3
    cooldown: Annotated[float, "at least 0 and at most 1"] = 0.3
    validation: Annotated[float, "at least 0 and below 1"] = 0.1
    gradient_clip: Annotated[float, "above 0"] = 10.0
    weights: Literal["best", "last"] = "best"

    checkpoint = None  # a Checkpoint after `save_at`; no hyperparameter, hence without annotation

    def save_at(self, path: Path, *, key: Callable[[], str], seconds: float) -> None:
        """Let training save itself to `path`, and continue from a file there."""
        self.checkpoint = Checkpoint(path, key, seconds)

    def conditions(self) -> dict[str, object]:
        """Return what training computes with, for the record."""
        name = torch.cuda.get_device_name() if device().type == "cuda" else "cpu"
        return {"device": name, **ARITHMETIC}


def device() -> torch.device:
    """Return the GPU when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw by `seed` and compute as `ARITHMETIC` says; afterwards all global state is as before."""
    memory = torch.utils.deterministic
    precision, fills = torch.get_float32_matmul_precision(), memory.fill_uninitialized_memory
    deterministic = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_float32_matmul_precision(ARITHMETIC["float32_matmul_precision"])
    memory.fill_uninitialized_memory = False
    _be_deterministic(device().type == "cuda", warn_only=True)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        memory.fill_uninitialized_memory = fills
        _be_deterministic(deterministic, warn_only=warns)


def _be_deterministic(wanted: bool, *, warn_only: bool) -> None:
    # Only for a change, as this call imports torch's compiler, which takes two seconds.
    if wanted or torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(wanted, warn_only=warn_only)


def weights_of(nets: nn.Module) -> dict[str, np.ndarray]:
    """Return the parameters and buffers of trained networks by name."""
    return {name: x.detach().cpu().contiguous().numpy() for name, x in nets.state_dict().items()}


def give_weights(nets: nn.Module, weights: dict[str, np.ndarray]) -> None:
    """Give networks what :func:`weights_of` returned, ready to embed; ValueError if it misfits."""
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
    try:
        nets.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(" ".join(str(error).split())) from error
    nets.to(device()).eval()


# --- the steps of an epoch ---


def each_alone(blocks: list[Block], size: int) -> Steps:
    """Yield every cell once: one minibatch a step, of one block, in random order."""
    pieces = []
    for block in blocks:
        order = torch.randperm(block.cells, device=device())
        pieces += [(block, rows) for rows in order.split(size)]
    for piece in torch.randperm(len(pieces)).tolist():
        block, rows = pieces[piece]
        yield [block.take(rows)]


def one_of_each(blocks: list[Block], size: int) -> Steps:
    """Yield steps of one minibatch of every block, all of one size.

    The largest block is seen once; the others begin again, in another order, after their last cell.
    """
    size = min(size, *(block.cells for block in blocks))
    steps = -(-max(block.cells for block in blocks) // size)
    minibatches = [_repeated(block.cells, steps * size).split(size) for block in blocks]
    for rows in zip(*minibatches, strict=True):
        yield _taken(blocks, rows)


def _repeated(cells: int, number: int) -> torch.Tensor:
    rounds = -(-number // cells)
    return torch.cat([torch.randperm(cells, device=device()) for _ in range(rounds)])[:number]


def some_of_each(blocks: list[Block], size: int) -> Steps:
    """Yield every cell once, in steps of `size` cells that hold every block in proportion."""
    steps = -(-sum(block.cells for block in blocks) // size)
    pieces = [torch.randperm(block.cells, device=device()).tensor_split(steps) for block in blocks]
    # Without a random order the first steps would get all the remainders.
    turns = [torch.randperm(steps).tolist() for _ in blocks]
    for step in range(steps):
        rows = [piece[turn[step]] for piece, turn in zip(pieces, turns, strict=True)]
        if minibatches := _taken(blocks, rows):
            yield minibatches


def _taken(blocks: list[Block], rows: Sequence[torch.Tensor]) -> list[Minibatch]:
    return [block.take(at) for block, at in zip(blocks, rows, strict=True) if len(at)]


def side_by_side(blocks: list[Block], size: int, *, steps: int | None = None) -> Steps:
    """Yield steps of one minibatch with as many cells of every block; one row is not one cell.

    With `steps`, so many steps of cells drawn with replacement; else as :func:`one_of_each`.
    """
    if steps is None:
        drawn = one_of_each(blocks, size)
    else:
        drawn = (_taken(blocks, _redrawn(blocks, size)) for _ in range(steps))
    for minibatches in drawn:
        values: dict[str, torch.Tensor] = {}
        for x in minibatches:
            values |= x
        yield [Minibatch(values)]


def _redrawn(blocks: list[Block], size: int) -> list[torch.Tensor]:
    return [torch.randint(block.cells, (size,), device=device()) for block in blocks]


def with_labelled(
    blocks: list[Part], size: int, labelled: Sequence[np.ndarray], fraction: float
) -> Steps:
    """Yield steps in which at least `fraction` of the cells are labelled.

    An epoch has every unlabelled cell once, and labelled ones repeatedly.

    Parameters
    ----------
    labelled
        Which cells of each block are labelled, (cells,) bool each.
    """
    masks = [
        torch.from_numpy(mask)[block.rows.cpu()].to(device())
        for mask, block in zip(labelled, blocks, strict=True)
    ]
    lengths = [len(mask) for mask in masks]
    known = torch.cat(masks).nonzero().squeeze(1)
    unknown = (~torch.cat(masks)).nonzero().squeeze(1)
    if not len(unknown) or not len(known):
        yield from some_of_each(blocks, size)
        return
    each = max(1, round(size * max(fraction, len(known) / sum(lengths))))  # labelled cells a step
    count = -(-len(unknown) // max(1, size - each))
    again = known[_repeated(len(known), count * each)].split(each)
    once = unknown[torch.randperm(len(unknown), device=device())].tensor_split(count)
    ends = np.cumsum(lengths).tolist()
    for parts in zip(again, once, strict=True):
        cells = torch.cat(parts)
        rows = [
            cells[(cells >= end - length) & (cells < end)] - (end - length)
            for length, end in zip(lengths, ends, strict=True)
        ]
        yield _taken(blocks, rows)


# --- the loop ---


def minimise(
    loss: LossFunction,
    nets: nn.Module,
    train: Split,
    *,
    budget: Budget,
    warmup: float,
    counts: Collection[str] = (),
    steps: Callable[[list[Block], int], Steps] = each_alone,
    held_out_loss: LossFunction | None = None,
    opponents: Opponents | None = None,
    most_steps: int | None = None,
    weight_decay: float = 0.0,
    divided: Divided | None = None,
) -> History:
    """Train `nets` in place and return the history.

    Parameters
    ----------
    loss
        (minibatch, progress) -> named losses per cell. Progress rises from 0 to 1 over the warm-up;
        it is 1 for all validation losses, so that epochs compare.
    nets
        They end with the weights of the epoch with the lowest validation loss after the warm-up.
    warmup
        Fraction of the epochs, of at most 100 of them, that is the warm-up; at least one epoch.
    counts
        The modalities whose counts the loss reads.
    steps
        (blocks, cells per minibatch) -> the minibatches of each step; a step minimises the mean
        over its cells.
    held_out_loss
        The validation loss, if not `loss`.
    opponents
        Discriminators, which learn before every step.
    most_steps
        End with the epoch that reaches so many steps.
    divided
        Result of :func:`divide`, for a method that needs to know the validation cells.

    Returns
    -------
    history
        One dict per epoch: epoch, progress, loss and each term in nats per cell (train),
        validation_loss, columns of each discriminator, kept (1 if its weights were kept).

    Raises
    ------
    Diverged
        When a loss or a gradient is not finite, or no validation loss after the warm-up is.
    """
    nets.to(device())
    fitted, held_out = divided or divide(train, budget, counts=counts)
    optimiser = Adam(
        nets.parameters(), lr=budget.learning_rate, weight_decay=weight_decay, fused=True
    )
    warm = max(1, round(warmup * min(budget.max_epochs, LONGEST)))
    stateful = {"nets": nets, "optimiser": optimiser}
    if opponents is not None:
        stateful |= opponents.stateful
    done = {"history": [], "best": math.inf, "best_epoch": 0, "best_weights": None}
    done["cooldown"] = math.inf, math.inf  # the epochs after which it begins, and ends
    latest = math.inf if budget.weights == "last" else budget.max_epochs / (1 + budget.cooldown)
    if budget.checkpoint is not None:
        done |= budget.checkpoint.resume(stateful) or {}
    history = done["history"]

    for epoch in range(len(history) + 1, budget.max_epochs + 1):
        progress = min(1.0, epoch / warm)
        for group in optimiser.param_groups:
            group["lr"] = budget.learning_rate * _cooled(epoch, *done["cooldown"])
        nets.train()
        terms, cells, games, steps_taken = Loss(), 0, Loss(), 0
        for minibatches in steps(fitted, budget.batch_size):
            steps_taken += 1
            if opponents is not None:
                games += opponents.learn(minibatches, progress)
            optimiser.zero_grad(set_to_none=True)
            losses = [loss(x, progress) for x in minibatches]
            total = sum(each.total() * x.cells for x, each in zip(minibatches, losses, strict=True))
            step_cells = sum(x.cells for x in minibatches)
            (total / step_cells).backward()
            norm = nn.utils.clip_grad_norm_(nets.parameters(), budget.gradient_clip)
            if not torch.isfinite(norm):
                raise Diverged(f"the loss or its gradient was not finite in epoch {epoch}")
            optimiser.step()
            for each in losses:
                terms += Loss({name: value.detach().sum() for name, value in each.items()})
            cells += step_cells
        row = {name: float(value) / cells for name, value in terms.items()}
        row = {"epoch": epoch, "progress": progress, "loss": sum(row.values())} | row
        row["validation_loss"] = (
            _validation_loss(held_out_loss or loss, nets, held_out) if held_out else row["loss"]
        )
        row |= {name: float(value) / steps_taken for name, value in games.items()}
        history.append(row)
        if epoch % 10 == 0 or epoch in (1, budget.max_epochs):
            print(
                f"epoch {epoch:4d} of at most {budget.max_epochs}  loss {row['loss']:.3f}  "
                f"validation {row['validation_loss']:.3f}",
                file=sys.stderr,
            )

        # Weights of the warm-up minimise another loss: none is kept, patience begins after it.
        recent = [each["validation_loss"] for each in history[warm - 1 :][-WINDOW:]]
        smoothed = sum(recent) / len(recent) if recent else math.inf
        if budget.weights == "last" or smoothed < done["best"]:
            weights = copy.deepcopy(nets.state_dict())
            done |= {"best": smoothed, "best_epoch": epoch, "best_weights": weights}
        waited = epoch - max(done["best_epoch"], warm)
        if done["cooldown"][0] > epoch:
            if budget.max_epochs > epoch > latest - 1:
                done["cooldown"] = epoch, budget.max_epochs
            elif waited >= budget.patience:
                done["cooldown"] = epoch, epoch + round(budget.cooldown * epoch)
        if epoch >= done["cooldown"][1] or epoch * steps_taken >= (most_steps or math.inf):
            break
        if budget.checkpoint is not None:
            budget.checkpoint.save_if_due(stateful, epoch, done)
    if done["best_weights"] is None:
        raise Diverged("the validation loss was never finite after the warm-up")
    nets.load_state_dict(done["best_weights"])
    nets.eval()
    print(
        f"trained {len(history)} epochs; kept that of epoch {done['best_epoch']}", file=sys.stderr
    )
    return [row | {"kept": float(row["epoch"] == done["best_epoch"])} for row in history]


def _cooled(epoch: int, begin: float, end: float) -> float:
    return 1.0 if epoch <= begin else (end + 1 - epoch) / (end + 1 - begin)


def divide(train: Split, budget: Budget, *, counts: Collection[str] = ()) -> Divided:
    """Return the train cells to fit, and those to validate on, drawn at random from each block.

    With `weights: last`, all are fitted.
    """
    fraction = budget.validation if budget.weights == "best" else 0.0
    names = {"cell_types": train.cell_types, "batches": train.batches}
    blocks = [block_of(block, device(), counts=counts, **names) for block in train.blocks]
    fitted, held_out = [], []
    for block in blocks:
        order = torch.randperm(block.cells, device=device())
        n = int(fraction * block.cells)
        fitted.append(Part(block, order[n:]))
        if n:
            held_out.append(block.take(order[:n]))
    return fitted, held_out


@torch.no_grad()
def _validation_loss(loss: LossFunction, nets: nn.Module, held_out: list[Minibatch]) -> float:
    nets.eval()
    total, cells = 0, 0
    for block in held_out:
        for piece in block.pieces():
            total += float(loss(piece, 1.0).total()) * piece.cells
            cells += piece.cells
    return total / cells
