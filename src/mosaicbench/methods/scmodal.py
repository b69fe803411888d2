"""scMODAL: autoencoders of unpaired modalities in one latent, held together by linked features.

    loss = sum_m  10 |x_m - G_m(z_m)|^2  -  10 similarity(K(x_m), K(z_m))     z_m = E_m(x_m), a point
         + sum_ab 10 (|z_a - E_b(G_b(z_a))|^2 + |z_b - E_a(G_a(z_b))|^2)
                  + 10 anchors |z_a - z_b|^2  -  V(D_ab; z_a, z_b)

Pairs ab are neighbours in a chain of the modalities. Anchors are mutual nearest neighbours, within
the minibatch, on the pair's linked features. K is a Gaussian kernel between the cells of the
minibatch, and similarity the cosine of its rows.

V is the discriminator's value, which the discriminator minimises and the encoders maximise,

    V(D) = E_a softplus(-D(z_a)) + E_b softplus(D(z_b)),

twice the mean cross-entropy of telling the two modalities apart. Near its equilibrium 2 ln 2 =
1.386 the discriminator sees one distribution, far below it the discriminator wins; the history has
V as discriminator_*_value. Equal distributions do not mean that types coincide.

Errors and distances are means over features, as in the paper; they are not nats. Reference: Wang et
al. 2025, Nature Communications 16:4994.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mosaicbench.contract import Cells, History, Split
from mosaicbench.models import training
from mosaicbench.models.anchors import anchor_distance, mutual_neighbors, preserved_geometry
from mosaicbench.models.discriminators import Discriminator, Examples, Opponents, all_of
from mosaicbench.models.linked import beside_values, chain, column_name, linked, one_modality_each
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Minibatch, by_pieces
from mosaicbench.models.networks import mlp
from mosaicbench.models.training import Budget, give_weights, weights_of

CARD = {
    "label": "scMODAL",
    "kind": "model",
    "paper": "Wang et al. 2025",
    "doi": "10.1038/s41467-025-60333-z",
    "scenarios": ("unpaired",),
    "inputs": ("links",),
    "tested_for": ("aligns", "imputes", "reconstructs", "generates", "random"),
    "paths": ("alone -> itself", "cycle", "discriminator of latents", "anchors"),
    "advice": "Cells that are never paired, with features that are linked. Run linked_mnn, too: on some data "
    "its anchors do as well without training (docs/results/anchor_ablation.md).",
    "summary": "Autoencoders of unpaired modalities, aligned by discriminators, latent cycles, preserved geometry and mutual "
    "nearest neighbours on linked features.",
    "deviates": "Encoders read the split's values (centred log-ratios of proteins, LSI of ATAC), anchors the pair's linked "
    "features; the original takes anchors from the first columns of the encoders' input, even with separate matrices. "
    "Gram-form kernels. Discriminators see detached latents. A minibatch without a mutual pair has no anchor loss (0/0 in the "
    "original). Anchors weigh ten times the original's, chosen on two datasets for a training of hundreds of steps "
    "(docs/originals.md). 3,000 steps, where alignment has levelled off, instead of 10,000. Leaky rectifiers; networks, "
    "learning rates and minibatches for a CPU (`scmodal-paper` in config/studies/originals.yaml has the paper's sizes). As in "
    "the original, weights and biases begin at draws of "
    "N(0, 0.1), all train cells are trained on, all steps are run and the last weights are kept; `patience` and `cooldown` have no effect. In a "
    "chain of three, the modality that is linked with both others is in the middle.",
    "space": (
        "latent",
        "learning_rate",
        "geometry_weight",
        "anchor_weight",
        "discriminator_weight",
        "near",
    ),
}


@dataclass(kw_only=True)
class SCMODAL(Budget):
    """Point latents; {m} -> m, and terms that align neighbours in the chain.

    Attributes
    ----------
    latent, hidden
        Dimensions of the latent; width of the one hidden layer of encoders and decoders.
    reconstruction_weight, geometry_weight, cycle_weight, anchor_weight, discriminator_weight
        Of the terms of the loss; 0 removes a term. Anchors weigh 1 in the paper, whose training is
        ten times longer; at that weight types of similar size and spread may stay swapped.
    near
        Fraction of a minibatch's cells of the other modality, the nearest, that a cell may be
        anchored to; the paper's 30 of 500.
    anchor_components
        More linked features than this are projected on so many joint principal components.
    order
        The chain of modalities; its ends are not aligned directly. None: see
        :func:`.models.linked.chain`.
    discriminator_hidden, discriminator_steps, discriminator_learning_rate, discriminator_betas
        Width of a discriminator's two hidden layers, its steps before each of the model's, and the
        learning rate and betas of its Adam.
    steps
        Of the whole training, whatever the number of cells, unless `max_epochs` ends it before; the
        paper's are 10,000.
    epoch_steps
        Steps of an epoch, of cells drawn with replacement; None: as many as show the largest
        modality once.
    learning_rate
        Three times the paper's.
    weight_decay
        Of all networks.
    initialisation
        "normal": all weights and biases from N(0, 0.1); or "kaiming", whose latents begin some
        thirty times closer together, so that a discriminator can pull cells of different types
        onto each other before anchors separate them.
    """

    latent: Annotated[int, "at least 1", {"int": [8, 64], "log": True}] = 20
    hidden: Annotated[int, "at least 1"] = 128
    reconstruction_weight: Annotated[float, "at least 0"] = 10.0
    geometry_weight: Annotated[float, "at least 0", {"float": [1.0, 100.0], "log": True}] = 10.0
    cycle_weight: Annotated[float, "at least 0"] = 10.0
    anchor_weight: Annotated[float, "at least 0", {"float": [1.0, 100.0], "log": True}] = 10.0
    discriminator_weight: Annotated[float, "at least 0", {"float": [0.1, 10.0], "log": True}] = 1.0
    near: Annotated[float, "at least 0 and at most 1", {"float": [0.02, 0.2], "log": True}] = 0.06
    anchor_components: Annotated[int, "at least 1"] = 30
    order: tuple[str, ...] | None = None
    discriminator_hidden: Annotated[int, "at least 1"] = 64
    discriminator_steps: Annotated[int, "at least 1"] = 5
    discriminator_learning_rate: Annotated[float, "above 0"] = 3e-3
    discriminator_betas: tuple[
        Annotated[float, "at least 0 and below 1"], Annotated[float, "at least 0 and below 1"]
    ] = (0.9, 0.999)
    learning_rate: Annotated[float, "above 0", {"float": [0.001, 0.01], "log": True}] = 3e-3
    steps: Annotated[int, "at least 1"] = 3000
    epoch_steps: Annotated[int, "at least 1"] | None = None
    weight_decay: Annotated[float, "at least 0"] = 1e-3
    initialisation: Literal["kaiming", "normal"] = "normal"
    weights: Literal["last"] = "last"

    def loss(self, x: Minibatch, progress: float) -> Loss:
        """Return the loss of as many cells of every modality; rows of two are not one cell."""
        z = self._latents(x)
        loss = self.loss_alone(x, z)
        for first, second in self.pairs:
            if self.anchor_weight:
                loss += self.anchor_weight * self.anchors(x, z, first, second)
            if self.discriminator_weight:
                loss += -self.discriminator_weight * self.value(z, first, second)
        return loss

    def loss_alone(self, x: Minibatch, z: Mapping[str, Tensor]) -> Loss:
        """Return reconstruction, geometry, and the cycles that start at each modality."""
        loss = Loss()
        for m, latent in z.items():
            if self.reconstruction_weight:
                error = (self.decoders[m](latent) - x[m]).square().mean(-1)
                loss += self.reconstruction_weight * Loss({f"reconstruction_{m}": error})
            if self.geometry_weight:
                geometry = preserved_geometry(x[m], latent)
                loss += -self.geometry_weight * Loss({f"geometry_{m}": geometry})
        for pair in self.pairs if self.cycle_weight else ():
            for source, over in (pair, pair[::-1]):
                again = self.encoders[over](self.decoders[over](z[source]))
                error = (again - z[source]).square().mean(-1)
                loss += self.cycle_weight * Loss({f"cycle_{source}_{over}": error})
        return loss

    def anchors(self, x: Minibatch, z: Mapping[str, Tensor], first: str, second: str) -> Loss:
        """Return the mean squared distance of anchored cells."""
        features = x[column_name(first, second)], x[column_name(second, first)]
        anchored = mutual_neighbors(*features, max(1, round(self.near * x.cells)))
        return Loss({f"anchors_{first}_{second}": anchor_distance(z[first], z[second], anchored)})

    def value(self, z: Mapping[str, Tensor], first: str, second: str) -> Loss:
        """Return the value of the game against the pair's discriminator."""
        discriminator = self.opponents.discriminators[f"{first}_{second}"]
        of_first = discriminator.cross_entropy(z[first], all_of(z[first], 0))
        of_second = discriminator.cross_entropy(z[second], all_of(z[second], 1))
        return Loss({f"feedback_{first}_{second}": of_first + of_second})

    # --- the method's contract ---

    def fit(self, train: Split, seed: int) -> History:
        """Train and return the history; `remarks` says if a discriminator won or died."""
        cells = one_modality_each(train, seed)
        self.chain = chain(cells, self.order)
        self.pairs = list(pairwise(self.chain))
        features = {
            pair: linked(cells, pair, components=self.anchor_components) for pair in self.pairs
        }
        with training.seeded(seed):
            self.build(train)
            history = training.minimise(
                self.loss,
                self.nets,
                beside_values(cells, features),
                budget=self,
                warmup=0,
                steps=partial(training.side_by_side, steps=self.epoch_steps),
                opponents=self.opponents if self.discriminator_weight else None,
                most_steps=self.steps,
                weight_decay=self.weight_decay,
            )
        z = torch.from_numpy(np.concatenate([self.embed(block) for block in cells.blocks])).double()
        floor = 1e-6 * torch.eye(self.latent).double()
        self.latent_mean = z.mean(0).float()
        self.latent_root = torch.linalg.cholesky(torch.cov(z.T) + floor).float()
        if self.discriminator_weight:
            self.remarks = self.opponents.warnings(history[-1])
            for row in history:  # a cross-entropy is a mean over the cells of both modalities
                for name in self.opponents.discriminators:
                    nats = row[f"discriminator_{name}_cross_entropy"]
                    row[f"discriminator_{name}_value"] = 2 * nats
        return history

    def build(self, train: Split) -> None:
        """Make the networks, and the discriminators, which the model does not train."""
        sizes = train.features.items()
        self.encoders = nn.ModuleDict({m: mlp(d, self.hidden, self.latent) for m, d in sizes})
        self.decoders = nn.ModuleDict({m: mlp(self.latent, self.hidden, d) for m, d in sizes})
        self.nets = nn.ModuleList([self.encoders, self.decoders])
        discriminators = nn.ModuleDict(
            {
                "_".join(p): Discriminator(self.latent, self.discriminator_hidden, 2)
                for p in self.pairs
            }
        )
        if self.initialisation == "normal":
            for weights in (*self.nets.parameters(), *discriminators.parameters()):
                nn.init.normal_(weights, std=0.1)
        self.opponents = Opponents(
            discriminators.to(training.device()),
            self._examples,
            dict.fromkeys(discriminators, self.discriminator_learning_rate),
            self.discriminator_steps,
            self.weight_decay,
            betas=self.discriminator_betas,
        )

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights of the networks, and the Gaussian of the train cells' latents."""
        gaussian = {"latent_mean": self.latent_mean, "latent_root": self.latent_root}
        return weights_of(self.nets) | {name: x.numpy() for name, x in gaussian.items()}

    def load(self, state: dict[str, np.ndarray], train: Split) -> None:
        """Restore the result of :meth:`state`; discriminators begin anew."""
        state, self.pairs = dict(state), list(pairwise(train.modalities))
        for name in ("latent_mean", "latent_root"):
            setattr(self, name, torch.from_numpy(np.array(state.pop(name))))
        with training.seeded(0):
            self.build(train)
        give_weights(self.nets, state)

    @torch.no_grad()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the latents of cells of one modality, (cells, latent)."""
        (modality,) = cells.modalities
        return by_pieces(lambda x: self.encoders[modality](x[modality]), cells, training.device())

    @torch.no_grad()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the target's decoder at the latents, (cells, features)."""
        (modality,) = cells.modalities
        path = nn.Sequential(self.encoders[modality], self.decoders[target])
        return by_pieces(lambda x: path(x[modality]), cells, training.device())

    @torch.no_grad()
    def generate(self, cells: int, seed: int) -> dict[str, np.ndarray]:
        """Return virtual cells, decoded draws of the train latents' Gaussian, by modality."""
        with training.seeded(seed):
            z = self.latent_mean + torch.randn(cells, self.latent) @ self.latent_root.T
            z = z.to(training.device())
            return {m: decoder(z).cpu().numpy() for m, decoder in self.decoders.items()}

    def _latents(self, x: Minibatch) -> dict[str, Tensor]:
        return {m: self.encoders[m](x[m]) for m in self.chain}  # (cells, latent) each

    def _examples(self, minibatches: Sequence[Minibatch], progress: float) -> Examples:
        (x,) = minibatches
        z, examples = self._latents(x), {}
        for pair in self.pairs:
            domains = [all_of(z[m], number) for number, m in enumerate(pair)]
            examples["_".join(pair)] = torch.cat([z[m] for m in pair]), torch.cat(domains)
        return examples
