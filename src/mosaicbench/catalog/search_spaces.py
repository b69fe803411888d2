"""Spaces: which hyperparameters of a method are searched when it is tuned, and over which values.

A method's card names them, and the annotation of each has its range::

    "space": ("latent", "dropout")

    latent: Annotated[int, "at least 1", {"int": [8, 64], "log": True}] = 20
    dropout: Annotated[float, "at least 0 and below 1", {"float": [0.0, 0.5]}] = 0.2

The catalogue joins both to hyperparameter -> range. A card may also hold that dict itself. `int` and `float` hold both ends of a
range; with `log`, the search takes steps of equal ratio. `choice` holds the values. A default has to be in its range; a default
of None, which leaves the value to the method, need not. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping

from mosaicbench.errors import nearest

Space = Mapping[str, Mapping[str, object]]
TUNED = "-tuned"  # ends the name of a run whose settings were searched for
KINDS = ("int", "float", "choice")
NUMBERS = {"int": int, "float": (int, float)}


def fault(space: Space, defaults: Mapping[str, object]) -> str:
    """Return what is wrong with a space, "" where nothing is.

    Parameters
    ----------
    space
        Of a card.
    defaults
        hyperparameter -> default, of all that the method has.
    """
    for name, values in space.items():
        if name not in defaults:
            return f"the method has no hyperparameter {name!r}{nearest(name, defaults)}"
        if wrong := _fault_of_values(values):
            return f"{name}: {wrong}"
        default = defaults[name]
        if default is not None and not holds(values, default):
            return f"{name}: the default, {default!r}, is none of the values to search, {in_words(values)}"
    return ""


def _fault_of_values(values: object) -> str:
    if (
        not isinstance(values, dict)
        or len(kinds := [key for key in values if key != "log"]) != 1
        or kinds[0] not in KINDS
    ):
        return f'expected {{"int": [8, 64]}}, {{"float": [0.1, 10], "log": True}} or {{"choice": ["a", "b"]}}, found {values!r}'
    (kind,) = kinds
    ends = values[kind]
    if not isinstance(ends, list) or len(ends) < 2 or (kind != "choice" and len(ends) != 2):
        return f"{kind}: expected a list of {'at least two values' if kind == 'choice' else 'two ends'}, found {ends!r}"
    if kind == "choice":
        return "log: only a range has it" if "log" in values else ""
    if (
        not all(isinstance(end, NUMBERS[kind]) and not isinstance(end, bool) for end in ends)
        or ends[0] >= ends[1]
    ):
        return f"{kind}: expected two {'whole ' if kind == 'int' else ''}numbers, the smaller first, found {ends!r}"
    if values.get("log", True) is not True:
        return f"log: expected True, or nothing, found {values['log']!r}"
    return "log: both ends have to be above 0" if "log" in values and ends[0] <= 0 else ""


def holds(values: Mapping[str, object], value: object) -> bool:
    """Return whether a value is one of those to search."""
    if "choice" in values:
        return value in values["choice"]
    kind = "int" if "int" in values else "float"
    low, high = values[kind]
    return isinstance(value, NUMBERS[kind]) and not isinstance(value, bool) and low <= value <= high


def ends(values: Mapping[str, object]) -> list:
    """Return the values that a space names: both ends of a range, or all choices."""
    return next(list(values[kind]) for kind in KINDS if kind in values)


def free(space: Space, given: Mapping[str, object]) -> dict:
    """Return what is searched of a space by a run whose stanza in the config states some hyperparameters: the others."""
    return {name: values for name, values in space.items() if name not in given}


def in_words(values: Mapping[str, object]) -> str:
    """Return "8 to 64, log" of a range, "fast, slow" of choices."""
    if "choice" in values:
        return ", ".join(map(str, values["choice"]))
    return " to ".join(f"{end:g}" for end in ends(values)) + (", log" if "log" in values else "")
