"""Supervision: the shared latent must also tell the cell's type, where it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mosaicbench.contract import Split
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Minibatch


@dataclass(kw_only=True)
class Supervised:
    """Adds to a shared/private VAE p(y | s), a linear decoder of the label; a cell without a label does not pay.

    Attributes
    ----------
    label_weight
        Weight of -log p(y | s) beside the modalities' log-likelihoods.
    """

    label_weight: Annotated[float, "at least 0", {"float": [10.0, 1000.0], "log": True}] = 100.0

    def build(self, train: Split) -> None:
        """Make the networks, and the label's decoder among them."""
        super().build(train)
        if not train.cell_types:
            raise ValueError(
                "a supervised method needs cells with a known cell type, and none of the train cells has one"
            )
        self.label_decoder = nn.Linear(self.latent, len(train.cell_types))

    def nll_label(self, x: Minibatch, shared: Tensor) -> Loss:
        """Return the weighted cross-entropy of the cells' labels given the shared latent, 0 where the label is unknown."""
        nll = cross_entropy(
            self.label_decoder(shared), x.labels, reduction="none", ignore_index=-1
        )  # (cells,)
        return Loss(nll_label=self.label_weight * nll)
