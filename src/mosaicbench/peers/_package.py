"""What wrapped packages share: a run imports only its package, which changes nothing else."""

from __future__ import annotations

import logging
import os
import random
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import torch
from sklearn.decomposition import PCA

from mosaicbench.contract import Cells, History, Normalization, Split
from mosaicbench.errors import Diverged, NotApplicable

KINDS = {"lognorm": "RNA", "clr": "proteins", "lsi": "ATAC"}  # kind of a normalization -> assay
VALIDATION = 0.1  # fraction of the train cells
TARGET = 1e4  # counts of a cell before the logarithm, of peaks


def need(card: dict, counts_of: Split | None = None) -> None:
    """Raise NotApplicable without the card's package, or without counts of all modalities."""
    wraps = card["wraps"]
    if find_spec(wraps["module"]) is None:
        raise NotApplicable(
            f"the package {wraps['package']} is not installed; `make peers` installs {wraps['version']}"
        )
    features = counts_of.features if counts_of else {}
    if without := [m for m in features if m not in counts_of.normalizations]:
        raise NotApplicable(f"{card['label']} needs counts; {' and '.join(without)} has none")


def by_kind(train: Split) -> dict[str, str]:
    """Return kind of a normalization -> its modality; NotApplicable if two are of one kind."""
    modalities: dict[str, str] = {}
    for modality, normalization in train.normalizations.items():
        other = modalities.setdefault(normalization.kind, modality)
        if other != modality:
            assay = KINDS[normalization.kind]
            raise NotApplicable(f"it takes one modality of {assay}, not {other} and {modality}")
    return modalities


def by_name(train: Split, kinds: dict[str, str]) -> dict[str, str]:
    """Return the package's name -> modality, in the order of `kinds`: name -> kind."""
    modalities = by_kind(train)
    return {name: modalities[kind] for name, kind in kinds.items() if kind in modalities}


def lsi_of(train: Split) -> set[str]:
    """Return the modalities whose values are LSI."""
    return {m for m, normalization in train.normalizations.items() if normalization.kind == "lsi"}


def split_off(cells: Cells, seed: int) -> tuple[Cells, Cells]:
    """Return the cells to train on, and a tenth, drawn by the seed, to validate on."""
    order = np.random.default_rng(seed).permutation(len(cells))
    count = int(VALIDATION * len(cells))
    return cells.take(order[count:]), cells.take(order[:count])


def table(x, names: np.ndarray, modality: str, **obs: Sequence):
    """Return an AnnData of `x`, (cells, features), with names and columns of `obs`."""
    import pandas as pd
    from anndata import AnnData

    features = pd.DataFrame(index=[f"{modality} {feature}" for feature in range(x.shape[1])])
    return AnnData(x, obs=pd.DataFrame(obs, index=names.astype(str)), var=features)


def pca(x: np.ndarray, most: int, seed: int) -> PCA:
    """Return an estimator of at most `most` principal components, fewer than cells or features."""
    return PCA(min(most, *(size - 1 for size in x.shape)), random_state=seed)


def before_standardising(cells: Cells, modality: str, normalization: Normalization) -> np.ndarray:
    """Return log-normalised counts or CLR, (cells, features), never negative by rounding."""
    return np.maximum(cells.values[modality] * normalization.std + normalization.mean, 0)


def log_normalised(cells: Cells, modality: str) -> np.ndarray:
    """Return the logarithm of 1 plus counts per 10,000, (cells, counted features)."""
    counts = cells.counts[modality].toarray().astype(np.float32)
    return np.log1p(TARGET * counts / np.maximum(cells.library_size[modality], 1)[:, None])


def log2_at(level: float, counts) -> np.ndarray:
    """Return log2 of 1 plus counts, (cells, features) sparse, that sum to `level` in every cell."""
    x = counts.toarray().astype(np.float64)
    return np.log2(1 + x / np.maximum(x.sum(1, keepdims=True), 1) * level)


def history(**columns: Sequence[float]) -> History:
    """Return the rows of a history from its columns; Diverged if a loss is not finite."""
    rows = []
    for epoch, values in enumerate(zip(*columns.values(), strict=False), 1):
        rows.append({"epoch": epoch, **dict(zip(columns, map(float, values), strict=True))})
    if not np.isfinite([row["loss"] for row in rows]).all():
        raise Diverged("the loss was not finite")
    return rows


@contextmanager
def apart(seed: int, *, silent: bool = False) -> Iterator[None]:
    """Run a package in a temporary folder, with global generators that start at `seed`.

    Its output goes to the standard error, a run's log; with `silent`, its own standard error is
    dropped. Generators, environment, loggers and working directory are restored.
    """
    python, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002
    disabled = logging.root.manager.disable
    with (
        torch.random.fork_rng(),
        patch.dict(os.environ),
        TemporaryDirectory() as folder,
        chdir(folder),
        redirect_stdout(sys.stderr),
        redirect_stderr(StringIO() if silent else sys.stderr),
        warnings.catch_warnings(action="ignore"),
    ):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (packages draw from it)
        torch.manual_seed(seed)
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(arrays)  # noqa: NPY002
            logging.disable(disabled)
