"""MVAE: every modality alone, and all together, must explain themselves.

    loss = sum_S { - E_{q_S} [ sum_{m in S} log p(x_m | s, w_m) ] + beta KL(q_S || p) }
    S in {all observed} + {each alone}

q_S is the product of the experts in S and the prior. The terms of single modalities make an expert
usable alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Minibatch
from mosaicbench.models.vae import SharedPrivateVAE, Supervised

CARDS = {
    "mvae": {
        "label": "MVAE",
        "kind": "model",
        "paper": "Wu & Goodman 2018",
        "doi": "10.48550/arXiv.1802.05335",
        "scenarios": ("paired", "mosaic", "unpaired"),
        "inputs": ("pairs",),
        "paths": ("all -> each", "alone -> itself"),
        "advice": "Cells with all modalities, and mosaics: every modality is also trained alone. Not cells that are never "
        "paired: nothing in its loss aligns those.",
        "summary": "Product-of-experts VAE that maximises the bound of all observed modalities together and of each alone.",
        "deviates": "No random subsets beyond the single modalities. All latents are shared; `private` adds private ones, as in "
        "Märtens & Yau 2024. Without any paired cell its bound is defined, but does not align the modalities: it is "
        "expected at chance there. "
        "Likelihoods are not weighted by modality, as the original's are (`likelihood_rescaling: true` costs 0.033 of skill on "
        "BMMC and 0.071 on TEA-seq). Prices: docs/results/departures.md.",
        "space": ("latent", "hidden", "learning_rate", "beta", "private", "input_dropout"),
    },
    "mvae_sup": {
        "like": "mvae",
        "label": "MVAE supervised",
        "paper": "Märtens & Yau 2024",
        "doi": "10.48550/arXiv.2403.06338",
        "inputs": ("pairs", "labels"),
        "paths": ("all -> each", "alone -> itself", "types"),
        "advice": "As mvae, if train cells have types that the latent should follow. Scores of labels then reward "
        "the labels it was given; imputation and FOSCTTM do not.",
        "summary": "MVAE with a linear decoder of the cell type from the shared latent: one label term in the bound of every "
        "subset.",
        "deviates": "Several classes (the original has two); a cell without a known type has no label loss (in the original, only in "
        "MMVAE).",
        "space": ("latent", "hidden", "learning_rate", "beta", "label_weight"),
    },
}


@dataclass(kw_only=True)
class MVAE(SharedPrivateVAE):
    """S -> every t in S; S is all that is observed, and each modality alone."""

    def loss(self, x: Minibatch, progress: float) -> Loss:
        """Return the sum of the negative evidence lower bounds of the subsets."""
        loss, experts = Loss(), self.encode(x)
        for subset in dict.fromkeys([tuple(x), *((modality,) for modality in x)]):
            code = self.code({modality: experts[modality] for modality in subset})
            shared, private = code.rsample()
            loss += self.nll_of(x, shared, private, subset) + self.annealed(progress) * code.kl()
            loss += self.nll_label(x, shared)
        return loss


@dataclass(kw_only=True)
class SupervisedMVAE(Supervised, MVAE):
    """MVAE whose shared latent must also tell the known cell types.

    loss = sum_S { mvae's - label_weight E_{q_S} [ log p(y | s) ] }
    """
