"""MIDAS: a product of experts of modalities and batch, with a biological and a technical latent.

    q(c, u | x, s) = p(c, u) q(c, u | s) prod over measured m of q(c, u | x_m)
    counts ~ Poisson,   peak open ~ Bernoulli

A cell's experts are drawn to each other. The model opposes discriminators that guess the batch from
the biological c. Reference: He et al. 2024.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from mosaicbench.contract import Cells, History, Split
from mosaicbench.models.likelihoods import expected_lsi, expected_values
from mosaicbench.models.training import device, seeded
from mosaicbench.peers._package import apart, by_name, history, need, table
from mosaicbench.peers._scvi import (
    batches_with,
    code_of,
    dense,
    inferring,
    measured,
    median_total,
    negative_binomial,
    piecewise,
)

CARD = {
    "label": "MIDAS",
    "kind": "model",
    "paper": "He et al. 2024",
    "doi": "10.1038/s41587-023-02040-y",
    "scenarios": ("paired", "mosaic"),
    "inputs": ("pairs", "counts"),
    "wraps": {"package": "scmidas", "module": "scmidas", "version": "0.3.0", "licence": "MIT"},
    "environment": "midas",
    "summary": "A product of experts of counts of RNA, proteins and open peaks, by scmidas, with a biological latent, which is "
    "scored, and a technical one. Embeds and imputes from any subset.",
    "deviates": "As in the package, the measured modalities of a cell are part of its batch. A query cell is read with the code "
    "of its batch with exactly its observed modalities, else of the largest with more; a cell of a batch without train cells is "
    "read without a code, as one minibatch in ten is in training. The package encodes ATAC by chromosome, which a split does not "
    "have: 23 runs of consecutive peaks replace them. Imputed values are expected from the decoded rates, those of RNA scaled "
    "to the median total.",
    "space": ("biological", "learning_rate"),
}

NAMES = {"rna": "lognorm", "adt": "clr", "atac": "lsi"}  # the package's name -> kind
RUNS = 23  # of consecutive peaks, each with an encoder before that of ATAC
POISSON = 1e6  # inverse dispersion from which on a negative binomial is a Poisson distribution


@dataclass(kw_only=True)
class Midas:
    """The package's defaults, with the epochs of its documentation; it does not stop early.

    Attributes
    ----------
    biological
        Dimensions of c; u has 2.
    epochs
        In each, every batch gives as many minibatches as the largest fills. At first c depends on the
        batch: FOSCTTM after a few epochs is too good.
    learning_rate
        Of AdamW, for the model and for the discriminators.
    """

    biological: Annotated[int, "at least 1", {"int": [16, 64], "log": True}] = 32
    epochs: Annotated[int, "at least 1"] = 2000
    learning_rate: Annotated[float, "above 0", {"float": [3e-05, 0.0003], "log": True}] = 1e-4

    def fit(self, train: Split, seed: int) -> History:
        """Train on all cells, whatever was measured in them."""
        need(CARD, counts_of=train)
        self.layers = {m: layer for layer, m in by_name(train, NAMES).items()}
        self.normalizations, losses = train.normalizations, []
        with apart(seed), seeded(seed):
            from lightning.pytorch.callbacks import LambdaCallback
            from scmidas import MIDAS, load_config

            def keep(trainer: object, module: object) -> None:
                losses.append(trainer.callback_metrics["loss/net"].item())

            data = self._data(train)
            MIDAS.setup_mudata(data, batch_key="batch", dims_x=self._widths())
            config = load_config() | {
                "num_workers": 0,
                "persistent_workers": False,
                "pin_memory": False,
                "dim_c": self.biological,
                "lr_net": self.learning_rate,
                "lr_dsc": self.learning_rate,
            }
            model = MIDAS(data, configs=config, batch_size=256)
            model.train(
                max_epochs=self.epochs,
                accelerator=device().type,
                devices=1,
                callbacks=[LambdaCallback(on_train_epoch_end=keep)],
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
        rows, sizes = history(loss=losses), Counter()
        codes = {str(name): i for i, name in enumerate(model.batch_names)}
        for block in train.blocks:
            sizes.update((str(name), block.modalities) for name in block.batches)
        self.groups = {}  # batch -> groups of cells, from the largest on, as of `code_of`
        for (name, modalities), _ in sizes.most_common():
            group = frozenset(modalities), codes[f"{name}{measured(modalities)}"]
            self.groups.setdefault(name, []).append(group)
        self.net = model.net.to(device()).eval()
        return rows

    @inferring()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior means of c given what was measured, (cells, biological)."""
        return _by_batch(lambda few: self._decoded(few)[2][:, : self.biological], cells)

    @inferring()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the expected values of `target`, (cells, features), standardised."""
        layer = self.layers[target]
        return _by_batch(lambda few: self._expected(self._decoded(few)[0][layer], target), cells)

    def _data(self, train: Split):
        from mudata import MuData

        tables = {}
        for modality, layer in self.layers.items():
            cells = train.observing(modality)
            batch = batches_with([block for block in train.blocks if modality in block.values])
            x = cells.counts[modality].astype(np.float32)
            tables[layer] = table(x, cells.names, layer, batch=batch)
        return MuData(tables)

    def _widths(self) -> dict[str, list[int]]:
        widths = {}
        for modality, layer in self.layers.items():
            features = np.arange(len(self.normalizations[modality].fraction))
            widths[layer] = list(map(len, np.array_split(features, RUNS if layer == "atac" else 1)))
        return widths

    def _decoded(self, cells: Cells) -> tuple:
        """Return the network's outputs for cells of one batch: decoded values, _, means of (c, u)."""
        x = {}
        for modality in cells.modalities:
            layer, counts = self.layers[modality], dense(cells.counts[modality]).to(device())
            x[layer] = (counts > 0).float() if layer == "atac" else counts
        inputs, groups = {"x": x, "e": {}}, self.groups.get(str(cells.batches[0]), [])
        code = code_of(groups, frozenset(cells.modalities))
        if code is not None:
            inputs["s"] = {"joint": torch.full((len(cells), 1), code, device=device())}
        return self.net(inputs)

    def _expected(self, decoded: Tensor, target: str) -> Tensor:
        normalization = self.normalizations[target]
        if normalization.kind == "lsi":
            return expected_lsi(decoded, normalization)
        if normalization.kind == "lognorm":
            rate = torch.softmax(decoded, -1) * median_total(normalization)
        else:
            rate = decoded.exp()
        poisson = negative_binomial(rate, torch.tensor(POISSON, device=rate.device))
        return expected_values(poisson, normalization)


def _by_batch(function: Callable[[Cells], Tensor], cells: Cells) -> np.ndarray:
    batches = cells.batches.astype(str)
    rows = [np.flatnonzero(batches == name) for name in np.unique(batches)]
    parts = [piecewise(function, cells.take(of_batch)) for of_batch in rows]
    return np.concatenate(parts)[np.argsort(np.concatenate(rows))]
