"""What multimodal VAEs share: encode each modality, form a posterior, decode, pay the losses.

:class:`SharedPrivateVAE` splits the latent: a cell's code is (s, w_1, ..., w_M), s shared, w_m
private to modality m. Encoder m proposes q_m(s, w_m | x_m); decoder m reads (s, w_m), with w_m = 0,
the prior's mean, where it is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import cross_entropy

from mosaicbench.contract import Cells, History, Split
from mosaicbench.models import training
from mosaicbench.models.likelihoods import (
    BernoulliDecoder,
    GaussianDecoder,
    NegativeBinomialDecoder,
)
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Minibatch, by_pieces
from mosaicbench.models.posteriors import GaussianEncoder, kl, product, product_of_experts
from mosaicbench.models.training import Budget, give_weights, weights_of

STEEPNESS = 12  # of the sigmoid ramp of beta


@dataclass(kw_only=True)
class MultimodalVAE(Budget):
    """One encoder and one decoder per modality around a latent with prior N(0, 1).

    A method derives from this class and defines its :meth:`loss`.

    Attributes
    ----------
    latent
        Dimensions of the shared latent.
    hidden
        Width of the one hidden layer of every encoder and decoder.
    beta
        Weight of the KL divergence from the prior; 1 is the evidence lower bound.
    warmup
        Fraction of `max_epochs`, of no more than 100 of them, over which beta rises from 0.
    annealing
        How beta rises: "linear", or "sigmoid".
    likelihood
        "gaussian" of standardised values, or "counts": negative binomial of RNA and protein counts,
        Bernoulli of accessible peaks.
    likelihood_rescaling
        Whether a modality's log-likelihood is multiplied by (most features of any modality / its
        own number of features), so that the widest does not outweigh the others.
    """

    latent: Annotated[int, "at least 1", {"int": [8, 64], "log": True}] = 20
    hidden: Annotated[int, "at least 1", {"int": [64, 256], "log": True}] = 128
    beta: Annotated[float, "at least 0", {"float": [0.03, 10.0], "log": True}] = 1.0
    warmup: Annotated[float, "at least 0 and at most 1"] = 0.1
    annealing: Literal["linear", "sigmoid"] = "linear"
    likelihood: Literal["gaussian", "counts"] = "gaussian"
    likelihood_rescaling: bool = False

    # Fields of some methods; without an annotation they are no fields of this class.
    private, input_dropout = 0, 0.0
    opponents = None

    def loss(self, x: Minibatch, progress: float) -> Loss:
        """Return the loss of a minibatch: the negative of the method's evidence lower bound."""
        raise NotImplementedError

    def posterior(self, x: Minibatch) -> Normal:
        """Return the product of the observed modalities' experts."""
        return product_of_experts(list(self.encode(x).values()))

    def encode(self, x: Minibatch) -> dict[str, Normal]:
        """Return the posterior of each observed modality."""
        return {modality: self.encoders[modality](values) for modality, values in x.items()}

    def nll(self, x: Minibatch, z: Tensor, targets: Iterable[str] | None = None) -> Loss:
        """Return the negative log-likelihood of `targets`, by default all observed, given z."""
        targets = x if targets is None else targets
        return Loss(
            {f"nll_{m}": self.rescaling[m] * self.decoders[m].nll(z, x, m) for m in targets}
        )

    def annealed(self, progress: float) -> float:
        """Return beta at this progress of the warm-up."""
        if self.annealing == "linear":
            return self.beta * progress
        low, high, now = (1 / (1 + math.exp(-STEEPNESS * (p - 0.5))) for p in (0, 1, progress))
        return self.beta * (now - low) / (high - low)

    # --- the method's contract ---

    def fit(self, train: Split, seed: int) -> History:
        """Train on `train` and return the history, one dict per epoch."""
        with training.seeded(seed):
            self.make(train)
            history = training.minimise(
                self.loss,
                self.nets,
                train,
                budget=self,
                warmup=self.warmup,
                counts=self.counted(),
                opponents=self.opponents,
                **self.rules(),
            )
        if self.opponents:
            self.remarks = self.opponents.warnings(history[-1])
        return history

    def make(self, train: Split) -> None:
        """Make all networks, and gather them as `nets`."""
        self.build(train)
        self.nets = nn.ModuleList([x for x in vars(self).values() if isinstance(x, nn.Module)])

    def counted(self) -> list[str]:
        """Return the modalities whose counts the decoders read."""
        return [modality for modality, decoder in self.decoders.items() if decoder.reads_counts]

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights of all networks."""
        return weights_of(self.nets)

    def load(self, state: dict[str, np.ndarray], train: Split) -> None:
        """Make the networks, and give them the weights that :meth:`state` returned."""
        with training.seeded(0):
            self.make(train)
        give_weights(self.nets, state)

    def rules(self) -> dict[str, object]:
        """Return a method's own keywords of `training.minimise`."""
        return {}

    def build(self, train: Split) -> None:
        """Make an encoder and a decoder for each modality of `train`."""
        width = self.latent + self.private
        encoders = {
            m: GaussianEncoder(d, self.hidden, width, dropout=self.input_dropout)
            for m, d in train.features.items()
        }
        self.encoders = nn.ModuleDict(encoders)
        self.build_decoders(train, width)

    def build_decoders(self, train: Split, width: int) -> None:
        """Make the decoders of inputs (cells, width), and the weights of their log-likelihoods."""
        self.decoders = nn.ModuleDict({m: self._decoder(train, m, width) for m in train.features})
        self.rescaling = self.weights_of_likelihoods(train)

    def weights_of_likelihoods(self, train: Split) -> dict[str, float]:
        """Return the factor of each modality's log-likelihood."""
        widest = max(train.features.values())
        return {
            m: widest / d if self.likelihood_rescaling else 1.0 for m, d in train.features.items()
        }

    def _decoder(self, train: Split, modality: str, width: int) -> nn.Module:
        if self.likelihood == "gaussian":
            return GaussianDecoder(width, self.hidden, train.features[modality])
        if modality not in train.normalizations:
            raise ValueError(
                f"likelihood: counts needs counts, and modality {modality!r} has none; take gaussian"
            )
        normalization = train.normalizations[modality]
        decoder = BernoulliDecoder if normalization.kind == "lsi" else NegativeBinomialDecoder
        return decoder(width, self.hidden, normalization)

    @torch.no_grad()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior mean given what is observed, (cells, latent)."""
        return self.computed(lambda x: self.posterior(x).mean, cells)

    @torch.no_grad()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the expected values of `target` at the posterior mean, (cells, features)."""
        return self.computed(lambda x: self.decoded(self.posterior(x).mean, target), cells)

    @torch.no_grad()
    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return draws of `target`, (cells, features, draws), at positions `features`.

        Each is a draw of the posterior, then of the likelihood.
        """
        columns = torch.as_tensor(features).to(training.device())

        def drawn(x: Minibatch) -> Tensor:
            q = self.posterior(x)
            samples = [self.sampled(q.sample(), target, columns, x) for _ in range(draws)]
            return torch.stack(samples, -1)

        with training.seeded(seed):
            return self.computed(drawn, cells)

    def computed(self, function: Callable[[Minibatch], Tensor], cells: Cells) -> np.ndarray:
        """Return function(minibatch) of all `cells`, (cells, ...)."""
        return by_pieces(function, cells, training.device())

    def sampled(self, z: Tensor, target: str, columns: Tensor, x: Minibatch) -> Tensor:
        """Return a draw of measured values of the cells `x` given z, (cells, columns)."""
        return self.decoders[target].drawn(z, columns)

    @torch.no_grad()
    def generate(self, cells: int, seed: int) -> dict[str, np.ndarray]:
        """Return virtual cells, decoded draws of the prior, modality -> (cells, features)."""
        with training.seeded(seed):
            return {m: self.decoded(z, m).cpu().numpy() for m, z in self.drawn(cells).items()}

    def drawn(self, cells: int) -> dict[str, Tensor]:
        """Return the input of each modality's decoder for cells drawn from the prior."""
        return dict.fromkeys(self.decoders, torch.randn(cells, self.latent).to(training.device()))

    def decoded(self, z: Tensor, target: str) -> Tensor:
        """Return the expected values of a modality given z, (cells, features)."""
        return self.decoders[target].expected(z)


