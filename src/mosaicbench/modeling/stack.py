"""A stack of seeds: their parameters, cells and optimiser in one, and the steps that train all of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import pad

from mosaicbench.errors import NotStackable
from mosaicbench.modeling import training
from mosaicbench.modeling.launches import Launched, Step
from mosaicbench.modeling.likelihoods import GaussianDecoder
from mosaicbench.modeling.members import Draw, Member, Recorder, Replay, Stackable
from mosaicbench.modeling.minibatch import DEVICE_SHARE, Minibatch
from mosaicbench.modeling.optimiser import Adam

TOLERANCE = 1e-4  # of a seed's first gradient in the stack, relative to its gradient alone


class _Costing(nn.Module):
    """A method's cost as a module, whose parameters can be others for the time of a call."""

    def __init__(self, method: Stackable):
        super().__init__()
        self.nets, self.cost = method.nets, method.cost

    def forward(self, x: Minibatch, progress: float) -> dict[str, Tensor]:
        return dict(self.cost(x, progress))


class Stack:
    """The seeds' parameters, cells and optimiser, with a leading axis of seeds.

    Parameters
    ----------
    members
        The seeds; their methods differ in nothing. The budget is that of the first.

    Attributes
    ----------
    parameters, real
        name -> (seeds, ...), padded to the widest seed; and 1 where they are not padded, for those that are padded anywhere.
    cells, labels
        modality -> (seeds, cells + 1, features), and (seeds, cells + 1); the last cell of each is empty.
    """

    def __init__(self, members: Sequence[Member]):
        self.members, self.method, self.device = members, members[0].method, training.device()
        if len({(each.steps, len(each.pieces)) for each in members}) > 1:
            raise NotStackable("the seeds' numbers of train cells make other numbers of steps")
        self.seeds = torch.arange(len(members), device=self.device)
        self.costing = _Costing(self.method)
        self._stack_cells()
        self._stack_parameters()
        sizes = {
            (True, len(rows))
            for each in members
            for rows in each.fitted.split(self.method.batch_size)
        }
        sizes |= {(False, len(rows)) for each in members for rows in each.pieces}
        self.calls = {size: self._calls(*size) for size in sizes}
        self.width = {
            train: max(cells for other, cells in sizes if other == train) for train, _ in sizes
        }
        on_gpu = {"capturable": True} if self.device.type == "cuda" else {}
        self.optimiser = Adam(
            self.parameters.values(), lr=self.method.learning_rate, fused=True, **on_gpu
        )
        self.finite = torch.ones(len(members), dtype=torch.bool, device=self.device)
        self.nats = {
            name: torch.zeros(len(members), device=self.device)
            for name in [*self.terms, "validation"]
        }
        self.learn, self.validate = Launched(self._learn), Launched(self._validate)

    def _stack_cells(self) -> None:
        blocks = [member.block for member in self.members]
        size = sum(x.nbytes for block in blocks for x in block.values())
        if (
            self.device.type == "cuda"
            and size > DEVICE_SHARE * torch.cuda.mem_get_info(self.device)[0]
        ):
            raise NotStackable("the cells of all seeds do not fit on the GPU at once")
        self.empty = max(block.cells for block in blocks)
        labels = [block.labels for block in blocks]

        def stacked(parts: list[Tensor], value: float = 0) -> Tensor:
            shape = (
                self.empty + 1,
                *map(max, zip(*(part.shape[1:] for part in parts), strict=True)),
            )
            return torch.stack([_padded(part, shape, value) for part in parts]).to(self.device)

        self.cells = {
            modality: stacked([block[modality] for block in blocks]) for modality in blocks[0]
        }
        self.labels = None if labels[0] is None else stacked(labels, -1)

    def _stack_parameters(self) -> None:
        own = [dict(_Costing(member.method).named_parameters()) for member in self.members]
        decoders = {
            name: module
            for name, module in self.costing.named_modules()
            if isinstance(module, GaussianDecoder)
        }
        free = {f"{name}.spread": decoder.free_spread for name, decoder in decoders.items()}
        self.parameters, self.real = {}, {}
        for name, first in own[0].items():
            values = [parameters[name].detach() for parameters in own]
            shape = tuple(map(max, zip(*(value.shape for value in values), strict=True)))
            padded = torch.stack([_padded(value, shape, free.get(name, 0)) for value in values]).to(
                self.device
            )
            self.parameters[name] = nn.Parameter(padded, requires_grad=first.requires_grad)
            if any(value.shape != shape for value in values):
                real = [_padded(torch.ones_like(value), shape) for value in values]
                self.real[name] = torch.stack(real).to(self.device)
        self.trained = {
            name: parameter
            for name, parameter in self.parameters.items()
            if parameter.requires_grad
        }

    def _calls(self, train: bool, cells: int) -> list[list[Draw]]:
        """Return, by seed, the calls of random functions that the cost of so many cells makes; equal shapes share them."""
        shapes = [tuple(x.shape[1:] for x in member.block.values()) for member in self.members]
        first_of = {
            shape: member
            for member, shape in reversed(list(zip(self.members, shapes, strict=True)))
        }
        calls = {shape: self._recorded(member, train, cells) for shape, member in first_of.items()}
        return [calls[shape] for shape in shapes]

    def _recorded(self, member: Member, train: bool, cells: int) -> list[Draw]:
        member.method.nets.train(train)
        with torch.set_grad_enabled(train), Recorder() as recorder:
            self.terms = list(
                member.method.cost(member.block.take(torch.arange(cells) % member.block.cells), 1.0)
            )
        return recorder.calls

    def check(self) -> None:
        """Take every seed's first gradient alone and in the stack.

        Raises
        ------
        NotStackable
            When they are not the same: the cost depends on something that stacking changes, such as a number of features.
        """
        before = [member.generator.get_state() for member in self.members]
        rows = [[next(member.minibatches())] for member in self.members]
        drawn = self._drawn(rows, train=True)
        for member, state in zip(self.members, before, strict=True):
            member.generator.set_state(state)
        (step,) = zip(*self._steps(rows, drawn, train=True), strict=True)
        self.method.nets.train()
        try:
            together, _ = self._gradients(step, 1.0)
        except RuntimeError as error:
            raise NotStackable(f"the cost cannot be stacked: {error}") from error
        for s, member in enumerate(self.members):
            member.method.nets.train()
            weights = dict(_Costing(member.method).named_parameters())
            with Replay(drawn[s][0]):
                cost = member.method.cost(member.block.take(rows[s][0]), 1.0).total()
            alone = torch.autograd.grad(
                cost, [weights[name] for name in self.trained], materialize_grads=True
            )
            allowed = TOLERANCE * nn.utils.get_total_norm(alone)
            for name, expected in zip(self.trained, alone, strict=True):
                error = torch.linalg.vector_norm(
                    _cut(together[name][s], expected.shape).cpu() - expected
                )
                if (
                    allowed.isfinite() and not error <= allowed
                ):  # what is not finite alone fails as it would alone
                    raise NotStackable(f"the gradient of {name} is another in the stack than alone")

    # --- what is drawn ---

    def _epoch(self) -> tuple[list[Step], list[Step]]:
        """Return the steps of an epoch, and those of its validation."""
        rows = [list(member.minibatches()) for member in self.members]
        steps = self._steps(rows, self._drawn(rows, train=True), train=True)
        held_out = [member.pieces for member in self.members]
        of_validation = (
            self._steps(held_out, self._drawn(held_out, train=False), train=False)
            if held_out[0]
            else []
        )
        return list(zip(*steps, strict=True)), list(zip(*of_validation, strict=True))

    def _drawn(self, rows: list[list[Tensor]], *, train: bool) -> list[list[list[Tensor]]]:
        """Return, by seed, step and call, what the cost draws for these rows."""
        return [
            [
                [call(generator=member.generator) for call in self.calls[train, len(step)][s]]
                for step in own
            ]
            for s, (member, own) in enumerate(zip(self.members, rows, strict=True))
        ]

    def _steps(
        self, rows: list[list[Tensor]], drawn: list[list[list[Tensor]]], *, train: bool
    ) -> list[Tensor]:
        """Return rows and draws, given by seed and step, as (steps, seeds, ...) each on the device.

        A step is as wide as the widest of any seed; what is padded has the row of the empty cell, which does not count.
        """
        width = self.width[train]
        of_seeds = [
            [call(generator=torch.Generator()).shape for call in calls]
            for calls in self.calls[train, width]
        ]
        shapes = [
            tuple(map(max, zip(*shapes, strict=True))) for shapes in zip(*of_seeds, strict=True)
        ]

        def stacked(of_seeds: list[list[Tensor]], shape: Sequence[int], value: float = 0) -> Tensor:
            steps = zip(*of_seeds, strict=True)
            return torch.stack(
                [torch.stack([_padded(own, shape, value) for own in step]) for step in steps]
            ).to(self.device)

        called = [[[step[i] for step in own] for own in drawn] for i in range(len(shapes))]
        return [stacked(rows, (width,), self.empty), *map(stacked, called, shapes)]

    # --- what is computed; as many operations for any number of seeds ---

    def _costs(self, step: Step, progress: float) -> tuple[dict[str, Tensor], Tensor]:
        """Return each term summed over the seed's cells, (seeds,) nats, and the number of cells, (seeds,)."""
        rows, *drawn = step
        at = self.seeds[:, None], rows
        x = {
            modality: values[at] for modality, values in self.cells.items()
        }  # (seeds, cells, features) each
        labels = {} if self.labels is None else {"labels": self.labels[at]}

        def of_one(parameters: dict, x: dict, labels: dict, drawn: list) -> dict[str, Tensor]:
            with Replay(drawn):
                return functional_call(self.costing, parameters, (Minibatch(x, **labels), progress))

        present = (rows != self.empty).float()
        terms = torch.vmap(of_one)(self.parameters, x, labels, drawn)  # (seeds, cells) each
        return {name: (values * present).sum(-1) for name, values in terms.items()}, present.sum(-1)

    def _gradients(
        self, step: Step, progress: float
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the gradients of every seed's mean cost, 0 where padded, and the sums of its terms."""
        nats, cells = self._costs(step, progress)
        total = (sum(nats.values()) / cells).sum()
        found = torch.autograd.grad(total, list(self.trained.values()), materialize_grads=True)
        gradients = dict(zip(self.trained, found, strict=True))
        return gradients | {name: gradients[name] * real for name, real in self.real.items()}, nats

    def _learn(self, step: Step, progress: float) -> None:
        found, nats = self._gradients(step, progress)
        gradients = {
            name: gradient.contiguous() for name, gradient in found.items()
        }  # as the fused Adam takes them to be
        norms = [
            torch.linalg.vector_norm(each.view(len(each), -1), dim=1) for each in gradients.values()
        ]
        norm = torch.linalg.vector_norm(torch.stack(norms), dim=0)  # (seeds,)
        shrunk = (self.method.gradient_clip / (norm + 1e-6)).clamp(max=1)
        for name, gradient in gradients.items():
            self.trained[name].grad = gradient * _along(shrunk, gradient)
        self.optimiser.step()
        self.finite &= torch.isfinite(norm)
        for name, value in nats.items():
            self.nats[name] += value.detach()

    @torch.no_grad()
    def _validate(self, step: Step, progress: float) -> None:
        nats, _ = self._costs(step, progress)
        self.nats["validation"] += sum(nats.values())

    # --- what is kept from epoch to epoch, beside the optimiser ---

    def state_dict(self) -> dict:
        """Return parameters and generators."""
        generators = [member.generator.get_state() for member in self.members]
        return {
            "parameters": {name: p.detach() for name, p in self.parameters.items()},
            "generators": generators,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict) -> None:
        """Take them back."""
        for name, values in state["parameters"].items():
            self.parameters[name].copy_(values)
        for member, generator in zip(self.members, state["generators"], strict=True):
            member.generator.set_state(generator)

    @torch.no_grad()
    def kept(self, better: list[bool], best: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of the seeds that are better now, and of the others those that were best before."""
        now = torch.tensor(better, device=self.device)
        return {
            name: torch.where(_along(now, p), p, best[name].to(self.device))
            for name, p in self.parameters.items()
        }

    def give_back(self, best: dict[str, Tensor]) -> None:
        """Put each seed's weights into its own networks."""
        for s, member in enumerate(self.members):
            own = _Costing(member.method)
            own.load_state_dict(
                {name: _cut(best[name][s], p.shape) for name, p in own.named_parameters()}
            )
            own.to(self.device).eval()

    def run_epoch(self, progress: float) -> tuple[list[dict[str, float]], list[bool]]:
        """Train every seed for an epoch and return its row of the history, and whether all its gradients were finite."""
        steps, of_validation = self._epoch()
        self.finite.fill_(True)
        for value in self.nats.values():
            value.zero_()
        self.method.nets.train()
        for step in steps:
            self.learn(step, progress)
        self.method.nets.eval()
        for step in of_validation:
            self.validate(step, 1.0)
        nats = dict(zip(self.nats, torch.stack(list(self.nats.values())).tolist(), strict=True))
        rows = []
        for s, member in enumerate(self.members):
            terms = {name: nats[name][s] / len(member.fitted) for name in self.terms}
            row = {"cost": sum(terms.values())} | terms
            held_out = (
                nats["validation"][s] / len(member.held_out) if of_validation else row["cost"]
            )
            rows.append(row | {"validation_cost": held_out})
        return rows, self.finite.tolist()


# --- shapes ---


def _padded(x: Tensor, shape: Sequence[int], value: float = 0) -> Tensor:
    """Return x with `value` behind it in every dimension, as far as `shape`."""
    missing = [
        0 if end else size - own
        for own, size in zip(x.shape, shape, strict=True)
        for end in (False, True)
    ]
    return x if x.shape == tuple(shape) else pad(x, missing[::-1], value=value)


def _cut(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Return what of x is not padded."""
    return x[tuple(map(slice, shape))]


def _along(of_seeds: Tensor, x: Tensor) -> Tensor:
    """Return (seeds,) values in a shape that meets the seeds of x."""
    return of_seeds.view(-1, *[1] * (x.dim() - 1))
