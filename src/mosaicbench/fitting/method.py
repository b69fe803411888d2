"""A method, imported: its class and its card."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from mosaicbench.catalog import card_defaults


@dataclass(frozen=True)
class Implementation:
    """A method of the catalogue: its id, the dotted name of its module, its class, and its card with all defaults."""

    name: str
    module: str
    create: type
    card: dict


def import_for(module: str, name: str) -> Implementation:
    """Import what a fit needs, and return the method."""
    for needed in ("mosaicbench.files.splits", "mosaicbench.files.runs", "mudata"):
        importlib.import_module(needed)
    return implementation(module, name)


def implementation(module: str, name: str) -> Implementation:
    """Import a method's module and return its class and card: the n-th class has the n-th card.

    Parameters
    ----------
    module
        Its dotted name.
    name
        The id of the method.
    """
    things = vars(importlib.import_module(module))
    cards = card_defaults.of_file(module, name, things)
    defined = [
        thing
        for key, thing in things.items()
        if isinstance(thing, type) and thing.__module__ == module and not key.startswith("_")
    ]
    create = defined[list(cards).index(name) - len(cards)]
    return Implementation(name, module, create, card_defaults.whole(cards[name], dir(create)))


def hyperparameters_of(method: object) -> dict:
    """Return the hyperparameters that a method object really has: its dataclass fields."""
    return {name: getattr(method, name) for name in method.__dataclass_fields__}
