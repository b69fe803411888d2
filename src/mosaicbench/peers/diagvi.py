"""DIAGVI: an encoder per modality into one latent, aligned by unbalanced optimal transport.

    loss = NLL of counts + KL(q(z | x) || N(0, I)) + loss of the graph + w S(z_a, z_b)
    fraction = softmax(scale x <z, v> + bias),   v: embeddings of features, from the guidance graph

S is an unbalanced Sinkhorn divergence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from mosaicbench.contract import Cells, History, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models.likelihoods import expected_of_mixture, expected_values
from mosaicbench.models.linked import one_modality_each
from mosaicbench.peers._package import history, need, table
from mosaicbench.peers._scvi import (
    Batches,
    Blockwise,
    dense,
    median_total,
    negative_binomial,
    scvi_apart,
)

CARD = {
    "label": "DIAGVI",
    "kind": "model",
    "scenarios": ("unpaired",),
    "inputs": ("links", "counts"),
    "wraps": {
        "package": "scvi-tools",
        "module": "scvi",
        "version": "1.5.1",
        "licence": "BSD-3-Clause",
    },
    "environment": "scvi15",
    "summary": "An encoder per modality into one latent of counts, after GLUE, aligned by unbalanced optimal transport and by a "
    "guidance graph of linked features, by scvi-tools. Imputes by decoding counts. Two modalities.",
    "deviates": "Query cells take the posterior's mean and the mean embeddings of features. Cell types are not shown to it. A batch "
    "without train cells is read as the largest. With the package's weights and stopping rule, a few thousand cells are hardly "
    "aligned; a larger `data` helps.",
    "space": ("latent", "data", "sinkhorn"),
}

LIKELIHOODS = {
    "lognorm": "nb",
    "lsi": "nb",
    "clr": "nbmixture",
}  # kind of a normalization -> its own


@dataclass(kw_only=True)
class DiagVI(Blockwise):
    """The package's defaults.

    Attributes
    ----------
    latent, hidden
        Dimensions of z, and of the networks' layers.
    data, sinkhorn
        Weights of the counts' likelihood, and of the divergence between the modalities' latents.
    epochs
        Most epochs; it stops after 10 without a lower loss of the validation cells. None: the
        package's rule, at most 400.
    """

    latent: Annotated[int, "at least 1", {"int": [10, 50], "log": True}] = 50
    hidden: Annotated[int, "at least 1"] = 256
    data: Annotated[float, "above 0", {"float": [0.03, 3.0], "log": True}] = 0.1
    sinkhorn: Annotated[float, "at least 0", {"float": [10.0, 300.0], "log": True}] = 85.0
    epochs: Annotated[int, "at least 1"] | None = None

    def fit(self, train: Split, seed: int) -> History:
        """Train on cells of one modality each, and on the graph of linked features."""
        need(CARD, counts_of=train)
        if len(train.modalities) != 2 or not train.links:
            raise NotApplicable("DIAGVI is for two modalities with links between them")
        shown = one_modality_each(train, seed)
        cells = {m: shown.observing(m) for m in train.modalities}
        self.normalizations = train.normalizations
        with scvi_apart(seed):
            from scvi.external import DIAGVI

            data = {}
            for m, x in cells.items():
                data[m] = table(x.counts[m].astype(np.float32), x.names, m, batch=x.batches)
                likelihood = LIKELIHOODS[train.normalizations[m].kind]
                DIAGVI.setup_anndata(data[m], batch_key="batch", likelihood=likelihood)
            graph = _graph(train, {m: x.n_vars for m, x in data.items()})
            model = DIAGVI(data, graph, n_latent=self.latent, n_hidden=self.hidden)
            weights = {"lam_data": self.data, "lam_sinkhorn": self.sinkhorn}
            model.train(max_epochs=self.epochs, plan_kwargs=weights)
            model.to_device("cpu")
            self.module, self.batches, self.features = model.module, {}, {}
            with torch.inference_mode():
                embedded = self.module.encode_graph(torch.device("cpu"))[1]
            for m, x in cells.items():
                coded = model.adata_managers[m].get_state_registry("batch").categorical_mapping
                self.batches[m] = Batches(x.batches, list(coded))
                self.features[m] = embedded[graph[f"{m}_indices"].cpu()]
        columns = {"loss": "training_loss", "validation_loss": "validation_loss"}
        return history(**{name: _losses(model.history_, key) for name, key in columns.items()})

    def _z(self, cells: Cells) -> Tensor:
        (modality,) = cells.modalities
        x = dense(cells.counts[modality])
        return self.module.inference(x, mode=modality, deterministic=True)["qz"].loc

    def _expected(self, cells: Cells, target: str) -> Tensor:
        z, normalization = self._z(cells), self.normalizations[target]
        x = self.module.generative(
            z=z,
            library=torch.full((len(z), 1), median_total(normalization)).log(),
            batch_index=self.batches[target].of(cells.batches),
            v=self.features[target],
            mode=target,
        )["px"]
        if normalization.kind == "clr":
            parts = [
                (x.mixture_probs, negative_binomial(x.mu1, x.theta1)),
                (1 - x.mixture_probs, negative_binomial(x.mu2, x.theta1)),
            ]
            return expected_of_mixture(parts, normalization)
        return expected_values(negative_binomial(x.mu, x.theta), normalization)


def _losses(recorded: dict, key: str) -> np.ndarray:
    return next(
        frame for name, frame in recorded.items() if name in (key, f"{key}_epoch")
    ).to_numpy(dtype=float)[:, 0]


def _graph(train: Split, widths: dict[str, int]):
    from torch_geometric.data import Data

    starts = dict(zip(widths, np.cumsum([0, *widths.values()]), strict=False))
    loops = np.arange(sum(widths.values()))
    ends, signs = [np.stack([loops, loops])], [np.ones(len(loops))]
    for (first, second), links in train.links.items():
        edges = links.tocoo()
        one = np.stack([edges.row + starts[first], edges.col + starts[second]])
        ends += [one, one[::-1]]
        signs += [np.sign(edges.data)] * 2
    ends, signs = np.concatenate(ends, axis=1), np.concatenate(signs)
    ends, kept = np.unique(ends, axis=1, return_index=True)
    places = {f"{m}_indices": torch.arange(start, start + widths[m]) for m, start in starts.items()}
    return Data(
        num_nodes=len(loops),
        edge_index=torch.as_tensor(ends, dtype=torch.long),
        edge_weight=torch.ones(len(kept)),
        edge_sign=torch.as_tensor(signs[kept], dtype=torch.float32),
        **places,
    )
