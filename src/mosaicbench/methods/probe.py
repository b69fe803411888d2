"""Probes of frozen encoders: what an embedding of RNA says of the other modalities, linearly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal
from zlib import crc32

import numpy as np

from mosaicbench.contract import Cells, History, Split, Truth
from mosaicbench.errors import NotApplicable
from mosaicbench.methods.linear import Linear, Ridge, components_of

CARDS = {
    "probe": {
        "label": "Probe",
        "kind": "baseline",
        "scenarios": ("paired", "mosaic"),
        "inputs": ("pairs", "embedding"),
        "summary": "Judges an embedding of RNA that another program made, such as a foundation model's: CCA and ridge "
        "regressions between it and the other modalities. Without a file, of RNA's principal components or genes.",
        "deviates": "As CCA and Ridge, with the embedding in place of RNA's values, divided by one number. RNA is imputed "
        "through the embedding: a regression predicts it, another one its genes.",
    },
    "probe_control": {
        "label": "Control of the probe",
        "kind": "control",
        "scenarios": ("paired",),
        "inputs": ("pairs", "solution"),
        "summary": "The probe of an embedding that knows nothing (noise: FOSCTTM 0.5, skill 0), or of a perfect one (oracle): "
        "the other modalities' measured values.",
    },
}

RNA, EMBEDDING = "rna", "embedding"
COMPONENTS = 50  # of `pca`
NOISE = 64  # dimensions of `noise`


class _Probe(Linear):
    """CCA and ridge in which the result of `encode` replaces RNA's values."""

    def fit(self, train: Split, seed: int) -> History:
        """Fit the maps between embedding and modalities, and from the embedding to genes."""
        if RNA not in train.modalities:
            raise NotApplicable(f"it reads the modality {RNA!r}, which these data lack")
        self.prepare(train, seed)
        rna = train.observing(RNA)
        z = self.encode(rna)
        self.spread = max(np.sqrt(z.var(axis=0).mean()), np.finfo(np.float32).eps)
        values = {EMBEDDING: z / self.spread, RNA: rna.values[RNA]}
        self.width = z.shape[1]
        self.decoder = Ridge(components=self.regression_components)
        features = {EMBEDDING: self.width, RNA: train.features[RNA]}
        self.decoder.fit(Split((Cells(rna.names, values),), features), seed)
        return super().fit(replace(train, blocks=tuple(map(self._encoded, train.blocks))), seed)

    def prepare(self, train: Split, seed: int) -> None:
        """Make what `encode` needs."""

    def encode(self, cells: Cells) -> np.ndarray:
        """Return the embedding of cells with RNA, (cells, dims)."""
        raise NotImplementedError

    def _encoded(self, cells: Cells) -> Cells:
        if RNA not in cells.values:
            return cells
        return replace(cells, values=cells.values | {RNA: self.encode(cells) / self.spread})

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the canonical variates, averaged over what is observed, (cells, latent)."""
        return super().embed(self._encoded(cells))

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the regression's prediction, (cells, features); of RNA, through the embedding."""
        values = super().impute(self._encoded(cells), target)
        if target != RNA:
            return values
        return self.decoder.impute(Cells(cells.names, {EMBEDDING: values}), RNA)

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return the regression's draws, (cells, features, draws); of RNA, through the embedding."""
        if target != RNA:
            return super().draw(self._encoded(cells), target, features, draws, seed)
        embeddings = super().draw(cells, RNA, np.arange(self.width), draws, seed)
        drawn = [
            self.decoder.draw(
                Cells(cells.names, {EMBEDDING: embeddings[:, :, number]}),
                RNA,
                features,
                1,
                [seed, number],
            )
            for number in range(draws)
        ]
        return np.concatenate(drawn, axis=2)


@dataclass(kw_only=True)
class Probe(_Probe):
    """Probe: the embedding of an encoder that nobody trains here.

    Attributes
    ----------
    embedding
        An ``.h5ad`` with a row for each cell, found by its name; "pca", 50 principal components of
        the train cells' RNA; or "genes", RNA's values.
    key
        Where the file's ``obsm`` has the embedding, or "X".
    seen
        Whether the encoder was trained on these cells; None if that is not known.
    """

    embedding: str = "pca"
    key: str = "X"
    seen: bool | None = None

    def __post_init__(self) -> None:
        if not self.embedding.endswith(".h5ad") and self.embedding not in ("pca", "genes"):
            raise ValueError(
                f"embedding: {self.embedding!r} is neither an .h5ad file nor pca or genes"
            )

    def receive(self, vectors: dict[str, np.ndarray]) -> None:
        """Receive the file's rows, name of a cell -> (dims,)."""
        self.vectors = vectors

    def prepare(self, train: Split, seed: int) -> None:
        """Fit the principal components, if they are the embedding."""
        if self.embedding == "pca":
            x = train.observing(RNA).values[RNA]
            self.encoder = components_of(x, COMPONENTS, seed).fit(x)

    def encode(self, cells: Cells) -> np.ndarray:
        """Return the embedding of cells with RNA, (cells, dims)."""
        if self.embedding == "genes":
            return cells.values[RNA]
        if self.embedding == "pca":
            return self.encoder.transform(cells.values[RNA])
        return np.array([self.vectors[name] for name in cells.names])


@dataclass(kw_only=True)
class ProbeControl(_Probe):
    """The probe of "noise", which a cell's name decides, or of "oracle", the other modalities."""

    embedding: Literal["noise", "oracle"] = "noise"

    def reveal(self, truth: Truth) -> None:
        """Receive the solution."""
        self.truth = truth

    def prepare(self, train: Split, seed: int) -> None:
        """Note the seed, and the other modalities' values of train cells."""
        self.seed = seed
        cells = train.observing(*train.modalities)
        self.others = [m for m in train.modalities if m != RNA]
        values = np.concatenate([cells.values[m] for m in self.others], axis=1)
        self.vectors = dict(zip(cells.names, values, strict=True))

    def encode(self, cells: Cells) -> np.ndarray:
        """Return the embedding of cells with RNA, (cells, dims)."""
        if self.embedding == "noise":
            return np.array([self._noise_of(name) for name in cells.names])
        rows = self.truth.rows_of(cells)
        if rows is None:
            return np.array([self.vectors[name] for name in cells.names])
        return np.concatenate([self.truth.values[m][rows] for m in self.others], axis=1)

    def _noise_of(self, name: str) -> np.ndarray:
        return np.random.default_rng([self.seed, crc32(name.encode())]).standard_normal(NOISE)
