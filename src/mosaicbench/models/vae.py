"""What every multimodal VAE shares: encode each modality, form a posterior, decode, pay for errors and for information."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from mosaicbench.contract import Cells, Split
from mosaicbench.models import training
from mosaicbench.models.likelihoods import GaussianDecoder, counting_decoder
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Minibatch, by_pieces
from mosaicbench.models.posteriors import GaussianEncoder, product_of_experts
from mosaicbench.models.training import Budget, give_weights, weights_of

STEEPNESS = 12  # of the sigmoid ramp of beta


@dataclass(kw_only=True)
class MultimodalVAE(Budget):
    """One encoder and one decoder per modality around a latent with prior N(0, 1).

    A method derives from this class and says what it pays for in :meth:`loss`; what is observed is read from the data.

    Attributes
    ----------
    latent
        Dimensions of the latent that the modalities share.
    hidden
        Width of the one hidden layer of every encoder and decoder.
    beta
        Weight of the KL divergence from the prior; 1 is the evidence lower bound.
    warmup
        Fraction of `max_epochs`, of no more than 100 of them, over which beta rises from 0.
    annealing
        How it rises: "linear", or "sigmoid", an S between 0 and beta.
    likelihood
        Of every modality: "gaussian" of its standardised values, or "counts": negative binomial of RNA and protein counts,
        Bernoulli of open peaks.
    likelihood_rescaling
        Whether a modality's log-likelihood is multiplied by (most features of any modality / its own number of features), so
        that the widest does not outweigh the others.
    """

    latent: Annotated[int, "at least 1", {"int": [8, 64], "log": True}] = 20
    hidden: Annotated[int, "at least 1", {"int": [64, 256], "log": True}] = 128
    beta: Annotated[float, "at least 0", {"float": [0.03, 10.0], "log": True}] = 1.0
    warmup: Annotated[float, "at least 0 and at most 1"] = 0.2
    annealing: Literal["linear", "sigmoid"] = "linear"
    likelihood: Literal["gaussian", "counts"] = "gaussian"
    likelihood_rescaling: bool = False

    def loss(self, x: Minibatch, progress: float) -> Loss:
        """Return the loss of a minibatch: the negative of the method's evidence lower bound."""
        raise NotImplementedError

    def posterior(self, x: Minibatch) -> Normal:
        """Return the posterior given all that is observed: the product of the observed modalities' experts."""
        return product_of_experts(list(self.encode(x).values()))

    def encode(self, x: Minibatch) -> dict[str, Normal]:
        """Return the posterior of each observed modality."""
        return {modality: self.encoders[modality](values) for modality, values in x.items()}

    def nll(self, x: Minibatch, z: Tensor, targets: Iterable[str] | None = None) -> Loss:
        """Return the negative log-likelihood of the targets (default: all that is observed) given z, by modality."""
        targets = x if targets is None else targets
        return Loss(
            {f"nll_{m}": self.rescaling[m] * self.decoders[m].nll(z, x, m) for m in targets}
        )

    def annealed(self, progress: float) -> float:
        """Return beta at this progress of the warm-up."""
        if self.annealing == "linear":
            return self.beta * progress
        low, high, here = (1 / (1 + math.exp(-STEEPNESS * (p - 0.5))) for p in (0, 1, progress))
        return self.beta * (here - low) / (high - low)

    # --- the method's contract ---

    def fit(self, train: Split, seed: int) -> list[dict[str, float]]:
        """Train on `train` and return the history, one dict per epoch."""
        with training.seeded(seed):
            self.make(train)
            counts = [
                modality for modality, decoder in self.decoders.items() if decoder.reads_counts
            ]
            return training.minimise(
                self.loss,
                self.nets,
                train,
                budget=self,
                warmup=self.warmup,
                counts=counts,
                **self.rules(),
            )

    def make(self, train: Split) -> None:
        """Make all networks, and gather them as `nets`."""
        self.build(train)
        self.nets = nn.ModuleList(
            [made for made in vars(self).values() if isinstance(made, nn.Module)]
        )

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights of all networks."""
        return weights_of(self.nets)

    def load(self, state: dict[str, np.ndarray], train: Split) -> None:
        """Make the networks for an outline of the train cells, and give them their weights."""
        with training.seeded(0):
            self.make(train)
        give_weights(self.nets, state)

    def rules(self) -> dict[str, object]:
        """Return the keywords of `training.minimise` in which a method differs from the others."""
        return {}

    def build(self, train: Split) -> None:
        """Make the networks for the modalities and numbers of features of `train`."""
        self._build(train, self.latent)

    def _build(self, train: Split, width: int, *, dropout: float = 0.0) -> None:
        """Make encoders to, and decoders from, a latent of `width` dimensions; `dropout` is that of what encoders read."""
        encoders = {
            m: GaussianEncoder(d, self.hidden, width, dropout=dropout)
            for m, d in train.features.items()
        }
        self.encoders = nn.ModuleDict(encoders)
        self.decoders = nn.ModuleDict({m: self._decoder(train, m, width) for m in train.features})
        self._rescale(train)

    def _rescale(self, train: Split) -> None:
        widest = max(train.features.values())
        self.rescaling = {
            m: widest / d if self.likelihood_rescaling else 1.0 for m, d in train.features.items()
        }

    def _decoder(self, train: Split, modality: str, width: int) -> nn.Module:
        if self.likelihood == "gaussian":
            return GaussianDecoder(width, self.hidden, train.features[modality])
        if modality not in train.normalizations:
            raise ValueError(
                f"likelihood: counts needs counts, and modality {modality!r} has none; take gaussian"
            )
        return counting_decoder(width, self.hidden, train.normalizations[modality])

    @torch.no_grad()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior mean given what is observed, (cells, latent)."""
        return self.computed(lambda x: self.posterior(x).mean, cells)

    @torch.no_grad()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return what is expected of `target` at the posterior mean, (cells, features), standardised."""
        return self.computed(lambda x: self.decoded(self.posterior(x).mean, target), cells)

    @torch.no_grad()
    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return draws of some features of `target`, (cells, features, draws): of the posterior, then of the likelihood."""
        columns = torch.as_tensor(features).to(training.device())

        def drawn(x: Minibatch) -> Tensor:
            q = self.posterior(x)
            return torch.stack(
                [self.sampled(q.sample(), target, columns, x) for _ in range(draws)], -1
            )

        with training.seeded(seed):
            return self.computed(drawn, cells)

    def computed(self, function: Callable[[Minibatch], Tensor], cells: Cells) -> np.ndarray:
        """Return function(minibatch) of all `cells`, (cells, ...)."""
        return by_pieces(function, cells, training.device())

    def sampled(self, z: Tensor, target: str, columns: Tensor, x: Minibatch) -> Tensor:
        """Return what a modality of the cells `x` is measured as, drawn given z, (cells, columns), standardised."""
        return self.decoders[target].drawn(z, columns)

    @torch.no_grad()
    def generate(self, cells: int, seed: int) -> dict[str, np.ndarray]:
        """Return virtual cells, modality -> (cells, features) standardised: what is expected given draws of the prior."""
        with training.seeded(seed):
            return {
                target: self.decoded(z, target).cpu().numpy()
                for target, z in self.drawn(cells).items()
            }

    def drawn(self, cells: int) -> dict[str, Tensor]:
        """Return, by modality, what its decoder reads of cells drawn from the prior: the same latent in all of them."""
        return dict.fromkeys(self.decoders, torch.randn(cells, self.latent).to(training.device()))

    def decoded(self, z: Tensor, target: str) -> Tensor:
        """Return what is expected of a modality given z, (cells, features), standardised."""
        return self.decoders[target].expected(z)
