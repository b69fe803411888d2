"""Contrastive VAE: each modality alone must explain every modality, and tell its cell from others.

    cost = sum_m { - E_{q_m} [ sum_n log p(x_n | z_m) ] + beta KL(q_m || p) }  +  lambda sum_{m < n} contrast(z_m, z_n)

    q_m(z | x_m) has the mean W_m c_m + f_m(c_m);      c_m: whitened principal components of x_m; at the start f_m = 0, and
                                                       W_m is canonical correlation analysis
    x_n is imputed from x_m as (1 - w) R x_m + w D_n(mean z_m);         R: ridge regression, D_n: the decoder's expectation,
                                                                        w: least squares on validation cells

Only cells that show several modalities are contrasted, all are reconstructed. The contrast is in ``modeling.contrast``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Annotated, Literal

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import nn
from torch.distributions import Normal

from mosaicbench.methods.ridge import Ridge
from mosaicbench.modeling import training
from mosaicbench.modeling.components import WhitenedComponents, canonical_rotations
from mosaicbench.modeling.contrast import Contrast
from mosaicbench.modeling.costs import Cost
from mosaicbench.modeling.minibatch import Block, Minibatch
from mosaicbench.modeling.posteriors import kl
from mosaicbench.modeling.residual import ResidualEncoder
from mosaicbench.modeling.training import Divided
from mosaicbench.modeling.vae import MultimodalVAE
from mosaicbench.plain import described, restored
from mosaicbench.view import Cells, View

CARD = {
    "label": "Contrastive VAE",
    "kind": "model",
    "own": True,
    "paper": "",
    "doi": "",
    "handles": ("paired", "mosaic"),
    "uses": ("pairs",),
    "gives": ("joint", "single", "impute"),
    "claims": ("aligns", "imputes", "reconstructs", "generates", "random"),
    "paths": ("alone -> itself", "alone -> others", "contrast"),
    "advice": "Paired cells and mosaics, where one model is to align and to impute. Where cells are few, CCA and "
    "ridge are as good (docs/results/contrast.md).",
    "summary": "This project's own. VAEs of whitened principal components, with a linear path that starts as CCA, whose "
    "latents must tell each cell from the others by its other modality; imputes by a blend of decoder and ridge.",
    "deviates": "There is no original. Near to it are DCCA, which correlates and does not contrast, and "
    "scCLIP and scPairing, which contrast cosines of networks that start at random.",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "learning_rate": {"float": [0.0003, 0.003], "log": True},
        "beta": {"float": [0.03, 10.0], "log": True},
        "contrast_weight": {"float": [3.0, 300.0], "log": True},
        "sharpness": {"float": [0.3, 3.0], "log": True},
        "components": {"int": [20, 100], "log": True},
    },
}

BLEND = "blend "  # in a kept model, begins the names of what is no network's weight


@dataclass(kw_only=True)
class ContrastiveVAE(MultimodalVAE):
    """{m} -> every t, and {m} against {n}.

    Attributes
    ----------
    contrast_weight, reconstruction_weight
        Of the contrast, and of all log-likelihoods; 0 removes the term.
    sharpness
        At the start, of the contrast's similarity; it is learned.
    components
        Principal components that encoders read; None has them read the features.
    linear_path
        Around each encoder's network: "cca" at the start, or "none".
    blend
        Whether imputation is a blend of decoder and ridge; else it is the decoder's alone.
    ridge_components
        Principal components that ridge reads.
    """

    contrast_weight: Annotated[float, "at least 0"] = 30.0
    reconstruction_weight: Annotated[float, "at least 0"] = 1.0
    sharpness: Annotated[float, "above 0"] = 1.0
    components: Annotated[int, "at least 1"] | None = 50
    linear_path: Literal["cca", "none"] = "cca"
    blend: bool = True
    ridge_components: Annotated[int, "at least 1"] = 100

    def __post_init__(self) -> None:
        """Refuse what is not defined."""
        if self.components is None and self.linear_path == "cca":
            raise ValueError("linear_path: cca rotates principal components; with components: null take linear_path: none")

    def cost(self, x: Minibatch, progress: float) -> Cost:
        """Return reconstruction from each modality, its divergence, and the contrast of every two."""
        posteriors, cost = self.encode(x), Cost()
        z = {m: q.rsample() for m, q in posteriors.items()}  # (cells, latent) each
        for source, q in posteriors.items():
            if self.reconstruction_weight:
                cost += self.reconstruction_weight * self.nll(x, z[source])
            cost += self.annealed(progress) * kl(q)
        if self.contrast_weight:
            cost += self.contrast_weight * self.contrast(list(z.values()))
        return cost

    def posterior(self, x: Minibatch) -> Normal:
        """Return a Normal with the mean of the observed modalities' means, and of their variances."""
        experts = list(self.encode(x).values())
        mean, variance = (torch.stack(parts).mean(0) for parts in zip(*((q.mean, q.variance) for q in experts), strict=True))
        return Normal(mean, variance.sqrt(), validate_args=False)

    # --- the method's contract ---

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Train, then fit ridge and learn what share the decoders have in imputation."""
        with training.seeded(seed):
            self.make(train)
            counts = [modality for modality, decoder in self.decoders.items() if decoder.reads_counts]
            divided = training.divide(train, self, counts=counts)
            history = training.minimise(
                self.cost, self.nets, train, budget=self, warmup=self.warmup, counts=counts, divided=divided
            )
        self.ridge, self.share = {}, {}
        for pair in combinations(train.modalities, 2) if self.blend else ():
            if any(set(pair) <= set(block.values) for block in train.blocks):
                self._blend(train, pair, divided, seed)
        return history

    def build(self, train: View) -> None:
        """Make the networks, their linear paths at canonical correlation analysis."""
        super().build(train)
        self.contrast = Contrast(self.sharpness)
        rotations, whiteners = {}, {}
        if self.components is not None:
            seed = int(torch.randint(2**31, ()))
            cells = {m: train.observing(m).values[m] for m in train.modalities}
            whiteners = {m: whitened(x, self.components, seed) for m, x in cells.items()}
        if self.linear_path == "cca":
            rotations = canonical_rotations(whiteners, train, self.latent)
        self.encoders = nn.ModuleDict(
            {
                m: ResidualEncoder(whiteners.get(m), d, self.hidden, self.latent, rotations.get(m))
                for m, d in train.features.items()
            }
        )

    def _blend(self, train: View, pair: tuple[str, str], divided: Divided, seed: int) -> None:
        """Fit ridge between two modalities, and find the decoder's share in each direction, which cells held out decide.

        The share has the least squared error among all between 0 and 1. What stands beside it then is a ridge that has not
        seen those cells; the one that is kept has seen all.
        """
        fitted, held_out = ([x for x in part if set(pair) <= set(x)] for part in (map(_all_of, divided[0]), divided[1]))
        blocks = [_cells(x.only(*pair)) for x in fitted]
        sizes = {m: train.features[m] for m in pair}
        ridge = Ridge(components=self.ridge_components)
        ridge.fit(View(tuple(blocks), sizes), seed)
        whole = Ridge(components=self.ridge_components)
        whole.fit(View((train.observing(*pair),), sizes), seed)
        for source, target in permutations(pair):
            across = along = 0.0
            for cells in (_cells(x.only(*pair)) for x in held_out):
                linear, decoded = ridge.impute(cells.only(source), target), super().impute(cells.only(source), target)
                across += float(((cells.values[target] - linear) * (decoded - linear)).sum())
                along += float(((decoded - linear) ** 2).sum())
            self.ridge[source, target] = whole
            self.share[source, target] = min(max(across / along, 0.0), 1.0) if along else 0.5

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights of all networks, and each direction's share and ridge."""
        blend = described({"ridge": self.ridge, "share": self.share})
        return super().state() | {f"{BLEND}{name}": x for name, x in blend.items()}

    def load(self, state: dict[str, np.ndarray], train: View) -> None:
        """Make networks and ridges again from what :meth:`state` returned."""
        super().load({name: x for name, x in state.items() if not name.startswith(BLEND)}, train)
        vars(self).update(restored({name.removeprefix(BLEND): x for name, x in state.items() if name.startswith(BLEND)}))

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the blend of ridge and decoder, the mean over what is observed, (cells, features), standardised.

        Where a direction has no ridge, for lack of pairs or because none was asked for, the decoder at the latent.
        """
        return np.mean([self._imputed(cells.only(source), source, target) for source in cells.modalities], axis=0)

    def _imputed(self, cells: Cells, source: str, target: str) -> np.ndarray:
        decoded = super().impute(cells, target)
        if (source, target) not in self.ridge:
            return decoded
        share = self.share[source, target]
        return share * decoded + (1 - share) * self.ridge[source, target].impute(cells, target)


def whitened(x: np.ndarray, components: int, seed: int) -> WhitenedComponents:
    """Return the leading principal components of (cells, features): fewer where there are fewer features or cells."""
    pca = PCA(min(components, min(x.shape) - 1), random_state=seed).fit(x)
    return WhitenedComponents(pca.mean_, pca.components_.T, np.sqrt(pca.explained_variance_))


def _all_of(block: Block) -> Minibatch:
    return block.take(torch.arange(block.cells, device=training.device()))


def _cells(x: Minibatch) -> Cells:
    names = np.arange(x.cells).astype(str).astype(object)
    return Cells(names=names, values={m: values.cpu().numpy() for m, values in x.items()})
