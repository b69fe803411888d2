"""What umap-learn, pynndescent and muon compile is kept on the disk, where numba finds it in the next process: 20 s of each.

They keep some of their functions so, the others are compiled whenever they are imported or first used.
"""

from functools import wraps

from numba.core.dispatcher import Dispatcher


def keep() -> None:
    """Have every function that these packages compile from now on be kept, or found, beside its source."""
    made = Dispatcher.__init__

    @wraps(made)
    def kept(self: Dispatcher, py_func: object, *arguments: object, **options: object) -> None:
        made(self, py_func, *arguments, **options)
        if py_func.__module__.split(".")[0] in ("umap", "pynndescent", "muon"):
            self.enable_caching()

    Dispatcher.__init__ = kept
