"""The one training loop: permuted minibatches of one block each, early stopping on validation cells, best weights restored."""

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

from mosaicbench.contract import Split
from mosaicbench.errors import Diverged, NotApplicable
from mosaicbench.models.checkpoint import Checkpoint
from mosaicbench.models.discriminators import Opponents
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Block, Minibatch, Part, block_of
from mosaicbench.models.networks import Adam

LossFunction = Callable[[Minibatch, float], Loss]
Steps = Callable[[list[Block], int], Iterator[Sequence[Minibatch]]]
# The cells of each block to fit, and those to validate on.
Divided = tuple[list[Block], list[Minibatch]]

# What training computes with, for the record. Single precision means single precision: no TF32 in matrix products. On a GPU,
# operations that have a deterministic form take it, for which cuBLAS needs the variable before it starts.
ARITHMETIC = {"float32_matmul_precision": "highest", "deterministic": True}
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

LONGEST = 100  # a warm-up is a fraction of at most this many epochs
# The validation loss is a mean over this many epochs, since that of one epoch depends on what was drawn for its few cells.
WINDOW = 5


@dataclass(kw_only=True)
class Budget:
    """How long and how finely to train; the same for every method of a benchmark.

    Attributes
    ----------
    max_epochs, patience
        Stop when the validation loss, a mean over 5 epochs, has not improved for `patience` epochs after the warm-up.
        `max_epochs` is a cap that most trainings do not reach; a run that reaches it is named in the sanity checks.
    batch_size
        Cells per step.
    learning_rate
        Of Adam.
    validation
        Fraction of the train cells of each block that is held out to decide when to stop.
    gradient_clip
        Largest norm of the gradient.
    weights
        "best": those of the epoch with the lowest validation loss. "last": every epoch is trained, no cell is held out, and the
        weights of the last epoch are kept, as many authors do.
    """

    max_epochs: Annotated[int, "at least 1"] = 1000
    patience: Annotated[int, "at least 1"] = 30
    batch_size: Annotated[int, "at least 1"] = 128
    learning_rate: Annotated[float, "above 0", {"float": [0.0003, 0.003], "log": True}] = 1e-3
    validation: Annotated[float, "at least 0 and below 1"] = 0.1
    gradient_clip: Annotated[float, "above 0"] = 10.0
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
    precision, fills = (
        torch.get_float32_matmul_precision(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )
    deterministic, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.set_float32_matmul_precision(ARITHMETIC["float32_matmul_precision"])
    torch.utils.deterministic.fill_uninitialized_memory = False
    _be_deterministic(device().type == "cuda", warn_only=True)
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


def weights_of(nets: nn.Module) -> dict[str, np.ndarray]:
    """Return the parameters and buffers of trained networks by name."""
    return {
        name: tensor.detach().cpu().contiguous().numpy()
        for name, tensor in nets.state_dict().items()
    }


def give_weights(nets: nn.Module, weights: dict[str, np.ndarray]) -> None:
    """Give networks the parameters and buffers that :func:`weights_of` returned, ready to embed.

    Raises
    ------
    ValueError
        When names or shapes are those of other networks.
    """
    try:
        nets.load_state_dict(
            {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
        )
    except RuntimeError as error:
        raise ValueError(" ".join(str(error).split())) from error
    nets.to(device()).eval()


# --- the steps of an epoch ---


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
    """Yield steps of one minibatch that holds as many cells of every block: a loss sees them all, and a row is no one cell.

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


def labelled_cells(train: Split) -> list[np.ndarray]:
    """Return which cells of each block show their type, (cells,) bool each.

    Raises
    ------
    NotApplicable
        When none does.
    """
    if not train.cell_types:
        raise NotApplicable(
            "a semi-supervised method needs train cells with a known cell type, and none has one"
        )
    return [np.asarray(block.labels, dtype=object) != "" for block in train.blocks]


def with_labelled(label_subset: Sequence[np.ndarray], share: float) -> Steps:
    """Return steps in which `share` of the cells are labelled, or more where more of all cells are.

    An epoch sees every unlabelled cell once, and the labelled ones as often as it takes; a step holds cells of every block.

    Parameters
    ----------
    labelled
        Which cells of each block are, (cells,) bool each, in the order of the blocks.
    """

    def steps(blocks: list[Part], size: int) -> Iterator[Sequence[Minibatch]]:
        shows = [
            torch.from_numpy(own)[block.rows.cpu()].to(device())
            for own, block in zip(label_subset, blocks, strict=True)
        ]
        block_of = torch.repeat_interleave(torch.tensor([len(own) for own in shows])).to(device())
        row_of = torch.cat([torch.arange(len(own), device=device()) for own in shows])
        known = torch.cat(shows).nonzero().squeeze(1)
        unknown = (~torch.cat(shows)).nonzero().squeeze(1)
        if not len(unknown) or not len(known):
            yield from some_of_each(blocks, size)
            return
        each = max(1, round(size * max(share, len(known) / len(row_of))))  # labelled cells a step
        count = -(-len(unknown) // max(1, size - each))
        rounds = [
            known[torch.randperm(len(known), device=device())]
            for _ in range(-(-count * each // len(known)))
        ]
        again = torch.cat(rounds)[: count * each].split(each)
        once = unknown[torch.randperm(len(unknown), device=device())].tensor_split(count)
        for cells in (torch.cat(parts) for parts in zip(again, once, strict=True)):
            of_block = [row_of[cells[block_of[cells] == number]] for number in range(len(blocks))]
            yield [
                block.take(rows) for block, rows in zip(blocks, of_block, strict=True) if len(rows)
            ]

    return steps


# --- the loop ---


def minimise(
    loss: LossFunction,
    nets: nn.Module,
    train: Split,
    *,
    budget: Budget,
    warmup: float,
    counts: Collection[str] = (),
    steps: Steps = each_alone,
    held_out_loss: LossFunction | None = None,
    opponents: Opponents | None = None,
    most_steps: int | None = None,
    weight_decay: float = 0.0,
    divided: Divided | None = None,
) -> list[dict[str, float]]:
    """Train `nets` in place and return the history.

    Parameters
    ----------
    loss
        (minibatch, progress) -> named losses per cell. Progress runs from 0 to 1 over the warm-up and stays there; validation
        losses are always taken at progress 1, so epochs compare.
    nets
        The networks whose parameters are trained. They end with the weights of the epoch whose validation loss is lowest, of
        those in which progress is 1.
    train
        The train cells. A minibatch never mixes blocks, so it holds only what was observed.
    warmup
        The part of the epochs, of no more than 100 of them, that is the warm-up; it has an epoch at least.
    counts
        The modalities whose counts the loss reads.
    steps
        (blocks, cells per minibatch) -> the minibatches of each step of an epoch; a step minimises the mean over its cells.
    held_out_loss
        What decides when to stop, where that is not `loss`.
    opponents
        Discriminators, who learn before every step.
    most_steps
        End with the epoch in which so many steps are reached, of a training that no validation loss can end.
    weight_decay
        Of Adam: the gradient of half this times the squared weights is added to that of the loss.
    divided
        What :func:`divide` gave, for a method that needs to know which cells decided when to stop.

    Returns
    -------
    history
        One dict per epoch: epoch, progress, loss and each term in nats per cell (train), validation_loss, how each discriminator
        did, and whether its weights were kept.

    Raises
    ------
    Diverged
        When a loss or a gradient is not finite, or no validation loss after the warm-up is.
    """
    nets.to(device())
    fitted, held_out = divide(train, budget, counts=counts) if divided is None else divided
    optimiser = Adam(
        nets.parameters(), lr=budget.learning_rate, weight_decay=weight_decay, fused=True
    )
    warm = max(1, round(warmup * min(budget.max_epochs, LONGEST)))
    stateful = {"nets": nets, "optimiser": optimiser}
    if opponents is not None:
        stateful |= opponents.stateful
    done = {"history": [], "best": math.inf, "best_epoch": 0, "best_weights": None}
    if budget.checkpoint is not None:
        done |= budget.checkpoint.resume(stateful) or {}
    history = done["history"]

    for epoch in range(len(history) + 1, budget.max_epochs + 1):
        progress = min(1.0, epoch / warm)
        nets.train()
        terms, seen, steps_taken, rankings = Loss(), 0, 0, []
        for minibatches in steps(fitted, budget.batch_size):
            steps_taken += 1
            if opponents is not None:
                rankings.append(opponents.learn(minibatches, progress))
            optimiser.zero_grad(set_to_none=True)
            losses = [loss(x, progress) for x in minibatches]
            total = sum(each.total() * x.cells for x, each in zip(minibatches, losses, strict=True))
            (total / sum(x.cells for x in minibatches)).backward()
            norm = nn.utils.clip_grad_norm_(nets.parameters(), budget.gradient_clip)
            if not torch.isfinite(norm):
                raise Diverged(f"the loss or its gradient was not finite in epoch {epoch}")
            optimiser.step()
            for x, each in zip(minibatches, losses, strict=True):
                terms += Loss({name: value.detach().sum() for name, value in each.items()})
                seen += x.cells
        row = {name: float(value) / seen for name, value in terms.items()}
        row = {"epoch": epoch, "progress": progress, "loss": sum(row.values())} | row
        row["validation_loss"] = (
            _validation_loss(held_out_loss or loss, nets, held_out) if held_out else row["loss"]
        )
        row |= {
            name: float(sum(each[name] for each in rankings)) / len(rankings)
            for name in next(iter(rankings), ())
        }
        history.append(row)
        if epoch % 10 == 0 or epoch == 1:
            print(
                f"epoch {epoch:4d}  loss {row['loss']:.3f}  validation {row['validation_loss']:.3f}",
                file=sys.stderr,
            )

        # Weights of the warm-up minimise another loss, so they are not kept, and patience begins after it.
        recent = [each["validation_loss"] for each in history[warm - 1 :][-WINDOW:]]
        smoothed = sum(recent) / len(recent) if recent else math.inf
        if budget.weights == "last" or smoothed < done["best"]:
            weights = copy.deepcopy(nets.state_dict())
            done |= {"best": smoothed, "best_epoch": epoch, "best_weights": weights}
        if epoch - max(done["best_epoch"], warm) >= budget.patience or (
            most_steps is not None and epoch * steps_taken >= most_steps
        ):
            break
        if budget.checkpoint is not None:
            budget.checkpoint.save_if_due(stateful, epoch, done)
    if done["best_weights"] is None:
        raise Diverged("the validation loss was never finite after the warm-up")
    nets.load_state_dict(done["best_weights"])
    nets.eval()
    return [row | {"kept": float(row["epoch"] == done["best_epoch"])} for row in history]


def divide(train: Split, budget: Budget, *, counts: Collection[str] = ()) -> Divided:
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
def _validation_loss(loss: LossFunction, nets: nn.Module, held_out: list[Minibatch]) -> float:
    nets.eval()
    pieces = [piece for block in held_out for piece in block.pieces()]
    sums = [(float(loss(piece, 1.0).total()) * piece.cells, piece.cells) for piece in pieces]
    return sum(total for total, _ in sums) / sum(n for _, n in sums)
