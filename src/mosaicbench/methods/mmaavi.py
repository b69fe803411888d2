"""mmAAVI: cells of any subset of the modalities, with a guidance graph and a mixture prior.

c ~ Cat(1 / C),   u ~ N(0, 1),   z | c, u ~ N(mu(c, u), sd(c, u))
v_f ~ N(0, 1) of every feature f of every modality
x_m | z, v, s ~ NB(library size softmax(softplus(a_s) (w z . v_f + (1 - w) MLP_m(z)_f) + b_s), t_s)
    in batch s
q(z | x): h_m = encoder_m(x_m), h = sum_m a_m h_m
    a = softmax of sigmoid(w_1 . h_m) tanh(w_2 . h_m) over what is observed

loss = - E_q [ sum_m log p(x_m | z, v, s) ] + beta (kl_z + kl_u + kl_c)
       + feature_weight KL(q(v) || p(v)) + graph_weight nll(links | v)
       - discriminator_weight cross_entropy(z, s)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, product
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import cross_entropy, one_hot, softplus

from mosaicbench.contract import Cells, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models import training
from mosaicbench.models.discriminators import Discriminator, Examples, Opponents, ramp
from mosaicbench.models.guidance import FeatureGraph, HybridDecoder
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Block, Minibatch, by_pieces
from mosaicbench.models.mixture import MixturePrior
from mosaicbench.models.networks import mlp, normalised_layer
from mosaicbench.models.posteriors import SMALLEST_SD, kl
from mosaicbench.models.training import Steps
from mosaicbench.models.vae import MultimodalVAE

CARDS = {
    "mmaavi": {
        "label": "mmAAVI",
        "kind": "model",
        "paper": "Lu et al. 2024",
        "doi": "10.1093/bib/bbae540",
        "scenarios": ("paired", "mosaic", "unpaired"),
        "inputs": ("pairs", "links"),
        "paths": ("all -> each", "graph of links", "discriminator of batches"),
        "advice": "Mosaics whose cells come in batches with different modalities, and features with links.",
        "summary": "Mosaic VAE: attention over the observed modalities, a mixture prior, embeddings of all features, guided by a "
        "graph of links, and a discriminator of batches.",
        "deviates": "The graph's reconstruction is a loss (not in the released code: `graph_weight: 0`). An absent modality is imputed "
        "at the train cells' median library size (the original multiplies by the cell's own, which is 0), in the cell's batch, or "
        "the mean of all if it is new. Cells with several modalities are also encoded from fewer (`modality_dropout: 0` is the "
        "original), else no modality would be encoded alone in paired data. The discriminator predicts batch and observed "
        "modalities, since in the original's data each batch has its own (`discriminator_tells: batch`); "
        "`discriminator_weight: 20` is the original's. Components are summed over, not drawn; layers are normalised by cell, not by "
        "minibatch; counts that were not chosen as features have a fraction too; Adam and the common networks and budget. Without "
        "links every feature has an embedding of its own; where a modality has no counts its values are Gaussian. "
        "Beta rises first (`warmup: 0`, the original's, scores the same, and so does the original's discriminator). "
        "The discriminator's labels are not smoothed, batches not oversampled and inputs not scaled by batch. Prices: "
        "docs/results/departures.md.",
        "space": (
            "latent",
            "learning_rate",
            "beta",
            "components",
            "dropout",
            "modality_dropout",
            "discriminator_weight",
        ),
    },
    "mmaavi_ss": {
        "like": "mmaavi",
        "label": "mmAAVI semi-supervised",
        "inputs": ("pairs", "links", "labels"),
        "paths": ("all -> each", "graph of links", "discriminator of batches", "types"),
        "advice": "As mmaavi, to predict the types of most cells from those of few: compare config/studies/label_scarcity.yaml.",
        "summary": "mmAAVI whose mixture components are the cell types: it learns them from few labelled cells, and predicts them.",
        "deviates": "As for mmaavi. Labelled cells are a fixed fraction of every step. "
        "A cell's type is the most probable component given the mean of its latent.",
        "space": (
            "latent",
            "learning_rate",
            "beta",
            "dropout",
            "modality_dropout",
            "discriminator_weight",
            "label_weight",
        ),
    },
}

ENOUGH_PAIRS = 10  # cells with two modalities, above which the networks get more of the decoder
FRACTION_WITH_PAIRS, FRACTION_WITHOUT = 0.9, 0.99


@dataclass(kw_only=True)
class MMAAVI(MultimodalVAE):
    """What is observed -> all that was measured.

    Attributes
    ----------
    likelihood
        "counts": negative binomial where a modality has counts, else Gaussian; "gaussian": of all
        standardised values.
    components
        C, of the mixture prior.
    dropout
        Of the encoders' last layer.
    modality_dropout
        Probability that a minibatch with several modalities is encoded from some of them only; it
        must reconstruct all.
    graph_fraction
        w, the fraction of the graph in the decoder; "auto": 0.9 where more than ten train cells
        have several modalities, else 0.99.
    graph_weight
        Weight of the links' likelihood, a mean over links; "modalities", as in the paper, is their
        number: then a thousand links are hardly reconstructed, at 100 they are.
    feature_weight
        Weight of the divergence of the features' embeddings, a mean over features.
    modality_means
        Whether a modality's likelihood is a mean over the cells that have it, as in the original,
        and not over all cells.
    prior_dropout
        Of q(c | z) and q(u | c, z), which are then also normalised by minibatch; the original's is
        0.2. None: neither.
    discriminator_weight
        Lambda, in nats of loss per nat of cross-entropy; 0 leaves out the discriminator.
    discriminator_tells
        "batch", or "batch and modalities": also which modalities the cell was encoded from.
    discriminator_hidden, discriminator_learning_rate, discriminator_steps
        Width of its two hidden layers, learning rate, and steps before each of the model's.
    """

    likelihood: Literal["gaussian", "counts"] = "counts"
    components: Annotated[int, "at least 1", {"int": [4, 16], "log": True}] = 8
    dropout: Annotated[float, "at least 0 and below 1", {"float": [0.0, 0.5]}] = 0.2
    modality_dropout: Annotated[float, "at least 0 and below 1", {"float": [0.2, 0.8]}] = 0.5
    graph_fraction: Annotated[float, "at least 0 and at most 1"] | Literal["auto"] = "auto"
    graph_weight: Annotated[float, "at least 0"] | Literal["modalities"] = "modalities"
    feature_weight: Annotated[float, "at least 0"] = 0.01
    modality_means: bool = False
    prior_dropout: Annotated[float, "at least 0 and below 1"] | None = None
    discriminator_weight: Annotated[float, "at least 0", {"float": [0.1, 10.0], "log": True}] = 1.0
    discriminator_tells: Literal["batch", "batch and modalities"] = "batch and modalities"
    discriminator_hidden: Annotated[int, "at least 1"] = 128
    discriminator_learning_rate: Annotated[float, "above 0"] = 2e-3
    discriminator_steps: Annotated[int, "at least 1"] = 1

    def loss(self, x: Minibatch, progress: float) -> Loss:
        """Return the bound, encoded from some modalities, and the feedback."""
        encoded = self.shown(x)
        q = self.posterior(encoded)
        return self.bound(x, q, progress) + self.feedback(encoded, q, progress)

    def held_out_loss(self, x: Minibatch, progress: float) -> Loss:
        """Return the bound alone, a mean over the subsets that cells are encoded from."""
        subsets, loss = self.subsets(tuple(x)), Loss()
        for subset in subsets:
            loss += self.bound(x, self.posterior(x.only(*subset)), progress)
        return loss * (1 / len(subsets))

    def bound(self, x: Minibatch, q: Normal, progress: float) -> Loss:
        """Return the negative evidence lower bound of all that was measured."""
        z = q.rsample()
        divergence, (v, of_features) = self.divergence(x, q, z), self.features()
        of_features = Loss({name: nats.expand(x.cells) for name, nats in of_features.items()})
        return self.nll_of(x, z, v) + self.annealed(progress) * divergence + of_features

    def nll_of(self, x: Minibatch, z: Tensor, v: Tensor) -> Loss:
        """Return the negative log-likelihood of what was measured, by modality."""
        batch, loss = self.batch_weights(x), Loss()
        for m in x:
            nll = self.decoders[m].nll(z, v[self.graph.places[m]], batch, x, m)
            loss[f"nll_{m}"] = self.rescaling[m] * self.cells_per_measured[m] * nll
        return loss

    def divergence(self, x: Minibatch, q: Normal, z: Tensor) -> Loss:
        """Return the divergence from the mixture prior."""
        return self.prior.divergence(q, z)

    def features(self) -> tuple[Tensor, Loss]:
        """Return a draw of the features' embeddings, (features, latent), and their loss, scalars.

        All cells of a step share them.
        """
        if self._drawn is None or not self.graph.training:
            q = self.graph()
            v, loss = q.rsample(), Loss(kl_features=self.feature_weight * kl(q)["kl"].mean())
            if len(self.graph.pairs) and self.graph_weight != 0:
                by_modality = self.graph_weight == "modalities"
                weight = len(self.decoders) if by_modality else self.graph_weight
                loss["nll_graph"] = weight * self.graph.nll(v)
            self._drawn = v, loss
        return self._drawn

    def feedback(self, encoded: Minibatch, q: Normal, progress: float) -> Loss:
        """Return -lambda times the discriminator's cross-entropy about the cells' origin."""
        if self.opponents is None:
            return Loss()
        discriminator = self.opponents.discriminators["origin"]
        nats = discriminator.cross_entropy(q.mean, self.origin(encoded))
        return Loss(feedback_origin=-self.discriminator_weight * ramp(progress) * nats)

    # --- what is inferred ---

    def posterior(self, x: Minibatch) -> Normal:
        """Return q(z | x) given what is observed."""
        hidden = {m: self.encoders[m](values) for m, values in x.items()}  # (cells, hidden) each
        fused = next(iter(hidden.values()))
        if len(hidden) > 1:
            fused = sum(weight[:, None] * hidden[m] for m, weight in self.attention(hidden).items())
        mean, spread = self.fusion(fused).chunk(2, -1)
        return Normal(mean, softplus(spread) + SMALLEST_SD, validate_args=False)

    def attention(self, hidden: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return each modality's weight in each cell, (cells,), in sum one."""
        gates = [self.gates(h).unbind(-1) for h in hidden.values()]  # (cells,) twice for each
        scores = torch.stack([torch.sigmoid(w_1) * torch.tanh(w_2) for w_1, w_2 in gates])
        return dict(zip(hidden, torch.softmax(scores, 0), strict=True))

    def shown(self, x: Minibatch) -> Minibatch:
        """Return the cells as they are encoded in training, at random without some modalities."""
        proper = self.subsets(tuple(x))[1:]
        if not proper or torch.rand(()).item() >= self.modality_dropout:
            return x
        return x.only(*proper[int(torch.randint(len(proper), ()))])

    def subsets(self, observed: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Return the subsets that cells may be encoded from; without dropout, all."""
        if not self.modality_dropout:
            return [observed]
        kept = product((True, False), repeat=len(observed))
        return [tuple(compress(observed, keep)) for keep in kept if any(keep)]

    def batch_weights(self, x: Minibatch) -> Tensor:
        """Return (cells, batches): one at the cell's batch, or equal weights if it is unknown."""
        codes = x.batches
        if codes is None:
            codes = torch.zeros(x.cells, dtype=torch.long, device=self.gates.weight.device)
        known = one_hot(codes.clamp_min(0), self.batch_count).float()
        return torch.where(codes[:, None] < 0, 1 / self.batch_count, known)

    def origin(self, encoded: Minibatch) -> Tensor:
        """Return the number of each cell's batch and observed modalities, (cells,)."""
        pattern = self.patterns.index(tuple(encoded)) if self.discriminator_tells != "batch" else 0
        return pattern * self.batch_count + self.batch_weights(encoded).argmax(-1)

    @property
    def batch_count(self) -> int:
        """The number of batches, at least one."""
        return max(len(self.batches), 1)

    # --- the method's contract ---

    def build(self, train: Split) -> None:
        """Make the networks, then the discriminator, which the model does not train."""
        self.batches = train.batches
        normalizations = train.normalizations if self.likelihood == "counts" else {}
        sizes = {
            m: len(normalizations[m].fraction) if m in normalizations else d
            for m, d in train.features.items()
        }
        links = {
            (one, other): matrix
            for (one, other), matrix in train.links.items()
            if matrix.shape == (sizes[one], sizes[other])
        }
        pairs = sum(len(block) for block in train.blocks if len(block.modalities) > 1)
        fraction = self.graph_fraction
        if fraction == "auto":
            fraction = FRACTION_WITH_PAIRS if pairs > ENOUGH_PAIRS else FRACTION_WITHOUT
        self.graph = FeatureGraph(sizes, links, self.latent)
        encoders = {
            m: nn.Sequential(*normalised_layer(d, self.hidden), nn.Dropout(self.dropout))
            for m, d in train.features.items()
        }
        self.encoders = nn.ModuleDict(encoders)
        self.gates = nn.Linear(self.hidden, 2, bias=False)
        self.fusion = mlp(self.hidden, self.hidden, 2 * self.latent)
        components = self.component_count(train)
        self.prior = MixturePrior(self.latent, components, dropout=self.prior_dropout)
        decoders = {
            m: HybridDecoder(
                latent=self.latent,
                hidden=self.hidden,
                features=features,
                batches=self.batch_count,
                graph_fraction=fraction,
                normalization=normalizations.get(m),
            )
            for m, features in sizes.items()
        }
        self.decoders = nn.ModuleDict(decoders)
        self.rescaling = self.weights_of_likelihoods(train)
        self.cells_per_measured = dict.fromkeys(sizes, 1.0)
        if self.modality_means:
            cells = sum(map(len, train.blocks))
            for m in sizes:
                measured = sum(len(block) for block in train.blocks if m in block.modalities)
                self.cells_per_measured[m] = cells / max(measured, 1)
        self.opponents = self._opponents(train)
        self._drawn = None

    def component_count(self, train: Split) -> int:
        """Return the number of components of the prior."""
        return self.components

    def rules(self) -> dict[str, object]:
        """Return what differs: every step has cells of every block, validation by the bound."""
        return {"steps": self.steps, "held_out_loss": self.held_out_loss}

    def divided(self, blocks: list[Block], size: int) -> Steps:
        """Yield the minibatches of each step of an epoch."""
        return training.some_of_each(blocks, size)

    def steps(self, blocks: list[Block], size: int) -> Steps:
        """Yield the minibatches of each step, which draws the features' embeddings anew."""
        for minibatches in self.divided(blocks, size):
            self._drawn = None
            yield minibatches

    def decoded(self, z: Tensor, target: str, batch: Tensor | None = None) -> Tensor:
        """Return the expected values of a modality given z, by default in the mean batch."""
        if batch is None:
            batch = torch.full((len(z), self.batch_count), 1 / self.batch_count, device=z.device)
        return self.decoders[target].expected(z, self._embeddings(target), batch)

    @torch.no_grad()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the expected values of `target` in the cells' batches, (cells, features)."""
        return self.computed(
            lambda x: self.decoded(self.posterior(x).mean, target, self.batch_weights(x)), cells
        )

    def computed(self, function: Callable[[Minibatch], Tensor], cells: Cells) -> np.ndarray:
        """Return function(minibatch with batches) of all `cells`, (cells, ...)."""
        return by_pieces(function, cells, training.device(), batches=self.batches)

    def sampled(self, z: Tensor, target: str, columns: Tensor, x: Minibatch) -> Tensor:
        """Return a draw of measured values in the cells' batches given z, (cells, columns)."""
        batch = self.batch_weights(x)
        return self.decoders[target].drawn(z, self._embeddings(target), batch, columns)

    def drawn(self, cells: int) -> dict[str, Tensor]:
        """Return draws of the mixture prior, the same for all decoders."""
        return dict.fromkeys(self.decoders, self.prior.drawn(cells))

    def _embeddings(self, modality: str) -> Tensor:
        return self.graph().mean[self.graph.places[modality]]

    def _opponents(self, train: Split) -> Opponents | None:
        self.patterns = [()]
        if self.discriminator_tells != "batch":
            subsets = [self.subsets(block.modalities) for block in train.blocks]
            self.patterns = sorted(set().union(*subsets))
        origins = len(self.patterns) * self.batch_count
        if self.discriminator_weight == 0 or origins < 2:
            return None
        discriminator = Discriminator(self.latent, self.discriminator_hidden, origins)
        return Opponents(
            nn.ModuleDict({"origin": discriminator}).to(training.device()),
            self._examples,
            {"origin": self.discriminator_learning_rate},
            self.discriminator_steps,
        )

    def _examples(self, minibatches: Sequence[Minibatch], progress: float) -> Examples:
        latents, origins = [], []
        for x in minibatches:
            for subset in self.subsets(tuple(x)):
                encoded = x.only(*subset)
                latents.append(self.posterior(encoded).mean)
                origins.append(self.origin(encoded))
        return {"origin": (torch.cat(latents), torch.cat(origins))}


@dataclass(kw_only=True)
class SemiSupervisedMMAAVI(MMAAVI):
    """Semi-supervised: the components of the mixture are the cell types, known of few cells.

    loss = mmaavi's, with the known type y for c, without kl_c, and - label_weight log q(c = y | z)

    Attributes
    ----------
    components
        C; None for as many as there are known cell types.
    label_weight
        Weight of -log q(c = y | z) of labelled cells.
    labelled_fraction
        Least fraction of labelled cells in every step.
    group_means
        Whether the divergences of labelled and of unlabelled cells, and the labels' loss, are means
        over their own group, as in the original, or over all cells of a step.
    """

    components: Annotated[int, "at least 1"] | None = None
    label_weight: Annotated[float, "at least 0", {"float": [2.0, 200.0], "log": True}] = 20.0
    labelled_fraction: Annotated[float, "at least 0 and at most 1"] = 0.2
    group_means: bool = True

    def divergence(self, x: Minibatch, q: Normal, z: Tensor) -> Loss:
        """Return the divergence from the mixture prior."""
        loss = self.prior.divergence(q, z, x.labels)
        if not self.group_means:
            return loss
        of_labelled = self._of_labelled
        of_others = max(1 - of_labelled, 1e-6)
        return loss * torch.where(x.labels >= 0, 1 / of_labelled, 1 / of_others)  # (cells,)

    def nll_of(self, x: Minibatch, z: Tensor, v: Tensor) -> Loss:
        """Return the negative log-likelihood of what was measured, and of the known labels."""
        logits = self.prior.classifier(z)
        nll = cross_entropy(logits, x.labels, reduction="none", ignore_index=-1)  # (cells,)
        weight = self.label_weight / self._of_labelled if self.group_means else self.label_weight
        return super().nll_of(x, z, v) + Loss(nll_label=weight * nll)

    def component_count(self, train: Split) -> int:
        """Return the number of known cell types, or of components if that is larger."""
        self.cell_types = np.array(train.cell_types, dtype=object)
        return max(len(train.cell_types), self.components or 0)

    # --- the method's contract ---

    def build(self, train: Split) -> None:
        """Make the networks, and compute the fraction of labelled cells in a step."""
        if not train.cell_types:
            raise NotApplicable("a semi-supervised method needs train cells with a known cell type")
        super().build(train)
        self._labelled = [np.asarray(block.labels != "", dtype=bool) for block in train.blocks]
        self._of_labelled = max(self.labelled_fraction, np.concatenate(self._labelled).mean())

    def divided(self, blocks: list[Block], size: int) -> Steps:
        """Yield the minibatches of each step: labelled cells are a fixed fraction of it."""
        return training.with_labelled(blocks, size, self._labelled, self.labelled_fraction)

    @torch.no_grad()
    def predict(self, cells: Cells) -> np.ndarray:
        """Return the most probable known cell type of each cell, (cells,)."""

        def logits(x: Minibatch) -> Tensor:
            return self.prior.classifier(self.posterior(x).mean)

        of_types = by_pieces(logits, cells, training.device())[:, : len(self.cell_types)]
        return self.cell_types[of_types.argmax(1)]