@dataclass(frozen=True)
class Code:
    """Posteriors of the shared latent and of each observed modality's private one."""

    shared: Normal
    private: dict[str, Normal]

    def kl(self) -> Loss:
        """Return the divergence of all latents from the prior, as the term "kl"."""
        return sum((kl(q) for q in self.private.values()), kl(self.shared))

    def rsample(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Return a draw of the shared latent and of each private one."""
        return self.shared.rsample(), {m: q.rsample() for m, q in self.private.items()}


@dataclass(kw_only=True)
class SharedPrivateVAE(MultimodalVAE):
    """A multimodal VAE of shared and private latents.

    Attributes
    ----------
    private
        Dimensions of each modality's private latent.
    input_dropout
        Probability that an encoder does not see a value in training, which is still reconstructed.
    """

    private: Annotated[int, "at least 0", {"int": [0, 16]}] = 0
    input_dropout: Annotated[float, "at least 0 and below 1", {"float": [0.0, 0.5]}] = 0.0

    def split(self, q: Normal) -> tuple[Normal, Normal]:
        """Return the shared and the private part of a modality's posterior."""
        means, sds = (part.split([self.latent, self.private], -1) for part in (q.mean, q.stddev))
        return tuple(Normal(*parts, validate_args=False) for parts in zip(means, sds, strict=True))

    def code(self, experts: dict[str, Normal]) -> Code:
        """Return the product of the experts' shared parts, beside each one's private part."""
        parts = {modality: self.split(q) for modality, q in experts.items()}
        shared = self.product([of_all for of_all, _ in parts.values()])
        own = parts.items() if self.private else ()
        return Code(shared, {m: self.product([of_one]) for m, (_, of_one) in own})

    def product(self, experts: list[Normal]) -> Normal:
        """Return the product of experts and the prior."""
        return product_of_experts(experts)

    def with_private(self, shared: Tensor, private: Tensor | None = None) -> Tensor:
        """Return a decoder's input, (cells, latent + private); without a private latent, 0s."""
        if private is None:
            private = shared.new_zeros(len(shared), self.private)
        return torch.cat([shared, private], -1) if self.private else shared

    def nll_of(
        self, x: Minibatch, shared: Tensor, private: dict[str, Tensor], targets: Iterable[str]
    ) -> Loss:
        """Return the negative log-likelihood of `targets`, decoded from shared and private."""
        loss = Loss()
        for target in targets:
            loss += self.nll(x, self.with_private(shared, private.get(target)), [target])
        return loss

    def nll_label(self, x: Minibatch, shared: Tensor) -> Loss:
        """Return the loss of the labels given the shared latent: none, unless supervised."""
        return Loss()

    def drawn(self, cells: int) -> dict[str, Tensor]:
        """Return a draw of the shared prior, the same for all, beside one of each private prior."""
        shared = torch.randn(cells, self.latent).to(training.device())
        return {
            m: self.with_private(shared, torch.randn(cells, self.private).to(shared.device))
            for m in self.decoders
        }

    def sampled(self, z: Tensor, target: str, columns: Tensor, x: Minibatch) -> Tensor:
        """Return a draw of measured values given shared latents z and a draw of private ones."""
        private = torch.randn(len(z), self.private).to(z.device)
        return super().sampled(self.with_private(z, private), target, columns, x)

    # --- the method's contract ---

    def posterior(self, x: Minibatch) -> Normal:
        """Return the posterior of the shared latent: the product of the observed experts."""
        return self.code(self.encode(x)).shared

    @torch.no_grad()
    def embed_private(self, cells: Cells) -> np.ndarray:
        """Return the mean of the private latent of the observed modality."""

        def of_one(x: Minibatch) -> Tensor:
            (expert,) = self.encode(x).values()
            return self.product([self.split(expert)[1]]).mean

        return self.computed(of_one, cells)

    @torch.no_grad()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the expected values of `target` given the shared latent alone."""
        return self.computed(
            lambda x: self.decoded(self.with_private(self.posterior(x).mean), target), cells
        )


@dataclass(kw_only=True)
class MixtureVAE(SharedPrivateVAE):
    """A VAE with a mixture of the modalities' posteriors as its posterior."""

    def product(self, experts: list[Normal]) -> Normal:
        """Return the product of experts, without the prior."""
        return product(experts)

    def posterior(self, x: Minibatch) -> Normal:
        """Return a Normal with the mean and variance of the mixture of the shared posteriors."""
        parts = [self.split(q)[0] for q in self.encode(x).values()]
        means = torch.stack([q.mean for q in parts])  # (experts, cells, latent)
        variance = torch.stack([q.variance for q in parts]).mean(0) + means.var(0, correction=0)
        return Normal(means.mean(0), variance.sqrt(), validate_args=False)


@dataclass(kw_only=True)
class Supervised:
    """Adds a linear decoder of the cell type, p(y | s); cells without a type do not pay.

    Attributes
    ----------
    label_weight
        Weight of -log p(y | s) beside the modalities' log-likelihoods.
    """

    label_weight: Annotated[float, "at least 0", {"float": [10.0, 1000.0], "log": True}] = 100.0

    def build(self, train: Split) -> None:
        """Make the networks, and the label's decoder among them."""
        super().build(train)
        if not train.cell_types:
            raise ValueError("a supervised method needs train cells with a known cell type")
        self.label_decoder = nn.Linear(self.latent, len(train.cell_types))

    def nll_label(self, x: Minibatch, shared: Tensor) -> Loss:
        """Return the weighted cross-entropy of the labels, (cells,), 0 where unknown."""
        logits = self.label_decoder(shared)
        nll = cross_entropy(logits, x.labels, reduction="none", ignore_index=-1)  # (cells,)
        return Loss(nll_label=self.label_weight * nll)
