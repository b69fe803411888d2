"""Matilda: one VAE of all modalities together; its latent also predicts the cell type.

    loss = 0.9 (|x - decode(z)|^2 + KL(q(z | x) || N(0, I)) / features)
           + 0.1 smoothed cross-entropy of the type given z

A first model simulates cells of rare types; a second learns from equally many cells of each type.
Reference: Liu et al. 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Annotated

import numpy as np
import torch

from mosaicbench.contract import Cells, History, Split
from mosaicbench.errors import Diverged, NotApplicable
from mosaicbench.methods._pairs import paired_cells
from mosaicbench.peers._package import apart, by_name, log2_at, need
from mosaicbench.peers._scvi import inferring, piecewise

CARD = {
    "label": "Matilda",
    "kind": "model",
    "paper": "Liu et al. 2023",
    "doi": "10.1093/nar/gkad157",
    "scenarios": ("paired", "mosaic"),
    "inputs": ("pairs", "labels", "counts"),
    "outputs": ("joint",),
    "wraps": {
        "package": "matilda-sc",
        "module": "matilda",
        "version": "0.2.1",
        "licence": "Apache-2.0",
    },
    "environment": "matilda",
    "summary": "The package's VAE of RNA with proteins, peaks or both, which also classifies. It learns from cells that have "
    "all modalities and a type; simulated cells fill up rare types. A joint latent: nothing from one modality alone.",
    "deviates": "The package divides a cell's total by the mean over the cells of the call; here it is the train cells' mean, "
    "so that a query cell does not depend on the others. Latents are the posterior's mean; the package draws from it. Features "
    "are the split's, and ATAC is read as counts of peaks: the documentation sums them to genes. Train cells without counts in "
    "a modality are left out. A minibatch is larger by a cell or two if one cell would be left over: the package fails with "
    "one.",
    "space": ("latent", "learning_rate"),
}

NAMES = {"rna": "lognorm", "adt": "clr", "atac": "lsi"}  # the package's name -> kind
HIDDEN = {"rna": 185, "adt": 30, "atac": 185}  # widths of the networks
BATCH_SIZE = 64


@dataclass(kw_only=True)
class Matilda:
    """The package's defaults.

    Attributes
    ----------
    latent
        Dimensions of z.
    passes
        Epochs of the first model and of the second; the second half of the latter has a tenth of
        the rate.
    learning_rate
        Of Adam.
    """

    latent: Annotated[int, "at least 1", {"int": [20, 200], "log": True}] = 100
    passes: Annotated[int, "at least 2"] = 30
    learning_rate: Annotated[float, "above 0", {"float": [0.002, 0.05], "log": True}] = 0.02

    def fit(self, train: Split, seed: int) -> History:
        """Train on the cells that have all modalities and a type; the package keeps no history."""
        need(CARD, counts_of=train)
        self.order = by_name(train, NAMES)
        if "rna" not in self.order or len(self.order) < 2:
            raise NotApplicable("Matilda needs counts of RNA, and of proteins, ATAC or both")
        cells = _typed(paired_cells(train, *self.order.values()))
        types, codes, sizes = np.unique(
            cells.labels.astype(str), return_inverse=True, return_counts=True
        )
        if len(types) < 2:
            raise NotApplicable("Matilda needs cells of at least two types with all modalities")
        counts = {name: cells.counts[m] for name, m in self.order.items()}
        self.level = {name: float(x.sum() / len(cells)) for name, x in counts.items()}
        hidden = {f"hidden_{name}": HIDDEN[name] for name in counts}
        features = {f"nfeatures_{name}": x.shape[1] for name, x in counts.items()}
        with apart(seed, silent=True):
            import matilda
            from anndata import AnnData
            from matilda.learn import model as networks

            trained = matilda.train(
                **{name: AnnData(x.astype(np.float32)) for name, x in counts.items()},
                **hidden,
                labels=[f"type {code:06}" for code in codes],
                z_dim=self.latent,
                epochs=self.passes,
                batch_size=_minibatch(sizes),
                lr=self.learning_rate,
                seed=seed,
                out_dir="matilda",
            )
            weights = torch.load(trained.model_path, weights_only=True)["state_dict"]
            network = getattr(networks, f"CiteAutoencoder_{trained.mode}")
            self.model = network(**features, **hidden, z_dim=self.latent, classify_dim=len(types))
            self.model.load_state_dict(weights)
        if not all(torch.isfinite(weight).all() for weight in weights.values()):
            raise Diverged("a weight was not finite")
        self.model.eval()
        return []

    @inferring()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior means given all modalities, (cells, latent)."""
        if set(cells.modalities) != set(self.order.values()):
            raise NotApplicable("Matilda embeds cells in which all modalities were measured")

        def mean(few: Cells) -> torch.Tensor:
            x = np.concatenate([self._read(few, name) for name in self.order], axis=1)
            return self.model(torch.as_tensor(x))[2]

        return piecewise(mean, cells)

    def _read(self, cells: Cells, name: str) -> np.ndarray:
        x = log2_at(self.level[name], cells.counts[self.order[name]])
        spread = x.std(1, ddof=1, keepdims=True)
        return ((x - x.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1)).astype(np.float32)


def _typed(cells: Cells) -> Cells:
    if cells.labels is None:
        raise NotApplicable("Matilda learns from cell types; the train cells have no labels")
    counted = [np.asarray(x.sum(1)).ravel() > 0 for x in cells.counts.values()]
    return cells.take(np.flatnonzero(np.all([cells.labels != "", *counted], axis=0)))


def _minibatch(sizes: np.ndarray) -> int:
    """Return the smallest size, at least the package's, whose last minibatch has several cells.

    The second model learns from as many cells of each type as the type of middle size has. `sizes`:
    cells of each type.
    """
    middle = int(np.sort(sizes)[(len(sizes) - 1) // 2])
    balanced = middle * (1 + int((sizes != middle).sum()))
    return next(
        size for size in count(BATCH_SIZE) if sizes.sum() % size != 1 and balanced % size != 1
    )
