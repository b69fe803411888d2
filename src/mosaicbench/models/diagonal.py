"""VAEs of cells that are never paired: experts of every modality around a trunk.

    x_m -> expert encoder m -> trunk -> q(z | x_m),     z -> trunk -> expert decoder m -> p(x_m | z)

A minibatch has cells of one modality, and a step takes one minibatch of every modality, of equal size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor, nn
from torch.distributions import Normal

from mosaicbench.contract import History, Split
from mosaicbench.models import training
from mosaicbench.models.linked import one_modality_each
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Minibatch
from mosaicbench.models.networks import NormalisedByMinibatch, mlp, normalised_layer
from mosaicbench.models.posteriors import kl, normal_of
from mosaicbench.models.vae import MultimodalVAE


class Trunk(nn.Module):
    """The VAE between experts: features (cells, width) -> hidden -> q(z), and z -> features."""

    def __init__(self, width: int, hidden: int, latent: int):
        super().__init__()
        # Normalised by cell: running means over minibatches would mix the modalities.
        self.inward = normalised_layer(width, hidden)
        self.heads = nn.Linear(hidden, 2 * latent)
        self.outward = mlp(latent, hidden, width)


@dataclass(frozen=True)
class Reading:
    """Encoded cells: hidden activations (cells, trunk), a posterior, a draw of it."""

    modality: str
    hidden: Tensor
    q: Normal
    z: Tensor


@dataclass(kw_only=True)
class DiagonalVAE(MultimodalVAE):
    """One that sees each train cell in one modality only.

    A cell that was measured in several shows one of them, drawn with equal chances.

    Attributes
    ----------
    trunk
        Width of the trunk's hidden layers; `hidden` is that of the experts'.
    normalisation
        Of the expert encoders' hidden layer: "cell", each cell by itself, or "minibatch", as the
        original's, which gives every modality the same moments.
    """

    trunk: Annotated[int, "at least 1", {"int": [32, 128], "log": True}] = 64
    normalisation: Literal["cell", "minibatch"] = "cell"
    warmup: Annotated[float, "at least 0 and at most 1"] = 0.5

    def trunks(self, modalities: tuple[str, ...]) -> dict[str, Trunk]:
        """Return each modality's trunk."""
        raise NotImplementedError

    def loss(self, x: Minibatch, progress: float) -> Loss:
        """Return the negative evidence lower bound and the discriminators' feedback."""
        reading = self.read(x)
        return self.bound(x, reading, progress) + self.feedback(reading, progress)

    def held_out_loss(self, x: Minibatch, progress: float) -> Loss:
        """Return the bound alone: a game against discriminators has no minimum to stop at."""
        return self.bound(x, self.read(x), progress)

    def bound(self, x: Minibatch, reading: Reading, progress: float) -> Loss:
        """Return -log p(x_m | z) + beta KL."""
        return self.nll(x, reading.z) + self.annealed(progress) * kl(reading.q)

    def feedback(self, reading: Reading, progress: float) -> Loss:
        """Return -lambda times the discriminators' cross-entropy, if there are any."""
        return Loss()

    def read(self, x: Minibatch) -> Reading:
        """Encode cells of one modality."""
        ((modality, values),) = x.items()
        trunk = self.trunk_of[modality]
        hidden = trunk.inward(self.experts[modality](values))  # (cells, trunk)
        q = normal_of(trunk.heads(hidden))
        return Reading(modality, hidden, q, q.rsample())

    def posterior(self, x: Minibatch) -> Normal:
        """Return the posterior given the observed modality."""
        return self.read(x).q

    def nll(self, x: Minibatch, z: Tensor) -> Loss:
        """Return the negative log-likelihood of the observed modality given z."""
        (modality,) = x
        return super().nll(x, self.trunk_of[modality].outward(z))

    def decoded(self, z: Tensor, target: str) -> Tensor:
        """Return the expected values of a modality given z, (cells, features)."""
        return super().decoded(self.trunk_of[target].outward(z), target)

    def sampled(self, z: Tensor, target: str, columns: Tensor, x: Minibatch) -> Tensor:
        """Return a draw of measured values of a modality given z, (cells, columns)."""
        return super().sampled(self.trunk_of[target].outward(z), target, columns, x)

    # --- the method's contract ---

    def fit(self, train: Split, seed: int) -> History:
        """Train on `train`, every cell in one modality, and return the history."""
        return super().fit(one_modality_each(train, seed), seed)

    def build(self, train: Split) -> None:
        """Make the experts and trunks."""
        by = nn.LayerNorm if self.normalisation == "cell" else NormalisedByMinibatch
        experts = {m: normalised_layer(d, self.hidden, by) for m, d in train.features.items()}
        self.experts = nn.ModuleDict(experts)
        self.trunk_of = nn.ModuleDict(self.trunks(train.modalities))
        self.build_decoders(train, self.hidden)

    def rules(self) -> dict[str, object]:
        """Return what differs: a minibatch of every modality a step, validation by the bound."""
        return {"steps": training.one_of_each, "held_out_loss": self.held_out_loss}
