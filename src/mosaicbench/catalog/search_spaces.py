"""Search spaces: the hyperparameters that tuning searches, and their ranges.

A method's card names them, and the annotation of each has its range::

    "space": ("latent", "dropout")

    latent: Annotated[int, "at least 1", {"int": [8, 64], "log": True}] = 20
    dropout: Annotated[float, "at least 0 and below 1", {"float": [0.0, 0.5]}] = 0.2

`int` and `float` hold both ends; with `log`, the search takes steps of equal ratio. `choice` holds
the values. A default, unless None, is in its range. Standard library only.
"""

from __future__ import annotations

from mosaicbench.errors import nearest

Space = dict[str, dict[str, object]]
TUNED = "-tuned"  # ends the name of a run with searched hyperparameters
KINDS = {"int", "float", "choice"}


def fault(space: Space, defaults: dict[str, object]) -> str:
    """Return what is wrong with a space, hyperparameter -> range, "" if nothing is.

    `defaults` are those of all hyperparameters of the method.
    """
    for name, values in space.items():
        if name not in defaults:
            return f"the method has no hyperparameter {name!r}{nearest(name, defaults)}"
        if len(KINDS & values.keys()) != 1:
            expected = '{"int": [8, 64]}, {"float": [0.1, 10], "log": True} or {"choice": [1, 2]}'
            return f"{name}: expected in its annotation such as {expected}, found {values!r}"
        default = defaults[name]
        if default is not None and not holds(values, default):
            return f"{name}: the default, {default!r}, is not in the space: {in_words(values)}"
    return ""


def holds(values: dict[str, object], value: object) -> bool:
    """Return whether a value is one of those to search."""
    if "choice" in values:
        return value in values["choice"]
    low, high = values.get("int") or values["float"]
    return low <= value <= high


def free(space: Space, given: dict[str, object]) -> dict:
    """Return the hyperparameters to search for a run with some `given` in the config: the others."""
    return {name: values for name, values in space.items() if name not in given}


def in_words(values: dict[str, object]) -> str:
    """Return "8 to 64, log" for a range, "fast, slow" for choices."""
    if "choice" in values:
        return ", ".join(map(str, values["choice"]))
    ends = values.get("int") or values["float"]
    return " to ".join(f"{end:g}" for end in ends) + (", log" if "log" in values else "")
