"""The contract of a method's author: what a method may see, and what it offers.

`View` and `Cells` are what a method may see: plain arrays, grouped by what was observed. `Truth` is for positive controls only.
`Method` is what a method's class offers.

Absence is absence. A modality that was not measured in a cell is not in the dict of that cell's block; there are no masks
and no zeros that stand for "missing", so a method cannot mistake one for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

History = list[
    dict[str, float]
]  # one dict per epoch: name of a cost -> value; [] of a method without epochs
BY_MODALITY = ("values", "counts", "totals", "activity")  # parts of `Cells` that are dicts


@dataclass(frozen=True)
class Cells:
    """A block of cells that share what was observed.

    Attributes
    ----------
    names
        (cells,) unique names.
    values
        modality -> (cells, features) float32, in the view's value space, standardised with the train cells' mean and sd.
    labels
        (cells,) cell types, "" where unknown; None unless the method's card says that it uses labels.
    batches
        (cells,) batch names.
    counts
        modality -> (cells, counted features) raw counts, sparse; a modality without counts is not in it. The counted features
        are those of `values`, but for LSI the peaks that it was computed from. Train cells always have them, cells to embed or
        to impute from only where the method's card says that it uses counts.
    totals
        modality -> (cells,) counts of the whole modality, features that were not chosen included.
    activity
        modality -> (cells, genes) the counts of all its features that are linked with each of the chosen genes, sparse; only of
        ATAC, and only where the method's card says that it uses links.
    """

    names: np.ndarray
    values: dict[str, np.ndarray]
    labels: np.ndarray | None = None
    batches: np.ndarray | None = None
    counts: dict[str, sparse.csr_matrix] = field(default_factory=dict)
    totals: dict[str, np.ndarray] = field(default_factory=dict)
    activity: dict[str, sparse.csr_matrix] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities observed in these cells."""
        return tuple(self.values)

    def only(self, *modalities: str) -> Cells:
        """Return the same cells as if nothing but `modalities` had been measured in them."""
        parts = {
            part: {m: x for m, x in getattr(self, part).items() if m in modalities}
            for part in BY_MODALITY[1:]
        }
        return replace(
            self, values={modality: self.values[modality] for modality in modalities}, **parts
        )

    def take(self, rows: np.ndarray) -> Cells:
        """Return the cells at `rows` (integer positions or a boolean mask)."""
        return Cells(
            names=self.names[rows],
            labels=None if self.labels is None else self.labels[rows],
            batches=None if self.batches is None else self.batches[rows],
            **{part: {m: x[rows] for m, x in getattr(self, part).items()} for part in BY_MODALITY},
        )


@dataclass(frozen=True)
class Scale:
    """How counts of one modality become its values: what the view's transform learned from the train cells.

    Attributes
    ----------
    space
        "lognorm", "clr" or "lsi".
    mean, std
        (features,) moments that standardise the values.
    total
        Median over the train cells of a cell's total count.
    share
        (counted features,) part of all train cells' counts.
    opened
        (counted features,) part of the train cells with any count.
    when_open
        (peaks,) mean TF-IDF of a peak where it is open; only for LSI.
    loadings
        (peaks, components) of LSI; None in other spaces.
    """

    space: str
    mean: np.ndarray
    std: np.ndarray
    total: float
    share: np.ndarray
    opened: np.ndarray
    when_open: np.ndarray | None = None
    loadings: np.ndarray | None = None


