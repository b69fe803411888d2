"""Discriminators: small classifiers that a model plays against, and the game's rules.

    discriminator:  min over its weights of    mean cross_entropy(z, domain)            z without gradient to whoever made it
    model:   min over its weights of    loss - lambda cross_entropy(z, domain)   the discriminator's weights without a step

`cross_entropy` is the cross-entropy of the domain, in nats. Subtracting it is what a gradient-reversal layer does.
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

WINS = 0.95  # accuracy above which a discriminator has won
ONE_CLASS = (
    0.99  # share of cells in one domain, above which a discriminator says the same of all of them
)
WORSE_THAN_NOTHING = (
    0.1  # nats by which a discriminator's cross-entropy may exceed that of knowing nothing
)

LOSS = 0.05  # of explained variance, that a weight may loss
PROBE_HIDDEN, PROBE_STEPS = 64, 200

RunData = Callable[[Sequence[Minibatch], float], Mapping[str, tuple[Tensor, Tensor]]]


class Discriminator(nn.Module):
    """z (cells, width) -> which of several domains a cell comes from.

    Parameters
    ----------
    spectral
        Whether every layer's spectral norm is held at 1 (Miyato et al. 2018), so that the gradient that the model gets from a
        discriminator of outputs stays bounded.
    """

    def __init__(self, width: int, hidden: int, domains: int, *, spectral: bool = False):
        super().__init__()
        self.domains = domains
        self.network = mlp(width, hidden, hidden, domains)
        if spectral:
            for layer in self.network:
                if isinstance(layer, nn.Linear):
                    spectral_norm(layer)

    def forward(self, z: Tensor) -> Tensor:
        """Return the logits of the domains, (cells, domains)."""
        return self.network(z)

    def cross_entropy(self, z: Tensor, domain: Tensor) -> Tensor:
        """Return the cross-entropy of the cells' domains, (cells,) nats."""
        return cross_entropy(self(z), domain, reduction="none")


