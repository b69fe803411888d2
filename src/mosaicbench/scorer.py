"""Supplies every metric with what its parameter names ask for: once per run, source, pair of modalities, or direction.

A metric is a function of arrays, and what it needs decides how often it is asked:

=============================================  ======================================================
a parameter named                              asked
=============================================  ======================================================
truth, imputed, train_mean, train_std          for every direction of an imputation
latent_a, latent_b, transferred                for every ordered pair of modalities with latents
latent                                         for every source of latents
record, device_record, labels, batches alone   once per run
=============================================  ======================================================
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from itertools import permutations

import numpy as np
import pandas as pd

from mosaicbench import catalog

SCORE_COLUMNS = ["metric", "direction", "space", "value"]
FEATURE_COLUMNS = ["metric", "direction", "space", "feature", "value"]
LABELLED = {"labels", "transferred"}
PER_FEATURE = "imputation_pearson_per_feature"


def score(
    *,
    latents: dict[str, np.ndarray],
    train_latents: dict[str, np.ndarray],
    train_labels: dict[str, np.ndarray],
    imputed: dict[str, np.ndarray],
    truth: dict[str, np.ndarray],
    spaces: dict[str, str],
    train_mean: dict[str, np.ndarray],
    train_std: dict[str, np.ndarray],
    feature_names: dict[str, list[str]],
    labels: np.ndarray | None,
    batches: np.ndarray,
    record: dict,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return every score of one run and seed, and its per-feature correlations.

    Parameters
    ----------
    latents
        source -> (cells, dims); rows of all sources are the same query cells in the same order.
    train_latents, train_labels
        source -> (train cells, dims) and their (train cells,) types.
    imputed
        "rna->adt" -> (cells, features of adt), in the value space of the target.
    truth, spaces, train_mean, train_std, feature_names
        By modality.
    labels, batches
        (cells,); "" where a type is unknown. Where `labels` is None or no type is known, metrics of labels are left out.
    record
        The run's record.

    Raises
    ------
    ValueError
        When arrays that should describe the same cells or features differ in length.
    """
    known = labels is not None and bool(np.any(np.asarray(labels, dtype=object) != ""))
    _check_rows(len(batches), latents=latents, imputed=imputed, truth=truth, labels={"query": labels} if known else {})
    _check_features(truth, feature_names)
    once = {"labels": labels, "batches": batches, "record": record}
    if record.get("peak_device_mb") is not None:
        once["device_record"] = record
    asked = [
        *[("run", "-", {})],
        *[(source, "-", {"latent": z}) for source, z in latents.items()],
        *_pairs(latents, train_latents, train_labels, known),
        *[(d, spaces[_target(d)], _needs_of(d, imputed, truth, train_mean, train_std)) for d in imputed],
    ]
    metrics = {name: tuple(catalog.parameters("metrics", name)) for name in catalog.names("metrics")}
    metrics = {name: needs for name, needs in metrics.items() if known or not LABELLED & set(needs)}
    rows = []
    for direction, space, supplied in asked:
        available = once | supplied
        for name, needs in metrics.items():
            if set(needs) <= set(available) and (set(needs) & set(supplied) or not supplied):
                metric = getattr(importlib.import_module(catalog.module("metrics", name)), name)
                rows.append((name, direction, space, metric(**{need: available[need] for need in needs})))
    return pd.DataFrame(rows, columns=SCORE_COLUMNS), _features(imputed, truth, spaces, feature_names)


def _pairs(latents: dict, train_latents: dict, train_labels: dict, known: bool) -> Iterator[tuple[str, str, dict]]:
    """Yield the needs of every ordered pair of modalities: from the first's train cells to the second's query cells."""
    for source, target in permutations([source for source in latents if source != "joint"], 2):
        needs = {"latent_a": latents[source], "latent_b": latents[target]}
        if known and source in train_latents and np.any(train_labels[source] != ""):
            from mosaicbench.metrics._neighbors import transfer

            needs["transferred"] = transfer(train_latents[source], train_labels[source], latents[target])
        yield f"{source}->{target}", "-", needs


def _needs_of(direction: str, imputed: dict, truth: dict, train_mean: dict, train_std: dict) -> dict:
    target = _target(direction)
    return {
        "imputed": imputed[direction],
        "truth": truth[target],
        "train_mean": train_mean[target],
        "train_std": train_std[target],
    }


def _features(imputed: dict, truth: dict, spaces: dict, feature_names: dict) -> pd.DataFrame:
    """Return Pearson's r of every feature of every direction; NaN where the truth does not vary."""
    from mosaicbench.metrics._correlation import pearson_columns

    tables = [pd.DataFrame(columns=FEATURE_COLUMNS)]
    for direction, values in imputed.items():
        target = _target(direction)
        r = pearson_columns(truth[target], values)
        table = pd.DataFrame({"feature": feature_names[target], "value": r})
        tables.append(table.assign(metric=PER_FEATURE, direction=direction, space=spaces[target])[FEATURE_COLUMNS])
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _target(direction: str) -> str:
    return direction.split("->")[1]


def _check_rows(cells: int, **arrays_by_kind: dict[str, np.ndarray]) -> None:
    for kind, arrays in arrays_by_kind.items():
        for name, array in arrays.items():
            if len(array) != cells:
                raise ValueError(f"{kind} of {name!r} has {len(array)} rows, there are {cells} query cells")


def _check_features(truth: dict[str, np.ndarray], feature_names: dict[str, list[str]]) -> None:
    for modality, values in truth.items():
        if values.shape[1] != len(feature_names[modality]):
            names = len(feature_names[modality])
            raise ValueError(f"truth of {modality!r} has {values.shape[1]} features, there are {names} feature names")
