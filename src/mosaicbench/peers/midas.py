"""MIDAS: a product of experts over the measured modalities and the batch, its latent split into biology c and technology u.

    q(c, u | x, s) = p(c, u) q(c, u | s) prod over measured m of q(c, u | x_m),   counts ~ Poisson,   peak open ~ Bernoulli

A cell's experts are drawn to each other, which takes cells of several modalities; discriminators, which guess the batch from c, are
fooled. Reference: He et al. 2024.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from mosaicbench.contract import Cells, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models.likelihoods import expected_lsi, expected_of_mixture
from mosaicbench.models.training import device, seeded
from mosaicbench.peers._package import apart, history, need
from mosaicbench.peers._scvi import (
    AT_ONCE,
    dense,
    inferring,
    modalities_in,
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
    "summary": "A product of experts of counts of RNA, proteins and open peaks, by scmidas: a biological latent, which is what "
    "is scored, apart from a technical one. Embeds and imputes from any subset.",
    "deviates": "As in the package, what was measured in a cell is part of its batch. A query cell is read as of the batch in "
    "which just what is shown of it was measured, else of the largest in which more was; one of a batch that was not trained "
    "on is read without any, as one minibatch in ten is in training. The split does not tell the chromosomes by which the "
    "package encodes ATAC: 23 runs of consecutive peaks stand for them. Imputed values are expected from the decoded rates, "
    "those of RNA scaled to the median total.",
    "space": {
        "biological": {"int": [16, 64], "log": True},
        "learning_rate": {"float": [3e-05, 0.0003], "log": True},
    },
}

KNOWN = {
    "rna": ("lognorm", "RNA"),
    "adt": ("clr", "proteins"),
    "atac": ("lsi", "ATAC"),
}  # the package's names
POISSON = 1e6  # inverse dispersion from which on a negative binomial is a Poisson distribution


@dataclass(kw_only=True)
class Midas:
    """The package's defaults, and the epochs that its documentation trains for; it does not stop early.

    Attributes
    ----------
    biological, technical
        Dimensions of c and of u.
    epochs
        In each, every batch gives as many minibatches as the largest fills. Until the discriminators have done their work c tells the
        batch, and that alone brings the modalities of several batches together: FOSCTTM after a few epochs flatters.
    batch_size, learning_rate
        Of AdamW, for the model and for the discriminators.
    chromosomes
        Runs of consecutive peaks, each with an encoder of its own before that of ATAC; 1 encodes all peaks at once.
    """

    biological: Annotated[int, "at least 1"] = 32
    technical: Annotated[int, "at least 1"] = 2
    epochs: Annotated[int, "at least 1"] = 2000
    batch_size: Annotated[int, "at least 1"] = 256
    learning_rate: Annotated[float, "above 0"] = 1e-4
    chromosomes: Annotated[int, "at least 1"] = 23

    def fit(self, train: Split, seed: int) -> list[dict[str, float]]:
        """Train on all cells, whatever was measured in them."""
        need(CARD["wraps"])
        self.layers = {m: layer for layer, m in modalities_in(train, KNOWN).items()}
        if set(self.layers) != set(train.modalities):
            raise NotApplicable(
                "MIDAS needs every modality to have counts: of RNA, proteins or ATAC"
            )
        self.normalizations = train.normalizations
        with apart(seed), seeded(seed):
            from scmidas import MIDAS

            data, widths = self._data(train), self._widths()
            MIDAS.setup_mudata(data, batch_key="batch", dims_x=widths)
            model = MIDAS(data, configs=self._configured(widths), batch_size=self.batch_size)
            told = _told()
            quiet = dict.fromkeys(
                ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"),
                False,
            )
            model.train(
                max_epochs=self.epochs,
                accelerator=device().type,
                devices=1,
                callbacks=[told],
                **quiet,
            )
        rows = history(loss=told.losses)
        codes = {str(name): code for code, name in enumerate(model.batch_names)}
        sizes = Counter(
            (str(name), block.modalities) for block in train.blocks for name in block.batches
        )
        self.batches = [
            (name, set(seen), codes[_batch(name, seen)]) for (name, seen), _ in sizes.most_common()
        ]
        self.net = model.net.to(device()).eval()
        return rows

    @inferring()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior means of c given what was measured, (cells, biological)."""
        return self._through(cells, lambda decoded, mean: mean[:, : self.biological])

    @inferring()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the expected values of `target` at the posterior mean, (cells, features), standardised."""
        return self._through(
            cells, lambda decoded, mean: self._expected(decoded[self.layers[target]], target)
        )

    def _data(self, train: Split):
        """Return all train cells as the package wants them: a table per modality, of the cells in which it was measured."""
        import pandas as pd
        from anndata import AnnData
        from mudata import MuData
        from scipy import sparse

        tables = {}
        for modality, layer in self.layers.items():
            blocks = [block for block in train.blocks if modality in block.values]
            batches = [_batch(name, block.modalities) for block in blocks for name in block.batches]
            names = np.concatenate([block.names for block in blocks]).astype(str)
            x = sparse.vstack([block.counts[modality] for block in blocks], format="csr").astype(
                np.float32
            )
            columns = pd.DataFrame(index=[f"{layer} {feature}" for feature in range(x.shape[1])])
            tables[layer] = AnnData(
                x, obs=pd.DataFrame({"batch": batches}, index=names), var=columns
            )
        return MuData(tables)

    def _widths(self) -> dict[str, list[int]]:
        """Return the package's name of a modality -> how many features each of its encoders reads."""
        features = {
            layer: len(self.normalizations[modality].fraction)
            for modality, layer in self.layers.items()
        }
        runs = {
            layer: min(self.chromosomes, width) if layer == "atac" else 1
            for layer, width in features.items()
        }
        return {
            layer: [len(run) for run in np.array_split(np.arange(width), runs[layer])]
            for layer, width in features.items()
        }

    def _configured(self, widths: dict[str, list[int]]) -> dict[str, object]:
        from scmidas import load_config

        here = {"num_workers": 0, "persistent_workers": False, "pin_memory": False}
        sizes = {
            "dim_c": self.biological,
            "dim_u": self.technical,
            "lr_net": self.learning_rate,
            "lr_dsc": self.learning_rate,
        }
        chosen = load_config() | here | sizes
        if len(widths.get("atac", ())) == 1:  # the package asks for their absence
            chosen = {
                key: value
                for key, value in chosen.items()
                if key not in ("dims_before_enc_atac", "dims_after_dec_atac")
            }
        return chosen

    def _through(
        self, cells: Cells, give: Callable[[dict[str, Tensor], Tensor], Tensor]
    ) -> np.ndarray:
        """Return what `give` makes of the decoders' outputs and the means of (c, u), (cells, columns); batch by batch."""
        batches, rows, found = cells.batches.astype(str), [], []
        for name in np.unique(batches):
            own = np.flatnonzero(batches == name)
            for few in np.split(own, range(AT_ONCE, len(own), AT_ONCE)):
                decoded, _, mean, *_ = self.net(self._asked(cells.take(few), name))
                found.append(give(decoded, mean).cpu().numpy())
                rows.append(few)
        return np.concatenate(found)[np.argsort(np.concatenate(rows))]

    def _asked(self, cells: Cells, batch: str) -> dict[str, dict[str, Tensor]]:
        """Return cells of one batch as the package's network takes them: x, and where the batch is known s."""
        counts = {
            self.layers[modality]: dense(cells.counts[modality]).to(device())
            for modality in cells.modalities
        }
        asked = {
            "x": {layer: (x > 0).float() if layer == "atac" else x for layer, x in counts.items()},
            "e": {},
        }
        shown = set(cells.modalities)
        known = [
            (seen != shown, code)
            for name, seen, code in self.batches
            if name == batch and shown <= seen
        ]
        if known:
            _, code = min(
                known, key=lambda one: one[0]
            )  # the first of the best: batches are in order of size
            asked["s"] = {"joint": torch.full((len(cells), 1), code, device=device())}
        return asked

    def _expected(self, decoded: Tensor, target: str) -> Tensor:
        """Return the expected values given log rates of counts, or how likely each peak is open, (cells, features)."""
        normalization = self.normalizations[target]
        if normalization.kind == "lsi":
            return expected_lsi(decoded, normalization)
        if normalization.kind == "lognorm":
            rate = torch.softmax(decoded, -1) * float(
                normalization.library_size * normalization.fraction.sum()
            )
        else:
            rate = decoded.exp()
        return expected_of_mixture(
            [(1.0, negative_binomial(rate, torch.tensor(POISSON, device=rate.device)))],
            normalization,
        )


def _batch(name: str, modalities: tuple[str, ...]) -> str:
    return f"{name} with {' + '.join(modalities)}"


def _told() -> object:
    """Return a callback of the package's trainer that keeps its mean losses of every epoch ."""
    from lightning import Callback

    class Told(Callback):
        def __init__(self):
            self.losses = []

        def on_train_epoch_end(self, trainer: object, module: object) -> None:
            self.losses.append(trainer.callback_metrics["loss/net"].item())

    return Told()
