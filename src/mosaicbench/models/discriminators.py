"""Discriminators: small classifiers that a model plays against.

    discriminator:  min over its weights of   mean cross_entropy(z, domain)            z without gradient to the model
    model:          min over its weights of   loss - lambda cross_entropy(z, domain)   the discriminator's weights fixed

The cross-entropy of the domain is in nats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.parametrizations import spectral_norm

from mosaicbench.models.minibatch import Minibatch
from mosaicbench.models.networks import Adam, mlp

# Of the history; `top` is the fraction of the most frequent domain, among predictions or cells.
COLUMNS = ("cross_entropy", "accuracy", "top_prediction", "top_domain")
WINS = 0.95  # accuracy above which a discriminator has won
ONE_DOMAIN = 0.99  # fraction of cells above which they count as cells of a single domain
WORSE_THAN_NOTHING = 0.1  # nats above the cross-entropy of knowing nothing

LOSS = 0.05  # fraction of the explained variance that a weight may lose
PROBE_HIDDEN, PROBE_STEPS = 64, 200

# Discriminator -> its input (cells, width), and the (cells,) domains.
Examples = Mapping[str, tuple[Tensor, Tensor]]


class Discriminator(nn.Module):
    """z (cells, width) -> which of several domains a cell comes from.

    Parameters
    ----------
    spectral
        Whether every layer has a spectral norm of 1, which bounds the gradient that the model gets
        (Miyato et al. 2018).
    """

    def __init__(self, width: int, hidden: int, domains: int, *, spectral: bool = False):
        super().__init__()
        self.domains = domains
        self.network = mlp(width, hidden, hidden, domains)
        for layer in self.network[::2] if spectral else ():
            spectral_norm(layer)

    def forward(self, z: Tensor) -> Tensor:
        """Return the logits of the domains, (cells, domains)."""
        return self.network(z)

    def cross_entropy(self, z: Tensor, domain: Tensor) -> Tensor:
        """Return the cross-entropy of the cells' domains, (cells,) nats."""
        return cross_entropy(self(z), domain, reduction="none")


