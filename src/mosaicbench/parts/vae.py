"""What every multimodal VAE shares: encode each modality, form a posterior, decode, pay for errors and for information."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from mosaicbench.parts import training
from mosaicbench.parts.costs import Cost
from mosaicbench.parts.likelihoods import GaussianDecoder
from mosaicbench.parts.posteriors import GaussianEncoder, product_of_experts
from mosaicbench.parts.training import Budget
from mosaicbench.view import Cells, View


@dataclass(kw_only=True)
class MultimodalVAE(Budget):
    """One encoder and one Gaussian decoder per modality around a latent with prior N(0, 1).

    A method derives from this class and says what it pays for in :meth:`cost`; what is observed is read from the data.

    Attributes
    ----------
    latent
        Dimensions of the latent that the modalities share.
    hidden
        Width of the one hidden layer of every encoder and decoder.
    beta
        Weight of the KL divergence from the prior; 1 is the evidence lower bound.
    warmup
        Fraction of `max_epochs` over which beta rises linearly from 0.
    """

    latent: int = 20
    hidden: int = 128
    beta: float = 1.0
    warmup: float = 0.2

    def cost(self, x: dict[str, Tensor], progress: float) -> Cost:
        """Return the cost of a minibatch: the negative of the method's evidence lower bound."""
        raise NotImplementedError

    def posterior(self, x: dict[str, Tensor]) -> Normal:
        """Return the posterior given all that is observed: the product of the observed modalities' experts."""
        return product_of_experts(list(self.encode(x).values()))

    def encode(self, x: dict[str, Tensor]) -> dict[str, Normal]:
        """Return the posterior of each observed modality."""
        return {modality: self.encoders[modality](values) for modality, values in x.items()}

    def nll(self, x: dict[str, Tensor], z: Tensor, targets: Iterable[str] | None = None) -> Cost:
        """Return the negative log-likelihood of the targets (default: all that is observed) given z, by modality."""
        targets = x if targets is None else targets
        return Cost({f"nll_{m}": -self.decoders[m](z).log_prob(x[m]).sum(-1) for m in targets})

    def annealed(self, progress: float) -> float:
        """Return beta at this progress of the warm-up."""
        return self.beta * progress

    # --- the method's contract ---

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Train on `train` and return the history, one dict per epoch."""
        with training.seeded(seed):
            self.build(train.features)
            self.nets = nn.ModuleList([self.encoders, self.decoders])
            return training.minimise(self.cost, self.nets, train, budget=self, warmup=self.warmup)

    def build(self, features: dict[str, int]) -> None:
        """Make the networks for these modalities and numbers of features."""
        self.encoders = nn.ModuleDict({m: GaussianEncoder(d, self.hidden, self.latent) for m, d in features.items()})
        self.decoders = nn.ModuleDict({m: GaussianDecoder(self.latent, self.hidden, d) for m, d in features.items()})

    @torch.no_grad()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior mean given what is observed, (cells, latent)."""
        return self.posterior(training.tensors(cells)).mean.cpu().numpy()

    @torch.no_grad()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the mean of `target` decoded from the posterior mean, (cells, features), standardised."""
        return self.decoders[target](self.posterior(training.tensors(cells)).mean).mean.cpu().numpy()
