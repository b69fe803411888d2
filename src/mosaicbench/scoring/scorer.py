"""Supplies every metric with what its parameter names ask for: once per run, source, pair of modalities, or direction.

A metric is a function of arrays, and what it needs decides how often it is asked:

=====================================================  ==================================================
a parameter named                                      asked
=====================================================  ==================================================
truth, imputed, train_mean, train_std, opened,         for every direction of an imputation
loadings, celltype_profiles, celltype_of,
shared_driven
latent_a, latent_b, transferred, transferred_k1, ...   for every ordered pair of modalities with latents
latent, private_latent, values, shared_factors,        for every source of latents
private_factors, predicted, classified
record, device_record, history, labels, batches alone  once per run
=====================================================  ==================================================

A need that does not exist (no labels, one batch, no known factors, ...) leaves out the metrics that name it. A metric that is
not defined for the arrays it gets has a row without a value.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from functools import cache
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench import catalog
from mosaicbench.metrics._checks import Undefined

if TYPE_CHECKING:
    from scipy import sparse

SCORE_COLUMNS = ["metric", "direction", "space", "value"]
FEATURE_COLUMNS = ["metric", "direction", "space", "feature", "value"]
NEIGHBORS = (1, 5, 15, 50)  # the grid of k in label transfer; 15 is the primary one
PER_FEATURE = "imputation_pearson_per_feature"
LABEL_NEIGHBORS = 10  # labelled train cells that say what a query cell is
PREDICTIONS = {"predicted": "label_prediction_balanced_accuracy", "classified": "label_prediction_balanced_accuracy_10nn"}
PER_CLASS = "label_transfer_recall"


def score(
    *,
    groups: Collection[str],
    latents: dict[str, np.ndarray],
    private_latents: dict[str, np.ndarray],
    train_latents: dict[str, np.ndarray],
    train_labels: dict[str, np.ndarray],
    labelled: tuple[np.ndarray, np.ndarray] | None,
    predicted: dict[str, np.ndarray],
    imputed: dict[str, np.ndarray],
    truth: dict[str, np.ndarray | sparse.csr_matrix],
    spaces: dict[str, str],
    train_mean: dict[str, np.ndarray],
    train_std: dict[str, np.ndarray],
    celltype_means: dict[str, dict[str, np.ndarray]],
    opened: dict[str, sparse.csr_matrix],
    loadings: dict[str, np.ndarray],
    feature_names: dict[str, list[str]],
    shared_factors: np.ndarray | None,
    private_factors: dict[str, np.ndarray],
    shared_driven: dict[str, np.ndarray],
    labels: np.ndarray | None,
    batches: np.ndarray,
    record: dict,
    history: dict[str, np.ndarray],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return every score of one run and seed, and what stands behind them: correlation per feature, recall per cell type.

    Parameters
    ----------
    groups
        The groups of metrics to ask, as their cards name them.
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
    labels, batches
        (cells,); "" where a type is unknown. Where `labels` is None or no type is known, metrics of labels are left out.
    record
        The run's record.
    history
        column -> (epochs,) of the run's history; empty where nothing was trained.

    Raises
    ------
    ValueError
        When arrays that should describe the same cells or features differ in length.
    """
    known = labels is not None and bool(np.any(np.asarray(labels, dtype=object) != ""))
    _check_rows(len(batches), latents=latents, imputed=imputed, truth=truth, labels={"query": labels} if known else {})
    _check_rows(len(batches), opened=opened, private_factors=private_factors, private_latents=private_latents)
    _check_features(truth, feature_names)
    once = {"record": record}
    if known:
        once["labels"] = labels
    if len(set(batches)) > 1:
        once["batches"] = batches
    if record.get("peak_device_mb") is not None:
        once["device_record"] = record
    if "kl" in history:
        once["history"] = history
    profiles = {m: _profiles(labels, celltype_means[m], train_mean[m]) for m in celltype_means} if known else {}
    said = {source: _said(source, z, labelled, predicted) if known else {} for source, z in latents.items()}
    asked = [
        ("run", "-", {}),
        *[
            (source, "-", _of_source(source, latents, private_latents, truth, shared_factors, private_factors) | said[source])
            for source in latents
        ],
        *[
            (direction, "-", needs)
            for direction, needs in _pairs(latents, train_latents, train_labels, labels if known else None)
        ],
    ]
    for direction, values in imputed.items():
        target = _target(direction)
        needs = {"imputed": values, "truth": truth[target], "train_mean": train_mean[target], "train_std": train_std[target]}
        needs |= profiles.get(target, {})
        if target in shared_driven:
            needs["shared_driven"] = shared_driven[target]
        if target in opened:
            needs |= {"opened": opened[target], "loadings": loadings[target]}
        asked.append((direction, spaces[target], needs))
    metrics = {name: tuple(catalog.parameters("metrics", name)) for name in catalog.names("metrics")}
    metrics = {name: needs for name, needs in metrics.items() if catalog.card("metrics", name)["group"] in groups}
    rows = [
        (name, direction, space, _value(name, needs, once | supplied, direction))
        for direction, space, supplied in asked
        for name, needs in metrics.items()
        if set(needs) <= set(once | supplied) and (set(needs) & set(supplied) or not supplied)
    ]
    features = [pd.DataFrame(columns=FEATURE_COLUMNS)]
    if "imputation" in groups:
        features += _correlations(imputed, truth, spaces, feature_names)
    if "label_transfer" in groups and known:
        features += _recalls(asked, labels)
    if "label_prediction" in groups and known:
        features += _by_batch(asked, labels, batches)
    return pd.DataFrame(rows, columns=SCORE_COLUMNS), pd.concat(features[1:] or features, ignore_index=True)


