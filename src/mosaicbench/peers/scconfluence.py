"""scConfluence: an autoencoder per modality, latents aligned by transport between linked features.

    loss = NLL of each + w_transport <P, |z_a - z_b|> + w_sinkhorn S(z_a, z_b)
    P = partial transport by linked features

P moves a fraction `mass` of a minibatch's cells; S is an unbalanced Sinkhorn divergence. Reference:
Samaran et al. 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from mosaicbench.contract import Cells, History, Normalization, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models.likelihoods import expected_lsi, expected_of_mixture
from mosaicbench.models.linked import linked, one_modality_each
from mosaicbench.models.training import device
from mosaicbench.peers._package import apart, history, need, need_counts, pca
from mosaicbench.peers._scvi import (
    Batches,
    Blockwise,
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
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "transport": {"float": [0.005, 0.1], "log": True},
        "sinkhorn": {"float": [0.01, 0.5], "log": True},
        "reach": {"float": [0.1, 5.0], "log": True},
    },
}

LEAST = 16  # cells in a minibatch: fewer may all be of one modality, and the package fails
TARGET = 1e4  # counts of a cell before the logarithm, of peaks
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
        Dimensions of z; the package takes at most as many as a modality has features.
    mass
        Fraction of a minibatch's cells that is matched across modalities.
    reach
        Distance from which the Sinkhorn divergence drops mass instead of moving it.
    transport, sinkhorn
        Weights of the transport's loss and of the divergence.
    components
        Most principal components of RNA and of ATAC that the encoders read.
    epochs, patience
        Most epochs; epochs without a lower loss of the validation cells before training stops.
    batch_size, learning_rate
        Of AdamW; both modalities' cells share a minibatch.
    """

    latent: Annotated[int, "at least 1"] = 16
    mass: Annotated[float, "above 0 and at most 1"] = 0.5
    reach: Annotated[float, "above 0"] = 0.3
    transport: Annotated[float, "at least 0"] = 0.01
    sinkhorn: Annotated[float, "at least 0"] = 0.1
    components: Annotated[int, "at least 1"] = 100
    epochs: Annotated[int, "at least 1"] = 1000
    patience: Annotated[int, "at least 1"] = 40
    batch_size: Annotated[int, "at least 2"] = 512
    learning_rate: Annotated[float, "above 0"] = 3e-3

    def fit(self, train: Split, seed: int) -> History:
        """Train on cells of one modality each."""
        need(CARD["wraps"])
        shown = one_modality_each(train, seed)
        if len(shown.modalities) != 2:
            raise NotApplicable(
                "scConfluence is for two modalities: of three, it aligns only a pair"
            )
        need_counts(train, "scConfluence")
        self.normalizations, features = train.normalizations, linked(shown, shown.modalities)
        cells = {modality: shown.observing(modality) for modality in shown.modalities}
        self.readers = {
            m: _Reader(x, m, self.normalizations[m], self.components, seed)
            for m, x in cells.items()
        }
        distance = cdist(*(features.of(x, m) for m, x in cells.items()), metric="correlation")
        losses: dict[str, list[float]] = {"loss": [], "validation_loss": []}
        with apart(seed):
            from mudata import MuData
            from scconfluence.model import ScConfluence as Package
            from scconfluence.unimodal import AutoEncoder

            class Recorder(Package):
                def on_train_epoch_end(self) -> None:
                    for column, part in zip(losses.values(), ("tr", "val"), strict=True):
                        column.append(self.trainer.callback_metrics[f"{part}_full_loss"].item())

            names = np.unique(np.concatenate([x.batches.astype(str) for x in cells.values()]))
            tables = {m: self._table(x, m, names) for m, x in cells.items()}
            latent = self.latent
            for x in tables.values():
                latent = min(latent, x.n_vars, x.obsm["read"].shape[1])
            encoders = {
                m: AutoEncoder(
                    x,
                    m,
                    batch_key="batch",
                    n_latent=latent,
                    **OPTIONS[self.normalizations[m].kind],
                )
                for m, x in tables.items()
            }
            data, key = MuData(tables), f"cross_{'+'.join(cells)}"
            data.uns |= {key: np.nan_to_num(distance, nan=1.0), "cross_keys": [key]}
            model = Recorder(
                data,
                encoders,
                mass=self.mass,
                reach=self.reach,
                iot_loss_weight=self.transport,
                sinkhorn_loss_weight=self.sinkhorn,
            )
            model.fit(
                "scconfluence",
                use_cuda=device().type == "cuda",
                batch_size=self._batch_size([len(x) for x in cells.values()]),
                pin_memory=False,
                max_epochs=self.epochs,
                patience=self.patience,
                lr=self.learning_rate,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
        rows = history(**losses)
        self.encoders = model.aes.to(device()).eval()
        self.batches = {}
        for m, x in cells.items():
            codes = encoders[m].batch_dic
            coded = [str(names[number]) for number in sorted(codes, key=codes.get)]
            self.batches[m] = Batches(x.batches, coded)
        return rows

    def _expected(self, cells: Cells, target: str) -> Tensor:
        z = self._z(cells)
        total = torch.full((len(z), 1), median_total(self.normalizations[target]), device=z.device)
        batch = self.batches[target].of(cells.batches).to(z.device)
        decoded = self.encoders[target].generative(
            {"z": z, "library": total.log(), "batch_index": batch}
        )
        return self.readers[target].expected(decoded)

    def _z(self, cells: Cells) -> Tensor:
        (modality,) = cells.modalities
        x = torch.as_tensor(self.readers[modality].read(cells), device=device())
        batch = self.batches[modality].of(cells.batches).to(device())
        return self.encoders[modality].z_encoder(x, batch)[0]

    def _table(self, cells: Cells, modality: str, names: np.ndarray):
        """Return train cells as the package wants them; it keeps the order of numbered batches."""
        import pandas as pd
        from anndata import AnnData

        numbers = np.searchsorted(names, cells.batches.astype(str))
        rows = [f"{modality} {row}" for row in range(len(cells))]
        reader = self.readers[modality]
        data = AnnData(reader.values(cells), obs=pd.DataFrame({"batch": numbers}, index=rows))
        data.obsm["read"] = reader.read(cells)
        data.layers["counts"] = cells.counts[modality].astype(np.float32)
        return data

    def _batch_size(self, cells: list[int]) -> int:
        """Return the largest size of minibatches that leaves no small rest of cells."""
        held_out = sum(int(count * 0.2) for count in cells)  # as the package splits each modality
        parts = (sum(cells) - held_out, held_out)
        for size in range(self.batch_size, LEAST, -1):
            if all(part % size == 0 or part % size >= LEAST for part in parts):
                return size
        return self.batch_size


class _Reader:
    """Inputs and outputs of one modality's autoencoder, learned from the train cells."""

    def __init__(
        self, train: Cells, modality: str, normalization: Normalization, components: int, seed: int
    ):
        self.modality, self.normalization, self.pca = modality, normalization, None
        if normalization.kind == "lsi":
            times = np.maximum(np.asarray((train.counts[modality] > 0).sum(0)).ravel(), 1)
            self.idf = np.log1p(len(train) / times).astype(np.float32)
            self.level = self.values(train).sum(0) / times  # mean of a peak if it is open
        if normalization.kind != "clr":
            self.pca = pca(self.values(train), components, seed)

    def values(self, cells: Cells) -> np.ndarray:
        """Return TF-IDF of peaks, log-normalised RNA or CLR, (cells, counted features) float32."""
        if self.normalization.kind != "lsi":
            x = cells.values[self.modality] * self.normalization.std + self.normalization.mean
            return x.astype(np.float32)
        counts = cells.counts[self.modality].toarray()
        totals = np.maximum(cells.library_size[self.modality], 1)[:, None]
        return (np.log1p(TARGET * counts / totals) * self.idf).astype(np.float32)

    def read(self, cells: Cells) -> np.ndarray:
        """Return what the encoder reads, (cells, components or features)."""
        values = self.values(cells)
        return values if self.pca is None else self.pca.transform(values).astype(np.float32)

    def expected(self, decoded: dict[str, Tensor]) -> Tensor:
        """Return expected values given the decoder's output, (cells, features), standardised."""
        x, normalization = decoded["x_r"], self.normalization
        if normalization.kind == "lognorm":
            measured = 1 - torch.sigmoid(decoded["x_dropout"])
            counts = negative_binomial(x, decoded["x_var"])
            return expected_of_mixture([(measured, counts)], normalization)
        if normalization.kind == "lsi":
            level = torch.as_tensor(
                np.where(self.level > 0, self.level, 1), dtype=x.dtype, device=x.device
            )
            return expected_lsi((x / level).clamp(0, 1), normalization)
        return standardised(x, normalization)
