"""Packages that numba compiles while they are imported: umap-learn, and pynndescent, which scib-metrics imports."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from types import ModuleType

import numba


def import_kept(package: str) -> ModuleType:
    """Import a package and let numba keep what it compiles of it and of what it imports, for which these ask of few functions.

    It lies beside the files of its functions, or in the user's cache folder where they cannot be written to, and holds for this
    version of a file, of Python and numba, and for this processor. Where the package was imported before, nothing changes.
    """
    njit = numba.njit
    numba.njit = partial(njit, cache=True)
    try:
        return import_module(package)
    finally:
        numba.njit = njit
