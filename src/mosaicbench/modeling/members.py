"""A seed of a stack: its networks, its cells, and the random numbers that it would draw alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mosaicbench.errors import NotStackable
from mosaicbench.modeling import training
from mosaicbench.modeling.costs import Cost
from mosaicbench.modeling.minibatch import PIECE, Minibatch, block_of
from mosaicbench.view import View

Draw = Callable[..., Tensor]  # takes a generator

RANDOM = (torch.rand, torch.randn, torch.randint, torch.randperm)


class Stackable(Protocol):
    """A method whose training is `training.minimise` of its cost and nothing more; its budget is the method's own."""

    nets: nn.ModuleList
    warmup: float

    def make(self, train: View) -> None:
        """Make the networks."""

    def cost(self, x: Minibatch, progress: float) -> Cost:
        """Return the cost of a minibatch."""

    def rules(self) -> dict[str, object]:
        """Return the keywords of `training.minimise` in which the method differs; a stack knows none."""


class Member:
    """One seed: its networks, its cells and its random numbers, drawn in the order in which it would draw them alone."""

    def __init__(self, method: Stackable, view: View, seed: int):
        with training.seeded(seed):
            method.make(view)
            _refuse(method, view)
            self.method = method
            self.block = block_of(view.blocks[0], torch.device("cpu"), cell_types=view.cell_types)
            order = torch.randperm(self.block.cells)
            self.generator = torch.Generator().set_state(torch.get_rng_state())
        held_out = int(method.validation * self.block.cells)
        self.held_out, self.fitted = order[:held_out], order[held_out:]
        self.steps = math.ceil(len(self.fitted) / method.batch_size)  # of an epoch
        self.pieces = list(self.held_out.split(PIECE)) if held_out else []

    def minibatches(self) -> Iterator[Tensor]:
        """Yield the rows of each step of an epoch, as `training.each_alone` of one block does."""
        order = torch.randperm(len(self.fitted), generator=self.generator)
        pieces = order.split(self.method.batch_size)
        for turn in torch.randperm(len(pieces), generator=self.generator).tolist():
            yield self.fitted[pieces[turn]]


def _refuse(method: Stackable, view: View) -> None:
    reasons = {
        "the cells are not all of one pattern": len(view.blocks) != 1,
        "the method trains by rules of its own": bool(method.rules()),
        "the last weights are kept": method.weights == "last",
        "only Gaussian likelihoods are stacked": any(
            decoder.reads_counts for decoder in method.decoders.values()
        ),
        "only matrix products in float32 are stacked": method.matmul_precision != "float32",
        "the networks have buffers": any(True for _ in method.nets.buffers()),
    }
    for reason, applies in reasons.items():
        if applies:
            raise NotStackable(reason)


class Recorder(TorchFunctionMode):
    """Records the calls of random functions."""

    def __init__(self):
        super().__init__()
        self.calls: list[Draw] = []

    def __torch_function__(
        self, function: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        kwargs = kwargs or {}
        if function is torch.Tensor.register_hook:
            raise NotStackable("the cost changes a gradient with a hook")
        on_cpu = {name: value for name, value in kwargs.items() if name != "device"}
        if function is torch.Tensor.normal_:
            self.calls.append(partial(_normal, args[0].shape, args[0].dtype, *args[1:], **on_cpu))
        elif function in RANDOM:
            self.calls.append(partial(function, *args, **on_cpu))
        return function(*args, **kwargs)


class Replay(TorchFunctionMode):
    """Lets random functions return what was drawn before."""

    def __init__(self, drawn: Sequence[Tensor]):
        super().__init__()
        self.drawn = iter(drawn)

    def __torch_function__(
        self, function: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        if function is torch.Tensor.normal_ or function in RANDOM:
            return next(self.drawn)
        return function(*args, **(kwargs or {}))


def _normal(
    shape: torch.Size, dtype: torch.dtype, *args: float, generator: torch.Generator, **kwargs: float
) -> Tensor:
    return torch.empty(shape, dtype=dtype).normal_(*args, generator=generator, **kwargs)
