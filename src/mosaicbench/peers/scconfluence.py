"""scConfluence: an autoencoder per modality, latents aligned by transport between linked features.

    loss = NLL of each + w_transport <P, |z_a - z_b|> + w_sinkhorn S(z_a, z_b)
    P = partial transport by linked features

S is an unbalanced Sinkhorn divergence. Reference: Samaran et al. 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from mosaicbench.contract import Cells, History, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models.likelihoods import expected_lsi, expected_of_mixture
from mosaicbench.models.linked import linked, one_modality_each
from mosaicbench.models.training import device
from mosaicbench.peers._package import (
    apart,
    history,
    log_normalised,
    need,
    pca,
    table,
)
from mosaicbench.peers._scvi import (
    Batches,
    Blockwise,
    all_of,
    median_total,
    negative_binomial,
    standardised,
)

CARD = {
    "label": "scConfluence",
    "kind": "model",
    "paper": "Samaran et al. 2024",
    "doi": "10.1038/s41467-024-51382-x",
    "scenarios": ("unpaired",),
    "inputs": ("links", "counts"),
    "wraps": {
        "package": "scconfluence",
        "module": "scconfluence",
        "version": "0.1.1",
        "licence": "GPL-3.0",
    },
    "environment": "scconfluence",
    "summary": "The package's autoencoders, one per modality, aligned by partial optimal transport of linked features and a "
    "Sinkhorn divergence. Imputes by the decoder of the other modality. Two modalities: of three, the package aligns one pair.",
    "deviates": "Decoded peaks are TF-IDF: a decoded value over the peak's mean in cells in which it is open is read as its "
    "chance to be open. A batch without train cells is read as the largest. Minibatches are a little smaller if the last would "
    "be too small for the package. It is installed without the packages that its metadata asks for: one has no build for "
    "Python 3.11.",
    "space": ("latent", "transport", "sinkhorn", "reach"),
}

COMPONENTS = 100  # most principal components of RNA and of ATAC that the encoders read
BATCH_SIZE = 512  # both modalities' cells share a minibatch
LEAST = 16  # cells in a minibatch: fewer may all be of one modality, and the package fails
# kind of a normalization -> options of its autoencoder in the package's tutorials
OPTIONS = {
    "lognorm": {"rep_in": "read", "rep_out": "counts", "type_loss": "zinb", "n_hidden": 64},
    "lsi": {"rep_in": "read", "type_loss": "l2", "n_hidden": 64, "reconstruction_weight": 5.0},
    "clr": {"type_loss": "l2", "n_hidden": 32},
}


@dataclass(kw_only=True)
class ScConfluence(Blockwise):
    """The package's defaults, and the inputs of its tutorials.

    Attributes
    ----------
    latent
        Most dimensions of z.
    reach
        Distance from which the Sinkhorn divergence drops mass instead of moving it.
    transport, sinkhorn
        Weights of the transport's loss and of the divergence.
    epochs
        Most epochs; it stops after 40 without a lower loss of the validation cells.
    """

    latent: Annotated[int, "at least 1", {"int": [8, 64], "log": True}] = 16
    reach: Annotated[float, "above 0", {"float": [0.1, 5.0], "log": True}] = 0.3
    transport: Annotated[float, "at least 0", {"float": [0.005, 0.1], "log": True}] = 0.01
    sinkhorn: Annotated[float, "at least 0", {"float": [0.01, 0.5], "log": True}] = 0.1
    epochs: Annotated[int, "at least 1"] = 1000

    def fit(self, train: Split, seed: int) -> History:
        """Train on cells of one modality each."""
        need(CARD, counts_of=train)
        shown = one_modality_each(train, seed)
        if len(shown.modalities) != 2:
            raise NotApplicable(
                "scConfluence is for two modalities: of three, it aligns only a pair"
            )
        self.normalizations, features = train.normalizations, linked(shown, shown.modalities)
        cells = {modality: shown.observing(modality) for modality in shown.modalities}
        distance = cdist(*(features.of(x, m) for m, x in cells.items()), metric="correlation")
        self.idf, self.level, self.pca = {}, {}, {}
        for m, x in cells.items():
            self._learn_inputs(x, m, seed)
        losses: dict[str, list[float]] = {"loss": [], "validation_loss": []}
        with apart(seed):
            from mudata import MuData
            from scconfluence.model import ScConfluence as Package
            from scconfluence.unimodal import AutoEncoder

            class Recorder(Package):
                def on_train_epoch_end(self) -> None:
                    for column, part in zip(losses.values(), ("tr", "val"), strict=True):
                        column.append(self.trainer.callback_metrics[f"{part}_full_loss"].item())

            names = np.unique(all_of([*cells.values()], "batches").astype(str))
            tables, encoders = {m: self._table(x, m, names) for m, x in cells.items()}, {}
            widths = [min(x.n_vars, x.obsm["read"].shape[1]) for x in tables.values()]
            for m, x in tables.items():
                options = OPTIONS[self.normalizations[m].kind]
                latent = min(self.latent, *widths)
                encoders[m] = AutoEncoder(x, m, batch_key="batch", n_latent=latent, **options)
            data, key = MuData(tables), f"cross_{'+'.join(cells)}"
            data.uns |= {key: np.nan_to_num(distance, nan=1.0), "cross_keys": [key]}
            model = Recorder(
                data,
                encoders,
                reach=self.reach,
                iot_loss_weight=self.transport,
                sinkhorn_loss_weight=self.sinkhorn,
            )
            model.fit(
                "scconfluence",
                use_cuda=device().type == "cuda",
                batch_size=_batch_size([len(x) for x in cells.values()]),
                pin_memory=False,
                max_epochs=self.epochs,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
        rows = history(**losses)
        self.encoders, self.batches = model.aes.to(device()).eval(), {}
        for m, x in cells.items():
            codes = encoders[m].batch_dic
            coded = [str(names[number]) for number in sorted(codes, key=codes.get)]
            self.batches[m] = Batches(x.batches, coded)
        return rows

    def _learn_inputs(self, cells: Cells, modality: str, seed: int) -> None:
        kind = self.normalizations[modality].kind
        if kind == "lsi":
            times = np.maximum(np.asarray((cells.counts[modality] > 0).sum(0)).ravel(), 1)
            self.idf[modality] = np.log1p(len(cells) / times).astype(np.float32)
            level = self._values(cells, modality).sum(0) / times
            self.level[modality] = np.where(level > 0, level, 1)
        if kind != "clr":
            values = self._values(cells, modality)
            self.pca[modality] = pca(values, COMPONENTS, seed).fit(values)

    def _table(self, cells: Cells, modality: str, names: np.ndarray):
        numbers = np.searchsorted(names, cells.batches.astype(str))
        data = table(self._values(cells, modality), cells.names, modality, batch=numbers)
        data.obsm["read"] = self._read(cells, modality)
        data.layers["counts"] = cells.counts[modality].astype(np.float32)
        return data

    def _values(self, cells: Cells, modality: str) -> np.ndarray:
        if modality in self.idf:
            x = log_normalised(cells, modality) * self.idf[modality]
        else:
            normalization = self.normalizations[modality]
            x = cells.values[modality] * normalization.std + normalization.mean
        return x.astype(np.float32)

    def _read(self, cells: Cells, modality: str) -> np.ndarray:
        values = self._values(cells, modality)
        if modality not in self.pca:
            return values
        return self.pca[modality].transform(values).astype(np.float32)

    def _z(self, cells: Cells) -> Tensor:
        (modality,) = cells.modalities
        x = torch.as_tensor(self._read(cells, modality), device=device())
        batch = self.batches[modality].of(cells.batches).to(device())
        return self.encoders[modality].z_encoder(x, batch)[0]

    def _expected(self, cells: Cells, target: str) -> Tensor:
        z, normalization = self._z(cells), self.normalizations[target]
        total = torch.full((len(z), 1), median_total(normalization), device=z.device)
        batch = self.batches[target].of(cells.batches).to(z.device)
        decoded = self.encoders[target].generative(
            {"z": z, "library": total.log(), "batch_index": batch}
        )
        x = decoded["x_r"]
        if normalization.kind == "lognorm":
            measured = 1 - torch.sigmoid(decoded["x_dropout"])
            counts = negative_binomial(x, decoded["x_var"])
            return expected_of_mixture([(measured, counts)], normalization)
        if normalization.kind == "lsi":
            level = torch.as_tensor(self.level[target], dtype=x.dtype, device=x.device)
            return expected_lsi((x / level).clamp(0, 1), normalization)
        return standardised(x, normalization)


def _batch_size(cells: list[int]) -> int:
    held_out = sum(int(count * 0.2) for count in cells)  # as the package splits each modality
    parts = (sum(cells) - held_out, held_out)
    for size in range(BATCH_SIZE, LEAST, -1):
        if all(part % size == 0 or part % size >= LEAST for part in parts):
            return size
    return BATCH_SIZE
