"""Whether a run shows a failed training, and what the data allow for any method."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mosaicbench.metrics._checks import Matrix, Undefined, by_feature, finite, matched
from mosaicbench.metrics._labels import known
from mosaicbench.metrics._nearest import fractions_closer

CARDS = {
    "active_units": {
        "label": "Active units",
        "group": "sanity",
        "better": "higher",
        "bounds": [0.0, None],
        "definition": "Number of latent dimensions whose value (the posterior mean, for a VAE) has "
        "a variance above 0.01 over the query cells; 0 is a collapsed latent.",
        "doi": "10.48550/arXiv.1509.00519",
    },
    "kl_term": {
        "label": "KL term (nats per cell)",
        "group": "sanity",
        "better": "higher",
        "bounds": [0.0, None],
        "definition": "The divergence of the posteriors from the prior in the epoch whose weights "
        "were kept, in nats per cell, with the weight it had in the loss and summed over the "
        "posteriors that the method trains; near 0 the latents hold no information.",
    },
    "kept_epoch": {
        "label": "Epoch kept",
        "group": "sanity",
        "better": "lower",
        "bounds": [1.0, None],
        "definition": "The number of the epoch whose weights a trained method kept: the one with "
        "the lowest validation loss, or the last if the run is set so.",
    },
    "stopped_by_budget": {
        "label": "Stopped by the budget",
        "group": "sanity",
        "best": 0.0,
        "better": "lower",
        "bounds": [0.0, 1.0],
        "definition": "1 where a training reached `max_epochs` less than `patience` epochs after "
        "the epoch whose weights it kept, so more epochs might have lowered its validation loss; "
        "else 0. Not defined where the last weights are kept.",
    },
    "alignment_at_chance": {
        "label": "Alignment at chance",
        "group": "sanity",
        "best": 0.0,
        "better": "lower",
        "chance": 1.0,
        "bounds": [0.0, 1.0],
        "definition": "1 where the mean over cells of FOSCTTM, plus two standard errors, reaches "
        "0.5, so that the alignment is no better than chance; else 0.",
        "exempt_from": {
            "shuffled_is_chance": "is a test, which errs in 2 % of draws",
            "noise_never_improves": "is a flag",
        },
    },
    "equal_latents": {
        "label": "Equal latents",
        "group": "sanity",
        "better": "lower",
        "bounds": [0.0, 1.0],
        "definition": "Fraction of query cells whose latents in both modalities are equal in every "
        "dimension. Above 0 for anything but a control, the two modalities were not two "
        "measurements (one file read twice), or the latent is constant.",
    },
    "latent_norm_ratio": {
        "label": "Ratio of latent lengths",
        "group": "sanity",
        "better": "lower",
        "bounds": [1.0, None],
        "definition": "Root mean squared length of the latents of the modality in which it is "
        "larger over that of the other, over the query cells. Far above 1, Euclidean distances "
        "between modalities compare scales as much as cells: read the scores by cosine distance "
        "beside them.",
        "exempt_from": {"collapse_is_not_rewarded": "says nothing about how good a latent is"},
    },
    "label_floor": {
        "label": "FOSCTTM of perfect labels",
        "group": "reference",
        "better": "lower",
        "bounds": [0.0, 0.5],
        "definition": "Half the sum of squared fractions of the cell types among the query cells: "
        "the FOSCTTM of one latent for all cells of a type. A property of the data, the same for "
        "every run.",
    },
    "unlabelled_cells": {
        "label": "Unlabelled query cells",
        "group": "reference",
        "better": "lower",
        "bounds": [0.0, None],
        "definition": "Number of query cells without a cell type (unassigned, or marked unknown in "
        "the dataset's stanza), which scores of labels leave out. A property of the data, the same "
        "for every run.",
    },
    "imputation_constant_features": {
        "label": "Constant features",
        "group": "reference",
        "better": "lower",
        "bounds": [0.0, None],
        "definition": "Number of the target's features whose true values do not vary over the "
        "query cells, so that no correlation exists.",
    },
}


def active_units(latent: np.ndarray) -> float:
    """Return the number of dimensions with a variance above 0.01."""
    return float((finite(latent).var(axis=0) > 0.01).sum())


def kl_term(history: dict[str, np.ndarray]) -> float:
    """Return the "kl" of the epoch with "kept" 1, else with the lowest "validation_loss"."""
    if "kept" in history:
        epoch = np.argmax(history["kept"])
    else:
        epoch = np.nanargmin(history["validation_loss"])
    kl = float(history["kl"][epoch])
    if not np.isfinite(kl):
        raise ValueError("the history holds NaN or infinite values")
    return max(0.0, kl)


def kept_epoch(trained: Mapping[str, int]) -> float:
    """Return ``trained["kept_epoch"]``."""
    return float(trained["kept_epoch"])


def stopped_by_budget(stopping: Mapping[str, int]) -> float:
    """Return 1.0 or 0.0."""
    capped = stopping["epochs"] == stopping["max_epochs"]
    return float(capped and stopping["epochs"] - stopping["kept_epoch"] < stopping["patience"])


def alignment_at_chance(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return 1.0 or 0.0, from a to b."""
    fractions = fractions_closer(latent_a, latent_b)
    return float(fractions.mean() + 2 * fractions.std(ddof=1) / np.sqrt(len(fractions)) >= 0.5)


def equal_latents(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the fraction of equal latents."""
    a, b = matched(latent_a, latent_b)
    return float(np.all(a == b, axis=1).mean())


def latent_norm_ratio(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the ratio; undefined if all latents of a modality have length 0."""
    shorter, longer = sorted(map(_rms_length, matched(latent_a, latent_b)))
    if shorter == 0:
        raise Undefined("all latents of a modality have length 0")
    return longer / shorter


def label_floor(labels: np.ndarray) -> float:
    """Return half the sum of squared fractions of the labels."""
    _, sizes = np.unique(labels[known(labels)].astype(str), return_counts=True)
    return float(0.5 * ((sizes / sizes.sum()) ** 2).sum())


def unlabelled_cells(labels: np.ndarray) -> float:
    """Return the number of labels that are ""."""
    return float((~known(labels)).sum())


def imputation_constant_features(truth: Matrix) -> float:
    """Return the number of constant features."""
    return float(sum((np.ptp(x, axis=1) == 0).sum() for (x,) in by_feature(truth)))


def _rms_length(latent: np.ndarray) -> float:
    largest = float(np.abs(latent).max(initial=0))
    return largest and largest * float(np.sqrt(np.square(latent / largest).sum(axis=1).mean()))
