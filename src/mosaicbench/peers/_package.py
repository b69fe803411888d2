"""What wrapped packages share: they are imported only when a run asks for them, and leave the process as they found it."""

from __future__ import annotations

import logging
import os
import random
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stdout
from importlib.util import find_spec
from tempfile import TemporaryDirectory

import numpy as np
import torch

from mosaicbench.contract import Cells, Normalization
from mosaicbench.errors import Diverged, NotApplicable


def need(wraps: dict[str, str]) -> None:
    """Refuse the run where the package that a card's `wraps` names is not installed.

    Raises
    ------
    NotApplicable
        Says what to install: the run becomes a row with that status, a dash in tables.
    """
    if find_spec(wraps["module"]) is None:
        raise NotApplicable(
            f"the package {wraps['package']} is not installed; `make peers` installs {wraps['version']}"
        )


def before_standardising(cells: Cells, modality: str, normalization: Normalization) -> np.ndarray:
    """Return log-normalised counts or CLR as they were, (cells, features): never below 0, where rounding would put them."""
    return np.maximum(cells.values[modality] * normalization.std + normalization.mean, 0)


def history(**columns: Sequence[float]) -> list[dict[str, float]]:
    """Return the rows of a history from a package's columns, such as loss; a column without a number is left out.

    Raises
    ------
    Diverged
        When a loss is not finite.
    """
    told = {name: [float(x) for x in column] for name, column in columns.items() if len(column)}
    if not np.isfinite(told["loss"]).all():
        raise Diverged("the loss was not finite")
    return [
        {"epoch": epoch, **dict(zip(told, row, strict=True))}
        for epoch, row in enumerate(zip(*told.values(), strict=False), 1)
    ]


@contextmanager
def apart(seed: int) -> Iterator[None]:
    """Let a package draw from global generators that start at `seed`, in a temporary folder, without a word.

    What it prints goes to the standard error, a run's log. Afterwards generators, environment, settings of cuDNN, loggers and
    working directory are what they were.
    """
    python, arrays, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    on_device = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    environment, silenced = dict(os.environ), logging.root.manager.disable
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
        logging.disable(silenced)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, timed
