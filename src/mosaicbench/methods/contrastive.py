"""Contrastive VAE: each modality alone must explain every modality, and tell its cell from others.

    loss = sum_m { - E_{q_m} [ sum_n log p(x_n | s_m, w_n) ] + beta KL(q_m || p) }
           + lambda sum_{m < n} contrast(s_m, s_n)

    q_m(s, w_m | x_m) has the mean W_m c_m + f_m(c_m);  c_m: whitened principal components of x_m;
        at the start f_m = 0, and W_m is CCA; w_n = 0 for n != m
    x_n is imputed from x_m as a R x_m + b D_n(mean s_m) + o;  R: ridge regression, D_n: the decoder's
        expectation, a, b >= 0: least squares on validation cells (stacking, Breiman 1996);
        o: mean of x_n less that of imputed values, over train cells of the batch, shrunk by
        what sampling explains of it (James & Stein 1961); 0 in a batch that lacks either

Only cells with several modalities are contrasted, all are reconstructed. Where linked features find
partners better than CCA of these does, a cell beside the mean of its mutual neighbours is one more.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Annotated, Literal

import numpy as np
import torch
from scipy.optimize import nnls
from torch import nn

from mosaicbench.contract import Cells, History, Split
from mosaicbench.methods._weak_pairs import carried_components, weakly_paired
from mosaicbench.methods.linear import Ridge, components_of
from mosaicbench.models import training
from mosaicbench.models.estimators import described, restored
from mosaicbench.models.losses import Contrast, Loss
from mosaicbench.models.minibatch import Minibatch
from mosaicbench.models.posteriors import kl
from mosaicbench.models.residual import ResidualEncoder, WhitenedComponents, canonical_rotations
from mosaicbench.models.training import Divided
from mosaicbench.models.vae import MixtureVAE, Supervised

CARDS = {
    "contrastive_vae": {
        "label": "Contrastive VAE",
        "kind": "model",
        "in_house": True,
        "scenarios": ("paired", "mosaic", "unpaired"),
        "inputs": ("pairs", "links"),
        "outputs": ("joint", "single", "private", "impute"),
        "tested_for": ("aligns", "imputes", "reconstructs", "generates", "random"),
        "paths": ("alone -> itself", "alone -> others", "contrast"),
        "advice": "Paired cells, to align and to impute with one fast model. On few cells mmaavi, CCA and ridge are as good or "
        "better, and without pairs scmodal (docs/results/own_model.md).",
        "summary": "This project's own. VAEs of whitened principal components with a linear path that starts as CCA; a contrast "
        "makes each cell's latents recognise it among others; imputes by decoder, kernel ridge and an offset of the batch together.",
        "deviates": "There is no original. Similar methods are DCCA, which correlates and does not contrast, and scCLIP and "
        "scPairing, which contrast cosines of randomly initialised networks.",
        "space": ("latent", "learning_rate", "beta", "contrast_weight", "sharpness", "components"),
    },
    "contrastive_vae_sup": {
        "like": "contrastive_vae",
        "label": "Contrastive VAE supervised",
        "inputs": ("pairs", "links", "labels"),
        "paths": ("alone -> itself", "alone -> others", "contrast", "types"),
        "advice": "As contrastive_vae, if train cells have types that the latent should follow. Scores of labels then reward "
        "the labels it was given; imputation and FOSCTTM do not.",
        "summary": "This project's own: the contrastive VAE with a linear decoder of the cell type from the shared latent.",
        "deviates": "There is no original.",
        "space": ("latent", "learning_rate", "beta", "contrast_weight", "label_weight"),
    },
}

BLEND = "blend "  # begins the names of what is no network's weight in a kept model
REGRESSION_COMPONENTS = {"linear": 100, "gaussian": 30}  # principal components that a ridge reads
NEAR = 30  # a weak partner is the mean of those that are, mutually, among so many nearest


@dataclass(kw_only=True)
class ContrastiveVAE(MixtureVAE):
    """{m} -> every t, and {m} against {n}.

    Attributes
    ----------
    contrast_weight, reconstruction_weight
        Of the contrast, and of all log-likelihoods; 0 removes the term.
    sharpness
        Of the contrast's similarity at the start; it is learned.
    components
        Most principal components that encoders read: one for ten pairs, at least ten; None:
        features.
    linear_path
        Around encoders' networks: "cca" at the start, or "none".
    regression
        Kernel of the ridge regression that imputation adds to the decoder, "gaussian" or
        "linear"; "none": decoder alone. Without a paired cell, "gaussian" is linear.
    batch_offsets
        Whether o is added, which assumes that a batch has the same cells in both modalities.
    learning_rate
        Of Adam, until the cooldown.
    """

    learning_rate: Annotated[float, "above 0", {"float": [0.0003, 0.003], "log": True}] = 1e-3
    contrast_weight: Annotated[float, "at least 0", {"float": [3.0, 300.0], "log": True}] = 30.0
    reconstruction_weight: Annotated[float, "at least 0"] = 1.0
    sharpness: Annotated[float, "above 0", {"float": [0.3, 3.0], "log": True}] = 1.0
    components: Annotated[int, "at least 1", {"int": [20, 100], "log": True}] | None = 50
    linear_path: Literal["cca", "none"] = "cca"
    regression: Literal["gaussian", "linear", "none"] = "gaussian"
    batch_offsets: bool = True

    carried = None  # modality -> components that its pairs carry, weak ones too, once fitted

    def __post_init__(self) -> None:
        if self.weights == "last" and self.regression != "none":
            raise ValueError(
                "weights: last holds out no cells, on which regression is weighed; take regression: none"
            )
        if self.components is None and self.linear_path == "cca":
            raise ValueError(
                "linear_path: cca rotates principal components; with components: null take linear_path: none"
            )

    def loss(self, x: Minibatch, progress: float) -> Loss:
        """Return the named losses."""
        posteriors, loss, latents = self.encode(x), Loss(), []
        draws = {source: q.rsample() for source, q in posteriors.items()}
        for source, q in posteriors.items():
            shared, private = draws[source].split([self.latent, self.private], -1)
            latents.append(shared)
            if self.reconstruction_weight:
                loss += self.reconstruction_weight * self.nll_of(x, shared, {source: private}, x)
            loss += self.annealed(progress) * kl(q) + self.nll_label(x, shared)
        if self.contrast_weight:
            loss += self.contrast_weight * self.contrast(latents)
        return loss

    # --- the method's contract ---

    def fit(self, train: Split, seed: int) -> History:
        """Train, then fit regressions and their weights in imputation."""
        kernel, cells = self.regression, train
        if kernel == "gaussian" and all(len(block.modalities) == 1 for block in train.blocks):
            kernel = "linear"
        train = weakly_paired(train, NEAR)
        self.carried = carried_by_pairs(train)
        with training.seeded(seed):
            self.make(train)
            divided = training.divide(train, self, counts=self.counted())
            history = training.minimise(
                self.loss, self.nets, train, budget=self, warmup=self.warmup, divided=divided
            )
        self.ridge, self.shares, self.offsets = {}, {}, {}
        for pair in combinations(train.modalities, 2) if kernel != "none" else ():
            if any(set(pair) <= set(block.values) for block in train.blocks):
                self._blend(train, pair, divided, kernel, seed)
        for pair in permutations(train.modalities, 2) if self.batch_offsets else ():
            self.offsets[pair] = self._offsets(cells, *pair)
        return history

    def build(self, train: Split) -> None:
        """Make the networks, with linear paths that start at CCA."""
        super().build(train)
        self.contrast = Contrast(self.sharpness)
        rotations, whiteners = {}, {}
        if self.components is not None:
            seed = int(torch.randint(2**31, ()))
            for m, carried in (self.carried or carried_by_pairs(train)).items():
                components = min(self.components, carried)
                whiteners[m] = whitened(train.observing(m).values[m], components, seed)
        if self.linear_path == "cca":
            rotations = canonical_rotations(whiteners, train, self.latent)
        sizes, dropout = (self.hidden, self.latent + self.private), self.input_dropout
        encoders = {
            m: ResidualEncoder(whiteners.get(m), d, *sizes, rotations.get(m), dropout=dropout)
            for m, d in train.features.items()
        }
        self.encoders = nn.ModuleDict(encoders)

    def _blend(
        self, train: Split, pair: tuple[str, str], divided: Divided, kernel: str, seed: int
    ) -> None:
        """Fit regressions between two modalities, and their weights beside the decoder's.

        Validation cells decide the weights, of a regression fitted without them; the kept
        one is fitted to all cells.
        """
        parts, held_out = divided
        fitted = [part.take(torch.arange(part.cells, device=training.device())) for part in parts]
        fitted, held_out = (
            [_cells(x.only(*pair)) for x in blocks if set(pair) <= set(x)]
            for blocks in (fitted, held_out)
        )
        sizes = {m: train.features[m] for m in pair}
        options = {"components": REGRESSION_COMPONENTS[kernel], "kernel": kernel}
        ridge, whole = Ridge(**options), Ridge(**options)
        ridge.fit(Split(tuple(fitted), sizes), seed)
        whole.fit(Split((train.observing(*pair),), sizes), seed)
        for source, target in permutations(pair):
            gram, product = np.zeros((2, 2)), np.zeros(2)
            for cells in held_out:
                observed = cells.only(source)
                predictions = ridge.impute(observed, target), super().impute(observed, target)
                members = np.array([x.ravel() for x in predictions], float)
                gram += members @ members.T  # of (2, cells x features)
                product += members @ cells.values[target].ravel()
            self.ridge[source, target] = whole
            self.shares[source, target] = stacked(gram, product) if held_out else (0.5, 0.5)

    def _offsets(self, train: Split, source: str, target: str) -> dict[str, np.ndarray]:
        """Return batch -> (features,) shrunk mean of measured less imputed values."""
        shown, measured, found = train.observing(source), train.observing(target), {}
        imputed = self.impute(shown, target)
        unexplained = max(0, np.sum(measured.values[target].var(0) - imputed.var(0)))
        for batch in train.batches:
            x = measured.values[target][measured.batches == batch]
            y = imputed[shown.batches == batch]
            if count := min(len(x), len(y)):
                more = x.mean(0) - y.mean(0)
                found[batch] = more * max(0, 1 - unexplained / count / (more @ more))
        return found

    def state(self) -> dict[str, np.ndarray]:
        """Return all networks' weights, and each direction's regression."""
        names = ("ridge", "shares", "offsets", "carried")
        blend = described({name: getattr(self, name) for name in names})
        return super().state() | {f"{BLEND}{name}": x for name, x in blend.items()}

    def load(self, state: dict[str, np.ndarray], train: Split) -> None:
        """Restore a :meth:`state`."""
        blend = {name: x for name, x in state.items() if name.startswith(BLEND)}
        vars(self).update(restored({name.removeprefix(BLEND): x for name, x in blend.items()}))
        super().load({name: state[name] for name in state.keys() - blend.keys()}, train)

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the weighted sum of regression and decoder, and the batch's offset.

        Averaged over what is observed; without a regression, the decoder alone.
        """
        imputed = []
        for source in cells.modalities:
            observed = cells.only(source)
            x = super().impute(observed, target)
            direction = source, target
            if direction in self.ridge:
                of_ridge, of_decoder = self.shares[direction]
                x = of_ridge * self.ridge[direction].impute(observed, target) + of_decoder * x
            for batch, offset in self.offsets.get(direction, {}).items():
                x[cells.batches == batch] += offset
            imputed.append(x)
        return np.mean(imputed, axis=0)


