"""Controls: what no information, cell types alone, and a perfect answer score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mosaicbench.contract import Cells, History, Split, Truth

CARDS = {
    "constant": {
        "label": "Constant latent",
        "kind": "control",
        "scenarios": ("paired", "mosaic", "unpaired"),
        "inputs": (),
        "summary": "The same latent for every cell: FOSCTTM 0.5 because ties count half; its status must read collapsed.",
    },
    "random_latent": {
        "like": "constant",
        "label": "Random latent",
        "tested_for": ("random",),
        "summary": "Standard normal noise for every cell and source: FOSCTTM 0.5, label transfer at chance.",
    },
    "train_mean": {
        "like": "constant",
        "label": "Train mean",
        "summary": "Imputes the mean profile of the train cells into every cell: the zero of every skill. All its draws "
        "are that mean, so no interval has any width: what a collapsed prediction looks like.",
    },
    "label_oracle": {
        "label": "Label oracle",
        "kind": "control",
        "scenarios": ("paired", "mosaic", "unpaired"),
        "inputs": ("solution", "labels"),
        "summary": "All cells of a type share one latent: FOSCTTM is the label floor, and 0.5 within a type.",
    },
    "celltype_mean": {
        "like": "label_oracle",
        "label": "Cell-type mean",
        "summary": "Imputes the mean profile of the train cells of the query cell's true type: zero of its skill. Its draws are "
        "values of those cells.",
    },
    "oracle": {
        "like": "label_oracle",
        "label": "Oracle",
        "tested_for": ("aligns", "imputes", "random"),
        "summary": "Knows the solution: one latent per cell in every modality, cell types far apart, the true values imputed; "
        "the truth is hidden among draws that differ from it by known noise, so that their calibration is right by construction.",
    },
    "shuffled": {
        "like": "label_oracle",
        "label": "Shuffled",
        "tested_for": ("random",),
        "summary": "The oracle's latents and values, permuted among the query cells of each modality: whatever is not chance "
        "here is a property of the metric or of the data's marginals. Its draws are values of any query cells: calibrated, and of "
        "no cell in particular.",
    },
}


@dataclass(kw_only=True)
class Constant:
    """A constant latent, zeros: what total collapse looks like."""

    latent: Annotated[int, "at least 1"] = 20

    def fit(self, train: Split, seed: int) -> History:
        """Learn nothing."""
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return zeros, (cells, latent)."""
        return np.zeros((len(cells), self.latent))


@dataclass(kw_only=True)
class RandomLatent:
    """Random latents, drawn anew at every call: what no information looks like."""

    latent: Annotated[int, "at least 1"] = 20

    def fit(self, train: Split, seed: int) -> History:
        """Start the generator."""
        self.random = np.random.default_rng(seed)
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return noise, (cells, latent)."""
        return self.random.standard_normal((len(cells), self.latent))


@dataclass(kw_only=True)
class TrainMean:
    """The imputation that looks at no cell: zero in standardised values, the train cells' mean."""

    def fit(self, train: Split, seed: int) -> History:
        """Note the numbers of features."""
        self.features = train.features
        return []

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the mean profile for every cell, (cells, features)."""
        return np.zeros((len(cells), self.features[target]), dtype=np.float32)

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return the mean profile as every draw, (cells, features, draws)."""
        return np.zeros((len(cells), len(features), draws), dtype=np.float32)


class _Informed:
    """A control that receives the solution before `fit`."""

    def reveal(self, truth: Truth) -> None:
        """Receive the solution."""
        self.truth = truth

    def types_in(self, train: Split) -> np.ndarray:
        """Return the types of all cells, (types,); an unknown one, "", is one of them."""
        known = [block.labels for block in train.blocks] + [self.truth.labels]
        return np.unique(np.concatenate(known).astype(str))