@dataclass
class Opponents:
    """The discriminators of a model, and how they learn.

    Attributes
    ----------
    discriminators
        By name; the model does not train their weights.
    examples
        (minibatches of one step, progress) -> what each discriminator learns from.
    learning_rates
        By discriminator, of Adam.
    steps
        Of every discriminator before one of the model's, on the same cells.
    weight_decay, betas
        Of Adam.
    """

    discriminators: nn.ModuleDict
    examples: Callable[[Sequence[Minibatch], float], Examples]
    learning_rates: Mapping[str, float]
    steps: int = 1
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.5, 0.999)

    def __post_init__(self) -> None:
        groups = [
            {"params": self.discriminators[name].parameters(), "lr": rate}
            for name, rate in self.learning_rates.items()
        ]
        self.optimiser = Adam(
            groups, betas=tuple(self.betas), weight_decay=self.weight_decay, fused=True
        )

    @property
    def stateful(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """What a checkpoint holds, by name."""
        return {"discriminators": self.discriminators, "discriminators_optimiser": self.optimiser}

    def learn(self, minibatches: Sequence[Minibatch], progress: float) -> dict[str, Tensor]:
        """Let every discriminator learn from one step's cells; return how good it was before."""
        with torch.no_grad():
            examples = self.examples(minibatches, progress)
        self.discriminators.train()
        columns = {}
        for step in range(self.steps):
            total = 0
            for name, (x, domain) in examples.items():
                logits = self.discriminators[name](x)
                nats = cross_entropy(logits, domain)
                total = total + nats
                if step == 0:
                    columns |= _columns(name, logits.detach(), domain, nats.detach())
            self.optimiser.zero_grad(set_to_none=True)
            total.backward()
            self.optimiser.step()
        return columns

    def warnings(self, row: Mapping[str, float]) -> list[str]:
        """Return a sentence for each discriminator that won or died in the epoch of `row`."""
        sentences = []
        for name, discriminator in self.discriminators.items():
            nats, accuracy, top_prediction, top_domain = (
                row[f"discriminator_{name}_{column}"] for column in COLUMNS
            )
            if top_domain >= ONE_DOMAIN:
                problem = "sees one domain only: nothing to tell apart"
            elif (
                nats > math.log(discriminator.domains) + WORSE_THAN_NOTHING
                and top_prediction >= ONE_DOMAIN
            ):
                problem = "died: it predicts one domain for every cell, worse than knowing nothing"
            elif accuracy >= WINS:
                problem = f"won: it tells {100 * accuracy:.0f} % of the domains; raise lambda"
            else:
                continue
            sentences.append(f"discriminator {name!r} {problem}")
        return sentences


def _columns(name: str, logits: Tensor, domain: Tensor, nats: Tensor) -> dict[str, Tensor]:
    predicted, cells = logits.argmax(-1), len(domain)
    values = (
        nats,
        (predicted == domain).float().mean(),
        predicted.bincount(minlength=logits.shape[1]).max() / cells,
        domain.bincount(minlength=logits.shape[1]).max() / cells,
    )
    return {f"discriminator_{name}_{c}": value for c, value in zip(COLUMNS, values, strict=True)}


def all_of(z: Tensor, domain: int) -> Tensor:
    """Return `domain` for every cell of z, (cells,)."""
    return torch.full((len(z),), domain, device=z.device)


def ramp(progress: float) -> float:
    """Return the fraction of lambda at this progress: from 0, steeply at first, to nearly 1.

    Source: Ganin et al. 2016, arXiv 1505.07818.
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


@dataclass(frozen=True)
class Trial:
    """How good a lambda is: accuracy of a fresh probe of the domains, and explained variance."""

    probe: float
    explained: float


def chosen_weight(trials: Mapping[float, Trial]) -> float:
    """Return the lambda that hides the domains best, the smallest if several do.

    Parameters
    ----------
    trials
        lambda -> trial, also of lambda 0. A trial counts if it explains at least 95 % of the
        variance that lambda 0 explains.
    """
    needed = (1 - LOSS) * trials[0.0].explained
    fair = sorted(weight for weight, trial in trials.items() if trial.explained >= needed)
    return min(fair or [0.0], key=lambda weight: trials[weight].probe)


def probe_accuracy(latents: Sequence[Tensor], seed: int) -> float:
    """Return the accuracy, on held-out cells of three folds, of fresh discriminators.

    They tell the domains of (cells, dims) latents, of equally many cells each.
    """
    cells, correct = min(len(z) for z in latents), []
    generator = torch.Generator().manual_seed(seed)
    drawn = [z[torch.randperm(len(z), generator=generator)[:cells].to(z.device)] for z in latents]
    fold = torch.arange(cells, device=drawn[0].device) % 3
    domain = torch.arange(len(drawn), device=drawn[0].device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for held_out in range(3):
            train = torch.cat([z[fold != held_out] for z in drawn])
            test = torch.cat([z[fold == held_out] for z in drawn])
            domains = domain.repeat_interleave(len(train) // len(drawn))
            mean, sd = train.mean(0), train.std(0).clamp_min(1e-6)
            discriminator = Discriminator(train.shape[1], PROBE_HIDDEN, len(drawn)).to(train.device)
            optimiser = Adam(discriminator.parameters(), lr=5e-3, weight_decay=1e-3)
            for _ in range(PROBE_STEPS):
                optimiser.zero_grad()
                discriminator.cross_entropy((train - mean) / sd, domains).mean().backward()
                optimiser.step()
            predicted = discriminator((test - mean) / sd).argmax(-1)
            correct.append(predicted == domain.repeat_interleave(len(test) // len(drawn)))
    return float(torch.cat(correct).float().mean())