def carried_by_pairs(train: Split) -> dict[str, int]:
    """Return modality -> components, by cells shared with one other."""
    shared = dict.fromkeys(train.modalities, 0)
    for pair in combinations(train.modalities, 2):
        cells = sum(len(block) for block in train.blocks if set(pair) <= set(block.values))
        shared |= {m: max(shared[m], cells) for m in pair}
    return {m: carried_components(cells) for m, cells in shared.items()}


def whitened(x: np.ndarray, components: int, seed: int) -> WhitenedComponents:
    """Return the leading principal components of (cells, features)."""
    pca = components_of(x, components, seed).fit(x)
    return WhitenedComponents(pca.mean_, pca.components_.T, np.sqrt(pca.explained_variance_))


def stacked(gram: np.ndarray, product: np.ndarray) -> np.ndarray:
    """Return the weights >= 0 of predictions whose weighted sum has the least squared error.

    `gram`: (predictions, predictions) sums of products; `product`: (predictions,), with the truth.
    """
    root = np.linalg.cholesky(gram + 1e-9 * (np.trace(gram) + 1) * np.eye(len(gram)))
    weights, _ = nnls(root.T, np.linalg.solve(root, product))
    return weights


def _cells(x: Minibatch) -> Cells:
    return Cells(np.arange(x.cells), {m: values.cpu().numpy() for m, values in x.items()})


@dataclass(kw_only=True)
class SupervisedContrastiveVAE(Supervised, ContrastiveVAE):
    """Contrastive VAE whose shared latent must also tell the known cell types.

    loss = contrastive VAE's + sum_m { - label_weight E_{q_m} [ log p(y | s_m) ] }
    """