@dataclass
class Opponents:
    """The discriminators of a model, how they learn, and how they are doing.

    Attributes
    ----------
    discriminators
        By name; their weights are not among those that the model trains.
    evidence
        (minibatches of one step, progress) -> discriminator -> what it sees (cells, width), and the (cells,) domains.
    learning_rates
        By discriminator, of their own Adam.
    steps
        Of every discriminator before one of the model's, on the same cells.
    weight_decay, betas
        Of their Adam.
    """

    discriminators: nn.ModuleDict
    evidence: RunData
    learning_rates: Mapping[str, float]
    steps: int = 1
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.5, 0.999)

    def __post_init__(self) -> None:
        """Make their optimiser."""
        groups = [
            {"params": self.discriminators[name].parameters(), "lr": rate}
            for name, rate in self.learning_rates.items()
        ]
        self.optimiser = Adam(
            groups, betas=tuple(self.betas), weight_decay=self.weight_decay, fused=True
        )

    @property
    def stateful(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """What a checkpoint has to hold: everything here with a ``state_dict``, by name."""
        return {"discriminators": self.discriminators, "discriminators_optimiser": self.optimiser}

    def learn(self, minibatches: Sequence[Minibatch], progress: float) -> dict[str, Tensor]:
        """Let every discriminator learn from one step's cells; return, by history column, how each did before it."""
        with torch.no_grad():
            evidence = self.evidence(minibatches, progress)
        self.discriminators.train()
        standing = {}
        for step in range(self.steps):
            logits = {name: self.discriminators[name](seen) for name, (seen, _) in evidence.items()}
            cross_entropies = {
                name: cross_entropy(logits[name], domain) for name, (_, domain) in evidence.items()
            }
            if step == 0:
                standing = {
                    f"discriminator_{name}_{column}": value
                    for name, (_, domain) in evidence.items()
                    for column, value in _standing(
                        logits[name].detach(), domain, cross_entropies[name].detach()
                    ).items()
                }
            self.optimiser.zero_grad(set_to_none=True)
            sum(cross_entropies.values()).backward()
            self.optimiser.step()
        return standing

    def warnings(self, row: Mapping[str, float]) -> list[str]:
        """Return what is wrong with the game in one epoch: a discriminator that won, or one that died."""
        found = []
        for name, discriminator in self.discriminators.items():
            accuracy, cross_entropy, said, shown = (
                row[f"discriminator_{name}_{column}"]
                for column in ("accuracy", "cross_entropy", "said", "shown")
            )
            if shown >= ONE_CLASS:
                found.append(
                    f"discriminator {name!r} is shown one domain only, so it has nothing to tell apart"
                )
            elif (
                said >= ONE_CLASS
                and cross_entropy > math.log(discriminator.domains) + WORSE_THAN_NOTHING
            ):
                found.append(
                    f"discriminator {name!r} died: it says the same of every cell and is worse than knowing nothing"
                )
            elif accuracy >= WINS:
                found.append(
                    f"discriminator {name!r} won: it tells {100 * accuracy:.0f} % of the cells' domains; raise lambda"
                )
        return found


def _standing(logits: Tensor, domain: Tensor, cross_entropy: Tensor) -> dict[str, Tensor]:
    """Return the cross-entropy, the accuracy, and the largest share of one domain among what a discriminator says and what it is shown."""
    said = logits.argmax(-1)
    return {
        "cross_entropy": cross_entropy,
        "accuracy": (said == domain).float().mean(),
        "said": said.bincount(minlength=logits.shape[1]).max() / len(domain),
        "shown": domain.bincount(minlength=logits.shape[1]).max() / len(domain),
    }


def ramp(progress: float) -> float:
    """Return the share of lambda that is paid at this progress: from 0, steeply at first, to nearly 1.

    Source: Ganin et al. 2016, arXiv 1505.07818.
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


@dataclass(frozen=True)
class Trial:
    """What is known of a weight without the truth: how well a fresh probe tells the domains, and what is still explained."""

    probe: float
    explained: float


def chosen_weight(trials: Mapping[float, Trial]) -> float:
    """Return the weight that hides the domains best without costing reconstruction, the smallest if several do.

    Parameters
    ----------
    trials
        weight -> trial; weight 0 among them. A trial counts whose share of explained variance is at least 95 % of weight 0's.
    """
    fair = [
        weight
        for weight, trial in trials.items()
        if trial.explained >= (1 - LOSS) * trials[0.0].explained
    ]
    return min(sorted(fair or [0.0]), key=lambda weight: trials[weight].probe)


def probe_accuracy(latents: Sequence[Tensor], seed: int) -> float:
    """Return the accuracy, over held-out cells of three folds, of fresh discriminators that tell domains of (cells, dims) latents.

    As many cells of each domain take part as the smallest has: chance is 1 / domains.
    """
    cells, right = min(len(z) for z in latents), []
    generator = torch.Generator().manual_seed(seed)
    drawn = [z[torch.randperm(len(z), generator=generator)[:cells].to(z.device)] for z in latents]
    fold = torch.arange(cells, device=drawn[0].device) % 3
    domain = torch.arange(len(drawn), device=drawn[0].device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for held_out in range(3):
            train, test = (
                torch.cat([z[rows] for z in drawn]) for rows in (fold != held_out, fold == held_out)
            )
            mean, sd = train.mean(0), train.std(0).clamp_min(1e-6)
            discriminator = Discriminator(train.shape[1], PROBE_HIDDEN, len(drawn)).to(train.device)
            optimiser = Adam(discriminator.parameters(), lr=5e-3, weight_decay=1e-3)
            for _ in range(PROBE_STEPS):
                optimiser.zero_grad()
                discriminator.cross_entropy(
                    (train - mean) / sd, domain.repeat_interleave(len(train) // len(drawn))
                ).mean().backward()
                optimiser.step()
            said = discriminator((test - mean) / sd).argmax(-1)
            right.append(said == domain.repeat_interleave(len(test) // len(drawn)))
    return float(torch.cat(right).float().mean())
