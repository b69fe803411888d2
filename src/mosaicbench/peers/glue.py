"""GLUE: one encoder per modality into one latent, decoded with embeddings of a graph of features.

    u ~ q_m(x_m),   v ~ q(graph),   x_m ~ NB(library x softmax(scale * u v_m + bias), theta)

The model opposes a discriminator that tells modalities apart by u. Reference: Cao & Gao 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from mosaicbench.contract import Cells, History, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models.likelihoods import expected_values
from mosaicbench.models.linked import one_modality_each
from mosaicbench.peers._package import apart, lsi_of, need, pca, table
from mosaicbench.peers._scvi import Blockwise, median_total

CARD = {
    "label": "GLUE",
    "kind": "model",
    "paper": "Cao & Gao 2022",
    "doi": "10.1038/s41587-022-01284-4",
    "scenarios": ("unpaired",),
    "inputs": ("links",),
    "wraps": {"package": "scglue", "module": "scglue", "version": "0.4.1", "licence": "MIT"},
    "summary": "An encoder per modality into one latent, aligned by a discriminator and by a graph of linked features, by "
    "scglue. Imputes by decoding counts, which the package calls experimental.",
    "deviates": "The graph has the split's links, each of weight 1, and a loop per feature. Encoders of RNA and proteins read "
    "principal components of the split's values, that of ATAC its LSI. The model gets no batches. If a modality has fewer than "
    "300 train cells, the weights that balance cell types are left out: they are not finite on little data.",
    "space": ("latent", "hidden", "components"),
}

BALANCED = 300  # train cells of every modality, from which on cell types are balanced


@dataclass(kw_only=True)
class GLUE(Blockwise):
    """The package's defaults.

    Attributes
    ----------
    latent, hidden
        Dimensions of the latent and of the networks.
    components
        Principal components that encoders of RNA and proteins read.
    epochs
        Most epochs of both pretraining and alignment; None leaves them and all patience to the package.
    """

    latent: Annotated[int, "at least 1", {"int": [20, 100], "log": True}] = 50
    hidden: Annotated[int, "at least 1", {"int": [128, 512], "log": True}] = 256
    components: Annotated[int, "at least 1", {"int": [50, 200], "log": True}] = 100
    epochs: Annotated[int, "at least 1"] | None = None

    def fit(self, train: Split, seed: int) -> History:
        """Train on cells of one modality each, and on the graph of linked features."""
        need(CARD, counts_of=train)
        if not train.links:
            raise NotApplicable(
                "no links lead between modalities; give the dataset `links` (config/README.md)"
            )
        shown = one_modality_each(train, seed)
        cells = {m: shown.observing(m) for m in train.modalities}
        self.normalizations, history = train.normalizations, []
        self.pca = {
            m: pca(x.values[m], self.components, seed).fit(x.values[m])
            for m, x in cells.items()
            if m not in lsi_of(train)
        }
        with apart(seed):
            from scglue import config
            from scglue.models import SCGLUEModel, fit_SCGLUE
            from scglue.models.scglue import SCGLUETrainer
            from scglue.utils import AUTO

            class Recorder(SCGLUETrainer):
                def report_metrics(self, train_state, val_state) -> None:
                    losses = {
                        "loss": train_state.metrics["vae_loss"],
                        "discriminator": train_state.metrics["dsc_loss"],
                        "validation_loss": val_state.metrics["vae_loss"],
                    }
                    row = {name: float(x) for name, x in losses.items()}
                    history.append({"epoch": len(history) + 1} | row)

            class Model(SCGLUEModel):
                TRAINER_TYPE = Recorder

            config.GRAPH_SHUFFLE_NUM_WORKERS = 0  # no process beside this one
            graph = _graph(train)
            model = fit_SCGLUE(
                {m: self._data(x, m) for m, x in cells.items()},
                graph,
                model=Model,
                skip_balance=min(map(len, cells.values())) < BALANCED,
                init_kws={"latent_dim": self.latent, "h_dim": self.hidden, "random_seed": seed},
                fit_kws={"directory": "glue", "max_epochs": self.epochs or AUTO},
            )
            features = torch.as_tensor(model.encode_graph(graph))
        self.network = model.net.eval()
        self.features = {
            m: features[getattr(model.net, f"{m}_idx").cpu()].to(model.net.device) for m in cells
        }
        return history

    def _z(self, cells: Cells) -> Tensor:
        (modality,) = cells.modalities
        x = torch.as_tensor(self._read(cells, modality), device=self.network.device)
        return self.network.x2u[modality](x[:, :0], x)[0].mean

    def _expected(self, cells: Cells, target: str) -> Tensor:
        z, normalization = self._z(cells), self.normalizations[target]
        counts = self.network.u2x[target](
            z,
            self.features[target],
            torch.zeros(len(z), dtype=torch.long, device=z.device),
            torch.full((len(z), 1), median_total(normalization), device=z.device),
        )
        return expected_values(counts, normalization)

    def _read(self, cells: Cells, modality: str) -> np.ndarray:
        x = cells.values[modality]
        return (self.pca[modality].transform(x) if modality in self.pca else x).astype(np.float32)

    def _data(self, cells: Cells, modality: str):
        from scglue.models import configure_dataset

        data = table(cells.counts[modality].astype(np.float32), cells.names, modality)
        data.obsm["read"] = self._read(cells, modality)
        configure_dataset(data, "NB", use_highly_variable=False, use_rep="read")
        return data


def _graph(train: Split):
    import networkx

    graph = networkx.MultiDiGraph()
    for modality, normalization in train.normalizations.items():
        for feature in range(len(normalization.fraction)):
            name = f"{modality} {feature}"
            graph.add_edge(name, name, weight=1.0, sign=1)
    for (first, second), links in train.links.items():
        edges = links.tocoo()
        for i, j, sign in zip(edges.row, edges.col, edges.data, strict=True):
            graph.add_edge(f"{first} {i}", f"{second} {j}", weight=1.0, sign=int(sign))
    return graph
