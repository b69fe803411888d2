"""What umap-learn, pynndescent, muon and jax compile is kept on the disk, where the next process finds it: 20 s of each.

umap-learn and pynndescent keep some of their functions so; the others are compiled whenever they are imported or first used.
"""

import os
from functools import cache, wraps
from importlib.util import find_spec
from pathlib import Path

from llvmlite.binding import get_host_cpu_name
from numba.core.dispatcher import Dispatcher
from sklearn.base import BaseEstimator


def keep():
    """Have every function that these packages compile from now on, also in processes that are started, be kept, or found."""
    made = Dispatcher.__init__

    @wraps(made)
    def kept(self, py_func, *arguments, **options):
        made(self, py_func, *arguments, **options)
        if py_func.__module__.split(".")[0] in ("umap", "pynndescent", "muon"):
            self.enable_caching()

    Dispatcher.__init__ = kept
    jax = find_spec("jax")
    if jax:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(
            Path(jax.origin).parent / "__pycache__" / get_host_cpu_name()
        )
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = (
            "0"  # most take less than the second from which jax keeps
        )


def remember_parameters():
    """Have scikit-learn read the signature of a class once: a forest does so five times for each tree, a third of its time."""
    BaseEstimator._get_param_names = classmethod(cache(BaseEstimator._get_param_names.__func__))
