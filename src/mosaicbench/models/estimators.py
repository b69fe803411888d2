"""What a method without networks learned, as arrays and a description in JSON, and back.

No file holds code: values, arrays, dicts, lists and tuples are described as they are; an object of
:data:`ESTIMATORS`, or of a dataclass of this package, by its class and its attributes.
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
        return {"dict": [_node(pair, arrays) for pair in thing.items()]}
    if isinstance(thing, list | tuple):
        return {type(thing).__name__: [_node(each, arrays) for each in thing]}
    name, module = type(thing).__name__, type(thing).__module__
    if module.startswith(ESTIMATORS.get(name, " ")):
        module = ESTIMATORS[name]
    if not _may_hold(module, type(thing)):
        raise UserError(f"a model that holds a {module}.{name} cannot be kept")
    return {"object": [module, name], "holds": _node(vars(thing), arrays)}


def _may_hold(module: str, kind: type) -> bool:
    own = module.startswith("mosaicbench.") and is_dataclass(kind)
    return own or ESTIMATORS.get(kind.__name__) == module


def _thing(node: dict, state: dict[str, np.ndarray]) -> object:
    kind, content = next(iter(node.items()))
    match kind:
        case "array":
            return state[str(content)][()]
        case "strings":
            return np.array(content, dtype=object)
        case "value":
            return content
        case "object":
            return _object(*content, _thing(node["holds"], state))
    return {"list": list, "tuple": tuple, "dict": dict}[kind](_thing(x, state) for x in content)


def _object(module: str, name: str, holds: dict[str, object]) -> object:
    if module.split(".")[0] in ("sklearn", "mosaicbench"):
        kind = getattr(importlib.import_module(module), name, None)
        if isinstance(kind, type) and _may_hold(module, kind):
            thing = object.__new__(kind)
            vars(thing).update(holds)
            return thing
    raise UserError(
        f"the model names a class {module}.{name}, which no model of this version holds; fit it again"
    )