@dataclass(frozen=True)
class View:
    """The train cells of one dataset, scenario and seed, as blocks that share what was observed.

    Attributes
    ----------
    blocks
        One per pattern of observed modalities; no cell is in two blocks.
    features
        modality -> number of features, in the dataset's order of modalities.
    scales
        modality -> how its counts become values; a modality without counts is not in it.
    links
        (modality, modality) -> (counted features of the one, of the other), 1, -1 or 0, sparse: which features are believed to
        speak of the same gene. Both orders of a pair are in it, pairs without a link are not; empty unless the method's card
        says that it uses links.
    """

    blocks: tuple[Cells, ...]
    features: dict[str, int]
    scales: dict[str, Scale] = field(default_factory=dict)
    links: dict[tuple[str, str], sparse.csr_matrix] = field(default_factory=dict)

    @property
    def modalities(self) -> tuple[str, ...]:
        """All modalities of the dataset, in its order."""
        return tuple(self.features)

    @property
    def cell_types(self) -> tuple[str, ...]:
        """The known cell types, in alphabetical order; none where labels are not shown."""
        shown = [block.labels for block in self.blocks if block.labels is not None]
        return tuple(sorted({label for labels in shown for label in labels} - {""}))

    @property
    def batches(self) -> tuple[str, ...]:
        """The train cells' batches, in alphabetical order; none where they are not known."""
        shown = [block.batches for block in self.blocks if block.batches is not None]
        return tuple(sorted({str(batch) for batches in shown for batch in batches}))

    def observing(self, *modalities: str) -> Cells:
        """Return every cell in which all of `modalities` were measured, showing only those.

        Raises
        ------
        ValueError
            When there is no such cell: the method does not apply to this scenario.
        """
        parts = [
            block.only(*modalities) for block in self.blocks if set(modalities) <= set(block.values)
        ]
        if not parts:
            raise ValueError(f"no train cell has {' and '.join(modalities)} measured together")
        return concatenate(parts)


def concatenate(parts: list[Cells]) -> Cells:
    """Join blocks that show the same modalities, in order."""
    from scipy import sparse

    first = parts[0]
    if len(parts) == 1:
        return first

    def joined(name: str, join: Callable) -> dict:
        return {
            modality: join([getattr(part, name)[modality] for part in parts])
            for modality in getattr(first, name)
        }

    return Cells(
        names=np.concatenate([part.names for part in parts]),
        labels=None if first.labels is None else np.concatenate([part.labels for part in parts]),
        batches=None if first.batches is None else np.concatenate([part.batches for part in parts]),
        **{name: joined(name, np.concatenate) for name in ("values", "totals")},
        **{
            name: joined(name, lambda matrices: sparse.vstack(matrices, format="csr"))
            for name in ("counts", "activity")
        },
    )


@dataclass(frozen=True)
class Truth:
    """What only the scorer and the positive controls receive.

    Attributes
    ----------
    rows
        name of a query row, in any modality -> number of the cell.
    labels
        (cells,) cell types, "" where unknown.
    values
        modality -> (cells, features) standardised values, not clipped; 0 where a cell was not measured in the modality.
    """

    rows: dict[str, int]
    labels: np.ndarray
    values: dict[str, np.ndarray]

    def rows_of(self, cells: Cells) -> np.ndarray | None:
        """Return the numbers of query cells, (cells,); None for cells that are none, such as train cells."""
        if cells.names[0] not in self.rows:
            return None
        return np.array([self.rows[name] for name in cells.names])