@dataclass(kw_only=True)
class LabelOracle(_Informed):
    """The true cell type, one-hot, and nothing more: what a score gives for labels alone."""

    def fit(self, train: Split, seed: int) -> History:
        """Learn which types there are."""
        self.types = self.types_in(train)
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the type, (cells, types)."""
        rows = self.truth.rows_of(cells)
        labels = cells.labels if rows is None else self.truth.labels[rows]
        return (labels.astype(str)[:, None] == self.types).astype(float)


@dataclass(kw_only=True)
class CelltypeMean(_Informed):
    """The mean of the train cells of a cell's true type; zero, the mean of all, without one."""

    def fit(self, train: Split, seed: int) -> History:
        """Take the mean of each type and modality over the train cells that were measured."""
        self.features, self.means, self.cells = train.features, {}, {}
        for modality in train.modalities:
            cells = train.observing(modality)
            x, types = cells.values[modality], cells.labels.astype(str)
            self.cells[modality] = (x, types)
            self.means[modality] = {
                name: x[types == name].mean(axis=0) for name in np.unique(types) if name
            }
        return []

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the mean profile of each cell's true type, (cells, features)."""
        means, everywhere = self.means[target], np.zeros(self.features[target])
        labels = self.truth.labels[self.truth.rows_of(cells)]
        return np.array([means.get(label, everywhere) for label in labels], dtype=np.float32)

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return values of train cells of each cell's true type, (cells, features, draws)."""
        random, (x, types) = np.random.default_rng(seed), self.cells[target]
        values = x[:, features]
        labels = self.truth.labels[self.truth.rows_of(cells)].astype(str)
        drawn = np.empty((len(cells), len(features), draws), dtype=np.float32)
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            alike = np.flatnonzero((types == label) | (label not in self.means[target]))
            drawn[rows] = np.moveaxis(values[random.choice(alike, (len(rows), draws))], 1, 2)
        return drawn


DRAWN_SD = 0.1  # of that noise, in standard deviations of the train cells


@dataclass(kw_only=True)
class Oracle(_Informed):
    """A perfect answer: the cell's true type, one-hot, beside a little noise of each cell."""

    noise: Annotated[int, "at least 0"] = 8

    def fit(self, train: Split, seed: int) -> History:
        """Give every query cell its own noise."""
        self.types, self.random = self.types_in(train), np.random.default_rng(seed)
        size = (len(self.truth.labels), self.noise)
        self.noises = 0.1 * np.random.default_rng(seed).standard_normal(size)
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return type and noise, (cells, types + noise)."""
        rows = self.rows_of(cells)
        if rows is None:
            noise = 0.1 * self.random.standard_normal((len(cells), self.noise))
            labels = cells.labels
        else:
            labels, noise = self.truth.labels[rows], self.noises[rows]
        return np.concatenate([labels.astype(str)[:, None] == self.types, noise], axis=1)

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the true values, (cells, features); the train mean, 0, of cells without them."""
        return self.truth.values[target][self.rows_of(cells)]

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return draws around a centre that the truth is a draw around, too."""
        random = np.random.default_rng([seed, 2])
        truth = self.impute(cells, target)[:, features]
        centre = truth + DRAWN_SD * random.standard_normal(truth.shape)
        return centre[:, :, None] + DRAWN_SD * random.standard_normal((*truth.shape, draws))

    def rows_of(self, cells: Cells) -> np.ndarray | None:
        """Return the numbers of query cells in the solution, (cells,); None for train cells."""
        return self.truth.rows_of(cells)


@dataclass(kw_only=True)
class Shuffled(Oracle):
    """A perfect answer, given to the wrong cells: every call permutes the query cells anew."""

    def fit(self, train: Split, seed: int) -> History:
        """Prepare the oracle and the permutations."""
        self.permutations = np.random.default_rng([seed, 1])
        return super().fit(train, seed)

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return values of query cells drawn at random, (cells, features, draws)."""
        values = self.truth.values[target][:, features]
        rows = np.random.default_rng([seed, 2]).integers(len(values), size=(len(cells), draws))
        return np.moveaxis(values[rows], 1, 2)

    def rows_of(self, cells: Cells) -> np.ndarray | None:
        """Return the numbers of query cells, permuted, (cells,); None for train cells."""
        rows = super().rows_of(cells)
        return None if rows is None else self.permutations.permutation(rows)
