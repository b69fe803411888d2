"""The contract of methods: `Split`, `Cells`, `Truth` (for positive controls) and `Method`.

A modality that was not measured in a cell is absent from the dicts of that cell's block; there are
no masks and no zeros for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

# One dict per epoch: name of a loss -> value; [] of a method without epochs.
History = list[dict[str, float]]
BY_MODALITY = ("values", "counts", "library_size", "gene_activity")  # parts of `Cells`, dicts


@dataclass(frozen=True)
class Cells:
    """Cells with the same observed modalities.

    Attributes
    ----------
    names
        (cells,) unique names.
    values
        modality -> (cells, features) float32, standardised with the train cells' mean and sd.
    labels
        (cells,) cell types, "" if unknown; None unless the card's inputs have labels.
    batches
        (cells,) batch names.
    counts
        modality -> (cells, counted features) raw counts, sparse: the features of `values`, but for
        LSI its peaks. Only of modalities with counts; of query cells only if an input.
    library_size
        modality -> (cells,) counts of the whole modality, with features that were not chosen.
    gene_activity
        modality -> (cells, genes) counts of all ATAC features linked with each chosen gene, sparse;
        only if links are an input.
    """

    names: np.ndarray
    values: dict[str, np.ndarray]
    labels: np.ndarray | None = None
    batches: np.ndarray | None = None
    counts: dict[str, sparse.csr_matrix] = field(default_factory=dict)
    library_size: dict[str, np.ndarray] = field(default_factory=dict)
    gene_activity: dict[str, sparse.csr_matrix] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The observed modalities."""
        return tuple(self.values)

    def only(self, *modalities: str) -> Cells:
        """Return the same cells as if only `modalities` had been measured."""

        def of(part: dict) -> dict:
            return {m: part[m] for m in modalities if m in part}

        return replace(
            self,
            values={m: self.values[m] for m in modalities},
            counts=of(self.counts),
            library_size=of(self.library_size),
            gene_activity=of(self.gene_activity),
        )

    def take(self, rows: np.ndarray) -> Cells:
        """Return the cells at `rows`, positions or a mask."""
        parts = {}
        for name, part in vars(self).items():
            if isinstance(part, dict):
                parts[name] = {m: x[rows] for m, x in part.items()}
            else:
                parts[name] = None if part is None else part[rows]
        return Cells(**parts)


@dataclass(frozen=True)
class Normalization:
    """How counts become values, learned from train cells of one modality.

    Attributes
    ----------
    kind
        "lognorm", "clr" or "lsi".
    mean, std
        (features,) moments of the values.
    library_size
        Median total count of a cell.
    fraction
        (counted features,) fraction of all counts.
    accessible
        (counted features,) fraction of the cells with any count.
    mean_if_accessible
        (peaks,) mean TF-IDF over the cells where a peak is accessible; LSI only.
    loadings
        (peaks, components); LSI only.
    """

    kind: str
    mean: np.ndarray
    std: np.ndarray
    library_size: float
    fraction: np.ndarray
    accessible: np.ndarray
    mean_if_accessible: np.ndarray | None = None
    loadings: np.ndarray | None = None


@dataclass(frozen=True)
class Split:
    """The train cells of a split, one block per pattern of observed modalities.

    Attributes
    ----------
    blocks
        The cells.
    features
        modality -> number of features.
    normalizations
        modality -> its normalization, if it has counts.
    links
        (modality, modality), in both orders -> (counted features, counted features) 1, -1 or 0,
        sparse: features of the same gene. Empty unless links are an input.
    """

    blocks: tuple[Cells, ...]
    features: dict[str, int]
    normalizations: dict[str, Normalization] = field(default_factory=dict)
    links: dict[tuple[str, str], sparse.csr_matrix] = field(default_factory=dict)

    @property
    def modalities(self) -> tuple[str, ...]:
        """All modalities of the dataset."""
        return tuple(self.features)

    @property
    def cell_types(self) -> tuple[str, ...]:
        """The known cell types, sorted."""
        return tuple(sorted(_names(block.labels for block in self.blocks) - {""}))

    @property
    def batches(self) -> tuple[str, ...]:
        """The batches, sorted."""
        return tuple(sorted(map(str, _names(block.batches for block in self.blocks))))

    def observing(self, *modalities: str) -> Cells:
        """Return every cell with all of `modalities`, with only those; ValueError without any."""
        parts = [
            block.only(*modalities) for block in self.blocks if set(modalities) <= set(block.values)
        ]
        if not parts:
            raise ValueError(f"no train cell has {' and '.join(modalities)} measured together")
        return concatenate(parts)


