"""What a user asks of a fit to cells of one's own, checked before any cell is read as the config checks a run."""

from __future__ import annotations

from mosaicbench import catalog, config_checks
from mosaicbench.fitting.method import Implementation, implementation


def method_asked(method: str, hyperparameters: dict, seed: int) -> Implementation:
    """Return a method.

    Raises
    ------
    UserError
        When there is no such method, it does not have such hyperparameters, or there is no such seed.
    """
    catalog.card("methods", method)  # refuses an unknown one, with the nearest
    known, refusals = catalog.hyperparameters(method), catalog.refusals(method)
    config_checks.check_hyperparameters(
        "hyperparameters", method, hyperparameters, known, refusals, where=""
    )
    config_checks.check_type(
        "seed", seed, f'Annotated[int, "at least 0 and at most {config_checks.LARGEST}"]', where=""
    )
    return implementation(catalog.module("methods", method), method)
