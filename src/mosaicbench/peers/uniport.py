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
from mosaicbench.peers._package import apart, need, table
from mosaicbench.peers._scvi import Blockwise

CARD = {
    "label": "uniPort",
    "kind": "model",
    "paper": "Cao et al. 2022",
    "doi": "10.1038/s41467-022-35094-8",
    "scenarios": ("unpaired",),
    "inputs": ("links",),
    "wraps": {"package": "uniport", "module": "uniport", "version": "1.3", "licence": "MIT"},
    "environment": "numpy1",
    "summary": "The package's horizontal mode: one encoder of linked features for both modalities, aligned by unbalanced "
    "optimal transport. Imputes by the decoder of the other modality's features.",
    "deviates": "The common features are the split's linked features, the specific features of a modality its values, both "
    "scaled to between 0 and 1 in the train cells (the package's examples divide by the largest; ours may be negative). Batch "
    "normalisation takes the moments of training, the package's `eval`, so that no cell's latents depend on another's.",
    "space": ("lambda_s", "lambda_kl", "lambda_ot"),
}


BATCH_SIZE = 256


@dataclass(kw_only=True)
class UniPort(Blockwise):
    """The package's defaults.

    Attributes
    ----------
    iterations
        Most minibatches.
    lambda_s, lambda_kl, lambda_ot
        Weights of the modality's features, of the divergence from the prior, and of the transport.
    """

    iterations: Annotated[int, "at least 1"] = 30_000
    lambda_s: Annotated[float, "at least 0", {"float": [0.1, 2.0], "log": True}] = 0.5
    lambda_kl: Annotated[float, "at least 0", {"float": [0.1, 2.0], "log": True}] = 0.5
    lambda_ot: Annotated[float, "at least 0", {"float": [0.1, 10.0], "log": True}] = 1.0

    def fit(self, train: Split, seed: int) -> History:
        """Train on cells of one modality each; the package keeps no history."""
        need(CARD)
        shown = one_modality_each(train, seed)
        if len(shown.modalities) != 2:
            raise NotApplicable("uniPort's linked features are those of two modalities")
        self.modalities, self.linked = shown.modalities, linked(shown, shown.modalities)
        cells = {m: shown.observing(m) for m in self.modalities}
        self.scaler = {m: MinMaxScaler(clip=True).fit(x.values[m]) for m, x in cells.items()}
        self.linked_scaler = {
            m: MinMaxScaler(clip=True).fit(self.linked.of(x, m)) for m, x in cells.items()
        }
        specific, common = [], []
        with apart(seed, silent=True):
            import pandas as pd
            import uniport
            from anndata import concat
            from uniport.model.vae import VAE

            for place, (m, x) in enumerate(cells.items()):
                domain = pd.Categorical.from_codes([place] * len(x), range(len(cells)))
                obs = {"domain_id": domain, "source": [m] * len(x)}
                values = self.scaler[m].transform(x.values[m]).astype(np.float32)
                specific.append(table(values, x.names, m, **obs))
                common.append(table(self._common(x, m), x.names, "linked", **obs))
            uniport.Run(
                adatas=specific,
                adata_cm=concat(common),
                mode="h",
                iteration=self.iterations,
                batch_size=min(BATCH_SIZE, sum(map(len, cells.values()))),
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

    def _z(self, cells: Cells) -> torch.Tensor:
        (modality,) = cells.modalities
        x = torch.as_tensor(self._common(cells, modality), device=device())
        return self.model.encoder(x, 0)[1]

    def _expected(self, cells: Cells, target: str) -> np.ndarray:
        decoder = 1 + self.modalities.index(target)  # 0 is that of linked features
        decoded = self.model.decoder(self._z(cells), decoder).cpu().numpy()
        return self.scaler[target].inverse_transform(decoded).astype(np.float32)

    def _common(self, cells: Cells, modality: str) -> np.ndarray:
        x = self.linked.of(cells, modality)
        return self.linked_scaler[modality].transform(x).astype(np.float32)