def _names(columns: Iterable[np.ndarray | None]) -> set[str]:
    return set().union(*(column for column in columns if column is not None))


def concatenate(parts: list[Cells]) -> Cells:
    """Join blocks with the same modalities."""
    from scipy import sparse

    first, joined = parts[0], {}
    if len(parts) == 1:
        return first
    for name, part in vars(first).items():
        all_parts = [getattr(one, name) for one in parts]
        if isinstance(part, dict):
            stack = sparse.vstack if name in ("counts", "gene_activity") else np.concatenate
            columns = {m: [one[m] for one in all_parts] for m in part}
            joined[name] = {m: stack(column) for m, column in columns.items()}
        else:
            joined[name] = None if part is None else np.concatenate(all_parts)
    return Cells(**joined)


@dataclass(frozen=True)
class Truth:
    """The solution, for positive controls.

    Attributes
    ----------
    rows
        name of a query row, in any modality -> number of the cell.
    labels
        (cells,) cell types, "" if unknown.
    values
        modality -> (cells, features) standardised values, not clipped; 0 if not measured.
    """

    rows: dict[str, int]
    labels: np.ndarray
    values: dict[str, np.ndarray]

    def rows_of(self, cells: Cells) -> np.ndarray | None:
        """Return the numbers of query cells, (cells,); None for train cells."""
        if cells.names[0] not in self.rows:
            return None
        return np.array([self.rows[name] for name in cells.names])


class Method(Protocol):
    """The class of a method: a dataclass with its hyperparameters as fields.

    It is the last public class of its file; in a file with CARDS, the last ones are the methods, in
    the order of their cards. `fit` is mandatory. The others decide the outputs: `embed` latents,
    `embed_private` private latents, `impute` imputed values, `draw` draws of them, `predict` cell
    types. The input "solution" needs `reveal`, "embedding" needs `receive`. Order of calls:
    ``Method(**hyperparameters)``, `reveal`, `receive`, `save_at`, `fit`, then the others.

    - The seed decides everything random; global generators stay as they are.
    - The outputs of a cell do not depend on the other cells in the call, except of controls.
    - It changes none of its arguments.
    - It raises :class:`.errors.NotApplicable` if it cannot do the task, :class:`.errors.Diverged`
      if training meets values that are not finite. Any exception becomes the run's status.
    """

    # Optional: sentences for the user about this fit; they become the run's message.
    remarks: list[str]
    # Optional, with `save_at`: a models.checkpoint.Checkpoint.
    checkpoint: object | None

    def fit(self, train: Split, seed: int) -> History:
        """Train, and return one dict per epoch: name of a loss -> value."""

    def embed(self, cells: Cells) -> np.ndarray:
        """Return latents, (cells, latent), from all modalities of `cells` or one; Euclidean."""

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return expected values of `target`, (cells, features) standardised, from another one."""

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return draws of `target`, (cells, features, draws) standardised, at positions `features`.

        Draws are from the method's predictive distribution, with measurement noise.
        """

    def embed_private(self, cells: Cells) -> np.ndarray:
        """Return private latents of the one modality of `cells`, (cells, private >= 0)."""

    def predict(self, cells: Cells) -> np.ndarray:
        """Return a cell type for each cell, (cells,)."""

    def reveal(self, truth: Truth) -> None:
        """Receive the solution before `fit`; only controls do."""

    def receive(self, vectors: dict[str, np.ndarray]) -> None:
        """Receive the vectors, (dims,), of all cells with RNA by name, if `embedding` is a file."""

    def generate(self, cells: int, seed: int) -> dict[str, np.ndarray]:
        """Draw virtual cells from the prior, modality -> (cells, features) standardised."""

    def save_at(self, path: Path, *, key: Callable[[], str], seconds: float) -> None:
        """Let `fit` save to `path` every `seconds`, and continue from a file with the same `key`.

        It needs `checkpoint` and `conditions`.
        """

    def conditions(self) -> dict[str, object]:
        """Return the device and precision of training, for the record."""

    def state(self) -> dict[str, np.ndarray]:
        """Return all that `fit` learned, unless it is values, arrays or scikit-learn estimators."""

    def load(self, state: dict[str, np.ndarray], train: Split) -> None:
        """Restore the result of `state`, instead of `fit`; all values in `train` are 0."""


def offers(method: object, part: str) -> bool:
    """Return whether a method or class has this part of the contract, such as "generate"."""
    return getattr(method, part, None) is not None
