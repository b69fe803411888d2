"""Losses and gradients of this project's methods and multivae's, for the same weights and draws.

Run by the Python of multivae's environment. Prints JSON: quantity -> [ours, theirs].
"""

import json
import math

import torch
from torch.distributions import Normal

from mosaicbench.contract import Split
from mosaicbench.methods import mmvae, mopoe, mvae
from mosaicbench.models.minibatch import Minibatch
from mosaicbench.peers import multivae

multivae._load_torchvision()

from multivae.data import MultimodalBaseDataset  # noqa: E402
from multivae.models import MMVAE, MVAE, MMVAEConfig, MoPoE, MoPoEConfig, MVAEConfig  # noqa: E402
from multivae.models.base import BaseEncoder, ModelOutput  # noqa: E402
from multivae.models.base.base_utils import poe  # noqa: E402

FEATURES, CELLS, LATENT = {"rna": 30, "adt": 12}, 60, 5
torch.manual_seed(0)
VALUES = {modality: torch.randn(CELLS, d) for modality, d in FEATURES.items()}


class Shared(BaseEncoder):
    """One of our encoders, as the package wants it; `narrow` is added to the log variance."""

    def __init__(self, own, narrow):
        BaseEncoder.__init__(self)
        self.latent_dim, self.own, self.narrow = LATENT, own, narrow

    def forward(self, x):
        q = self.own(x)
        return ModelOutput(embedding=q.mean, log_covariance=2 * q.stddev.log() + self.narrow)


def pair(ours, model, config, narrow=0.0, **options):
    """Return our method, built, and the package's with the same networks."""
    ours.build(Split((), FEATURES))
    networks = multivae._networks(FEATURES, ours.hidden, LATENT)
    networks["encoders"] = {m: Shared(encoder, narrow) for m, encoder in ours.encoders.items()}
    for modality, decoder in networks["decoders"].items():
        decoder.own = ours.decoders[modality]
    shared = {
        "n_modalities": 2,
        "latent_dim": LATENT,
        "input_dims": {m: (d,) for m, d in FEATURES.items()},
    }
    theirs = model(config(**shared, **options), **networks)
    for modality, decoder in networks["decoders"].items():
        theirs.recon_log_probs[modality] = decoder.log_likelihood
    return ours, theirs


def losses(ours, theirs, values=VALUES):
    """Return our loss per cell, and the package's loss, with the same draws."""
    torch.manual_seed(1)
    own = ours.loss(Minibatch(dict(values)), 1.0).total()
    torch.manual_seed(1)
    return own, theirs(MultimodalBaseDataset(dict(values)), epoch=1000).loss


def gradient(loss, ours):
    """Return the loss's gradient by all weights, as one vector."""
    weights = [*ours.encoders.parameters(), *ours.decoders.parameters()]
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, weights)])


compared = {}


def compare(what, ours, own, other):
    """Keep the losses, the lengths of their gradients, and the cosine of the angle between these."""
    a, b = gradient(own, ours), gradient(other, ours)
    compared[f"{what}: loss"] = [own.item(), other.item()]
    compared[f"{what}: gradient"] = [a.norm().item(), b.norm().item()]
    compared[f"{what}: direction"] = [1.0, torch.nn.functional.cosine_similarity(a, b, 0).item()]


ours, theirs = pair(mvae.MVAE(latent=LATENT), MVAE, MVAEConfig)
compare("mvae", ours, *losses(ours, theirs))

# The package sums over cells and takes the mean over modalities; ours is the other way round.
normal = {"K": 4, "prior_and_posterior_dist": "normal", "learn_prior": False}
for objective in ("iwae", "dreg"):
    ours, theirs = pair(
        mmvae.MMVAE(latent=LATENT, objective=objective, samples=4),
        MMVAE,
        MMVAEConfig,
        loss=f"{objective}_looser",
        **normal,
    )
    own, other = losses(ours, theirs)
    compare(f"mmvae {objective}", ours, own, other * len(FEATURES) / CELLS)
del compared["mmvae dreg: loss"]  # a surrogate, whose gradient alone means something

# Our cells draw their subsets. Posteriors are as narrow as points, and each subset's part has every
# cell once.
ours, theirs = pair(mopoe.MoPoE(latent=LATENT), MoPoE, MoPoEConfig, narrow=-20.0)
encode = ours.encode
ours.encode = lambda x: {m: Normal(q.mean, q.stddev * math.exp(-10)) for m, q in encode(x).items()}
torch.randperm = lambda n, **_: (
    torch.arange(n) // CELLS
)  # cells in the order of their subsets, as the package has them
thrice = {modality: x.repeat(3, 1) for modality, x in VALUES.items()}
compare("mopoe with the prior's expert", ours, *losses(ours, theirs, thrice))
theirs._poe_fusion = lambda means, log_variances: poe(means, log_variances, eps=0)
compare("mopoe", ours, *losses(ours, theirs, thrice))

print(json.dumps(compared))
