"""scVAEIT: one encoder of all features and of a mask, trained to fill in masked features.

    loss = (1 - w) NLL(x | all observed) + w NLL(masked x | the rest)
           + kl KL(q(z | the rest) || q(z | all observed))

Single features and whole modalities are masked at random in every step. Reference: Du et al. 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch

from mosaicbench.contract import Cells, History, Split
from mosaicbench.models.likelihoods import expected_lsi
from mosaicbench.peers._package import apart, before_standardising, history, need, need_counts
from mosaicbench.peers._scvi import Batches, Blockwise

CARD = {
    "label": "scVAEIT",
    "kind": "model",
    "paper": "Du et al. 2022",
    "doi": "10.1073/pnas.2214414119",
    "scenarios": ("paired", "mosaic"),
    "inputs": ("pairs", "counts"),
    "wraps": {"package": "scvaeit", "module": "scVAEIT", "version": "1.1.1", "licence": "MIT"},
    "environment": "scvaeit",
    "summary": "The package's VAE of all features at once, in which single features and whole modalities are masked and filled "
    "in: negative binomials of log-normalised RNA and of proteins, Bernoulli of peaks. Embeds and imputes from any subset.",
    "deviates": "The package's accessors normalise a query's cells together; here each is normalised by the running means of "
    "training, and latents are the posterior's mean. Peaks are one block instead of one per chromosome: a split has no "
    "chromosomes. Proteins are read as CLR; the documentation takes the logarithm of fractions. The weight of a modality is "
    "inverse to its number of features: the documentation wants likelihoods of one order. A batch without train cells is read "
    "as the largest. It is installed without Jupyter, which its metadata asks for.",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "unobserved": {"float": [0.3, 0.95]},
        "kl": {"float": [0.2, 10.0], "log": True},
    },
}

# kind -> likelihood, width of the first and last layer, width of the mask's embedding, as in the
# documentation's example of three modalities; there the peaks of each of 22 chromosomes have 16 and 2
BLOCKS = {"lognorm": ("NB", 256, 32), "clr": ("NB", 128, 16), "lsi": ("Bernoulli", 352, 44)}


@dataclass(kw_only=True)
class ScVaeit(Blockwise):
    """The package's defaults, with its documentation's networks and epochs for three modalities.

    Attributes
    ----------
    latent, hidden
        Dimensions of z; width of the layer between those of the modalities and z.
    unobserved
        Weight of masked features; observed ones have 1 minus it.
    kl
        Weight of the divergence of the posterior given the rest from that given all observed
        features.
    masked
        Chance that a feature is masked, in the half of the cells in which single features are.
    epochs, batch_size, learning_rate
        Of AdamW. There is no early stopping: the package would also write every epoch to the disk.
    """

    latent: Annotated[int, "at least 1"] = 32
    hidden: Annotated[int, "at least 1"] = 256
    unobserved: Annotated[float, "at least 0 and at most 1"] = 0.667
    kl: Annotated[float, "at least 0"] = 2.0
    masked: Annotated[float, "at least 0 and below 1"] = 0.2
    epochs: Annotated[int, "at least 1"] = 300
    batch_size: Annotated[int, "at least 2"] = 64
    learning_rate: Annotated[float, "above 0"] = 3e-4

    def fit(self, train: Split, seed: int) -> History:
        """Train on all cells, whatever was measured in them."""
        need(CARD["wraps"])
        need_counts(train, "scVAEIT")
        self.normalizations, self.order = train.normalizations, list(train.modalities)
        self.widths = [len(self.normalizations[m].fraction) for m in self.order]
        blocks = [BLOCKS[self.normalizations[m].kind] for m in self.order]
        likelihoods, layers, embeddings = zip(*blocks, strict=True)
        weights = 1 / np.array(self.widths)
        config = {
            "dim_input_arr": np.array(self.widths),
            "dim_block": np.array(self.widths),
            "dist_block": list(likelihoods),
            "dim_block_enc": np.array(layers),
            "dim_block_dec": np.array(layers),
            "dim_block_embed": np.array(embeddings),
            "block_names": np.array(self.order),
            "uni_block_names": np.array(self.order),
            "dimensions": [self.hidden],
            "dim_latent": self.latent,
            "beta_unobs": self.unobserved,
            "beta_kl": self.kl,
            "beta_modal": weights / weights.sum(),
            "p_feat": self.masked,
            "p_modal": np.full(len(self.order), 1 / len(self.order)),
        }
        x = np.concatenate([self._read(block) for block in train.blocks])
        masks = np.stack([self._mask(block.modalities) for block in train.blocks])
        of_cells = np.repeat(np.arange(len(train.blocks)), [len(block) for block in train.blocks])
        batches = np.concatenate([block.batches for block in train.blocks]).astype(str)
        with apart(seed):
            import tensorflow as tf
            from scVAEIT import VAEIT

            tf.keras.utils.set_random_seed(seed)
            threads = torch.get_num_threads()
            if tf.config.threading.get_intra_op_parallelism_threads() != threads:
                tf.config.threading.set_intra_op_parallelism_threads(threads)
                tf.config.threading.set_inter_op_parallelism_threads(threads)
            model = VAEIT(config, x, masks, of_cells, batches[:, None])
            losses = model.train(
                num_epoch=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate
            )
        rows = history(loss=losses["train"]["total"])
        self.model, self.batches = model.vae, Batches(batches, list(model.cat_enc.categories_[0]))
        return rows

    def _z(self, cells: Cells) -> np.ndarray:
        return self._posterior(cells)["mean"].numpy()

    def _expected(self, cells: Cells, target: str) -> torch.Tensor | np.ndarray:
        place, normalization = self.order.index(target), self.normalizations[target]
        decoded = self._decoded(**self._posterior(cells))
        decoded = np.split(decoded, np.cumsum(self.widths)[:-1], axis=1)[place]
        if normalization.kind == "lsi":
            return expected_lsi(torch.as_tensor(decoded), normalization)
        return (decoded - normalization.mean) / normalization.std

    def _read(self, cells: Cells) -> np.ndarray:
        """Return all modalities side by side, 0 if not measured, (cells, features)."""
        parts = []
        for m, width in zip(self.order, self.widths, strict=True):
            if m not in cells.values:
                parts.append(np.zeros((len(cells), width)))
            elif self.normalizations[m].kind == "lsi":
                parts.append((cells.counts[m] > 0).toarray())
            else:
                parts.append(before_standardising(cells, m, self.normalizations[m]))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _mask(self, observed: tuple[str, ...]) -> np.ndarray:
        """Return the package's mask, (features,): 0 in observed modalities, -1 in others."""
        of_modalities = [0.0 if m in observed else -1.0 for m in self.order]
        return np.repeat(of_modalities, self.widths).astype(np.float32)

    def _posterior(self, cells: Cells) -> dict[str, object]:
        import tensorflow as tf

        observed = np.tile(self._mask(cells.modalities) == 0, (len(cells), 1))
        codes = self.batches.of(cells.batches)[:, 0].numpy()
        x = tf.constant(self._read(cells))
        batches = tf.constant(np.eye(len(self.batches.codes), dtype=np.float32)[codes])
        hidden = self.model.embed_layer(tf.constant((~observed).astype(np.float32)), training=False)
        mean, _, _, skipped = self.model.encoder(
            x, tf.constant(observed), hidden, batches, L=1, training=False
        )
        return {
            "x": x,
            "hidden": hidden,
            "batches": batches,
            "mean": mean,
            "skipped": tf.zeros_like(skipped),
        }

    def _decoded(self, *, x, hidden, batches, mean, skipped) -> np.ndarray:
        """Return the expected values of all features at the posterior means, (cells, features)."""
        import tensorflow as tf

        everything = tf.ones_like(x, dtype=tf.bool)
        z = mean[:, None]  # one draw of the posterior, at its mean
        return self.model.decoder(
            x, hidden, everything, batches, z, skipped, training=False, return_prob=False
        )[:, 0].numpy()
