"""What a user asks of a fit to cells of one's own, checked before any cell is read as the config checks a run."""

from __future__ import annotations

from mosaicbench.catalog import catalog
from mosaicbench.config.checking import faults, refuse
from mosaicbench.config.references import of_hyperparameters
from mosaicbench.config.schema import Seed
from mosaicbench.fitting.method import Implementation, implementation


def method_asked(method: str, hyperparameters: dict, seed: int) -> Implementation:
    """Return a method.

    Raises
    ------
    UserError
        When there is no such method, it does not have such hyperparameters, or there is no such seed.
    """
    catalog.card("methods", method)  # refuses an unknown one, with the nearest
    mistakes = [*of_hyperparameters("hyperparameters", method, hyperparameters)]
    refuse([*mistakes, *faults(Seed, seed, "seed")], what="")
    return implementation(catalog.module("methods", method), method)
