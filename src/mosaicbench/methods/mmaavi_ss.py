"""Semi-supervised mmAAVI: the components of the mixture are the cell types, known of few cells and inferred of all others.

cost = mmaavi's, in which the type y stands in the place of c where it is known, and kl_c is not paid;
       - label_weight log q(c = y | z) there
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import cross_entropy

from mosaicbench.methods.mmaavi import MMAAVI
from mosaicbench.modeling import training
from mosaicbench.modeling.costs import Cost
from mosaicbench.modeling.minibatch import Block, Minibatch, by_pieces
from mosaicbench.modeling.training import labelled_cells, with_labelled
from mosaicbench.view import Cells, View

CARD = {
    "label": "mmAAVI semi-supervised",
    "kind": "model",
    "paper": "Lu et al. 2024",
    "doi": "10.1093/bib/bbae540",
    "handles": ("paired", "mosaic", "unpaired"),
    "uses": ("pairs", "links", "labels"),
    "gives": ("joint", "single", "impute", "draws", "labels"),
    "claims": ("aligns", "imputes", "generates", "random"),
    "paths": ("all -> each", "graph of links", "critic of batches", "types"),
    "advice": "As mmaavi, where few cells have types and those of the others are wanted: compare "
    "config/studies/label_scarcity.yaml.",
    "summary": "mmAAVI whose mixture components are the cell types: it learns them from few labelled cells, and predicts them.",
    "deviates": "As for mmaavi. Labelled cells are a fixed share of every step. "
    "A cell's type is the most probable component given the mean of its latent.",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "learning_rate": {"float": [0.0003, 0.003], "log": True},
        "beta": {"float": [0.03, 10.0], "log": True},
        "dropout": {"float": [0.0, 0.5]},
        "modality_dropout": {"float": [0.2, 0.8]},
        "critic_weight": {"float": [0.1, 10.0], "log": True},
        "label_weight": {"float": [2.0, 200.0], "log": True},
    },
}


@dataclass(kw_only=True)
class SemiSupervisedMMAAVI(MMAAVI):
    """mmAAVI, and component -> label.

    Attributes
    ----------
    components
        C; None for as many as there are known cell types. Further ones are for types that no label names.
    label_weight
        Weight of -log q(c = y | z) of labelled cells.
    labelled_share
        Of the cells of every step, at least.
    group_means
        Whether the divergences of labelled and of unlabelled cells, and the labels' cost, are means over their own group, which
        are added, as in the original; else all are means over all cells of a step.
    """

    components: Annotated[int, "at least 1"] | None = None
    label_weight: Annotated[float, "at least 0"] = 20.0
    labelled_share: Annotated[float, "at least 0 and at most 1"] = 0.2
    group_means: bool = True

    def divergence(self, x: Minibatch, q: Normal, z: Tensor) -> Cost:
        """Return the divergence from the mixture prior."""
        cost = self.prior.divergence(q, z, x.labels)
        if not self.group_means:
            return cost
        weight = torch.where(
            x.labels >= 0, 1 / self._labelled_cells, 1 / max(1 - self._labelled_cells, 1e-6)
        )  # (cells,)
        return Cost({name: weight * nats for name, nats in cost.items()})

    def nll_of(self, x: Minibatch, z: Tensor, v: Tensor) -> Cost:
        """Return the negative log-likelihood of what was measured, and of the labels: 0 where there is none."""
        nll = cross_entropy(
            self.prior.classifier(z), x.labels, reduction="none", ignore_index=-1
        )  # (cells,)
        weight = self.label_weight / self._labelled_cells if self.group_means else self.label_weight
        return super().nll_of(x, z, v) + Cost(nll_label=weight * nll)

    def component_count(self, train: View) -> int:
        """Return the number of known cell types, or more where more components are asked for."""
        self.cell_types = np.array(train.cell_types, dtype=object)
        return max(len(train.cell_types), 0 if self.components is None else self.components)

    # --- the method's contract ---

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Train on `train` and return the history."""
        self._labelled = labelled_cells(train)
        return super().fit(train, seed)

    def build(self, train: View) -> None:
        """Make the networks, and find which share of a step labelled cells are."""
        super().build(train)
        known = np.concatenate(
            [block.labels != "" for block in train.blocks if block.labels is not None] or [[]]
        )
        self._labelled_cells = max(self.labelled_share, known.mean() if len(known) else 0.0)

    def divided(self, blocks: list[Block], size: int) -> Iterator[Sequence[Minibatch]]:
        """Yield the minibatches of each step: labelled cells are a fixed share of it."""
        return with_labelled(self._labelled, self.labelled_share)(blocks, size)

    @torch.no_grad()
    def predict(self, cells: Cells) -> np.ndarray:
        """Return the most probable known cell type of each cell, (cells,)."""
        logits = by_pieces(
            lambda x: self.prior.classifier(self.posterior(x).mean), cells, training.device()
        )
        return self.cell_types[logits[:, : len(self.cell_types)].argmax(1)]
