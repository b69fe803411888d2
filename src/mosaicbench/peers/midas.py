"""MIDAS: a product of experts of modalities and batch; its latent has a biology c and a technology u.

    q(c, u | x, s) = p(c, u) q(c, u | s) prod over measured m of q(c, u | x_m)
    counts ~ Poisson,   peak open ~ Bernoulli

A cell's experts are drawn to each other, which needs cells of several modalities. The model opposes
discriminators that guess the batch from c. Reference: He et al. 2024.
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
from mosaicbench.peers._package import apart, history, modalities_of, need, table
from mosaicbench.peers._scvi import (
    AT_ONCE,
    code_of,
    dense,
    inferring,
    median_total,
    negative_binomial,
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
    "space": {
        "biological": {"int": [16, 64], "log": True},
        "learning_rate": {"float": [3e-05, 0.0003], "log": True},
    },
}

NAMES = {"rna": "lognorm", "adt": "clr", "atac": "lsi"}  # the package's name -> kind
POISSON = 1e6  # inverse dispersion from which on a negative binomial is a Poisson distribution


@dataclass(kw_only=True)
class Midas:
    """The package's defaults, with the epochs of its documentation; it does not stop early.

    Attributes
    ----------
    biological, technical
        Dimensions of c and of u.
    epochs
        In each, every batch gives as many minibatches as the largest fills. At first c depends on
        the batch, and that alone brings the modalities of several batches together: FOSCTTM after
        a few epochs is too good.
    batch_size, learning_rate
        Of AdamW, for the model and for the discriminators.
    chromosomes
        Runs of consecutive peaks, each with an encoder of its own before that of ATAC; 1 encodes
        all peaks at once.
    """

    biological: Annotated[int, "at least 1"] = 32
    technical: Annotated[int, "at least 1"] = 2
    epochs: Annotated[int, "at least 1"] = 2000
    batch_size: Annotated[int, "at least 1"] = 256
    learning_rate: Annotated[float, "above 0"] = 1e-4
    chromosomes: Annotated[int, "at least 1"] = 23

    def fit(self, train: Split, seed: int) -> History:
        """Train on all cells, whatever was measured in them."""
        need(CARD["wraps"])
        self.layers = {m: layer for layer, m in modalities_of(train, "MIDAS", NAMES).items()}
        self.normalizations = train.normalizations
        with apart(seed), seeded(seed):
            from scmidas import MIDAS

            data, widths = self._data(train), self._widths()
            MIDAS.setup_mudata(data, batch_key="batch", dims_x=widths)
            model = MIDAS(data, configs=self._configured(widths), batch_size=self.batch_size)
            recorder = _recorder()
            model.train(
                max_epochs=self.epochs,
                accelerator=device().type,
                devices=1,
                callbacks=[recorder],
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
        rows = history(loss=recorder.losses)
        codes = {str(name): code for code, name in enumerate(model.batch_names)}
        sizes = Counter(
            (str(name), block.modalities) for block in train.blocks for name in block.batches
        )
        self.batches = {}  # name -> groups of cells, from the largest on, as of `code_of`
        for (name, observed), _ in sizes.most_common():
            group = frozenset(observed), codes[_batch(name, observed)]
            self.batches.setdefault(name, []).append(group)
        self.net = model.net.to(device()).eval()
        return rows

    @inferring()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior means of c given what was measured, (cells, biological)."""
        return self._through(cells, lambda decoded, mean: mean[:, : self.biological])

    @inferring()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the expected values of `target`, (cells, features), standardised."""
        return self._through(
            cells, lambda decoded, mean: self._expected(decoded[self.layers[target]], target)
        )

    def _data(self, train: Split):
        from mudata import MuData
        from scipy import sparse

        tables = {}
        for modality, layer in self.layers.items():
            blocks = [block for block in train.blocks if modality in block.values]
            x = sparse.vstack([block.counts[modality] for block in blocks], format="csr")
            tables[layer] = table(
                x.astype(np.float32),
                np.concatenate([block.names for block in blocks]),
                layer,
                batch=[
                    _batch(name, block.modalities) for block in blocks for name in block.batches
                ],
            )
        return MuData(tables)

    def _widths(self) -> dict[str, list[int]]:
        widths = {}
        for modality, layer in self.layers.items():
            features = len(self.normalizations[modality].fraction)
            runs = min(self.chromosomes, features) if layer == "atac" else 1
            widths[layer] = [len(run) for run in np.array_split(np.arange(features), runs)]
        return widths

    def _configured(self, widths: dict[str, list[int]]) -> dict[str, object]:
        from scmidas import load_config

        config = load_config() | {
            "num_workers": 0,
            "persistent_workers": False,
            "pin_memory": False,
            "dim_c": self.biological,
            "dim_u": self.technical,
            "lr_net": self.learning_rate,
            "lr_dsc": self.learning_rate,
        }
        if len(widths.get("atac", ())) == 1:  # then the package wants these keys absent
            for key in ("dims_before_enc_atac", "dims_after_dec_atac"):
                config.pop(key, None)
        return config

    def _through(
        self, cells: Cells, give: Callable[[dict[str, Tensor], Tensor], Tensor]
    ) -> np.ndarray:
        """Return `give` of decoded values and means of (c, u), batch by batch, (cells, columns)."""
        batches, rows, parts = cells.batches.astype(str), [], []
        for name in np.unique(batches):
            of_batch = np.flatnonzero(batches == name)
            for few in np.split(of_batch, range(AT_ONCE, len(of_batch), AT_ONCE)):
                decoded, _, mean, *_ = self.net(self._inputs(cells.take(few), name))
                parts.append(give(decoded, mean).cpu().numpy())
                rows.append(few)
        return np.concatenate(parts)[np.argsort(np.concatenate(rows))]

    def _inputs(self, cells: Cells, batch: str) -> dict[str, dict[str, Tensor]]:
        """Return the network's inputs for cells of one batch: x, and s if the batch has a code."""
        x = {}
        for modality in cells.modalities:
            layer, counts = self.layers[modality], dense(cells.counts[modality]).to(device())
            x[layer] = (counts > 0).float() if layer == "atac" else counts
        inputs = {"x": x, "e": {}}
        code = code_of(self.batches.get(batch, []), frozenset(cells.modalities))
        if code is not None:
            inputs["s"] = {"joint": torch.full((len(cells), 1), code, device=device())}
        return inputs

    def _expected(self, decoded: Tensor, target: str) -> Tensor:
        """Return expected values given log rates or chances of open peaks, (cells, features)."""
        normalization = self.normalizations[target]
        if normalization.kind == "lsi":
            return expected_lsi(decoded, normalization)
        if normalization.kind == "lognorm":
            rate = torch.softmax(decoded, -1) * median_total(normalization)
        else:
            rate = decoded.exp()
        poisson = negative_binomial(rate, torch.tensor(POISSON, device=rate.device))
        return expected_values(poisson, normalization)


def _batch(name: str, modalities: tuple[str, ...]) -> str:
    return f"{name} with {' + '.join(modalities)}"


def _recorder():
    from lightning import Callback

    class Recorder(Callback):
        def __init__(self):
            self.losses = []

        def on_train_epoch_end(self, trainer: object, module: object) -> None:
            self.losses.append(trainer.callback_metrics["loss/net"].item())

    return Recorder()
