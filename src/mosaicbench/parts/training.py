"""The one training loop: permuted minibatches of one block each, early stopping on validation cells, best weights restored."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from tqdm import tqdm

from mosaicbench.errors import Diverged
from mosaicbench.parts.costs import Cost
from mosaicbench.parts.minibatch import Minibatch, on_device
from mosaicbench.view import View

CostFunction = Callable[[Minibatch, float], Cost]


@dataclass(kw_only=True)
class Budget:
    """How long and how finely to train; the same for every method of a benchmark.

    Attributes
    ----------
    max_epochs, patience
        Stop after `max_epochs`, or when the validation cost has not improved for `patience` epochs.
    minibatch
        Cells per step.
    learning_rate
        Of Adam.
    validation
        Fraction of the train cells of each block that is held out to decide when to stop.
    gradient_clip
        Largest norm of the gradient.
    """

    max_epochs: int = 100
    patience: int = 15
    minibatch: int = 128
    learning_rate: float = 1e-3
    validation: float = 0.1
    gradient_clip: float = 10.0


def device() -> torch.device:
    """Return the GPU when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make everything random inside the block depend on `seed` alone, and leave the global generators as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        deterministic = torch.backends.cudnn.deterministic
        torch.backends.cudnn.deterministic = True
        try:
            yield
        finally:
            torch.backends.cudnn.deterministic = deterministic


def minimise(
    cost: CostFunction, nets: nn.Module, train: View, *, budget: Budget, warmup: float, counts: Collection[str] = ()
) -> list[dict[str, float]]:
    """Train `nets` in place and return the history.

    Parameters
    ----------
    cost
        (minibatch, progress) -> named costs per cell. Progress runs from 0 to 1 over the first `warmup` of the epochs and
        stays there; validation costs are always taken at progress 1, so epochs compare.
    nets
        The networks whose parameters are trained. They end with the weights of the best validation epoch.
    train
        The train cells. A minibatch never mixes blocks, so it holds only what was observed.
    counts
        The modalities whose counts the cost reads.

    Returns
    -------
    history
        One dict per epoch: epoch, progress, cost and each term in nats per cell (train), validation_cost.

    Raises
    ------
    Diverged
        When a cost or a gradient is not finite.
    """
    nets.to(device())
    blocks = [on_device(block, device(), counts=counts, cell_types=train.cell_types) for block in train.blocks]
    fitted, held_out = _hold_out(blocks, budget.validation)
    optimiser = torch.optim.Adam(nets.parameters(), lr=budget.learning_rate, fused=True)
    warmup_epochs = max(1, round(warmup * budget.max_epochs))
    history, best, best_weights, best_epoch = [], float("inf"), None, 0

    bar = tqdm(range(1, budget.max_epochs + 1), desc="training", unit="epoch", disable=not sys.stderr.isatty())
    for epoch in bar:
        progress = min(1.0, epoch / warmup_epochs)
        nets.train()
        terms, seen = Cost(), 0
        for x in _minibatches(fitted, budget.minibatch):
            minibatch_cost = cost(x, progress)
            total = minibatch_cost.total()
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            norm = nn.utils.clip_grad_norm_(nets.parameters(), budget.gradient_clip)
            if not torch.isfinite(norm):
                raise Diverged(f"the cost or its gradient was not finite in epoch {epoch}")
            optimiser.step()
            terms += Cost({name: value.detach().sum() for name, value in minibatch_cost.items()})
            seen += x.cells
        row = {name: float(value) / seen for name, value in terms.items()}
        row = {"epoch": epoch, "progress": progress, "cost": sum(row.values())} | row
        row["validation_cost"] = _validation_cost(cost, nets, held_out) if held_out else row["cost"]
        history.append(row)
        bar.set_postfix(cost=f"{row['cost']:.2f}", validation=f"{row['validation_cost']:.2f}")
        if bar.disable and (epoch % 10 == 0 or epoch == 1):
            print(f"epoch {epoch:4d}  cost {row['cost']:.3f}  validation {row['validation_cost']:.3f}", file=sys.stderr)

        if row["validation_cost"] < best:
            best, best_epoch, best_weights = row["validation_cost"], epoch, copy.deepcopy(nets.state_dict())
        if epoch - max(best_epoch, warmup_epochs) >= budget.patience:
            break
    if best_weights is None:
        raise Diverged("the validation cost was never finite")
    nets.load_state_dict(best_weights)
    nets.eval()
    return history


def _hold_out(blocks: list[Minibatch], fraction: float) -> tuple[list[Minibatch], list[Minibatch]]:
    """Cut every block into the cells to fit and the cells to validate on; a block too small to cut is only fitted."""
    fitted, held_out = [], []
    for block in blocks:
        order = torch.randperm(block.cells, device=device())
        n = int(fraction * block.cells)
        fitted.append(block.take(order[n:]))
        if n:
            held_out.append(block.take(order[:n]))
    return fitted, held_out


def _minibatches(blocks: list[Minibatch], size: int) -> Iterator[Minibatch]:
    """Yield every cell once: the blocks' minibatches in one random order."""
    pieces = []
    for number, block in enumerate(blocks):
        order = torch.randperm(block.cells, device=device())
        pieces += [(number, rows) for rows in order.split(size)]
    for piece in torch.randperm(len(pieces)).tolist():
        number, rows = pieces[piece]
        yield blocks[number].take(rows)


@torch.no_grad()
def _validation_cost(cost: CostFunction, nets: nn.Module, held_out: list[Minibatch]) -> float:
    nets.eval()
    sums = [(float(cost(block, 1.0).total()) * block.cells, block.cells) for block in held_out]
    return sum(total for total, _ in sums) / sum(n for _, n in sums)
