"""What a method without networks learned, as arrays and a description in JSON, and back; no file holds code.

Values, arrays, dicts, lists and tuples are described as they are; an object of a class of :data:`ESTIMATORS`, or of a dataclass
of this package, by the name of its class and its attributes.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import is_dataclass

import numpy as np

from mosaicbench.errors import UserError

ESTIMATORS = {
    "PCA": "sklearn.decomposition",
    "NearestNeighbors": "sklearn.neighbors",
    "Nystroem": "sklearn.kernel_approximation",
    "RidgeCV": "sklearn.linear_model",
    "Pipeline": "sklearn.pipeline",
}
PACKAGE = "mosaicbench."
DESCRIPTION = "description"  # the array that holds the JSON, which refers to the others by number


def described(learned: dict[str, object]) -> dict[str, np.ndarray]:
    """Return arrays that hold all of `learned`, a method's attributes by name.

    Raises
    ------
    UserError
        When an object in it is of another class.
    """
    arrays: list[np.ndarray] = []
    text = json.dumps(_node(learned, arrays))
    description = np.frombuffer(text.encode(), dtype=np.uint8)
    return {DESCRIPTION: description} | {str(i): array for i, array in enumerate(arrays)}


def restored(state: dict[str, np.ndarray]) -> dict[str, object]:
    """Return the argument of :func:`described`.

    Raises
    ------
    UserError
        When the description names another class.
    """
    return _thing(json.loads(bytes(state[DESCRIPTION])), state)


def _node(thing: object, arrays: list[np.ndarray]) -> dict:
    """Return the description of a thing, and append its arrays to `arrays`."""
    if isinstance(thing, np.ndarray | np.generic):
        x = np.asarray(thing)
        if x.dtype.hasobject:
            return {"strings": [str(name) for name in x.ravel()]}
        # The order in memory is kept: only so do products add in the same order again.
        by_column = x.ndim == 2 and x.strides[0] < x.strides[1]
        arrays.append(np.asarray(x, order="F" if by_column else "C"))
        return {"array": len(arrays) - 1}
    if thing is None or isinstance(thing, bool | int | float | str):
        return {"value": thing}
    if isinstance(thing, dict):
        items = [[_node(key, arrays), _node(value, arrays)] for key, value in thing.items()]
        return {"dict": items}
    if isinstance(thing, list | tuple):
        return {type(thing).__name__: [_node(each, arrays) for each in thing]}
    name, module = type(thing).__name__, type(thing).__module__
    if module.startswith(ESTIMATORS.get(name, " ")):
        module = ESTIMATORS[name]
    elif not (module.startswith(PACKAGE) and is_dataclass(thing)):
        raise UserError(f"a model that holds a {module}.{name} cannot be kept")
    return {"object": [module, name], "holds": _node(vars(thing), arrays)}


def _thing(node: dict, state: dict[str, np.ndarray]) -> object:
    kind, content = next(iter(node.items()))
    if kind == "array":
        return state[str(content)][()]
    if kind == "strings":
        return np.array(content, dtype=object)
    if kind == "value":
        return content
    if kind == "dict":
        return {_thing(key, state): _thing(value, state) for key, value in content}
    if kind == "object":
        return _object(*content, _thing(node["holds"], state))
    return {"list": list, "tuple": tuple}[kind](_thing(each, state) for each in content)


def _object(module: str, name: str, holds: dict[str, object]) -> object:
    """Return an object of a known class with these attributes; no code of a file runs."""
    kind = None
    if ESTIMATORS.get(name) == module or module.startswith(PACKAGE):
        kind = getattr(importlib.import_module(module), name, None)
    if kind is None or (module.startswith(PACKAGE) and not is_dataclass(kind)):
        raise UserError(
            f"the model names a class {module}.{name}, which no kept model of this version holds; fit it again"
        )
    thing = object.__new__(kind)
    vars(thing).update(holds)
    return thing
