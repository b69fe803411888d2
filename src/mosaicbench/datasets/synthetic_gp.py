"""Gaussian processes, a toy for shared/private VAEs: two modalities of few latent factors.

A cell has factors s (shared), w_first and w_second (private), each uniform on [-2, 2]. Every
feature is one draw of a function of s, or of the modality's own w, from a Gaussian process with
mean 0 and covariance exp(-|u - v|^2 / 2). Features are standardised over the cells, and noise is
added. Each modality has its own stream of random numbers: more private features change nothing in
the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from mudata import MuData

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.datasets.simulated import with_truth
from mosaicbench.errors import UserError

CARD = {
    "label": "Gaussian processes",
    "summary": "all is simulated: two continuous modalities, ten features each of shared factors, the others of private ones",
    "labels": "simulated: the sign of the first shared factor; no modality has an advantage",
    "licence": "none needed: drawn from a random number generator",
    "citation": "after the synthetic data of Märtens and Yau 2024, doi:10.48550/arXiv.2403.06338",
    "simulated": True,
}

STREAMS = {"first": 1, "second": 2}
JITTER = 1e-6  # on the covariance's diagonal: its smallest eigenvalues are 0 to machine precision


def load(
    raw: Path | None,
    *,
    cells: Annotated[int, "at least 10"] = 1000,
    private_features: dict[str, Annotated[int, "at least 0"]] | None = None,
    shared_features: Annotated[int, "at least 1"] = 10,
    shared: Annotated[int, "at least 1"] = 2,
    private: Annotated[int, "at least 1"] = 2,
    noise: Annotated[float, "at least 0"] = 0.15,
    seed: Annotated[int, "at least 0"] = 0,
) -> MuData:
    """Return simulated continuous values, with the truth in ``obsm`` and ``var``.

    Parameters
    ----------
    raw
        Not used: nothing is read.
    cells
        Number of cells; the time grows with its cube.
    private_features
        modality ("first", "second") -> number of features that its private factors drive; 100 by
        default.
    shared_features
        Number of features of each modality that the shared factors drive.
    shared, private
        Numbers of shared factors, and of private factors of each modality.
    noise
        Standard deviation of the noise on the standardised features: 0.15 leaves 0.978 of the
        variance to explain.
    seed
        Draws everything.

    Returns
    -------
    MuData
        ``obsm["shared_factors"]`` (cells, shared), and in every modality ``obsm["private_factors"]``
        (cells, private) and ``var["shared_driven"]``.
    """
    given = {} if private_features is None else private_features
    if unknown := sorted(set(given) - set(STREAMS)):
        raise UserError(
            f"private_features: no modality {unknown[0]!r}; there are {', '.join(STREAMS)}"
        )

    s = np.random.default_rng([seed, 0]).uniform(-2, 2, (cells, shared))
    of_shared = _root(s)
    measured, factors, driven = {}, {}, {}
    for modality, stream in STREAMS.items():
        rng = np.random.default_rng([seed, stream])
        w = rng.uniform(-2, 2, (cells, private))
        features = given.get(modality, 100)
        x = np.concatenate(
            [_drawn(of_shared, shared_features, rng), _drawn(_root(w), features, rng)], axis=1
        )
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        x += (
            noise * np.random.default_rng([seed, stream, 1]).standard_normal(x.T.shape).T
        )  # (cells, features)
        of_s = np.arange(x.shape[1]) < shared_features
        names = [f"{modality}-{'shared' if of else 'private'}-{j:04d}" for j, of in enumerate(of_s)]
        driven[modality] = pd.Series(of_s, index=names)
        measured[modality] = Measurement(x, names, "continuous", "continuous")
        factors[modality] = w

    dataset = assembled(
        measured,
        cells=[f"cell-{cell:06d}" for cell in range(cells)],
        cell_type=np.where(s[:, 0] > 0, "positive", "negative"),
    )
    return with_truth(dataset, s, factors, driven)


def _root(factors: np.ndarray) -> np.ndarray:
    distance = ((factors[:, None, :] - factors[None, :, :]) ** 2).sum(axis=-1)
    return np.linalg.cholesky(np.exp(-distance / 2) + JITTER * np.eye(len(factors)))


def _drawn(root: np.ndarray, features: int, rng: np.random.Generator) -> np.ndarray:
    return root @ rng.standard_normal((features, len(root))).T
