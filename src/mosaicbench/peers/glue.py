"""GLUE: one encoder per modality into one latent; a graph of linked features embeds the features that decode it.

    u ~ q_m(x_m),   v ~ q(graph),   x_m ~ NB(library x softmax(scale * u v_m + bias), theta)

A discriminator that tells modalities apart from u is opposed. Reference: Cao & Gao 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from sklearn.decomposition import PCA

from mosaicbench.contract import Cells, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models.likelihoods import expected_of_mixture
from mosaicbench.models.linked import one_modality_each
from mosaicbench.peers._package import apart, need

CARD = {
    "label": "GLUE",
    "kind": "model",
    "paper": "Cao & Gao 2022",
    "doi": "10.1038/s41587-022-01284-4",
    "scenarios": ("unpaired",),
    "inputs": ("links",),
    "wraps": {"package": "scglue", "module": "scglue", "version": "0.4.1", "licence": "MIT"},
    "summary": "Encoders of each modality into one latent, aligned by a discriminator and by a graph of linked features, by scglue. "
    "Imputes by decoding counts, which the package calls experimental.",
    "deviates": "The graph is made of the split's links, each of weight 1, and a loop per feature. RNA and proteins are encoded "
    "from principal components of the split's values, ATAC from its LSI. No batch is told. Where a modality has fewer than "
    "`balance_from` train cells, the weights that balance cell types are left out: they are not finite on little data.",
    "space": {
        "latent": {"int": [20, 100], "log": True},
        "hidden": {"int": [128, 512], "log": True},
        "components": {"int": [50, 200], "log": True},
    },
}

AT_ONCE = 512  # cells decoded at once


@dataclass(kw_only=True)
class GLUE:
    """The package's defaults; None leaves the number of epochs, and with it all patience, to its rules.

    Attributes
    ----------
    latent, hidden
        Dimensions of the latent and of the networks.
    components
        Principal components that encoders of RNA and proteins read.
    epochs
        Most epochs of each of the two stages, pretraining and alignment.
    balance_from
        Least number of train cells of every modality for which cell types are balanced.
    """

    latent: Annotated[int, "at least 1"] = 50
    hidden: Annotated[int, "at least 1"] = 256
    components: Annotated[int, "at least 1"] = 100
    epochs: Annotated[int, "at least 1"] | None = None
    balance_from: Annotated[int, "at least 0"] = 300

    def fit(self, train: Split, seed: int) -> list[dict[str, float]]:
        """Train on cells of one modality each, and on the graph of linked features."""
        need(CARD["wraps"])
        if lacking := [m for m in train.modalities if m not in train.normalizations]:
            raise NotApplicable(f"GLUE decodes counts, which {' and '.join(lacking)} lacks")
        if not train.links:
            raise NotApplicable(
                f"no links lead between {' and '.join(train.modalities)}; give the dataset `links` (config/README.md)"
            )
        shown = one_modality_each(train, seed)
        cells = {m: shown.observing(m) for m in train.modalities}
        self.normalizations, self.pca, history = train.normalizations, {}, []
        for m, x in cells.items():
            if train.normalizations[m].kind != "lsi":
                most = min(self.components, *(size - 1 for size in x.values[m].shape))
                self.pca[m] = PCA(most, random_state=seed).fit(x.values[m])
        with apart(seed):
            from scglue import config
            from scglue.models import SCGLUEModel, fit_SCGLUE
            from scglue.models.scglue import SCGLUETrainer

            class Told(SCGLUETrainer):
                def report_metrics(self, train_state, val_state) -> None:
                    known = {
                        "loss": train_state.metrics["vae_loss"],
                        "discriminator": train_state.metrics["dsc_loss"],
                    }
                    if val_state is not None:
                        known["validation_loss"] = val_state.metrics["vae_loss"]
                    history.append(
                        {"epoch": len(history) + 1} | {name: float(x) for name, x in known.items()}
                    )

            class Model(SCGLUEModel):
                TRAINER_TYPE = Told

            workers, config.GRAPH_SHUFFLE_NUM_WORKERS = (
                config.GRAPH_SHUFFLE_NUM_WORKERS,
                0,
            )  # no process beside this one
            try:
                graph, data = self._graph(train), {m: self._data(cells[m], m) for m in cells}
                model = fit_SCGLUE(
                    data,
                    graph,
                    model=Model,
                    skip_balance=min(map(len, cells.values())) < self.balance_from,
                    init_kws={"latent_dim": self.latent, "h_dim": self.hidden, "random_seed": seed},
                    fit_kws={"directory": "glue"}
                    | ({} if self.epochs is None else {"max_epochs": self.epochs}),
                )
                features = torch.as_tensor(model.encode_graph(graph))
            finally:
                config.GRAPH_SHUFFLE_NUM_WORKERS = workers
        self.network = model.net.eval()
        self.features = {
            m: features[getattr(model.net, f"{m}_idx").cpu()].to(model.net.device) for m in cells
        }
        return history

    @torch.inference_mode()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior means of cells of one modality, (cells, latent)."""
        return self._u(cells).cpu().numpy()

    @torch.inference_mode()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the expected values of `target` in cells with its median total, (cells, features), standardised."""
        normalization, decoder, found = self.normalizations[target], self.network.u2x[target], []
        for u in self._u(cells).split(AT_ONCE):
            library = torch.full(
                (len(u), 1),
                float(normalization.library_size * normalization.fraction.sum()),
                device=u.device,
            )
            counts = decoder(
                u,
                self.features[target],
                torch.zeros(len(u), dtype=torch.long, device=u.device),
                library,
            )
            found.append(expected_of_mixture([(1.0, counts)], normalization).cpu().numpy())
        return np.concatenate(found)

    def _u(self, cells: Cells) -> torch.Tensor:
        (modality,) = cells.modalities
        read = torch.as_tensor(self._read(cells, modality), device=self.network.device)
        return self.network.x2u[modality](read[:, :0], read)[0].mean

    def _read(self, cells: Cells, modality: str) -> np.ndarray:
        """Return what the encoder reads, (cells, components)."""
        x = cells.values[modality]
        return (self.pca[modality].transform(x) if modality in self.pca else x).astype(np.float32)

    def _data(self, cells: Cells, modality: str):
        """Return train cells as the package wants them."""
        import pandas as pd
        from anndata import AnnData
        from scglue.models import configure_dataset

        names = pd.DataFrame(index=_names(modality, cells.counts[modality].shape[1]))
        obs = pd.DataFrame(index=cells.names.astype(str))
        data = AnnData(cells.counts[modality].astype(np.float32), obs=obs, var=names)
        data.obsm["read"] = self._read(cells, modality)
        configure_dataset(data, "NB", use_highly_variable=False, use_rep="read")
        return data

    def _graph(self, train: Split):
        """Return the links of every two modalities, both ways, and a loop per feature."""
        import networkx

        graph, names = (
            networkx.MultiDiGraph(),
            {
                m: _names(m, len(normalization.fraction))
                for m, normalization in train.normalizations.items()
            },
        )
        for of_modality in names.values():
            graph.add_edges_from((name, name, {"weight": 1.0, "sign": 1}) for name in of_modality)
        for (first, second), links in train.links.items():
            found = links.tocoo()
            for i, j, sign in zip(found.row, found.col, found.data, strict=True):
                graph.add_edge(names[first][i], names[second][j], weight=1.0, sign=int(sign))
        return graph


def _names(modality: str, features: int) -> list[str]:
    return [f"{modality} {feature}" for feature in range(features)]
