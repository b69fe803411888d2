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
transferred_k5, transferred_k50, transferred_cosine,
transferred_without_partner
latent, private_latent, all_blocks, values,            for every source of latents
shared_factors, private_factors, predicted,
classified
record, device_record, history, trained, stopping,     once per run
labels, batches, cell_cycle
=====================================================  ==================================================

A need that does not exist (no labels, one batch, no known factors, ...) leaves out the metrics that name it. Where modalities
have different query cells, a question is about the cells that have what it compares. Without any, metrics that need partners
are not defined, and those whose card says ``without_partners`` compare as many cells of each type from either modality.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from mosaicbench.scoring.metric_inputs import Drawn, Question
from mosaicbench.scoring.partners import common_rows, matched_by_type, without_partners

if TYPE_CHECKING:
    from scipy import sparse

NEIGHBORS = (1, 5, 15, 50)  # the grid of k in label transfer
PRIMARY = 15  # the k of label transfer where a score does not name one
LABEL_NEIGHBORS = 10  # labelled train cells that say what a query cell is


@dataclass(frozen=True, kw_only=True)
class RunData:
    """What one run gave for one seed, and what is known of its cells; what follows from it is computed once.

    Attributes
    ----------
    record
        The run's record.
    batches
        (cells,) of the query cells.
    labels
        (cells,) cell types, "" where unknown. Where it is None or no type is known, metrics of labels are left out.
    rows
        source -> (rows,) places of its rows among the query cells, ascending, of sources that were not measured in all of them;
        also those of the truth, what was imputed from it, and whatever else is known by modality.
    latents
        source -> (cells, dims); rows are the source's query cells in order.
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
    spaces: dict[str, str] = field(default_factory=dict)
    train_mean: dict[str, np.ndarray] = field(default_factory=dict)
    train_std: dict[str, np.ndarray] = field(default_factory=dict)
    feature_names: dict[str, list[str]] = field(default_factory=dict)
    celltype_means: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    accessible: dict[str, sparse.csr_matrix] = field(default_factory=dict)
    loadings: dict[str, np.ndarray] = field(default_factory=dict)
    shared_factors: np.ndarray | None = None
    private_factors: dict[str, np.ndarray] = field(default_factory=dict)
    shared_driven: dict[str, np.ndarray] = field(default_factory=dict)
    history: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        for kind in (
            "latents",
            "imputed",
            "truth",
            "accessible",
            "private_factors",
            "private_latents",
        ):
            for name, array in getattr(self, kind).items():
                self._check_rows(f"{kind} of {name!r}", array, self.rows.get(name.split("->")[0]))
        if self.has_labels:
            self._check_rows("labels of 'query'", self.labels)
        for modality, values in self.truth.items():
            names = len(self.feature_names[modality])
            if values.shape[1] != names:
                raise ValueError(
                    f"truth of {modality!r} has {values.shape[1]} features, there are {names} feature names"
                )

    def _check_rows(self, what: str, array: np.ndarray, rows: np.ndarray | None = None) -> None:
        cells = len(self.batches if rows is None else rows)
        if array.shape[0] != cells:
            raise ValueError(f"{what} has {array.shape[0]} rows, there are {cells} query cells")

    @cached_property
    def has_labels(self) -> bool:
        """Whether the type of any query cell is known."""
        return self.labels is not None and bool(np.any(np.asarray(self.labels, dtype=object) != ""))

    @cached_property
    def questions(self) -> list[Question]:
        """Every question that can be asked: about the run, each source, each ordered pair, each direction of imputation."""
        asked = [Question("run", "-", {}, self._of_run())]
        for source in self.latents:
            rows = self.rows.get(source)
            asked.append(
                Question(source, "-", self._of_source(source), self._of_run(rows), rows=rows)
            )
        for source, target in permutations(
            [source for source in self.latents if source != "joint"], 2
        ):
            asked += self._of_pair(source, target)
        for direction in self.imputed:
            asked.append(self._of_direction(direction))
            if direction in self.drawn:
                asked.append(self._of_draws(direction))
        return asked

    def _of_run(self, rows: np.ndarray | None = None) -> dict[str, object]:
        """Return the needs that the run meets, whatever is asked about these query cells; None for all of them."""
        needs: dict[str, object] = {}
        if self.record.get("seconds"):  # a result that was computed elsewhere has no expenses
            needs["record"] = self.record
        labels = self.labels_at(rows)
        if labels is not None and np.any(labels != ""):
            needs["labels"] = labels
        batches = self.batches if rows is None else self.batches[rows]
        if len(set(batches) - {""}) > 1:
            needs["batches"] = batches
        if self.record.get("peak_device_mb") is not None:
            needs["device_record"] = self.record
        if phases := self._phases_at(rows):
            needs["cell_cycle"] = phases
        if "kl" in self.history:
            needs["history"] = self.history
        if "kept" in self.history:
            needs["trained"] = trained = self._trained()
            needs |= (
                {"stopping": trained}
                if self.record["hyperparameters"].get("weights") == "best"
                else {}
            )
        return needs

    def _trained(self) -> dict[str, int]:
        """Return how long the method was trained, how long it might have been, and whose weights it kept."""
        kept, budget = self.history["kept"], self.record["hyperparameters"]
        return {
            "epochs": len(kept),
            "kept_epoch": int(np.argmax(kept)) + 1,
            "max_epochs": budget["max_epochs"],
            "patience": budget["patience"],
        }

    def labels_at(self, rows: np.ndarray | None) -> np.ndarray | None:
        """Return the types of some query cells, None where no type of any is known."""
        if not self.has_labels:
            return None
        return self.labels if rows is None else np.asarray(self.labels, dtype=object)[rows]

    @cached_property
    def _phases(self) -> tuple[np.ndarray | None, Callable[[], np.ndarray]] | None:
        """Rows of the modality that has the genes of the cell cycle, and a function that scores its phases, once; or None."""
        from mosaicbench.metrics._labels import genes_of_phases, phase_scores

        for modality, values in self.truth.items():
            if columns := genes_of_phases(self.feature_names[modality]):
                return self.rows.get(modality), cache(partial(phase_scores, values, columns))
        return None

    def _phases_at(self, rows: np.ndarray | None) -> Callable[[], np.ndarray] | None:
        """Return a function that gives the phases of some query cells; None where they are not known of all of these."""
        if self._phases is None:
            return None
        known, phases = self._phases
        found = common_rows(rows, known, len(self.batches))
        if found is None:
            return phases
        if len(found[0]) < len(self.batches if rows is None else rows):
            return None
        return lambda: phases()[found[1]]

    def _of_source(self, source: str) -> dict[str, object]:
        """Return the needs that one source of latents meets."""
        latent = self.latents[source]
        needs: dict[str, object] = {"latent": latent}
        if source in self.private_latents:
            private = self.private_latents[source]
            needs |= {
                "private_latent": private,
                "all_blocks": np.concatenate([latent, private], axis=1),
            }
        if source in self.truth:
            needs["values"] = self.truth[source]
        if self.shared_factors is not None:
            rows = self.rows.get(source)
            needs["shared_factors"] = (
                self.shared_factors if rows is None else self.shared_factors[rows]
            )
        if source in self.private_factors:
            needs["private_factors"] = self.private_factors[source]
        if self.has_labels and source in self.predicted:
            needs["predicted"] = self.predicted[source]
        if self.has_labels and self.label_subset is not None:
            needs["classified"] = _entry(
                _transfer(*self.label_subset, latent, ks=[LABEL_NEIGHBORS]), LABEL_NEIGHBORS
            )
        return needs

    def _of_pair(self, source: str, target: str) -> list[Question]:
        """Return what is asked about an ordered pair of modalities: from the first's cells to the second's query cells."""
        about, latent_a, latent_b = (
            f"{source}->{target}",
            self.latents[source],
            self.latents[target],
        )
        found = common_rows(self.rows.get(source), self.rows.get(target), len(self.batches))
        if found is None:
            needs = {"latent_a": latent_a, "latent_b": latent_b} | self._among_query(
                latent_a, latent_b, None
            )
            return [
                Question(about, "-", needs | self._from_train(source, latent_b), self._of_run())
            ]
        in_source, in_target, both = found
        rows = self.rows.get(target)
        carried = Question(
            about, "-", self._from_train(source, latent_b), self._of_run(rows), rows=rows
        )
        if len(both):
            a, b = latent_a[in_source], latent_b[in_target]
            needs = {"latent_a": a, "latent_b": b} | self._among_query(a, b, both)
            asked = [Question(about, "-", needs, self._of_run(both), rows=both)]
        else:
            refused = dict.fromkeys(("latent_a", "latent_b"), without_partners(source, target))
            labels = (self.labels_at(self.rows.get(modality)) for modality in (source, target))
            side_by_side = matched_by_type(latent_a, latent_b, *labels)
            asked = [Question(about, "-", refused, self._of_run(), matched_by_type=side_by_side)]
        return [*asked, carried] if carried.own else asked

    def _among_query(
        self, latent_a: np.ndarray, latent_b: np.ndarray, rows: np.ndarray | None
    ) -> dict[str, object]:
        """Return labels carried over from query cells in one modality to the same cells in another, own partners aside."""
        if (labels := self.labels_at(rows)) is None:
            return {}
        among_query = _transfer(
            latent_a, labels, latent_b, ks=[PRIMARY], own=np.arange(len(latent_b))
        )
        return {"transferred_without_partner": _entry(among_query, PRIMARY)}

    def _from_train(self, source: str, latent_b: np.ndarray) -> dict[str, object]:
        """Return labels carried over from one modality's train cells to query cells in another."""
        if not (
            self.has_labels
            and source in self.train_latents
            and np.any(self.train_labels[source] != "")
        ):
            return {}
        sides = self.train_latents[source], self.train_labels[source], latent_b
        for_each_k, by_direction = (
            _transfer(*sides, ks=NEIGHBORS),
            _transfer(*sides, ks=[PRIMARY], cosine=True),
        )
        needs = {f"transferred_k{k}": _entry(for_each_k, k) for k in NEIGHBORS if k != PRIMARY}
        return needs | {
            "transferred": _entry(for_each_k, PRIMARY),
            "transferred_cosine": _entry(by_direction, PRIMARY),
        }

    def _of_direction(self, direction: str) -> Question:
        """Return what is asked about one direction of an imputation: of cells whose truth is known."""
        source, target = direction.split("->")
        found = common_rows(self.rows.get(source), self.rows.get(target), len(self.batches))
        imputed, truth, accessible, both = (
            self.imputed[direction],
            self.truth[target],
            self.accessible.get(target),
            None,
        )
        if found is not None:
            in_source, in_target, both = found
            imputed, truth, accessible = (
                imputed[in_source],
                truth[in_target],
                None if accessible is None else accessible[in_target],
            )
        needs: dict[str, object] = {"imputed": imputed, "truth": truth}
        needs |= {"train_mean": self.train_mean[target], "train_std": self.train_std[target]}
        if self.has_labels and target in self.celltype_means:
            needs |= self._profiles(target, both)
        if target in self.shared_driven:
            needs["shared_driven"] = self.shared_driven[target]
        if accessible is not None:
            needs |= {"accessible": accessible, "loadings": self.loadings[target]}
        if both is not None and not len(both):
            needs |= dict.fromkeys(("imputed", "truth"), without_partners(source, target))
            both = None
        return Question(
            direction,
            self.spaces[target],
            needs,
            self._of_run(both),
            self.feature_names[target],
            both,
        )

    def _of_draws(self, direction: str) -> Question:
        """Return what is asked about draws of one direction: of the sampled cells whose truth is known."""
        drawn, (source, target) = self.drawn[direction], direction.split("->")
        rows = drawn.rows if source not in self.rows else self.rows[source][drawn.rows]
        places, known = rows, np.ones(len(rows), dtype=bool)
        if target in self.rows:
            known = np.isin(rows, self.rows[target])
            places = np.searchsorted(self.rows[target], rows[known])
        truth = self.truth[target][places][:, drawn.columns]
        needs = {
            "draws": drawn.values[known],
            "drawn_truth": truth.toarray() if hasattr(truth, "toarray") else truth,
        }
        needs["drawn_std"] = self.train_std[target][drawn.columns]
        if not known.any():
            needs |= dict.fromkeys(("draws", "drawn_truth"), without_partners(source, target))
        names = [self.feature_names[target][column] for column in drawn.columns]
        return Question(direction, self.spaces[target], needs, self._of_run(), names, rows[known])

    def _profiles(self, modality: str, rows: np.ndarray | None) -> dict[str, np.ndarray]:
        """Return the cell types' mean profiles, and each cell's row of them: the last, of all train cells, if it has none."""
        means = self.celltype_means[modality]
        places = {name: place for place, name in enumerate(means)}
        return {
            "celltype_profiles": np.array([*means.values(), self.train_mean[modality]]),
            "celltype_of": np.array(
                [places.get(label, len(means)) for label in self.labels_at(rows)]
            ),
        }


def _transfer(
    *latents_and_labels: np.ndarray, **options: object
) -> Callable[[], dict[int, np.ndarray]]:
    """Return a function that transfers labels when it is first called, and imports only then what compiles."""

    @cache
    def transferred() -> dict[int, np.ndarray]:
        from mosaicbench.metrics._nearest import transfer_each

        return transfer_each(*latents_and_labels, **options)

    return transferred


def _entry(computed: Callable[[], dict], key: int) -> Callable[[], object]:
    """Return a function that returns one entry of what another computes."""
    return lambda: computed()[key]
