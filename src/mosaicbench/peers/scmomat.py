"""scMoMaT: a modality's matrix is a product of cell factors, an association and feature factors.

    x_m ~ scale softmax(C) (A + A_m,batch) softmax(F_m)' + b_cell + b_feature,    A >= 0

Cell factors C are common to all modalities of a cell, feature factors F_m to all batches; values
that were not measured have no term. Reference: Zhang et al. 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Annotated

import numpy as np

from mosaicbench.contract import Cells, History, Split
from mosaicbench.errors import Diverged, NotApplicable
from mosaicbench.models.training import device
from mosaicbench.peers._package import apart, lsi_of, need

CARD = {
    "label": "scMoMaT",
    "kind": "baseline",
    "paper": "Zhang et al. 2023",
    "doi": "10.1038/s41467-023-36066-2",
    "scenarios": ("paired", "mosaic"),
    "inputs": ("pairs", "counts"),
    "wraps": {"package": "scmomat", "module": "scmomat", "version": "0.2.2", "licence": "MIT"},
    "summary": "Tri-factorisation of all modalities' matrices with common cell factors, by scmomat. The factors are scored.",
    "deviates": "The package embeds only the cells that it was run on. Here the factors of any cell, also of a train cell, are "
    "those that reconstruct it best with all else held and the association that is common to all batches. The neighbour graph "
    "in which the package then corrects for batches is not a latent, and is left out. As in the package, peaks are binary and "
    "other counts become ranks within their feature, here among all train cells instead of those of a batch. A batch of fewer "
    "than 50 cells joins the largest with the same modalities measured.",
    "space": ("factors", "association"),
}

SMALLEST = 50  # cells of a batch; the package needs at least 10
STEPS = 300  # of the projected gradient for a cell's factors


@dataclass(kw_only=True)
class ScMoMaT:
    """The options that the package's description recommends.

    Attributes
    ----------
    factors
        Dimensions of the latent, the package's K; it advises 20 to 30.
    iterations
        Of the package's training; each uses a tenth of the cells and features.
    association
        Weight of the batch's part in the factors' association, the package's lambda.
    """

    factors: Annotated[int, "at least 2", {"int": [15, 40], "log": True}] = 30
    iterations: Annotated[int, "at least 1"] = 4000
    association: Annotated[float, "at least 0", {"float": [0.0003, 0.01], "log": True}] = 1e-3

    def fit(self, train: Split, seed: int) -> History:
        """Factorise the counts of all train cells."""
        need(CARD, counts_of=train)
        ranked = set(train.modalities) - lsi_of(train)
        self.ordered, self.quantiles = {}, {}
        for m in ranked:
            self.ordered[m] = np.sort(train.observing(m).counts[m].toarray(), axis=0)
            quantiles = np.log1p(self.ordered[m]).mean(axis=1, dtype=np.float64)
            self.quantiles[m] = quantiles / max(quantiles.max(), 1e-12)
        batches = list(chain.from_iterable(map(_by_batch, train.blocks)))
        if min(map(len, batches)) < 10:
            raise NotApplicable("scMoMaT needs at least 10 cells of every set of modalities")
        interval = max(1, self.iterations // 40)
        with apart(seed):
            from scmomat import scmomat_model

            counts = {
                m: [self._prepared(x, m) if m in x.values else None for x in batches]
                for m in train.modalities
            }
            model = scmomat_model(
                counts | {"nbatches": len(batches)},
                K=self.factors,
                interval=interval,
                lamb=self.association,
                seed=seed,
                device=device(),
            )
            losses = model.train_func(T=self.iterations)
        if not np.isfinite(losses).all():
            raise Diverged("the loss of scMoMaT is not finite")
        self.bases, self.offsets = {}, {}
        shared = model.A_assos["shared"].detach()
        for m in train.modalities:
            having = [number for number, x in enumerate(batches) if m in x.values]
            sizes = np.array([len(batches[number]) for number in having], dtype=np.float64)
            scale = np.average([float(model.scales[m][i]) for i in having], weights=sizes)
            basis = scale * shared @ model.softmax(model.C_feats[m].detach()).T
            self.bases[m] = basis.cpu().numpy().astype(np.float64)  # (factors, features)
            offsets = [model.b_feats[m][i].cpu().numpy().ravel() for i in having]
            self.offsets[m] = np.average(offsets, axis=0, weights=sizes)  # (features,)
        steps = sorted({1, *range(interval, self.iterations + 1, interval)})
        return [
            {"epoch": step, "loss": float(loss)} for step, loss in zip(steps, losses, strict=True)
        ]

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the factors that best reconstruct each cell, (cells, factors), with mean 1.

        The package's sum to 1.
        """
        factors = self.factors
        quadratic, linear = np.zeros((factors, factors)), np.zeros((len(cells), factors))
        for m in cells.modalities:
            # centred: the offset of the cell drops out
            basis = self.bases[m] - self.bases[m].mean(axis=1, keepdims=True)
            x = self._prepared(cells, m) - self.offsets[m]
            quadratic += basis @ basis.T / basis.shape[1]
            linear += x @ basis.T / basis.shape[1]
        return (factors * _on_simplex(quadratic, linear)).astype(np.float32)

    def _prepared(self, cells: Cells, modality: str) -> np.ndarray:
        x = cells.counts[modality].toarray()
        if modality not in self.ordered:
            return (x > 0).astype(np.float64)
        ranks = np.empty(x.shape, dtype=np.int64)
        for feature, ordered in enumerate(self.ordered[modality].T):
            below = np.searchsorted(ordered, x[:, feature], "left")
            up_to = np.searchsorted(ordered, x[:, feature], "right")
            ranks[:, feature] = (below + up_to + 1) // 2 - 1  # ties take their mean rank
        quantiles = self.quantiles[modality]
        return quantiles[np.clip(ranks, 0, len(quantiles) - 1)]


def _by_batch(block: Cells) -> list[Cells]:
    batches = block.batches.astype(str)
    names, sizes = np.unique(batches, return_counts=True)
    largest = names[sizes.argmax()]
    kept = names[sizes >= SMALLEST] if sizes.max() >= SMALLEST else [largest]
    joined = np.where(np.isin(batches, kept), batches, largest)
    return [block.take(joined == name) for name in kept]


def _on_simplex(quadratic: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """Return the z >= 0 with sum 1 that minimises z Q z' / 2 - l z', for each row l of `linear`."""
    step = 1 / max(np.linalg.eigvalsh(quadratic)[-1], 1e-12)
    z = ahead = np.full(linear.shape, 1 / linear.shape[1])
    momentum = 1.0
    for _ in range(STEPS):
        following = _projected(ahead - step * (ahead @ quadratic - linear))
        gained = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = following + (momentum - 1) / gained * (following - z)
        z, momentum = following, gained
    return z


def _projected(x: np.ndarray) -> np.ndarray:
    falling = -np.sort(-x, axis=1)
    excess = (np.cumsum(falling, axis=1) - 1) / np.arange(1, x.shape[1] + 1)
    used = (falling > excess).sum(axis=1)
    return np.maximum(x - excess[np.arange(len(x)), used - 1][:, None], 0)
