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

import numpy as np
import torch
from sklearn.decomposition import PCA

from mosaicbench.contract import Cells, Normalization, Split
from mosaicbench.errors import Diverged, NotApplicable

KINDS = {"lognorm": "RNA", "clr": "proteins", "lsi": "ATAC"}  # kind of a normalization -> assay


def need(wraps: dict[str, str]) -> None:
    """Raise NotApplicable, with the remedy, if the package of a card's `wraps` is not installed."""
    if find_spec(wraps["module"]) is None:
        raise NotApplicable(
            f"the package {wraps['package']} is not installed; `make peers` installs {wraps['version']}"
        )


def need_counts(train: Split, label: str) -> None:
    """Raise NotApplicable if a modality has no counts."""
    if without := [m for m in train.modalities if m not in train.normalizations]:
        raise NotApplicable(f"{label} needs counts; {' and '.join(without)} has none")


def modality_of(train: Split, kind: str) -> str | None:
    """Return the modality whose normalization is of this kind, None if there is none.

    Raises
    ------
    NotApplicable
        If there are several.
    """
    found = [m for m, normalization in train.normalizations.items() if normalization.kind == kind]
    if len(found) > 1:
        raise NotApplicable(
            f"it takes one modality of {KINDS[kind]}, this dataset has {' and '.join(found)}"
        )
    return found[0] if found else None


def modalities_of(train: Split, label: str, kinds: dict[str, str]) -> dict[str, str]:
    """Return the package's name -> modality, in the order of `kinds`: name -> kind.

    Raises
    ------
    NotApplicable
        If a modality of the split is of none of the kinds, or several are of one.
    """
    found = {name: modality_of(train, kind) for name, kind in kinds.items()}
    if not set(train.modalities) <= set(found.values()):
        assays = " or ".join(KINDS[kind] for kind in kinds.values())
        raise NotApplicable(f"{label} needs every modality to have counts of {assays}")
    return {name: modality for name, modality in found.items() if modality is not None}


def split_off(cells: Cells, fraction: float, seed: int) -> tuple[Cells, Cells]:
    """Return the cells to train on, and a `fraction`, drawn by the seed, to validate on."""
    order = np.random.default_rng(seed).permutation(len(cells))
    count = int(fraction * len(cells))
    return cells.take(order[count:]), cells.take(order[:count])


def table(x, names: np.ndarray, modality: str, **obs: Sequence):
    """Return an AnnData of `x`, (cells, features), with names and columns of `obs`."""
    import pandas as pd
    from anndata import AnnData

    features = pd.DataFrame(index=[f"{modality} {feature}" for feature in range(x.shape[1])])
    return AnnData(x, obs=pd.DataFrame(obs, index=names.astype(str)), var=features)


def pca(x: np.ndarray, most: int, seed: int) -> PCA:
    """Return at most `most` principal components, fewer than cells or features."""
    return PCA(min(most, *(size - 1 for size in x.shape)), random_state=seed).fit(x)


def before_standardising(cells: Cells, modality: str, normalization: Normalization) -> np.ndarray:
    """Return log-normalised counts or CLR, (cells, features), never negative by rounding."""
    return np.maximum(cells.values[modality] * normalization.std + normalization.mean, 0)


def history(**columns: Sequence[float]) -> list[dict[str, float]]:
    """Return the rows of a history from its columns, such as loss; empty columns are left out.

    Raises
    ------
    Diverged
        If a loss is not finite.
    """
    filled = {name: [float(x) for x in column] for name, column in columns.items() if len(column)}
    if not np.isfinite(filled["loss"]).all():
        raise Diverged("the loss was not finite")
    return [
        {"epoch": epoch, **dict(zip(filled, row, strict=True))}
        for epoch, row in enumerate(zip(*filled.values(), strict=False), 1)
    ]


@contextmanager
def apart(seed: int, *, silent: bool = False) -> Iterator[None]:
    """Run a package in a temporary folder, with global generators that start at `seed`.

    Its output goes to the standard error, a run's log; with `silent`, what it writes to the
    standard error is dropped. Afterwards generators, environment, settings of cuDNN, loggers and
    working directory are what they were.
    """
    python, arrays, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    on_device = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    environment, disabled = dict(os.environ), logging.root.manager.disable
    deterministic, timed = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (packages draw from it)
    torch.manual_seed(seed)
    logging.disable(logging.WARNING)
    try:
        with (
            TemporaryDirectory() as folder,
            chdir(folder),
            redirect_stdout(sys.stderr),
            redirect_stderr(StringIO() if silent else sys.stderr),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)  # noqa: NPY002
        torch.set_rng_state(tensors)
        if on_device:
            torch.cuda.set_rng_state_all(on_device)
        os.environ.clear()
        os.environ.update(environment)
        logging.disable(disabled)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, timed
