"""scVAEIT: one encoder of all features together and a mask that says which of them it sees, trained to fill in what is masked.

    loss = (1 - w) NLL(x | all shown) + w NLL(masked x | the rest) + kl KL(q(z | the rest) || q(z | all shown))

Single features and whole modalities are masked at random in every step. Reference: Du et al. 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch

from mosaicbench.contract import Cells, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models.likelihoods import expected_lsi
from mosaicbench.peers._package import apart, before_standardising, history, need
from mosaicbench.peers._scvi import Batches, piecewise

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
    "training, and latents are the posterior's mean. Peaks are one block instead of one per chromosome, since a split does not "
    "say where a peak lies. Proteins are read as CLR; the documentation takes the logarithm of shares. Modalities weigh by "
    "their number of features, inversely: the documentation wants their likelihoods of one order. A batch that was not trained "
    "on is read as the largest. It is installed without Jupyter, which its metadata asks for.",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "unobserved": {"float": [0.3, 0.95]},
        "kl": {"float": [0.2, 10.0], "log": True},
    },
}

# A modality's space -> its likelihood, the width of its first and last layer, and that of its mask's embedding, as in the
# documentation's three modalities; there, each of 22 chromosomes' peaks have 16 and 2.
BLOCKS = {"lognorm": ("NB", 256, 32), "clr": ("NB", 128, 16), "lsi": ("Bernoulli", 352, 44)}


@dataclass(kw_only=True)
class ScVaeit:
    """The networks and epochs of the documentation's integration of three modalities; else the package's defaults.

    Attributes
    ----------
    latent, hidden
        Dimensions of z; width of the layer between the modalities' own and z.
    unobserved
        Weight of what was masked; what is shown weighs the rest to 1.
    kl
        Weight of the divergence of the posterior given what is left from that given all that was measured.
    masked
        Chance that a feature is masked, in the half of the cells in which single features are.
    epochs, batch_size, learning_rate
        Of AdamW. The package does not stop early unless it also writes every epoch to a disk; here it never does.
    """

    latent: Annotated[int, "at least 1"] = 32
    hidden: Annotated[int, "at least 1"] = 256
    unobserved: Annotated[float, "at least 0 and at most 1"] = 0.667
    kl: Annotated[float, "at least 0"] = 2.0
    masked: Annotated[float, "at least 0 and below 1"] = 0.2
    epochs: Annotated[int, "at least 1"] = 300
    batch_size: Annotated[int, "at least 2"] = 64
    learning_rate: Annotated[float, "above 0"] = 3e-4

    def fit(self, train: Split, seed: int) -> list[dict[str, float]]:
        """Train on all cells, whatever was measured in them."""
        need(CARD["wraps"])
        if lacking := [m for m in train.modalities if m not in train.normalizations]:
            raise NotApplicable(f"scVAEIT decodes counts, which {' and '.join(lacking)} lacks")
        self.normalizations, self.order = train.normalizations, list(train.modalities)
        self.widths = [len(self.normalizations[m].fraction) for m in self.order]
        likelihoods, layers, embeddings = zip(
            *(BLOCKS[self.normalizations[m].kind] for m in self.order), strict=True
        )
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
            if tf.config.threading.get_intra_op_parallelism_threads() != torch.get_num_threads():
                tf.config.threading.set_intra_op_parallelism_threads(torch.get_num_threads())
                tf.config.threading.set_inter_op_parallelism_threads(torch.get_num_threads())
            model = VAEIT(config, x, masks, of_cells, batches[:, None])
            told = model.train(
                num_epoch=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate
            )
        rows = history(loss=told["train"]["total"])
        self.model, self.batches = model.vae, Batches(batches, list(model.cat_enc.categories_[0]))
        return rows

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior means given what was measured, (cells, latent)."""
        return piecewise(lambda few: self._asked(few)["mean"].numpy(), cells)

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the expected values of `target` at the posterior mean, (cells, features), standardised."""
        place, normalization = self.order.index(target), self.normalizations[target]

        def expected(few: Cells) -> torch.Tensor | np.ndarray:
            part = np.split(self._decoded(**self._asked(few)), np.cumsum(self.widths)[:-1], axis=1)[
                place
            ]
            if normalization.kind == "lsi":
                return expected_lsi(torch.as_tensor(part), normalization)
            return (part - normalization.mean) / normalization.std

        return piecewise(expected, cells)

    def _read(self, cells: Cells) -> np.ndarray:
        """Return all modalities side by side, 0 where one was not measured, (cells, features)."""
        parts = []
        for m, width in zip(self.order, self.widths, strict=True):
            if m not in cells.values:
                parts.append(np.zeros((len(cells), width)))
            elif self.normalizations[m].kind == "lsi":
                parts.append((cells.counts[m] > 0).toarray())
            else:
                parts.append(before_standardising(cells, m, self.normalizations[m]))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _mask(self, shown: tuple[str, ...]) -> np.ndarray:
        """Return the package's mask of cells in which `shown` was measured, (features,): 0 there, -1 elsewhere."""
        return np.repeat([0.0 if m in shown else -1.0 for m in self.order], self.widths).astype(
            np.float32
        )

    def _asked(self, cells: Cells) -> dict[str, object]:
        """Return the posterior means of cells, and what else the decoder needs of them."""
        import tensorflow as tf

        observed = np.tile(self._mask(cells.modalities) == 0, (len(cells), 1))
        codes = np.eye(len(self.batches.codes), dtype=np.float32)[
            self.batches.of(cells.batches)[:, 0].numpy()
        ]
        x, batches = tf.constant(self._read(cells)), tf.constant(codes)
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
        """Return what the package expects of every feature given posterior means, (cells, features)."""
        import tensorflow as tf

        everything = tf.ones_like(x, dtype=tf.bool)
        z = mean[:, None]  # one draw of the posterior, at its mean
        return self.model.decoder(
            x, hidden, everything, batches, z, skipped, training=False, return_prob=False
        )[:, 0].numpy()
