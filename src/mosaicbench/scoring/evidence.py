"""What is known of one run and seed, and which needs of metrics it meets, per run, source, pair of modalities and direction.

A metric is a function of arrays, and what it needs decides how often it is asked:

=====================================================  ==================================================
a parameter named                                      asked
=====================================================  ==================================================
truth, imputed, train_mean, train_std, opened,         for every direction of an imputation
loadings, celltype_profiles, celltype_of,
shared_driven
draws, drawn_truth, drawn_std                          for every direction of an imputation with draws
latent_a, latent_b, transferred, transferred_k1,       for every ordered pair of modalities with latents
transferred_k5, transferred_k50,
transferred_without_partner
latent, private_latent, all_blocks, values,            for every source of latents
shared_factors, private_factors, predicted,
classified
record, device_record, history, labels, batches,       once per run
cell_cycle
=====================================================  ==================================================

A need that does not exist (no labels, one batch, no known factors, ...) leaves out the metrics that name it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

NEIGHBORS = (1, 5, 15, 50)  # the grid of k in label transfer
PRIMARY = 15  # the k of label transfer where a score does not name one
LABEL_NEIGHBORS = 10  # labelled train cells that say what a query cell is


@dataclass(frozen=True)
class Question:
    """What metrics are asked about.

    Attributes
    ----------
    about
        "run", a source of latents, or a direction: "rna->adt".
    space
        The value space of the target of an imputation, else "-".
    own
        need -> its value, or a function that computes it once, when it is first asked for.
    common
        The same, of needs that belong to the run and hold for every question.
    features
        (features,) names of those that the question is about.
    rows
        (cells,) which query cells it is about; None: all, in order.
    """

    about: str
    space: str
    own: dict[str, object]
    common: dict[str, object]
    features: Sequence[str] = ()
    rows: np.ndarray | None = None

    def suits(self, needs: Collection[str]) -> bool:
        """Say whether a metric with these needs is to be asked: all are met, one at least by this question itself."""
        met_here = bool(set(needs) & set(self.own)) or not self.own
        return met_here and set(needs) <= set(self.own) | set(self.common)

    def values(self, needs: Collection[str]) -> dict[str, object]:
        """Return need -> value."""
        known = self.common | self.own
        return {need: known[need]() if callable(known[need]) else known[need] for need in needs}


@dataclass(frozen=True)
class Drawn:
    """Draws of an imputation, of a sample of query cells and features.

    Attributes
    ----------
    rows, columns
        (cells,) and (features,) their places among the query cells, and among the target's features.
    values
        (cells, features, draws), in the value space of the target.
    """

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one run gave for one seed, and what is known of its cells; what follows from it is computed once.

    Attributes
    ----------
    record
        The run's record.
    batches
        (cells,) of the query cells.
    labels
        (cells,) cell types, "" where unknown. Where it is None or no type is known, metrics of labels are left out.
    latents
        source -> (cells, dims); rows of all sources are the same query cells in the same order.
    private_latents
        source -> (cells, dims) of its private block; {} where the method has none.
    train_latents, train_labels
        source -> (train cells, dims) and their (train cells,) types.
    labelled
        (cells, dims) and (cells,) types of the train cells of known type, whatever was observed of them; None without any.
    predicted
        source -> (cells,) types that the method itself says of the query cells; {} where it says none.
    imputed
        "rna->adt" -> (cells, features of adt), in the value space of the target.
    drawn
        "rna->adt" -> draws of the same; {} where the method gives none.
    truth, spaces, train_mean, train_std, feature_names
        By modality; the truth may be sparse.
    celltype_means
        modality -> cell type -> (features,) mean profile of the train cells of that type.
    opened, loadings
        modality -> (cells, peaks) counts, and (peaks, components) of its LSI; only where truth is LSI coordinates.
    shared_factors, private_factors
        (cells, factors) of a simulation, the latter by modality; None and {} where they are not known.
    shared_driven
        modality -> (features,) whether shared factors move the feature; {} where that is not known.
    history
        column -> (epochs,) of the run's history; empty where nothing was trained.

    Raises
    ------
    ValueError
        When arrays that should describe the same cells or features differ in length.
    """

    record: dict
    batches: np.ndarray
    labels: np.ndarray | None = None
    latents: dict[str, np.ndarray] = field(default_factory=dict)
    private_latents: dict[str, np.ndarray] = field(default_factory=dict)
    train_latents: dict[str, np.ndarray] = field(default_factory=dict)
    train_labels: dict[str, np.ndarray] = field(default_factory=dict)
    labelled: tuple[np.ndarray, np.ndarray] | None = None
    predicted: dict[str, np.ndarray] = field(default_factory=dict)
    imputed: dict[str, np.ndarray] = field(default_factory=dict)
    drawn: dict[str, Drawn] = field(default_factory=dict)
    truth: dict[str, np.ndarray | sparse.csr_matrix] = field(default_factory=dict)
    spaces: dict[str, str] = field(default_factory=dict)
    train_mean: dict[str, np.ndarray] = field(default_factory=dict)
    train_std: dict[str, np.ndarray] = field(default_factory=dict)
    feature_names: dict[str, list[str]] = field(default_factory=dict)
    celltype_means: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    opened: dict[str, sparse.csr_matrix] = field(default_factory=dict)
    loadings: dict[str, np.ndarray] = field(default_factory=dict)
    shared_factors: np.ndarray | None = None
    private_factors: dict[str, np.ndarray] = field(default_factory=dict)
    shared_driven: dict[str, np.ndarray] = field(default_factory=dict)
    history: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        for kind in ("latents", "imputed", "truth", "opened", "private_factors", "private_latents"):
            for name, array in getattr(self, kind).items():
                self._check_rows(f"{kind} of {name!r}", array)
        if self.has_labels:
            self._check_rows("labels of 'query'", self.labels)
        for modality, values in self.truth.items():
            names = len(self.feature_names[modality])
            if values.shape[1] != names:
                raise ValueError(f"truth of {modality!r} has {values.shape[1]} features, there are {names} feature names")

    def _check_rows(self, what: str, array: np.ndarray) -> None:
        if array.shape[0] != len(self.batches):
            raise ValueError(f"{what} has {array.shape[0]} rows, there are {len(self.batches)} query cells")

    @cached_property
    def has_labels(self) -> bool:
        """Whether the type of any query cell is known."""
        return self.labels is not None and bool(np.any(np.asarray(self.labels, dtype=object) != ""))

    @cached_property
    def questions(self) -> list[Question]:
        """Every question that can be asked: about the run, each source, each ordered pair, each direction of imputation."""
        common = self._of_run()
        asked = [("run", "-", {})]
        asked += [(source, "-", self._of_source(source)) for source in self.latents]
        pairs = permutations([source for source in self.latents if source != "joint"], 2)
        asked += [(f"{source}->{target}", "-", self._of_pair(source, target)) for source, target in pairs]
        questions = [Question(*question, common) for question in asked]
        for direction in self.imputed:
            target = target_of(direction)
            about, names = (direction, self.spaces[target]), self.feature_names[target]
            questions.append(Question(*about, self._of_direction(direction), common, names))
            if direction in self.drawn:
                drawn = self.drawn[direction]
                names = [names[column] for column in drawn.columns]
                questions.append(Question(*about, self._of_draws(direction), common, names, drawn.rows))
        return questions

    def _of_run(self) -> dict[str, object]:
        """Return the needs that the run meets, whatever is asked about."""
        needs: dict[str, object] = {}
        if self.record.get("seconds"):  # a result that was computed elsewhere has no expenses
            needs["record"] = self.record
        if self.has_labels:
            needs["labels"] = self.labels
        if len(set(self.batches)) > 1:
            needs["batches"] = self.batches
        if self.record.get("peak_device_mb") is not None:
            needs["device_record"] = self.record
        if phases := self._phases():
            needs["cell_cycle"] = phases
        if "kl" in self.history:
            needs["history"] = self.history
        return needs

    def _phases(self) -> Callable[[], np.ndarray] | None:
        """Return a function that scores the phases of the cell cycle, once; None where their genes are not measured."""
        from mosaicbench.metrics._cell_cycle import genes_of_phases, phase_scores

        for modality, values in self.truth.items():
            if columns := genes_of_phases(self.feature_names[modality]):
                return cache(partial(phase_scores, values, columns))
        return None

    def _of_source(self, source: str) -> dict[str, object]:
        """Return the needs that one source of latents meets."""
        latent = self.latents[source]
        needs: dict[str, object] = {"latent": latent}
        if source in self.private_latents:
            private = self.private_latents[source]
            needs |= {"private_latent": private, "all_blocks": np.concatenate([latent, private], axis=1)}
        if source in self.truth:
            needs["values"] = self.truth[source]
        if self.shared_factors is not None:
            needs["shared_factors"] = self.shared_factors
        if source in self.private_factors:
            needs["private_factors"] = self.private_factors[source]
        if self.has_labels and source in self.predicted:
            needs["predicted"] = self.predicted[source]
        if self.has_labels and self.labelled is not None:
            needs["classified"] = _entry(_transfer(*self.labelled, latent, ks=[LABEL_NEIGHBORS]), LABEL_NEIGHBORS)
        return needs

    def _of_pair(self, source: str, target: str) -> dict[str, object]:
        """Return the needs that an ordered pair of modalities meets: from the first's cells to the second's query cells."""
        latent_a, latent_b = self.latents[source], self.latents[target]
        needs: dict[str, object] = {"latent_a": latent_a, "latent_b": latent_b}
        if not self.has_labels:
            return needs
        among_query = _transfer(latent_a, self.labels, latent_b, ks=[PRIMARY], own=np.arange(len(latent_b)))
        needs["transferred_without_partner"] = _entry(among_query, PRIMARY)
        if source in self.train_latents and np.any(self.train_labels[source] != ""):
            for_each_k = _transfer(self.train_latents[source], self.train_labels[source], latent_b, ks=NEIGHBORS)
            needs |= {f"transferred_k{k}": _entry(for_each_k, k) for k in NEIGHBORS if k != PRIMARY}
            needs["transferred"] = _entry(for_each_k, PRIMARY)
        return needs

    def _of_direction(self, direction: str) -> dict[str, object]:
        """Return the needs that one direction of an imputation meets."""
        target = target_of(direction)
        needs: dict[str, object] = {"imputed": self.imputed[direction], "truth": self.truth[target]}
        needs |= {"train_mean": self.train_mean[target], "train_std": self.train_std[target]}
        if self.has_labels and target in self.celltype_means:
            needs |= self._profiles(target)
        if target in self.shared_driven:
            needs["shared_driven"] = self.shared_driven[target]
        if target in self.opened:
            needs |= {"opened": self.opened[target], "loadings": self.loadings[target]}
        return needs

    def _of_draws(self, direction: str) -> dict[str, np.ndarray]:
        """Return the needs that draws of one direction meet."""
        drawn, target = self.drawn[direction], target_of(direction)
        truth = self.truth[target][drawn.rows][:, drawn.columns]
        dense = truth.toarray() if hasattr(truth, "toarray") else truth
        return {"draws": drawn.values, "drawn_truth": dense, "drawn_std": self.train_std[target][drawn.columns]}

    def _profiles(self, modality: str) -> dict[str, np.ndarray]:
        """Return the cell types' mean profiles, and each cell's row of them: the last, of all train cells, if it has none."""
        means = self.celltype_means[modality]
        places = {name: place for place, name in enumerate(means)}
        return {
            "celltype_profiles": np.array([*means.values(), self.train_mean[modality]]),
            "celltype_of": np.array([places.get(label, len(means)) for label in self.labels]),
        }


def target_of(direction: str) -> str:
    """Return "adt" for "rna->adt"."""
    return direction.split("->")[1]


def _transfer(*latents_and_labels: np.ndarray, **options: object) -> Callable[[], dict[int, np.ndarray]]:
    """Return a function that transfers labels when it is first called, and imports only then what compiles."""

    @cache
    def transferred() -> dict[int, np.ndarray]:
        from mosaicbench.metrics._neighbors import transfer_each

        return transfer_each(*latents_and_labels, **options)

    return transferred


def _entry(computed: Callable[[], dict], key: int) -> Callable[[], object]:
    """Return a function that returns one entry of what another computes."""
    return lambda: computed()[key]
