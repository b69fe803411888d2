"""M3: a product of experts of all modalities and of the batch; an adversary finds no batch in z.

    loss = |x - decode(z)|^2 + 0.0001 KL(q(z | x, batch) || N(0, I)) + errors of batch and condition
           - w (error of a classifier of the batch from z without its part for the batch)

x are logarithms of scaled counts. Documentation: https://pyanglab.github.io/M3; it names no paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from mosaicbench.contract import Cells, History, Split
from mosaicbench.models.likelihoods import expected_values
from mosaicbench.peers._package import apart, by_name, log2_at, need, table
from mosaicbench.peers._scvi import (
    Batches,
    Blockwise,
    all_of,
    median_total,
    negative_binomial,
    side_by_side,
)
from mosaicbench.peers.midas import POISSON

CARD = {
    "label": "M3",
    "kind": "model",
    "scenarios": ("paired", "mosaic"),
    "inputs": ("pairs", "counts"),
    "wraps": {"package": "m3-sc", "module": "m3", "version": "0.3.1", "licence": "MIT"},
    "environment": "numpy1",
    "summary": "The package's first stage: a product of experts of the logarithms of counts, with a part of the latent for the "
    "batch, which is not scored. Learns from as many cells of each batch as the smallest has. Embeds and imputes from any subset.",
    "deviates": "All cells have one condition and one type: splits know no conditions, and types do not enter the loss. The "
    "package divides a cell's total by the mean over the cells of the call, here over the train cells. A batch without train "
    "cells is read as the largest. Decoded values, without the part for the batch, are read as means of Poisson counts. With the "
    "package's learning rate, a few thousand cells are hardly learned; a larger one helps. It fails if its last minibatch, of 256, "
    "has one cell.",
    "space": ("learning_rate",),
}

NAMES = {"Gene Expression": "lognorm", "Antibody Capture": "clr", "Peaks": "lsi"}  # to kind


@dataclass(kw_only=True)
class M3(Blockwise):
    """The package's defaults; its tutorials train 500 epochs.

    Attributes
    ----------
    passes
        Epochs of the model, each with three of the adversary.
    learning_rate
        Of AdamW.
    """

    passes: Annotated[int, "at least 1"] = 300
    learning_rate: Annotated[float, "above 0", {"float": [1e-05, 0.001], "log": True}] = 1e-5

    def fit(self, train: Split, seed: int) -> History:
        """Train on all cells, whatever was measured in them; the package keeps no history."""
        need(CARD, counts_of=train)
        order, self.normalizations = by_name(train, NAMES), train.normalizations
        blocks, names = train.blocks, all_of(train.blocks, "batches").astype(str)
        self.widths = {m: len(self.normalizations[m].fraction) for m in order.values()}
        self.levels = {m: train.observing(m).counts[m].sum() / len(names) for m in self.widths}
        x = [side_by_side(b, self.widths, lambda few, m: few.counts[m].toarray()) for b in blocks]
        with apart(seed, silent=True):
            import m3

            data = table(np.concatenate(x), all_of(blocks, "names"), "", batch=names, same="all")
            data.var["feature_types"] = np.repeat([*order], [*self.widths.values()])
            model = m3.M3(m3.from_anndata(data), condition_keys="same", celltype_key="same")
            model.train(max_epochs=self.passes, lr=self.learning_rate, seed=seed)
        self.model = model._generator.cpu().eval()
        self.batches = Batches(names, model.dataset.batches)
        return []

    def _mean(self, cells: Cells) -> Tensor:
        x = side_by_side(cells, self.widths, lambda few, m: log2_at(self.levels[m], few.counts[m]))
        experts = [m in cells.values for m in self.widths] + [True]  # the last is the batch's
        batch = self.batches.of(cells.batches)[:, 0]
        return self.model(torch.as_tensor(x), batch, torch.tensor([experts]))[8]

    def _z(self, cells: Cells) -> Tensor:
        return self._mean(cells)[:, :-2]

    def _expected(self, cells: Cells, target: str) -> Tensor:
        mean, normalization = self._mean(cells), self.normalizations[target]
        mean[:, -2:] = 0  # the part for the batch
        decoded = self.model.decoder.decoders[[*self.widths].index(target)](mean)
        scale = median_total(normalization) / self.levels[target]
        poisson = negative_binomial((2**decoded - 1).clamp_min(0) * scale, torch.tensor(POISSON))
        return expected_values(poisson, normalization)
