"""MMVAE++: the shared latent is learned only through what it must explain in the other modality.

    cost = sum_m { - log p(x_m | sg(s_m), w_m) - sum_{n != m} log p(x_n | s_m, 0) + beta KL(q_m || p) }

(s_m, w_m) ~ q_m(s, w | x_m) are the shared and private latents that modality m proposes; sg stops the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mosaicbench.parts import training
from mosaicbench.parts.costs import Cost
from mosaicbench.parts.likelihoods import GaussianDecoder
from mosaicbench.parts.posteriors import GaussianEncoder, kl
from mosaicbench.parts.vae import MultimodalVAE
from mosaicbench.view import Cells

CARD = {
    "label": "MMVAE++",
    "kind": "model",
    "paper": "Märtens & Yau 2024",
    "doi": "10.48550/arXiv.2403.06338",
    "handles": ("paired", "mosaic"),
    "uses": ("pairs",),
    "gives": ("joint", "single", "impute"),
    "summary": "Each modality proposes a shared and a private latent; the shared one gets its gradient from the other "
    "modalities only.",
    "deviates": "Any number of modalities; beta rises over the first part of training, not over all of it, so that the number "
    "of epochs does not change the objective. Embeddings are the shared coordinates; jointly, their mean over modalities.",
}


@dataclass(kw_only=True)
class MMVAEpp(MultimodalVAE):
    """own modality: p(x_m | sg(s), w_m); other modality: p(x_n | s, 0)."""

    private: int = 10

    def build(self, features: dict[str, int]) -> None:
        """Make encoders to, and decoders from, the shared and the private latent side by side."""
        width = self.latent + self.private
        self.encoders = nn.ModuleDict({m: GaussianEncoder(d, self.hidden, width) for m, d in features.items()})
        self.decoders = nn.ModuleDict({m: GaussianDecoder(width, self.hidden, d) for m, d in features.items()})

    def cost(self, x: dict[str, Tensor], progress: float) -> Cost:
        """Return the sum over sources of the own path, the paths to other modalities, and the divergence."""
        cost = Cost()
        for source, q in self.encode(x).items():
            shared, private = q.rsample().split([self.latent, self.private], -1)  # (cells, latent), (cells, private)
            own = torch.cat([shared.detach(), private], -1)
            cost += self.nll(x, own, [source])
            cost += self.nll(x, self._without_private(shared), [target for target in x if target != source])
            cost += self.annealed(progress) * kl(q)
        return cost

    @torch.no_grad()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the shared coordinates, averaged over what is observed, (cells, latent)."""
        return self._shared(cells).cpu().numpy()

    @torch.no_grad()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the mean of `target` decoded from the shared coordinates alone, (cells, features), standardised."""
        return self.decoders[target](self._without_private(self._shared(cells))).mean.cpu().numpy()

    def _shared(self, cells: Cells) -> Tensor:
        means = [q.mean[:, : self.latent] for q in self.encode(training.tensors(cells)).values()]
        return torch.stack(means).mean(0)  # (cells, latent)

    def _without_private(self, shared: Tensor) -> Tensor:
        return torch.cat([shared, shared.new_zeros(len(shared), self.private)], -1)
