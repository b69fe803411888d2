"""MMVAE++: the shared latent is learned only through what it must explain in the other modality.

    loss = sum_m { - log p(x_m | sg(s_m), w_m) - sum_{n != m} log p(x_n | s_m, 0) + beta KL(q_m || p) }

(s_m, w_m) ~ q_m(s, w | x_m) are the latents that modality m proposes; sg stops the gradient. A cell
with one modality pays for the private latent alone: the divergence would pull s_m to the prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Minibatch
from mosaicbench.models.posteriors import kl
from mosaicbench.models.vae import MixtureVAE, Supervised

CARDS = {
    "mmvaepp": {
        "label": "MMVAE++",
        "kind": "model",
        "paper": "Märtens & Yau 2024",
        "doi": "10.48550/arXiv.2403.06338",
        "scenarios": ("paired", "mosaic"),
        "inputs": ("pairs",),
        "paths": ("alone -> others", "private -> itself"),
        "advice": "Paired cells with much variation that is private to a modality, which is kept out of the shared latent. "
        "Give it enough latents of both kinds (docs/originals.md).",
        "summary": "Each modality proposes a shared and a private latent; the shared one gets its gradient from the other "
        "modalities only.",
        "deviates": "Any number of modalities; beta rises over the first part of training, not over all of it, so that the number "
        "of epochs does not change the objective. In a mosaic, a cell with one modality does not pay for the shared latent. "
        "Embeddings are the shared coordinates; jointly, their mean over modalities. "
        "The authors' annealing over all epochs with the last weights (`warmup: 1.0`, `weights: last`, 100 epochs) decides on "
        "their simulation (docs/results/private_variation.md); on BMMC and TEA-seq it scores as ours "
        "(docs/results/departures.md).",
        "space": ("latent", "hidden", "learning_rate", "beta", "private", "input_dropout"),
    },
    "mmvaepp_sup": {
        "like": "mmvaepp",
        "label": "MMVAE++ supervised",
        "inputs": ("pairs", "labels"),
        "paths": ("alone -> others", "private -> itself", "types"),
        "advice": "As mmvaepp, if train cells have types that the latent should follow. Scores of labels then reward "
        "the labels it was given; imputation and FOSCTTM do not.",
        "summary": "MMVAE++ with a linear decoder of the cell type from the shared latent: one label term for every expert; "
        "unlike the own modality, the label does reach the shared latent.",
        "deviates": "Several classes (the original has two); a cell without a known type has no label loss (in the original, only in "
        "MMVAE).",
        "space": (
            "latent",
            "hidden",
            "learning_rate",
            "beta",
            "private",
            "input_dropout",
            "label_weight",
        ),
    },
}


@dataclass(kw_only=True)
class MMVAEpp(MixtureVAE):
    """own modality: p(x_m | sg(s), w_m); other modality: p(x_n | s, 0)."""

    private: Annotated[int, "at least 0", {"int": [4, 32], "log": True}] = 10

    def loss(self, x: Minibatch, progress: float) -> Loss:
        """Return the sum over sources of all paths and the divergence."""
        loss = Loss()
        for source, q in self.encode(x).items():
            # (cells, latent), (cells, private)
            shared, private = q.rsample().split([self.latent, self.private], -1)
            loss += self.nll_of(x, shared.detach(), {source: private}, [source])
            loss += self.nll_of(x, shared, {}, [target for target in x if target != source])
            paid = q if len(x) > 1 else self.split(q)[1]
            loss += self.annealed(progress) * kl(paid)
            loss += self.nll_label(x, shared)
        return loss


@dataclass(kw_only=True)
class SupervisedMMVAEpp(Supervised, MMVAEpp):
    """MMVAE++ whose shared latent must also tell the known cell types.

    loss = sum_m { mmvaepp's - label_weight E_{q_m} [ log p(y | s) ] }
    """
