"""The class that a method's module defines."""

from __future__ import annotations

import importlib
from types import ModuleType


def import_for(method: str) -> ModuleType:
    """Import what a fit needs, which takes longer than a short one's fit, and return the method's module."""
    for needed in ("mosaicbench.files.views", "mosaicbench.files.runs", "mudata"):
        importlib.import_module(needed)
    return importlib.import_module(method)


def method_class(module: ModuleType) -> type:
    """Return the last public class that the module itself defines."""
    defined = [
        thing
        for name, thing in vars(module).items()
        if isinstance(thing, type) and not name.startswith("_")
    ]
    return [thing for thing in defined if thing.__module__ == module.__name__][-1]


def hyperparameters_of(method: object) -> dict:
    """Return the hyperparameters that a method object really has: its dataclass fields."""
    return {name: getattr(method, name) for name in method.__dataclass_fields__}
