"""Latents in the form that the compiled loops of `_distances.py` take."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from importlib import import_module

import numpy as np
from threadpoolctl import ThreadpoolController

from mosaicbench.metrics._distances import BLOCK
from mosaicbench.metrics._ranges import rough_of


def rows_of(latent: np.ndarray) -> np.ndarray:
    """Return latents, (cells, dims), with a zero column where that makes the dimensions even."""
    return np.ascontiguousarray(np.pad(latent, ((0, 0), (0, latent.shape[1] % 2))))


def blocks_of(latent: np.ndarray) -> np.ndarray:
    """Lay latents, (cells, dims), out in blocks of cells, dimensions first: (blocks, even dims, BLOCK), filled with zeros."""
    padded = np.pad(latent, ((0, -len(latent) % BLOCK), (0, latent.shape[1] % 2)))
    return np.ascontiguousarray(padded.reshape(-1, BLOCK, padded.shape[1]).transpose(0, 2, 1))


def sides_of(latent: np.ndarray, reference: np.ndarray) -> tuple:
    """Return rows of latents, blocks of a reference, and what :func:`rough_of` returns of them, of the reference in blocks."""
    rough, rough_reference, half = rough_of(latent, reference)
    return rows_of(latent), blocks_of(reference), rows_of(rough), blocks_of(rough_reference), half


def filled(values: np.ndarray, multiple: int) -> np.ndarray:
    """Return values of cells, (cells, ...), with NaN in place of cells up to a multiple: it is neither less nor equal."""
    whole = np.full(
        (len(values) + -len(values) % multiple, *values.shape[1:]), np.nan, values.dtype
    )  # faster than np.pad
    whole[: len(values)] = values
    return whole


def one_blas_thread() -> AbstractContextManager:
    """Have each product within compiled loops take one thread: numba's threads share out the cells."""
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> ThreadpoolController:
    """Return the libraries that have threads; looking for them takes longer than many a score."""
    import_module(
        "scipy.linalg.cython_blas"
    )  # what numba calls; a limit holds only for what is loaded
    return ThreadpoolController()
