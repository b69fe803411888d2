"""How a wrapped package is run: every generator it may draw from is seeded, and nothing of it stays behind."""

from __future__ import annotations

import logging
import os
import random
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import numpy as np

from mosaicbench.parts import training


@contextmanager
def contained(seed: int) -> Iterator[str]:
    """Run a package's training: random by `seed` alone, silent, with a folder of its own that is removed after it.

    Afterwards Python's, numpy's and torch's global generators, the arithmetic of torch, what is logged and the variables of the
    environment are as before. What goes wrong is raised as ever.

    Yields
    ------
    folder
        An empty folder, for a package that insists on writing files.
    """
    python, of_numpy, logged = random.getstate(), np.random.get_state(), logging.root.manager.disable  # noqa: NPY002
    variables = dict(os.environ)
    with training.seeded(seed), tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        logging.disable(logging.WARNING)
        try:
            with redirect_stdout(nowhere), redirect_stderr(nowhere), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield folder
        finally:
            logging.disable(logged)
            os.environ.clear()
            os.environ.update(variables)
            np.random.set_state(of_numpy)  # noqa: NPY002
            random.setstate(python)
