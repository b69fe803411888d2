"""uniPort: one encoder of linked features; decoders of these and of each modality's features.

    z ~ q(linked features)
    loss = NLL(linked) + lambda_s NLL(each modality) + lambda_kl KL(q || p)
           + lambda_ot OT(q of a, q of b)

The transport is unbalanced, between the posteriors of two modalities' cells of a minibatch.
Reference: Cao et al. 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from sklearn.preprocessing import MinMaxScaler

from mosaicbench.contract import Cells, History, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models.linked import linked, one_modality_each
from mosaicbench.models.training import device
from mosaicbench.peers._package import apart, need

CARD = {
    "label": "uniPort",
    "kind": "model",
    "paper": "Cao et al. 2022",
    "doi": "10.1038/s41467-022-35094-8",
    "scenarios": ("unpaired",),
    "inputs": ("links",),
    "wraps": {"package": "uniport", "module": "uniport", "version": "1.3", "licence": "MIT"},
    "environment": "uniport",
    "summary": "The package's horizontal mode: one encoder of linked features for both modalities, aligned by unbalanced "
    "optimal transport. Imputes by the decoder of the other modality's features.",
    "deviates": "The common features are the split's linked features, the specific features of a modality its values, both "
    "scaled to between 0 and 1 in the train cells (the package's examples divide by the largest; ours may be negative). Batch "
    "normalisation takes the moments of training, the package's `eval`, so that no cell's latents depend on another's.",
    "space": {
        "lambda_s": {"float": [0.1, 2.0], "log": True},
        "lambda_kl": {"float": [0.1, 2.0], "log": True},
        "lambda_ot": {"float": [0.1, 10.0], "log": True},
    },
}


@dataclass(kw_only=True)
class UniPort:
    """The package's defaults.

    Attributes
    ----------
    iterations, patience
        Most minibatches; epochs without a lower loss before training stops.
    batch_size, learning_rate
        Of Adam.
    lambda_s, lambda_kl, lambda_ot
        Weights of the modality's features, of the divergence from the prior, and of the transport.
    """

    iterations: Annotated[int, "at least 1"] = 30_000
    patience: Annotated[int, "at least 1"] = 30
    batch_size: Annotated[int, "at least 1"] = 256
    learning_rate: Annotated[float, "above 0"] = 2e-4
    lambda_s: Annotated[float, "at least 0"] = 0.5
    lambda_kl: Annotated[float, "at least 0"] = 0.5
    lambda_ot: Annotated[float, "at least 0"] = 1.0

    def fit(self, train: Split, seed: int) -> History:
        """Train on cells of one modality each; the package keeps no history."""
        need(CARD["wraps"])
        shown = one_modality_each(train, seed)
        if len(shown.modalities) != 2:
            raise NotApplicable("uniPort's linked features are those of two modalities")
        self.modalities, self.linked = shown.modalities, linked(shown, shown.modalities)
        cells = {m: shown.observing(m) for m in self.modalities}
        self.scaler = {m: MinMaxScaler(clip=True).fit(x.values[m]) for m, x in cells.items()}
        self.linked_scaler = {
            m: MinMaxScaler(clip=True).fit(self.linked.of(x, m)) for m, x in cells.items()
        }
        with apart(seed, silent=True):
            import uniport
            from anndata import concat
            from uniport.model.vae import VAE

            uniport.Run(
                adatas=[
                    self._table(m, self.scaler[m].transform(x.values[m])) for m, x in cells.items()
                ],
                adata_cm=concat([self._table(m, self._common(x, m)) for m, x in cells.items()]),
                mode="h",
                iteration=self.iterations,
                patience=self.patience,
                batch_size=min(self.batch_size, sum(map(len, cells.values()))),
                lr=self.learning_rate,
                lambda_s=self.lambda_s,
                lambda_kl=self.lambda_kl,
                lambda_ot=self.lambda_ot,
                seed=seed,
                outdir="uniport",
            )
            config = torch.load("uniport/checkpoint/config.pt", weights_only=True)
            sizes = {key: config[key] for key in ("ref_id", "n_domain")}
            self.model = VAE(config["enc"], config["dec"], **sizes, mode="h")
            self.model.load_model("uniport/checkpoint/model.pt")
        self.model.to(device()).eval()
        return []

    @torch.no_grad()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior means of cells of one modality, (cells, 16)."""
        return self._z(cells).cpu().numpy()

    @torch.no_grad()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the target's decoded features, (cells, features), standardised."""
        decoder = 1 + self.modalities.index(target)  # 0 is that of linked features
        decoded = self.model.decoder(self._z(cells), decoder).cpu().numpy()
        return self.scaler[target].inverse_transform(decoded).astype(np.float32)

    def _z(self, cells: Cells) -> torch.Tensor:
        (modality,) = cells.modalities
        x = torch.as_tensor(self._common(cells, modality), device=device())
        return self.model.encoder(x, 0)[1]

    def _common(self, cells: Cells, modality: str) -> np.ndarray:
        x = self.linked.of(cells, modality)
        return self.linked_scaler[modality].transform(x).astype(np.float32)

    def _table(self, modality: str, x: np.ndarray):
        import pandas as pd
        from anndata import AnnData

        place, domains = self.modalities.index(modality), range(len(self.modalities))
        obs = pd.DataFrame(
            {
                "domain_id": pd.Categorical.from_codes([place] * len(x), domains),
                "source": modality,
            },
            index=[f"{modality}-{row}" for row in range(len(x))],
        )
        return AnnData(x.astype(np.float32), obs=obs)