def ask(metric: str, **supplied: object) -> float:
    """Return one metric of what it needs, NaN where it is not defined."""
    return _value(metric, tuple(supplied), supplied, "what was supplied")


def _value(name: str, needs: tuple[str, ...], available: dict, direction: str) -> float:
    """Ask one metric; a need that costs something is a function, called only now."""
    metric = catalog.function("metrics", name)
    try:
        return metric(**{need: available[need]() if callable(available[need]) else available[need] for need in needs})
    except Undefined as reason:
        print(f"{name} of {direction} is not defined: {reason}", file=sys.stderr)
        return float("nan")


def _of_source(
    source: str, latents: dict, private_latents: dict, truth: dict, shared_factors: np.ndarray | None, private_factors: dict
) -> dict:
    """Return the needs of metrics of one source's latents."""
    needs = {"latent": latents[source]}
    if source in private_latents:
        needs["private_latent"] = private_latents[source]
        needs["all_blocks"] = np.concatenate([latents[source], private_latents[source]], axis=1)
    if source in truth:
        needs["values"] = truth[source]
    if shared_factors is not None:
        needs["shared_factors"] = shared_factors
    if source in private_factors:
        needs["private_factors"] = private_factors[source]
    return needs


def _said(
    source: str, latent: np.ndarray, labelled: tuple[np.ndarray, np.ndarray] | None, predicted: dict[str, np.ndarray]
) -> dict[str, object]:
    """Return what the query cells are said to be: by the method, and by their nearest labelled train cells."""
    needs: dict[str, object] = {"predicted": predicted[source]} if source in predicted else {}
    if labelled is not None:

        @cache
        def classified() -> np.ndarray:
            from mosaicbench.metrics._neighbors import transfer

            return transfer(*labelled, latent, k=LABEL_NEIGHBORS)

        needs["classified"] = classified
    return needs


