"""The data of one run and seed, and the inputs that metrics get from them.

A metric is a function of arrays. Its needs decide how often it is called:

=====================================================  ==================================================
a parameter named                                      once for
=====================================================  ==================================================
truth, imputed, train_mean, train_std, accessible,     every direction of an imputation
loadings, celltype_profiles, celltype_of,
shared_driven, noise
draws, drawn_truth, drawn_std                          every direction of an imputation with draws
latent_a, latent_b, transferred, transferred_k1,       every ordered pair of modalities with latents
transferred_k5, transferred_k50, transferred_cosine,
transferred_without_partner
latent, private_latent, all_blocks, values,            every source of latents
shared_factors, private_factors, predicted,
classified
record, device_record, history, trained, stopping,     the run
labels, batches, cell_cycle
=====================================================  ==================================================

A metric is left out where a need does not exist (no labels, one batch, no known factors). It gets
the query cells that have all it compares. If no cell was measured in both modalities, metrics that
need partners are not defined; those with ``without_partners`` in the card compare equally many cells
of each type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from mosaicbench.metrics._checks import NotApplicable, dense
from mosaicbench.scoring.metric_inputs import MetricInputs, matched_by_type, without_partners

if TYPE_CHECKING:
    from scipy import sparse

NEIGHBORS = (1, 5, 15, 50)  # the grid of k in label transfer
PRIMARY = 15  # the k of label transfer of a score that names none
LABEL_NEIGHBORS = 10  # labelled train cells that vote on the type of a query cell


@dataclass(frozen=True)
class Drawn:
    """Draws of an imputation, for a sample of query cells and features.

    Attributes
    ----------
    rows, columns
        (cells,) and (features,) places among the source's query cells, and the target's features.
    values
        (cells, features, draws), in the normalization of the target.
    """

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The outputs of one run and seed, and the truth about its cells.

    Attributes
    ----------
    record
        The run's record.
    batches, labels
        (cells,) of the query cells, "" where unknown.
    rows
        source -> (rows,) ascending places of its rows, and of truth, imputed values and factors,
        among the query cells; only of sources that lack some.
    latents
        source -> (cells, dims); rows are the source's query cells in order.
    private_latents
        source -> (cells, dims) of its private block; {} where the method has none.
    train_latents, train_labels
        source -> (train cells, dims) and their (train cells,) types.
    label_subset
        (cells, dims) and (cells,) types of the train cells with a label; None without any.
    predicted
        source -> (cells,) types that the method predicts; {} where it predicts none.
    imputed
        "rna->adt" -> (cells, features of adt), in the normalization of the target.
    drawn
        "rna->adt" -> draws of the same; {} where the method gives none.
    truth, normalizations, train_mean, train_std, feature_names
        By modality; the truth may be sparse.
    celltype_means
        modality -> cell type -> (features,) mean profile of the train cells of that type.
    noise
        modality -> a function that returns the (cells, features) variance of its values by counting.
    accessible, loadings
        modality -> (cells, peaks) counts and (peaks, components) of LSI, where truth is LSI.
    shared_factors, private_factors
        (cells, factors) of a simulation, the latter by modality; None and {} otherwise.
    shared_driven
        modality -> (features,) whether shared factors move the feature; {} where unknown.
    history
        column -> (epochs,) of the run's history; empty where nothing was trained.
    """

    record: dict
    batches: np.ndarray
    labels: np.ndarray
    rows: dict[str, np.ndarray] = field(default_factory=dict)
    latents: dict[str, np.ndarray] = field(default_factory=dict)
    private_latents: dict[str, np.ndarray] = field(default_factory=dict)
    train_latents: dict[str, np.ndarray] = field(default_factory=dict)
    train_labels: dict[str, np.ndarray] = field(default_factory=dict)
    label_subset: tuple[np.ndarray, np.ndarray] | None = None
    predicted: dict[str, np.ndarray] = field(default_factory=dict)
    imputed: dict[str, np.ndarray] = field(default_factory=dict)
    drawn: dict[str, Drawn] = field(default_factory=dict)
    truth: dict[str, np.ndarray | sparse.csr_matrix] = field(default_factory=dict)
    normalizations: dict[str, str] = field(default_factory=dict)
    train_mean: dict[str, np.ndarray] = field(default_factory=dict)
    train_std: dict[str, np.ndarray] = field(default_factory=dict)
    feature_names: dict[str, list[str]] = field(default_factory=dict)
    celltype_means: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    noise: dict[str, Callable[[], np.ndarray | sparse.csr_matrix]] = field(default_factory=dict)
    accessible: dict[str, sparse.csr_matrix] = field(default_factory=dict)
    loadings: dict[str, np.ndarray] = field(default_factory=dict)
    shared_factors: np.ndarray | None = None
    private_factors: dict[str, np.ndarray] = field(default_factory=dict)
    shared_driven: dict[str, np.ndarray] = field(default_factory=dict)
    history: dict[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def has_labels(self) -> bool:
        """Whether the type of any query cell is known."""
        return bool(np.any(self.labels != ""))

    @cached_property
    def metric_inputs(self) -> list[MetricInputs]:
        """Inputs of the run, each source, each ordered pair, each direction of imputation."""
        every = [MetricInputs("run", "-", {}, self._of_run())]
        for source in self.latents:
            rows = self._rows(source)
            needs = self._of_source(source, rows)
            every.append(MetricInputs(source, "-", needs, self._of_run(rows), rows=rows))
        for pair in permutations([source for source in self.latents if source != "joint"], 2):
            every += self._of_pair(*pair)
        for direction in self.imputed:
            every.append(self._of_direction(direction))
            if direction in self.drawn:
                every.append(self._of_draws(direction))
        return every

    def _rows(self, source: str) -> np.ndarray:
        return self.rows.get(source, np.arange(len(self.batches)))

    def _of_run(self, rows: np.ndarray | None = None) -> dict[str, object]:
        rows = np.arange(len(self.batches)) if rows is None else rows
        needs: dict[str, object] = {}
        if self.record.get("seconds"):  # an external run has none
            needs["record"] = self.record
        if np.any(self.labels[rows] != ""):
            needs["labels"] = self.labels[rows]
        batches = self.batches[rows]
        if len(set(batches) - {""}) > 1:
            needs["batches"] = batches
        if self.record.get("peak_device_mb") is not None:
            needs["device_record"] = self.record
        if self._phases is not None:
            measured, phases = self._phases
            if np.isin(rows, measured).all():
                needs["cell_cycle"] = lambda: phases()[np.searchsorted(measured, rows)]
        if "kl" in self.history:
            needs["history"] = self.history
        if "kept" in self.history:
            settings = self.record["hyperparameters"]
            needs["trained"] = {
                "epochs": len(self.history["kept"]),
                "kept_epoch": int(np.argmax(self.history["kept"])) + 1,
                "max_epochs": settings["max_epochs"],
                "patience": settings["patience"],
            }
            if settings.get("weights") == "best":
                needs["stopping"] = needs["trained"]
        return needs

    @cached_property
    def _phases(self) -> tuple[np.ndarray, Callable[[], np.ndarray]] | None:
        from mosaicbench.metrics._labels import genes_of_phases, phase_scores

        for modality, values in self.truth.items():
            if columns := genes_of_phases(self.feature_names[modality]):
                return self._rows(modality), cache(partial(phase_scores, values, columns))
        return None

    def _of_source(self, source: str, rows: np.ndarray) -> dict[str, object]:
        latent = self.latents[source]
        needs: dict[str, object] = {"latent": latent}
        if source in self.private_latents:
            private = self.private_latents[source]
            both = np.concatenate([latent, private], axis=1)
            needs |= {"private_latent": private, "all_blocks": both}
        if source in self.truth:
            needs["values"] = self.truth[source]
        if self.shared_factors is not None:
            needs["shared_factors"] = self.shared_factors[rows]
        if source in self.private_factors:
            needs["private_factors"] = self.private_factors[source]
        if self.has_labels and source in self.predicted:
            needs["predicted"] = partial(self._told, self.predicted[source])
        if self.has_labels and self.label_subset is not None:
            by_k = self._transferred(*self.label_subset, latent, ks=[LABEL_NEIGHBORS])
            needs["classified"] = by_k[LABEL_NEIGHBORS]
        return needs

    def _common(self, source: str, target: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        sides = self._rows(source), self._rows(target)
        return np.intersect1d(*sides, assume_unique=True, return_indices=True)

    def _of_pair(self, source: str, target: str) -> list[MetricInputs]:
        direction, rows = f"{source}->{target}", self._rows(target)
        latent_a, latent_b = self.latents[source], self.latents[target]
        both, in_source, in_target = self._common(source, target)
        from_train = self._from_train(source, latent_b)
        if not len(both):
            needs = dict.fromkeys(("latent_a", "latent_b"), without_partners(source, target))
            labels = self.labels[self._rows(source)], self.labels[rows]
            matched = matched_by_type(latent_a, latent_b, *labels)
            if not self.has_labels:
                del matched["labels"]
            pair = MetricInputs(direction, "-", needs, self._of_run(), matched_by_type=matched)
        else:
            a, b = latent_a[in_source], latent_b[in_target]
            needs = {"latent_a": a, "latent_b": b}
            if self.has_labels:
                by_k = self._transferred(
                    a, self.labels[both], b, ks=[PRIMARY], own=np.arange(len(b))
                )
                needs["transferred_without_partner"] = by_k[PRIMARY]
            if len(both) == len(self.batches):
                needs |= from_train
                from_train = {}
            pair = MetricInputs(direction, "-", needs, self._of_run(both), rows=both)
        if not from_train:
            return [pair]
        return [pair, MetricInputs(direction, "-", from_train, self._of_run(rows), rows=rows)]

    def _from_train(self, source: str, latent_b: np.ndarray) -> dict[str, object]:
        if not self.has_labels or not np.any(self.train_labels.get(source, "") != ""):
            return {}
        sides = self.train_latents[source], self.train_labels[source], latent_b
        by_k = self._transferred(*sides, ks=NEIGHBORS)
        by_cosine = self._transferred(*sides, ks=[PRIMARY], cosine=True)
        needs = {f"transferred_k{k}": labels for k, labels in by_k.items() if k != PRIMARY}
        return needs | {"transferred": by_k[PRIMARY], "transferred_cosine": by_cosine[PRIMARY]}

    def _of_direction(self, direction: str) -> MetricInputs:
        source, target = direction.split("->")
        both, in_source, in_target = self._common(source, target)
        needs: dict[str, object] = {
            "imputed": _at(self.imputed[direction], in_source),
            "truth": _at(self.truth[target], in_target),
            "train_mean": self.train_mean[target],
            "train_std": self.train_std[target],
        }
        if self.has_labels and target in self.celltype_means:
            means = self.celltype_means[target]
            profiles = [*means.values(), self.train_mean[target]]  # the last if there is no other
            places = {name: place for place, name in enumerate(means)}
            needs["celltype_profiles"] = np.array(profiles)
            needs["celltype_of"] = np.array(
                [places.get(label, len(means)) for label in self.labels[both]]
            )
        if target in self.shared_driven:
            needs["shared_driven"] = self.shared_driven[target]
        if target in self.noise:
            needs["noise"] = lambda: _at(self.noise[target](), in_target)
        if target in self.accessible:
            needs["accessible"] = _at(self.accessible[target], in_target)
            needs["loadings"] = self.loadings[target]
        rows = both
        if not len(both):
            needs |= dict.fromkeys(("imputed", "truth"), without_partners(source, target))
            rows = None
        names = self.feature_names[target]
        of_run = self._of_run(rows)
        return MetricInputs(direction, self.normalizations[target], needs, of_run, names, rows)

    def _of_draws(self, direction: str) -> MetricInputs:
        drawn, (source, target) = self.drawn[direction], direction.split("->")
        rows, of_target = self._rows(source)[drawn.rows], self._rows(target)
        known = np.isin(rows, of_target)
        truth = self.truth[target][np.searchsorted(of_target, rows[known])][:, drawn.columns]
        needs = {
            "draws": drawn.values[known],
            "drawn_truth": dense(truth),
            "drawn_std": self.train_std[target][drawn.columns],
        }
        if not known.any():
            needs |= dict.fromkeys(("draws", "drawn_truth"), without_partners(source, target))
        names = [self.feature_names[target][column] for column in drawn.columns]
        normalization = self.normalizations[target]
        return MetricInputs(direction, normalization, needs, self._of_run(), names, rows[known])

    def _told(self, types: np.ndarray) -> np.ndarray:
        self._refuse_one_type()
        return types

    def _refuse_one_type(self) -> None:
        if len(set(self.labels).union(*self.train_labels.values()) - {""}) == 1:
            raise NotApplicable("all labelled cells are of one type, so no type can be wrong")

    def _transferred(
        self,
        reference: np.ndarray,
        labels: np.ndarray,
        latent: np.ndarray,
        *,
        ks: Sequence[int],
        **options: object,
    ) -> dict[int, Callable[[], np.ndarray]]:
        @cache
        def transferred() -> dict[int, np.ndarray]:
            from mosaicbench.metrics._nearest import transfer_each  # compiles when it is imported

            self._refuse_one_type()
            return transfer_each(reference, labels, latent, ks=ks, **options)

        return {k: lambda k=k: transferred()[k] for k in ks}


def _at(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return values if len(rows) == values.shape[0] else values[rows]
