"""A mixture of families of Gaussians as prior, and the divergence of a posterior from it.

    c ~ Cat(1 / C),   u ~ N(0, 1),   z | c, u ~ N(mu(c, u), sd(c, u)),     mu and sd linear in (one-hot c, u)

With inference networks q(c | z) and q(u | c, z), the divergence of q(z | x) is bounded by, in nats per cell,

    kl_z = E_q [ log q(z | x) - log p(z | c, u) ],   kl_u = E_q KL(q(u | c, z) || p(u)),   kl_c = KL(q(c | z) || p(c))

A known component of a cell replaces c, and its kl_c is 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import one_hot

from mosaicbench.models.losses import Loss
from mosaicbench.models.networks import NormalisedByMinibatch, mlp, normalised_layer
from mosaicbench.models.posteriors import kl, normal_of

INFERENCE_HIDDEN = 50


class MixturePrior(nn.Module):
    """p(z), q(c | z) and q(u | c, z), for z and u of `latent` dimensions.

    Parameters
    ----------
    dropout
        Of the hidden layer of q(c | z) and q(u | c, z), which is then also normalised by minibatch;
        None: neither.
    """

    def __init__(self, latent: int, components: int, *, dropout: float | None = None):
        super().__init__()
        self.latent, self.components = latent, components
        self.classifier = _inference(latent, components, dropout)
        self.within = _inference(components + latent, 2 * latent, dropout)
        self.generator = nn.Linear(components + latent, 2 * latent)

    def divergence(self, q: Normal, z: Tensor, known: Tensor | None = None) -> Loss:
        """Return kl_z, kl_u and kl_c of each cell, expectations over all components.

        Parameters
        ----------
        q, z
            The posterior of the cells, and a draw of it, (cells, latent).
        known
            (cells,) number of the component, -1 where unknown.
        """
        log_probability = torch.log_softmax(self.classifier(z), -1)  # (cells, components)
        probability = log_probability.exp()
        kl_c = (probability * (log_probability + math.log(self.components))).sum(-1)
        if known is not None:
            certain = one_hot(known.clamp_min(0), self.components).float()
            probability = torch.where(known[:, None] >= 0, certain, probability)
            kl_c = torch.where(known >= 0, 0.0, kl_c)
        every = torch.eye(self.components, device=z.device)
        component = every.repeat(len(z), 1)  # (cells x components, components)
        repeated = z.repeat_interleave(self.components, 0)  # (cells x components, latent)
        of_u = normal_of(self.within(torch.cat([component, repeated], -1)))
        of_z = self.conditional(component, of_u.rsample())
        log_density = of_z.log_prob(repeated).sum(-1).view_as(probability)
        kl_u = (probability * kl(of_u)["kl"].view_as(probability)).sum(-1)
        kl_z = q.log_prob(z).sum(-1) - (probability * log_density).sum(-1)
        return Loss(kl_z=kl_z, kl_u=kl_u, kl_c=kl_c)

    def conditional(self, component: Tensor, u: Tensor) -> Normal:
        """Return p(z | c, u) given (cells, components) one-hot and (cells, latent)."""
        return normal_of(self.generator(torch.cat([component, u], -1)))

    def drawn(self, cells: int) -> Tensor:
        """Return draws of z, (cells, latent)."""
        device = self.generator.weight.device
        number = torch.randint(self.components, (cells,))
        component = one_hot(number, self.components).float().to(device)
        return self.conditional(component, torch.randn(cells, self.latent).to(device)).sample()


def _inference(features: int, outputs: int, dropout: float | None) -> nn.Sequential:
    if dropout is None:
        return mlp(features, INFERENCE_HIDDEN, outputs)
    first = normalised_layer(features, INFERENCE_HIDDEN, NormalisedByMinibatch)
    return nn.Sequential(*first, nn.Dropout(dropout), nn.Linear(INFERENCE_HIDDEN, outputs))