def _pairs(
    latents: dict, train_latents: dict, train_labels: dict, labels: np.ndarray | None
) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the needs of every ordered pair of modalities: from the first's cells to the second's query cells."""
    for source, target in permutations([source for source in latents if source != "joint"], 2):
        needs = {"latent_a": latents[source], "latent_b": latents[target]}
        if labels is not None:
            needs["transferred_without_partner"] = _transfer_among_query(latents[source], labels, latents[target])
            if source in train_latents and np.any(train_labels[source] != ""):
                each = _transfer_from_train(train_latents[source], train_labels[source], latents[target])
                needs["transferred"] = lambda each=each: each()[15]
                needs |= {f"transferred_k{k}": lambda each=each, k=k: each()[k] for k in NEIGHBORS if k != 15}
        yield f"{source}->{target}", needs


def _transfer_from_train(reference: np.ndarray, labels: np.ndarray, latent: np.ndarray) -> Callable[[], dict[int, np.ndarray]]:
    @cache
    def transferred() -> dict[int, np.ndarray]:
        from mosaicbench.metrics._neighbors import transfer_each

        return transfer_each(reference, labels, latent, ks=NEIGHBORS)

    return transferred


def _transfer_among_query(reference: np.ndarray, labels: np.ndarray, latent: np.ndarray) -> Callable[[], np.ndarray]:
    def transferred() -> np.ndarray:
        from mosaicbench.metrics._neighbors import transfer_each

        return transfer_each(reference, labels, latent, ks=[15], own=np.arange(len(latent)))[15]

    return transferred


def _profiles(labels: np.ndarray, means: dict[str, np.ndarray], train_mean: np.ndarray) -> dict[str, np.ndarray]:
    """Return the cell types' mean profiles, and each cell's row of them; the mean of all train cells where there is none."""
    names = list(means)
    places = {name: place for place, name in enumerate(names)}
    return {
        "celltype_profiles": np.array([*means.values(), train_mean]),
        "celltype_of": np.array([places.get(label, len(names)) for label in labels]),
    }


def _correlations(imputed: dict, truth: dict, spaces: dict, feature_names: dict) -> Iterator[pd.DataFrame]:
    """Yield Pearson's r of every feature of every direction; NaN where the truth does not vary."""
    from mosaicbench.metrics._correlation import pearson_columns

    for direction, values in imputed.items():
        target = _target(direction)
        table = pd.DataFrame({"feature": feature_names[target], "value": pearson_columns(truth[target], values)})
        yield table.assign(metric=PER_FEATURE, direction=direction, space=spaces[target])[FEATURE_COLUMNS]


def _recalls(asked: list[tuple[str, str, dict]], labels: np.ndarray) -> Iterator[pd.DataFrame]:
    """Yield the recall of every cell type of every label transfer."""
    from mosaicbench.metrics._labels import recall_of_each

    for direction, space, needs in asked:
        if "transferred" in needs:
            recalls = recall_of_each(needs["transferred"](), labels)
            table = pd.DataFrame({"feature": list(recalls), "value": list(recalls.values())})
            yield table.assign(metric=PER_CLASS, direction=direction, space=space)[FEATURE_COLUMNS]


def _by_batch(asked: list[tuple[str, str, dict]], labels: np.ndarray, batches: np.ndarray) -> Iterator[pd.DataFrame]:
    """Yield the balanced accuracy of every prediction of types in every batch that has cells of known type."""
    for direction, space, needs in asked:
        for need, metric in PREDICTIONS.items():
            if need not in needs:
                continue
            said = needs[need]() if callable(needs[need]) else needs[need]
            masks = {str(batch): (batches == batch) & (labels != "") for batch in dict.fromkeys(batches)}
            values = {
                batch: ask(metric, **{need: said[rows]}, labels=labels[rows]) for batch, rows in masks.items() if rows.any()
            }
            table = pd.DataFrame({"feature": list(values), "value": list(values.values())})
            yield table.assign(metric=metric, direction=direction, space=space)[FEATURE_COLUMNS]


def _target(direction: str) -> str:
    return direction.split("->")[1]


def _check_rows(cells: int, **arrays_by_kind: dict[str, np.ndarray]) -> None:
    for kind, arrays in arrays_by_kind.items():
        for name, array in arrays.items():
            if array.shape[0] != cells:
                raise ValueError(f"{kind} of {name!r} has {array.shape[0]} rows, there are {cells} query cells")


def _check_features(truth: dict[str, np.ndarray], feature_names: dict[str, list[str]]) -> None:
    for modality, values in truth.items():
        if values.shape[1] != len(feature_names[modality]):
            names = len(feature_names[modality])
            raise ValueError(f"truth of {modality!r} has {values.shape[1]} features, there are {names} feature names")
