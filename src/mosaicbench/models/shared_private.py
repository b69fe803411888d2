"""VAEs whose latent has a block that all modalities share and a block that each keeps to itself.

A cell's code is (s, w_1, ..., w_M): s shared, w_m private to modality m. Encoder m proposes q_m(s, w_m | x_m); decoder m reads
(s, w_m), with w_m = 0, the prior's mean, where nothing is known of it. With `private` 0 this is the plain family.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal

from mosaicbench.contract import Cells, Split
from mosaicbench.models import training
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Minibatch
from mosaicbench.models.posteriors import kl, product, product_of_experts
from mosaicbench.models.vae import MultimodalVAE


@dataclass(frozen=True)
class Code:
    """Posteriors of a cell's shared latent, and of the private latent of each modality that says something about its own.

    `private` is empty where private latents have no dimensions.
    """

    shared: Normal
    private: dict[str, Normal]

    def kl(self) -> Loss:
        """Return the divergence of all blocks from the prior, as the term "kl"."""
        return sum((kl(q) for q in self.private.values()), kl(self.shared))

    def rsample(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Return a draw of the shared latent and of each private one."""
        return self.shared.rsample(), {
            modality: q.rsample() for modality, q in self.private.items()
        }


@dataclass(kw_only=True)
class SharedPrivateVAE(MultimodalVAE):
    """A multimodal VAE of shared and private latents.

    Attributes
    ----------
    private
        Dimensions of each modality's private latent.
    input_dropout
        Chance of a value that an encoder reads to be hidden in training; it must still be reconstructed.
    """

    private: Annotated[int, "at least 0", {"int": [0, 16]}] = 0
    input_dropout: Annotated[float, "at least 0 and below 1", {"float": [0.0, 0.5]}] = 0.0

    def build(self, train: Split) -> None:
        """Make encoders to, and decoders from, the shared and the private latent side by side."""
        self._build(train, self.latent + self.private, dropout=self.input_dropout)

    def split(self, q: Normal) -> tuple[Normal, Normal]:
        """Return the shared and the private part of a modality's posterior."""
        sizes = [self.latent, self.private]
        parts = zip(q.mean.split(sizes, -1), q.stddev.split(sizes, -1), strict=True)
        shared, private = (Normal(mean, sd, validate_args=False) for mean, sd in parts)
        return shared, private

    def code(self, experts: dict[str, Normal]) -> Code:
        """Return the product of some modalities' experts: shared blocks are multiplied, private ones are not."""
        parts = {modality: self.split(q) for modality, q in experts.items()}
        shared = self.product([shared for shared, _ in parts.values()])
        private = (
            {modality: private for modality, (_, private) in parts.items()} if self.private else {}
        )
        return Code(shared, {modality: self.product([q]) for modality, q in private.items()})

    def product(self, experts: list[Normal]) -> Normal:
        """Return the product of experts and the prior."""
        return product_of_experts(experts)

    def with_private(self, shared: Tensor, private: Tensor | None = None) -> Tensor:
        """Return what a decoder reads, (cells, latent + private); the private block is 0 where there is none."""
        if not self.private:
            return shared
        return torch.cat(
            [shared, shared.new_zeros(len(shared), self.private) if private is None else private],
            -1,
        )

    def nll_of(
        self, x: Minibatch, shared: Tensor, private: dict[str, Tensor], targets: list[str]
    ) -> Loss:
        """Return the negative log-likelihood of `targets`, each decoded from the shared and its own private latent."""
        return sum(
            (self.nll(x, self.with_private(shared, private.get(m)), [m]) for m in targets), Loss()
        )

    def nll_label(self, x: Minibatch, shared: Tensor) -> Loss:
        """Return what the cells' labels loss given the shared latent: nothing, in methods that are not supervised."""
        return Loss()

    def drawn(self, cells: int) -> dict[str, Tensor]:
        """Return, by modality, a draw of the shared prior, which is the same for all, beside one of its private prior."""
        shared = torch.randn(cells, self.latent).to(training.device())
        return {
            m: self.with_private(shared, torch.randn(cells, self.private).to(shared.device))
            for m in self.decoders
        }

    def sampled(self, z: Tensor, target: str, columns: Tensor, x: Minibatch) -> Tensor:
        """Return what a modality is measured as given the shared latent and a draw of its private prior, (cells, columns)."""
        private = torch.randn(len(z), self.private).to(z.device)
        return super().sampled(self.with_private(z, private), target, columns, x)

    # --- the method's contract ---

    def posterior(self, x: Minibatch) -> Normal:
        """Return the posterior of the shared latent given all that is observed: the product of experts."""
        return self.code(self.encode(x)).shared

    @torch.no_grad()
    def embed_private(self, cells: Cells) -> np.ndarray:
        """Return the mean of the private latent of the one modality of `cells`, (cells, private)."""

        def of_one(x: Minibatch) -> Tensor:
            (expert,) = self.encode(x).values()
            return self.product([self.split(expert)[1]]).mean

        return self.computed(of_one, cells)

    @torch.no_grad()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return what is expected of `target` from the shared latent alone, (cells, features), standardised."""
        decoder = self.decoders[target]
        return self.computed(
            lambda x: decoder.expected(self.with_private(self.posterior(x).mean)), cells
        )


@dataclass(kw_only=True)
class MixtureVAE(SharedPrivateVAE):
    """One whose posterior is a mixture of the modalities' posteriors, each used as it is, without the prior's expert."""

    def product(self, experts: list[Normal]) -> Normal:
        """Return the product of experts, without the prior: one expert is what it was."""
        return product(experts)

    def posterior(self, x: Minibatch) -> Normal:
        """Return a Normal with the mean and variance of the mixture of the observed modalities' shared posteriors."""
        parts = [self.split(q)[0] for q in self.encode(x).values()]
        means = torch.stack([q.mean for q in parts])  # (experts, cells, latent)
        variance = torch.stack([q.variance for q in parts]).mean(0) + means.var(0, correction=0)
        return Normal(means.mean(0), variance.sqrt(), validate_args=False)
