"""scVAEIT: one encoder of all features and of a mask, trained to fill in masked features.

    loss = (1 - w) NLL(x | all observed) + w NLL(masked x | the rest)
           + kl KL(q(z | the rest) || q(z | all observed))

Single features and whole modalities are masked at random in every step. Reference: Du et al. 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
import torch

from mosaicbench.contract import Cells, History, Split
from mosaicbench.models.likelihoods import expected_lsi
from mosaicbench.peers._package import apart, before_standardising, history, need
from mosaicbench.peers._scvi import Batches, Blockwise, all_of, side_by_side, standardised

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
    "space": ("latent", "unobserved", "kl"),
}

# kind -> likelihood, width of the first and last layer, width of the mask's embedding, as in the
# documentation's example of three modalities; there the peaks of each of 22 chromosomes have 16 and 2
BLOCKS = {"lognorm": ("NB", 256, 32), "clr": ("NB", 128, 16), "lsi": ("Bernoulli", 352, 44)}
HIDDEN = 256  # width of the layer between those of the modalities and z


@dataclass(kw_only=True)
class ScVaeit(Blockwise):
    """The package's defaults, with its documentation's networks and epochs for three modalities.

    Attributes
    ----------
    latent
        Dimensions of z.
    unobserved
        Weight of masked features; observed ones have 1 minus it.
    kl
        Weight of the divergence of the posterior given the rest from that given all features.
    epochs
        There is no early stopping.
    """

    latent: Annotated[int, "at least 1", {"int": [8, 64], "log": True}] = 32
    unobserved: Annotated[float, "at least 0 and at most 1", {"float": [0.3, 0.95]}] = 0.667
    kl: Annotated[float, "at least 0", {"float": [0.2, 10.0], "log": True}] = 2.0
    epochs: Annotated[int, "at least 1"] = 300

    def fit(self, train: Split, seed: int) -> History:
        """Train on all cells, whatever was measured in them."""
        need(CARD, counts_of=train)
        self.normalizations = train.normalizations
        self.widths = {m: len(self.normalizations[m].fraction) for m in train.modalities}
        blocks = [BLOCKS[self.normalizations[m].kind] for m in train.modalities]
        likelihoods, layers, embeddings = zip(*blocks, strict=True)
        widths, names = np.array(list(self.widths.values())), np.array(train.modalities)
        config = {
            "dim_input_arr": widths,
            "dim_block": widths,
            "dist_block": list(likelihoods),
            "dim_block_enc": np.array(layers),
            "dim_block_dec": np.array(layers),
            "dim_block_embed": np.array(embeddings),
            "block_names": names,
            "uni_block_names": names,
            "dimensions": [HIDDEN],
            "dim_latent": self.latent,
            "beta_unobs": self.unobserved,
            "beta_kl": self.kl,
            "beta_modal": 1 / widths / (1 / widths).sum(),
            "p_modal": np.full(len(names), 1 / len(names)),
        }
        x = np.concatenate([self._read(block) for block in train.blocks])
        masks = np.stack([self._mask(block.modalities) for block in train.blocks])
        of_cells = np.repeat(np.arange(len(masks)), list(map(len, train.blocks)))
        batches = all_of(train.blocks, "batches").astype(str)
        with apart(seed):
            import tensorflow as tf
            from scVAEIT import VAEIT

            tf.keras.utils.set_random_seed(seed)
            threads = torch.get_num_threads()
            if tf.config.threading.get_intra_op_parallelism_threads() != threads:
                tf.config.threading.set_intra_op_parallelism_threads(threads)
                tf.config.threading.set_inter_op_parallelism_threads(threads)
            model = VAEIT(config, x, masks, of_cells, batches[:, None])
            losses = model.train(num_epoch=self.epochs)
        rows = history(loss=losses["train"]["total"])
        self.model, self.batches = model.vae, Batches(batches, list(model.cat_enc.categories_[0]))
        return rows

    def _z(self, cells: Cells) -> np.ndarray:
        return self._posterior(cells)[3].numpy()

    def _expected(self, cells: Cells, target: str) -> torch.Tensor:
        normalization, widths = self.normalizations[target], self.widths
        decoded = torch.as_tensor(self._decoded(cells)).split(list(widths.values()), dim=1)
        values = expected_lsi if normalization.kind == "lsi" else standardised
        return values(decoded[list(widths).index(target)], normalization)

    def _read(self, cells: Cells) -> np.ndarray:
        def of(few: Cells, modality: str) -> np.ndarray:
            normalization = self.normalizations[modality]
            if normalization.kind == "lsi":
                return (few.counts[modality] > 0).toarray()
            return before_standardising(few, modality, normalization)

        return side_by_side(cells, self.widths, of)

    def _mask(self, observed: tuple[str, ...]) -> np.ndarray:
        of_modalities = [0.0 if m in observed else -1.0 for m in self.widths]
        return np.repeat(of_modalities, list(self.widths.values())).astype(np.float32)

    def _posterior(self, cells: Cells) -> tuple:
        """Return what the decoder reads: x, hidden, batches, the posterior's mean, skipped."""
        import tensorflow as tf

        observed = np.tile(self._mask(cells.modalities) == 0, (len(cells), 1))
        codes = self.batches.of(cells.batches)[:, 0].numpy()
        x = tf.constant(self._read(cells))
        batches = tf.constant(np.eye(len(self.batches.codes), dtype=np.float32)[codes])
        hidden = self.model.embed_layer(tf.constant((~observed).astype(np.float32)), training=False)
        mean, _, _, skipped = self.model.encoder(
            x, tf.constant(observed), hidden, batches, L=1, training=False
        )
        return x, hidden, batches, mean, tf.zeros_like(skipped)

    def _decoded(self, cells: Cells) -> np.ndarray:
        import tensorflow as tf

        x, hidden, batches, mean, skipped = self._posterior(cells)
        everything = tf.ones_like(x, dtype=tf.bool)
        z = mean[:, None]  # one draw of the posterior, at its mean
        decoder = partial(self.model.decoder, training=False, return_prob=False)
        return decoder(x, hidden, everything, batches, z, skipped)[:, 0].numpy()