class Method(Protocol):
    """What the class of a method offers, a dataclass whose fields are its hyperparameters.

    It is the last public class of its file; of a file with CARDS, the last ones are the methods, in the order of their cards.
    Every method has `fit`, and one that uses "solution" has `reveal`. What else it has says what it gives: `embed` latents,
    `embed_private` private latents, `impute` imputed values, `draw` draws of them, `predict` cell types. All other parts are optional, and :func:`offers` says whether a method has one.

    The order of calls: ``Method(**hyperparameters)``, `reveal`, `save_at`, `fit`, then any of the others, any number of times.

    What every method holds to:

    - The seed decides everything random: the same view and seed give the same result. Global generators stay as they are.
    - Values are standardised with the train cells' mean and sd, on the way in and on the way out.
    - What it gives of a cell does not depend on the other cells in the call: training is over when `fit` returns. Only controls
      may break this.
    - It changes none of its arguments.
    - It raises :class:`.errors.NotApplicable`, with a reason, where it cannot do what is asked: in `fit` for the whole run, in
      `embed` or `impute` for this one source or direction.
    - It raises :class:`.errors.Diverged` where training meets values that are not finite. A run that gives such values counts
      as diverged, too.

    These, and any other exception, end as the status of the run, with the message. They never stop the benchmark.
    """

    remarks: list[
        str
    ]  # optional: what a user should know of this fit, one sentence each; they become the run's message
    checkpoint: (
        object | None
    )  # optional, with `save_at`: its `resumed_after` and `spent` are recorded; a modeling.checkpoint

    def fit(self, train: View, seed: int) -> History:
        """Train on the train cells and return the history.

        Parameters
        ----------
        train
            All cells that the method may learn from, in blocks that share what was observed.
        seed
            Of everything random in the method, from its first weights to its minibatches.

        Returns
        -------
        list of dict
            One per epoch, name of a cost -> value; an empty list where there are no epochs.

        Raises
        ------
        NotApplicable
            When the method cannot be fitted to such a view.
        Diverged
            When a cost is not finite.
        """

    def embed(self, cells: Cells) -> np.ndarray:
        """Return latents, (cells, latent) floats, given what is observed in `cells`: all modalities, or one of them.

        Latents of the same cell from different modalities lie in one space and are compared by their Euclidean distance.
        """

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return values of modality `target`, (cells, features) standardised, expected given what is observed in `cells`.

        `cells` show one modality, and `target` is another.
        """

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return draws of what modality `target` would be measured as, (cells, features, draws) standardised.

        `cells` are those of `impute`; `features` are integer positions of the features that are wanted. A draw has all the
        spread that the method believes in, that of a measurement included, and each is as likely as the others.
        """

    def embed_private(self, cells: Cells) -> np.ndarray:
        """Return latents that belong to one modality alone, (cells, private latent); `cells` show that modality.

        A configuration without such latents returns an array of width 0.
        """

    def predict(self, cells: Cells) -> np.ndarray:
        """Return a cell type for each cell, (cells,) strings out of those of the train cells; `cells` are those of `embed`."""

    def reveal(self, truth: Truth) -> None:
        """Receive the solution before `fit`; only controls do."""

    def generate(self, cells: int, seed: int) -> dict[str, np.ndarray]:
        """Return `cells` virtual cells drawn from the prior, modality -> (cells, features) standardised.

        A row is the same virtual cell in every modality.
        """

    def save_at(self, path: Path, *, key: Callable[[], str], seconds: float) -> None:
        """Let `fit` save its training to `path` every `seconds`, and go on from there if it was killed.

        `key` gives a digest of all that decides the result: what was saved under another key is left aside. Who has it also has
        `checkpoint` and `conditions`.
        """

    def conditions(self) -> dict[str, object]:
        """Return what training computes with, plain values by name, for the record: the device, the precision of numbers."""

    def state(self) -> dict[str, np.ndarray]:
        """Return all that `fit` learned, arrays by name, for a model that is kept.

        A method without it is kept all the same where what it learned are plain values, arrays, and estimators of scikit-learn.
        """

    def load(self, state: dict[str, np.ndarray], train: View) -> None:
        """Take back what `state` returned, in the place of `fit`.

        `train` is an outline of the train cells: blocks, types, batches, scales and links as in `fit`, but every value is 0.
        """


PARTS = frozenset(
    name for name in {**vars(Method), **Method.__annotations__} if not name.startswith("_")
)


def offers(method: object, part: str) -> bool:
    """Return whether a method, or its class, has this part of the contract, as "generate" or "state".

    Raises
    ------
    ValueError
        When the contract has no such part.
    """
    if part not in PARTS:
        raise ValueError(
            f"the contract of a method has no part {part!r}; it has {', '.join(sorted(PARTS))}"
        )
    return getattr(method, part, None) is not None
