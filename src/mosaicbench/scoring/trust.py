"""How good a run is where nobody knows which cells match: FOSCTTM and label transfer, estimated.

What can be observed of two modalities' latents, without a pair and without a label, is one index;
``data/trust.tsv`` says what runs with such an index scored where the truth was known
(``benchmarks/trust.py``, docs/trust.md).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from mosaicbench.metrics._nearest import fractions_closer
from mosaicbench.metrics.mixing import modality_mixing

CALIBRATION = Path(__file__).parents[1] / "data/trust.tsv"
K = 15  # neighbours whose values are averaged
MOST = 3000  # cells of a modality that are looked at; of more, as many are drawn
LEAST = 0.1  # correlation among own neighbours; of less, hardly more than noise is linked
BAD = 0.4  # an estimated FOSCTTM as bad as that of types exchanged; 0.5 is chance
FEATURES = {
    "across": "linked features: correlation of a cell's neighbours with those in the other modality",
    "own": "linked features: correlation of a cell with its neighbours in its own modality",
    "way_back": "fraction of cells nearer than the cell itself on the way back from its nearest partner",
    "mixing": "fraction of the other modality among 20 nearest cells; 0.5 is perfect",
}  # means of both directions


def features(
    a: np.ndarray, b: np.ndarray, linked: tuple[np.ndarray, np.ndarray] | None = None
) -> dict[str, float]:
    """Return what can be observed of two modalities' latents; the order of cells does not matter.

    Parameters
    ----------
    a, b
        (cells, latent) of each modality, in one space.
    linked
        (cells, columns) of each: a column of both is one gene, standardised.

    Returns
    -------
    dict
        FEATURES, and `index`; without linked features only way_back and mixing.
    """
    random = np.random.default_rng(0)
    rows = [random.permutation(len(z))[:MOST] for z in (a, b)]
    a, b = a[rows[0]], b[rows[1]]
    found = {"way_back": (_way_back(a, b) + _way_back(b, a)) / 2}
    few = min(len(a), len(b))
    found["mixing"] = modality_mixing(a[:few], b[:few])
    if linked is None:
        return found
    x, y = (values[of] for values, of in zip(linked, rows, strict=True))
    across, own = np.mean([_agreement(a, b, x, y), _agreement(b, a, y, x)], axis=0)
    found = {"across": float(across), "own": float(own)} | found
    return found | {"index": index(**found)}


def index(across: float, own: float, way_back: float, **_: float) -> float:
    """Return the share of linked features' signal that crosses the modalities, less if no way leads back."""
    return across / max(own, LEAST) * (1 - 2 * way_back)


def estimates(value: float) -> dict[str, tuple[float, float, float]]:
    """Return score -> its estimate and the ends of its 90 % interval, for an index.

    `foscttm`, and `label_transfer_skill`, of which :func:`accuracy` makes an accuracy.
    """
    found = {}
    for score, rows in calibration().groupby("score"):
        middle = np.interp(value, rows["index"], rows["estimate"])
        half = rows["half_width"].iloc[0]
        low = max(middle - half, 0) if score == "foscttm" else middle - half
        found[score] = (float(middle), float(low), float(min(middle + half, 1)))
    return found


def accuracy(skill: float, share: float) -> float:
    """Return label transfer accuracy, where the most frequent type has a `share` of the cells."""
    return float(np.clip(share + (1 - share) * skill, 0, 1))


@cache
def calibration() -> pd.DataFrame:
    """Return score, index, estimate and half the width of the interval: knots of monotone curves."""
    return pd.read_csv(CALIBRATION, sep="\t")


def _nearest(z: np.ndarray, reference: np.ndarray, k: int) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=min(k, len(reference)), algorithm="brute").fit(reference)
    return found.kneighbors(z, return_distance=False)


def _way_back(a: np.ndarray, b: np.ndarray) -> float:
    return float(fractions_closer(b[_nearest(a, b, 1)[:, 0]], a).mean())


def _agreement(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return correlations of linked features: neighbours here and there, cell and own neighbours."""
    own, other = _nearest(a, a, K + 1), _nearest(a, b, K)
    here, there, without_itself = x[own[:, :K]], y[other], x[own[:, 1:]]
    return (
        _correlation(here.mean(axis=1), there.mean(axis=1)),
        _correlation(x, without_itself.mean(axis=1)),
    )


def _correlation(u: np.ndarray, w: np.ndarray) -> float:
    u, w = u - u.mean(axis=0), w - w.mean(axis=0)
    scale = np.sqrt(np.square(u).sum() * np.square(w).sum())
    return float((u * w).sum() / scale) if scale > 1e-9 else 0.0
